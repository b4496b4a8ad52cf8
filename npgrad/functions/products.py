"""Products of vectors and matrices that are put together from others: convolve, cross, kron, vecdot and their kind."""

from __future__ import annotations

import numpy as np

from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.arithmetic import mul, sub
from npgrad.functions.indexing import getitem
from npgrad.functions.matmul import matmul
from npgrad.functions.reduction import sum
from npgrad.functions.shape import expand_dims, flip, moveaxis, pad, reshape, roll, squeeze

__all__ = ["convolve", "correlate", "cross", "kron", "matvec", "vecdot", "vecmat"]


def vecdot(a: TensorLike, b: TensorLike, axis: int = -1) -> Tensor:
    """The products of a and b summed over `axis`, the other axes broadcast."""
    return sum(mul(a, b), axis)


def matvec(a: TensorLike, x: TensorLike) -> Tensor:
    """The products of matrices a (…, n, m) and vectors x (…, m), the axes in front broadcast: (…, n)."""
    return squeeze(matmul(a, expand_dims(x, -1)), -1)


def vecmat(x: TensorLike, a: TensorLike) -> Tensor:
    """The products of vectors x (…, n) and matrices a (…, n, m), the axes in front broadcast: (…, m)."""
    return squeeze(matmul(expand_dims(x, -2), a), -2)


def cross(
    a: TensorLike, b: TensorLike, axis: int | None = None, axisa: int = -1, axisb: int = -1, axisc: int = -1
) -> Tensor:
    """The vectors perpendicular to those of length 3 along `axisa` of a and `axisb` of b, lying along `axisc`.

    `axis` stands for all three. The other axes broadcast. Raises ValueError for vectors of another length.
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if not a.shape[-1] == b.shape[-1] == 3:
        raise ValueError(
            f"cross takes vectors of length 3; got {a.shape[-1]} and {b.shape[-1]} entries along the axis."
        )
    first = mul(roll(a, -1, -1), roll(b, -2, -1))
    return moveaxis(sub(first, mul(roll(a, -2, -1), roll(b, -1, -1))), -1, axisc)


def correlate(a: TensorLike, v: TensorLike, mode: str = "valid") -> Tensor:
    """The products of the vector v with the stretches of the vector a that it passes on its way along.

    "valid": where the shorter of both lies inside the longer one; "same": as many as the longer one has entries, beyond
    its ends there are zeros; "full": wherever they overlap. Raises ValueError for another mode, other numbers of axes,
    or a vector without entries.
    """
    n, m = np.size(raw(a)), np.size(raw(v))
    if mode not in ("valid", "same", "full") or np.ndim(raw(a)) != 1 or np.ndim(raw(v)) != 1 or not min(n, m):
        raise ValueError(
            "correlate and convolve take two vectors with entries, and mode 'valid', 'same' or 'full'; got shapes "
            f"{np.shape(raw(a))} and {np.shape(raw(v))}, mode={mode!r}."
        )
    if m > n:
        return flip(correlate(v, a, mode), 0)
    before, behind = {"valid": (0, 0), "same": (m // 2, m - 1 - m // 2), "full": (m - 1, m - 1)}[mode]
    windows = np.arange(before + n + behind - m + 1)[:, None] + np.arange(m)
    return matmul(getitem(pad(a, [(before, behind)]), windows), v)


def convolve(a: TensorLike, v: TensorLike, mode: str = "full") -> Tensor:
    """`correlate` with the shorter of the two vectors turned round, as in the product of two polynomials."""
    if np.size(raw(v)) > np.size(raw(a)):
        a, v = v, a
    return correlate(a, v if np.ndim(raw(v)) != 1 else flip(v, 0), mode)


def kron(a: TensorLike, b: TensorLike) -> Tensor:
    """Every entry of a times the whole of b, in blocks: along each axis the lengths multiply."""
    left, right = np.shape(raw(a)), np.shape(raw(b))
    ndim = max(len(left), len(right))
    left, right = (1,) * (ndim - len(left)) + left, (1,) * (ndim - len(right)) + right
    blocks = expand_dims(reshape(a, left), tuple(range(1, 2 * ndim, 2)))
    products = mul(blocks, expand_dims(reshape(b, right), tuple(range(0, 2 * ndim, 2))))
    return reshape(products, [n * m for n, m in zip(left, right, strict=True)])
