"""Parts of matrices, and matrices from vectors: diagonal diag diagflat trace tril triu vander.

All are put together from other functions.
"""

from __future__ import annotations

import numpy as np

from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.arithmetic import pow
from npgrad.functions.indexing import getitem, operand
from npgrad.functions.reduction import sum
from npgrad.functions.selection import where
from npgrad.functions.shape import expand_dims, moveaxis, pad, ravel

__all__ = ["diag", "diagflat", "diagonal", "trace", "tril", "triu", "vander"]


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


def diagflat(x: TensorLike, k: int = 0) -> Tensor:
    """The matrix that has all values of x, flattened, on its k-th diagonal."""
    return diag(ravel(x), k)


def vander(x: TensorLike, N: int | None = None, increasing: bool = False) -> Tensor:
    """The matrix whose columns are powers of the vector x: x**(N-1), …, x, 1, or with `increasing` 1, x, …, x**(N-1).

    N is by default the length of x. Raises ValueError if x has another number of axes than one.
    """
    shape = np.shape(raw(x))
    if len(shape) != 1:
        raise ValueError(f"vander takes powers of a vector; got shape {shape}.")
    x = expand_dims(x, 1)
    powers = np.arange(shape[0] if N is None else N, dtype=x.dtype)
    return pow(x, powers if increasing else powers[::-1])


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
