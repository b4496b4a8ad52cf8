"""What every part of the engine does to plain arrays: accept them, fit gradients to them, notice changes of them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import count
from typing import Any
from weakref import ReferenceType, ref

import numpy as np

__all__ = ["Array", "Axis", "Storage", "StandIn", "as_array", "tick", "unbroadcast"]

# What numpy.typing calls NDArray[Any]; importing that would take longer than the rest of this file.
Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]
Axis = int | tuple[int, ...] | None

tick = count(1).__next__
"""One clock for everything: nodes are stamped when they are made, leaves when their array changes."""


class StandIn:
    """Base of what stands in for an array while `npgrad.compile` records: it answers like one, and is none."""


def as_array(x: Any, copy: bool = False) -> Array:
    """`x` as a native-endian numeric array, copied on request.

    Raises TypeError for anything that NumPy can hold only as objects or text.
    """
    if isinstance(x, StandIn):
        return x  # type: ignore[return-value]
    a = np.array(x) if copy else np.asarray(x)
    if a.dtype.kind not in "biufc":
        kind = type(x).__name__
        raise TypeError(f"npgrad computes with numbers; got {kind} of dtype {a.dtype}. Convert it to a numeric array.")
    return a if a.dtype.isnative else a.astype(a.dtype.newbyteorder("="))


def unbroadcast(g: Array, shape: Sequence[int]) -> Array:
    """`g`, a gradient of a broadcast operand, summed to the operand's own `shape`.

    With y = a + b and a broadcast along axis i, the entry a[j] was used for every i, so its derivative is the sum of
    all those uses: the transpose of copying is summing. Raises ValueError if `shape` does not broadcast to g's.
    """
    extra = g.ndim - len(shape)
    if extra < 0 or any(n not in (1, m) for n, m in zip(shape, g.shape[extra:], strict=True)):
        raise ValueError(f"a gradient of shape {g.shape}, and the input has shape {tuple(shape)}")
    stretched = [k for k, n in enumerate(g.shape) if k < extra or n != shape[k - extra]]
    return g.sum(axis=tuple(stretched)).reshape(shape)


class _Owner(np.ndarray[Any, Any]):
    """The memory of a leaf. Of its own class, because NumPy lets a view of a view refer to the array that owns the
    memory, but stops where the class changes: so all views of one handed-out array keep that array alive."""


class Storage:
    """The array of a leaf, and who outside may write into it.

    `hand_out()` gives away an array over the same memory. As long as it, or a view of it, is alive, writes through it
    are noticed by comparing checksums whenever a graph uses the leaf; after that, nothing is to be noticed any more.
    """

    __slots__ = ("_checksum", "_handed_out", "array", "version")

    def __init__(self, array: Array) -> None:
        self.array = array
        self.version = 0
        """When the array last changed, on the clock `tick`: a node made before that has used other numbers."""
        self._handed_out: ReferenceType[Array] | None = None
        # None: the array was assigned to since, and whatever it holds at its next use is right.
        self._checksum: int | None = None

    def hand_out(self) -> Array:
        """A writable array over this memory, the same one as long as somebody has it."""
        array = self._handed_out() if self._handed_out is not None else None
        if array is None:
            if self._handed_out is None:
                self._checksum = checksum(self.array)
            owner = self.array.base
            assert owner is not None
            array = owner.view(np.ndarray)
            self._handed_out = ref(array)
        return array

    def assign(self, new: Array) -> None:
        """Copy `new` into the memory, unless it is that memory (`t.data += …` assigns what it was given)."""
        if not (isinstance(new, np.ndarray) and new.ctypes.data == self.array.ctypes.data and new.base is self.array.base):
            self.array[...] = new
        self.touch()

    def touch(self) -> None:
        """The owner has changed the array."""
        self.version = tick()
        self._checksum = None

    def changed_since(self, time: int) -> bool:
        """Whether the array has changed since `time`."""
        if self._handed_out is not None:
            self.observe()
        return self.version > time

    def observe(self) -> None:
        """Notice what was written through a handed-out array."""
        if self._handed_out is None:
            return
        now = checksum(self.array)
        if self._checksum is None:
            self._checksum = now
        elif now != self._checksum:
            self._checksum = now
            self.version = tick()
        if self._handed_out() is None:
            self._handed_out = None


def owned(a: Any) -> Array:
    """A copy of `a` in memory that can be handed out."""
    if isinstance(a, StandIn):
        return a.copy()  # type: ignore[attr-defined, no-any-return]
    owner = _Owner(a.shape, a.dtype, order="F" if a.flags.fnc else "C")
    owner[...] = a
    return owner.view(np.ndarray)


def checksum(a: Array) -> int:
    """A checksum of the bytes of `a`."""
    return zlib.crc32(np.ascontiguousarray(a).view(np.uint8).data if a.size else b"")
