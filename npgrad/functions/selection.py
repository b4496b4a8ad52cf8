"""Choosing between arrays, entry by entry: maximum minimum clip where.

The gradient goes to the entry that was chosen. Comparisons of complex numbers are made on the real part.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from npgrad.engine.function import Function
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor, TensorLike

__all__ = ["Clip", "Maximum", "Minimum", "Where", "clip", "maximum", "minimum", "where"]


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

    y: Array
    da: Array
    db: Array

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        self.y = np.maximum(a, b, out=self.y)
        if self.y.dtype.kind == "c":
            self.y = _pick(a, b, a.real > b.real, a.real < b.real)  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        share = _share(self.a.real > self.b.real, self.a.real >= self.b.real, self.y)  # (2)
        if self.needs[0]:
            self.da = np.multiply(dy, share, out=self.da)  # (3)
        if self.needs[1]:
            self.db = np.multiply(dy, 1.0 - share, out=self.db)  # (4)
        return self.da, self.db


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

    y: Array
    da: Array
    db: Array

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        self.y = np.minimum(a, b, out=self.y)
        if self.y.dtype.kind == "c":
            self.y = _pick(a, b, a.real < b.real, a.real > b.real)  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        share = _share(self.a.real < self.b.real, self.a.real <= self.b.real, self.y)  # (2)
        if self.needs[0]:
            self.da = np.multiply(dy, share, out=self.da)  # (3)
        if self.needs[1]:
            self.db = np.multiply(dy, 1.0 - share, out=self.db)  # (4)
        return self.da, self.db


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

    y: Array
    da: Array
    dlo: Array
    dhi: Array

    def forward(self, a: Array, lo: Array | None, hi: Array | None) -> Array:
        self.a, self.lo, self.hi = a, lo, hi
        if lo is None and hi is None:
            self.y = np.multiply(a, 1, out=self.y)
        else:
            self.y = np.clip(a, lo, hi, out=self.y)
        if self.y.dtype.kind == "c":
            y = a if lo is None else np.where(a.real < lo.real, lo, a)
            self.y = np.asarray(y if hi is None else np.where(y.real > hi.real, hi, y))  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        a = self.a.real
        lo: Any = -inf if self.lo is None else self.lo.real
        hi: Any = inf if self.hi is None else self.hi.real
        if self.needs[0]:
            self.da = self.masked(dy, (a >= lo) & (a <= hi), self.da)  # (2)
        if self.needs[1]:
            self.dlo = self.masked(dy, (a < lo) & (lo <= hi), self.dlo)  # (3)
        if self.needs[2]:
            self.dhi = self.masked(dy, np.maximum(a, lo) > hi, self.dhi)  # (4)
        return self.da, self.dlo, self.dhi

    def masked(self, dy: Array, mask: Array, out: Array) -> Array:
        g = np.asarray(np.multiply(dy, mask, out=out))
        np.copyto(g, self.y, where=np.isnan(self.y))
        return g


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

    z: Array
    dx: Array
    dy: Array

    def forward(self, condition: Array, x: Array, y: Array) -> Array:
        condition = np.asarray(condition)
        if condition.dtype.kind not in "biu":
            raise TypeError(
                f"where got a condition of dtype {condition.dtype}, and its choice has no gradient. "
                "Say what is to be true of it, such as `c > 0` or `c != 0`."
            )
        self.condition = condition = condition != 0
        if self.z is None:
            self.z = np.where(condition, x, y)
        else:
            np.copyto(self.z, y)
            np.copyto(self.z, x, where=condition)  # (1)
        return self.z

    def backward(self, dz: Array) -> tuple[None, Array | None, Array | None]:
        if self.needs[1]:
            self.dx = _selected(dz, self.condition, self.dx)  # (2)
        if self.needs[2]:
            self.dy = _selected(dz, ~self.condition, self.dy)  # (3)
        return None, self.dx, self.dy


def _pick(a: Array, b: Array, first: Array, second: Array) -> Array:
    """a, b or at a tie the mean of both: what `_share` is the derivative of."""
    return np.where(first, a, np.where(second, b, 0.5 * (a + b)))


def _share(above: Array, not_below: Array, y: Array) -> Array:
    """1, 1/2 at a tie, or 0; nan where y is nan."""
    share = np.asarray(np.add(above, not_below, dtype=y.real.dtype))
    np.multiply(share, 0.5, out=share)
    np.copyto(share, np.nan, where=np.isnan(y))
    return share


def _selected(dz: Array, condition: Array, out: Array | None) -> Array:
    if out is None:
        out = np.zeros_like(dz)
    else:
        out.fill(0)
    np.copyto(out, dz, where=condition)
    return out


def maximum(a: TensorLike, b: TensorLike) -> Tensor:
    """The larger of a and b, elementwise with broadcasting; at a tie they share the gradient equally."""
    return Maximum.apply(a, b)


def minimum(a: TensorLike, b: TensorLike) -> Tensor:
    """The smaller of a and b, elementwise with broadcasting; at a tie they share the gradient equally."""
    return Minimum.apply(a, b)


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
