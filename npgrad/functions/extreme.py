"""Extremes over axes: max, min, and the smooth maximum: logsumexp, and logaddexp of two."""

from __future__ import annotations

import numpy as np

from npgrad.engine.arrays import Array, Axis
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike
from npgrad.functions.arithmetic import div, mul
from npgrad.functions.reduction import floating, without

__all__ = [
    "LogAddExp", "LogSumExp", "Max", "Min", "amax", "amin", "logaddexp", "logaddexp2", "logsumexp", "max", "min",
]  # fmt: skip

_LN2 = float(np.log(2))


class Max(Function):
    """The maximum over some axes. Where several are equally large they share the gradient equally.

    Symbols
        x[i,k]       input
        axis = -1    the axis or axes to reduce; None means all
    Forward
        (1) y[i] = max(k, x[i,k])
    Backward
        (2) tied[i,k] = x[i,k] == y[i]
        (3) count[i]  = sum(k, tied[i,k])
        (4) dx[i,k]   = tied[i,k]*dy[i]/count[i]
    Notes
        Only the largest has influence. With ties the maximum has a kink; equal shares are the one choice that is
        symmetric, and they add up to dy. NaN counts as largest, as it does for NumPy.
    """

    def forward(self, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
        self.x = x
        self.best = np.maximum.reduce(x, axis, keepdims=True)  # (1)
        return without(self.best, axis, keepdims)

    def backward(self, dy: Array) -> Array:
        tied, count = ties(self.x, self.best)  # (2) (3)
        return np.where(tied, dy.reshape(self.best.shape) / count, 0)  # (4)


class Min(Function):
    """The minimum over some axes. Where several are equally small they share the gradient equally.

    Symbols
        x[i,k]       input
        axis = -1    the axis or axes to reduce; None means all
    Forward
        (1) y[i] = min(k, x[i,k])
                 = -max(k, -x[i,k])
    Backward
        (2) tied[i,k] = x[i,k] == y[i]
        (3) count[i]  = sum(k, tied[i,k])
        (4) dx[i,k]   = tied[i,k]*dy[i]/count[i]
    Notes
        As for `Max`, of which this is the mirror image. NaN counts as smallest too, as it does for NumPy.
    """

    def forward(self, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
        self.x = x
        self.best = np.minimum.reduce(x, axis, keepdims=True)  # (1)
        return without(self.best, axis, keepdims)

    def backward(self, dy: Array) -> Array:
        tied, count = ties(self.x, self.best)  # (2) (3)
        return np.where(tied, dy.reshape(self.best.shape) / count, 0)  # (4)


class LogSumExp(Function):
    """log(sum(exp(x))) over some axes: a smooth maximum, whose gradient is the softmax.

    Symbols
        x[i,k]       input
        axis = -1    the axis or axes to reduce; None means all
    Forward
        (1) best[i] = max(k, x[i,k])
        (2) e[i,k]  = exp(x[i,k] - best[i])
        (3) s[i]    = sum(k, e[i,k])
        (4) y[i]    = best[i] + log(s[i])
                    = log(sum(k, exp(x[i,k])))
    Backward
        (a) ds[i]    = dy[i]/s[i]
        (b) de[i,k]  = ds[i]
        (c) dbest[i] = dy[i] - sum(k, de[i,k]*e[i,k])
                     = 0
        (5) dx[i,k]  = de[i,k]*e[i,k]
                     = dy[i]*e[i,k]/s[i]
    Notes
        Shifting by the maximum keeps exp from overflowing and one summand equal to 1, so that log never sees 0. By (c)
        the shift has no influence, and need not be differentiated.

        The limits: of nothing but -inf the result is -inf with gradient 0; +inf takes all of the gradient, in equal
        parts if it stands several times.
    """

    def forward(self, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
        x = floating(x)
        best = np.maximum.reduce(x, axis, keepdims=True)  # (1)
        self.e = e = np.exp(shifted(x, best))  # (2)
        s = np.add.reduce(e, axis, keepdims=True)  # (3)
        # At least 1, but of nothing but -inf 0: log(1) instead of log(0) gives the limit without a warning.
        self.s = s = np.maximum(s, 1)
        y = best + np.log(s)  # (4)
        return without(y, axis, keepdims)

    def backward(self, dy: Array) -> Array:
        return self.e * (dy.reshape(self.s.shape) / self.s)  # (5)


class LogAddExp(Function):
    """y = log(exp(a) + exp(b)), a smooth maximum of two: `LogSumExp` of a pair, with broadcasting.

    Symbols
        a[i,k]    first operand
        b[k]      second operand, broadcast along i
    Forward
        (1) y[i,k] = log(exp(a[i,k]) + exp(b[k]))
                   = maximum(a[i,k], b[k]) + log1p(exp(-abs(a[i,k] - b[k])))
    Backward
        (2) da[i,k] = dy[i,k]*exp(a[i,k])/(exp(a[i,k]) + exp(b[k]))
                    = dy[i,k]*exp(a[i,k] - y[i,k])
        (3) db[k]   = sum(i, dy[i,k]*exp(b[k] - y[i,k]))
    Notes
        The limits are those of `LogSumExp`: of nothing but -inf the result is -inf with gradient 0; +inf takes all of
        the gradient, half of it if there are two.
    """

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        self.y = np.logaddexp(a, b)  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        a, b, y = self.a, self.b, self.y
        da = dy * share(a, b, y) if self.needs[0] else None  # (2)
        db = dy * share(b, a, y) if self.needs[1] else None  # (3)
        return da, db


def share(a: Array, b: Array, y: Array) -> Array:
    """exp(a - y) for y = logaddexp(a, b), with the limits where y is infinite."""
    if np.isfinite(y).all():
        return np.exp(a - y)
    infinite = np.isinf(y)
    with np.errstate(invalid="ignore"):
        return np.where(infinite, (a == np.inf) / ((a == np.inf) + 1.0 * (b == np.inf) + (y == -np.inf)), np.exp(a - y))


def ties(x: Array, best: Array) -> tuple[Array, Array]:
    """Where x equals the best of its group, and how often per group; NaN equals NaN here."""
    tied = (x == best) | np.isnan(x)
    axes = tuple([a for a, n in enumerate(best.shape) if n == 1])
    return tied, np.add.reduce(tied, axes, dtype=best.dtype, keepdims=True)


def shifted(x: Array, best: Array) -> Array:
    """x - best, with the limits where best is infinite: 0 for what ties with +inf, -inf for the rest."""
    if np.isfinite(best).all():
        return x - best
    infinite = np.isinf(best)
    z = x - np.where(infinite, 0, best)
    return np.where(infinite, np.where(x == np.inf, z.dtype.type(0), z.dtype.type(-np.inf)), z)


def max(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The maximum of x over `axis`; ties share the gradient equally. Raises ValueError if x is empty there."""
    return Max.apply(x, axis=axis, keepdims=keepdims)


def min(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The minimum of x over `axis`; ties share the gradient equally. Raises ValueError if x is empty there."""
    return Min.apply(x, axis=axis, keepdims=keepdims)


amax, amin = max, min


def logaddexp(a: TensorLike, b: TensorLike) -> Tensor:
    """log(exp(a) + exp(b)) without overflow, elementwise with broadcasting."""
    return LogAddExp.apply(a, b)


def logaddexp2(a: TensorLike, b: TensorLike) -> Tensor:
    """log2(2**a + 2**b), elementwise, without overflow."""
    return div(logaddexp(mul(a, _LN2), mul(b, _LN2)), _LN2)


def logsumexp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over `axis` without overflow; -inf where x is nothing but -inf."""
    return LogSumExp.apply(x, axis=axis, keepdims=keepdims)
