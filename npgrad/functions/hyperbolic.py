"""Hyperbolic functions: sinh cosh arcsinh arccosh arctanh. (tanh is in `activation`.)"""

from __future__ import annotations

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike

__all__ = [
    "ArcCosh", "ArcSinh", "ArcTanh", "Cosh", "Sinh",
    "arccosh", "arcsinh", "arctanh", "cosh", "sinh",
]  # fmt: skip


class Sinh(Function):
    """y = sinh(x).

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = sinh(x[i])
                 = (exp(x[i]) - exp(-x[i]))/2
    Backward
        (2) dx[i] = dy[i]*(exp(x[i]) + exp(-x[i]))/2
                  = dy[i]*cosh(x[i])
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.sinh(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy * np.cosh(self.x)  # (2)


class Cosh(Function):
    """y = cosh(x), the shape of a hanging chain.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = cosh(x[i])
                 = (exp(x[i]) + exp(-x[i]))/2
    Backward
        (2) dx[i] = dy[i]*(exp(x[i]) - exp(-x[i]))/2
                  = dy[i]*sinh(x[i])
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.cosh(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy * np.sinh(self.x)  # (2)


class ArcSinh(Function):
    """y = arcsinh(x), the number whose sinh is x.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = log(x[i] + sqrt(x[i]**2 + 1))
    Backward
        (2) dx[i] = dy[i]*(1 + x[i]/sqrt(x[i]**2 + 1))/(x[i] + sqrt(x[i]**2 + 1))
                  = dy[i]/sqrt(x[i]**2 + 1)
    Notes
        The root of (2) is that of a right triangle with sides x and 1, which `hypot` computes without overflow.
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.arcsinh(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy / np.hypot(self.x, 1)  # (2)


class ArcCosh(Function):
    """y = arccosh(x), the number y >= 0 whose cosh is x.

    Symbols
        x[i] > 1    any number from 1 on; below that y is nan
    Forward
        (1) y[i] = log(x[i] + sqrt(x[i]**2 - 1))
    Backward
        (2) dx[i] = dy[i]*(1 + x[i]/sqrt(x[i]**2 - 1))/(x[i] + sqrt(x[i]**2 - 1))
                  = dy[i]/sqrt(x[i]**2 - 1)
                  = dy[i]/(sqrt(x[i] - 1)*sqrt(x[i] + 1))
    Notes
        The last form of (2) cannot overflow and keeps its digits near x = 1. At 1 the slope is infinite, and the
        gradient says so.
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.arccosh(x)  # (1)

    def backward(self, dy: Array) -> Array:
        x = self.x
        return dy / (np.sqrt(x - 1) * np.sqrt(x + 1))  # (2)


class ArcTanh(Function):
    """y = arctanh(x), the number whose tanh is x.

    Symbols
        x[i] in (-1, 1)    any number between -1 and 1; at them y is infinite, beyond them nan
    Forward
        (1) y[i] = log((1 + x[i])/(1 - x[i]))/2
    Backward
        (2) dx[i] = dy[i]*(1/(1 + x[i]) + 1/(1 - x[i]))/2
                  = dy[i]/((1 - x[i])*(1 + x[i]))
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.arctanh(x)  # (1)

    def backward(self, dy: Array) -> Array:
        x = self.x
        return dy / ((1 - x) * (1 + x))  # (2)


def sinh(x: TensorLike) -> Tensor:
    """The hyperbolic sine, elementwise."""
    return Sinh.apply(x)


def cosh(x: TensorLike) -> Tensor:
    """The hyperbolic cosine, elementwise."""
    return Cosh.apply(x)


def arcsinh(x: TensorLike) -> Tensor:
    """The number whose sinh is x, elementwise."""
    return ArcSinh.apply(x)


def arccosh(x: TensorLike) -> Tensor:
    """The number from 0 on whose cosh is x, elementwise; nan below 1, and an infinite gradient at 1."""
    return ArcCosh.apply(x)


def arctanh(x: TensorLike) -> Tensor:
    """The number whose tanh is x, elementwise; infinite at ±1 and nan beyond."""
    return ArcTanh.apply(x)
