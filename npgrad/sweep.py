"""The backward sweep: from a result to the leaves, each node once, youngest first."""

from __future__ import annotations

from operator import attrgetter
from sys import getrefcount
from threading import Lock
from typing import Any, NoReturn

import numpy as np

from npgrad.function import Function, unbroadcast
from npgrad.holomorphic import lift
from npgrad.mode import MODE
from npgrad.tensor import Array, Tensor, tick

__all__ = ["sweep"]

_by_age = attrgetter("age")
_ndarray = np.ndarray
_FREED = (
    "the graph below {} was already freed by an earlier backward(). "
    "Call backward(retain_graph=True) the first time, or run the forward pass again."
)
_SWEPT = (
    "backward() reached {} while another backward() through it was under way, in a hook or in another thread; the two "
    "would mix up their gradients. Run one after the other."
)
_RERUN = (
    "{} has run again since {} was computed from it (a replayed step reuses its nodes), so this gradient would be of "
    "other numbers. Call backward() inside the step, before the next call."
)
_claiming = Lock()
_delivering = Lock()


def sweep(root: Function, dy: Array, retain_graph: bool = False) -> None:
    """Propagate `dy`, the derivative of the loss with respect to root's result, to every leaf below `root`.

    A node is always younger than the nodes that made its inputs, so decreasing age is a topological order: when a node
    is reached, all the contributions to its `dy` have been added. Nothing recurses, so depth is limited by memory
    alone.

    How many references an object has is only asked of what stands in a list or an attribute: for a local variable the
    answer depends on the version of Python.
    """
    order = claim(root)
    holomorphic = MODE.get().holomorphic
    # Nodes that stay, and are in use until the sweep has ended.
    kept: list[Function] = []
    for_leaves: list[tuple[Tensor, Array]] = []
    node: Function = None  # type: ignore[assignment]
    try:
        for node in order:
            for leaf in node.leaves:
                if leaf._version > node.age or leaf._fingerprint is not None:
                    node.verify()
        order.sort(key=_by_age)
        root.arriving = dy
        del dy, root
        node = None  # type: ignore[assignment]
        while order:
            node = order[-1]
            received = node.arriving
            edges: Any = node.edges
            if received is not None:
                if node.watched:
                    received = observe(node, received)
                if node.handovers is not None:
                    for handover in node.handovers:
                        handover.prepare(node)
                gradients = node.backward(lift(received) if holomorphic else received)
                if type(gradients) is not tuple:
                    if gradients is None:
                        raise_count(node, 0, len(edges))
                    gradients = (gradients,)
                if len(gradients) != len(edges):
                    raise_count(node, len(gradients), len(edges))
                for k, edge in enumerate(edges):
                    if edge is None:
                        continue
                    g = gradients[k]
                    if g is None:
                        continue
                    if isinstance(edge, Tensor):
                        like = edge._data
                        if type(g) is not _ndarray or g.shape != like.shape or g.dtype is not like.dtype:
                            g = fit(g, like, node, k)
                        for_leaves.append((edge, g))
                        continue
                    if type(g) is not _ndarray or g.shape != edge.shape or g.dtype is not edge.dtype:
                        g = fit(g, edge, node, k)
                    first = edge.arriving
                    if first is None:
                        edge.arriving = g
                    elif edge.arriving_is_sum:
                        np.add(first, g, out=first)
                    else:
                        # The first array may also be somebody else's dy: it is copied before it is added to.
                        edge.arriving = np.asarray(first + g)
                        edge.arriving_is_sum = True
                gradients = g = None
            if retain_graph or node.taped:
                node.arriving = None
                node.arriving_is_sum = False
                node.own_buffers()
                kept.append(node)
            elif getrefcount(order[-1]) > 3:
                # Somebody else than this list, this variable and the question itself knows the node.
                node.release()
            # The node and what it kept are gone by now, unless somebody still needs them.
            order.pop()
            node = edges = edge = received = None  # type: ignore[assignment]
            if for_leaves:
                for item in for_leaves:
                    # Ours: the tuple and the question itself.
                    shared = getrefcount(item[1]) > 2
                    deliver(item[0], item[1], shared)
                item = None  # type: ignore[assignment]
                for_leaves.clear()
    except BaseException:
        # What has arrived so far must not be added to by a later sweep through the same nodes.
        for rest in order:
            rest.arriving = None
            rest.arriving_is_sum = False
            rest.claimed = None
        raise
    finally:
        give_up(kept)


def claim(root: Function) -> list[Function]:
    """Every node below and including `root`, in no particular order, marked as in the hands of one sweep.

    Raises RuntimeError if part of the graph is gone, has run again since, or is in the hands of another sweep.
    """
    mine = tick()
    found: list[Function] = []
    with _claiming:
        if root.claimed is not None:
            raise_swept(root)
        root.claimed = mine
        stack = [root]
        try:
            while stack:
                node = stack.pop()
                found.append(node)
                if node.edges is None:
                    raise RuntimeError(_FREED.format(node.describe()))
                for edge in node.edges:
                    if edge is None or isinstance(edge, Tensor):
                        continue
                    if edge.age > node.age:
                        raise RuntimeError(_RERUN.format(edge.describe(), node.describe()))
                    if edge.claimed is mine:
                        continue
                    if edge.claimed is not None:
                        raise_swept(edge)
                    edge.claimed = mine
                    stack.append(edge)
        except BaseException:
            give_up([*found, *stack])
            raise
    return found


def give_up(nodes: list[Function]) -> None:
    """The sweep that claimed these nodes has ended."""
    for node in nodes:
        node.claimed = None


def reachable(root: Function) -> list[Function]:
    """Every node below and including `root`, in no particular order. Raises as `claim` does."""
    nodes = claim(root)
    give_up(nodes)
    return nodes


def fit(g: Any, like: Any, node: Function, k: int) -> Array:
    """`g` in exactly the shape and dtype of input k, un-broadcast if need be; raises if it cannot be."""
    g = np.asarray(g)
    if g.shape != like.shape:
        try:
            g = unbroadcast(g, like.shape)
        except ValueError as error:
            raise RuntimeError(
                f"backward of {node.describe()} returned for input {k} {error}. "
                "It must return the input's shape, or one the input broadcasts to."
            ) from None
    if g.dtype != like.dtype:
        if like.dtype.kind not in "fc":
            raise TypeError(
                f"backward of {node.describe()} reached input {k}, which is {like.dtype}: a gradient there would be "
                "rounded to whole numbers. Give integers no gradient (requires_grad), or let forward return floats."
            )
        if g.dtype.kind == "c" and like.dtype.kind != "c":
            g = g.real
        g = g.astype(like.dtype)
    return np.asarray(g)


SMALL = 1 << 15
"""Gradients of so many numbers stay where they are."""
FREE = 3
"""References to an optimiser's place for a gradient that nobody looks at: the leaf's, the optimiser's and the question
itself."""


def fits(slot: Array, g: Array) -> bool:
    return slot.shape == g.shape and slot.dtype == g.dtype


def deliver(leaf: Tensor, g: Array, shared: bool) -> None:
    """Add `g` to the gradient of a leaf; take the array itself if nobody else can see it."""
    if leaf._hooks:
        g = run_hooks(leaf._hooks, g, leaf.shape)
        shared = True
    with _delivering:  # from several threads too, every contribution counts
        if leaf.grad is not None:
            leaf.grad = np.asarray(leaf.grad + g)
        elif leaf._slot is not None and g.size < SMALL and fits(leaf._slot, g) and getrefcount(leaf._slot) <= FREE:
            # Into the place where the optimiser wants it, which otherwise it would be copied to later.
            leaf.grad = leaf._slot
            leaf.grad[...] = g
        elif shared or g.base is not None or not g.flags.writeable:
            leaf.grad = g.copy()
        else:
            leaf.grad = g


def observe(node: Function, dy: Array) -> Array:
    """Run the hooks of an intermediate and keep its gradient if it asked for that."""
    if node.hooks:
        dy = run_hooks(node.hooks, dy.copy() if node.taped else dy, node.shape)
    tensor = node.retained() if node.retained is not None else None
    if tensor is not None:
        tensor.grad = dy.copy() if tensor.grad is None else np.asarray(tensor.grad + dy)
    return dy


def run_hooks(hooks: list[Any], g: Array, shape: tuple[int, ...]) -> Array:
    """Show `g` (read-only) to each hook; a hook that returns an array replaces it."""
    for hook in list(hooks):
        view = g.view()
        view.flags.writeable = False
        replacement = hook(view)
        if replacement is not None:
            replacement = np.asarray(replacement)
            if replacement.shape != shape:
                raise RuntimeError(
                    f"a hook returned a gradient of shape {replacement.shape} for a tensor of shape {shape}. "
                    "Return an array of the tensor's shape, or None to leave the gradient as it is."
                )
            g = replacement.astype(g.dtype)
    return g


def raise_swept(node: Function) -> NoReturn:
    raise RuntimeError(_SWEPT.format(node.describe()))


def raise_count(node: Function, got: int, wanted: int) -> None:
    raise RuntimeError(
        f"backward of {node.describe()} returned {got} gradient{'s' * (got != 1)} for {wanted} "
        f"input{'s' * (wanted != 1)}. Return one per positional argument of forward, None where there is none."
    )
