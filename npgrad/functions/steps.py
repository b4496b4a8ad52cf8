"""Steps: sign floor ceil trunc round. Between its jumps a step is constant, so its gradient is 0.

At a jump there is no derivative; 0 is the convention there too. A network that is to learn through a rounding needs a
rule of its own that says what to pass on: write a Function (the "straight-through estimator", Bengio et al. 2013,
arXiv:1308.3432, has `return dy` as its backward).
"""

from __future__ import annotations

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike
from npgrad.functions.indexing import operand

__all__ = ["Ceil", "Floor", "Round", "Sign", "Trunc", "ceil", "floor", "round", "sign", "trunc"]


class Sign(Function):
    """y = 1, 0 or -1: whether x is above, at or below 0.

    Symbols
        x[i] != 0    any number
    Forward
        (1) y[i] = sign(x[i])
                 = (x[i] > 0) - (x[i] < 0)
    Backward
        (2) dx[i] = 0
    """

    def forward(self, x: Array) -> Array:
        return np.sign(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return np.zeros_like(dy)  # (2)


class Floor(Function):
    """y = the largest whole number that is not above x.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = floor(x[i])
    Backward
        (2) dx[i] = 0
    """

    def forward(self, x: Array) -> Array:
        return np.floor(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return np.zeros_like(dy)  # (2)


class Ceil(Function):
    """y = the smallest whole number that is not below x.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = -floor(-x[i])
    Backward
        (2) dx[i] = 0
    """

    def forward(self, x: Array) -> Array:
        return np.ceil(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return np.zeros_like(dy)  # (2)


class Trunc(Function):
    """y = x without its fraction, rounded towards 0.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = sign(x[i])*floor(abs(x[i]))
    Backward
        (2) dx[i] = 0
    """

    def forward(self, x: Array) -> Array:
        return np.trunc(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return np.zeros_like(dy)  # (2)


class Round(Function):
    """y = x rounded to `decimals` places after the point; halves go to the even neighbour, as in NumPy.

    Symbols
        x[i]            any number
        decimals = 1    places after the point; negative ones before it
    Forward
        (1) y[i] = floor(x[i]*10**decimals + 1/2)/10**decimals
    Backward
        (2) dx[i] = 0
    """

    def forward(self, x: Array, decimals: int = 0) -> Array:
        return np.round(x, decimals)  # (1)

    def backward(self, dy: Array) -> Array:
        return np.zeros_like(dy)  # (2)


def sign(x: TensorLike) -> Tensor:
    """1, 0 or -1, elementwise; the gradient is 0."""
    return Sign.apply(x)


def floor(x: TensorLike) -> Tensor:
    """The largest whole number that is not above x, elementwise; the gradient is 0."""
    return Floor.apply(x)


def ceil(x: TensorLike) -> Tensor:
    """The smallest whole number that is not below x, elementwise; the gradient is 0."""
    return Ceil.apply(x)


def trunc(x: TensorLike) -> Tensor:
    """x without its fraction, elementwise; the gradient is 0. NumPy's `trunc` and `fix`."""
    return Trunc.apply(x)


def round(x: TensorLike, decimals: int = 0) -> Tensor:
    """x rounded to `decimals` places, halves to the even neighbour; the gradient is 0. NumPy's `round` and `rint`."""
    return Round.apply(operand(x), decimals=decimals)
