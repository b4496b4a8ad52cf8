"""Use a model for a measurement and leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from npgrad.nn import Module

__all__ = ["undisturbed"]


@contextmanager
def undisturbed(model: Module, *, training: bool | None = None) -> Iterator[None]:
    """Afterwards modes, buffers, gradients and random generators of `model` are what they were before.

    Inside, every module is in training mode (`training=True`), in evaluation mode (False), or as it is (None).
    """
    modules = model.modules()
    modes = [(module, module.training) for module in modules]
    buffers = [(array, array.copy()) for array in model.buffers()]
    gradients = [(p, p.grad) for p in model.parameters()]
    generators = [g for module in modules for g in vars(module).values() if isinstance(g, np.random.Generator)]
    states = [(g.bit_generator, g.bit_generator.state) for g in generators]
    if training is not None:
        model.train(training)
    try:
        for p, _ in gradients:
            p.grad = None
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for array, value in buffers:
            array[...] = value
        for p, gradient in gradients:
            p._leaf().grad = gradient  # the very array, which somebody may hold
        for bits, state in states:
            bits.state = state
