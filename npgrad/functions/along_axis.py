"""Along an axis: take and its kind, sort, differences. All are put together from other functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.arithmetic import div, sub
from npgrad.functions.indexing import getitem, take_along_axis
from npgrad.functions.shape import atleast_1d, broadcast_to, concatenate, ravel, reshape, stack

__all__ = ["choose", "compress", "delete", "diff", "ediff1d", "extract", "gradient", "sort", "take"]


def take(x: TensorLike, indices: TensorLike, axis: int | None = None) -> Tensor:
    """The entries `indices` along `axis` (None: of all values, flattened), in the shape of `indices` at that axis.

    Raises IndexError if an index is out of range, or not an integer.
    """
    if axis is None:
        return getitem(ravel(x), indices)
    axis = normalize_axis_index(axis, np.ndim(raw(x)))
    return getitem(x, (*(slice(None),) * axis, indices))


def compress(condition: TensorLike, x: TensorLike, axis: int | None = None) -> Tensor:
    """The entries along `axis` (None: of all values, flattened) for which the vector `condition` is not 0.

    It may be shorter than the axis: what is beyond it is left out. Raises IndexError if it chooses beyond the axis.
    """
    return take(atleast_1d(x), np.flatnonzero(raw(condition)), axis)


def extract(condition: TensorLike, x: TensorLike) -> Tensor:
    """The entries of x, flattened, at the places where `condition`, flattened, is not 0."""
    return compress(condition, x)


def delete(x: TensorLike, obj: int | slice | Sequence[int] | Array, axis: int | None = None) -> Tensor:
    """x without the entries `obj` along `axis` (None: of all values, flattened): an index, several, a slice, a mask.

    Raises IndexError if an index is out of range.
    """
    n = np.size(raw(x)) if axis is None else np.shape(raw(x))[axis]
    return take(x, np.delete(np.arange(n), obj), axis)


def choose(a: TensorLike, choices: Sequence[TensorLike]) -> Tensor:
    """At every place the entry of choices[a], with a and the choices broadcast against each other.

    Raises ValueError unless the numbers in a count choices, from 0.
    """
    a = getitem(a, ...)
    if a.size and (np.min(raw(a)) < 0 or np.max(raw(a)) >= len(choices)):
        raise ValueError(f"choose got numbers from {np.min(raw(a))} to {np.max(raw(a))} for {len(choices)} choices.")
    shape = np.broadcast_shapes(a.shape, *[np.shape(raw(x)) for x in choices])
    stacked = stack([broadcast_to(x, shape) for x in choices], -1)
    return take_along_axis(stacked, broadcast_to(a, shape)[..., None], -1)[..., 0]


def sort(x: TensorLike, axis: int | None = -1) -> Tensor:
    """x in ascending order along `axis` (None: all values, flattened); equal values keep their order, nan is last."""
    if axis is None:
        x, axis = ravel(x), 0
    return take_along_axis(x, np.argsort(raw(x), axis, kind="stable"), axis)


def diff(
    x: TensorLike, n: int = 1, axis: int = -1, prepend: TensorLike | None = None, append: TensorLike | None = None
) -> Tensor:
    """The n-th differences of neighbours along `axis`, after putting `prepend` and `append` at its ends;
    with n = 0, x itself.

    Raises ValueError if n is negative or x has no axes.
    """
    shape = np.shape(raw(x))
    if n < 0 or not shape:
        raise ValueError(f"diff takes differences along an axis, n times with n >= 0; got shape {shape} and n={n}.")
    axis = normalize_axis_index(axis, len(shape))
    ends = (*shape[:axis], 1, *shape[axis + 1 :])
    given = (prepend, x, append) if n else (x,)
    parts = [e if np.ndim(raw(e)) else broadcast_to(e, ends) for e in given if e is not None]
    y = concatenate(parts, axis)
    before: Any = (slice(None),) * axis
    for _ in range(n):
        y = sub(getitem(y, (*before, slice(1, None))), getitem(y, (*before, slice(None, -1))))
    return y


def ediff1d(x: TensorLike, to_end: TensorLike | None = None, to_begin: TensorLike | None = None) -> Tensor:
    """The differences of neighbours in x, flattened, with `to_begin` before and `to_end` behind them."""
    parts = (to_begin, diff(ravel(x)), to_end)
    return concatenate([ravel(part) for part in parts if part is not None])


def gradient(
    x: TensorLike, *spacing: TensorLike, axis: int | Sequence[int] | None = None, edge_order: int = 1
) -> Tensor | tuple[Tensor, ...]:
    """How steep x is along `axis` (None: every axis), by differences of its entries; a tuple if there are several axes.

    `spacing` is the distance of neighbours, or a vector of places: one for all axes or one for each (default 1).
    Inside, the slope of the parabola through an entry and both neighbours; at the two ends the difference to the one
    neighbour, or with `edge_order` 2 the slope there of the parabola through three entries. As np.gradient.

    Raises ValueError for other spacings, another edge_order, or an axis with less than edge_order + 1 entries.
    """
    shape = np.shape(raw(x))
    axes = normalize_axis_tuple(range(len(shape)) if axis is None else axis, len(shape))
    steps = spacing * len(axes) if len(spacing) == 1 else spacing or (1.0,) * len(axes)
    fits = all(np.shape(raw(h)) in ((), (shape[a],)) for a, h in zip(axes, steps, strict=False))
    if len(steps) != len(axes) or not fits or edge_order not in (1, 2):
        raise ValueError(
            f"gradient takes a number or a vector of places as spacing, or one for each of {len(axes)} axes of shape "
            f"{shape}, and edge_order 1 or 2; got spacing={spacing!r}, edge_order={edge_order!r}."
        )
    if any(shape[a] <= edge_order for a in axes):
        raise ValueError(f"gradient needs {edge_order + 1} entries along each axis; got shape {shape}.")
    slopes = tuple([slope(x, a, h, edge_order) for a, h in zip(axes, steps, strict=True)])
    return slopes[0] if len(slopes) == 1 else slopes


def slope(x: TensorLike, axis: int, spacing: TensorLike, edge_order: int) -> Tensor:
    """`gradient` along one axis."""

    def part(y: TensorLike, start: int | None, stop: int | None) -> Tensor:
        return getitem(y, (*(slice(None),) * axis, slice(start, stop)))

    rise = sub(part(x, 1, None), part(x, None, -1))
    if np.ndim(raw(spacing)):
        places = reshape(spacing, (-1, *(1,) * (np.ndim(raw(x)) - 1 - axis)))
        step = sub(getitem(places, slice(1, None)), getitem(places, slice(None, -1)))
        rise = div(rise, step)
        before, behind = getitem(step, slice(None, -1)), getitem(step, slice(1, None))
        inner = (behind * part(rise, None, -1) + before * part(rise, 1, None)) / (before + behind)
    else:
        rise = div(rise, spacing)
        inner = (part(rise, None, -1) + part(rise, 1, None)) / 2
    first, last = part(rise, None, 1), part(rise, -1, None)
    if edge_order == 2:
        # The slope of a parabola between two places is the mean of those at both.
        first, last = 2 * first - part(inner, None, 1), 2 * last - part(inner, -1, None)
    return concatenate([first, inner, last], axis)
