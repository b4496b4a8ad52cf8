"""Networks: modules, layers, initial values."""

from npgrad.nn import init
from npgrad.nn.activation import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Tanh
from npgrad.nn.batch_norm import BatchNorm1d, BatchNorm2d
from npgrad.nn.container import ModuleList, Sequential
from npgrad.nn.embedding import Embedding
from npgrad.nn.linear import Linear
from npgrad.nn.module import IncompatibleKeys, Module, Parameter

__all__ = [
    "ELU", "GELU", "BatchNorm1d", "BatchNorm2d", "Embedding", "IncompatibleKeys", "LeakyReLU", "Linear", "Module",
    "ModuleList", "Parameter", "ReLU", "Sequential", "SiLU", "Sigmoid", "Tanh", "init",
]  # fmt: skip
