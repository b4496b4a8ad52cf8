"""Losses of numbers: squared and absolute error, and Huber's loss between the two."""

from __future__ import annotations

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike
from npgrad.functions.arithmetic import sub
from npgrad.functions.elementwise import abs
from npgrad.functions.loss_reduction import pair, reduced
from npgrad.functions.reduction import floating, rounded, widened

__all__ = ["Huber", "MSELoss", "huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]


class MSELoss(Function):
    """The mean of squared differences.

    Symbols
        a[i,k]    prediction
        b[i,k]    target
        n = size(i)*size(k)
    Forward
        (1) r[i,k] = a[i,k] - b[i,k]
        (2) loss   = sum((i,k), r[i,k]**2)/n
    Backward
        (3) da[i,k] = dloss*2*r[i,k]/n
        (4) db[i,k] = -da[i,k]
    """

    def forward(self, a: Array, b: Array) -> Array:
        r = self.r = floating(a - b)  # (1)
        # Not r.dot(r), which is faster and adds up less exactly.
        total = np.add.reduce(widened(r * r), None)
        return rounded(total / r.size, r.dtype)  # (2)

    def backward(self, dloss: Array) -> tuple[Array, Array | None]:
        da = self.r * (dloss * (2 / self.r.size))  # (3)
        return da, -da if self.needs[1] else None  # (4)


class Huber(Function):
    """Half the square of small differences, a straight line for large ones (Huber 1964, doi 10.1214/aoms/1177703732).

    Symbols
        a[i]           prediction
        b[i]           target
        delta = 0.5    the difference from which on the loss is a line
    Forward
        (1) r[i]      = a[i] - b[i]
        (2) c[i]      = minimum(maximum(r[i], -delta), delta)
        (3) losses[i] = where(abs(r[i]) <= delta, r[i]**2/2, delta*(abs(r[i]) - delta/2))
                      = c[i]*(r[i] - c[i]/2)    # c is r on the parabola, and delta with the sign of r on the lines
    Backward
        (4) da[i] = dlosses[i]*where(abs(r[i]) <= delta, r[i], delta*sign(r[i]))
                  = dlosses[i]*c[i]
        (5) db[i] = -da[i]
    Notes
        The slope is the difference itself, held between -delta and delta: one wild target pulls no harder than that.
    """

    def forward(self, a: Array, b: Array, delta: float = 1.0) -> Array:
        r = floating(a - b)  # (1)
        self.c = c = r.clip(-delta, delta)  # (2)
        return c * (r - 0.5 * c)  # (3)

    def backward(self, dlosses: Array) -> tuple[Array, Array | None]:
        da = dlosses * self.c  # (4)
        return da, -da if self.needs[1] else None  # (5)


def mse_loss(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """(prediction - target)²: the mean, the sum, or with reduction "none" each of them.

    Raises ValueError for different shapes, an unknown reduction, or the mean of nothing.
    """
    a, b = pair("mse_loss", prediction, target, reduction)
    if reduction == "mean":
        return MSELoss.apply(a, b)
    difference = sub(a, b)
    return reduced("mse_loss", difference * difference, reduction)


def l1_loss(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """|prediction - target|, with gradient 0 where they are equal: the mean, the sum, or "none": each of them.

    Raises ValueError for different shapes, an unknown reduction, or the mean of nothing.
    """
    a, b = pair("l1_loss", prediction, target, reduction)
    return reduced("l1_loss", abs(sub(a, b)), reduction)


def huber_loss(prediction: TensorLike, target: TensorLike, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """Half the square of differences up to `delta`, delta·(|difference| - delta/2) beyond: mean, sum, or "none": each.

    Raises ValueError for different shapes, an unknown reduction, the mean of nothing, or a delta that is not positive.
    """
    a, b = pair("huber_loss", prediction, target, reduction)
    if not delta > 0:
        raise ValueError(f"huber_loss got delta={delta}: it must be positive. Without a parabola it is l1_loss.")
    return reduced("huber_loss", Huber.apply(a, b, delta=delta), reduction)


def smooth_l1_loss(prediction: TensorLike, target: TensorLike, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """`huber_loss` with delta = beta, divided by beta: |difference| - beta/2 beyond beta. With beta = 0, `l1_loss`.

    Raises ValueError for different shapes, an unknown reduction, the mean of nothing, or a negative beta.
    """
    a, b = pair("smooth_l1_loss", prediction, target, reduction)
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss got beta={beta}: it must not be negative.")
    if beta == 0:
        return l1_loss(a, b, reduction)
    return reduced("smooth_l1_loss", Huber.apply(a, b, delta=beta) / beta, reduction)
