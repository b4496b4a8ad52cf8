"""Cases for npgrad.functions.elementwise."""

from __future__ import annotations

import numpy as np

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import away_from_zero, shape_of


@case("Exp")
def exp(rng: np.random.Generator) -> Case:
    return Case((rng.normal(size=shape_of(rng)),), torch=lambda torch, x: torch.exp(x))


@case("Log")
def log(rng: np.random.Generator) -> Case:
    return Case((rng.uniform(0.1, 5.0, size=shape_of(rng)),), torch=lambda torch, x: torch.log(x))


@case("Log1p")
def log1p(rng: np.random.Generator) -> Case:
    return Case((rng.uniform(-0.9, 3.0, size=shape_of(rng)),), torch=lambda torch, x: torch.log1p(x))


@case("Log1p")
def log1p_near_zero(rng: np.random.Generator) -> Case:
    return Case((rng.normal(scale=1e-3, size=shape_of(rng)),), torch=lambda torch, x: torch.log1p(x))


@case("Expm1")
def expm1(rng: np.random.Generator) -> Case:
    return Case((rng.normal(size=shape_of(rng)),), torch=lambda torch, x: torch.expm1(x))


@case("Expm1")
def expm1_near_zero(rng: np.random.Generator) -> Case:
    return Case((rng.normal(scale=1e-3, size=shape_of(rng)),), torch=lambda torch, x: torch.expm1(x))


@case("Sqrt")
def sqrt(rng: np.random.Generator) -> Case:
    return Case((rng.uniform(0.1, 5.0, size=shape_of(rng)),), torch=lambda torch, x: torch.sqrt(x))


@case("Cbrt")
def cbrt(rng: np.random.Generator) -> Case:
    x = away_from_zero(rng, shape_of(rng), 0.1)
    return Case((x,), torch=lambda torch, x: torch.sign(x) * torch.abs(x) ** (1 / 3))


@case("Abs")
def abs(rng: np.random.Generator) -> Case:
    return Case((away_from_zero(rng, shape_of(rng), 0.01),), torch=lambda torch, x: torch.abs(x))


@case("Exp2")
def exp2(rng: np.random.Generator) -> Case:
    return Case((rng.normal(size=shape_of(rng)),), torch=lambda torch, x: torch.exp2(x))


@case("Log2")
def log2(rng: np.random.Generator) -> Case:
    return Case((rng.uniform(0.1, 5.0, size=shape_of(rng)),), torch=lambda torch, x: torch.log2(x))


@case("Log10")
def log10(rng: np.random.Generator) -> Case:
    return Case((rng.uniform(0.1, 5.0, size=shape_of(rng)),), torch=lambda torch, x: torch.log10(x))


@case("AsType")
def astype(rng: np.random.Generator) -> Case:
    return Case((rng.normal(size=shape_of(rng)),), {"dtype": np.float64}, lambda torch, x: x.to(torch.float64) * 1.0)


@case("Erf")
def erf(rng: np.random.Generator) -> Case:
    return Case((rng.normal(size=shape_of(rng)),), torch=lambda torch, x: torch.erf(x))


@case("Erfc")
def erfc(rng: np.random.Generator) -> Case:
    return Case((rng.normal(scale=2.0, size=shape_of(rng)),), torch=lambda torch, x: torch.erfc(x))
