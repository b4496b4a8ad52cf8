"""Networks: modules, layers, initial values."""

from typing import TYPE_CHECKING

from npgrad.bindings.spellings import unknown
from npgrad.nn import init
from npgrad.nn.activation import ACTIVATIONS, ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from npgrad.nn.batch_norm import BatchNorm1d, BatchNorm2d
from npgrad.nn.container import Flatten, ModuleList, Sequential
from npgrad.nn.conv import Conv1d, Conv2d
from npgrad.nn.dropout import Dropout
from npgrad.nn.embedding import Embedding
from npgrad.nn.group_norm import GroupNorm
from npgrad.nn.layer_norm import LayerNorm
from npgrad.nn.linear import Linear
from npgrad.nn.module import IncompatibleKeys, Module, Parameter
from npgrad.nn.pool import AvgPool2d, MaxPool2d

__all__ = [
    "ACTIVATIONS", "ELU", "GELU", "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "Conv1d", "Conv2d", "Dropout",
    "Embedding", "Flatten", "GroupNorm", "IncompatibleKeys", "LayerNorm", "LeakyReLU", "Linear", "MaxPool2d",
    "Module", "ModuleList", "Parameter", "ReLU", "Sequential", "SiLU", "Sigmoid", "Softplus", "Tanh", "init",
]  # fmt: skip

if not TYPE_CHECKING:  # type checkers would take any misspelling for a name of the package

    def __getattr__(name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        unknown(__name__, name, __all__, f"module {__name__!r}")
