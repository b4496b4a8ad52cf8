"""npgrad: reverse-mode autograd in NumPy alone, every backward rule derived by hand beside its code."""

# Tensors first: they and the functions know each other.
from npgrad.tensor import Tensor as Tensor  # isort: skip
from npgrad import check as check
from npgrad import nn as nn
from npgrad import optim as optim
from npgrad.derivative import grad as grad
from npgrad.derivative import hvp as hvp
from npgrad.derivative import jvp as jvp
from npgrad.function import Function as Function
from npgrad.functions import *  # noqa: F403
from npgrad.mode import enable_grad as enable_grad
from npgrad.mode import holomorphic as holomorphic
from npgrad.mode import is_grad_enabled as is_grad_enabled
from npgrad.mode import no_grad as no_grad
from npgrad.replay import replay as replay

__version__ = "0.1.0"
