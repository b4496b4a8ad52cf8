"""Rearranging: rot90, fliplr, hsplit, unstack, append and their kind, put together from the functions of shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.shape import broadcast_to, concatenate, flip, moveaxis, ravel, split, swapaxes

__all__ = [
    "append", "array_split", "broadcast_arrays", "dsplit", "fliplr", "flipud", "hsplit", "matrix_transpose", "rot90",
    "unstack", "vsplit",
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
