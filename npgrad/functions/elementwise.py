"""Elementary functions of one number: exp log log1p expm1 sqrt abs sin cos."""

from __future__ import annotations

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike

__all__ = [
    "Abs", "Cos", "Exp", "Expm1", "Log", "Log1p", "Sin", "Sqrt",
    "abs", "cos", "exp", "expm1", "log", "log1p", "sin", "sqrt",
]  # fmt: skip


class Exp(Function):
    """y = exp(x), the function that is its own derivative.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = exp(x[i])
    Backward
        (2) dx[i] = dy[i]*exp(x[i])
                  = dy[i]*y[i]
    """

    def forward(self, x: Array) -> Array:
        self.y = np.exp(x)  # (1)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * self.y  # (2)


class Log(Function):
    """y = log(x), the natural logarithm.

    Symbols
        x[i] > 0    any positive number
    Forward
        (1) y[i] = log(x[i])
    Backward
        (2) dx[i] = dy[i]/x[i]
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.log(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy / self.x  # (2)


class Log1p(Function):
    """y = log(1 + x), accurate where x is so small that 1 + x would round it away.

    Symbols
        x[i] in (-0.9, 3)    any number above -1
    Forward
        (1) y[i] = log1p(x[i])
                 = log(1 + x[i])
    Backward
        (2) dx[i] = dy[i]/(1 + x[i])
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.log1p(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy / (1 + self.x)  # (2)


class Expm1(Function):
    """y = exp(x) - 1, accurate where x is so small that exp(x) rounds to 1.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = expm1(x[i])
                 = exp(x[i]) - 1
    Backward
        (2) dx[i] = dy[i]*(y[i] + 1)
                  = dy[i]*exp(x[i])
    Notes
        The first form of (2) would save an exp, but at x = -40 it is 0 where the derivative is 4e-18: the second is
        run.
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.expm1(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy * np.exp(self.x)  # (2)


class Sqrt(Function):
    """y = sqrt(x).

    Symbols
        x[i] > 0    any number, not negative
    Forward
        (1) y[i] = sqrt(x[i])
    Backward
        (2) dx[i] = dy[i]/2/y[i]
                  = dy[i]/(2*sqrt(x[i]))
    Notes
        At x = 0 the slope is infinite, and the gradient says so. Where that is not wanted, add a small constant under
        the root, as normalisation layers do.
    """

    def forward(self, x: Array) -> Array:
        self.y = np.sqrt(x)  # (1)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy / 2 / self.y  # (2)


class Abs(Function):
    """y = abs(x), the distance from 0.

    Symbols
        x[i] != 0    any number
    Forward
        (1) y[i] = abs(x[i])
                 = x[i]*sign(x[i])
    Backward
        (2) dx[i] = dy[i]*sign(x[i])
    Notes
        At the kink x = 0 the slope could be any number from -1 to 1; the one in the middle, 0, is the convention, and
        it is what sign(0) gives.
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.abs(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy * np.sign(self.x)  # (2)


class Sin(Function):
    """y = sin(x), in radians.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = sin(x[i])
    Backward
        (2) dx[i] = dy[i]*cos(x[i])
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.sin(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy * np.cos(self.x)  # (2)


class Cos(Function):
    """y = cos(x), in radians.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = cos(x[i])
    Backward
        (2) dx[i] = -dy[i]*sin(x[i])
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.cos(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return -(dy * np.sin(self.x))  # (2)


def exp(x: TensorLike) -> Tensor:
    """e to the power x, elementwise."""
    return Exp.apply(x)


def log(x: TensorLike) -> Tensor:
    """The natural logarithm, elementwise."""
    return Log.apply(x)


def log1p(x: TensorLike) -> Tensor:
    """log(1 + x), elementwise and accurate near 0."""
    return Log1p.apply(x)


def expm1(x: TensorLike) -> Tensor:
    """exp(x) - 1, elementwise and accurate near 0."""
    return Expm1.apply(x)


def sqrt(x: TensorLike) -> Tensor:
    """The square root, elementwise; its gradient at 0 is infinite."""
    return Sqrt.apply(x)


def abs(x: TensorLike) -> Tensor:
    """The absolute value, elementwise; its gradient at 0 is 0. NumPy's `abs` and `absolute`."""
    return Abs.apply(x)


def sin(x: TensorLike) -> Tensor:
    """The sine of an angle in radians, elementwise."""
    return Sin.apply(x)


def cos(x: TensorLike) -> Tensor:
    """The cosine of an angle in radians, elementwise."""
    return Cos.apply(x)
