"""Second oracle: central differences, for functions that are not holomorphic and as an opinion from outside.

The five-point formula (Abramowitz & Stegun 25.3.6)

    f'(x) = [8·(f(x+h) − f(x−h)) − (f(x+2h) − f(x−2h))]/12h + O(h⁴)

balances truncation h⁴ and rounding 1e-16/h near h = 4e-4, where both are about 1e-13. The same five values tell a kink:
the difference of the one-sided slopes, D(h) = f(x+h) − 2f(x) + f(x−h) over h, is h·f'' where f is smooth and the jump J
of the slope at a kink, so 2·D(h) − D(2h) is O(h³) in the first case and J in the second. If it is not small, smaller
steps are tried: it must vanish with them, and they resolve a kink that is merely near.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.complex_step import outputs
from npgrad.derivative import Point
from npgrad.engine.arrays import Array

__all__ = ["STEPS", "central_difference"]

STEPS = (4e-4, 2.5e-5, 1.6e-6)
"""Steps tried in turn, relative to the size of the entries that move (and absolute below 1)."""
_JUMP = 1e-6


def central_difference(point: Point, k: int, v: Array, middle: list[Array]) -> tuple[list[Array], bool]:
    """The derivative of each output when input k moves along v, and whether f is smooth there; `middle` is f there.

    The second value is False if the one-sided slopes disagree even at the smallest step: a kink, a jump or the edge
    of the domain is closer than about 3e-6.
    """
    x = point.values[k]
    moving = np.abs(v) > 0
    largest = float(np.max(np.abs(v), initial=0.0))
    scale = max(1.0, float(np.max(np.abs(x), initial=0.0, where=moving))) / largest if largest else 1.0
    slopes: list[Array] = []
    jumps: list[Array | None] = [None] * len(middle)
    for step in STEPS:
        h = step * scale
        at = {}
        for s in (-2, -1, 1, 2):
            values: list[Any] = list(point.values)
            values[k] = x + (s * h) * v
            at[s] = evaluate(point, values)
        slopes = []
        smooth = True
        with np.errstate(all="ignore"):
            for j, f0 in enumerate(middle):
                inner, outer = at[1][j] - at[-1][j], at[2][j] - at[-2][j]
                slopes.append(np.asarray((8 * inner - outer) / (12 * h)))
                near = (at[1][j] - f0) - (f0 - at[-1][j])
                far = (at[2][j] - f0) - (f0 - at[-2][j])
                jump = np.abs(2 * near - far / 2) / h
                rounding = 64 * np.finfo(float).eps * np.abs(f0) / h
                size = (np.abs(inner) + np.abs(outer)) / h
                # `<=` is False for nan, which a point outside the domain gives.
                fine = jump <= _JUMP * size + rounding
                if (before := jumps[j]) is not None:
                    fine |= jump <= before / 100
                jumps[j] = jump
                smooth = smooth and bool(np.all(fine))
        if smooth:
            return slopes, True
    return slopes, False


def evaluate(point: Point, values: list[Any]) -> list[Array]:
    """The outputs of f at `values`, as arrays."""
    with np.errstate(all="ignore"), point.at(values, grad=False) as tensors:
        return [y._array.copy() for y in outputs(point(tensors))]
