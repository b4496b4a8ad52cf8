"""Process large arrays in tiles of rows, so that what one operation writes is still in the cache for the next.

Ten elementwise operations on an array larger than the cache read and write the memory ten times; on a tile of it, once.
The operations and their order are the same, and so are the bytes. What is needed within the tile only gets memory for
one tile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from npgrad.compile.trace import Call, Memory, Value, values_in

__all__ = ["Tiles", "tiled"]

LARGE = 1 << 18
"""Arrays of fewer entries are left whole."""
TILE = 1 << 15
"""About so many entries are a tile: 128 KB of float32."""
_STAYING = frozenset({"host", "draw", "opaque", "opaque_backward"})


class Tiles(Call):
    """Calls that are made for one tile after the other."""

    __slots__ = ("inner", "rows", "step")

    def __init__(self, inner: Sequence[Call], rows: int, step: int) -> None:
        super().__init__("tiles", None, (), {}, inner[0].place)
        self.inner = list(inner)
        self.rows, self.step = rows, step
        self.errors = inner[0].errors
        self.reads = [memory for call in inner for memory in call.reads]
        self.writes = [memory for call in inner for memory in call.writes]

    def inside(self, used_outside: set[Memory]) -> set[Memory]:
        """The memories that are written first and read only here: a tile of them is enough."""
        found = {
            m
            for m in self.writes
            if m.kind == "planned" and m not in used_outside and np.shape(m.value.sample)[:1] == (self.rows,)  # type: ignore[union-attr]
        }
        for call in self.inner:
            for value in values_in((call.args, call.kwargs, call.out)):
                if value.memory in found and value.view is not None and not is_new_axis(value):
                    found.discard(value.memory)
        return found


def tiled(calls: Sequence[Call]) -> Iterable[Call]:
    """`calls` with operations on the rows of large arrays put together.

    What stands between two of them moves before the loop if it does not need what the loop computes, and behind it if
    the rest of the loop does not need it.
    """
    group: list[Call] = []
    before: list[Call] = []
    behind: list[Call] = []
    span: list[Call] = []
    rows = 0
    for call in calls:
        n = rows_of(call)
        if group:
            joins = n == rows and call.errors == group[0].errors and not clashes(call, group, rows)
            moves = not n and (not call.lasting or call.form == "guard") and call.form not in _STAYING
            if joins and not depends(call, behind) and not (call.lasting and any(c.form == "guard" for c in behind)):
                group.append(call)
                span.append(call)
                continue
            if moves:
                ahead = call.form != "guard" and not depends(call, group) and not depends(call, behind)
                (before if ahead else behind).append(call)
                span.append(call)
                continue
            yield from together(group, rows, before, behind, span)
            group, before, behind, span = [], [], [], []
        if n:
            group, span, rows = [call], [call], n
        else:
            yield call
    yield from together(group, rows, before, behind, span)


def depends(call: Call, others: Sequence[Call]) -> bool:
    """Whether the order of a call and of others before it matters."""
    read, written = {m for other in others for m in other.reads}, {m for other in others for m in other.writes}
    taken = [
        m for value in values_in((call.args, call.kwargs, call.out)) if value.view is call for m in (value.memory,)
    ]
    return any(m in written for m in (*call.reads, *taken)) or any(m in read or m in written for m in call.writes)


def together(group: list[Call], rows: int, before: list[Call], behind: list[Call], span: list[Call]) -> Sequence[Call]:
    """The calls of a span with those of the group in a loop, or as they were if a loop is not worth it."""
    entries = max((np.size(call.out.sample) for call in group if isinstance(call.out, Value)), default=0)
    if len(group) < 2 or entries < LARGE:
        return span
    wanted = max(1, TILE * rows // entries)
    step = wanted
    while rows % step:
        step -= 1
    return [*before, Tiles(group, rows, step), *behind] if 64 * step >= wanted else span


def rows_of(call: Call) -> int:
    """The number of rows if the call does the same to each of them, independently; otherwise 0."""
    out = call.out
    if not isinstance(out, Value) or out.view is call or out.memory.kind not in ("planned", "external"):
        return 0
    shape = np.shape(out.sample)
    if len(shape) < 1 or shape[0] < 2 or not np.asarray(out.sample).flags.c_contiguous:
        return 0
    args: Sequence[Any] = call.args
    if call.form == "ufunc" and set(call.kwargs) <= {"order"}:
        if call.function.signature is not None and call.function is not np.vecdot:
            return 0
        ndim = (
            max(np.ndim(x.sample) for x in args if isinstance(x, Value))
            if any(isinstance(x, Value) for x in args)
            else 0
        )
        core = call.function is np.vecdot
        if ndim != len(shape) + core:
            return 0
    elif call.form == "reduce":
        x, axis, _, _ = args
        if not isinstance(x, Value) or axis is None or np.ndim(x.sample) < 2:
            return 0
        axes = axis if isinstance(axis, tuple) else (axis,)
        if any(a % np.ndim(x.sample) == 0 for a in axes):
            return 0
        ndim, args = np.ndim(x.sample), (x,)
    elif (
        call.form == "copy"
        or (call.form == "function" and call.function is np.where and len(args) == 3)
        or (call.form == "function" and call.function is np.clip and not call.kwargs)
    ):
        ndim = len(shape)
    elif call.form == "function" and call.function is np.dot and len(shape) == 1:
        x, v = args
        if np.ndim(sample(x)) != 2 or np.ndim(sample(v)) != 1 or not isinstance(x, Value):
            return 0
        return shape[0] if along_rows(x, 2, shape[0]) and v.memory is not x.memory else 0
    else:
        return 0
    whole = [x for x in args if isinstance(x, Value) and not along_rows(x, ndim, shape[0])]
    if any(np.ndim(x.sample) == ndim and np.shape(x.sample)[0] != 1 for x in whole):
        return 0
    return shape[0] if len(whole) < len([x for x in args if isinstance(x, Value)]) else 0


def along_rows(x: Value, ndim: int, rows: int) -> bool:
    """Whether an operand has the rows, and not one for all of them."""
    a = np.asarray(x.sample)
    return a.ndim == ndim and a.shape[0] == rows


def clashes(call: Call, group: list[Call], rows: int) -> bool:
    """Whether the call needs all rows of something that the group writes, or sees its rows otherwise."""
    written = {m for other in group for m in other.writes}
    for x in (*values_in((call.args, call.kwargs)), call.out):
        if isinstance(x, Value) and x.memory in written:
            a, whole = np.asarray(x.sample), np.asarray(x.memory.value.sample)  # type: ignore[union-attr]
            same_rows = a.shape[:1] == whole.shape[:1] == (rows,) and a.nbytes == whole.nbytes
            if not same_rows or not (a.flags.c_contiguous or is_new_axis(x)):
                return True
    return any(m in {r for other in group for r in other.reads} and not row_shaped(m, rows) for m in call.writes)


def row_shaped(memory: Memory, rows: int) -> bool:
    return memory.value is not None and np.shape(memory.value.sample)[:1] == (rows,)


def is_new_axis(value: Value) -> bool:
    """Whether a view is its memory with axes of length 1 added behind: rows stay rows."""
    call = value.view
    if call is None:
        return True
    if call.form != "getitem" or not isinstance(call.args[0], Value) or call.args[0].view is not None:
        return False
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    return index[:1] == (slice(None),) and all(i is None or i == slice(None) or i is Ellipsis for i in index)


def sample(x: Any) -> Any:
    return x.sample if isinstance(x, Value) else x
