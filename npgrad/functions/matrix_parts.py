"""Parts of matrices: diagonal diag trace tril triu. All are put together from other functions."""

from __future__ import annotations

import numpy as np

from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.indexing import getitem, operand
from npgrad.functions.reduction import sum
from npgrad.functions.selection import where
from npgrad.functions.shape import expand_dims, moveaxis, pad

__all__ = ["diag", "diagonal", "trace", "tril", "triu"]


def diagonal(x: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The entries x[…, i, i + offset] of the matrices in two axes of x, as last axis of the result."""
    shape = np.shape(raw(x))
    n, m = shape[axis1], shape[axis2]
    i = np.arange(max(-offset, 0), max(min(n, m - offset), max(-offset, 0)))
    return getitem(moveaxis(x, (axis1, axis2), (-2, -1)), (..., i, i + offset))


def diag(x: TensorLike, k: int = 0) -> Tensor:
    """Of a vector the matrix that has it on its k-th diagonal, of a matrix its k-th diagonal.

    Raises ValueError for other numbers of axes.
    """
    ndim = np.ndim(raw(x))
    if ndim == 2:
        return diagonal(x, k)
    if ndim != 1:
        raise ValueError(f"diag takes a vector or a matrix; got {ndim} axes. For stacks of matrices there is diagonal.")
    # Entry i stands in row i if k >= 0, and in column i if not.
    entries = expand_dims(pad(x, (0, abs(k))), 1 if k >= 0 else 0)
    return where(np.eye(np.size(raw(x)) + abs(k), k=k, dtype=bool), entries, 0)


def trace(x: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of a diagonal of the matrices in two axes of x."""
    return sum(diagonal(x, offset, axis1, axis2), -1)


def tril(x: TensorLike, k: int = 0) -> Tensor:
    """The matrices in the last two axes of x, with 0 above the k-th diagonal."""
    n, m = np.shape(raw(x))[-2:]
    return where(np.tri(n, m, k, bool), operand(x), 0)


def triu(x: TensorLike, k: int = 0) -> Tensor:
    """The matrices in the last two axes of x, with 0 below the k-th diagonal."""
    n, m = np.shape(raw(x))[-2:]
    return where(np.tri(n, m, k - 1, bool), 0, operand(x))
