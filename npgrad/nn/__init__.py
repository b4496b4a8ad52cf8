"""Networks: modules, layers, losses, initial values; `npgrad.nn.functional` has the functions."""

# What a file of this package exports, the package exports: a new layer is named in one place.
from typing import TYPE_CHECKING

from npgrad.bindings.spellings import unknown
from npgrad.nn import functional as functional
from npgrad.nn import init as init
from npgrad.nn.activation import *
from npgrad.nn.attention import *
from npgrad.nn.batch_norm import *
from npgrad.nn.container import *
from npgrad.nn.conv import *
from npgrad.nn.dropout import *
from npgrad.nn.embedding import *
from npgrad.nn.group_norm import *
from npgrad.nn.layer_norm import *
from npgrad.nn.linear import *
from npgrad.nn.loss import *
from npgrad.nn.module import *
from npgrad.nn.of_function import *
from npgrad.nn.pad import *
from npgrad.nn.pool import *
from npgrad.nn.recurrent import *
from npgrad.nn.torch_weights import *

__all__ = sorted(
    {"ACTIVATIONS", "detach", "functional", "init", "torch_state", "torch_weights"}
    | {name for name, item in globals().items() if isinstance(item, type) and item.__module__.startswith(__name__)}
)

if not TYPE_CHECKING:  # type checkers would take any misspelling for a name of the package

    def __getattr__(name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        unknown(__name__, name, lambda: __all__, f"module {__name__!r}")
