"""Everything that training changes, kept and put back to the byte."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from npgrad.data import Batches
from npgrad.nn import Module
from npgrad.optim import Optimizer

__all__ = ["Snapshot", "examples"]

Example = tuple[Any, Any]


class Snapshot:
    """Parameters, gradients, buffers, modes, hooks, attributes and generators of a model; its optimiser; and NumPy's
    and Python's global generators, as they are when this is made. `restore()` puts all of it back, as often as wanted.

    Objects keep their identity: arrays are written in place, and what was replaced is put back itself.
    """

    def __init__(self, model: Module, optimizer: Optimizer | None, *others: Any) -> None:
        self.optimizer = optimizer
        self.modules = [(module, dict(vars(module))) for module in model.modules()]
        owned = [] if optimizer is None else [p for group in optimizer.param_groups for p in group["params"]]
        tensors = {id(p): p for p in [*model.parameters(), *owned]}.values()
        self.tensors = [(p, p._array.copy(), p.requires_grad, p.grad, _copied(p.grad)) for p in tensors]
        held = [value for module, _ in self.modules for value in vars(module).values()]
        held += [value for other in others if hasattr(other, "__dict__") for value in vars(other).values()]
        self.arrays = [(a, a.copy()) for a in held if isinstance(a, np.ndarray) and a.flags.writeable]
        self.containers = [(c, copy.copy(c)) for c in held if type(c) in (list, dict)]
        generators = {id(g): g for g in [*held, *others] if isinstance(g, np.random.Generator)}.values()
        self.generators = [(g.bit_generator, g.bit_generator.state) for g in generators]
        self.others = [(other, dict(vars(other))) for other in others if hasattr(other, "__dict__")]
        self.legacy, self.python = np.random.get_state(), random.getstate()
        if optimizer is not None:
            self.attributes = dict(vars(optimizer))
            self.groups = list(optimizer.param_groups)
            self.options = [(group, dict(group), list(group["params"])) for group in optimizer.param_groups]
            self.state = [
                (p, entry, {k: (v, v.copy() if isinstance(v, np.ndarray) else v) for k, v in entry.items()})
                for p, entry in optimizer.state.items()
            ]

    def restore(self) -> None:
        """Put everything back."""
        for thing, attributes in [*self.modules, *self.others]:
            vars(thing).clear()
            vars(thing).update(attributes)
        for container, content in self.containers:
            container.clear()
            container.extend(content) if isinstance(container, list) else container.update(content)
        for p, value, wanted, grad, gradient in self.tensors:
            if p.requires_grad != wanted:
                p.requires_grad = wanted
            if grad is not None:
                grad[...] = gradient
            p.grad = grad
            p._array[...] = value
            p._leaf().storage.touch()
        for array, value in self.arrays:
            array[...] = value
        for bits, state in self.generators:
            bits.state = state
        np.random.set_state(self.legacy)
        random.setstate(self.python)
        optimizer = self.optimizer
        if optimizer is not None:
            vars(optimizer).update(self.attributes)
            optimizer.param_groups[:] = self.groups
            for group, options, members in self.options:
                group.clear()
                group.update(options)
                group["params"][:] = members
            optimizer.state.clear()
            for p, entry, values in self.state:
                entry.clear()
                for key, (value, content) in values.items():
                    if isinstance(value, np.ndarray):
                        value[...] = content
                    entry[key] = value
                optimizer.state[p] = entry


def _copied(a: Any) -> Any:
    return None if a is None else a.copy()


def examples(batches: Iterable[Example]) -> Iterator[Example]:
    """An endless iterator over `batches` that leaves them where they are.

    A sequence is gone through again and again; an iterator is copied, with the generators in it.

    Raises TypeError for an iterator that cannot be copied, such as a Python generator, ValueError if it is empty.
    """
    if isinstance(batches, Sequence) or not isinstance(batches, Iterator):
        listed = batches if isinstance(batches, Sequence) else list(batches)
        if not len(listed):
            raise ValueError("there are no batches to examine the model with.")
        return _round(listed)
    memo: dict[int, Any] = {}
    if isinstance(batches, Batches):
        memo = {id(a): a for a in (batches.x, batches.y)}  # never written into, and large
    try:
        return copy.deepcopy(batches, memo)
    except TypeError:
        raise TypeError(
            f"a {type(batches).__name__} cannot be read without using it up. Give a list of batches (x, y), or "
            "npgrad.data.Batches."
        ) from None


def _round(listed: Sequence[Example]) -> Iterator[Example]:
    while True:
        yield from listed
