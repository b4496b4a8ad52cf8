"""Rearranging: rot90, fliplr, hsplit, unstack, append, block and their kind, put together from those of shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.shape import broadcast_to, concatenate, flip, moveaxis, ravel, reshape, split, swapaxes

__all__ = [
    "append", "array_split", "block", "broadcast_arrays", "dsplit", "fliplr", "flipud", "hsplit", "matrix_transpose",
    "meshgrid", "rollaxis", "rot90", "unstack", "vsplit",
]  # fmt: skip


def append(x: TensorLike, values: TensorLike, axis: int | None = None) -> Tensor:
    """x and `values`, one behind the other along `axis` (None: all their values, flattened)."""
    return concatenate([ravel(x), ravel(values)] if axis is None else [x, values], axis or 0)


def array_split(x: TensorLike, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """`split`, but into sections that differ in length by one where the length of the axis is no multiple of them.

    Raises ValueError for less than one section.
    """
    if isinstance(sections, int | np.integer):
        if sections < 1:
            raise ValueError(f"array_split takes 1 or more sections; got {sections}.")
        n = np.shape(raw(x))[axis]
        long = n % sections
        sections = [n // sections * k + min(k, long) for k in range(1, sections)]
    return split(x, sections, axis)


def vsplit(x: TensorLike, sections: int | Sequence[int]) -> list[Tensor]:
    """`split` along the first axis."""
    return split(x, sections, 0)


def hsplit(x: TensorLike, sections: int | Sequence[int]) -> list[Tensor]:
    """`split` along the second axis; of a vector along its only one."""
    return split(x, sections, 1 if np.ndim(raw(x)) > 1 else 0)


def dsplit(x: TensorLike, sections: int | Sequence[int]) -> list[Tensor]:
    """`split` along the third axis."""
    return split(x, sections, 2)


def unstack(x: TensorLike, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of x along `axis`, without that axis: the opposite of `stack`."""
    return tuple(moveaxis(x, axis, 0))


def broadcast_arrays(*tensors: TensorLike) -> tuple[Tensor, ...]:
    """All of them in the shape that they broadcast to."""
    shape = np.broadcast_shapes(*[np.shape(raw(x)) for x in tensors])
    return tuple([broadcast_to(x, shape) for x in tensors])


def flipud(x: TensorLike) -> Tensor:
    """x with its first axis reversed."""
    return flip(x, 0)


def fliplr(x: TensorLike) -> Tensor:
    """x with its second axis reversed."""
    return flip(x, 1)


def rot90(x: TensorLike, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """x turned by k quarters of a circle, from the first of `axes` towards the second.

    Raises ValueError if both are the same axis.
    """
    first, second = normalize_axis_tuple(axes, np.ndim(raw(x)))
    reversed_axes: tuple[int, ...] = ((), (first,), (first, second), (second,))[k % 4]
    return flip(swapaxes(x, first, second) if k % 2 else x, reversed_axes)


def matrix_transpose(x: TensorLike) -> Tensor:
    """x with its last two axes exchanged."""
    return swapaxes(x, -1, -2)


def rollaxis(x: TensorLike, axis: int, start: int = 0) -> Tensor:
    """x with `axis` moved before the axis that is at `start`, which may be as large as the number of axes."""
    ndim = np.ndim(raw(x))
    axis, start = normalize_axis_index(axis, ndim), normalize_axis_index(start, ndim + 1)
    return moveaxis(x, axis, start - (axis < start))


def block(arrays: Any) -> Tensor:
    """The array made of blocks in nested lists: the innermost lists are joined along the last axis, and so on outwards.

    Blocks with fewer axes than the lists are deep, or than another block, get more axes in front. Raises ValueError if
    lists are empty or not all equally deep, or if blocks do not fit.
    """
    levels: list[list[Any]] = [[arrays]]
    while any(isinstance(x, list) for x in levels[-1]):
        if not all(isinstance(x, list) and x for x in levels[-1]):
            raise ValueError("block takes blocks in lists that are equally deep everywhere, and not empty.")
        levels.append([x for inner in levels[-1] for x in inner])
    depth = len(levels) - 1
    ndim = max(depth, *[np.ndim(raw(x)) for x in levels[-1]])

    def joined(x: Any, axis: int) -> Tensor:
        if isinstance(x, list):
            return concatenate([joined(inner, axis + 1) for inner in x], axis)
        shape = np.shape(raw(x))
        return reshape(x, (1,) * (ndim - len(shape)) + shape)

    return joined(arrays, -depth)


def meshgrid(*vectors: TensorLike, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Tensor, ...]:
    """One array for each of n vectors: the coordinates, along its axis, of the points of an n-dimensional grid.

    With `indexing` "ij" vector i runs along axis i; with "xy" the first two change places. `sparse` leaves the other
    axes at length 1. `copy` is NumPy's, and nothing is ever written into the vectors. Raises ValueError for another
    indexing.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f'meshgrid takes indexing="xy" or "ij"; got {indexing!r}.')
    n = len(vectors)
    grids = [reshape(x, (1,) * k + (-1,) + (1,) * (n - 1 - k)) for k, x in enumerate(vectors)]
    if indexing == "xy" and n > 1:
        grids = [swapaxes(x, 0, 1) for x in grids]
    return tuple(grids) if sparse else broadcast_arrays(*grids)
