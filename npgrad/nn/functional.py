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
from typing import TYPE_CHECKING, Any

import numpy as np

from npgrad import functions
from npgrad.bindings.spellings import unknown
from npgrad.engine.arrays import Array, Axis
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    batch_norm,
    binary_cross_entropy,
    celu,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    cosine_embedding_loss,
    cross_entropy,
    dropout,
    elu,
    gaussian_nll_loss,
    gelu,
    group_norm,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    hinge_embedding_loss,
    huber_loss,
    instance_norm,
    kl_div,
    l1_loss,
    layer_norm,
    leaky_relu,
    linear,
    margin_ranking_loss,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    mish,
    mse_loss,
    multi_margin_loss,
    multilabel_soft_margin_loss,
    nll_loss,
    poisson_nll_loss,
    prelu,
    relu,
    relu6,
    rms_norm,
    scaled_dot_product_attention,
    selu,
    sigmoid,
    silu,
    smooth_l1_loss,
    soft_margin_loss,
    softplus,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
    threshold,
    triplet_margin_loss,
)
from npgrad.functions import (
    bce_with_logits as binary_cross_entropy_with_logits,
)
from npgrad.functions import (
    log_sigmoid as logsigmoid,
)

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "batch_norm",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "celu", "conv1d", "conv2d", "conv3d",
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cosine_embedding_loss", "cosine_similarity",
    "cross_entropy", "dropout", "elu", "embedding", "gaussian_nll_loss", "gelu", "glu", "group_norm", "hardshrink",
    "hardsigmoid", "hardswish", "hardtanh", "hinge_embedding_loss", "huber_loss", "instance_norm", "kl_div",
    "l1_loss", "layer_norm", "leaky_relu", "linear", "log_softmax", "logsigmoid", "margin_ranking_loss",
    "max_pool1d", "max_pool2d", "max_pool3d", "mish", "mse_loss", "multi_margin_loss",
    "multilabel_soft_margin_loss", "nll_loss", "normalize", "one_hot", "pad", "pairwise_distance",
    "poisson_nll_loss", "prelu", "relu", "relu6", "rms_norm", "scaled_dot_product_attention", "selu", "sigmoid",
    "silu", "smooth_l1_loss", "soft_margin_loss", "softmax", "softmin", "softplus", "softshrink", "softsign",
    "tanh", "tanhshrink", "threshold", "triplet_margin_loss",
]  # fmt: skip


def softmax(x: TensorLike, dim: Axis = -1) -> Tensor:
    """`npgrad.softmax`, whose `axis` is called `dim` here."""
    return functions.softmax(x, dim)


def log_softmax(x: TensorLike, dim: Axis = -1) -> Tensor:
    """`npgrad.log_softmax`, whose `axis` is called `dim` here."""
    return functions.log_softmax(x, dim)


def softmin(x: TensorLike, dim: Axis = -1) -> Tensor:
    """`npgrad.softmin`, whose `axis` is called `dim` here."""
    return functions.softmin(x, dim)


def glu(x: TensorLike, dim: int = -1) -> Tensor:
    """`npgrad.glu`, whose `axis` is called `dim` here."""
    return functions.glu(x, dim)


def normalize(x: TensorLike, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """`npgrad.normalize`, whose `axis` is called `dim` here."""
    return functions.normalize(x, p, dim, eps)


def cosine_similarity(a: TensorLike, b: TensorLike, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """`npgrad.cosine_similarity`, whose `axis` is called `dim` here."""
    return functions.cosine_similarity(a, b, dim, eps)


def pairwise_distance(a: TensorLike, b: TensorLike, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """`npgrad.pairwise_distance`, whose `keepdims` is called `keepdim` here."""
    return functions.pairwise_distance(a, b, p, eps, keepdim)


def embedding(indices: Tensor | Array, weight: TensorLike, padding_idx: int | None = None) -> Tensor:
    """`npgrad.embedding` with the indices first, as PyTorch has it."""
    return functions.embedding(weight, indices, padding_idx)


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


def pad(x: TensorLike, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """`npgrad.pad` with PyTorch's numbers: before and after the last axis, before and after the one before it, ….

    `mode` is "constant" (`value`, or 0), "reflect", "replicate" or "circular". Negative numbers cut entries off. Raises
    ValueError unless the numbers are pairs, no more of them than axes, and leave something; NotImplementedError for
    another mode.
    """
    shape = np.shape(raw(x))
    if len(pad) % 2 or len(pad) > 2 * len(shape):
        raise ValueError(
            f"pad got {tuple(pad)} for {len(shape)} axes: give two numbers for each axis, the last axis first."
        )
    pairs = list(zip(pad[::2], pad[1::2], strict=True))
    width = [(0, 0)] * (len(shape) - len(pairs)) + pairs[::-1]
    if any(p + n + q < 0 for (p, q), n in zip(width, shape, strict=True)):
        raise ValueError(f"pad got {tuple(pad)} for shape {shape}: that cuts off more than there is.")
    more = [(max(p, 0), max(q, 0)) for p, q in width]

    def cut(x: Any) -> Any:
        ends = [(max(-p, 0), n + min(q, 0)) for (p, q), n in zip(width, np.shape(raw(x)), strict=True)]
        return functions.getitem(x, tuple([slice(*end) for end in ends])) if min(pad, default=0) < 0 else x

    # As in PyTorch: what is cut off does not come round, but is still what is mirrored or repeated.
    if mode == "circular":
        return functions.pad(cut(x), more, "wrap")
    y: Tensor = cut(functions.pad(x, more, "edge" if mode == "replicate" else mode, value or 0.0))
    return y


if not TYPE_CHECKING:  # type checkers would take any misspelling for a name of the module

    def __getattr__(name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        unknown(__name__, name, lambda: __all__, f"module {__name__!r}")
