"""Cases for npgrad.functions.arithmetic."""

from __future__ import annotations

import numpy as np

from npgrad.check.case import Case, case


def shape_of(rng: np.random.Generator, least: int = 0, most: int = 3) -> tuple[int, ...]:
    """A random shape of `least` to `most` axes, each 1 to 4 long."""
    return tuple(int(n) for n in rng.integers(1, 5, size=rng.integers(least, most + 1)))


def broadcastable(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast against each other: axes of one are shortened to 1 or left off."""
    full = shape_of(rng, 1)
    part = tuple(n if rng.random() < 0.6 else 1 for n in full)[int(rng.integers(0, len(full) + 1)) :]
    return (full, part) if rng.random() < 0.5 else (part, full)


@case("Add")
def add(rng: np.random.Generator) -> Case:
    a, b = broadcastable(rng)
    return Case((rng.normal(size=a), rng.normal(size=b)), torch=lambda torch, x, y: x + y)


@case("Mul")
def mul(rng: np.random.Generator) -> Case:
    a, b = broadcastable(rng)
    return Case((rng.normal(size=a), rng.normal(size=b)), torch=lambda torch, x, y: x * y)
