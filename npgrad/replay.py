"""Replay: run a training step again in the memory of the last one.

    @npgrad.replay
    def step(x, y):
        loss = npgrad.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

The Python of the step runs every time, so control flow is never stale. What is kept from the last call is the *nodes*: the
k-th operation of a call is compared with the k-th of the call before, and if it is the same Function, on the same tensors
or on arrays of the same shape and dtype, the old node runs `forward` again, writing into the arrays it already has (the
buffer idiom of `npgrad.function`). Nothing is allocated, and when the whole call matched, the backward sweep follows the
route it found the first time. Where an operation differs, recording starts anew from there.

Nothing you can see is overwritten: what the step returns is copied, arrays read inside it are copies, and a tensor or a
gradient that somebody still holds gets new memory instead of being written into. Replayed and plain runs therefore give
the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from sys import getrefcount
from threading import local
from typing import Any, ParamSpec, TypeVar

import numpy as np

from npgrad.function import _WEAK, Function, as_array
from npgrad.mode import MODE, Mode
from npgrad.sweep import deliver, fit, observe, raise_count, reachable, sweep
from npgrad.tensor import Array, Tensor

__all__ = ["Tape", "replay"]

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
        tape: Tape | None = getattr(state, "tape", None)
        if tape is None:
            tape = state.tape = Tape()
        outer = MODE.get()
        token = MODE.set(Mode(outer.grad, outer.holomorphic, None if tape.active else tape))
        if tape.active:
            try:
                return step(*args, **kwargs)
            finally:
                MODE.reset(token)
        tape.start()
        try:
            return detached(step(*args, **kwargs))
        except BaseException:
            tape.forget(0)
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

    __slots__ = ("cls", "grad", "holders", "inputs", "kept", "node", "options", "out")

    def __init__(
        self, cls: type[Function], inputs: tuple[Any, ...], options: dict[str, Any], node: Function, out: Tensor
    ):
        self.cls = cls
        self.inputs = tuple([x if isinstance(x, Tensor) and x.requires_grad else signature(x) for x in inputs])
        self.options = options
        self.node = node
        self.out = out
        self.grad = out._node is not None
        self.kept: dict[int, Array] = {}
        # References to `out` that are ours: this attribute, the node's recording below, and the question itself.
        self.holders = 2


def signature(x: Any) -> Any:
    """What must stay equal for recorded memory to fit: shape and dtype of arrays, the type of a number, else the value."""
    if isinstance(x, Tensor):
        x = x._data
    if isinstance(x, np.ndarray):
        return x.shape, x.dtype
    if isinstance(x, (tuple, list)):
        return tuple([signature(y) for y in x])
    return x


class Tape:
    """The operations of the last call of a replayed step, in order."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.makers: dict[int, Entry] = {}
        self.routes: dict[Function, Route] = {}
        self.swept: set[Function] = set()
        self.position = 0
        self.active = False
        self.faithful = True

    def start(self) -> None:
        """Begin a call: the next operation is compared with the first entry."""
        self.position = 0
        self.active = self.faithful = True
        self.swept.clear()

    def forget(self, k: int) -> None:
        """Drop the entries from the k-th on, and every route, since each may lead through them."""
        for entry in self.entries[k:]:
            self.makers.pop(id(entry.out), None)
            for x in entry.inputs:
                if isinstance(x, Tensor) and id(x) in self.makers:
                    self.makers[id(x)].holders -= 1
        del self.entries[k:]
        self.routes.clear()

    def rerun(
        self, cls: type[Function], inputs: tuple[Any, ...], options: dict[str, Any], mode: Mode
    ) -> Tensor | None:
        """Run the next recorded node again if this operation is the one it recorded; None if it has to be made."""
        k = self.position
        self.position = k + 1
        if k == len(self.entries):
            return None
        entry = self.entries[k]
        arrays = self.match(entry, cls, inputs, options, mode)
        if arrays is not None:
            out = entry.out
            y = entry.node.forward(*arrays, **options)
            if y is out._data:
                return out
            y = np.asarray(y)
            if y.shape == out._data.shape and y.dtype == out._data.dtype:
                out._data = y
                return out
        self.forget(k)
        return None

    def add(
        self,
        cls: type[Function],
        inputs: tuple[Any, ...],
        arrays: list[Any],
        options: dict[str, Any],
        node: Function,
        out: Tensor,
    ) -> None:
        """Record an operation that was just made."""
        self.faithful = False
        node.taped = True
        node.own_buffers()
        entry = Entry(cls, inputs, options, node, out)
        if entry.grad:
            # The graph keeps its own copy of an array that is not a tensor's, in the same memory every time.
            entry.kept = {k: a for k, (x, a) in enumerate(zip(inputs, arrays, strict=True)) if is_raw(x)}
        self.entries.append(entry)
        self.makers[id(out)] = entry
        for x in entry.inputs:
            if isinstance(x, Tensor) and id(x) in self.makers:
                self.makers[id(x)].holders += 1

    def match(
        self, entry: Entry, cls: type[Function], inputs: tuple[Any, ...], options: dict[str, Any], mode: Mode
    ) -> list[Any] | None:
        """The arrays to run the entry's node on, or None if this operation is not the recorded one."""
        if entry.cls is not cls or len(inputs) != len(entry.inputs) or len(options) != len(entry.options):
            return None
        # Somebody holds the tensor of the last call: it keeps its memory, and this call gets new.
        if getrefcount(entry.out) > entry.holders or mode.holomorphic:
            return None
        tracked = False
        leaves = ()
        arrays: list[Any] = []
        for k, recorded in enumerate(entry.inputs):
            x = inputs[k]
            if isinstance(x, Tensor):
                a = x._data
                if x.requires_grad:
                    if x is not recorded:
                        return None
                    tracked = True
                elif type(recorded) is not tuple or recorded[0] != a.shape or recorded[1] != a.dtype:
                    return None
                if x._node is None:
                    leaves = (*leaves, (x, x._version if x._fingerprint is None else x._observe()))
            elif type(x) in _WEAK:
                if type(x) is not type(recorded):
                    return None
                a = x
            else:
                a = as_array(x)
                if type(recorded) is not tuple or recorded[0] != a.shape or recorded[1] != a.dtype:
                    return None
                if k in entry.kept:
                    own = entry.kept[k]
                    own[...] = a
                    a = own
            arrays.append(a)
        if (tracked and mode.grad) is not entry.grad:
            return None
        for name, value in options.items():
            if name not in entry.options:
                return None
            old = entry.options[name]
            if value is not old and signature(value) != signature(old):
                return None
        node = entry.node
        node.leaves = leaves
        if node.hooks is not None or node.retained is not None:
            node.hooks = node.retained = None
            entry.out.grad = None
        return arrays

    def backward(self, root: Function, dy: Array, retain_graph: bool) -> None:
        """The sweep under a tape: along the known route if this call repeated the recorded one to the letter."""
        if root in self.swept:
            raise RuntimeError(
                f"backward() a second time on {root.describe()} in one replayed step: its graph was freed. "
                "Call backward(retain_graph=True) the first time."
            )
        if not retain_graph:
            self.swept.add(root)
        if not self.faithful or not root.taped:
            sweep(root, dy, retain_graph)
            return
        route = self.routes.get(root)
        if route is None:
            route = self.routes[root] = Route(root)
        route.run(dy)


class Route:
    """A backward sweep with everything decided that does not depend on numbers.

    Gradients of leaves are handed over in the node's own memory, unless somebody still holds the array of the last time.
    """

    def __init__(self, root: Function) -> None:
        nodes = sorted(reachable(root), key=lambda node: node.age, reverse=True)
        place = {node: k for k, node in enumerate(nodes)}
        self.pending: list[Array | None] = [None] * len(nodes)
        self.sums: list[Array | None] = [None] * len(nodes)
        self.steps: list[tuple[Function, int, list[tuple[int, int, Function]], list[Handover]]] = []
        for node in nodes:
            assert node.edges is not None
            inner = [(k, place[edge], edge) for k, edge in enumerate(node.edges) if isinstance(edge, Function)]
            leaves = [Handover(node, k, edge) for k, edge in enumerate(node.edges) if isinstance(edge, Tensor)]
            self.steps.append((node, len(node.edges), inner, leaves))
        self.leaves = [handover for step in self.steps for handover in step[3]]

    def run(self, dy: Array) -> None:
        """The same additions in the same order as `npgrad.sweep.sweep`."""
        for node, *_ in self.steps:
            if node.leaves:
                node.verify()
        for handover in self.leaves:
            handover.prepare()
        pending, sums = self.pending, self.sums
        pending[0] = dy
        for place, (node, count, inner, leaves) in enumerate(self.steps):
            received = pending[place]
            pending[place] = None
            if received is None:
                continue
            if node.hooks is not None or node.retained is not None:
                received = observe(node, received)
            gradients = node.backward(received)
            if type(gradients) is not tuple:
                gradients = (gradients,)
            if len(gradients) != count:
                raise_count(node, len(gradients), count)
            for k, target, edge in inner:
                g = gradients[k]
                if g is None:
                    continue
                if type(g) is not np.ndarray or g.shape != edge.shape or g.dtype != edge.dtype:
                    g = fit(g, edge, node, k)
                first = pending[target]
                if first is None:
                    pending[target] = g
                elif first is sums[target]:
                    np.add(first, g, out=first)
                else:
                    pending[target] = sums[target] = np.asarray(np.add(first, g, out=sums[target]))
            for handover in leaves:
                handover.deliver(gradients, received)


class Handover:
    """How the gradient of one input reaches the leaf it belongs to."""

    __slots__ = ("array", "k", "leaf", "name", "node")

    def __init__(self, node: Function, k: int, leaf: Tensor) -> None:
        self.node, self.k, self.leaf = node, k, leaf
        self.array: Array | None = None
        self.name = ""

    def prepare(self) -> None:
        """Before the nodes write into their memory again: save what is still wanted of the last time."""
        array = self.array
        if array is None:
            return
        if self.leaf.grad is array:
            self.leaf.grad = array.copy()
        # Ours: the local variable, self.array, the node's attribute, and the question itself.
        if getrefcount(array) > 4:
            setattr(self.node, self.name, None)
            self.array = None

    def deliver(self, gradients: tuple[Any, ...], received: Array) -> None:
        g = gradients[self.k]
        leaf = self.leaf
        if g is self.array and g is not None and leaf.grad is None and not leaf._hooks:
            leaf.grad = g
            return
        if g is None:
            return
        deliver(leaf, fit(g, leaf._data, self.node, self.k), shared=True)
        self.bind(gradients, received)

    def bind(self, gradients: tuple[Any, ...], received: Array) -> None:
        """Next time the array itself is handed over, if it is one buffer of the node and nobody else's."""
        g = gradients[self.k]
        if type(g) is not np.ndarray or g.base is not None or g is received:
            return
        if g.shape != self.leaf.shape or g.dtype != self.leaf.dtype or sum(h is g for h in gradients) > 1:
            return
        names = [name for name, value in vars(self.node).items() if value is g]
        if len(names) == 1 and names[0] in self.node.buffers:
            self.name = names[0]
            self.array = g


def is_raw(x: Any) -> bool:
    """Whether x is an array (or a sequence) and not a tensor or a number."""
    return not isinstance(x, Tensor) and type(x) not in _WEAK
