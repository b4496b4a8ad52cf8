"""Extremes over axes: max, min, and logsumexp, the smooth maximum."""

from __future__ import annotations

import numpy as np

from npgrad.engine.function import Function
from npgrad.functions.indexing import zeros
from npgrad.functions.reduction import floating, without
from npgrad.engine.arrays import Array, Axis
from npgrad.engine.tensor import Tensor, TensorLike

__all__ = ["LogSumExp", "Max", "Min", "logsumexp", "max", "min"]


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

        The maximum of complex numbers, which only verification asks for, is by real part, and the mean of those tied.
    """

    best: Array
    dx: Array

    def forward(self, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
        self.x = np.asarray(x)
        self.best = np.maximum.reduce(self.x.real, axis, out=self.best, keepdims=True)  # (1)
        y = self.best if self.x.dtype.kind != "c" else mean_of_tied(self.x, self.best)
        return without(y, axis, keepdims)

    def backward(self, dy: Array) -> Array:
        tied, count = ties(self.x.real, self.best)  # (2) (3)
        self.dx = zeros(self.x.shape, dy, self.dx)
        np.copyto(self.dx, dy.reshape(self.best.shape) / count, where=tied)  # (4)
        return self.dx


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

    best: Array
    dx: Array

    def forward(self, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
        self.x = np.asarray(x)
        self.best = np.minimum.reduce(self.x.real, axis, out=self.best, keepdims=True)  # (1)
        y = self.best if self.x.dtype.kind != "c" else mean_of_tied(self.x, self.best)
        return without(y, axis, keepdims)

    def backward(self, dy: Array) -> Array:
        tied, count = ties(self.x.real, self.best)  # (2) (3)
        self.dx = zeros(self.x.shape, dy, self.dx)
        np.copyto(self.dx, dy.reshape(self.best.shape) / count, where=tied)  # (4)
        return self.dx


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

    e: Array
    y: Array
    dx: Array

    def forward(self, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
        x = floating(x)
        best = np.maximum.reduce(x.real, axis, keepdims=True)  # (1)
        z = shifted(x, best, self.e)
        self.e = np.exp(z, out=z if z.ndim else None)  # (2)
        s = np.add.reduce(self.e, axis, keepdims=True)  # (3)
        empty = s == 0
        if empty.any():
            # exp of nothing but -inf: log(1) instead of log(0) gives the limit without a warning.
            s = np.where(empty, 1.0, s)
        self.s = s
        self.y = np.log(s, out=self.y)
        self.y += best  # (4)
        return without(self.y, axis, keepdims)

    def backward(self, dy: Array) -> Array:
        self.dx = np.multiply(self.e, dy.reshape(self.s.shape) / self.s, out=self.dx)  # (5)
        return self.dx


def ties(x: Array, best: Array) -> tuple[Array, Array]:
    """Where x equals the best of its group, and how often per group; NaN equals NaN here."""
    tied = x == best
    axes = tuple([a for a, n in enumerate(best.shape) if n == 1])
    count = np.add.reduce(tied, axes, keepdims=True)
    if not count.all():
        tied = tied | (x != x)
        count = np.add.reduce(tied, axes, keepdims=True)
    return tied, count.astype(best.dtype)


def mean_of_tied(x: Array, best: Array) -> Array:
    """The extreme of complex numbers by real part, extended so that its derivative is the one declared for ties."""
    tied, count = ties(x.real, best)
    axes = tuple([a for a, n in enumerate(best.shape) if n == 1])
    return np.add.reduce(np.where(tied, x, 0), axes, keepdims=True) / count


def shifted(x: Array, best: Array, out: Array | None) -> Array:
    """x - best, with the limits where best is infinite: 0 for what ties with +inf, -inf for the rest."""
    if np.isfinite(best).all():
        return np.subtract(x, best, out=out)
    infinite = np.isinf(best)
    limits = np.where(x.real == np.inf, 0.0, -np.inf)
    z = np.where(infinite, limits, x - np.where(infinite, 0.0, best))
    return z.astype(x.dtype) if out is None else np.add(z, 0.0, out=out, casting="same_kind")


def max(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The maximum of x over `axis`; ties share the gradient equally. Raises ValueError if x is empty there."""
    return Max.apply(x, axis=axis, keepdims=keepdims)


def min(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The minimum of x over `axis`; ties share the gradient equally. Raises ValueError if x is empty there."""
    return Min.apply(x, axis=axis, keepdims=keepdims)


def logsumexp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over `axis` without overflow; -inf where x is nothing but -inf."""
    return LogSumExp.apply(x, axis=axis, keepdims=keepdims)
