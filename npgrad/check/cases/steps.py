"""Cases for npgrad.functions.steps: between the jumps, since at one there is no derivative."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import away_from_zero, shape_of


def between(rng: np.random.Generator, unit: float = 1.0) -> NDArray[np.float64]:
    """Numbers that are not near a multiple of half a `unit`."""
    shape = shape_of(rng)
    return np.asarray(unit * (rng.integers(-6, 6, size=shape) + rng.uniform(0.1, 0.9, size=shape)) / 2)


@case("Sign")
def sign(rng: np.random.Generator) -> Case:
    return Case((away_from_zero(rng, shape_of(rng)),), torch=lambda torch, x: torch.sign(x))


@case("Floor")
def floor(rng: np.random.Generator) -> Case:
    return Case((between(rng),), torch=lambda torch, x: torch.floor(x))


@case("Ceil")
def ceil(rng: np.random.Generator) -> Case:
    return Case((between(rng),), torch=lambda torch, x: torch.ceil(x))


@case("Trunc")
def trunc(rng: np.random.Generator) -> Case:
    return Case((between(rng),), torch=lambda torch, x: torch.trunc(x))


@case("Round")
def round_(rng: np.random.Generator) -> Case:
    decimals = int(rng.integers(-1, 3))
    x = between(rng, 10.0**-decimals)
    return Case((x,), {"decimals": decimals}, lambda torch, x: torch.round(x, decimals=decimals))
