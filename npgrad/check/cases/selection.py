"""Cases for npgrad.functions.selection."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import broadcastable, shape_of


def distinct(rng: np.random.Generator, *shapes: tuple[int, ...], gap: float = 0.01) -> tuple[NDArray[np.float64], ...]:
    """Arrays of numbers no two of which, in all arrays together, are nearer to each other than `gap`."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    count = sum(sizes)
    values = rng.permutation(gap * (np.arange(count) * 3 + rng.uniform(size=count)) + rng.normal())
    values = (values - values.mean()) * rng.uniform(1.0, 3.0)
    return tuple(
        part.reshape(shape) for part, shape in zip(np.split(values, np.cumsum(sizes)[:-1]), shapes, strict=True)
    )


def same_kind(torch: Any, *values: Any) -> list[Any]:
    """Tensors of float64: torch turns a Python number into float32."""
    return [torch.as_tensor(value, dtype=torch.float64) for value in values]


@case("Maximum")
def maximum(rng: np.random.Generator) -> Case:
    return Case(distinct(rng, *broadcastable(rng)), torch=lambda torch, a, b: torch.maximum(a, b))


@case("Maximum")
def maximum_of_number(rng: np.random.Generator) -> Case:
    (a,) = distinct(rng, shape_of(rng))
    bound = float(a.flat[rng.integers(a.size)]) + 0.005
    inputs = (a, bound) if rng.random() < 0.5 else (bound, a)
    return Case(inputs, torch=lambda torch, x, y: torch.maximum(*same_kind(torch, x, y)))


@case("Minimum")
def minimum(rng: np.random.Generator) -> Case:
    return Case(distinct(rng, *broadcastable(rng)), torch=lambda torch, a, b: torch.minimum(a, b))


@case("Minimum")
def minimum_of_number(rng: np.random.Generator) -> Case:
    (a,) = distinct(rng, shape_of(rng))
    bound = float(a.flat[rng.integers(a.size)]) + 0.005
    inputs = (a, bound) if rng.random() < 0.5 else (bound, a)
    return Case(inputs, torch=lambda torch, x, y: torch.minimum(*same_kind(torch, x, y)))


@case("Clip")
def clip(rng: np.random.Generator) -> Case:
    a, bound = broadcastable(rng)
    values, lower, upper = distinct(rng, a, bound, bound)
    if rng.random() < 0.8:
        lower, upper = np.asarray(np.minimum(lower, upper)), np.asarray(np.maximum(lower, upper))
    return Case((values, lower, upper), torch=lambda torch, x, lo, hi: torch.clamp(x, lo, hi))


@case("Clip")
def clip_by_numbers(rng: np.random.Generator) -> Case:
    (a,) = distinct(rng, shape_of(rng))
    middle = float(a.flat[rng.integers(a.size)]) + 0.005
    width = float(rng.uniform(0.0, 1.0))
    width += 0.003 * float(np.min(np.abs(a - middle - width)) < 0.001)
    inputs = ((a, middle, middle + width), (a, middle, None), (a, None, middle))[rng.integers(3)]
    return Case(inputs, torch=lambda torch, x, lo, hi: torch.clamp(x, lo, hi))


@case("Where")
def where(rng: np.random.Generator) -> Case:
    x, y = broadcastable(rng)
    condition = rng.random(size=x if rng.random() < 0.5 else y) < 0.5
    return Case(
        (np.asarray(condition), rng.normal(size=x), rng.normal(size=y)),
        torch=lambda torch, c, x, y: torch.where(torch.as_tensor(c), x, y),
    )


@case("Where")
def where_number(rng: np.random.Generator) -> Case:
    shape = shape_of(rng)
    condition, x = np.asarray(rng.integers(-1, 2, size=shape)), rng.normal(size=shape)
    inputs = (condition, x, 0.5) if rng.random() < 0.5 else (condition, 0.5, x)
    return Case(inputs, torch=lambda torch, c, x, y: torch.where(torch.as_tensor(c) != 0, x, y))
