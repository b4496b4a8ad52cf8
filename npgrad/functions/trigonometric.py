"""Angles: sin cos tan, their inverses arcsin arccos arctan, the polar coordinates arctan2 and hypot, and sinc."""

from __future__ import annotations

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.arithmetic import div, mul, square, sub
from npgrad.functions.selection import where

__all__ = [
    "ArcCos", "ArcSin", "ArcTan", "ArcTan2", "Cos", "Hypot", "Sin", "Tan",
    "arccos", "arcsin", "arctan", "arctan2", "cos", "deg2rad", "degrees", "hypot", "rad2deg", "radians", "sin", "sinc",
    "tan",
]  # fmt: skip


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


class Tan(Function):
    """y = tan(x), in radians.

    Symbols
        x[i] in (-1.4, 1.4)    any number
    Forward
        (1) y[i] = tan(x[i])
                 = sin(x[i])/cos(x[i])
    Backward
        (2) dx[i] = dy[i]*(cos(x[i])**2 + sin(x[i])**2)/cos(x[i])**2
                  # the quotient rule
                  = dy[i]*(1 + y[i]*y[i])
    """

    def forward(self, x: Array) -> Array:
        self.y = np.tan(x)  # (1)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * (1 + self.y * self.y)  # (2)


class ArcSin(Function):
    """y = arcsin(x), the angle from -pi/2 to pi/2 whose sine is x.

    Symbols
        x[i] in (-1, 1)    any number from -1 to 1; beyond that y is nan
    Forward
        (1) y[i] = arcsin(x[i])
    Backward
        (a) sin(y[i]) = x[i]
        (2) dx[i] = dy[i]/cos(y[i])
                  # both sides of (a) differentiated: cos(y) times the slope is 1
                  = dy[i]/sqrt((1 - x[i])*(1 + x[i]))
    Notes
        The product under the root keeps its digits near x = ±1, where 1 - x**2 loses them. At ±1 itself the slope is
        infinite, and the gradient says so.
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.arcsin(x)  # (1)

    def backward(self, dy: Array) -> Array:
        x = self.x
        return dy / np.sqrt((1 - x) * (1 + x))  # (2)


class ArcCos(Function):
    """y = arccos(x), the angle from 0 to pi whose cosine is x.

    Symbols
        x[i] in (-1, 1)    any number from -1 to 1; beyond that y is nan
    Forward
        (1) y[i] = arccos(x[i])
                 = pi/2 - arcsin(x[i])
    Backward
        (2) dx[i] = -dy[i]/sin(y[i])
                  = -dy[i]/sqrt((1 - x[i])*(1 + x[i]))
    Notes
        As `ArcSin`, whose mirror image this is.
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.arccos(x)  # (1)

    def backward(self, dy: Array) -> Array:
        x = self.x
        return -dy / np.sqrt((1 - x) * (1 + x))  # (2)


class ArcTan(Function):
    """y = arctan(x), the angle from -pi/2 to pi/2 whose tangent is x.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = arctan(x[i])
    Backward
        (a) tan(y[i]) = x[i]
        (2) dx[i] = dy[i]*cos(y[i])**2
                  = dy[i]/(1 + tan(y[i])**2)
                  = dy[i]/(1 + x[i]*x[i])
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.arctan(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy / (1 + self.x * self.x)  # (2)


class ArcTan2(Function):
    """y = arctan2(a, b), the angle of the point with ordinate a and abscissa b, from -pi to pi.

    Symbols
        a[i,k]       ordinate
        b[k] != 0    abscissa, broadcast along i
    Forward
        (1) y[i,k] = arctan(a[i,k]/b[k]) + pi*(b[k] < 0)*sign(a[i,k])
    Backward
        (2) r[i,k]  = sqrt(a[i,k]**2 + b[k]**2)
        (3) da[i,k] = dy[i,k]/b[k]/(1 + (a[i,k]/b[k])**2)
                    = dy[i,k]*(b[k]/r[i,k])/r[i,k]
        (4) db[k]   = -sum(i, dy[i,k]*a[i,k]/b[k]**2/(1 + (a[i,k]/b[k])**2))
                    = -sum(i, dy[i,k]*(a[i,k]/r[i,k])/r[i,k])
    Notes
        The quadrant, the second term of (1), is constant where it does not jump. Dividing by r twice cannot overflow
        where r**2 would. At the origin there is no angle, and the gradient is nan.
    """

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        return np.arctan2(a, b)  # (1)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        a, b = self.a, self.b
        r = np.hypot(a, b)  # (2)
        da = dy * (b / r) / r if self.needs[0] else None  # (3)
        db = -(dy * (a / r) / r) if self.needs[1] else None  # (4)
        return da, db


class Hypot(Function):
    """y = sqrt(a**2 + b**2), the length of the hypotenuse, without overflow on the way.

    Symbols
        a[i,k]    one side
        b[k]      the other, broadcast along i
    Forward
        (1) y[i,k] = sqrt(a[i,k]**2 + b[k]**2)
    Backward
        (2) da[i,k] = dy[i,k]*2*a[i,k]/(2*sqrt(a[i,k]**2 + b[k]**2))
                    = dy[i,k]*(a[i,k]/y[i,k])
        (3) db[k]   = sum(i, dy[i,k]*(b[k]/y[i,k]))
    Notes
        At the origin the length has a kink, as |x| has at 0; the gradient is declared to be 0, the subgradient of least
        norm.
    """

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        self.y = np.hypot(a, b)  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        # What is divided by infinity is 0.
        y = np.where(self.y == 0, np.inf, self.y)
        da = dy * (self.a / y) if self.needs[0] else None  # (2)
        db = dy * (self.b / y) if self.needs[1] else None  # (3)
        return da, db


def sin(x: TensorLike) -> Tensor:
    """The sine of an angle in radians, elementwise."""
    return Sin.apply(x)


def cos(x: TensorLike) -> Tensor:
    """The cosine of an angle in radians, elementwise."""
    return Cos.apply(x)


def tan(x: TensorLike) -> Tensor:
    """The tangent of an angle in radians, elementwise."""
    return Tan.apply(x)


def arcsin(x: TensorLike) -> Tensor:
    """The angle whose sine is x, elementwise; nan beyond ±1, and an infinite gradient at ±1."""
    return ArcSin.apply(x)


def arccos(x: TensorLike) -> Tensor:
    """The angle whose cosine is x, elementwise; nan beyond ±1, and an infinite gradient at ±1."""
    return ArcCos.apply(x)


def arctan(x: TensorLike) -> Tensor:
    """The angle whose tangent is x, elementwise."""
    return ArcTan.apply(x)


def arctan2(a: TensorLike, b: TensorLike) -> Tensor:
    """The angle of the point (b, a), from -pi to pi, elementwise with broadcasting; the gradient at the origin: nan."""
    return ArcTan2.apply(a, b)


def hypot(a: TensorLike, b: TensorLike) -> Tensor:
    """sqrt(a² + b²) without overflow, elementwise with broadcasting; the gradient at the origin is 0."""
    return Hypot.apply(a, b)


def deg2rad(x: TensorLike) -> Tensor:
    """Degrees in radians: x*pi/180."""
    return mul(x, np.pi / 180)


def rad2deg(x: TensorLike) -> Tensor:
    """Radians in degrees: x*180/pi."""
    return mul(x, 180 / np.pi)


radians, degrees = deg2rad, rad2deg


def sinc(x: TensorLike) -> Tensor:
    """sin(πx)/(πx), elementwise, and 1 at 0, as np.sinc.

    Where |πx| < 1/4 it is the power series of the quotient: the derivative of the quotient itself is the difference of
    two numbers near 1/x, of which rounding leaves nothing at small x.
    """
    y = mul(x, np.pi)
    near = np.less(np.abs(raw(y)), 0.25)
    z = square(where(near, y, 0.0))
    series = sub(1.0, div(z, 13 * 12))
    for n in (11, 9, 7, 5, 3):
        series = sub(1.0, mul(div(z, n * (n - 1)), series))
    y = where(near, 1.0, y)
    return where(near, series, div(sin(y), y))
