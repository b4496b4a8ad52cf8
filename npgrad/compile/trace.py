"""What a recording consists of: memories, values in them, and the calls that fill them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from npgrad.engine.arrays import Array

__all__ = ["Call", "CompileError", "Memory", "Place", "Value", "values_in"]


class CompileError(RuntimeError):
    """A function cannot be compiled as it is written, or a compiled one can no longer be trusted."""


class Place(NamedTuple):
    """Where a call was made."""

    section: str
    """The user's line that led to it, as `file:line  text`."""
    name: str
    """What the rule calls the result; empty if it has no name."""
    remark: str
    """The rule and the number of its equation, as `Tanh (2)`."""


class Memory:
    """Memory that one or more values (views of each other) look at.

    `kind` is "argument" (given anew at each run), "external" (an array of the user's, known by identity), "planned"
    (the program's own), "loose" (allocated by NumPy at each run), "constant" or "number" (a Python number, computed at
    each run).
    """

    __slots__ = ("array", "kind", "leaf", "value", "written")

    def __init__(self, kind: str, array: Array | None = None) -> None:
        self.kind = kind
        self.array = array
        """The array itself, of external memory; the buffer, once planned."""
        self.value: Value | None = None
        """The value that is all of this memory."""
        self.leaf: Any = None
        """The leaf whose array or gradient this is, if it is one."""
        self.written = 0
        """How many calls write here."""


class Value:
    """An array (or number) of the recording. `sample` is what it was while recording."""

    __slots__ = ("call", "memory", "name", "same", "sample", "view")

    def __init__(self, sample: Any, memory: Memory, view: Call | None = None) -> None:
        self.sample = sample
        self.memory = memory
        self.view = view
        """The call that takes this view of its memory; None for a value that is the whole."""
        self.call: Call | None = None
        self.same: Value | None = None
        """The value that this one was a copy of, if nobody can tell them apart."""
        self.name = ""


class Call:
    """One NumPy call of the recording. `form` says how it is written (see `npgrad.compile.write`)."""

    __slots__ = ("args", "errors", "form", "function", "kwargs", "out", "place", "reads", "writes")

    def __init__(
        self,
        form: str,
        function: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        place: Place,
    ) -> None:
        self.form, self.function, self.args, self.kwargs, self.place = form, function, args, kwargs, place
        self.out: Value | None = None
        self.errors: dict[str, Any] | None = None
        """How floating-point errors are treated, where that is not as outside."""
        self.reads: list[Memory] = [value.memory for value in values_in((args, kwargs))]
        self.writes: list[Memory] = []

    @property
    def lasting(self) -> bool:
        """Whether somebody outside the program can tell that this call was made."""
        return self.form in ("host", "draw", "guard", "opaque", "opaque_backward") or any(
            memory.kind in ("external", "argument") for memory in self.writes
        )


def values_in(x: Any) -> Iterator[Value]:
    """Every value in nested tuples, lists, dictionaries and slices."""
    if isinstance(x, Value):
        yield x
    elif isinstance(x, tuple | list):
        for item in x:
            yield from values_in(item)
    elif isinstance(x, dict):
        for item in x.values():
            yield from values_in(item)
    elif isinstance(x, slice):
        yield from values_in((x.start, x.stop, x.step))


def replaced(x: Any, by: Callable[[Value], Any]) -> Any:
    """`x` with every value in it replaced by `by(value)`."""
    if isinstance(x, Value):
        return by(x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*[replaced(item, by) for item in x])
    if isinstance(x, tuple | list):
        return type(x)([replaced(item, by) for item in x])
    if isinstance(x, dict):
        return {key: replaced(item, by) for key, item in x.items()}
    if isinstance(x, slice):
        return slice(*[replaced(item, by) for item in (x.start, x.stop, x.step)])
    return x


def is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic)
