"""Watching: sees every Function run, forward and backward, without changing what is computed.

The engine asks whoever is named in the mode as `recorder` to run a Function's forward pass; `npgrad.compile` records
there. `Watching` takes the same place, runs the Function as it is, and shows each one to `forward_seen` and
`backward_seen`, together with the layer it ran in. A compiled step runs eagerly while it is watched, since a program
holds only while nobody else records, so nothing that happens in one is hidden.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array, as_array
from npgrad.engine.function import OURS, Function, unshared
from npgrad.engine.mode import switch
from npgrad.engine.node import Leaf
from npgrad.nn import Module
from npgrad.optim import Optimizer

__all__ = ["Watching"]


class Watching:
    """Base of the watchers: override the three `…_seen` methods; `with watcher.on():` watches this thread.

    `updates` counts the steps of optimisers seen so far. Layers are called by their names in `model`.
    """

    def __init__(self, model: Module | None) -> None:
        self.layers = (
            {}
            if model is None
            else {id(module): name or type(module).__name__ for name, module in model.named_modules()}
        )
        self.updates = 0
        self._classes: dict[type[Function], type[Function]] = {}

    def on(self) -> switch:
        """Inside the `with`, every Function that runs in this thread is shown."""
        return switch(recorder=self)

    # -- what a subclass looks at --------------------------------------------------------------------------------------

    def forward_seen(
        self, node: Function, arrays: list[Any], options: dict[str, Any], leaves: tuple[Leaf, ...], y: Array
    ) -> None:
        """`node` has computed `y` from `arrays`; `leaves` are the tensors among them that nothing computed."""

    def backward_seen(self, node: Function, dy: Array, gradients: tuple[Any, ...]) -> None:
        """`node`, given `dy`, has returned `gradients`, one for each input."""

    def update_seen(self, optimizer: Optimizer, group: dict[str, Any], parameters: list[Any]) -> None:
        """`optimizer` is about to update these parameters."""

    # -- what the engine asks of a recorder ----------------------------------------------------------------------------

    def forward(self, node: Any, arrays: list[Any], options: dict[str, Any], leaves: tuple[Any, ...]) -> Any:
        kind = type(node)
        if kind.check is not None:
            kind.check(*arrays, **options)
        y = node.forward(*arrays, **options)
        if type(y) is not np.ndarray:
            y = as_array(y)
        if node.needs:
            node.__class__ = self._watched(kind)
        else:
            y = unshared(y, arrays)
        self.forward_seen(node, arrays, options, leaves, y)
        return y

    def born(self, leaf: Any) -> None:
        """Leaves made on the way are as any others."""

    def lift(self, x: Any) -> Any:
        return x

    def value(self, tensor: Any) -> Any:
        return tensor._array

    def leaf(self, leaf: Any, reading: bool = False) -> None:
        pass

    def accumulate(self, leaf: Any, g: Any) -> bool:
        return False

    def host(self, call: Callable[..., Any], *args: Any) -> Any:
        optimizer = getattr(call, "__self__", None)
        if isinstance(optimizer, Optimizer):
            group, parameters = args
            if group is optimizer.param_groups[0]:
                self.updates += 1
            for p in parameters:
                p._leaf().storage.touch()
            self.update_seen(optimizer, group, parameters)
        return call(*args)

    def refuse(self, what: str) -> None:
        pass

    # -- where a Function runs -----------------------------------------------------------------------------------------

    def layer(self) -> str | None:
        """The innermost module of the model whose `forward` is running; None outside of all of them."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_name == "forward" and frame.f_code.co_varnames[:1] == ("self",):
                name = self.layers.get(id(frame.f_locals.get("self")))
                if name is not None:
                    return name
            frame = frame.f_back
        return None

    def _watched(self, kind: type[Function]) -> type[Function]:
        """A subclass of `kind` under the same name, whose backward is shown."""
        known = self._classes.get(kind)
        if known is not None:
            return known
        seen = self.backward_seen

        def backward(node: Any, dy: Any) -> Any:
            gradients = kind.backward(node, dy)
            seen(node, dy, gradients if type(gradients) is tuple else (gradients,))
            return gradients

        watched = type(kind.__name__, (kind,), {"backward": backward, "__module__": kind.__module__})
        self._classes[kind] = watched
        return watched


def users_line() -> str | None:
    """`file:line` of the innermost running code that does not belong to the library."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not OURS[frame.f_code.co_filename]:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None
