"""The backward sweep: from a result to the leaves, each node once, latest first."""

from __future__ import annotations

from operator import attrgetter

import numpy as np

from npgrad.engine.arrays import Array, as_array
from npgrad.engine.holomorphic import lift
from npgrad.engine.mode import MODE
from npgrad.engine.node import Leaf, Node

__all__ = ["reachable", "sweep"]

_seq = attrgetter("seq")


def sweep(root: Node, dy: Array, retain_graph: bool = False) -> None:
    """Propagate `dy`, the derivative of the loss with respect to root's result, to every leaf below `root`.

    A node is always made after the nodes that made its inputs, so decreasing `seq` is a topological order: when a node
    is reached, all the contributions to its gradient have been added. Leaves come last, so that an error on the way
    leaves every `grad` as it was. Nothing recurses: depth is limited by memory alone.

    Ownership: what `backward` returns may be its `dy`, a view of it, or one array for two inputs, and is
    never written into here. A second contribution makes a new array, the sum, which later ones are added to in place.

    Raises RuntimeError if part of the graph was freed, or if a leaf has changed since the forward pass.
    """
    order = sorted(reachable(root), key=_seq)
    for node in order:
        if node.readings:
            node.verify()
    arrived: dict[Node, Array] = {root: dy}
    sums: set[Node] = set()
    hooked = False
    holomorphic = MODE.get().holomorphic
    del root, dy, node
    while order:
        node = order.pop()
        g = arrived.pop(node, None)
        if isinstance(node, Leaf):
            if g is not None:
                node.accumulate(g, own=node in sums)
            continue
        if g is not None:
            if node.hooks or node.retained:
                g = node.receive(g)
                hooked = True
            if hooked:  # a hook may have changed a leaf
                node.verify()
            edges = node.edges
            try:
                gradients = node.backward(lift(g) if holomorphic else g)
            except AttributeError:
                if node.edges is None:
                    raise _freed(node) from None
                raise
            if edges is None:
                raise _freed(node)
            if type(gradients) is not tuple:
                gradients = () if gradients is None else (gradients,)
            if len(gradients) != len(edges):
                raise _wrong_count(node, len(gradients))
            for k, edge in enumerate(edges):
                g = gradients[k]
                if edge is None or g is None:
                    continue
                if type(g) is not np.ndarray or g.shape != edge.out_shape or g.dtype is not edge.out_dtype:
                    g = node.conform(g, k)
                first = arrived.get(edge)
                if first is None:
                    arrived[edge] = g
                elif edge in sums:
                    first += g
                    arrived[edge] = first
                else:
                    arrived[edge] = as_array(first + g)
                    sums.add(edge)
            gradients = first = None
        if not retain_graph:
            node.release()


def reachable(root: Node) -> list[Node]:
    """Every node below and including `root`, nearest first. Raises RuntimeError if part of them was freed."""
    found = [root]
    seen = {root}
    for node in found:  # which grows on the way
        if node.edges is None:
            if isinstance(node, Leaf):
                continue
            raise _freed(node)
        for edge in node.edges:
            if edge is not None and edge not in seen:
                seen.add(edge)
                found.append(edge)
    return found


def _freed(node: Node) -> RuntimeError:
    return RuntimeError(
        f"the graph below {node.describe()} was already freed by another backward(). "
        "Call backward(retain_graph=True) the first time, or run the forward pass again."
    )


def _wrong_count(node: Node, got: int) -> RuntimeError:
    wanted = len(node.edges or ())
    return RuntimeError(
        f"backward of {node.describe()} returned {got} gradient{'s' * (got != 1)} for {wanted} "
        f"input{'s' * (wanted != 1)}. Return one per positional argument of forward, None where there is none."
    )
