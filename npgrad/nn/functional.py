"""The functions of networks, where a PyTorch user looks for them: `import npgrad.nn.functional as F`.

They are those of `npgrad` itself under PyTorch's names, in PyTorch's order of arguments but for its retired options
(`size_average`, `reduce`, `inplace`), which do not exist. Three things differ, as in `npgrad.nn`:

    linear(x, weight, bias)         weight is (fan_in, fan_out), the transpose of PyTorch's
    dropout(x, p, training, rng)    randomness comes from a numpy.random.Generator that you pass
    cross_entropy(…)                no class is ignored unless `ignore_index` says so (PyTorch: -100)
"""

from __future__ import annotations

from npgrad import functions
from npgrad.engine.arrays import Array, Axis
from npgrad.engine.tensor import Tensor, TensorLike
from npgrad.functions import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    avg_pool1d,
    avg_pool2d,
    batch_norm,
    binary_cross_entropy,
    conv1d,
    conv2d,
    conv_transpose1d,
    conv_transpose2d,
    cross_entropy,
    dropout,
    elu,
    gelu,
    group_norm,
    huber_loss,
    instance_norm,
    kl_div,
    l1_loss,
    layer_norm,
    leaky_relu,
    linear,
    max_pool1d,
    max_pool2d,
    mse_loss,
    nll_loss,
    prelu,
    relu,
    rms_norm,
    sigmoid,
    silu,
    smooth_l1_loss,
    softplus,
    tanh,
)
from npgrad.functions import (
    bce_with_logits as binary_cross_entropy_with_logits,
)
from npgrad.functions import (
    log_sigmoid as logsigmoid,
)

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "avg_pool1d", "avg_pool2d", "batch_norm", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "cross_entropy",
    "dropout", "elu", "embedding", "gelu", "group_norm", "huber_loss", "instance_norm", "kl_div", "l1_loss",
    "layer_norm", "leaky_relu", "linear", "log_softmax", "logsigmoid", "max_pool1d", "max_pool2d", "mse_loss",
    "nll_loss", "prelu", "relu", "rms_norm", "sigmoid", "silu", "smooth_l1_loss", "softmax", "softplus", "tanh",
]  # fmt: skip


def softmax(x: TensorLike, dim: Axis = -1) -> Tensor:
    """`npgrad.softmax`, whose `axis` is called `dim` here."""
    return functions.softmax(x, dim)


def log_softmax(x: TensorLike, dim: Axis = -1) -> Tensor:
    """`npgrad.log_softmax`, whose `axis` is called `dim` here."""
    return functions.log_softmax(x, dim)


def embedding(indices: Tensor | Array, weight: TensorLike) -> Tensor:
    """`npgrad.embedding` with the indices first, as PyTorch has it."""
    return functions.embedding(weight, indices)
