"""npgrad: reverse-mode autograd in NumPy alone, every backward rule derived by hand beside its code."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

# Tensors first: they and the functions know each other.
from npgrad.tensor import Tensor as Tensor  # isort: skip
from npgrad.function import Function as Function
from npgrad.functions import *  # noqa: F403
from npgrad.mode import enable_grad as enable_grad
from npgrad.mode import holomorphic as holomorphic
from npgrad.mode import is_grad_enabled as is_grad_enabled
from npgrad.mode import no_grad as no_grad
from npgrad.replay import replay as replay

if TYPE_CHECKING:
    from npgrad import check as check
    from npgrad import checkpoint as checkpoint
    from npgrad import data as data
    from npgrad import diagnose as diagnose
    from npgrad import explain as explain
    from npgrad import nn as nn
    from npgrad import optim as optim
    from npgrad.derivative import grad as grad
    from npgrad.derivative import hvp as hvp
    from npgrad.derivative import jvp as jvp

__version__ = "0.1.0"

_MODULES = ("check", "checkpoint", "data", "diagnose", "explain", "nn", "optim")
_DERIVATIVES = ("grad", "hvp", "jvp")


def __getattr__(name: str) -> object:
    # Imported when first asked for (PEP 562): who only wants tensors does not wait for the rest.
    if name in _MODULES:
        return import_module(f"npgrad.{name}")
    if name in _DERIVATIVES:
        value = globals()[name] = getattr(import_module("npgrad.derivative"), name)
        return value
    raise AttributeError(f"module 'npgrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_DERIVATIVES})
