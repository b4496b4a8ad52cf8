"""Cases for npgrad.functions.trigonometric."""

from __future__ import annotations

import numpy as np

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import away_from_zero, broadcastable, shape_of


@case("Sin")
def sin(rng: np.random.Generator) -> Case:
    return Case((rng.normal(scale=2.0, size=shape_of(rng)),), torch=lambda torch, x: torch.sin(x))


@case("Cos")
def cos(rng: np.random.Generator) -> Case:
    return Case((rng.normal(scale=2.0, size=shape_of(rng)),), torch=lambda torch, x: torch.cos(x))


@case("Tan")
def tan(rng: np.random.Generator) -> Case:
    return Case((rng.uniform(-1.3, 1.3, size=shape_of(rng)),), torch=lambda torch, x: torch.tan(x))


@case("ArcSin")
def arcsin(rng: np.random.Generator) -> Case:
    return Case((rng.uniform(-0.9, 0.9, size=shape_of(rng)),), torch=lambda torch, x: torch.arcsin(x))


@case("ArcCos")
def arccos(rng: np.random.Generator) -> Case:
    return Case((rng.uniform(-0.9, 0.9, size=shape_of(rng)),), torch=lambda torch, x: torch.arccos(x))


@case("ArcTan")
def arctan(rng: np.random.Generator) -> Case:
    return Case((rng.normal(scale=2.0, size=shape_of(rng)),), torch=lambda torch, x: torch.arctan(x))


@case("ArcTan2")
def arctan2(rng: np.random.Generator) -> Case:
    a, b = broadcastable(rng)
    return Case((away_from_zero(rng, a), away_from_zero(rng, b)), torch=lambda torch, x, y: torch.arctan2(x, y))


@case("Hypot")
def hypot(rng: np.random.Generator) -> Case:
    a, b = broadcastable(rng)
    return Case((away_from_zero(rng, a), rng.normal(size=b)), torch=lambda torch, x, y: torch.hypot(x, y))
