"""What the pattern of a wrong gradient says about the mistake behind it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from npgrad.engine.arrays import Array

__all__ = ["Evidence", "likely_cause"]


class Evidence(NamedTuple):
    """A wrong gradient and everything that was known when it was computed."""

    got: Array
    want: Array
    """The reference; nan where it was not computed."""
    tolerance: float
    k: int
    inputs: list[Any]
    outputs: list[Array]
    dys: list[Array]


def likely_cause(e: Evidence) -> str:
    """One line: the first explanation that fits every entry; honest if none does."""
    with np.errstate(all="ignore"):
        for find in (not_finite, zero, factor, rearranged, some_entries, pointwise_factor, missing_path, summed):
            cause = find(e)
            if cause is not None:
                return cause
    return "none recognised; check the equation of this input in the derivation"


def same(e: Evidence, a: Array, b: Array) -> bool:
    gap = np.abs(a - b)
    limit = max(1e3 * e.tolerance, 1e-6 * float(np.nanmax(np.abs(e.want))))
    return bool(np.all((gap <= limit) | np.isnan(gap)))


def constant(e: Evidence, ratio: Array, weight: Array) -> float | None:
    """The value of `ratio` if it is the same wherever `weight` is not negligible."""
    use = np.isfinite(ratio) & np.isfinite(weight) & (np.abs(weight) > 1e3 * e.tolerance)
    if not use.any():
        return None
    values = ratio[use]
    middle = float(np.median(values))
    return middle if np.all(np.abs(values - middle) <= 1e-6 * abs(middle)) else None


def not_finite(e: Evidence) -> str | None:
    if np.all(np.isfinite(e.got)):
        return None
    return "overflow or division by zero in backward (shift by the maximum, guard the zero)"


def zero(e: Evidence) -> str | None:
    if np.any(e.got):
        return None
    return "no gradient arrives: the path from this input is missing (returned None or zeros, or cut by detach)"


def factor(e: Evidence) -> str | None:
    """got = c·want with a telling c."""
    c = constant(e, e.got / e.want, e.want)
    if c is None or not same(e, e.got, c * e.want):
        return None
    if abs(c + 1) < 1e-6:
        return "the sign is wrong"
    sign = " (and the sign is wrong)" if c < 0 else ""
    for n, what in sizes(e):
        for value, text in (
            (n, f"a missing division by n = {n} ({what}): a mean treated as a sum"),
            (1 / n, f"an extra division by n = {n} ({what}): a sum treated as a mean"),
        ):
            if n > 1 and abs(abs(c) - value) < 1e-6 * value:
                return text + sign
    for n, what in sizes(e):
        if n > 2:
            for value, text in ((n / (n - 1), "n − 1 where n belongs"), ((n - 1) / n, "n where n − 1 belongs")):
                if abs(abs(c) - value) < 1e-6 * value:
                    return f"{text}, n = {n} ({what}): check ddof" + sign
    return f"a constant factor of {c:.6g}" + sign


def sizes(e: Evidence) -> Iterator[tuple[int, str]]:
    """The numbers a mean may have been taken over."""
    arrays = [(x, f"input {j}") for j, x in enumerate(e.inputs) if isinstance(x, np.ndarray)]
    arrays += [(y, "the result") for y in e.outputs]
    for a, name in arrays:
        for axis, n in enumerate(a.shape):
            yield n, f"axis {axis} of {name}"
        yield a.size, f"the size of {name}"
    for y in e.outputs:
        x = e.got
        if y.size and x.size % y.size == 0:
            yield x.size // y.size, "entries of the input for each of the result"


def rearranged(e: Evidence) -> str | None:
    """got holds the right numbers in the wrong places."""
    shape = e.got.shape
    if not 0 < e.got.ndim < 6 or np.isnan(e.want).any():
        return None
    for axes in permutations(range(e.got.ndim)):
        turned = np.transpose(e.want, axes)
        if axes != tuple(range(e.got.ndim)):
            if turned.shape == shape and same(e, e.got, turned):
                return f"transposed: the axes are permuted by {axes}"
            if same(e, e.got, turned.reshape(shape)):
                return f"the values of the transposed gradient (axes {axes}) were reshaped instead of transposed back"
    for axis in range(e.got.ndim):
        if same(e, e.got, np.flip(e.want, axis)):
            return f"in reverse order along axis {axis}"
        for shift in range(1, shape[axis]):
            if same(e, e.got, np.roll(e.want, shift, axis)):
                return f"shifted by {shift} along axis {axis}"
    if same(e, np.sort(e.got, axis=None), np.sort(e.want, axis=None)):
        return "the right values in the wrong places"
    return None


def some_entries(e: Evidence) -> str | None:
    """Only some entries are wrong: those whose index repeats?"""
    wrong = np.abs(e.got - e.want) > 1e3 * e.tolerance
    if wrong.all() or not wrong.any() or np.isnan(e.want).any() or e.got.ndim == 0:
        return None
    for j, indices in enumerate(e.inputs):
        if not (isinstance(indices, np.ndarray) and indices.dtype.kind in "iu" and indices.size):
            continue
        for axis, n in enumerate(e.got.shape):
            counts = np.bincount(indices.ravel() % n, minlength=n) if np.max(np.abs(indices)) <= n else np.zeros(1)
            rows = wrong.any(axis=tuple(a for a in range(wrong.ndim) if a != axis))
            if counts.shape == rows.shape and np.all(counts[rows] > 1):
                return f"wrong only where indices (input {j}) repeat: g[idx] += v loses duplicates, np.add.at does not"
    for axis in range(e.got.ndim):
        rows = np.flatnonzero(wrong.any(axis=tuple(a for a in range(wrong.ndim) if a != axis)))
        if len(rows) < e.got.shape[axis] and e.got.ndim > 0:
            which = ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")
            return (
                f"only {which} along axis {axis} are wrong: entries used several times lose contributions "
                "(g[idx] += v; use np.add.at), or a boundary or mask is treated differently"
            )
    return None


def pointwise_factor(e: Evidence) -> str | None:
    """got/want is a simple expression in the input, the result, dy or another input: a power, a forgotten factor."""
    ratio = e.got / e.want
    named: list[tuple[str, Array]] = [("the input", np.asarray(e.inputs[e.k]))]
    for y, dy in zip(e.outputs, e.dys, strict=True):
        named += [("dy", dy), ("y", y), ("1 − y", 1 - y), ("1 + y", 1 + y), ("1 − y²", 1 - y * y)]
    named += [
        (f"input {j}", x)
        for j, x in enumerate(e.inputs)
        if j != e.k and isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.size > 1
    ]
    for name, a in named:
        try:
            a = np.broadcast_to(a, ratio.shape)
        except ValueError:
            continue
        if np.all(a == a.flat[0]):
            continue
        for power in (-3, -2, -1, -0.5, 0.5, 1, 2, 3):
            c = constant(e, ratio / a**power if power == int(power) else ratio / np.abs(a) ** power, e.want)
            if c is None:
                continue
            by = "" if abs(c - 1) < 1e-6 else f"{c:.4g}·"
            if power == -1 and name != "the input":
                return f"the factor {name} is missing (backward is right after multiplying by {name})"
            if name == "the input":
                return (
                    f"the power of the input is off by {power:g}: backward gives {by}x**{power:g} times the right one"
                )
            return f"gradient of a different power: backward gives {by}({name})**{power:g} times the right one"
    return None


def missing_path(e: Evidence) -> str | None:
    """want − got is constant along an axis, or a multiple of the result: a path through a statistic is missing."""
    if np.isnan(e.want).any():
        return None
    gap = e.want - e.got
    for axes in [*[(a,) for a in range(gap.ndim)], tuple(range(gap.ndim))]:
        n = int(np.prod([gap.shape[a] for a in axes]))
        if n > 1 and same(e, gap, np.broadcast_to(gap.mean(axis=axes, keepdims=True), gap.shape)):
            return f"off by the same amount along {axis_text(axes)}: the path through a sum or mean over it is missing"
    for y in e.outputs:
        if y.shape != gap.shape:
            continue
        for axes in [*[(a,) for a in range(gap.ndim)], tuple(range(gap.ndim))]:
            if int(np.prod([gap.shape[a] for a in axes])) < 3:
                continue
            for a, what in (
                (y, "the result: the path through a normalising sum (as in softmax) is missing"),
                (y - y.mean(axis=axes, keepdims=True), "the centred result: the path through the variance is missing"),
            ):
                slope = (gap * a).sum(axis=axes, keepdims=True) / (a * a).sum(axis=axes, keepdims=True)
                if same(e, gap, slope * a):
                    return f"off by a multiple, along {axis_text(axes)}, of {what}"
    return None


def summed(e: Evidence) -> str | None:
    """got does not vary along an axis where the gradient does."""
    for axis in range(e.got.ndim):
        if e.got.shape[axis] > 1 and not np.isnan(e.want).any():
            first = np.take(e.got, [0], axis)
            if same(e, e.got, np.broadcast_to(first, e.got.shape)):
                return f"backward does not vary along axis {axis}, the right gradient does: summed or broadcast too far"
    return None


def axis_text(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else "all axes"
