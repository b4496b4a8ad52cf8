"""From a recording to a program's calls and memory.

In this order: copies that nobody could tell from the original go; what depends on nothing is a constant; broadcast rows
are written out where that is faster; calls whose results nobody reads go; checks of the arguments come first; and what
is left gets memory, in place where an operand has had its last use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from npgrad.compile.pool import Pool, last_uses
from npgrad.compile.recorder import Eager, perform
from npgrad.compile.stand_in import RecordingArray
from npgrad.compile.tiles import Tiles, tiled
from npgrad.compile.trace import Call, Memory, Value, replaced, values_in

__all__ = ["Plan", "with_copies"]

SMALL, LARGE = 1 << 9, 1 << 17
"""Broadcast operands of results with so many entries are written out first."""
SIDE_BY_SIDE = 1 << 15
"""Larger gradients are updated one by one, each while it is in the cache."""
_COMPARISONS = frozenset({np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal})
_PURE = frozenset(
    {
        "ufunc",
        "reduce",
        "ufunc_method",
        "function",
        "method",
        "attribute",
        "getitem",
        "copy",
        "make",
        "operator",
        "expand",
    }
)
_WITH_OUT = frozenset(
    {np.dot, np.argmax, np.cumsum, np.cumprod, np.einsum, np.concatenate, np.stack, np.clip, np.where}
)


class Plan:
    """The calls of a program in order, `forward` and then `backward` (a backward pass for later, mostly empty)."""

    def __init__(
        self,
        calls: Sequence[Call],
        split: int,
        results: Iterable[Value],
        lent: Iterable[Value] = (),
        tiles: bool = True,
    ) -> None:
        self.forward: list[Call] = list(calls[:split])
        self.backward: list[Call] = list(calls[split:])
        self.results = [value for value in results if value is not None]
        self.lasting = {value.memory for value in self.results}
        """Memories whose content is wanted after the run."""
        self.loose()
        self.drop_copies()
        self.fold_constants()
        self.forward = list(self.expanded(self.forward))
        self.backward = list(self.expanded(self.backward))
        self.drop_unread()
        self.changes_last()
        self.checks_first()
        if tiles:
            self.forward, self.backward = list(tiled(self.forward)), list(tiled(self.backward))
        self.used = {value for call in flat(self.calls) for value in values_in((call.args, call.kwargs))}
        self.used |= set(self.results)
        self.pool = Pool(self.lasting, [value.memory for value in lent])
        self.together()
        self.pool.allocate(self.calls)

    @property
    def calls(self) -> list[Call]:
        return self.forward + self.backward

    # -- results that NumPy allocates ----------------------------------------------------------------------------------

    def loose(self) -> None:
        """Results of calls that take no memory to write into are allocated by NumPy, at each run."""
        for call in self.calls:
            out = call.out
            if isinstance(out, Value) and out.view is None and out.memory.kind == "planned" and not takes_out(call):
                out.memory.kind = "loose"

    # -- copies --------------------------------------------------------------------------------------------------------

    def drop_copies(self) -> None:
        """Let a copy be its original where neither is written to while the other is needed."""
        calls = self.calls
        last = last_uses(calls, self.lasting, len(calls))
        written: dict[Memory, list[int]] = {}
        for k, call in enumerate(calls):
            for memory in call.writes:
                written.setdefault(memory, []).append(k)
        wanted_later = {memory for call in self.backward for memory in call.reads}
        merged: dict[Memory, Value] = {}
        gone: set[int] = set()
        for k, call in enumerate(calls):
            if call.form != "copy" or not isinstance(call.out, Value) or call.out.view is not None:
                continue
            new, old = call.out.memory, call.args[0]
            if not isinstance(old, Value) or old.memory.kind == "number" or old is call.out or not whole(old):
                continue
            old = first_of(old)
            kept = old.memory
            a, b = np.asarray(old.sample), np.asarray(call.out.sample)
            if a.dtype != b.dtype or a.shape != b.shape or a.strides != b.strides:
                continue
            if kept.kind != "planned" and new in self.lasting:
                continue
            if k < len(self.forward) and new in wanted_later and foreign(kept):
                continue
            later = [w for w in written.get(kept, ()) if w > k]
            alone = kept.kind in ("planned", "loose") and last.get(kept, -1) <= k and kept not in self.lasting
            if alone or (not later and written.get(new, []) == [k]):
                merged[new] = call.out.same = old
                gone.add(k)
                last[kept] = max(last.get(kept, -1), last.get(new, -1))
                written.setdefault(kept, []).extend(w for w in written.get(new, ()) if w != k)
                if new in self.lasting:
                    self.lasting.add(kept)

        if not gone:
            return

        def original(memory: Memory) -> Memory:
            while memory in merged:
                memory = merged[memory].memory
            return memory

        seen: set[int] = set()

        def move(value: Value) -> None:
            if id(value) not in seen:
                seen.add(id(value))
                value.memory = original(value.memory)

        for call in calls:
            for value in values_in((call.args, call.kwargs, call.out)):
                move(value)
                if value.view is not None:
                    for inner in values_in(value.view.args):
                        move(inner)
            call.reads = [original(memory) for memory in call.reads]
            call.writes = [original(memory) for memory in call.writes]
        for value in self.results:
            move(value)
        self.lasting = {original(memory) for memory in self.lasting}
        split = len(self.forward)
        for k in gone:
            old = calls[k].args[0]
            old.name = old.name or calls[k].place.name
        self.forward = [call for k, call in enumerate(calls[:split]) if k not in gone]
        self.backward = [call for k, call in enumerate(calls[split:], split) if k not in gone]

    # -- constants -----------------------------------------------------------------------------------------------------

    def fold_constants(self) -> None:
        """What is computed once from nothing that can change keeps the value it had while recording."""
        writers: dict[Memory, int] = {}
        for call in self.calls:
            for memory in call.writes:
                writers[memory] = writers.get(memory, 0) + 1

        def constant(memory: Memory) -> bool:
            array = memory.array
            return memory.kind == "constant" or (
                memory.kind == "external" and array is not None and not array.flags.writeable and array.base is None
            )

        def varies(call: Call) -> bool:
            if call.form not in _PURE or not call.writes or not all(constant(memory) for memory in call.reads):
                return True
            memory = call.writes[0]
            if memory.kind not in ("planned", "loose") or writers[memory] != 1:
                return True
            memory.kind = "constant"
            assert memory.value is not None
            array = np.array(memory.value.sample, copy=True)
            array.flags.writeable = False
            memory.array = array
            return False

        def known_view(call: Call) -> bool:
            return isinstance(call.out, Value) and call.out.view is call

        self.forward = [call for call in self.forward if known_view(call) or varies(call)]
        self.backward = [call for call in self.backward if known_view(call) or varies(call)]

    # -- broadcasting --------------------------------------------------------------------------------------------------

    def expanded(self, calls: list[Call]) -> Iterable[Call]:
        """NumPy broadcasts slowly: a row copied to all rows first and an operation of equal shapes is faster."""
        written: dict[tuple[Value, tuple[int, ...]], tuple[Value, int]] = {}
        writes: dict[Memory, int] = {}
        for call in calls:
            if (
                call.form == "ufunc"
                and isinstance(call.out, Value)
                and not set(call.kwargs) - {"order"}
                and call.function.signature is None
            ):
                shape = np.shape(call.out.sample)
                args = list(call.args)
                if SMALL <= np.size(call.out.sample) <= LARGE and any(np.shape(sample(x)) == shape for x in args):
                    for k, x in enumerate(args):
                        if isinstance(x, Value) and np.shape(x.sample) not in ((), shape) and np.size(x.sample) > 1:
                            known, age = written.get((x, shape), (None, -1))
                            if known is not None and age == writes.get(x.memory, 0):
                                args[k] = known
                                continue
                            full = Value(np.broadcast_to(x.sample, shape).copy(), Memory("planned"))
                            full.memory.value = full
                            full.name = x.name and f"{x.name}_rows"
                            copy = Call("expand", None, (x,), {}, call.place)
                            copy.out, copy.errors = full, call.errors
                            copy.writes = [full.memory]
                            args[k] = full
                            written[x, shape] = full, writes.get(x.memory, 0)
                            yield copy
                    call.args = tuple(args)
                    call.reads = [value.memory for value in values_in((call.args, call.kwargs))]
            for memory in call.writes:
                writes[memory] = writes.get(memory, 0) + 1
            yield call

    # -- what nobody reads ---------------------------------------------------------------------------------------------

    def drop_unread(self) -> None:
        needed = set(self.lasting)
        kept: list[list[Call]] = []
        for calls in (self.backward, self.forward):
            keep: list[Call] = []
            for call in reversed(calls):
                view = call.out if isinstance(call.out, Value) and call.out.view is call else None
                if view is not None and not dynamic(view):
                    continue
                wanted = any(memory in needed for memory in call.writes) or (view is not None and view.memory in needed)
                if call.lasting or wanted or may_fail(call):
                    keep.append(call)
                    whole = [m for m in call.writes if m not in call.reads and m.value is call.out]
                    needed.difference_update(whole)
                    needed.update(call.reads)
            kept.append(keep[::-1])
        self.backward, self.forward = kept

    # -- changes -------------------------------------------------------------------------------------------------------

    def changes_last(self) -> None:
        """What changes arrays of the user's (running statistics, say) waits until what follows it has been checked.

        A change can wait if nobody reads or writes what it writes, or writes what it reads, in the meantime.
        """
        calls = self.forward
        end = next((k for k, call in enumerate(calls) if call.form == "host"), len(calls))
        guards = [k for k, call in enumerate(calls[:end]) if call.form == "guard"]
        if not guards:
            return
        stay: list[Call] = []
        wait: list[Call] = []
        read_later: set[Memory] = set()
        written_later: set[Memory] = set()
        for call in reversed(calls[:end]):
            view = isinstance(call.out, Value) and call.out.view is call
            outside = any(memory.kind in ("external", "argument") for memory in call.writes)
            for_waiting = (
                bool(call.writes)
                and call.form in _PURE
                and all(
                    memory in {m for w in wait for m in w.reads} and memory not in read_later for memory in call.writes
                )
            )
            free = not any(m in read_later or m in written_later for m in call.writes) and not any(
                m in written_later for m in call.reads
            )
            if (outside or for_waiting) and free and not view and call.form != "guard":
                wait.append(call)
            else:
                stay.append(call)
                read_later.update(call.reads)
                written_later.update(call.writes)
        self.forward = stay[::-1] + wait[::-1] + calls[end:]

    # -- checks of the arguments ---------------------------------------------------------------------------------------

    def checks_first(self) -> None:
        """Guards that depend on the arguments alone, with what they need, come before everything else."""
        made: dict[Memory, list[Call]] = {}
        for call in self.forward:
            for memory in call.writes:
                made.setdefault(memory, []).append(call)
        early: dict[int, Call] = {}

        def first(call: Call) -> list[Call] | None:
            found: list[Call] = []
            for memory in call.reads:
                if memory.kind in ("constant", "argument") and memory.leaf is None and memory not in made:
                    continue
                writers = made.get(memory, [])
                if len(writers) != 1 or writers[0] is call or writers[0].form not in _PURE:
                    return None
                before = first(writers[0])
                if before is None:
                    return None
                found += before
            return [*found, call]

        for call in self.forward:
            if call.form == "guard":
                for needed in first(call) or ():
                    early[id(needed)] = needed
        needed_values = {first_of(value) for call in early.values() for value in values_in((call.args, call.kwargs))}
        for call in reversed(self.forward):
            if isinstance(call.out, Value) and call.out.view is call and call.out in needed_values:
                early[id(call)] = call
                needed_values.update(map(first_of, values_in((call.args, call.kwargs))))
        order = [call for call in self.forward if id(call) in early]
        self.forward = order + [call for call in self.forward if id(call) not in early]

    # -- many small updates --------------------------------------------------------------------------------------------

    def together(self) -> None:
        """Gradients that an optimiser multiplies by one number lie side by side, and one call multiplies them all."""
        groups: dict[Any, list[int]] = {}
        last_write = {memory: k for k, call in enumerate(self.forward) for memory in call.writes}
        for k, call in enumerate(self.forward):
            if (
                call.form != "ufunc"
                or call.function is not np.multiply
                or call.kwargs
                or not isinstance(call.out, Value)
            ):
                continue
            number, g = call.args
            if not isinstance(sample(number), int | float) or not isinstance(g, Value):
                continue
            once = call.out.memory not in self.lasting and last_write[call.out.memory] == k
            if once and side_by_side(g) and side_by_side(call.out):
                groups.setdefault((number, g.sample.dtype), []).append(k)
        for (number, dtype), places in groups.items():
            first = places[0]
            calls = [self.forward[k] for k in places if last_write.get(self.forward[k].args[1].memory, -1) < first]
            if len(calls) < 3 or len({call.args[1].memory for call in calls}) < len(calls):
                continue
            gradients = self.arena([call.args[1] for call in calls], dtype, "gradients")
            updates = self.arena([call.out for call in calls], dtype, "updates")  # type: ignore[misc]
            call = Call("ufunc", np.multiply, (number, gradients), {}, calls[0].place)
            call.out, call.errors = updates, calls[0].errors
            call.reads = [m for one in calls for m in one.reads]
            call.writes = [updates.memory, *[m for one in calls for m in one.writes]]
            gone = set(map(id, calls))
            self.forward[first] = call
            self.forward = [c for c in self.forward if id(c) not in gone]
            return

    def arena(self, values: Sequence[Value], dtype: np.dtype[Any], name: str) -> Value:
        """One array that has room for all of these, each beginning where a line of the cache does."""
        width = 64 // dtype.itemsize
        starts = np.cumsum([0, *[-(-value.sample.size // width) * width for value in values]])
        block = self.pool.new(int(starts[-1]) * dtype.itemsize)
        whole_ = Value(block.bytes.view(dtype), Memory("planned", block.bytes.view(dtype)))
        whole_.memory.value, whole_.name = whole_, name
        for value, start in zip(values, starts, strict=False):
            memory = value.memory
            value.name = value.name or name.removesuffix("s")
            memory.array = whole_.sample[start : start + value.sample.size].reshape(np.shape(memory.value.sample))  # type: ignore[union-attr]
        return whole_


def foreign(memory: Memory) -> bool:
    """Whether the caller may write here between a run and its backward pass, and no leaf would notice."""
    if memory.kind == "argument":
        return memory.value is None or not isinstance(memory.value.sample, np.generic)
    array = memory.array
    return (
        memory.kind == "external"
        and memory.leaf is None
        and array is not None
        and (array.flags.writeable or array.base is not None)
    )


def with_copies(
    calls: Sequence[Call], split: int, cotangent: Value, captured: Iterable[RecordingArray]
) -> tuple[list[Call], int]:
    """The calls and where the backward part begins, which reads copies of what is the caller's to change.

    They are taken at the end of the forward part. Raises Eager if the backward part writes into such memory.
    """
    copies: list[Call] = []
    backward: list[Call] = []
    found: dict[Value, Value] = {}

    def own(value: Value) -> Value:
        if value.memory is cotangent.memory or not foreign(value.memory):
            return value
        if value not in found:
            place = calls[split].place if value.view is None else value.view.place
            if value.view is None:
                call = Call("copy", None, (value,), {"order": "K"}, place._replace(name=value.name))
                copy = Value(np.array(value.sample, copy=True, order="K"), Memory("planned"))
                copy.memory.value = copy
                copy.memory.written = 1
                call.writes = [copy.memory]
                copies.append(call)
            else:
                view = value.view
                args, kwargs = replaced((view.args, view.kwargs), own)
                call = Call(view.form, view.function, args, kwargs, place)
                args, kwargs = replaced((args, kwargs), lambda v: v.sample)
                sample = perform(call.form, call.function, args, kwargs, None)
                copy = Value(sample, own(value.memory.value).memory, call)  # type: ignore[arg-type]
                backward.append(call)
            call.out, copy.call, copy.name = copy, call, value.name
            found[value] = copy
        return found[value]

    for call in calls[split:]:
        if any(memory is not cotangent.memory and foreign(memory) for memory in call.writes):
            raise Eager("its backward pass writes into an argument or an array outside")
        call.args, call.kwargs = replaced((call.args, call.kwargs), own)
        call.reads = [value.memory for value in values_in((call.args, call.kwargs))]
        backward.append(call)
    for g in captured:
        if g is not None:
            g.value = own(g.value)
    return [*calls[:split], *copies, *backward], split + len(copies)


def flat(calls: Sequence[Call]) -> Iterable[Call]:
    """The calls, those of tiles one by one."""
    for call in calls:
        yield from call.inner if isinstance(call, Tiles) else (call,)


def first_of(value: Value) -> Value:
    """The original of a value that is a copy of it, dropped."""
    while value.same is not None:
        value = value.same
    return value


def takes_out(call: Call) -> bool:
    """Whether NumPy can be given the memory for the result."""
    if call.form == "ufunc":
        scalars = all(np.ndim(sample(x)) == 0 for x in call.args)
        return not (call.function in _COMPARISONS and scalars)
    if call.form in ("reduce", "copy", "make", "expand"):
        return True
    if call.form == "draw":
        return call.function.__name__ in ("random", "standard_normal") and bool(np.ndim(call.out.sample))  # type: ignore[union-attr]
    if call.form == "function":
        if call.function is np.take:
            return bool(call.kwargs.get("mode", "raise") != "raise")
        if call.function is np.where:
            return len(call.args) == 3
        if call.function is np.argmax:
            return not call.kwargs.get("keepdims")
        return call.function in _WITH_OUT
    return False


def side_by_side(value: Value) -> bool:
    """Whether the memory of a value may be given a place beside others."""
    a = value.sample
    return (
        value.memory.kind == "planned"
        and value.memory.array is None
        and isinstance(a, np.ndarray)
        and 0 < a.size <= SIDE_BY_SIDE
        and a.flags.c_contiguous
        and whole(value)
        and value.memory.value.sample.flags.c_contiguous  # type: ignore[union-attr]
    )


def whole(value: Value) -> bool:
    """Whether a value is all of its memory, in whatever shape."""
    if value.view is None:
        return True
    a, b = np.asarray(value.sample), np.asarray(value.memory.value.sample)  # type: ignore[union-attr]
    return a.flags.c_contiguous and b.flags.c_contiguous and a.nbytes == b.nbytes


_MAY_RAISE = (
    np.linalg.inv, np.linalg.solve, np.linalg.cholesky, np.linalg.eigh, np.linalg.svd, np.linalg.qr, np.linalg.pinv,
    np.take_along_axis,
)  # fmt: skip


def may_fail(call: Call) -> bool:
    """Whether some numbers make the call raise, so that it has to be made even if nobody reads its result."""
    if call.form == "getitem":
        return any(True for _ in values_in(call.args[1]))
    return call.function in _MAY_RAISE


def dynamic(value: Value) -> bool:
    """Whether a view has to be taken at each run, because its memory is another one each time."""
    return value.memory.kind in ("argument", "loose", "number") or any(
        inner.memory is not value.memory and inner.memory.kind not in ("constant",)
        for inner in values_in((value.view.args[1:], value.view.kwargs) if value.view is not None else ())
    )


def sample(x: Any) -> Any:
    return x.sample if isinstance(x, Value) else x
