"""Choosing between arrays, entry by entry: maximum minimum clip where select nan_to_num.

The gradient goes to the entry that was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw

__all__ = [
    "Clip", "Maximum", "Minimum", "Where", "clip", "fmax", "fmin", "maximum", "minimum", "nan_to_num", "select",
    "where",
]  # fmt: skip


class Maximum(Function):
    """y = the larger of a and b, entry by entry.

    Symbols
        a[i,k]    first operand
        b[k]      second operand, broadcast along i
    Forward
        (1) y[i,k] = maximum(a[i,k], b[k])
                   = where(a[i,k] > b[k], a[i,k], b[k])
    Backward
        (2) share[i,k] = ((a[i,k] > b[k]) + (a[i,k] >= b[k]))/2
        (3) da[i,k]    = dy[i,k]*share[i,k]
        (4) db[k]      = sum(i, dy[i,k]*(1 - share[i,k]))
    Notes
        The winner takes the gradient, the loser gets 0: moving it a little changes nothing. At a tie (2) is 1/2, so the
        two share equally. Where an operand is nan, so are y and both gradients.
    """

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        self.y = np.maximum(a, b)  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        a, b = self.a, self.b
        share = unless_nan(self.y, np.add(a > b, a >= b, dtype=dy.dtype) / 2)  # (2)
        da = dy * share if self.needs[0] else None  # (3)
        db = dy * (1 - share) if self.needs[1] else None  # (4)
        return da, db


class Minimum(Function):
    """y = the smaller of a and b, entry by entry: `Maximum` looking down.

    Symbols
        a[i,k]    first operand
        b[k]      second operand, broadcast along i
    Forward
        (1) y[i,k] = minimum(a[i,k], b[k])
                   = -maximum(-a[i,k], -b[k])
    Backward
        (2) share[i,k] = ((a[i,k] < b[k]) + (a[i,k] <= b[k]))/2
        (3) da[i,k]    = dy[i,k]*share[i,k]
        (4) db[k]      = sum(i, dy[i,k]*(1 - share[i,k]))
    Notes
        Ties share equally, and nan makes everything nan, as in `Maximum`.
    """

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        self.y = np.minimum(a, b)  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        a, b = self.a, self.b
        share = unless_nan(self.y, np.add(a < b, a <= b, dtype=dy.dtype) / 2)  # (2)
        da = dy * share if self.needs[0] else None  # (3)
        db = dy * (1 - share) if self.needs[1] else None  # (4)
        return da, db


class Clip(Function):
    """y = a held between lo and hi.

    Symbols
        a[i,k] in (-2, 2)      what is clipped
        lo[k] in (-1.5, -0.1)  lower bound, or None for none
        hi[k] in (0.1, 1.5)    upper bound, or None for none
    Forward
        (1) y[i,k] = minimum(maximum(a[i,k], lo[k]), hi[k])
    Backward
        (2) da[i,k] = dy[i,k]*(a[i,k] >= lo[k])*(a[i,k] <= hi[k])
        (3) dlo[k]  = sum(i, dy[i,k]*(a[i,k] < lo[k])*(lo[k] <= hi[k]))
        (4) dhi[k]  = sum(i, dy[i,k]*(maximum(a[i,k], lo[k]) > hi[k]))
    Notes
        An entry that was cut off gets no gradient: the bound it was set to takes it. Unlike `maximum`, an entry exactly
        on a bound counts as inside and keeps its whole gradient, so that weights clipped to [-1, 1] can leave the wall.
        Where the bounds are crossed, lo > hi, NumPy answers hi; then hi takes the gradient. nan stays nan.
    """

    def forward(self, a: Array, lo: Any, hi: Any) -> Array:
        self.y = np.clip(a, lo, hi) if lo is not None or hi is not None else a * 1  # (1)
        self.a, self.lo, self.hi = a, -inf if lo is None else lo, inf if hi is None else hi
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        a, lo, hi, y = self.a, self.lo, self.hi, self.y
        da = unless_nan(y, dy * ((a >= lo) & (a <= hi))) if self.needs[0] else None  # (2)
        dlo = unless_nan(y, dy * ((a < lo) & (lo <= hi))) if self.needs[1] else None  # (3)
        dhi = unless_nan(y, dy * (np.maximum(a, lo) > hi)) if self.needs[2] else None  # (4)
        return da, dlo, dhi


class Where(Function):
    """z = x where the condition holds, y elsewhere.

    Symbols
        condition[i,k] in i    chooses x where it is not 0; has no gradient
        x[i,k]                 chosen where the condition holds
        y[k]                   chosen elsewhere, broadcast along i
    Forward
        (1) z[i,k] = where(condition[i,k] > 0, x[i,k], y[k])
    Backward
        (2) dx[i,k] = where(condition[i,k] > 0, dz[i,k], 0)
        (3) dy[k]   = sum(i, where(condition[i,k] > 0, 0, dz[i,k]))
    Notes
        (2) and (3) select and do not multiply by 0 or 1: 0 times infinity is nan, so a product would let what was never
        chosen spoil the gradient. (For the same protection further down, choose the *input* of a function that
        overflows: where(m, log(where(m, x, 1)), 0), since log itself multiplies 0 by 1/x.)
    """

    def forward(self, condition: Any, x: Array, y: Array) -> Array:
        dtype = condition.dtype if hasattr(condition, "dtype") else np.dtype(type(condition))
        if dtype.kind not in "biu":
            raise TypeError(
                f"where got a condition of dtype {dtype}, and its choice has no gradient. "
                "Say what is to be true of it, such as `c > 0` or `c != 0`."
            )
        self.condition = condition != 0
        return np.where(self.condition, x, y)  # (1)

    def backward(self, dz: Array) -> tuple[None, Array | None, Array | None]:
        dx = np.where(self.condition, dz, 0) if self.needs[1] else None  # (2)
        dy = np.where(self.condition, 0, dz) if self.needs[2] else None  # (3)
        return None, dx, dy


def unless_nan(y: Array, g: Array) -> Array:
    """g, but nan where y is nan."""
    return np.where(y == y, g, y)


def maximum(a: TensorLike, b: TensorLike) -> Tensor:
    """The larger of a and b, elementwise with broadcasting; at a tie they share the gradient equally."""
    return Maximum.apply(a, b)


def minimum(a: TensorLike, b: TensorLike) -> Tensor:
    """The smaller of a and b, elementwise with broadcasting; at a tie they share the gradient equally."""
    return Minimum.apply(a, b)


def fmax(a: TensorLike, b: TensorLike) -> Tensor:
    """The larger of a and b, entry by entry; where one is nan, the other."""
    return maximum(where(np.isnan(raw(a)), b, a), where(np.isnan(raw(b)), a, b))


def fmin(a: TensorLike, b: TensorLike) -> Tensor:
    """The smaller of a and b, entry by entry; where one is nan, the other."""
    return minimum(where(np.isnan(raw(a)), b, a), where(np.isnan(raw(b)), a, b))


def clip(
    a: TensorLike,
    a_min: TensorLike | None = None,
    a_max: TensorLike | None = None,
    *,
    min: TensorLike | None = None,
    max: TensorLike | None = None,
) -> Tensor:
    """a held between two bounds, each a number, an array that broadcasts, a tensor, or None for no bound.

    As in NumPy, `min` and `max` are other names of `a_min` and `a_max`. Raises TypeError if a bound is given by both.
    """
    for name, old, new in (("min", a_min, min), ("max", a_max, max)):
        if old is not None and new is not None:
            raise TypeError(f"clip got both a_{name}= and {name}=, two names of one bound. Give one of them.")
    return Clip.apply(a, min if a_min is None else a_min, max if a_max is None else a_max)


def where(condition: TensorLike, x: TensorLike, y: TensorLike) -> Tensor:
    """x where `condition` (an array of booleans, or of integers meaning "not 0") holds, y elsewhere.

    All three broadcast. The condition has no gradient; nan or infinity on the side that was not chosen does not reach
    the gradient of the other. Raises TypeError if the condition is floating-point.
    """
    return Where.apply(condition, x, y)


def select(condlist: Sequence[TensorLike], choicelist: Sequence[TensorLike], default: TensorLike = 0.0) -> TensorLike:
    """At every place the entry of the first choice whose condition holds there, `default` where none does.

    Conditions are arrays of booleans; all broadcast, as in `where`. Raises ValueError unless there are as many choices
    as conditions, and some.
    """
    if len(condlist) != len(choicelist) or len(condlist) == 0:
        raise ValueError(f"select got {len(condlist)} conditions for {len(choicelist)} choices: give one for each.")
    y = default
    for condition, x in zip(condlist[::-1], choicelist[::-1], strict=True):
        y = where(condition, x, y)
    return y


def nan_to_num(
    x: TensorLike, copy: bool = True, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """x with nan and infinities replaced by numbers, as np.nan_to_num; what was replaced gets no gradient.

    By default nan becomes 0 and infinities the largest numbers there are. `copy` is NumPy's, and nothing is ever
    written into x.
    """
    number = np.nan_to_num(raw(x), nan=nan, posinf=posinf, neginf=neginf)
    return Where.apply(np.isfinite(raw(x)), x, number)
