"""Steps: sign floor ceil trunc round, and put together from them heaviside copysign floor_divide modf.

Between its jumps a step is constant, so its gradient is 0.

At a jump there is no derivative; 0 is the convention there too. A network that is to learn through a rounding needs a
rule of its own that says what to pass on: write a Function (the "straight-through estimator", Bengio et al. 2013,
arXiv:1308.3432, has `return dy` as its backward).
"""

from __future__ import annotations

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.arithmetic import add, neg, sub
from npgrad.functions.elementwise import abs
from npgrad.functions.indexing import operand
from npgrad.functions.selection import where

__all__ = [
    "Ceil", "Floor", "Round", "Sign", "Trunc",
    "ceil", "copysign", "floor", "floor_divide", "heaviside", "modf", "round", "sign", "trunc",
]  # fmt: skip


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
    """x without its fraction, elementwise; the gradient is 0. NumPy's `trunc`."""
    return Trunc.apply(x)


def round(x: TensorLike, decimals: int = 0) -> Tensor:
    """x rounded to `decimals` places, halves to the even neighbour; the gradient is 0. NumPy's `round` and `rint`."""
    return Round.apply(operand(x), decimals=decimals)


def heaviside(x: TensorLike, h: TensorLike) -> Tensor:
    """0 where x is below 0, 1 where it is above, and h at 0, elementwise with broadcasting; the gradient of x is 0."""
    return where(np.equal(raw(x), 0), h, (sign(x) + 1) / 2)


def copysign(a: TensorLike, b: TensorLike) -> Tensor:
    """|a| with the sign of b, elementwise with broadcasting; -0.0 is negative. b has gradient 0, and so has a at 0."""
    size = abs(a)
    # Never chosen, b has the gradient 0 that a step has, and not none.
    return where(True, where(np.signbit(np.real(raw(b))), neg(size), size), b)


def floor_divide(a: TensorLike, b: TensorLike) -> Tensor:
    """a // b elementwise, with broadcasting: how often b fits into a, rounded down; the gradients are 0."""
    return where(True, np.floor_divide(np.real(raw(a)), np.real(raw(b))), add(a, b))


def modf(x: TensorLike) -> tuple[Tensor, Tensor]:
    """The part of x after the point and the whole number before it, elementwise, both with the sign of x.

    The whole number has gradient 0.
    """
    whole = trunc(x)
    return where(np.isinf(raw(x)), 0.0, sub(x, whole)), whole
