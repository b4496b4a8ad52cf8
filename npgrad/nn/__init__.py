"""Networks: modules, layers, initial values."""

from npgrad.nn import init
from npgrad.nn.activation import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Tanh
from npgrad.nn.attention import CausalConv1d, MultiHeadAttention, TransformerBlock
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
from npgrad.nn.recurrent import GRU, LSTM, RNN, detach
from npgrad.nn.torch_weights import torch_weights

__all__ = [
    "ELU", "GELU", "GRU", "LSTM", "RNN", "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "CausalConv1d", "Conv1d", "Conv2d",
    "Dropout", "Embedding", "Flatten", "GroupNorm", "IncompatibleKeys", "LayerNorm", "LeakyReLU", "Linear",
    "MaxPool2d", "Module", "ModuleList", "MultiHeadAttention", "Parameter", "ReLU", "Sequential", "SiLU", "Sigmoid",
    "Tanh", "TransformerBlock", "detach", "init", "torch_weights",
]  # fmt: skip
