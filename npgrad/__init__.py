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
from npgrad.creation import *
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
from npgrad.functions import linalg as linalg
from npgrad.version import __version__ as __version__

if TYPE_CHECKING:
    from npgrad import check as check
    from npgrad import checkpoint as checkpoint
    from npgrad import data as data
    from npgrad import diagnose as diagnose
    from npgrad import explain as explain
    from npgrad import nn as nn
    from npgrad import optim as optim
    from npgrad.checkpoint import load as load
    from npgrad.checkpoint import save as save

_SUBPACKAGES = ("check", "checkpoint", "data", "diagnose", "explain", "nn", "optim")
_LATER = {"save": "npgrad.checkpoint", "load": "npgrad.checkpoint"}


if not TYPE_CHECKING:  # type checkers read the imports above, and would take any misspelling for a subpackage

    def __getattr__(name: str) -> object:
        if name in _SUBPACKAGES:
            return import_module(f"npgrad.{name}")
        if name in _LATER:
            return getattr(import_module(_LATER[name]), name)
        if name.startswith("_"):
            raise AttributeError(f"module 'npgrad' has no attribute {name!r}")
        bindings.spellings.unknown("npgrad", name, __dir__, "module 'npgrad'")

    def __dir__() -> list[str]:
        return sorted({*globals(), *_SUBPACKAGES, *_LATER})
