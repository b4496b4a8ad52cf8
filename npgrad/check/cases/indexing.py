"""Cases for npgrad.functions.indexing."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import shape_of
from npgrad.functions.indexing import ARRAY


def part_of(rng: np.random.Generator, n: int) -> Any:
    """An integer, or a slice without a negative step (torch has none), into an axis of length n."""
    if rng.random() < 0.4:
        return int(rng.integers(-n, n))
    start, stop = sorted(int(k) for k in rng.integers(0, n + 1, size=2))
    return slice(start, stop, int(rng.integers(1, 3)))


@case("Slice")
def slices(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng))
    key: list[Any] = [part_of(rng, n) for n in x.shape[: int(rng.integers(0, x.ndim + 1))]]
    key.insert(int(rng.integers(0, len(key) + 1)), None)
    if len(key) == x.ndim + 1:
        key.insert(int(rng.integers(0, len(key) + 1)), Ellipsis)
    return Case((x,), {"key": tuple(key)}, lambda torch, x: x[tuple(key)])


@case("Slice")
def slice_backwards(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, 1))
    return Case((x,), {"key": (slice(None, None, -1),)}, lambda torch, x: torch.flip(x, (0,)))


@case("GetItem")
def gather_rows(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, 1))
    index = rng.integers(-len(x), len(x), size=shape_of(rng))
    return Case((x, index), {}, lambda torch, x, index: x[index])


@case("GetItem")
def gather_pairs(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, 2))
    shape = shape_of(rng, 1, 2)
    rows, columns = rng.integers(0, len(x), size=shape), rng.integers(0, x.shape[1], size=shape[-1:])
    return Case((x, rows, columns), {}, lambda torch, x, rows, columns: x[rows, columns])


@case("GetItem")
def gather_among_slices(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, 3))
    first, last = rng.integers(0, len(x), size=(2,)), rng.integers(0, x.shape[2], size=(3, 2))
    part = part_of(rng, x.shape[1])
    key = (ARRAY, part, ARRAY)
    return Case((x, first, last), {"key": key}, lambda torch, x, first, last: x[first, part, last])


@case("GetItem")
def gather_by_mask(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, 1))
    mask = np.asarray(rng.random(size=x.shape[: int(rng.integers(0, x.ndim + 1))]) < 0.5)
    return Case((x, mask), {}, lambda torch, x, mask: x[mask])


@case("TakeAlongAxis")
def take_along_axis(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, 1))
    axis = int(rng.integers(-x.ndim, x.ndim))
    shape = list(x.shape)
    shape[axis] = int(rng.integers(0, 5))
    indices = rng.integers(0, x.shape[axis], size=shape)
    return Case((x, indices), {"axis": axis}, lambda torch, x, indices: torch.take_along_dim(x, indices, axis))


@case("Embedding")
def embedding(rng: np.random.Generator) -> Case:
    E = rng.normal(size=shape_of(rng, 2, 2))
    indices = rng.integers(0, len(E), size=shape_of(rng))
    return Case((E, indices), {}, lambda torch, E, indices: torch.nn.functional.embedding(indices, E))
