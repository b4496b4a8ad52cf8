"""Along an axis: take, sort, diff. All are put together from other functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.arithmetic import sub
from npgrad.functions.indexing import getitem, take_along_axis
from npgrad.functions.shape import broadcast_to, concatenate, ravel

__all__ = ["diff", "sort", "take"]


def take(x: TensorLike, indices: TensorLike, axis: int | None = None) -> Tensor:
    """The entries `indices` along `axis` (None: of all values, flattened), in the shape of `indices` at that axis.

    Raises IndexError if an index is out of range, or not an integer.
    """
    if axis is None:
        return getitem(ravel(x), indices)
    axis = normalize_axis_index(axis, np.ndim(raw(x)))
    return getitem(x, (*(slice(None),) * axis, indices))


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
