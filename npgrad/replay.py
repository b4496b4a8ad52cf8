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

from collections.abc import Callable
from functools import wraps
from operator import is_
from sys import getrefcount
from threading import local
from typing import Any, ParamSpec, TypeVar

import numpy as np

from npgrad.function import _WEAK, Function, as_array, unshared
from npgrad.mode import MODE, Mode
from npgrad.sweep import deliver, fit, observe, raise_count, raise_swept, reachable, sweep
from npgrad.tensor import Array, Tensor, tick

__all__ = ["Tape", "replay"]

_OTHER = object()
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
            result: R = detached(step(*args, **kwargs))
            return result
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

    __slots__ = (
        "cls",
        "grad",
        "holders",
        "inputs",
        "kept",
        "leaves",
        "node",
        "option_values",
        "options",
        "out",
        "same",
    )

    def __init__(
        self,
        cls: type[Function],
        inputs: tuple[Any, ...],
        options: dict[str, Any],
        grad: bool,
        node: Function,
        out: Tensor,
    ) -> None:
        self.cls = cls
        # What has to be the very same object again; for the rest (this entry stands in), the same shape and dtype will
        # do.
        self.same = tuple([x if x is None or is_tracked(x) else _OTHER for x in inputs])
        self.inputs = tuple([signature(x) for x in inputs])
        self.leaves = [x for x in self.same if isinstance(x, Tensor) and x._node is None]
        self.options = options
        self.option_values = tuple(options.values())
        self.grad = grad
        self.node = node
        self.out = out
        self.kept: dict[int, Array] = {}
        # References to `out` that are ours: this attribute, a local variable, and the question itself.
        self.holders = 3

    def refresh(self, inputs: tuple[Any, ...]) -> list[Any] | None:
        """The arrays to run the node on where some inputs are arrays, numbers or constant tensors; None if one differs."""
        if len(inputs) != len(self.same):
            return None
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
                own = self.kept.get(k)
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
        if all(map(is_, options.values(), self.option_values)) and len(options) == len(self.options):
            return True
        if options.keys() != self.options.keys():
            return False
        return all([signature(value) == signature(self.options[name]) for name, value in options.items()])


def signature(x: Any) -> Any:
    """What must stay equal for recorded memory to fit: shape and dtype of an array, anything else itself."""
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
        self.views: list[Entry] = []
        self.routes: dict[Function, Route] = {}
        self.swept: set[Function] = set()
        self.position = 0
        self.active = False
        self.faithful = True
        self.began = 0

    def start(self) -> None:
        """Begin a call: the next operation is compared with the first entry."""
        for entry in self.views:
            # A view that somebody kept would change with the memory it looks into, which may be nobody else's.
            if getrefcount(entry.out) >= entry.holders:
                entry.out._data = entry.out._data.copy()
        self.position = 0
        self.active = self.faithful = True
        self.began = tick()
        self.swept.clear()

    def forget(self, k: int) -> None:
        """Drop the entries from the k-th on, and every route, since each may lead through them."""
        for entry in self.entries[k:]:
            self.makers.pop(id(entry.out), None)
            for x in entry.same:
                if id(x) in self.makers:
                    self.makers[id(x)].holders -= 1
        del self.entries[k:]
        self.views = [entry for entry in self.entries if entry.out._data.base is not None]
        self.routes.clear()

    def rerun(self, cls: type[Function], inputs: tuple[Any, ...], options: dict[str, Any], mode: Mode) -> Tensor | None:
        """Run the next recorded node again if this operation is the one it recorded; None if it has to be made."""
        k = self.position
        self.position = k + 1
        if k >= len(self.entries):
            self.position = len(self.entries) + 1
            return None
        entry = self.entries[k]
        out = entry.out
        # More references than our own: somebody keeps the tensor of the last call, which then keeps its memory.
        if entry.cls is cls and getrefcount(out) <= entry.holders and mode.grad is entry.grad and not mode.holomorphic:
            arrays: list[Any] | None = []
            for x, same in zip(inputs, entry.same, strict=False):
                if x is not same:
                    arrays = entry.refresh(inputs)
                    break
                arrays.append(x if x is None else x._data)
            else:
                if len(inputs) != len(entry.same):
                    arrays = None
            for leaf in entry.leaves:
                if leaf._fingerprint is not None:
                    leaf._observe()
                if not leaf.requires_grad:
                    arrays = None
            if arrays is not None and (not (options or entry.options) or entry.accepts(options)):
                node = entry.node
                if entry.grad:
                    node.age = tick()
                    if node.hooks is not None or node.retained is not None:
                        node.hooks = node.retained = out.grad = None
                y = node.forward(*arrays, **options)
                if y is out._data:
                    return out
                y = np.asarray(y)
                if y.shape == out._data.shape and y.dtype == out._data.dtype:
                    if out._node is None:
                        y = unshared(y, arrays)
                        out._reused = True
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
        mode: Mode,
        node: Function,
        out: Tensor,
    ) -> None:
        """Record an operation that was just made."""
        self.faithful = False
        node.taped = True
        node.own_buffers()
        entry = Entry(cls, inputs, options, mode.grad, node, out)
        if out._node is None:
            out._reused = True
        else:
            # The graph keeps its own copy of an array that is not a tensor's, in the same memory every time.
            entry.kept = {k: a for k, (x, a) in enumerate(zip(inputs, arrays, strict=True)) if is_raw(x)}
        self.entries.append(entry)
        if out._data.base is not None:
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


class Route:
    """A backward sweep with everything decided that does not depend on numbers.

    Gradients of leaves are handed over in the node's own memory, unless somebody still holds the array of the last
    time.
    """

    def __init__(self, root: Function) -> None:
        self.nodes = nodes = sorted(reachable(root), key=lambda node: node.age, reverse=True)
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
        for handover in self.leaves:
            handover.only = sum(other.leaf is handover.leaf for other in self.leaves) == 1

    def run(self, dy: Array) -> None:
        """The same additions in the same order as `npgrad.sweep.sweep`."""
        for node in self.nodes:
            if node.swept:
                raise_swept(node)
        try:
            for node in self.nodes:
                node.swept = True
            self.sweep(dy)
        except BaseException:
            # What has arrived so far belongs to no later sweep.
            self.pending = [None] * len(self.nodes)
            raise
        finally:
            for node in self.nodes:
                node.swept = False

    def sweep(self, dy: Array) -> None:
        for node in self.nodes:
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
                g = gradients[handover.k]
                leaf = handover.leaf
                if g is handover.array and g is not None and leaf.grad is None and leaf._hooks is None:
                    leaf.grad = g
                else:
                    handover.deliver(gradients, received)


class Handover:
    """How the gradient of one input reaches the leaf it belongs to."""

    __slots__ = ("array", "holders", "k", "leaf", "name", "node", "only")

    def __init__(self, node: Function, k: int, leaf: Tensor) -> None:
        self.node, self.k, self.leaf = node, k, leaf
        self.only = True
        self.array: Array | None = None
        self.holders = 0
        self.name = ""

    def prepare(self) -> None:
        """Before the nodes write into their memory again: save what is still wanted of the last time."""
        array = self.array
        if array is None:
            return
        if self.leaf.grad is array:
            self.leaf.grad = array.copy()
        if getrefcount(array) > self.holders or (self.leaf._slot is not array and self.holders > 4):
            setattr(self.node, self.name, None)
            self.array = None

    def deliver(self, gradients: tuple[Any, ...], received: Array) -> None:
        """Give the leaf a copy of its gradient, and bind the node's memory to it for the next time."""
        g = gradients[self.k]
        if g is None:
            return
        deliver(self.leaf, fit(g, self.leaf._data, self.node, self.k), shared=True)
        self.bind(gradients, received)

    def bind(self, gradients: tuple[Any, ...], received: Array) -> None:
        """Next time the node writes where the leaf wants its gradient, if it writes into one buffer of its own."""
        g = gradients[self.k]
        if type(g) is not np.ndarray or g.base is not None or g is received:
            return
        if g.shape != self.leaf.shape or g.dtype != self.leaf.dtype or sum(h is g for h in gradients) > 1:
            return
        names = [name for name, value in vars(self.node).items() if value is g]
        if len(names) != 1 or names[0] not in self.node.buffers:
            return
        self.name = names[0]
        slot = self.leaf._slot
        # Ours: a local variable, the attributes of this object and of the node, and the question itself; for the slot
        # also the leaf's attribute and the optimiser's list.
        if (
            slot is not None
            and self.only
            and slot.dtype == g.dtype
            and getrefcount(slot) <= 4 + (self.leaf.grad is slot)
        ):
            setattr(self.node, self.name, slot)
            self.array, self.holders = slot, 6
        else:
            self.array, self.holders = g, 4


def is_tracked(x: Any) -> bool:
    """Whether x is a tensor that requires a gradient."""
    return isinstance(x, Tensor) and x.requires_grad


def is_raw(x: Any) -> bool:
    """Whether x is an array (or a sequence) and not a tensor or a number."""
    return not isinstance(x, Tensor) and type(x) not in _WEAK
