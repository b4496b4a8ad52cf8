"""Products of vectors and matrices that are put together from others: cross, kron, matvec, vecdot, vecmat."""

from __future__ import annotations

import numpy as np

from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.arithmetic import mul, sub
from npgrad.functions.matmul import matmul
from npgrad.functions.reduction import sum
from npgrad.functions.shape import expand_dims, reshape, roll, squeeze

__all__ = ["cross", "kron", "matvec", "vecdot", "vecmat"]


def vecdot(a: TensorLike, b: TensorLike, axis: int = -1) -> Tensor:
    """The products of a and b summed over `axis`, the other axes broadcast."""
    return sum(mul(a, b), axis)


def matvec(a: TensorLike, x: TensorLike) -> Tensor:
    """The products of matrices a (…, n, m) and vectors x (…, m), the axes in front broadcast: (…, n)."""
    return squeeze(matmul(a, expand_dims(x, -1)), -1)


def vecmat(x: TensorLike, a: TensorLike) -> Tensor:
    """The products of vectors x (…, n) and matrices a (…, n, m), the axes in front broadcast: (…, m)."""
    return squeeze(matmul(expand_dims(x, -2), a), -2)


def cross(a: TensorLike, b: TensorLike, axis: int = -1) -> Tensor:
    """The vectors perpendicular to those of length 3 along `axis` of a and b; ValueError for another length."""
    for x in (a, b):
        if np.shape(raw(x))[axis] != 3:
            raise ValueError(f"cross takes vectors of length 3; got shape {np.shape(raw(x))}, axis {axis}.")
    first = mul(roll(a, -1, axis), roll(b, -2, axis))
    return sub(first, mul(roll(a, -2, axis), roll(b, -1, axis)))


def kron(a: TensorLike, b: TensorLike) -> Tensor:
    """Every entry of a times the whole of b, in blocks: along each axis the lengths multiply."""
    left, right = np.shape(raw(a)), np.shape(raw(b))
    ndim = max(len(left), len(right))
    left, right = (1,) * (ndim - len(left)) + left, (1,) * (ndim - len(right)) + right
    blocks = expand_dims(reshape(a, left), tuple(range(1, 2 * ndim, 2)))
    products = mul(blocks, expand_dims(reshape(b, right), tuple(range(0, 2 * ndim, 2))))
    return reshape(products, [n * m for n, m in zip(left, right, strict=True)])
