"""Cases for npgrad.functions.activation."""

from __future__ import annotations

import math

import numpy as np

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import away_from_zero, shape_of


@case("Tanh")
def tanh(rng: np.random.Generator) -> Case:
    return Case((rng.normal(size=shape_of(rng)),), torch=lambda torch, x: torch.tanh(x))


@case("Sigmoid")
def sigmoid(rng: np.random.Generator) -> Case:
    return Case((rng.normal(scale=2.0, size=shape_of(rng)),), torch=lambda torch, x: torch.sigmoid(x))


@case("Relu")
def relu(rng: np.random.Generator) -> Case:
    return Case((away_from_zero(rng, shape_of(rng), 0.01),), torch=lambda torch, x: torch.relu(x))


@case("LeakyRelu")
def leaky_relu(rng: np.random.Generator) -> Case:
    slope = float(rng.uniform(-0.5, 1.5))
    return Case(
        (away_from_zero(rng, shape_of(rng), 0.01),),
        {"negative_slope": slope},
        torch=lambda torch, x: torch.nn.functional.leaky_relu(x, slope),
    )


@case("Prelu")
def prelu(rng: np.random.Generator) -> Case:
    channels = int(rng.integers(1, 4))
    x = away_from_zero(rng, (int(rng.integers(1, 4)), channels), 0.01)
    return Case((x, rng.normal(size=channels)), torch=lambda torch, x, a: torch.nn.functional.prelu(x, a))


@case("Elu")
def elu(rng: np.random.Generator) -> Case:
    alpha = float(rng.uniform(0.1, 2.0))
    return Case(
        (away_from_zero(rng, shape_of(rng), 0.01),),
        {"alpha": alpha},
        torch=lambda torch, x: torch.nn.functional.elu(x, alpha),
    )


@case("Gelu")
def gelu(rng: np.random.Generator) -> Case:
    # torch's gelu adds 1 and erf, which cancel in the left tail; erfc is the same number without that.
    return Case(
        (rng.normal(scale=2.0, size=shape_of(rng)),), torch=lambda torch, x: x * torch.erfc(-x / math.sqrt(2.0)) / 2
    )


@case("GeluTanh")
def gelu_tanh(rng: np.random.Generator) -> Case:
    return Case(
        (rng.normal(size=shape_of(rng)),),
        torch=lambda torch, x: torch.nn.functional.gelu(x, approximate="tanh"),
    )


@case("Silu")
def silu(rng: np.random.Generator) -> Case:
    return Case((rng.normal(scale=2.0, size=shape_of(rng)),), torch=lambda torch, x: torch.nn.functional.silu(x))


@case("Softplus")
def softplus(rng: np.random.Generator) -> Case:
    # torch's softplus turns into the identity at 20; logaddexp is the function without that.
    return Case(
        (rng.normal(scale=2.0, size=shape_of(rng)),), torch=lambda torch, x: torch.logaddexp(x, torch.zeros_like(x))
    )
