"""What every part of the engine does to plain arrays: accept them, fit gradients to them, notice changes of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any
from weakref import ReferenceType, ref

import numpy as np

from npgrad.engine.recording import StandIn

__all__ = [
    "Array",
    "Axis",
    "Reading",
    "Storage",
    "as_array",
    "changes",
    "note_change",
    "tick",
    "unbroadcast",
]

# What numpy.typing calls NDArray[Any]; importing that would take longer than the rest of this file.
Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]
Axis = int | tuple[int, ...] | None

tick = count(1).__next__
"""The clock that nodes are stamped with when they are made."""

_changes = [0]


def note_change() -> None:
    """Something that a compiled step may depend on has changed: an attribute of a module, a flag, a hook, an array."""
    _changes[0] += 1


def changes() -> list[int]:
    """The count of such changes, in a list that is always the same: looking is cheaper than asking."""
    return _changes


def as_array(x: Any) -> Array:
    """`x` as a native-endian numeric array, `x` itself if it is one.

    Raises TypeError for what NumPy can hold only as objects or text, and for masked entries, which would come back.
    """
    if type(x) is np.ndarray and x.dtype.kind in "biufc" and x.dtype.isnative:
        return x
    if isinstance(x, StandIn):
        return x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))  # type: ignore[attr-defined, return-value]
    a = np.asarray(x)
    if a.dtype.kind not in "biufc":
        kind = type(x).__name__
        raise TypeError(f"npgrad computes with numbers; got {kind} of dtype {a.dtype}. Convert it to a numeric array.")
    if isinstance(x, np.ndarray) and np.any(getattr(x, "mask", False)):
        raise TypeError("npgrad has no masked arrays: fill masked entries (.filled(0)), or select with npgrad.where.")
    return a if a.dtype.isnative else a.astype(a.dtype.newbyteorder("="))


def unbroadcast(g: Array, shape: Sequence[int]) -> Array:
    """`g`, a gradient of a broadcast operand, summed to the operand's own `shape`.

    With y = a + b and a broadcast along axis i, the entry a[j] was used for every i, so its derivative is the sum of
    all those uses: the transpose of copying is summing. Raises ValueError if `shape` does not broadcast to g's.
    """
    extra = g.ndim - len(shape)
    if extra < 0 or any(n not in (1, m) for n, m in zip(shape, g.shape[extra:], strict=True)):
        raise ValueError(f"shape {tuple(shape)} does not broadcast to {g.shape}")
    stretched = [k for k, n in enumerate(g.shape) if k < extra or n != shape[k - extra]]
    summed: Array = g.sum(axis=tuple(stretched)).reshape(shape)
    return summed


class _Owner(np.ndarray[Any, Any]):
    """The memory of a leaf. Of its own class, because NumPy lets a view of a view refer to the array that owns the
    memory, but stops where the class changes: so all views of one handed-out array keep that array alive."""


class Storage:
    """The array of a leaf: who has read it, and who outside may write into it.

    Every operation that is recorded keeps a `Reading` of the leaves it used. A reading is current until the array is
    assigned to, or is found to differ from what was read. The latter takes a comparison, which is only made while
    somebody may be writing: `hand_out` gives away an array over the same memory, and once that array and all views of
    it are gone, nobody can write behind our back any more.
    """

    __slots__ = ("_handed_out", "_reading", "array")

    def __init__(self, array: Array) -> None:
        self.array = array
        self._handed_out: ReferenceType[Array] | None = None
        self._reading: ReferenceType[Reading] | None = None

    def read(self) -> Reading:
        """The current reading, or a new one."""
        reading = self.current()
        if reading is None:
            reading = Reading(self)
            if self._handed_out is not None:
                reading.copy = self.array.tobytes("A")
            self._reading = ref(reading)
        return reading

    def current(self) -> Reading | None:
        """The last reading, if a graph still needs it and the array is still what was read."""
        reading = None if self._reading is None else self._reading()
        if self._handed_out is not None:
            gone = self._handed_out() is None  # asked before comparing: what was written last must be seen
            if reading is not None and reading.copy != self.array.tobytes("A"):
                reading = self._reading = None
            if gone:
                self._handed_out = None
        return reading

    def hand_out(self) -> Array:
        """A writable array over this memory, the same one as long as somebody has it."""
        array = None if self._handed_out is None else self._handed_out()
        if array is None:
            reading = self.current()
            if not isinstance(self.array.base, _Owner):
                self.array = owned(self.array)
                note_change()
            if reading is not None:
                reading.copy = self.array.tobytes("A")
            assert self.array.base is not None
            array = self.array.base.view(np.ndarray)
            self._handed_out = ref(array)
        return array

    def assign(self, new: Array) -> None:
        """Take the numbers of `new`.

        An array that was handed out and is still held keeps what it holds, and has nothing to do with this leaf any
        more: after `a, p.data = p.data, b` it is a that has the old numbers. Assigned itself (`p.data += 1`), it stays.
        """
        held = None if self._handed_out is None else self._handed_out()
        if new is not held:
            if held is not None:
                self.array = owned(self.array)
                note_change()
            self.array[...] = new
            self._handed_out = None
        self.touch()

    def touch(self) -> None:
        """The owner has changed the array: nothing that was read from it is current."""
        self._reading = None


class Reading:
    """The numbers of a leaf as operations have read them; it lives as long as a graph needs them."""

    __slots__ = ("__weakref__", "copy", "storage")

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.copy: bytes | None = None
        """What was read, kept only while somebody outside may write into the array."""

    def is_current(self) -> bool:
        """Whether the leaf still holds what was read."""
        return self.storage.current() is self


def owned(a: Any) -> Array:
    """A copy of `a` in memory that can be handed out."""
    if isinstance(a, StandIn):
        return a.copy()  # type: ignore[attr-defined, no-any-return]
    owner = _Owner(a.shape, a.dtype, order="F" if a.flags.fnc else "C")
    owner[...] = a
    return owner.view(np.ndarray)
