"""Arithmetic: + - * / neg pow. Broadcasting is undone by the sweep (`npgrad.engine.function.unbroadcast`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.engine.function import Function
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor, TensorLike

__all__ = ["Add", "Div", "Mul", "Neg", "Pow", "Sub", "add", "div", "mul", "neg", "pow", "sub"]

_SHORT = frozenset({0.5, 1, 2, 3, 4})
"""Absolute values of exponents for which `power` needs no pow function."""


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

    y: Array

    def forward(self, a: Array, b: Array) -> Array:
        self.y = np.add(a, b, out=self.y)  # (1)
        return self.y

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

    y: Array
    db: Array

    def forward(self, a: Array, b: Array) -> Array:
        self.y = np.subtract(a, b, out=self.y)  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array, Array | None]:
        if self.needs[1]:
            self.db = np.negative(dy, out=self.db)  # (3)
        return dy, self.db  # (2)


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

    y: Array
    da: Array
    db: Array

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        self.y = np.multiply(a, b, out=self.y)  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        if self.needs[0]:
            self.da = np.multiply(dy, self.b, out=self.da)  # (2)
        if self.needs[1]:
            self.db = np.multiply(dy, self.a, out=self.db)  # (3)
        return self.da, self.db


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

    y: Array
    da: Array
    db: Array

    def forward(self, a: Array, b: Array) -> Array:
        self.b = b
        self.y = np.divide(a, b, out=self.y)  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        if not self.needs[1]:
            self.da = np.divide(dy, self.b, out=self.da)  # (2)
            return self.da, None
        self.db = db = np.asarray(np.divide(dy, self.b, out=self.db))
        if self.needs[0]:
            self.da = np.positive(db, out=self.da)  # (2)
        np.multiply(db, self.y, out=db)
        np.negative(db, out=db)  # (3)
        return self.da, db


class Neg(Function):
    """y = -a.

    Symbols
        a[i]    any number
    Forward
        (1) y[i] = -a[i]
    Backward
        (2) da[i] = -dy[i]
    """

    y: Array
    da: Array

    def forward(self, a: Array) -> Array:
        self.y = np.negative(a, out=self.y)  # (1)
        return self.y

    def backward(self, dy: Array) -> Array:
        self.da = np.negative(dy, out=self.da)  # (2)
        return self.da


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

    y: Array
    da: Array
    dp: Array

    def forward(self, a: Array, p: Any) -> Array:
        self.a, self.p = a, p
        self.y = power(a, p, out=self.y)  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        a, p = self.a, self.p
        if self.needs[1]:
            constant = (a == 0) & (p.real >= 0)
            self.dp = dp = np.asarray(np.multiply(dy, self.y, out=self.dp))
            dp *= np.log(np.where(constant, 1.0, a))  # (3)
        return self.derivative_of_base(dy) if self.needs[0] else None, self.dp

    def derivative_of_base(self, dy: Array) -> Array:
        a, p = self.a, self.p
        if type(p) is int or type(p) is float:
            if p == 1:
                return dy
            da = a if p == 2 else power(a, p - 1 if p != 0 else 0, out=self.da)
        else:
            da = np.power(a, np.where(p == 0, 0, p - 1), out=self.da)
        self.da = da = np.asarray(np.multiply(da, p, out=self.da))
        np.multiply(da, dy, out=da)  # (2)
        return da


def power(a: Array, p: Any, out: Array | None = None) -> Array:
    """a**p, without the pow function where p is a Python number for which multiplications and square roots do."""
    if (type(p) is not int and type(p) is not float) or max(p, -p) not in _SHORT:
        return np.asarray(np.power(a, p, out=out))
    n = max(p, -p)
    if p < 0 and np.asarray(a).dtype.kind not in "fc":
        return np.asarray(np.power(a, p, out=out))  # NumPy's own error: integers have no negative integer powers
    if n == 1:
        y = np.asarray(np.positive(a, out=out))
    elif n == 0.5:
        y = np.asarray(np.sqrt(a, out=out))
    else:
        y = np.asarray(np.square(a, out=out))
        if n == 3:
            np.multiply(y, a, out=y)
        elif n == 4:
            np.square(y, out=y)
    return np.divide(1.0, y, out=y) if p < 0 else y


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
