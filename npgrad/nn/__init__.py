"""Networks: modules, layers, losses, initial values; `npgrad.nn.functional` has the functions."""

# What a file of this package exports, the package exports: a new layer is named in one place.

from npgrad.nn import functional as functional
from npgrad.nn import init as init
from npgrad.nn.activation import *
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
from npgrad.nn.pool import *

__all__ = sorted(
    {"functional", "init"}
    | {name for name, item in globals().items() if isinstance(item, type) and item.__module__.startswith(__name__)}
)
