"""Large arrays in blocks that stay in the processor's cache from one operation to the next.

A rule of ten elementwise operations on an array larger than the cache reads and writes the memory ten times. Where
entries, or rows, do not depend on each other, ten operations on a block of them do so once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npgrad.engine.arrays import Array

__all__ = ["blocks", "blocks_along", "empty_like", "row_blocks"]

BLOCK = 1 << 17
"""About so many numbers are a block: half a megabyte of float32."""


def row_blocks(rows: int, columns: int) -> list[slice]:
    """The blocks of rows of a matrix, first to last; a small matrix is one block."""
    step = max(1, BLOCK // max(1, columns))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def blocks(*arrays: Array, scratch: int = 0) -> Sequence[tuple[Array, ...]]:
    """Arrays of one shape, block for block; each time followed by so many arrays of scratch memory for the block.

    Small arrays are one block, and so are any that are not all in C order.
    """
    first = arrays[0]
    if first.size <= BLOCK or not all(a.flags.c_contiguous for a in arrays):
        return ((*arrays, *[np.empty_like(first) for _ in range(scratch)]),) if scratch else (arrays,)
    flat = [a.reshape(-1) for a in arrays]
    memory = [np.empty(BLOCK, first.dtype) for _ in range(scratch)]
    starts = range(0, first.size, BLOCK)
    return [(*[a[k : k + BLOCK] for a in flat], *[a[: first.size - k] for a in memory]) for k in starts]


def blocks_along(axis: int, *arrays: Array) -> Sequence[tuple[Array, ...]]:
    """Arrays, some of their rows at a time if they are large and `axis` is -1, that of the rows; otherwise whole."""
    first = arrays[0]
    if axis != -1 or first.size <= BLOCK or not all(a.flags.c_contiguous for a in arrays):
        return (arrays,)
    matrices = [a.reshape(-1, a.shape[-1]) for a in arrays]
    return [tuple([a[rows] for a in matrices]) for rows in row_blocks(len(matrices[0]), first.shape[-1])]


def empty_like(x: Array, out: Array | None) -> Array:
    """Memory of the shape and dtype of x: that of `out` if there is some."""
    return np.empty_like(x) if out is None else out
