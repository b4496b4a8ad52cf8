"""npgrad: reverse-mode autograd in NumPy alone, every backward rule derived by hand beside its code.

`import npgrad` loads tensors, their functions and the compiler. The subpackages for networks, checks, instruments and
derivations are loaded when they are first asked for (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from npgrad import bindings as bindings
from npgrad import functions as functions
from npgrad.compile import CompileError as CompileError
from npgrad.compile import compile as compile
from npgrad.derivative import grad as grad
from npgrad.derivative import hvp as hvp
from npgrad.derivative import jvp as jvp
from npgrad.engine.function import Function as Function
from npgrad.engine.mode import enable_grad as enable_grad
from npgrad.engine.mode import holomorphic as holomorphic
from npgrad.engine.mode import is_grad_enabled as is_grad_enabled
from npgrad.engine.mode import no_grad as no_grad
from npgrad.engine.tensor import Tensor as Tensor
from npgrad.functions import *

if TYPE_CHECKING:
    from npgrad import check as check
    from npgrad import checkpoint as checkpoint
    from npgrad import data as data
    from npgrad import diagnose as diagnose
    from npgrad import explain as explain
    from npgrad import nn as nn
    from npgrad import optim as optim

__version__ = "0.1.0"

_SUBPACKAGES = ("check", "checkpoint", "data", "diagnose", "explain", "nn", "optim")


if not TYPE_CHECKING:  # type checkers read the imports above, and would take any misspelling for a subpackage

    def __getattr__(name: str) -> object:
        if name in _SUBPACKAGES:
            return import_module(f"npgrad.{name}")
        from difflib import get_close_matches  # here, because only a misspelling needs it

        close = get_close_matches(name, __dir__(), 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise AttributeError(f"module 'npgrad' has no attribute {name!r}.{hint}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *_SUBPACKAGES})
