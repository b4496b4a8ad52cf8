"""Sums along the rows and columns of a matrix, as products with a vector of ones.

For the small matrices of a minibatch this takes a third of the time of `np.add.reduce`, whose loop pays a fixed price
per row; for large ones it is as fast as memory.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from npgrad.tensor import Array

__all__ = ["column_sum", "row_sum"]


@lru_cache(maxsize=64)
def _ones(n: int, dtype: np.dtype[Any]) -> Array:
    ones = np.ones(n, dtype)
    ones.flags.writeable = False
    return ones


def column_sum(x: Array, out: Array | None = None) -> Array:
    """sum(i, x[i,k]) of a matrix x (rows, columns), as an array (columns,)."""
    result: Array = _ones(len(x), x.dtype).dot(x, out=out)
    return result


def row_sum(x: Array, out: Array | None = None) -> Array:
    """sum(k, x[i,k]) of a matrix x (rows, columns), as an array (rows,)."""
    result: Array = x.dot(_ones(x.shape[1], x.dtype), out=out)
    return result
