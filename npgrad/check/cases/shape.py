"""Cases for npgrad.functions.shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import shape_of


@case("Reshape")
def reshape(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng))
    shape = [int(n) for n in rng.permutation((*x.shape, 1))]
    if rng.random() < 0.5:
        shape[int(rng.integers(len(shape)))] = -1
    return Case((x,), {"shape": tuple(shape)}, lambda torch, x: x.reshape(shape))


@case("Transpose")
def transpose(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, most=4))
    axes = tuple(int(a) for a in rng.permutation(x.ndim))
    return Case((x,), {"axes": axes}, lambda torch, x: x.permute(axes))


@case("Transpose")
def transpose_reversed(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng))
    return Case((x,), {}, lambda torch, x: x.permute(tuple(reversed(range(x.ndim)))))


@case("BroadcastTo")
def broadcast_to(rng: np.random.Generator) -> Case:
    shape = shape_of(rng, most=4)
    kept = int(rng.integers(0, len(shape) + 1))
    x = rng.normal(size=[n if rng.random() < 0.5 else 1 for n in shape[len(shape) - kept :]])
    return Case((x,), {"shape": shape}, lambda torch, x: torch.broadcast_to(x, shape))


@case("Concatenate")
def concatenate(rng: np.random.Generator) -> Case:
    shape = list(shape_of(rng, 1))
    axis = int(rng.integers(-len(shape), len(shape)))
    arrays: list[Any] = []
    for _ in range(int(rng.integers(1, 4))):
        shape[axis] = int(rng.integers(0, 4))
        arrays.append(rng.normal(size=shape))
    return Case(tuple(arrays), {"axis": axis}, lambda torch, *arrays: torch.cat(arrays, axis))


@case("Stack")
def stack(rng: np.random.Generator) -> Case:
    shape = shape_of(rng)
    axis = int(rng.integers(-len(shape) - 1, len(shape) + 1))
    arrays = tuple(rng.normal(size=shape) for _ in range(int(rng.integers(1, 4))))
    return Case(arrays, {"axis": axis}, lambda torch, *arrays: torch.stack(arrays, axis))


@case("Pad")
def pad(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng))
    widths = tuple((int(p), int(r)) for p, r in rng.integers(0, 3, size=(x.ndim, 2)))
    flat = [n for pair in reversed(widths) for n in pair]
    value = float(rng.integers(-1, 2))

    def reference(torch: Any, x: Any) -> Any:
        return torch.nn.functional.pad(x, flat, value=value) if flat else x * 1.0

    return Case((x,), {"pad_width": widths, "value": value}, reference)


@case("Flip")
def flip(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, 1))
    axis = int(rng.integers(-x.ndim, x.ndim))
    return Case((x,), {"axis": axis}, lambda torch, x: torch.flip(x, (axis,)))


@case("Flip")
def flip_several(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng))
    axes = tuple(a for a in range(x.ndim) if rng.random() < 0.5) if rng.random() < 0.5 else None
    return Case((x,), {"axis": axes}, lambda torch, x: torch.flip(x, tuple(range(x.ndim)) if axes is None else axes))


@case("Roll")
def roll(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, 1))
    shift, axis = int(rng.integers(-5, 6)), None if rng.random() < 0.3 else int(rng.integers(-x.ndim, x.ndim))
    return Case((x,), {"shift": shift, "axis": axis}, lambda torch, x: torch.roll(x, shift, axis))


@case("Roll")
def roll_several(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, 2))
    shift = tuple(int(n) for n in rng.integers(-5, 6, size=2))
    axes = tuple(int(a) for a in rng.permutation(x.ndim)[:2])
    return Case((x,), {"shift": shift, "axis": axes}, lambda torch, x: torch.roll(x, shift, axes))
