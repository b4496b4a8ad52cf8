"""Shape: reshape, transpose, broadcast, repeat, join, split, pad, flip, roll. Every value only changes its place.

So every backward rule here is the forward one undone: the gradient of a value is read where the value went, and summed
if the value went to several places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index as as_int
from typing import Any, cast

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.indexing import getitem, operand

__all__ = [
    "BroadcastTo",
    "Concatenate",
    "Flip",
    "Pad",
    "Reshape",
    "Roll",
    "Stack",
    "Transpose",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_to",
    "column_stack",
    "concatenate",
    "dstack",
    "expand_dims",
    "flip",
    "hstack",
    "moveaxis",
    "pad",
    "ravel",
    "repeat",
    "reshape",
    "roll",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "tile",
    "transpose",
    "vstack",
]


class Reshape(Function):
    """The same numbers in the same (row-major) order, under another shape; a view wherever NumPy can make one.

    Symbols
        x[q*i+k]                       a vector of p*q values, to be cut into rows of q
        p = size(i)                    rows of the result
        q = size(k)                    columns of the result
        shape = (size(i), size(k))     of the result
    Forward
        (1) y[i,k] = x[q*i+k]
    Backward
        (2) dx[m] = sum((i,k), delta(m, q*i+k)*dy[i,k])
    Notes
        Each place m is q*i+k for exactly one pair (i,k), so the sum of (2) has one term: dy with its rows laid end to
        end, which is a reshape again. Any reshape is a laying end to end of the first kind after a cut of the second.
    """

    def forward(self, x: Array, shape: Any) -> Array:
        self.x_shape = x.shape
        return x.reshape(shape)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy.reshape(self.x_shape)  # (2)


class Transpose(Function):
    """Axes in another order; always a view.

    Symbols
        x[i,j,k]            input
        axes = (2, 0, 1)    axis a of the result is axis axes[a] of the input; None reverses them
    Forward
        (1) y[k,i,j] = x[i,j,k]
    Backward
        (2) dx[i,j,k] = dy[k,i,j]
    Notes
        The code of (2) is a transpose by the inverse permutation: axis axes[a] of dx is axis a of dy.
    """

    def forward(self, x: Array, axes: Sequence[int] | None = None) -> Array:
        self.axes = axes
        return x.transpose(axes)  # (1)

    def backward(self, dy: Array) -> Array:
        if self.axes is None:
            return dy.transpose()
        inverse = [0] * dy.ndim
        for a, axis in enumerate(self.axes):
            inverse[axis] = a
        return dy.transpose(inverse)  # (2)


class BroadcastTo(Function):
    """Copies of x along new axes, or along axes of length 1; a view that stores no copy.

    Symbols
        x[k]                           input
        size(i) = 3                    copies
        shape = (size(i), size(k))     of the result
    Forward
        (1) y[i,k] = x[k]
    Backward
        (2) dx[k] = sum(i, dy[i,k])
    Notes
        The sum of (2) is taken by the sweep, for every Function in one place: see `npgrad.engine.arrays.unbroadcast`.
    """

    def forward(self, x: Array, shape: Any) -> Array:
        return np.broadcast_to(x, shape)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy  # (2)


class Concatenate(Function):
    """Arrays one after the other along an existing axis.

    Symbols
        a[i,k]                         first array
        b[j,k]                         next array; any number may follow, each as this one
        axis = 0                       the axis along which they are laid
        n = size(i)                    where b starts
        size(m) = size(i) + size(j)    length of the result
    Forward
        (1) y[m,k] = sum(i, delta(m, i)*a[i,k]) + sum(j, delta(m, n+j)*b[j,k])
    Backward
        (2) da[i,k] = dy[i,k]
        (3) db[j,k] = dy[n+j,k]
    Notes
        (1) says: row m is row m of a, or row m-n of b. Each array gets back the piece of dy that it occupies; a view.
    """

    def forward(self, a: Array, *b: Array, axis: int = 0) -> Array:
        y = np.concatenate((a, *b), axis)  # (1)
        self.axis = normalize_axis_index(axis, y.ndim)
        self.lengths = [x.shape[self.axis] for x in (a, *b)]
        return y

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        before = (slice(None),) * self.axis
        gradients: list[Array | None] = []
        n = 0
        for length, needed in zip(self.lengths, self.needs, strict=True):
            gradients.append(dy[(*before, slice(n, n + length))] if needed else None)  # (2) (3)
            n += length
        return tuple(gradients)


class Stack(Function):
    """Arrays of one shape side by side along a new axis.

    Symbols
        a[i,k]         first array
        b[i,k]         next array; any number may follow, each as this one
        axis = 1       place of the new axis in the result
        size(s) = 2    length of the new axis: the number of arrays
    Forward
        (1) y[i,s,k] = delta(s, 0)*a[i,k] + delta(s, 1)*b[i,k]
    Backward
        (2) da[i,k] = dy[i,0,k]
        (3) db[i,k] = dy[i,1,k]
    """

    def forward(self, a: Array, *b: Array, axis: int = 0) -> Array:
        y = np.stack((a, *b), axis)  # (1)
        self.axis = normalize_axis_index(axis, y.ndim)
        return y

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        # `...` keeps the pieces arrays where the result is one-dimensional.
        before: Any = (slice(None),) * self.axis
        return tuple(dy[(*before, s, ...)] if needed else None for s, needed in enumerate(self.needs))  # (2) (3)


class Pad(Function):
    """A constant around an array.

    Symbols
        x[i]                      input
        pad_width = ((1, 2),)     for each axis, the number of places before and after
        value = 0.5               what they are filled with
        p = 1                     places before
        size(m) = size(i) + 3     length of the result
    Forward
        (1) y[m] = value + sum(i, delta(m, p+i)*(x[i] - value))
    Backward
        (2) dx[i] = dy[p+i]
    Notes
        (1) says: place p+i is x[i], and every other is the value. The value is a constant, so what the gradient says
        about its places is dropped.
    """

    def forward(self, x: Array, pad_width: Sequence[tuple[int, int]], value: float = 0.0) -> Array:
        self.inside: Any = tuple([slice(p, p + n) for (p, _), n in zip(pad_width, x.shape, strict=True)])
        y = np.full_like(x, value, shape=[p + n + r for (p, r), n in zip(pad_width, x.shape, strict=True)])
        y[self.inside] = x  # (1)
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy[(*self.inside, ...)]  # (2)
        return dx


class Flip(Function):
    """Axes read backwards; a view.

    Symbols
        x[i]        input
        axis = 0    the axis, or axes, to reverse; None means all
    Forward
        (1) y[i] = x[size(i)-1-i]
    Backward
        (2) dx[i] = dy[size(i)-1-i]
    """

    def forward(self, x: Array, axis: int | tuple[int, ...] | None = None) -> Array:
        self.axis = axis
        return np.flip(x, axis)  # (1)

    def backward(self, dy: Array) -> Array:
        return np.flip(dy, self.axis)  # (2)


class Roll(Function):
    """Entries moved along axes, those that leave at one end coming back at the other.

    Symbols
        x[i]         input
        shift = 1    by how many places; one number for all axes, or one for each
        axis = 0     the axis or axes; None means over all values, flattened
    Forward
        (1) y[i] = x[(i - shift) % size(i)]
    Backward
        (2) dx[i] = dy[(i + shift) % size(i)]
    """

    def forward(self, x: Array, shift: Any, axis: Any = None) -> Array:
        self.shift, self.axis = shift, axis
        return np.roll(x, shift, axis)  # (1)

    def backward(self, dy: Array) -> Array:
        back = tuple([-n for n in self.shift]) if isinstance(self.shift, tuple) else -self.shift
        return np.roll(dy, back, self.axis)  # (2)


def reshape(x: TensorLike, shape: int | Sequence[int]) -> Tensor:
    """x in row-major order under another shape; one length may be -1. Raises ValueError if the sizes disagree."""
    return Reshape.apply(operand(x), shape=shape)


def ravel(x: TensorLike) -> Tensor:
    """x as a vector, in row-major order."""
    return Reshape.apply(operand(x), shape=-1)


def squeeze(x: TensorLike, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """x without its axes of length 1, or without those named. Raises ValueError if one of those is longer."""
    shape = np.shape(raw(x))
    axes = range(len(shape)) if axis is None else normalize_axis_tuple(axis, len(shape))
    if axis is not None and any(shape[a] != 1 for a in axes):
        raise ValueError(
            f"squeeze can only remove axes of length 1; got axis {axis} of shape {shape}. Index or reduce it."
        )
    return Reshape.apply(operand(x), shape=tuple([n for a, n in enumerate(shape) if n != 1 or a not in axes]))


def expand_dims(x: TensorLike, axis: int | tuple[int, ...]) -> Tensor:
    """x with axes of length 1 inserted, so that they stand at `axis` in the result."""
    shape = np.shape(raw(x))
    places = normalize_axis_tuple(axis, len(shape) + (len(axis) if isinstance(axis, tuple) else 1))
    rest = iter(shape)
    return Reshape.apply(
        operand(x), shape=tuple([1 if a in places else next(rest) for a in range(len(shape) + len(places))])
    )


def transpose(x: TensorLike, axes: Sequence[int] | None = None) -> Tensor:
    """x with its axes in the order `axes` (default: reversed). Raises ValueError unless `axes` is a permutation."""
    if axes is not None:
        ndim = np.ndim(raw(x))
        if np.ndim(axes) == 0 or len(axes) != ndim:
            raise ValueError(
                f"transpose takes an order of all {ndim} axes; got {axes!r}. Two axes are exchanged by swapaxes."
            )
        axes = normalize_axis_tuple(axes, ndim, "axes")
    return Transpose.apply(operand(x), axes=axes)


def swapaxes(x: TensorLike, axis1: int, axis2: int) -> Tensor:
    """x with two axes exchanged."""
    axes = list(range(np.ndim(raw(x))))
    i, j = normalize_axis_index(axis1, len(axes)), normalize_axis_index(axis2, len(axes))
    axes[i], axes[j] = j, i
    return Transpose.apply(operand(x), axes=tuple(axes))


def moveaxis(x: TensorLike, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """x with the axes `source` moved to `destination`, the others in order. Raises ValueError if the counts differ."""
    ndim = np.ndim(raw(x))
    moved = normalize_axis_tuple(source, ndim, "source")
    places = normalize_axis_tuple(destination, ndim, "destination")
    if len(moved) != len(places):
        raise ValueError(f"moveaxis got {len(moved)} source and {len(places)} destination axes; give as many of each.")
    goes = dict(zip(places, moved, strict=True))
    rest = iter([a for a in range(ndim) if a not in moved])
    return Transpose.apply(operand(x), axes=tuple([goes[a] if a in goes else next(rest) for a in range(ndim)]))


def broadcast_to(x: TensorLike, shape: int | Sequence[int]) -> Tensor:
    """x repeated to `shape` without copying. Raises ValueError if it does not broadcast to that."""
    return BroadcastTo.apply(x, shape=shape)


def concatenate(tensors: Sequence[TensorLike], axis: int | None = 0) -> Tensor:
    """The tensors one after the other along `axis` (None: all flattened first).

    Shapes must agree except along `axis`; ValueError otherwise, or if there are no tensors.
    """
    parts = _sequence(tensors, "concatenate")
    if axis is None:
        return Concatenate.apply(*[ravel(x) for x in parts], axis=0)
    return Concatenate.apply(*parts, axis=axis)


def stack(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis, at `axis` in the result. Raises ValueError if shapes differ."""
    return Stack.apply(*_sequence(tensors, "stack"), axis=axis)


def split(x: TensorLike, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """x cut along `axis` into equal sections (an integer), or before each of the given places (a sequence).

    Raises ValueError if the sections cannot be equal.
    """
    shape = np.shape(raw(x))
    axis = normalize_axis_index(axis, len(shape))
    length = shape[axis]
    if np.ndim(indices_or_sections) == 0:
        sections = as_int(indices_or_sections)  # type: ignore[arg-type]
        if sections < 1 or length % sections:
            raise ValueError(
                f"an axis of length {length} cannot be split into {sections} equal sections. "
                "Pass a divisor of the length, or the list of places to cut at."
            )
        cuts = list(range(length // sections, length, length // sections)) if length else [0] * (sections - 1)
    else:
        cuts = [as_int(k) for k in indices_or_sections]  # type: ignore[union-attr]
    before = (slice(None),) * axis
    return [getitem(x, (*before, slice(start, stop))) for start, stop in zip([0, *cuts], [*cuts, None], strict=True)]


def pad(x: TensorLike, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Tensor:
    """More entries around x: `pad_width` is a number for all sides, (before, after) for all axes, or a pair for each.

    They hold `constant_values`, or what x has elsewhere along the axis: `mode` "edge" repeats the last entry, "wrap"
    goes on at the other end, "reflect" turns back at the last entry and "symmetric" behind it. The signature is that of
    np.pad. Raises NotImplementedError for other modes, or several values.
    """
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap") or np.ndim(constant_values):
        raise NotImplementedError(
            f"pad takes one constant, or mode edge, reflect, symmetric or wrap; got mode={mode!r}, "
            f"constant_values={constant_values!r}. Other paddings can be put together with concatenate."
        )
    ndim = np.ndim(raw(x))
    widths = np.asarray(pad_width)
    if widths.dtype.kind not in "iu":
        raise TypeError(f"pad_width counts places and must be integers; got {pad_width!r}.")
    if widths.size and widths.min() < 0:
        raise ValueError(f"pad_width cannot be negative; got {pad_width!r}. Cut with a slice instead.")
    pairs = np.broadcast_to(widths, (ndim, 2)).tolist()
    if mode != "constant":
        for axis, width in enumerate(pairs):
            if any(width):
                places = np.pad(np.arange(np.shape(raw(x))[axis]), width, cast(Any, mode))
                x = getitem(x, (*(slice(None),) * axis, places))
        return getitem(x, ...)
    return Pad.apply(operand(x), pad_width=tuple([(before, after) for before, after in pairs]), value=constant_values)


def flip(x: TensorLike, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """x read backwards along `axis` (default: along every axis)."""
    return Flip.apply(x, axis=tuple(axis) if isinstance(axis, list) else axis)


def roll(x: TensorLike, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Tensor:
    """x with its entries moved by `shift` places along `axis`, round the end (None: of all its values, flattened)."""
    given = [tuple(n) if isinstance(n, Sequence) else n for n in (shift, axis)]
    return Roll.apply(operand(x), shift=given[0], axis=given[1])


def repeat(x: TensorLike, repeats: int | Sequence[int] | Array, axis: int | None = None) -> Tensor:
    """Each entry along `axis` several times in a row (None: of all values, flattened); one number, or one for each."""
    if axis is None:
        x, axis = ravel(x), 0
    shape = np.shape(raw(x))
    axis = normalize_axis_index(axis, len(shape))
    if np.ndim(repeats):
        return getitem(x, (*(slice(None),) * axis, np.repeat(np.arange(shape[axis]), repeats)))
    times = as_int(repeats)  # type: ignore[arg-type]
    copies = broadcast_to(expand_dims(x, axis + 1), (*shape[: axis + 1], times, *shape[axis + 1 :]))
    return reshape(copies, (*shape[:axis], shape[axis] * times, *shape[axis + 1 :]))


def tile(x: TensorLike, reps: int | Sequence[int]) -> Tensor:
    """x laid side by side `reps` times along each axis; one number is for the last axis."""
    times = (reps,) if isinstance(reps, int) else tuple(reps)
    shape = np.shape(raw(x))
    ndim = max(len(times), len(shape))
    times, shape = (1,) * (ndim - len(times)) + times, (1,) * (ndim - len(shape)) + shape
    copies = broadcast_to(
        reshape(x, [n for length in shape for n in (1, length)]),
        tuple([n for pair in zip(times, shape, strict=True) for n in pair]),
    )
    return reshape(copies, tuple([n * length for n, length in zip(times, shape, strict=True)]))


def atleast_1d(*tensors: TensorLike) -> Any:
    """x, or if it is a number a vector of one entry. Of several tensors a tuple."""
    return _each(tensors, lambda x, ndim: reshape(x, (1,)) if ndim == 0 else x)


def atleast_2d(*tensors: TensorLike) -> Any:
    """x with axes of length 1 in front until it has two. Of several tensors a tuple."""
    return _each(tensors, lambda x, ndim: reshape(x, (1,) * (2 - ndim) + np.shape(raw(x))) if ndim < 2 else x)


def atleast_3d(*tensors: TensorLike) -> Any:
    """x with axes of length 1 until it has three, a vector in the middle, as NumPy does. Of several tensors a tuple."""
    return _each(tensors, lambda x, ndim: expand_dims(x, ((0, 1, 2), (0, 2), 2)[ndim]) if ndim < 3 else x)


def vstack(tensors: Sequence[TensorLike]) -> Tensor:
    """The tensors one below the other; vectors are rows. Raises ValueError as `concatenate`."""
    return concatenate([atleast_2d(x) for x in _sequence(tensors, "vstack")], 0)


def hstack(tensors: Sequence[TensorLike]) -> Tensor:
    """The tensors side by side: along the second axis, or vectors end to end. Raises ValueError as `concatenate`."""
    parts = [atleast_1d(x) for x in _sequence(tensors, "hstack")]
    return concatenate(parts, 0 if np.ndim(raw(parts[0])) == 1 else 1)


def dstack(tensors: Sequence[TensorLike]) -> Tensor:
    """The tensors one behind the other, along a third axis. Raises ValueError as `concatenate`."""
    return concatenate([atleast_3d(x) for x in _sequence(tensors, "dstack")], 2)


def column_stack(tensors: Sequence[TensorLike]) -> Tensor:
    """The tensors side by side as columns of a matrix; vectors are columns. Raises ValueError as `concatenate`."""
    parts = [atleast_1d(x) for x in _sequence(tensors, "column_stack")]
    return concatenate([expand_dims(x, 1) if np.ndim(raw(x)) == 1 else x for x in parts], 1)


def _each(tensors: tuple[TensorLike, ...], change: Callable[[Any, int], Any]) -> Any:
    changed = tuple([change(x, np.ndim(raw(x))) for x in tensors])
    changed = tuple([x if isinstance(x, Tensor) else Tensor(x) for x in changed])
    return changed[0] if len(changed) == 1 else changed


def _sequence(tensors: Any, name: str) -> Sequence[Any]:
    """The tensors of a call, as a sequence that is not empty."""
    if isinstance(tensors, Tensor):
        return list(tensors)
    if not isinstance(tensors, Sequence | np.ndarray) or len(tensors) == 0:
        raise ValueError(f"{name} needs a sequence of at least one tensor; got {tensors!r}. Write {name}([a, b]).")
    return tensors  # type: ignore[return-value]
