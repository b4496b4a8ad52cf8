"""Activations in pieces, put together from where: hardtanh, hardswish, softshrink and their kind; glu, softmin.

Conditions ask where x is replaced, and not where it stays: nan is in no interval, so that it stays nan.
"""

from __future__ import annotations

import numpy as np

from npgrad.engine.arrays import Axis
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.activation import sigmoid, tanh
from npgrad.functions.arithmetic import add, div, mul, neg, sub
from npgrad.functions.selection import where
from npgrad.functions.shape import split
from npgrad.functions.softmax import softmax

__all__ = [
    "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "relu6", "softmin", "softshrink", "tanhshrink",
    "threshold",
]  # fmt: skip


def hardtanh(x: TensorLike, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x held between `min_val` and `max_val`, with slope 0 at both and beyond; ValueError if they are out of order."""
    if min_val > max_val:
        raise ValueError(f"hardtanh got min_val={min_val} above max_val={max_val}.")
    above = where(np.less_equal(raw(x), min_val), min_val, x)
    return where(np.greater_equal(raw(x), max_val), max_val, above)


def relu6(x: TensorLike) -> Tensor:
    """x held between 0 and 6."""
    return hardtanh(x, 0.0, 6.0)


def hardsigmoid(x: TensorLike) -> Tensor:
    """A line for the sigmoid: (x + 3)/6, held between 0 and 1."""
    return div(relu6(add(x, 3)), 6)


def hardswish(x: TensorLike) -> Tensor:
    """x*hardsigmoid(x) (Howard et al. 2019, arXiv:1905.02244, section 5.2)."""
    return mul(x, hardsigmoid(x))


def hardshrink(x: TensorLike, lambd: float = 0.5) -> Tensor:
    """x, but 0 between -lambd and lambd."""
    return where(np.less_equal(np.abs(raw(x)), lambd), 0.0, x)


def softshrink(x: TensorLike, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by `lambd`, and 0 if it would cross it. Raises ValueError if lambd is negative."""
    if lambd < 0:
        raise ValueError(f"softshrink got lambd={lambd}: it must not be negative.")
    beyond = sub(x, mul(np.sign(raw(x)), lambd))
    return where(np.less_equal(np.abs(raw(x)), lambd), 0.0, beyond)


def tanhshrink(x: TensorLike) -> Tensor:
    """x - tanh(x)."""
    return sub(x, tanh(x))


def threshold(x: TensorLike, threshold: float, value: float) -> Tensor:
    """`value` up to `threshold`, and x beyond."""
    return where(np.less_equal(raw(x), threshold), value, x)


def glu(x: TensorLike, axis: int = -1) -> Tensor:
    """The first half of x along `axis`, times the sigmoid of the second (Dauphin et al. 2016, arXiv:1612.08083).

    Raises ValueError if the length of the axis is odd.
    """
    a, b = split(x, 2, axis)
    return mul(a, sigmoid(b))


def softmin(x: TensorLike, axis: Axis = -1) -> Tensor:
    """softmax(-x): the smallest value gets the largest probability."""
    return softmax(neg(x), axis)
