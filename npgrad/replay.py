"""Replay: run a training step again in the memory of the last one.

    @npgrad.replay
    def step(x, y):
        loss = npgrad.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

The Python of the step runs every time, so control flow is never stale. What is kept from the last call is the *nodes*:
the k-th operation of a call is compared with the k-th of the call before, and if it is the same Function, on the same
tensors or on arrays of the same shape and dtype, the old node runs `forward` again, writing into the arrays it already
has (the buffer idiom of `npgrad.function`). Nothing is allocated, and when the whole call matched, the backward sweep
follows the route it found the first time. Where an operation differs, recording starts anew from there.

Nothing you can see is overwritten: what the step returns is copied, arrays read inside it are copies, and a tensor or a
gradient that somebody still holds gets new memory instead of being written into. Replayed and plain runs therefore give
the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from operator import is_
from sys import getrefcount
from threading import local
from typing import Any, ParamSpec, TypeVar

import numpy as np

from npgrad.function import _WEAK, Function, as_array, unshared
from npgrad.mode import MODE, Mode
from npgrad.route import Route
from npgrad.sweep import sweep
from npgrad.tensor import Array, Tensor, tick

__all__ = ["Tape", "replay"]

_OTHER = object()
_NUMBERS = frozenset({float, int, bool, complex})
_ndarray = np.ndarray
P = ParamSpec("P")
R = TypeVar("R")


def replay(step: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that is called again and again, so that every call reuses the memory of the one before.

    The function may do anything; returned tensors (also inside tuples, lists and dicts) arrive as detached copies. Each
    thread has its own recording, and a call from within itself runs plainly.
    """
    state = local()

    @wraps(step)
    def replayed(*args: P.args, **kwargs: P.kwargs) -> R:
        mode: Mode | None = getattr(state, "mode", None)
        tape: Tape = Tape() if mode is None or mode.tape is None else mode.tape
        outer = MODE.get()
        if tape.active:
            token = MODE.set(Mode(outer.grad, outer.holomorphic))
            try:
                return step(*args, **kwargs)
            finally:
                MODE.reset(token)
        if mode is None or mode.grad is not outer.grad or mode.holomorphic is not outer.holomorphic:
            mode = state.mode = Mode(outer.grad, outer.holomorphic, tape)
        token = MODE.set(mode)
        tape.start()
        try:
            result: R = detached(step(*args, **kwargs))
            return result
        except BaseException:
            tape.forget()
            raise
        finally:
            tape.active = False
            MODE.reset(token)

    return replayed


def detached(result: Any) -> Any:
    """`result` with every tensor in it replaced by a copy without history."""
    if isinstance(result, Tensor):
        return result.detach() if result._node is not None or not result.requires_grad else result
    if type(result) in (tuple, list):
        return type(result)([detached(x) for x in result])
    if type(result) is dict:
        return {key: detached(x) for key, x in result.items()}
    return result


class Entry:
    """One recorded operation: what it was called with, its node and its result."""

    __slots__ = (
        "cls",
        "grad",
        "holders",
        "inputs",
        "kept",
        "leaves",
        "node",
        "option_names",
        "option_signatures",
        "option_values",
        "options",
        "out",
        "place",
        "same",
        "view",
    )

    def __init__(
        self,
        cls: type[Function],
        inputs: tuple[Any, ...],
        options: dict[str, Any],
        grad: bool,
        node: Function,
        out: Tensor,
        place: int,
    ) -> None:
        self.cls = cls
        self.place = place
        # What has to be the very same object again; for the rest (this entry stands in), the same shape and dtype will
        # do.
        self.same: tuple[Any, ...] = tuple([x if x is None or is_tracked(x) else _OTHER for x in inputs])
        self.inputs = tuple([signature(x) for x in inputs])
        self.leaves = [x for x in self.same if isinstance(x, Tensor) and x._node is None]
        self.options = options
        self.option_names = list(options)
        self.option_values = list(options.values())
        self.option_signatures = [signature(value) for value in options.values()]
        self.grad = grad
        self.node = node
        self.out = out
        # Of the inputs that are not tensors: a number's type, and the graph's own copy of an array, in the same memory
        # every time.
        self.kept: list[Any] = [type(x) if type(x) in _NUMBERS else None for x in inputs]
        # References to `out` that are ours: this attribute, and the question itself.
        self.holders = 2
        # Whether the result is in memory of the operations before, or may be.
        self.view = False

    def rerun(self, cls: type[Function], inputs: tuple[Any, ...], options: dict[str, Any], mode: Mode) -> Tensor | None:
        """Run the node again if this operation is the one it recorded; None if it has to be made."""
        if cls is not self.cls or mode.grad is not self.grad or mode.holomorphic or len(inputs) != len(self.same):
            return None
        # More references than our own: somebody keeps the tensor of the last call, which then keeps its memory.
        if getrefcount(self.out) > self.holders:
            return None
        out = self.out
        if (options or self.options) and not self.accepts(options):
            return None
        for leaf in self.leaves:
            if leaf._fingerprint is not None:
                leaf._observe()
            if not leaf.requires_grad:
                return None
        node = self.node
        if self.grad:
            # From here on nothing can be swept that was computed from the node's last result.
            node.age = tick()
            if node.watched:
                node.hooks = node.retained = out.grad = None
                node.watched = False
        arrays: list[Any] = []
        for x, same, own in zip(inputs, self.same, self.kept):  # noqa: B905 (as many, see above)
            if x is same:
                arrays.append(x if x is None else x._data)
            elif own is type(x):
                arrays.append(x)
            elif own is not None and type(x) is _ndarray and x.shape == own.shape and x.dtype is own.dtype:
                own[...] = x
                arrays.append(own)
            else:
                fitting = self.refresh(inputs)
                if fitting is None:
                    return None
                arrays = fitting
                break
        y = node.forward(*arrays, **options) if options else node.forward(*arrays)
        if y is not out._data:
            y = np.asarray(y)
            if y.shape != out._data.shape or y.dtype != out._data.dtype:
                return None
            if out._node is None:
                y = unshared(y, arrays)
                out._reused = True
            out._data = y
        return out

    def refresh(self, inputs: tuple[Any, ...]) -> list[Any] | None:
        """The arrays to run the node on where some inputs are no recorded tensors; None if one of them does not fit."""
        arrays: list[Any] = []
        constants: list[Tensor] = []
        for k, x in enumerate(inputs):
            same = self.same[k]
            if isinstance(x, Tensor):
                a = x._data
                if x is same:
                    arrays.append(a)
                    continue
                if x.requires_grad or same is not _OTHER or self.inputs[k] != (a.shape, a.dtype):
                    return None
                if x._fingerprint is not None:
                    x._observe()
                constants.append(x)
            elif type(x) in _WEAK:
                if is_tracked(same) or type(x) is not type(self.inputs[k]):
                    return None
                a = x
            else:
                if type(x) is not np.ndarray:
                    x = np.asarray(x)
                if same is not _OTHER or self.inputs[k] != (x.shape, x.dtype):
                    return None
                own = self.kept[k]
                if own is not None:
                    own[...] = x
                    a = own
                else:
                    a = as_array(x)
            arrays.append(a)
        if constants and self.grad:
            self.node.leaves = (*self.leaves, *constants)
        return arrays

    def accepts(self, options: dict[str, Any]) -> bool:
        """Whether memory that fitted the recorded options fits these."""
        if list(options) != self.option_names:
            return False
        if all(map(is_, options.values(), self.option_values)):
            return True
        return [signature(value) for value in options.values()] == self.option_signatures


def signature(x: Any) -> Any:
    """What must stay equal for recorded memory to fit: shape and dtype of an array, anything else itself."""
    if isinstance(x, Tensor):
        x = x._data
    if isinstance(x, np.ndarray):
        return x.shape, x.dtype
    if isinstance(x, (tuple, list)):
        return tuple([y if type(y) is int else signature(y) for y in x])
    return x


class Tape:
    """The operations of the last call of a replayed step, in order."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.makers: dict[int, Entry] = {}
        self.views: list[Entry] = []
        self.routes: dict[Function, Route] = {}
        self.swept: set[Function] = set()
        self.upcoming: Iterator[Entry] = iter(())
        """What the operations of this call are compared with, each with the next."""
        self.active = False
        self.faithful = True
        self.began = 0

    def start(self) -> None:
        """Begin a call: the next operation is compared with the first entry."""
        for entry in self.views:
            # A view that somebody kept would change with the memory it looks into, which may be nobody else's.
            if getrefcount(entry.out) > entry.holders:
                entry.out._data = entry.out._data.copy()
        self.upcoming = iter(self.entries)
        self.active = self.faithful = True
        self.began = tick()
        self.swept.clear()

    def forget(self, entry: Entry | None = None) -> None:
        """Drop this entry (or all) and those after it, and every route, since each may lead through them."""
        k = 0 if entry is None else entry.place
        for gone in self.entries[k:]:
            self.makers.pop(id(gone.out), None)
            for x in gone.same:
                if id(x) in self.makers:
                    self.makers[id(x)].holders -= 1
        del self.entries[k:]
        self.views = [entry for entry in self.entries if entry.view]
        self.routes.clear()

    def add(
        self,
        cls: type[Function],
        inputs: tuple[Any, ...],
        arrays: list[Any],
        options: dict[str, Any],
        mode: Mode,
        node: Function,
        out: Tensor,
    ) -> None:
        """Record an operation that was just made."""
        self.faithful = False
        node.taped = True
        node.own_buffers()
        entry = Entry(cls, inputs, options, mode.grad, node, out, len(self.entries))
        if out._node is None:
            out._reused = True
        else:
            entry.kept = [a if is_raw(x) else known for x, a, known in zip(inputs, arrays, entry.kept, strict=True)]
        self.entries.append(entry)
        entry.view = out._data.base is not None or any(out._data is a for a in arrays)
        if entry.view:
            self.views.append(entry)
        self.makers[id(out)] = entry
        for x in entry.same:
            if id(x) in self.makers:
                self.makers[id(x)].holders += 1

    def backward(self, root: Function, dy: Array, retain_graph: bool) -> None:
        """The sweep under a tape: along the known route if this call repeated the recorded one to the letter."""
        if root in self.swept:
            raise RuntimeError(
                f"backward() a second time on {root.describe()} in one replayed step: its graph was freed. "
                "Call backward(retain_graph=True) the first time."
            )
        if not retain_graph:
            self.swept.add(root)
        if not self.faithful or not root.taped or root.age < self.began:
            sweep(root, dy, retain_graph)
            return
        route = self.routes.get(root)
        if route is None:
            route = self.routes[root] = Route(root)
        route.run(dy)


def is_tracked(x: Any) -> bool:
    """Whether x is a tensor that requires a gradient."""
    return isinstance(x, Tensor) and x.requires_grad


def is_raw(x: Any) -> bool:
    """Whether x is an array (or a sequence) and not a tensor or a number."""
    return not isinstance(x, Tensor) and type(x) not in _WEAK
