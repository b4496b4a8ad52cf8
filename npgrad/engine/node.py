"""The nodes of the graph: what the backward sweep knows.

A node was made by an operation (`npgrad.Function`, which adds the rule) or stands for a leaf (`Leaf`, which
accumulates). Each refers to the nodes that made its inputs, and to nothing that refers back: a graph that nobody needs
is gone at once, without the garbage collector.

    Tensor ──▶ Leaf ──▶ Storage        a tensor that you made: its node, and its array
    Tensor ──▶ Function                a tensor that was computed: its node, with what the forward pass saved
    Function ──▶ Function, Leaf        the nodes that made its inputs (`edges`)
    Function ──▶ Reading ──▶ Storage   what the leaves held when it read them
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from types import CodeType
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array, Reading, Storage, as_array, unbroadcast
from npgrad.engine.mode import MODE

__all__ = ["Hook", "Leaf", "Loan", "Node"]

Hook = Callable[[Array], "Array | None"]


class Node:
    """A vertex of the graph: `backward` receives the gradient of its result, of `out_shape` and `out_dtype`."""

    edges: tuple[Node | None, ...] | None = None
    """For each input the node that made it; None for an input that wants no gradient. None once freed."""
    readings: tuple[Reading, ...] = ()
    """What the leaves among the inputs held, those without a gradient too."""
    seq: int = 0
    """The reading of the clock when the node was made: later than those of the nodes that made its inputs."""
    out_shape: tuple[int, ...]
    out_dtype: np.dtype[Any]
    requires_grad: bool = True
    hooks: list[Hook] | None = None
    retained: bool = False
    grad: Array | None = None
    # The line of the user's code, as (code, instruction): resolving it to text waits until an error asks.
    origin: tuple[CodeType, int] | None = None

    def backward(self, dy: Any) -> Any:
        """The derivatives with respect to the inputs, given the one with respect to the result."""
        raise NotImplementedError(f"{type(self).__name__} has no backward method: define backward(self, dy).")

    def receive(self, dy: Array) -> Array:
        """The whole gradient of the result has arrived: show it to the hooks, keep it if that was asked for."""
        if self.hooks:
            dy = run_hooks(self.hooks, dy, self.out_shape)
        if self.retained:
            self.grad = dy.copy() if self.grad is None else as_array(self.grad + dy)
        return dy

    def verify(self) -> None:
        """Raise RuntimeError if a leaf that this node read has been changed since."""
        for reading in self.readings:
            if not reading.is_current():
                shape = reading.storage.array.shape
                raise RuntimeError(
                    f"{self.describe()} used a tensor of shape {shape} that was changed between forward and "
                    "backward, so its gradient would be wrong. Change it after backward(), or run forward again."
                )

    def release(self) -> None:
        """Let go of everything the forward pass saved."""
        kept = {"out_shape": self.out_shape, "out_dtype": self.out_dtype, "origin": self.origin}
        self.__dict__ = kept if self.grad is None else kept | {"grad": self.grad}

    def describe(self) -> str:
        """Function, shape of the result and the line of the user's code: the 'where' of every error message."""
        text = f"{type(self).__name__} (result of shape {self.out_shape})"
        if self.origin is not None:
            code, instruction = self.origin
            line = next((row for start, stop, row in code.co_lines() if start <= instruction < stop), None)
            text += f" at {code.co_filename}:{line}"
        return text

    def parents(self) -> Iterator[Node]:
        """The nodes that made this node's inputs, leaves excepted."""
        return (edge for edge in self.edges or () if edge is not None and not isinstance(edge, Leaf))

    def conform(self, g: Any, k: int) -> Array:
        """`g`, returned by `backward` for input k, in exactly the shape and dtype of that input.

        Raises RuntimeError if it has neither the input's shape nor one the input broadcasts to, TypeError if the input
        holds integers.
        """
        assert self.edges is not None
        edge = self.edges[k]
        assert edge is not None
        dx = as_array(g)
        if dx.shape != edge.out_shape:
            try:
                dx = as_array(unbroadcast(dx, edge.out_shape))
            except ValueError as error:
                raise RuntimeError(
                    f"backward of {self.describe()} returned a gradient of the wrong shape for input {k}: {error}. "
                    "Return the input's own shape, or one that the input broadcasts to."
                ) from None
        if dx.dtype != edge.out_dtype:
            if edge.out_dtype.kind not in "fc":
                raise TypeError(
                    f"backward of {self.describe()} reached input {k}, which is {edge.out_dtype}: a gradient there "
                    "would be rounded to whole numbers. Give integers no gradient, or let forward return floats."
                )
            part = dx.real if dx.dtype.kind == "c" and edge.out_dtype.kind != "c" else dx
            return part.astype(edge.out_dtype)
        return dx


class Leaf(Node):
    """A tensor that the user made: its gradient is added to `grad`, an array of its own."""

    _lock = Lock()

    def __init__(self, array: Array, requires_grad: bool = False) -> None:
        self.storage = Storage(array)
        self.out_shape = array.shape
        self.out_dtype = array.dtype
        self.requires_grad = requires_grad
        self._grad: Array | Loan | None = None
        recorder = MODE.get().recorder
        if recorder is not None:
            recorder.born(self)

    @property
    def grad(self) -> Array | None:
        recorder = MODE.get().recorder
        if recorder is not None:
            recorder.leaf(self, reading=True)
        if isinstance(self._grad, Loan):
            self._grad = self._grad.array.copy()
        return self._grad

    @grad.setter
    def grad(self, value: Array | None) -> None:
        recorder = MODE.get().recorder
        if recorder is not None:
            recorder.leaf(self)
        self._grad = value

    def accumulate(self, g: Array, own: bool) -> None:
        """Add `g`, the whole gradient of one sweep; `own` says that nobody else has this array."""
        recorder = MODE.get().recorder
        if recorder is not None and recorder.accumulate(self, g):
            return
        if self.hooks:
            g, own = run_hooks(self.hooks, g, self.out_shape), False
        with self._lock:  # from several threads too, every contribution counts
            before = self.grad
            if before is not None:
                self._grad = as_array(before + g)
            else:
                self._grad = g if own else g.copy()

    def release(self) -> None:
        """A leaf stays."""


class Loan:
    """A gradient in the memory of a compiled program, copied when somebody looks at it."""

    __slots__ = ("array",)

    def __init__(self, array: Array) -> None:
        self.array = array


def run_hooks(hooks: list[Hook], g: Array, shape: tuple[int, ...]) -> Array:
    """Show `g` (read-only) to each hook; a hook that returns an array replaces it."""
    recorder = MODE.get().recorder
    if recorder is not None:
        recorder.refuse("hooks on gradients")
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
