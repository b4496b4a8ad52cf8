"""One file of cases per family of functions; importing this package registers them all."""

from npgrad.check.cases import (
    activation,
    arithmetic,
    batch_norm,
    elementwise,
    extreme,
    indexing,
    loss,
    matmul,
    reduction,
    shape,
    softmax,
)

__all__ = [
    "activation",
    "arithmetic",
    "batch_norm",
    "elementwise",
    "extreme",
    "indexing",
    "loss",
    "matmul",
    "reduction",
    "shape",
    "softmax",
]
