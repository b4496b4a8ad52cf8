"""Sums and means along the rows and columns of a matrix, as products with a constant vector.

For the small matrices of a minibatch this takes a third of the time of `np.add.reduce`, whose loop pays a fixed price
per row; for large ones it is as fast as memory. A mean costs nothing more than a sum.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from npgrad.tensor import Array

__all__ = ["column_mean", "column_sum", "constant", "constant_array", "row_sum"]


@lru_cache(maxsize=256)
def constant(value: float, dtype: np.dtype[Any], n: int | None = None) -> Array:
    """A read-only vector of n times `value`, or a 0-d array of it.

    As an operand a 0-d array costs half as much as a Python number, which NumPy converts anew each time.
    """
    array = np.full(() if n is None else n, value, dtype)
    array.flags.writeable = False
    return array


def constant_array(a: Array) -> Array:
    """A constant that a recorded index may look things up in."""
    return a


def column_sum(x: Array, out: Array | None = None) -> Array:
    """sum(i, x[i,k]) of a matrix x (rows, columns), as an array (columns,)."""
    return constant(1.0, x.dtype, len(x)).dot(x, out=out)


def column_mean(x: Array, out: Array | None = None, m: int | None = None) -> Array:
    """sum(i, x[i,k])/m of a matrix x (rows, columns), m being the number of rows unless given."""
    return constant(1.0 / (m or len(x)), x.dtype, len(x)).dot(x, out=out)


def row_sum(x: Array, out: Array | None = None) -> Array:
    """sum(k, x[i,k]) of a matrix x (rows, columns), as an array (rows,)."""
    return x.dot(constant(1.0, x.dtype, x.shape[1]), out=out)
