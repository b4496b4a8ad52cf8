"""Indexing: slices, gathers, embeddings. What was read once gets its gradient back, what was read often the sum."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.recording import StandIn
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.matrix_sums import constant_array
from npgrad.functions.selection import where

__all__ = ["Embedding", "GetItem", "Slice", "TakeAlongAxis", "embedding", "getitem", "take_along_axis"]


class Slice(Function):
    """Basic indexing, x[key] by integers, slices, None and Ellipsis: each value is read at most once; a view.

    Symbols
        x[i,k]     input
        key = 1    the index; here an integer, which picks a row
    Forward
        (1) y[k] = x[1,k]
    Backward
        (2) dx[i,k] = delta(i, 1)*dy[k]
    Notes
        What was not read had no influence: its gradient is zero. A slice reads several rows, each once, so dy is
        written to where they are, and nothing needs adding.
    """

    def forward(self, x: Array, key: Any) -> Array:
        self.key, self.x_shape = key, x.shape
        y: Array = x[key]  # (1)
        return y

    def backward(self, dy: Array) -> Array:
        dx = np.zeros_like(dy, shape=self.x_shape)
        dx[self.key] = dy  # (2)
        return dx


class GetItem(Function):
    """Indexing by arrays, x[index]: a gather. A value read several times has several gradients, which add up.

    Symbols
        x[i,k]           input
        index[j] in i    the rows to read; they may repeat, and may stand among slices in a longer index
    Forward
        (1) y[j,k] = x[index[j],k]
    Backward
        (2) dx[i,k] = sum(j, delta(i, index[j])*dy[j,k])
    Notes
        The trap is dx[index] += dy, which reads, adds and writes each place once however often it is named, and so
        loses all but the last of the duplicates.

        `key` is the whole index, with `ARRAY` standing for each array; without it the arrays are the whole index.
    """

    def forward(self, x: Array, *index: Array, key: tuple[Any, ...] | None = None) -> Array:
        if key is None:
            self.key: tuple[Any, ...] = index
        else:
            arrays = iter(index)
            self.key = tuple([next(arrays) if item is ARRAY else item for item in key])
        self.x_shape, self.index = x.shape, index
        y: Array = x[self.key]  # (1)
        return y

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        if all(array.dtype.kind == "b" for array in self.index):
            # A mask names no place twice.
            dx = np.zeros_like(dy, shape=self.x_shape)
            dx[self.key] = dy
        else:
            places = self.places()
            dx = added(dy, places, self.x_shape)  # (2)
        return dx, *(None,) * len(self.index)

    def places(self) -> Array:
        """Where in the flattened input each number of the result was read."""
        if len(self.index) == len(self.key) and all(array.dtype.kind != "b" for array in self.index):
            # Integers alone read whole rows; numbering these spares numbering every element of the input.
            rows = np.ravel_multi_index(self.key, self.x_shape[: len(self.key)], mode="wrap")
            return places_of_rows(rows, math.prod(self.x_shape[len(self.key) :]))
        every = np.arange(math.prod(self.x_shape)).reshape(self.x_shape)
        places: Array = constant_array(every)[self.key]
        return places


class TakeAlongAxis(Function):
    """One value (or several) per position along an axis, such as the log-probability of each row's target.

    Symbols
        x[i,k]               input
        indices[i,j] in k    which entries of row i to read
        axis = 1             the axis along which indices count
    Forward
        (1) y[i,j] = x[i,indices[i,j]]
    Backward
        (2) dx[i,k] = sum(j, delta(k, indices[i,j])*dy[i,j])
    """

    def forward(self, x: Array, indices: Array, axis: int = -1) -> Array:
        y: Array = np.take_along_axis(x, indices, axis)  # (1)
        self.x_shape, self.indices, self.axis = x.shape, indices, normalize_axis_index(axis, x.ndim)
        return y

    def backward(self, dy: Array) -> tuple[Array, None]:
        if dy.size == 0:
            return np.zeros_like(dy, shape=self.x_shape), None
        key: list[Any] = list(np.ogrid[tuple([slice(n) for n in self.x_shape])])
        key[self.axis] = self.indices
        places = np.ravel_multi_index(key, self.x_shape, mode="wrap")
        dx = added(dy, places, self.x_shape)  # (2)
        return dx, None


class Embedding(Function):
    """Rows of a table: row i of the result is the vector of token indices[i].

    Symbols
        E[v,c]             the table: one row per token of the vocabulary
        indices[i] in v    tokens; they may repeat
    Forward
        (1) y[i,c] = E[indices[i],c]
                   = sum(v, delta(v, indices[i])*E[v,c])
    Backward
        (2) dE[v,c] = sum(i, delta(v, indices[i])*dy[i,c])    # row v was copied to every i whose token it is
    Notes
        The second form of (1) has one-hot rows: an embedding is a product with a matrix of zeros and ones, and (2) is
        the product with its transpose. For a small vocabulary that product is the quickest way to compute (2). For a
        large one nearly all of it would be zeros, and each number is added to its place in the flattened table instead
        (`np.add.at` has a fast loop for one dimension). Sorting the tokens to add whole segments (`np.add.reduceat`)
        was slower than either.
    """

    @classmethod
    def check(cls, E: Array, indices: Array) -> None:
        if E.ndim != 2:
            raise ValueError(f"embedding needs a table of shape (vocabulary, features); got shape {E.shape}.")
        check_indices(indices, len(E))

    def forward(self, E: Array, indices: Array) -> Array:
        self.E_shape, self.indices = E.shape, indices
        # The indices are known to be good; with any other mode than "raise" NumPy can write a result where it is told.
        y: Array = E.take(indices, 0, None, "clip")  # (1)
        return y

    def backward(self, dy: Array) -> tuple[Array, None]:
        (tokens, width), n = self.E_shape, self.indices.size
        if tokens <= SMALL and tokens * n <= MANY:
            onehot = constant_array(unit_rows(tokens, dy.dtype)).take(self.indices.reshape(n), 0, None, "clip")
            dE = onehot.T.dot(dy.reshape(n, width))  # (2)
            # 0*nan is nan: the product would spread one row that is not finite over the whole table.
            table = dE.reshape(tokens * width)
            norm = table.dot(table)
            if norm == norm:
                return dE, None
        return added(dy, places_of_rows(self.indices, width), self.E_shape), None


SMALL = 64
"""Vocabularies of at most so many tokens get their gradient by a matrix product …"""

MANY = 1 << 20
"""… unless the matrix would have more entries than this."""


@lru_cache(maxsize=8)
def unit_rows(n: int, dtype: np.dtype[Any]) -> Array:
    """The identity matrix, whose rows are the one-hot vectors."""
    rows = np.eye(n, dtype=dtype)
    rows.flags.writeable = False
    return rows


class _Array:
    """Stands in an index for an array that is passed separately."""

    def __repr__(self) -> str:
        return "ARRAY"


ARRAY = _Array()
_BASIC = frozenset({int, slice, type(None), type(Ellipsis)})


def places_of_rows(rows: Array, width: int) -> Array:
    """The places that the numbers of these rows have in the flattened table, row after row."""
    if width == 1:
        return rows
    return rows.reshape(rows.size, 1) * np.intp(width) + np.arange(width)


def added(dy: Array, places: Array, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape`, with each number of dy added to its place in the flattened array; places may repeat."""
    total = np.zeros_like(dy, shape=math.prod(shape))
    np.add.at(total, places.reshape(dy.size), dy.reshape(dy.size))
    return total.reshape(shape)


_UNSIGNED = {size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}


def check_indices(indices: Array, size: int) -> None:
    """Raise TypeError unless `indices` are integers, IndexError unless all are in 0 … size - 1."""
    if indices.dtype.kind not in "iu":
        raise TypeError(
            f"embedding indices must be integers; got {indices.dtype}. Convert them with .astype(np.int64)."
        )
    if indices.size == 0:
        return
    # Seen as unsigned a negative number is huge, so that one maximum finds both kinds of mistake; by way of its place,
    # because `np.maximum.reduce` takes twice as long to begin.
    unsigned = indices.reshape(indices.size).view(_UNSIGNED[indices.itemsize])
    if unsigned[unsigned.argmax()] >= size:
        wrong = indices[indices.view(_UNSIGNED[indices.itemsize]) >= size].reshape(-1)[0]
        raise IndexError(
            f"embedding index {wrong} is outside the vocabulary of {size} (0 to {size - 1}). "
            "Check that the data was encoded with the vocabulary the table was made for."
        )


def operand(x: TensorLike) -> TensorLike:
    """`x`, but a Python number as an array without axes: here its place is asked for, not its value."""
    return np.asarray(x) if isinstance(x, int | float | complex) else x


def getitem(x: TensorLike, index: Any) -> Tensor:
    """x[index] for integers, slices, None, Ellipsis, and boolean or integer arrays, in any combination NumPy takes.

    Raises IndexError where NumPy does.
    """
    key = index if type(index) is tuple else (index,)
    for item in key:
        if type(item) not in _BASIC:
            return _gather(x, key)
    return Slice.apply(operand(x), key=key)


def _gather(x: TensorLike, key: tuple[Any, ...]) -> Tensor:
    """Indexing with arrays: they become inputs, so that a compiled step sees them change."""
    arrays: list[Any] = []
    pattern: list[Any] = []
    for item in key:
        if type(item) not in _BASIC and np.ndim(array := _as_index(item)) + (array.dtype.kind == "b"):
            arrays.append(array)
            pattern.append(ARRAY)
        else:
            pattern.append(item if type(item) in _BASIC else int(item))
    if not arrays:
        return Slice.apply(operand(x), key=tuple(pattern))
    return GetItem.apply(operand(x), *arrays, key=None if len(arrays) == len(pattern) else tuple(pattern))


def _as_index(item: Any) -> Array:
    array: Array = raw(item)
    if not isinstance(array, StandIn):
        array = np.asarray(array)
    if array.size == 0 and not isinstance(item, Tensor | np.ndarray):
        array = array.astype(np.intp)
    if array.dtype.kind not in "biu":
        raise IndexError(
            f"an index must be made of integers or booleans; got {type(item).__name__} of dtype {array.dtype}. "
            "Convert it with .astype(np.int64)."
        )
    return array


def take_along_axis(x: TensorLike, indices: TensorLike, axis: int = -1) -> Tensor:
    """x[…, indices[…, j, …], …] along `axis`: `indices` has the dimensions of x and says which entries to read there.

    Raises IndexError if an index is out of range, or not an integer; ValueError if the dimensions differ.
    """
    return TakeAlongAxis.apply(x, indices, axis=axis)


def embedding(weight: TensorLike, indices: TensorLike, padding_idx: int | None = None) -> Tensor:
    """The rows `indices` of `weight` (vocabulary, features), in the shape of `indices` with the features as last axis.

    The row `padding_idx` (from the end if negative), which stands for nothing, receives no gradient. Raises IndexError
    for an index that is negative or beyond the vocabulary, or a `padding_idx` that is no row; TypeError for an index
    that is not an integer.
    """
    y = Embedding.apply(weight, operand(indices))
    if padding_idx is None:
        return y
    table = raw(weight)
    if not -len(table) <= padding_idx < len(table):
        raise IndexError(f"embedding has no row padding_idx={padding_idx}: the weight has {len(table)} rows.")
    padding = np.equal(raw(indices), padding_idx % len(table))
    return where(np.expand_dims(padding, -1), table[padding_idx], y)
