"""Arithmetic: + - * / % neg pow. Broadcasting is undone by the sweep (`npgrad.engine.function.unbroadcast`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.selection import where

__all__ = [
    "Add", "Div", "Mul", "Neg", "Pow", "Remainder", "Sub",
    "add", "div", "fmod", "mul", "neg", "pow", "reciprocal", "remainder", "square", "sub",
]  # fmt: skip

_SHORT: dict[float, Callable[[Array], Array]] = {
    0.5: np.sqrt,
    1: np.positive,
    2: np.square,
    3: lambda a: np.square(a) * a,
    4: lambda a: np.square(np.square(a)),
}
"""Powers that need no pow function, by the absolute value of the exponent."""


class Add(Function):
    """y = a + b.

    Each operand enters with factor 1, so the gradient passes through unchanged. Where an operand was broadcast, it was
    used once per copy, and its gradient is the sum over the copies: here b has no index i.

    Symbols
        a[i,k]    first operand
        b[k]      second operand, broadcast along i
    Forward
        (1) y[i,k] = a[i,k] + b[k]
    Backward
        (2) da[i,k] = dy[i,k]
        (3) db[k]   = sum(i, dy[i,k])
    Notes
        The sum of (3) is taken by the sweep, for every Function in one place: see `npgrad.engine.function.unbroadcast`.
    """

    def forward(self, a: Array, b: Array) -> Array:
        return a + b  # (1)

    def backward(self, dy: Array) -> tuple[Array, Array]:
        return dy, dy  # (2) (3)


class Sub(Function):
    """y = a - b.

    Symbols
        a[i,k]    what is subtracted from
        b[k]      what is subtracted, broadcast along i
    Forward
        (1) y[i,k] = a[i,k] - b[k]
    Backward
        (2) da[i,k] = dy[i,k]
        (3) db[k]   = -sum(i, dy[i,k])
    Notes
        The sum of (3) is taken by the sweep: see `npgrad.engine.function.unbroadcast`.
    """

    def forward(self, a: Array, b: Array) -> Array:
        return a - b  # (1)

    def backward(self, dy: Array) -> tuple[Array, Array | None]:
        return dy, -dy if self.needs[1] else None  # (2) (3)


class Mul(Function):
    """y = a·b, elementwise.

    Symbols
        a[i,k]    first factor
        b[k]      second factor, broadcast along i
    Forward
        (1) y[i,k] = a[i,k]*b[k]
    Backward
        (2) da[i,k] = dy[i,k]*b[k]
        (3) db[k]   = sum(i, dy[i,k]*a[i,k])
    Notes
        The sum of (3) is taken by the sweep: see `npgrad.engine.function.unbroadcast`.
    """

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        return a * b  # (1)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        da = dy * self.b if self.needs[0] else None  # (2)
        db = dy * self.a if self.needs[1] else None  # (3)
        return da, db


class Div(Function):
    """y = a/b, elementwise.

    Symbols
        a[i,k]       numerator
        b[k] != 0    denominator, broadcast along i
    Forward
        (1) y[i,k] = a[i,k]/b[k]
    Backward
        (2) da[i,k] = dy[i,k]/b[k]
        (3) db[k]   = -sum(i, dy[i,k]*a[i,k]/b[k]**2)
                    = -sum(i, da[i,k]*y[i,k])
    Notes
        The textbook's b**2 in (3) overflows long before a/b does, so the second form is the one that is run: it reuses
        what (1) and (2) have computed. The sum is taken by the sweep: see `npgrad.engine.function.unbroadcast`.
    """

    def forward(self, a: Array, b: Array) -> Array:
        self.b = b
        self.y = a / b  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array, Array | None]:
        da = dy / self.b  # (2)
        db = -(da * self.y) if self.needs[1] else None  # (3)
        return da, db


class Neg(Function):
    """y = -a.

    Symbols
        a[i]    any number
    Forward
        (1) y[i] = -a[i]
    Backward
        (2) da[i] = -dy[i]
    """

    def forward(self, a: Array) -> Array:
        return -a  # (1)

    def backward(self, dy: Array) -> Array:
        return -dy  # (2)


class Remainder(Function):
    """y = a - b*floor(a/b), what a division leaves over; it has the sign of b.

    Symbols
        a[i,k]       what is divided
        b[k] != 0    by what, broadcast along i
    Forward
        (1) y[i,k] = a[i,k] - b[k]*floor(a[i,k]/b[k])
    Backward
        (2) da[i,k] = dy[i,k]
        (3) db[k]   = -sum(i, dy[i,k]*floor(a[i,k]/b[k]))
    Notes
        Where a is a multiple of b the remainder jumps; the slopes on both sides are the same, and are the gradient
        there too.
    """

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        return np.remainder(a, b)  # (1)

    def backward(self, dy: Array) -> tuple[Array, Array | None]:
        return dy, -(dy * np.floor_divide(self.a, self.b)) if self.needs[1] else None  # (2) (3)


class Pow(Function):
    """y = a**p, elementwise.

    The base is a power function, the exponent an exponential one: a**p = exp(p*log(a)) has both rules in it.

    Symbols
        a[i,k] > 0    base
        p[k]          exponent, broadcast along i
    Forward
        (1) y[i,k] = a[i,k]**p[k]
                   = exp(p[k]*log(a[i,k]))
    Backward
        (2) da[i,k] = dy[i,k]*y[i,k]*p[k]/a[i,k]
                    = dy[i,k]*p[k]*a[i,k]**(p[k] - 1)
        (3) dp[k]   = sum(i, dy[i,k]*y[i,k]*log(a[i,k]))
    Notes
        The second form of (2) is the one that is run, since it also holds at a = 0. Three limits are conventions:

        - a**0 is the constant 1, so its gradient is 0 everywhere. At a = 0 the rule (2) would be 0 times infinity, so
          the exponent p - 1 is replaced by 0 before it can do harm.
        - 0**p is the constant 0 for p > 0, so the gradient of the exponent is 0 there, and not 0 times minus infinity
          (at p = 0 likewise).
        - For a < 0 real powers exist at integers p only, so there is no derivative along p: (3) is nan.

        A Python number as exponent gets no gradient, and the usual ones (2, 3, 4, 1/2 and their negatives) are
        multiplications and square roots instead of calls of the pow function, which costs some ten times as much.
    """

    def forward(self, a: Array, p: Any) -> Array:
        self.a, self.p = a, p
        self.y = power(a, p)  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        a, p = self.a, self.p
        da: Array | None = None
        dp: Array | None = None
        if self.needs[0]:
            one_less = (p - 1 if p != 0 else 0) if is_number(p) else np.where(p == 0, 0, p - 1)
            da = dy * p * (a if is_number(p) and p == 2 else power(a, one_less))  # (2)
        if self.needs[1]:
            constant = (a == 0) & (p >= 0)
            dp = dy * self.y * np.log(np.where(constant, 1.0, a))  # (3)
        return da, dp


def power(a: Array, p: Any) -> Array:
    """a**p, without the pow function where p is a Python number for which multiplications and square roots do."""
    short = _SHORT.get(abs(p)) if is_number(p) else None
    if short is None:
        return np.power(a, p)
    y = short(a)
    if p > 0:
        return y
    # Integers have no negative powers: NumPy's own error says so.
    return 1.0 / y if y.dtype.kind in "fc" else np.power(a, p)


def is_number(p: Any) -> bool:
    """Whether p is a Python number, which has no gradient and no array."""
    return type(p) is int or type(p) is float


def add(a: TensorLike, b: TensorLike) -> Tensor:
    """a + b with broadcasting."""
    return Add.apply(a, b)


def mul(a: TensorLike, b: TensorLike) -> Tensor:
    """a·b elementwise, with broadcasting."""
    return Mul.apply(a, b)


def sub(a: TensorLike, b: TensorLike) -> Tensor:
    """a - b with broadcasting; NumPy's `subtract`."""
    return Sub.apply(a, b)


def div(a: TensorLike, b: TensorLike) -> Tensor:
    """a/b elementwise, with broadcasting; NumPy's `divide`."""
    return Div.apply(a, b)


def neg(a: TensorLike) -> Tensor:
    """-a; NumPy's `negative`."""
    return Neg.apply(a)


def pow(a: TensorLike, p: TensorLike) -> Tensor:
    """a**p elementwise, with broadcasting; NumPy's `power`. The gradient of x**0 is 0 everywhere."""
    return Pow.apply(a, p)


def remainder(a: TensorLike, b: TensorLike) -> Tensor:
    """a % b elementwise, with broadcasting: a - b*floor(a/b). NumPy's `remainder` and `mod`."""
    return Remainder.apply(a, b)


def fmod(a: TensorLike, b: TensorLike) -> Tensor:
    """What is left of a after taking away b as often as it fits, with the sign of a: a - b*trunc(a/b), elementwise."""
    size = where(np.less(raw(b), 0), neg(b), b)
    return where(np.less(raw(a), 0), neg(remainder(neg(a), size)), remainder(a, size))


def square(x: TensorLike) -> Tensor:
    """x·x elementwise."""
    return Pow.apply(x, 2)


def reciprocal(x: TensorLike) -> Tensor:
    """1/x elementwise; of integers too a fraction, unlike NumPy's."""
    return Div.apply(1.0, x)
