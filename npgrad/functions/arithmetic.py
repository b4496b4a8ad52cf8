"""Arithmetic: + - * / neg pow. Broadcasting is undone by the sweep (`npgrad.function.unbroadcast`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.function import Function
from npgrad.tensor import Array, Tensor, TensorLike

__all__ = ["Add", "Mul", "add", "mul"]


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
        The sum of (3) is taken by the sweep, for every Function in one place: see `npgrad.function.unbroadcast`.
    """

    y: Array

    def forward(self, a: Array, b: Array) -> Array:
        self.y = np.add(a, b, out=self.y)  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array, Array]:
        return dy, dy  # (2) (3)


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
        The sum of (3) is taken by the sweep: see `npgrad.function.unbroadcast`.
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


def add(a: TensorLike, b: TensorLike) -> Tensor:
    """a + b with broadcasting."""
    return Add.apply(a, b)


def mul(a: TensorLike, b: TensorLike) -> Tensor:
    """a·b elementwise, with broadcasting."""
    return Mul.apply(a, b)
