"""Softmax and its logarithm."""

from __future__ import annotations

import numpy as np

from npgrad.engine.arrays import Array, Axis
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike
from npgrad.functions.extreme import shifted
from npgrad.functions.matrix_sums import row_sum
from npgrad.functions.reduction import floating

__all__ = ["LogSoftmax", "Softmax", "log_softmax", "softmax"]


class Softmax(Function):
    """exp(x) scaled to sum to 1 along an axis: probabilities from scores.

    Symbols
        x[i,k]       scores
        axis = -1    the axis or axes along which the result sums to 1; None means all
    Forward
        (1) best[i] = max(k, x[i,k])
        (2) e[i,k]  = exp(x[i,k] - best[i])
        (3) s[i]    = sum(k, e[i,k])
        (4) y[i,k]  = e[i,k]/s[i]
                    = exp(x[i,k])/sum(j, exp(x[i,j]))
    Backward
        (a) ds[i]    = -sum(k, dy[i,k]*e[i,k])/s[i]**2    # s divides every e of its row; 1/s has the slope -1/s**2
                     = -sum(k, dy[i,k]*y[i,k])/s[i]       # by (4)
        (b) de[i,k]  = dy[i,k]/s[i] + ds[i]               # e is used twice, in (4) and in (3)
        (c) dbest[i] = -sum(k, de[i,k]*e[i,k])            # (2) subtracts best from the whole row
                     = 0                                  # put in (b), then (a)
        (5) dx[i,k]  = de[i,k]*e[i,k]                     # exp is its own slope; by (c), nothing comes from (1)
                     = dy[i,k]*e[i,k]/s[i] + ds[i]*e[i,k]
                     = y[i,k]*(dy[i,k] - sum(j, dy[i,j]*y[i,j]))       # put in (a); e/s is y
                     = sum(j, dy[i,j]*y[i,j]*(delta(j,k) - y[i,k]))    # dy times the Jacobian
    Notes
        The largest e is 1, so neither can exp overflow nor s vanish. By (c) the shift has no influence on the result:
        adding a constant to all scores changes nothing, which is also why the dx of a row sum to zero.

        The last form of (5) holds the Jacobian dy[j]/dx[k] = y[j]*(delta(j,k) - y[k]); it is never stored.

        One score of +inf has probability 1; several share it. Scores of nothing but -inf have no limit, and give nan.
    """

    def forward(self, x: Array, axis: Axis = -1) -> Array:
        x = floating(x)
        self.axis = axis
        best = np.maximum.reduce(x, axis, keepdims=True)  # (1)
        e = np.exp(shifted(x, best))  # (2)
        s = total(e, axis)  # (3)
        self.y = e / s  # (4)
        return self.y

    def backward(self, dy: Array) -> Array:
        return self.y * (dy - total(dy * self.y, self.axis))  # (5)


class LogSoftmax(Function):
    """The logarithm of the softmax, computed without forming it: log-probabilities from scores.

    Symbols
        x[i,k]       scores
        axis = -1    the axis or axes along which exp of the result sums to 1; None means all
    Forward
        (1) best[i] = max(k, x[i,k])
        (2) z[i,k]  = x[i,k] - best[i]
        (3) e[i,k]  = exp(z[i,k])
        (4) s[i]    = sum(k, e[i,k])
        (5) y[i,k]  = z[i,k] - log(s[i])
                    = log(exp(x[i,k])/sum(j, exp(x[i,j])))
    Backward
        (a) ds[i]    = -sum(k, dy[i,k])/s[i]
        (b) de[i,k]  = ds[i]
        (c) dz[i,k]  = dy[i,k] + de[i,k]*e[i,k]
        (d) dbest[i] = -sum(k, dz[i,k])
                     = 0
        (6) dx[i,k]  = dz[i,k]
                     = dy[i,k] - e[i,k]/s[i]*sum(j, dy[i,j])
                     = dy[i,k] - exp(y[i,k])*sum(j, dy[i,j])
    Notes
        log(softmax(x)) would be log(0) where a score lies far below the best; (5) is exact there.

        The second form of (6) reuses the e of the forward pass: no exp is taken twice.
    """

    def forward(self, x: Array, axis: Axis = -1) -> Array:
        x = floating(x)
        self.axis = axis
        best = np.maximum.reduce(x, axis, keepdims=True)  # (1)
        z = shifted(x, best)  # (2)
        self.e = e = np.exp(z)  # (3)
        self.s = s = total(e, axis)  # (4)
        return z - np.log(s)  # (5)

    def backward(self, dy: Array) -> Array:
        return dy - self.e * (total(dy, self.axis) / self.s)  # (6)


def total(a: Array, axis: Axis) -> Array:
    """The sum along an axis, or several, or all, which are kept."""
    if a.ndim == 2 and axis in (-1, 1):
        return row_sum(a)[:, None]
    return np.add.reduce(a, axis, keepdims=True)


def softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """exp(x)/sum(exp(x)) over `axis` (an axis, several, or None for all), exact however large the scores.

    Raises ValueError along an empty axis.
    """
    return Softmax.apply(x, axis=axis)


def log_softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """log(softmax(x)) over `axis` (an axis, several, or None for all), exact however large the scores.

    Raises ValueError along an empty axis.
    """
    return LogSoftmax.apply(x, axis=axis)
