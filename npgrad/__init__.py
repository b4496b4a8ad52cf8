"""npgrad: reverse-mode autograd in NumPy alone, every backward rule derived by hand beside its code.

`import npgrad` loads tensors and the engine. Functions, derivatives and subpackages are loaded when they are first
asked for (PEP 562), and from then on they are ordinary attributes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

# Tensors first: they and the engine know each other.
from npgrad.tensor import Tensor as Tensor  # isort: skip
from npgrad import functions as functions
from npgrad.function import Function as Function
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
    from npgrad import protocols as protocols
    from npgrad.derivative import grad as grad
    from npgrad.derivative import hvp as hvp
    from npgrad.derivative import jvp as jvp
    from npgrad.functions import *  # noqa: F403

__version__ = "0.1.0"

_ENGINE = ("Function", "Tensor", "enable_grad", "holomorphic", "is_grad_enabled", "no_grad", "replay")
_DERIVATIVES = ("grad", "hvp", "jvp")
_MODULES = ("check", "checkpoint", "data", "diagnose", "explain", "nn", "optim", "protocols")

# Type checkers read the imports above: a computed list they cannot follow, and a `__getattr__` would hide misspellings.
if not TYPE_CHECKING:
    __all__ = [*_ENGINE, *_DERIVATIVES, *functions.__all__]

    def __getattr__(name: str) -> object:
        if name in _MODULES:
            return import_module(f"npgrad.{name}")
        if name in _DERIVATIVES:
            value = getattr(import_module("npgrad.derivative"), name)
        elif name in functions.__all__:
            value = getattr(functions, name)
        else:
            raise AttributeError(f"module 'npgrad' has no attribute {name!r}")
        return globals().setdefault(name, value)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, *_MODULES})
