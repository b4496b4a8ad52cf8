"""Flat storage: many parameters in one array, so that one NumPy call updates them all.

A small network spends more time on calling NumPy than on arithmetic: six parameters updated one by one are a dozen
calls, as one array they are two. An optimiser therefore moves its parameters into one flat array per dtype when it is
made, and each parameter's own array becomes a view of its place there. Nothing else notices: assigning `p.data = …`
writes into the view. Elementwise arithmetic does not depend on its neighbours, so results are those of
parameter-by-parameter updates, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from npgrad.tensor import Array, Tensor

__all__ = ["Flat", "Stretch"]


class Stretch:
    """A contiguous part of flat storage that is updated as one array: the parameters first to last − 1."""

    def __init__(self, flat: Flat, first: int, last: int) -> None:
        self.flat, self.first, self.last = flat, first, last
        self.where = slice(flat.bounds[first], flat.bounds[last])
        self.data: Array = flat.data[self.where]
        self.grad: Array = flat.grad[self.where]
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
            self._scratch.append(self.flat.scratch(len(self._scratch))[self.where])
        return self._scratch[k]


class Flat:
    """Parameters of one dtype, their gradients and their optimiser state, each in one array."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = tuple(parameters)
        sizes = [p.size for p in self.parameters]
        self.bounds: list[int] = [0, *np.cumsum(sizes).tolist()]
        dtype = self.parameters[0].dtype
        self.data: Array = np.zeros(self.bounds[-1], dtype)
        self.grad: Array = np.zeros(self.bounds[-1], dtype)
        self.views = self.split(self.data)
        self.slots = self.split(self.grad)
        """Where each parameter's gradient goes: one that is already this very array is not copied."""
        self.states: dict[str, Array] = {}
        self.steps = [0] * len(sizes)
        self._scratch: list[Array] = []
        self._stretches: dict[tuple[int, int], Stretch] = {}
        for p, view in zip(self.parameters, self.views, strict=True):
            self.adopt(p, view)
        self._whole = [self.stretch(0, len(sizes))]

    def split(self, array: Array) -> list[Array]:
        """Views of a flat array in the shapes of the parameters."""
        spans = zip(self.parameters, self.bounds, self.bounds[1:], strict=False)
        return [array[start:stop].reshape(p.shape) for p, start, stop in spans]

    def stretch(self, first: int, last: int) -> Stretch:
        if (first, last) not in self._stretches:
            self._stretches[first, last] = Stretch(self, first, last)
        return self._stretches[first, last]

    def state(self, name: str) -> Array:
        """The array called `name` for all the parameters, made of zeros when first asked for."""
        if name not in self.states:
            self.states[name] = np.zeros_like(self.data)
        return self.states[name]

    def scratch(self, k: int) -> Array:
        while len(self._scratch) <= k:
            self._scratch.append(np.empty_like(self.data))
        return self._scratch[k]

    def adopt(self, p: Tensor, view: Array) -> None:
        """Make `view` the array of `p`, with its present values. Raises RuntimeError if shape or dtype have changed."""
        old = p._data
        if old.shape != view.shape or old.dtype != view.dtype:
            raise RuntimeError(
                f"a parameter had shape {view.shape} and dtype {view.dtype} when its optimiser was made and has shape "
                f"{old.shape} and dtype {old.dtype} now. Make a new optimiser after changing parameters."
            )
        view.flags.writeable = True
        view[...] = old
        p._data = view
        if p._fingerprint is not None:
            # Somebody holds the old array (from `p.data`): writing there would no longer reach the parameter.
            old.flags.writeable = False

    def gather(self) -> list[Stretch]:
        """Bring the gradients into the flat array; return the stretches that have one, counted as updated."""
        gradients: list[Array] = []
        in_place = True
        for p, view, slot in zip(self.parameters, self.views, self.slots, strict=True):
            if p._data is not view:
                self.adopt(p, view)
            g = p.grad
            if g is not slot:
                if g is None:
                    return self._gather_present()
                if g.shape != view.shape:
                    raise_shape(p, g)
                in_place = False
            gradients.append(g)
        if self.steps.count(self.steps[0]) != len(self.steps):
            return self._gather_present()
        if not in_place:
            np.concatenate(gradients, axis=None, out=self.grad)
        for p in self.parameters:
            p._version += 1
        self.steps = [self.steps[0] + 1] * len(self.steps)
        return self._whole

    def _gather_present(self) -> list[Stretch]:
        """`gather` when some parameters have no gradient, now or in earlier steps."""
        runs: list[tuple[int, int]] = []
        for k, (p, view, slot) in enumerate(zip(self.parameters, self.views, self.slots, strict=True)):
            if p._data is not view:
                self.adopt(p, view)
            if p.grad is None:
                continue
            if p.grad.shape != view.shape:
                raise_shape(p, p.grad)
            if p.grad is not slot:
                slot[...] = p.grad
            p._version += 1
            self.steps[k] += 1
            first, last = runs[-1] if runs else (0, 0)
            if runs and last == k and self.steps[first] == self.steps[k]:
                runs[-1] = (first, k + 1)
            else:
                runs.append((k, k + 1))
        return [self.stretch(first, last) for first, last in runs]

    def __getstate__(self) -> dict[str, Any]:
        # Views do not survive copying and pickling, what they are made of does.
        return {"parameters": self.parameters, "states": self.states, "steps": self.steps}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["parameters"])  # type: ignore[misc]
        self.states.update(state["states"])
        self.steps = list(state["steps"])


def raise_shape(p: Tensor, g: Array) -> None:
    raise ValueError(
        f"a parameter of shape {p.shape} has a gradient of shape {g.shape}. "
        "Assign gradients of the parameter's own shape, or None."
    )
