"""Cases for npgrad.functions.arithmetic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npgrad.check.case import Case, case


def shape_of(rng: np.random.Generator, least: int = 0, most: int = 3) -> tuple[int, ...]:
    """A random shape of `least` to `most` axes, each 1 to 4 long."""
    return tuple(int(n) for n in rng.integers(1, 5, size=rng.integers(least, most + 1)))


def broadcastable(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast against each other: axes of one are shortened to 1 or left off."""
    full = shape_of(rng, 1)
    part = tuple(n if rng.random() < 0.6 else 1 for n in full)[int(rng.integers(0, len(full) + 1)) :]
    return (full, part) if rng.random() < 0.5 else (part, full)


def away_from_zero(rng: np.random.Generator, shape: tuple[int, ...], least: float = 0.2) -> NDArray[np.float64]:
    """Numbers of both signs, none nearer to 0 than `least`."""
    return np.asarray(rng.choice([-1.0, 1.0], size=shape) * (least + np.abs(rng.normal(size=shape))))


@case("Add")
def add(rng: np.random.Generator) -> Case:
    a, b = broadcastable(rng)
    return Case((rng.normal(size=a), rng.normal(size=b)), torch=lambda torch, x, y: x + y)


@case("Mul")
def mul(rng: np.random.Generator) -> Case:
    a, b = broadcastable(rng)
    return Case((rng.normal(size=a), rng.normal(size=b)), torch=lambda torch, x, y: x * y)


@case("Sub")
def sub(rng: np.random.Generator) -> Case:
    a, b = broadcastable(rng)
    return Case((rng.normal(size=a), rng.normal(size=b)), torch=lambda torch, x, y: x - y)


@case("Sub")
def sub_from_number(rng: np.random.Generator) -> Case:
    number = float(rng.normal())
    return Case((number, rng.normal(size=shape_of(rng))), torch=lambda torch, a, b: a - b)


@case("Div")
def div(rng: np.random.Generator) -> Case:
    a, b = broadcastable(rng)
    return Case((rng.normal(size=a), away_from_zero(rng, b)), torch=lambda torch, x, y: x / y)


@case("Div")
def div_with_number(rng: np.random.Generator) -> Case:
    number, array = float(rng.uniform(0.5, 2.0)), away_from_zero(rng, shape_of(rng))
    inputs = (number, array) if rng.random() < 0.5 else (array, number)
    return Case(inputs, torch=lambda torch, a, b: a / b)


@case("Remainder")
def remainder(rng: np.random.Generator) -> Case:
    a, b = broadcastable(rng)
    divisor = away_from_zero(rng, b)
    # As many whole times the divisor, and a part that is near neither end.
    shape = np.broadcast_shapes(a, b)
    x = np.asarray((rng.integers(-3, 3, size=shape) + rng.uniform(0.1, 0.9, size=shape)) * divisor)
    return Case((x, divisor), torch=lambda torch, x, y: torch.remainder(x, y))


@case("Remainder")
def remainder_by_number(rng: np.random.Generator) -> Case:
    shape, divisor = shape_of(rng), float(rng.choice([-1.5, 0.7, 2.0]))
    x = np.asarray((rng.integers(-3, 3, size=shape) + rng.uniform(0.1, 0.9, size=shape)) * divisor)
    return Case((x, divisor), torch=lambda torch, x, y: torch.remainder(x, y))


@case("Neg")
def neg(rng: np.random.Generator) -> Case:
    return Case((rng.normal(size=shape_of(rng)),), torch=lambda torch, a: -a)


@case("Pow")
def pow(rng: np.random.Generator) -> Case:
    a, p = broadcastable(rng)
    return Case((rng.uniform(0.2, 3.0, size=a), rng.normal(size=p)), torch=lambda torch, x, y: x**y)


@case("Pow")
def pow_integer(rng: np.random.Generator) -> Case:
    exponent = int(rng.integers(-5, 6))
    return Case((away_from_zero(rng, shape_of(rng)), exponent), torch=lambda torch, a, p: a**p)


@case("Pow")
def pow_number(rng: np.random.Generator) -> Case:
    exponent = float(rng.choice([-1.5, -0.5, 0.5, 1.5, 2.0, 2.7]))
    return Case((rng.uniform(0.2, 3.0, size=shape_of(rng)), exponent), torch=lambda torch, a, p: a**p)


@case("Pow")
def pow_of_number(rng: np.random.Generator) -> Case:
    base = float(rng.uniform(0.2, 3.0))
    return Case((base, rng.normal(size=shape_of(rng))), torch=lambda torch, a, p: a**p)


@case("Pow")
def pow_integer_array(rng: np.random.Generator) -> Case:
    a, p = broadcastable(rng)
    return Case((away_from_zero(rng, a), rng.integers(0, 4, size=p, dtype=np.int8)), torch=lambda torch, x, y: x**y)
