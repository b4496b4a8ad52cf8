"""Large matrices in blocks of rows that stay in the processor's cache from one operation to the next.

A rule of ten elementwise operations on a matrix larger than the cache reads and writes the memory ten times. Where rows
do not depend on each other, ten operations on a block of them do so once.
"""

from __future__ import annotations

__all__ = ["row_blocks"]

BLOCK = 1 << 17
"""About so many numbers are a block: half a megabyte of float32."""


def row_blocks(rows: int, columns: int) -> list[slice]:
    """The blocks of rows of a matrix, first to last; a small matrix is one block."""
    step = max(1, BLOCK // max(1, columns))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
