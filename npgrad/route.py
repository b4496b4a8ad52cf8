"""Route: the backward sweep of a replayed step, decided once and then followed.

A sweep finds the nodes below a result, sorts them and looks at each edge. When a step is replayed to the letter the
answers are those of the last time, and only the numbers are new.
"""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np

from npgrad.function import Function
from npgrad.sweep import deliver, fit, give_up, observe, raise_count, raise_swept, reachable
from npgrad.tensor import Array, Tensor

__all__ = ["Route"]

_ndarray = np.ndarray


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
            # Of the node and not of the route, because whoever runs its backward again has to ask what was handed over.
            if node.handovers is None:
                node.handovers = [Handover(k, edge) for k, edge in enumerate(node.edges) if isinstance(edge, Tensor)]
            self.steps.append((node, len(node.edges), inner, node.handovers))
        self.leaves = [(node, handover) for node, _, _, handovers in self.steps for handover in handovers]
        for _, handover in self.leaves:
            handover.only &= sum(other.leaf is handover.leaf for _, other in self.leaves) == 1

    def run(self, dy: Array) -> None:
        """The same additions in the same order as `npgrad.sweep.sweep`."""
        nodes = self.nodes
        for node in nodes:
            if node.claimed is not None:
                raise_swept(node)
            for leaf in node.leaves:
                if leaf._version > node.age or leaf._fingerprint is not None:
                    node.verify()
        try:
            for node in nodes:
                node.claimed = self.pending
            self.sweep(dy)
        except BaseException:
            # What has arrived so far belongs to no later sweep.
            self.pending = [None] * len(nodes)
            raise
        finally:
            give_up(nodes)

    def sweep(self, dy: Array) -> None:
        for node, handover in self.leaves:
            leaf = handover.leaf
            if leaf.grad is not None or leaf._slot is not handover.slot or getrefcount(handover.array) > handover.ours:
                handover.prepare(node)
        pending, sums = self.pending, self.sums
        pending[0] = dy
        for place, (node, count, inner, leaves) in enumerate(self.steps):
            received = pending[place]
            pending[place] = None
            if received is None:
                continue
            if node.watched:
                received = observe(node, received)
            gradients = node.backward(received)
            if type(gradients) is not tuple:
                if gradients is None:
                    raise_count(node, 0, count)
                gradients = (gradients,)
            if len(gradients) != count:
                raise_count(node, len(gradients), count)
            for k, target, edge in inner:
                g = gradients[k]
                if g is None:
                    continue
                if type(g) is not _ndarray or g.shape != edge.shape or g.dtype is not edge.dtype:
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
                    handover.deliver(node, gradients, received)


class Handover:
    """How the gradient of one input reaches the leaf it belongs to."""

    __slots__ = ("array", "k", "leaf", "name", "only", "ours", "slot")

    def __init__(self, k: int, leaf: Tensor) -> None:
        self.k, self.leaf = k, leaf
        self.only = True
        self.array: Array | None = None
        """The node's memory for this gradient, which the leaf may have as its own until the next call."""
        self.name = ""
        self.slot: Array | None = None
        # References to `array` that are ours, the question itself included.
        self.ours = 0

    def prepare(self, node: Function) -> None:
        """Before the node writes into its memory again: save what is still wanted of the last time."""
        array = self.array
        if array is None:
            return
        if self.leaf.grad is array:
            self.leaf.grad = array.copy()
        if getrefcount(self.array) > self.ours + 1 or self.leaf._slot is not self.slot:
            setattr(node, self.name, None)
            self.array = None

    def deliver(self, node: Function, gradients: tuple[Any, ...], received: Array) -> None:
        """Give the leaf a copy of its gradient, and bind the node's memory to it for the next time."""
        g = gradients[self.k]
        if g is None:
            return
        deliver(self.leaf, fit(g, self.leaf._data, node, self.k), shared=True)
        self.bind(node, gradients, received)

    def bind(self, node: Function, gradients: tuple[Any, ...], received: Array) -> None:
        """Next time the node writes where the leaf wants its gradient, if it writes into one buffer of its own."""
        g = gradients[self.k]
        if type(g) is not np.ndarray or g.base is not None or g is received:
            return
        if g.shape != self.leaf.shape or g.dtype != self.leaf.dtype or sum(h is g for h in gradients) > 1:
            return
        names = [name for name, value in vars(node).items() if value is g]
        if len(names) != 1 or names[0] not in node.buffers:
            return
        self.name = names[0]
        self.slot = slot = self.leaf._slot
        # A slot nobody looks at is referred to by its leaf, the optimiser's list, this object, this variable and the
        # question itself.
        if (
            slot is not None
            and self.only
            and slot.dtype == g.dtype
            and getrefcount(self.slot) <= 5 + (self.leaf.grad is slot)
        ):
            setattr(node, self.name, slot)
            # This object (twice), the node, the leaf, the list, the question itself.
            self.array, self.ours = slot, 6
        else:
            self.array, self.ours = g, 3
