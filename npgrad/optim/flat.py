"""Flat storage: many parameters in one array, so that one NumPy call updates them all.

A small network spends more time on calling NumPy than on arithmetic: six parameters updated one by one are a dozen
calls, as one array they are two. An optimiser therefore moves its parameters into one flat array per dtype when it is
made, and each parameter's own array becomes a view of its place there. Nothing else notices: assigning `p.data = …`
writes into the view. Elementwise arithmetic does not depend on its neighbours, so results are those of
parameter-by-parameter updates, to the bit.

For large parameters the arithmetic counts after all: their gradients are used where they are instead of being copied
together, and they are updated in blocks, which bounds the memory for temporary results.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from sys import getrefcount
from typing import Any, NamedTuple

import numpy as np

from npgrad.engine.arrays import Array, tick
from npgrad.engine.tensor import Tensor

__all__ = ["Flat", "Stretch"]

LARGE = 1 << 15
"""A parameter of so many numbers is updated by itself."""
BLOCK = 1 << 18
"""At most so many numbers are updated by one call."""


class Stretch:
    """A contiguous part of flat storage that is updated as one array."""

    def __init__(self, flat: Flat, first: int, start: int, stop: int) -> None:
        self.flat = flat
        self.first = first
        """The first parameter of the run this stretch belongs to."""
        self.where = slice(start, stop)
        self.within = slice(start - flat.bounds[first], stop - flat.bounds[first])
        self.data: Array = flat.data[self.where]
        self._states: dict[str, Array] = {}
        self._scratch: list[Array] = []

    @property
    def steps(self) -> int:
        """How often these parameters have been updated, this time included."""
        return self.flat.steps[self.first]

    def state(self, name: str) -> Array:
        """This part of the optimiser's array called `name`, which is zero at first."""
        array = self._states.get(name)
        if array is None:
            array = self._states[name] = self.flat.state(name)[self.where]
        return array

    def scratch(self, k: int) -> Array:
        """The k-th array for temporary results, with arbitrary content."""
        while len(self._scratch) <= k:
            self._scratch.append(self.flat.scratch(len(self._scratch))[: self.data.size])
        return self._scratch[k]


class _Whole(np.ndarray[Any, Any]):
    """What the parts of a flat array are views of (see `Flat.split`)."""


class Run(NamedTuple):
    """The parameters first to last - 1, whose gradients are brought together."""

    first: int
    last: int
    grad: Array
    slotted: Array
    blocks: list[Stretch]


class Flat:
    """Parameters of one dtype, their small gradients and their optimiser state, each in one array."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = tuple(parameters)
        self.shapes = [p.shape for p in self.parameters]
        self.sizes = [p.size for p in self.parameters]
        self.bounds: list[int] = [0, *np.cumsum(self.sizes).tolist()]
        dtype = self.parameters[0].dtype
        self.data: Array = np.zeros(self.bounds[-1], dtype)
        self.views = self.split(self.data)
        self.grad: Array = np.zeros(self.bounds[-1], dtype)
        """Where gradients are copied together; nobody else sees it."""
        self.slotted: Array = np.zeros(self.bounds[-1], dtype)
        self.slots = self.split(self.slotted)
        """Where each parameter would like its gradient: those that are already these very arrays are not copied."""
        self.states: dict[str, Array] = {}
        self.steps = [0] * len(self.sizes)
        self._scratch: list[Array] = []
        self._runs: dict[tuple[int, int], Run] = {}
        self._watched = list(zip(self.parameters, self.views, self.shapes, strict=True))
        for k in range(len(self.sizes)):
            self.adopt(k)
        self._all = self.runs([True] * len(self.sizes))
        # What to update when every gradient is where it should be, as after a replayed backward.
        self._in_place = [(block, run.slotted[block.within]) for run in self._all for block in run.blocks]

    def split(self, array: Array) -> list[Array]:
        """Parts of a flat array in the shapes of the parameters.

        By way of another class: NumPy lets a view of a view refer to the first array of all, but stops where the class
        changes. So a view of a part refers to the part, and the number of references to a slot tells whether anybody
        still looks at that gradient, whole or not.
        """
        spans = zip(self.shapes, self.bounds, self.bounds[1:], strict=False)
        return [array[start:stop].view(_Whole).reshape(shape).view(np.ndarray) for shape, start, stop in spans]

    def state(self, name: str) -> Array:
        """The array called `name` for all the parameters, made of zeros when first asked for."""
        if name not in self.states:
            self.states[name] = np.zeros_like(self.data)
        return self.states[name]

    def scratch(self, k: int) -> Array:
        while len(self._scratch) <= k:
            self._scratch.append(np.empty(min(BLOCK, self.data.size), self.data.dtype))
        return self._scratch[k]

    def adopt(self, k: int) -> None:
        """Make the k-th view the array of its parameter, with the present values.

        Raises RuntimeError if shape or dtype have changed.
        """
        p, view, _ = self._watched[k]
        old = p._data
        if old.shape != view.shape or old.dtype != view.dtype:
            raise RuntimeError(
                f"a parameter had shape {view.shape} and dtype {view.dtype} when its optimiser was made and has shape "
                f"{old.shape} and dtype {old.dtype} now. Make a new optimiser after changing parameters."
            )
        view.flags.writeable = True
        view[...] = old
        p._data = view
        p._slot = self.slots[k]
        if p._fingerprint is not None:
            # Somebody holds the old array (from `p.data`): writing there would no longer reach the parameter. A graph
            # may still use it, and a part of it can be written to unnoticed: such a graph counts as outdated.
            old.flags.writeable = False
            p._fingerprint = None
            p._version = tick()

    def gather(self) -> list[tuple[Stretch, Array]]:
        """The stretches to be updated, each with its gradient as a flat array, and counted as updated."""
        for p, view, _ in self._watched:
            if p._data is not view or p.grad is not p._slot:
                break
        else:
            if self.steps.count(self.steps[0]) == len(self.steps):
                now = tick()
                for p in self.parameters:
                    p._version = now
                self.steps = [self.steps[0] + 1] * len(self.steps)
                return self._in_place
        gradients: list[Any] = []
        complete = True
        for p, view, shape in self._watched:
            if p._data is not view:
                self.adopt(len(gradients))
            g = p.grad
            if g is None:
                complete = False
            else:
                if g.shape != shape:
                    raise ValueError(
                        f"a parameter of shape {shape} has a gradient of shape {g.shape}. "
                        "Assign gradients of the parameter's own shape, or None."
                    )
                p._version = tick()
            gradients.append(g)
        steps = self.steps
        if complete and steps.count(steps[0]) == len(steps):
            runs = self._all
            self.steps = [steps[0] + 1] * len(steps)
        else:
            present = [g is not None for g in gradients]
            runs = self.runs(present)
            self.steps = [count + here for count, here in zip(steps, present, strict=True)]
        parts: list[tuple[Stretch, Array]] = []
        for run in runs:
            g = self.together(gradients, run)
            if len(run.blocks) == 1:
                parts.append((run.blocks[0], g))
            else:
                parts.extend((block, g[block.within]) for block in run.blocks)
        return parts

    def together(self, gradients: list[Array], run: Run) -> Array:
        """The gradients of a run as one flat array: copied together only if there are several."""
        first, last, own, slotted, _ = run
        if last - first == 1:
            g = gradients[first]
            if g.flags.c_contiguous and g.dtype == self.data.dtype:
                return g.reshape(-1)
        strays = [k for k in range(first, last) if gradients[k] is not self.slots[k]]
        # References to a slot that nobody uses: the list, the parameter's attribute, and the question itself.
        if len(strays) == last - first or any(getrefcount(self.slots[k]) > 3 for k in strays):
            return np.concatenate(gradients[first:last], axis=None, out=own)
        for k in strays:
            self.slots[k][...] = gradients[k]
        return slotted

    def runs(self, present: list[bool]) -> list[Run]:
        """Neighbours that can be updated as one: present, small, updated equally often before."""
        spans: list[tuple[int, int]] = []
        for k, here in enumerate(present):
            if not here:
                continue
            small = k > 0 and max(self.sizes[k - 1 : k + 1]) < LARGE
            if small and present[k - 1] and self.steps[k - 1] == self.steps[k]:
                spans[-1] = (spans[-1][0], k + 1)
            else:
                spans.append((k, k + 1))
        return [self._runs.get(span) or self.run(*span) for span in spans]

    def run(self, first: int, last: int) -> Run:
        """The run from parameter `first` to `last` - 1, in blocks of at most BLOCK numbers."""
        start, stop = self.bounds[first], self.bounds[last]
        cuts = [*range(start, stop, BLOCK), stop] if stop > start else [start, stop]
        blocks = [Stretch(self, first, a, b) for a, b in pairwise(cuts)]
        run = self._runs[first, last] = Run(first, last, self.grad[start:stop], self.slotted[start:stop], blocks)
        return run

    def __getstate__(self) -> dict[str, Any]:
        # Views do not survive copying and pickling, what they are made of does.
        return {"parameters": self.parameters, "states": self.states, "steps": self.steps}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["parameters"])  # type: ignore[misc]
        self.states.update(state["states"])
        self.steps = list(state["steps"])
