"""Reductions: sum, mean, var, std, prod, and the running cumsum and cumprod, with NumPy's names and options.

Results are kept with the reduced axes at length 1: in that shape a result, or its gradient, broadcasts against the
input.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from npgrad.engine.arrays import Array, Axis
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike

__all__ = [
    "CumProd",
    "CumSum",
    "Mean",
    "Prod",
    "Std",
    "Sum",
    "Var",
    "cumprod",
    "cumsum",
    "mean",
    "prod",
    "std",
    "sum",
    "var",
]


class Sum(Function):
    """The sum over some axes.

    Every summand enters with factor 1, so each gets the gradient of the sum: a copy of it, held as a view.

    Symbols
        x[i,k]       input
        axis = -1    the axis or axes to sum over; None means all
    Forward
        (1) y[i] = sum(k, x[i,k])
    Backward
        (2) dx[i,k] = dy[i]
    """

    def forward(self, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
        y = np.add.reduce(x, axis, keepdims=True)  # (1)
        self.x_shape, self.kept = array(x).shape, y.shape
        return without(y, axis, keepdims)

    def backward(self, dy: Array) -> Array:
        return np.broadcast_to(dy.reshape(self.kept), self.x_shape)  # (2)


class Mean(Function):
    """The mean over some axes.

    Symbols
        x[i,k]         input
        axis = -1      the axis or axes to average over; None means all
        n = size(k)    numbers averaged
    Forward
        (1) y[i] = sum(k, x[i,k])/n
    Backward
        (2) dx[i,k] = dy[i]/n
    Notes
        As in NumPy, the mean of nothing is nan with a RuntimeWarning, and float16 is added up in float32.
    """

    def forward(self, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
        x = floating(x)
        total = np.add.reduce(widened(x), axis, keepdims=True)
        self.x_shape, self.kept = x.shape, total.shape
        n = self.n = reduced_size(x.shape, total.shape)
        if n == 0:
            warnings.warn("mean of an empty slice", RuntimeWarning, stacklevel=2)
        y = rounded(total / n, x.dtype)  # (1)
        return without(y, axis, keepdims)

    def backward(self, dy: Array) -> Array:
        share = dy.reshape(self.kept) / max(self.n, 1)
        return np.broadcast_to(share, self.x_shape)  # (2)


class Var(Function):
    """The variance over some axes: the mean square distance from the mean.

    Symbols
        x[i,k]         input
        axis = -1      the axis or axes to reduce; None means all
        ddof = 1       0 divides by n (biased), 1 by n - 1 (unbiased)
        n = size(k)    numbers per variance
        m = n - ddof   divisor
    Forward
        (a) mu[i]   = sum(k, x[i,k])/n
                    = x[i,0] + sum(k, x[i,k] - x[i,0])/n
        (1) xc[i,k] = x[i,k] - mu[i]
        (2) y[i]    = sum(k, xc[i,k]**2)/m
    Backward
        (b) dxc[i,k] = dy[i]*2*xc[i,k]/m
        (c) dmu[i]   = -sum(k, dxc[i,k])
                     = 0
        (3) dx[i,k]  = dxc[i,k] + dmu[i]/n
                     = dy[i]*2*xc[i,k]/m
    Notes
        (c) vanishes because deviations from the mean sum to zero: the mean is where the sum of squares is smallest, so
        moving it a little changes nothing.

        The second form of (a) subtracts the first number before summing. The differences of nearby numbers are exact,
        so float32 data far from zero keeps its variance, and a constant has variance exactly 0.
    """

    def forward(self, x: Array, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Array:
        x = floating(x)
        xc, n = deviations(x, axis)  # (1)
        m = divisor(n, ddof)
        y = np.add.reduce(xc * xc, axis, keepdims=True) / m  # (2)
        self.xc, self.m, self.kept = xc, m, y.shape
        return without(rounded(y, x.dtype), axis, keepdims)

    def backward(self, dy: Array) -> Array:
        dy = widened(dy).reshape(self.kept)
        return dy * 2 / self.m * self.xc  # (3)


class Std(Function):
    """The standard deviation over some axes: the root of the variance.

    Symbols
        x[i,k]         input
        axis = -1      the axis or axes to reduce; None means all
        ddof = 1       0 divides by n (biased), 1 by n - 1 (unbiased)
        n = size(k)    numbers per deviation
        m = n - ddof   divisor
    Forward
        (a) mu[i]   = sum(k, x[i,k])/n
        (1) xc[i,k] = x[i,k] - mu[i]
        (2) v[i]    = sum(k, xc[i,k]**2)/m
        (3) y[i]    = sqrt(v[i])
    Backward
        (b) dv[i]    = dy[i]/(2*y[i])
        (c) dxc[i,k] = dv[i]*2*xc[i,k]/m
        (d) dmu[i]   = -sum(k, dxc[i,k])
                     = 0
        (4) dx[i,k]  = dxc[i,k] + dmu[i]/n
                     = dy[i]*xc[i,k]/(m*y[i])
    Notes
        Where the input is constant, y = 0 and (4) is 0/0: the deviation has a kink there, as |x| has at 0. The gradient
        is declared to be 0, the subgradient of least norm.
    """

    def forward(self, x: Array, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Array:
        x = floating(x)
        xc, n = deviations(x, axis)  # (1)
        m = divisor(n, ddof)
        v = np.add.reduce(xc * xc, axis, keepdims=True) / m  # (2)
        y = np.sqrt(v)  # (3)
        self.xc, self.m, self.y = xc, m, y
        return without(rounded(y, x.dtype), axis, keepdims)

    def backward(self, dy: Array) -> Array:
        y = self.y
        dy = widened(dy).reshape(y.shape)
        # What is divided by infinity is 0.
        return dy / (self.m * np.where(y == 0, np.inf, y)) * self.xc  # (4)


class Prod(Function):
    """The product over some axes.

    Symbols
        x[i,k]       input
        axis = -1    the axis or axes to multiply over; None means all
    Forward
        (1) y[i] = prod(k, x[i,k])
    Backward
        (2) left[i,k]  = prod(j, where(j < k, x[i,j], 1))
        (3) right[i,k] = prod(j, where(j > k, x[i,j], 1))
        (4) dx[i,k]    = dy[i]*prod(j, where(j == k, 1, x[i,j]))
                       = dy[i]*left[i,k]*right[i,k]
    Notes
        The derivative by one factor is the product of the others. Away from zeros that is y/x, but dividing fails
        exactly where the answer is interesting: with one zero, its own derivative is the product of the rest. Products
        running from the left and from the right give all of them in one pass each, and divide by nothing.
    """

    def forward(self, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
        y = np.multiply.reduce(x, axis, keepdims=True)  # (1)
        self.x, self.kept = array(x), y.shape
        return without(y, axis, keepdims)

    def backward(self, dy: Array) -> Array:
        # Axes of length 1 count as reduced: a product over them is itself.
        shape, kept = self.x.shape, self.kept
        order = sorted(range(len(shape)), key=lambda a: kept[a] == 1)
        moved = self.x.transpose(order)
        x = moved.reshape([n for n in kept if n != 1] + [reduced_size(shape, kept)])
        left, right = np.ones_like(x), np.ones_like(x)
        left[..., 1:] = np.multiply.accumulate(x[..., :-1], -1)  # (2)
        right[..., -2::-1] = np.multiply.accumulate(x[..., :0:-1], -1)  # (3)
        dx = left * right * dy.reshape([*x.shape[:-1], 1])  # (4)
        return dx.reshape(moved.shape).transpose(np.argsort(order))


class CumSum(Function):
    """Running sums along an axis.

    Symbols
        x[i,k]       input
        axis = -1    the axis to run along; None means over all values, flattened
    Forward
        (1) y[i,k] = sum(j, (j <= k)*x[i,j])
    Backward
        (2) dx[i,j] = sum(k, (j <= k)*dy[i,k])
    Notes
        x[i,j] is part of every running sum from j on; so (2) is a running sum from the other end.
    """

    def forward(self, x: Array, axis: int | None = None) -> Array:
        self.x_shape, self.axis = array(x).shape, axis
        return np.cumsum(x, axis)  # (1)

    def backward(self, dy: Array) -> Array:
        axis = self.axis
        dx = np.flip(np.cumsum(np.flip(dy, axis), axis), axis)
        return dx.reshape(self.x_shape)  # (2)


class CumProd(Function):
    """Running products along an axis.

    Symbols
        x[i,k]       input
        axis = -1    the axis to run along; None means over all values, flattened
    Forward
        (1) y[i,k] = prod(j, where(j <= k, x[i,j], 1))
    Backward
        (2) left[i,k] = prod(j, where(j < k, x[i,j], 1))
        (3) s[i,k]    = sum(j, (j >= k)*dy[i,j]*prod(m, where(k < m, where(m <= j, x[i,m], 1), 1)))
        (4) dx[i,k]   = left[i,k]*s[i,k]
    Notes
        x[i,k] is a factor of every running product from k on: what stands left of it is the same in all of them, what
        stands right of it grows from one to the next. So (3) is computed from the end, s[k] = dy[k] + x[k+1]*s[k+1],
        and divides by nothing: zeros among the factors do no harm.
    """

    def forward(self, x: Array, axis: int | None = None) -> Array:
        self.x, self.axis = array(x), axis
        return np.cumprod(x, axis)  # (1)

    def backward(self, dy: Array) -> Array:
        x, axis = (self.x.reshape(-1), -1) if self.axis is None else (self.x, self.axis)
        x, dy = np.moveaxis(x, axis, -1), np.moveaxis(dy, axis, -1)
        left = np.ones_like(x)
        left[..., 1:] = np.multiply.accumulate(x[..., :-1], -1)  # (2)
        s = from_the_end(dy, x)  # (3)
        dx = left * s  # (4)
        return np.moveaxis(dx, -1, axis).reshape(self.x.shape)


def from_the_end(dy: Array, x: Array) -> Array:
    """s[k] = dy[k] + x[k+1]*s[k+1] along the last axis."""
    s = dy.copy()
    for k in range(s.shape[-1] - 2, -1, -1):
        s[..., k] += x[..., k + 1] * s[..., k + 1]
    return s


def without(y: Array, axis: Axis, keepdims: bool) -> Array:
    """A result with its reduced axes kept, in the shape that was asked for."""
    if keepdims is True:
        return y
    if not isinstance(keepdims, bool | np.bool):
        raise TypeError(f"keepdims must be True or False; got {keepdims!r}. NumPy's dtype argument is not supported.")
    return y if keepdims else y.squeeze(axis)


def reduced_size(shape: tuple[int, ...], kept: tuple[int, ...]) -> int:
    """How many numbers are reduced to one."""
    return math.prod([n for n, k in zip(shape, kept, strict=True) if k == 1])


def array(x: Any) -> Array:
    """x, or as an array if it is a Python number."""
    return x if hasattr(x, "shape") else np.asarray(x)


def floating(x: Any) -> Array:
    """x as an array of floating-point numbers."""
    a = array(x)
    return a if a.dtype.kind in "fc" else a.astype(np.float64)


def widened(x: Array) -> Array:
    """x as numbers to be added up: float16, whose largest is 65504, as float32, which is how NumPy takes means."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def rounded(y: Array, dtype: Any) -> Array:
    """A result from `widened` numbers in the dtype of the original ones."""
    return y if y.dtype == dtype else y.astype(dtype)


def divisor(n: int, ddof: float) -> float:
    """n - ddof, and as NumPy: 0 with a RuntimeWarning if that is negative."""
    if n <= ddof:
        warnings.warn(f"variance of {n} numbers with ddof={ddof}: no degrees of freedom", RuntimeWarning, stacklevel=3)
        return 0.0
    return n - ddof


def deviations(x: Array, axis: Axis) -> tuple[Array, int]:
    """x minus its mean over the reduced axes, found relative to the first number of each group; and its length."""
    x = widened(x)
    axes = range(x.ndim) if axis is None or x.ndim == 0 else normalize_axis_tuple(axis, x.ndim)
    n = math.prod([x.shape[a] for a in axes])
    first = x[tuple([slice(0, 1) if a in axes else slice(None) for a in range(x.ndim)])]
    xc = x - first
    if n:
        xc -= np.add.reduce(xc, axis, keepdims=True) / n
    return xc, n


def sum(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum of x over `axis` (an axis, several, or all); of nothing 0."""
    return Sum.apply(x, axis=axis, keepdims=keepdims)


def mean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean of x over `axis` (an axis, several, or all); of nothing nan, with a RuntimeWarning."""
    return Mean.apply(x, axis=axis, keepdims=keepdims)


def var(x: TensorLike, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
    """The variance of x over `axis`: the sum of squared deviations divided by n - ddof."""
    return Var.apply(x, axis=axis, ddof=ddof, keepdims=keepdims)


def std(x: TensorLike, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
    """The standard deviation of x over `axis`; its gradient is 0 where x is constant."""
    return Std.apply(x, axis=axis, ddof=ddof, keepdims=keepdims)


def prod(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product of x over `axis`; of nothing 1. The gradient is right with zeros among the factors."""
    return Prod.apply(x, axis=axis, keepdims=keepdims)


def cumsum(x: TensorLike, axis: int | None = None) -> Tensor:
    """The running sums of x along `axis` (None: of all its values, in row-major order)."""
    return CumSum.apply(x, axis=axis)


def cumprod(x: TensorLike, axis: int | None = None) -> Tensor:
    """The running products of x along `axis` (None: of all its values, in row-major order); zeros do no harm."""
    return CumProd.apply(x, axis=axis)
