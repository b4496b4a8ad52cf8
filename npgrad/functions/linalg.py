"""Linear algebra, as in np.linalg: norms, products, solve, inv, det, decompositions. `npgrad.linalg` is this module.

Matrices are the last two axes, further axes in front are stacks of them. The derivations write the inverse of a 2 by 2
matrix out, so that they can be executed; the backward rules hold for any size, and are run for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import inf, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from npgrad.engine.arrays import Array, Axis
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions import matrix_parts
from npgrad.functions.decompositions import cholesky, eigh, eigvalsh, lstsq, pinv, qr, svd, svdvals
from npgrad.functions.elementwise import abs
from npgrad.functions.extreme import max, min
from npgrad.functions.indexing import getitem
from npgrad.functions.matmul import matmul, outer, tensordot
from npgrad.functions.products import cross, vecdot
from npgrad.functions.rearranging import matrix_transpose
from npgrad.functions.reduction import floating, sum, without
from npgrad.functions.selection import where
from npgrad.functions.shape import expand_dims, moveaxis, ravel, reshape
from npgrad.functions.steps import sign

__all__ = [
    "Det", "Inv", "LogAbsDet", "Norm", "Solve", "cholesky", "cond", "cross", "det", "diagonal", "eigh", "eigvalsh",
    "inv", "lstsq", "matmul", "matrix_norm", "matrix_power", "matrix_transpose", "multi_dot", "norm", "outer", "pinv",
    "qr", "slogdet", "solve", "svd", "svdvals", "tensordot", "tensorinv", "tensorsolve", "trace", "vecdot",
    "vector_norm",
]  # fmt: skip


class Norm(Function):
    """y = sqrt(sum(x**2)), the Euclidean length over some axes.

    Symbols
        x[i,k]       input
        axis = -1    the axis or axes to reduce; None means all
    Forward
        (1) y[i] = sqrt(sum(k, x[i,k]**2))
    Backward
        (2) dx[i,k] = dy[i]/(2*y[i])*2*x[i,k]
                    = dy[i]/y[i]*x[i,k]
    Notes
        At x = 0 the length has a kink, as |x| has at 0; the gradient is declared to be 0, the subgradient of least
        norm.
    """

    def forward(self, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
        self.x = x = floating(x)
        self.y = np.sqrt(np.add.reduce(x * x, axis, keepdims=True))  # (1)
        return without(self.y, axis, keepdims)

    def backward(self, dy: Array) -> Array:
        y = self.y
        # What is divided by infinity is 0.
        return dy.reshape(y.shape) / np.where(y == 0, np.inf, y) * self.x  # (2)


class Solve(Function):
    """y with A y = b, for square matrices A.

    Symbols
        A[i,k]         square matrix
        size(i) = 2    the matrix is 2 by 2 here, so that (1) can be written out
        size(k) = 2    as many columns as rows

    Case: several right-hand sides
    Symbols
        b[i,c]    right-hand sides, one a column
    Forward
        (a) det = A[0,0]*A[1,1] - A[0,1]*A[1,0]
        (1) y[k,c] = sum(i, (-1)**(i+k)*A[1-i,1-k]*b[i,c])/det
    Backward
        (b) sum(k, A[i,k]*y[k,c]) = b[i,c]
        (2) db[i,c] = sum(k, (-1)**(i+k)*A[1-i,1-k]*dy[k,c])/det
                    # the solution of the transposed system
        (c) sum(i, A[i,k]*db[i,c]) = dy[k,c]
        (3) dA[i,k] = -sum(c, db[i,c]*y[k,c])
                    # by (b), to change A by e moves y as much as to change b by -e y

    Case: one right-hand side
    Symbols
        b[i]    right-hand side
    Forward
        (a) det = A[0,0]*A[1,1] - A[0,1]*A[1,0]
        (1) y[k] = sum(i, (-1)**(i+k)*A[1-i,1-k]*b[i])/det
    Backward
        (2) db[i]   = sum(k, (-1)**(i+k)*A[1-i,1-k]*dy[k])/det
        (3) dA[i,k] = -db[i]*y[k]

    Notes
        As in NumPy, b is one right-hand side if it has one axis, and a matrix of columns otherwise. A singular matrix
        is NumPy's LinAlgError.
    """

    def forward(self, A: Array, b: Array) -> Array:
        self.A, self.column = A, b.ndim == 1
        self.y = np.linalg.solve(A, b)  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, Array]:
        y = self.y
        if self.column:
            y, dy = y[..., None], dy[..., None]
        db = np.linalg.solve(self.A.swapaxes(-1, -2), dy)  # (2)
        dA = -(db @ y.swapaxes(-1, -2)) if self.needs[0] else None  # (3)
        return dA, db[..., 0] if self.column else db


class Inv(Function):
    """y = the inverse of square matrices x.

    Symbols
        x[i,j]         square matrix
        size(i) = 2    the matrix is 2 by 2 here, so that (1) can be written out
        size(j) = 2    as many columns as rows
    Forward
        (a) det = x[0,0]*x[1,1] - x[0,1]*x[1,0]
        (1) y[j,i] = (-1)**(i+j)*x[1-i,1-j]/det
    Backward
        (b) sum(j, x[i,j]*y[j,k]) = delta(i,k)
        (2) dx[i,j] = -sum((k,l), y[k,i]*dy[k,l]*y[j,l])
                    # (b) differentiated: dx y + x dy = 0, so a change e of x moves y by -y e y
    Notes
        Where the inverse is only multiplied with something, `solve` is faster and more accurate. A singular matrix is
        NumPy's LinAlgError.
    """

    def forward(self, x: Array) -> Array:
        self.y = np.linalg.inv(x)  # (1)
        return self.y

    def backward(self, dy: Array) -> Array:
        transposed = self.y.swapaxes(-1, -2)
        return -(transposed @ dy @ transposed)  # (2)


class Det(Function):
    """y = the determinant of square matrices x.

    Symbols
        x[i,j]         square matrix
        size(i) = 2    the matrix is 2 by 2 here, so that (1) can be written out
        size(j) = 2    as many columns as rows
    Forward
        (1) y = x[0,0]*x[1,1] - x[0,1]*x[1,0]
    Backward
        (2) dx[i,j] = dy*(-1)**(i+j)*x[1-i,1-j]
                    # the cofactor: y times entry [j,i] of the inverse (Jacobi's formula)
    Notes
        The code has the cofactors from the inverse, so where the matrix is singular backward raises NumPy's
        LinAlgError.
    """

    def forward(self, x: Array) -> Array:
        self.x, self.y = x, np.linalg.det(x)  # (1)
        return self.y

    def backward(self, dy: Array) -> Array:
        return (dy * self.y)[..., None, None] * np.linalg.inv(self.x).swapaxes(-1, -2)  # (2)


class LogAbsDet(Function):
    """y = log(|det x|) of square matrices x, which neither overflows nor underflows.

    Symbols
        x[i,j]         square matrix
        size(i) = 2    the matrix is 2 by 2 here, so that (1) can be written out
        size(j) = 2    as many columns as rows
    Forward
        (a) det = x[0,0]*x[1,1] - x[0,1]*x[1,0]
        (1) y = log(abs(det))
    Backward
        (2) dx[i,j] = dy*(-1)**(i+j)*x[1-i,1-j]/det
                    # entry [j,i] of the inverse
    Notes
        Of a singular matrix y is -inf, and backward raises NumPy's LinAlgError.
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.linalg.slogdet(x)[1]  # (1)

    def backward(self, dy: Array) -> Array:
        return dy[..., None, None] * np.linalg.inv(self.x).swapaxes(-1, -2)  # (2)


class SlogDet(NamedTuple):
    """What `slogdet` returns: det x = sign*exp(logabsdet)."""

    sign: Tensor
    logabsdet: Tensor


def norm(x: TensorLike, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The length of x over `axis`, as np.linalg.norm: of vectors along one axis, of matrices along two.

    `ord` None is the root of the sum of squares, over all of x if `axis` is None too. Of vectors, `ord` is any number
    p: (sum |x|^p)^(1/p), and inf or -inf for the largest or smallest |x|. Of matrices it is "fro", 1, -1, inf or -inf,
    2 or -2 for the largest or smallest singular value, "nuc" for their sum. Raises ValueError for other orders.
    """
    if ord is None:
        return Norm.apply(x, axis=axis, keepdims=keepdims)
    ndim = np.ndim(raw(x))
    axes = tuple(range(ndim)) if axis is None else normalize_axis_tuple(axis, ndim)
    if len(axes) == 1:
        if isinstance(ord, int | float | np.integer | np.floating):
            return vector_norm(x, axis=axes, keepdims=keepdims, ord=float(ord))
    elif len(axes) == 2:
        if ord == "fro":
            return Norm.apply(x, axis=axes, keepdims=keepdims)
        if ord in (1, -1, inf, -inf):
            lines, over = axes if ord in (1, -1) else axes[::-1]
            y = (max if ord > 0 else min)(sum(abs(x), lines, True), over, True)
            return y if keepdims else y.sum(axes)
        if ord in (2, -2, "nuc"):
            s = svdvals(moveaxis(x, axes, (-2, -1)))
            y = sum(s, -1) if ord == "nuc" else (max if ord > 0 else min)(s, -1)
            return expand_dims(y, axes) if keepdims else y
    raise ValueError(
        f"norm got ord={ord!r} over {len(axes)} axes. Of vectors it takes a number; "
        'of matrices "fro", "nuc", 1, -1, 2, -2, inf or -inf.'
    )


def vector_norm(x: TensorLike, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """(sum |x|^ord)^(1/ord) over `axis`, an axis, several, or all; with 0 the number of entries that are not 0.

    inf and -inf are the largest and the smallest |x|. Where the norm is 0 its gradient is 0, as that of a single 0 is.
    """
    if ord in (inf, -inf):
        return (max if ord > 0 else min)(abs(x), axis, keepdims)
    if ord == 2:
        return Norm.apply(x, axis=axis, keepdims=keepdims)
    if ord in (0, 1):
        return sum(abs(x) if ord else abs(sign(x)), axis, keepdims)
    size = abs(x)
    some = np.not_equal(raw(size), 0)
    powers = sum(where(some, where(some, size, 1.0) ** ord, 0.0 if ord > 0 else inf), axis, keepdims)
    positive = np.not_equal(raw(powers), 0)
    return where(positive, where(positive, powers, 1.0) ** (1 / ord), 0.0)


def matrix_norm(x: TensorLike, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """`norm` of the matrices that the last two axes hold."""
    return norm(x, ord, (-2, -1), keepdims)


def cond(x: TensorLike, p: Any = None) -> Tensor:
    """The condition number of matrices x (…, m, n): the largest singular value over the smallest.

    With another p, norm(x, p)·norm(inv(x), p), of square matrices. Raises ValueError for other orders, and
    numpy.linalg.LinAlgError where `inv` does.
    """
    if p in (None, 2, -2):
        high, low = norm(x, 2, (-2, -1)), norm(x, -2, (-2, -1))
        return low / high if p == -2 else high / low
    return norm(x, p, (-2, -1)) * norm(inv(x), p, (-2, -1))


def matrix_power(x: TensorLike, n: int) -> Tensor:
    """The product of n copies of square matrices x (…, m, m); of their inverse if n is negative, the identity if 0."""
    shape = np.shape(raw(x))
    if shape[-1:] != shape[-2:-1]:
        raise ValueError(f"matrix_power takes square matrices (…, m, m); got shape {shape}.")
    if n == 0:
        x = getitem(x, ...)
        return where(np.zeros(shape, bool), x, np.eye(shape[-1], dtype=x.dtype))
    return multi_dot([inv(x) if n < 0 else x] * int(np.abs(n)))


def multi_dot(arrays: Sequence[TensorLike]) -> Tensor:
    """The product of matrices, multiplied from the left; the first and the last may be vectors."""
    return reduce(matmul, arrays[1:], getitem(arrays[0], ...))


def diagonal(x: TensorLike, *, offset: int = 0) -> Tensor:
    """The diagonals of matrices x (…, n, m), above the main one by `offset`, as last axis of the result."""
    return matrix_parts.diagonal(x, offset, -2, -1)


def trace(x: TensorLike, *, offset: int = 0) -> Tensor:
    """The sums of the diagonals of matrices x (…, n, m), above the main one by `offset`: (…)."""
    return sum(diagonal(x, offset=offset), -1)


def tensorsolve(A: TensorLike, b: TensorLike, axes: Sequence[int] | None = None) -> Tensor:
    """y with tensordot(A, y, y.ndim) = b: A has the axes of b and then those of y, as many entries in both.

    `axes` of A, if there are any, are moved to its end first. Raises numpy.linalg.LinAlgError if there are not as many
    entries, or A, as a matrix, is singular.
    """
    if axes is not None:
        A = moveaxis(A, axes, range(-len(axes), 0))
    shape, ndim = np.shape(raw(A)), np.ndim(raw(b))
    y = solve(reshape(A, (prod(shape[:ndim]), prod(shape[ndim:]))), ravel(b))
    return reshape(y, shape[ndim:])


def tensorinv(x: TensorLike, ind: int = 2) -> Tensor:
    """The inverse of `tensordot` with x over its last axes: what `tensorsolve` multiplies a b of `ind` axes with.

    The first `ind` axes of x are those of b. Raises ValueError if `ind` is less than 1, numpy.linalg.LinAlgError if the
    first axes have not as many entries as the others, or x, as a matrix, is singular.
    """
    shape = np.shape(raw(x))
    if ind < 1:
        raise ValueError(f"tensorinv got ind={ind}: give the number of axes of b, at least 1.")
    inverse = inv(reshape(x, (prod(shape[:ind]), prod(shape[ind:]))))
    return reshape(inverse, shape[ind:] + shape[:ind])


def solve(A: TensorLike, b: TensorLike) -> Tensor:
    """y with A y = b, for square matrices A (…, n, n) and b a vector (n,) or matrices (…, n, m) of columns.

    Raises numpy.linalg.LinAlgError if a matrix is singular or not square.
    """
    return Solve.apply(A, b)


def inv(x: TensorLike) -> Tensor:
    """The inverse of square matrices x (…, n, n). Raises numpy.linalg.LinAlgError if one is singular or not square."""
    return Inv.apply(x)


def det(x: TensorLike) -> Tensor:
    """The determinant of square matrices x (…, n, n), in shape (…); backward needs them to be regular."""
    return Det.apply(x)


def slogdet(x: TensorLike) -> SlogDet:
    """The sign of the determinant of square matrices x (…, n, n) and the logarithm of its absolute value.

    The sign has no gradient.
    """
    return SlogDet(Tensor._of(np.asarray(np.linalg.slogdet(raw(x))[0])), LogAbsDet.apply(x))
