"""The functions of networks, where a PyTorch user looks for them: `import npgrad.nn.functional as F`.

They are those of `npgrad` itself under PyTorch's names, in PyTorch's order of arguments but for its retired options
(`size_average`, `reduce`, `inplace`), which do not exist. Four things differ, as in `npgrad.nn`:

    linear(x, weight, bias)         weight is (fan_in, fan_out), the transpose of PyTorch's
    dropout(x, p, training, rng)    randomness comes from a numpy.random.Generator that you pass
    cross_entropy(…)                no class is ignored unless `ignore_index` says so (PyTorch: -100)
    instance_norm(x, weight=, …)    has no running statistics, and takes its options by name
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npgrad import functions
from npgrad.engine.arrays import Array, Axis
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    avg_pool1d,
    avg_pool2d,
    batch_norm,
    binary_cross_entropy,
    celu,
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
    mish,
    mse_loss,
    nll_loss,
    prelu,
    relu,
    rms_norm,
    scaled_dot_product_attention,
    selu,
    sigmoid,
    silu,
    smooth_l1_loss,
    softplus,
    softsign,
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
    "binary_cross_entropy_with_logits", "celu", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d",
    "cross_entropy", "dropout", "elu", "embedding", "gelu", "group_norm", "huber_loss", "instance_norm", "kl_div",
    "l1_loss", "layer_norm", "leaky_relu", "linear", "log_softmax", "logsigmoid", "max_pool1d", "max_pool2d", "mish",
    "mse_loss", "nll_loss", "one_hot", "pad", "prelu", "relu", "rms_norm", "scaled_dot_product_attention", "selu",
    "sigmoid", "silu", "smooth_l1_loss", "softmax", "softplus", "softsign", "tanh",
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


def one_hot(indices: TensorLike, num_classes: int = -1) -> Array:
    """An integer array (…, num_classes) that is 1 at each index and 0 elsewhere; -1 means as many as there are.

    Raises TypeError unless the indices are integers, IndexError if one is out of range.
    """
    t = np.asarray(raw(indices))
    if t.dtype.kind not in "iu":
        raise TypeError(f"one_hot takes integers; got {t.dtype}. Convert with .astype(np.int64).")
    classes = int(t.max(initial=-1)) + 1 if num_classes == -1 else num_classes
    if t.size and not 0 <= t.min() <= t.max() < classes:
        raise IndexError(
            f"one_hot got indices from {t.min()} to {t.max()}; with {classes} classes: 0 to {classes - 1}."
        )
    hot: Array = (t[..., None] == np.arange(classes)).astype(np.int64)
    return hot


def pad(x: TensorLike, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """`npgrad.pad` with PyTorch's numbers: before and after the last axis, before and after the one before it, ….

    Raises ValueError unless they are pairs, no more of them than axes, and not negative.
    """
    ndim = np.ndim(raw(x))
    if len(pad) % 2 or len(pad) > 2 * ndim:
        raise ValueError(f"pad got {tuple(pad)} for {ndim} axes: give two numbers for each axis, the last axis first.")
    pairs = [(before, after) for before, after in zip(pad[::2], pad[1::2], strict=True)]
    width = [(0, 0)] * (ndim - len(pairs)) + pairs[::-1]
    return functions.pad(x, width, mode, value)
