"""npgrad: reverse-mode automatic differentiation in NumPy alone, every backward rule derived by hand beside its code."""

from npgrad.tensor import Tensor  # first: tensors and functions know each other
from npgrad.function import Function
from npgrad.mode import enable_grad, holomorphic, is_grad_enabled, no_grad
from npgrad.functions import *  # noqa: F403
from npgrad.replay import replay
from npgrad.derivative import grad, hvp, jvp
from npgrad import nn, optim

__version__ = "0.1.0"
