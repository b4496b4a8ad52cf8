"""Weights of PyTorch's modules, loaded into the modules of the same name here.

Names agree. What differs is the layout of matrices: PyTorch computes x @ W.T with W (fan_out, fan_in), npgrad x @ W
with (fan_in, fan_out). Convolutions and embeddings have the same layout in both.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.tensor import TensorLike, raw
from npgrad.nn.attention import MultiHeadAttention
from npgrad.nn.linear import Linear
from npgrad.nn.module import Module
from npgrad.nn.recurrent import Recurrence

__all__ = ["torch_state", "torch_weights"]

_LEFT_OUT = "num_batches_tracked"
"""A counter of PyTorch's batch normalisation that has no part in what it computes."""


def torch_weights(module: Module, state: Mapping[str, TensorLike]) -> None:
    """Load `state`, the state dictionary of the torch module that `module` is named after, as arrays.

        torch_weights(net, {name: t.numpy() for name, t in torch_net.state_dict().items()})

    Matrices of Linear, RNN, LSTM, GRU and MultiHeadAttention are transposed to (fan_in, fan_out). For TransformerBlock
    the torch module is TransformerEncoderLayer, for CausalConv1d it is Conv1d. Dtypes are those of `module`.

    Raises ValueError, and loads nothing, if names or shapes do not fit.
    """
    turned = matrices(module)
    arrays = {name: np.asarray(raw(a)) for name, a in state.items() if name.rpartition(".")[2] != _LEFT_OUT}
    module.load_state_dict({name: a.T if name in turned else a for name, a in arrays.items()})


def torch_state(module: Module) -> dict[str, Array]:
    """The state of `module` as the torch module of the same name has it: the inverse of `torch_weights`."""
    turned = matrices(module)
    return {name: a.T if name in turned else a for name, a in module.state_dict().items()}


def matrices(module: Module) -> set[str]:
    """The names of all parameters that are transposed."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, part in module.named_modules()
        for name, value in part._members()
        if not isinstance(value, Module) and is_turned(part, name)
    }


def is_turned(module: Module, name: str) -> bool:
    """Whether this parameter of `module` is a matrix of (fan_in, fan_out)."""
    if isinstance(module, Linear):
        return name == "weight"
    if isinstance(module, Recurrence):
        return name.startswith("weight_")
    return isinstance(module, MultiHeadAttention) and name == "in_proj_weight"
