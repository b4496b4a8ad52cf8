"""Cases for npgrad.functions.hyperbolic."""

from __future__ import annotations

import numpy as np

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import shape_of


@case("Sinh")
def sinh(rng: np.random.Generator) -> Case:
    return Case((rng.normal(size=shape_of(rng)),), torch=lambda torch, x: torch.sinh(x))


@case("Cosh")
def cosh(rng: np.random.Generator) -> Case:
    return Case((rng.normal(size=shape_of(rng)),), torch=lambda torch, x: torch.cosh(x))


@case("ArcSinh")
def arcsinh(rng: np.random.Generator) -> Case:
    return Case((rng.normal(scale=2.0, size=shape_of(rng)),), torch=lambda torch, x: torch.arcsinh(x))


@case("ArcCosh")
def arccosh(rng: np.random.Generator) -> Case:
    return Case((rng.uniform(1.1, 4.0, size=shape_of(rng)),), torch=lambda torch, x: torch.arccosh(x))


@case("ArcTanh")
def arctanh(rng: np.random.Generator) -> Case:
    return Case((rng.uniform(-0.9, 0.9, size=shape_of(rng)),), torch=lambda torch, x: torch.arctanh(x))
