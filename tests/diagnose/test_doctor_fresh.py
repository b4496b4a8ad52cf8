"""Dead units are told from those that any weights would leave flat over the same inputs."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad import Tensor, nn, optim
from npgrad import functions as F
from npgrad.diagnose import doctor
from npgrad.diagnose.doctor.fresh import FlatUnits, flat_units, tail
from npgrad.diagnose.doctor.vitals import Patient

WIDTH, DEPTH = 40, 8


def deep(rng: np.random.Generator, norm: bool = False) -> nn.Sequential:
    """ReLU layers over two inputs."""
    layers: list[nn.Module] = []
    for k in range(DEPTH):
        layers.append(nn.Linear(WIDTH if k else 2, WIDTH, rng=rng, gain=math.sqrt(2)))
        layers += [*([nn.LayerNorm(WIDTH)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 3, rng=rng, gain=0.1))


def convolutions(rng: np.random.Generator) -> nn.Sequential:
    chain = [m for a in (2, 12, 12) for m in (nn.Conv2d(a, 12, 3, rng=rng, gain=math.sqrt(2)), nn.ReLU())]
    return nn.Sequential(*chain, nn.Flatten(), nn.Linear(12, 3, rng=rng, gain=0.1))


def patient(model: nn.Module, rng: np.random.Generator, *shape: int) -> Patient:
    x = rng.standard_normal((8, 32, *shape)).astype(np.float32)
    batches = [(Tensor(a), rng.integers(3, size=32)) for a in x]
    return Patient(model, F.cross_entropy, batches, optim.SGD(model.parameters(), lr=0.02), 8)


def flat(p: Patient) -> list[FlatUnits]:
    return flat_units(p, p.vitals())


def switched_off(module: Any, share: float, rng: np.random.Generator) -> float:
    off = rng.permutation(len(module.bias._array)) < round(share * len(module.bias._array))
    module.bias.data = module.bias.data - np.float32(100) * off
    return float(off.mean())


def test_deep_networks_over_two_inputs_have_as_many_flat_units_as_other_weights_would_give() -> None:
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        found += flat(patient(deep(rng), rng, 2))
    assert max(f.share for f in found) > 0.3  # far more than a quarter
    assert not any(f.ill for f in found)
    assert abs(np.mean([f.share - f.fresh for f in found])) < 0.1


@pytest.mark.parametrize("where", [0, 2 * (DEPTH - 1)])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_switched_off_is_found_at_any_depth_with_its_share(seed: int, where: int) -> None:
    rng = np.random.default_rng(seed)
    model = deep(rng)
    share = switched_off(model[where], 0.7, rng)
    first = next(f for f in flat(patient(model, rng, 2)) if f.ill)
    assert first.place.layer == str(where + 1)
    assert abs(first.excess - share) < 0.25


@pytest.mark.parametrize("kind", ["convolution", "norm"])
def test_convolutions_and_normalised_layers_are_compared_as_well(kind: str) -> None:
    rng = np.random.default_rng(0)
    model = convolutions(rng) if kind == "convolution" else deep(rng, norm=True)
    shape = (2, 7, 7) if kind == "convolution" else (2,)
    assert not any(f.ill for f in flat(patient(model, rng, *shape)))
    weights, activation = (2, 3) if kind == "convolution" else (3, 5)
    switched_off(model[weights], 0.6, rng)
    p = patient(model, rng, *shape)
    report = doctor.examine(p.model, p.loss, p.batches, p.optimizer, steps=8)
    finding = next(f for f in report if f.name == "dead units")
    assert finding.where[:2] == (str(activation), str(weights))
    assert finding.evidence["dead"] >= 0.5 > finding.evidence["dead with fresh weights"]
    assert "drawn afresh" in finding.what and finding.remedy == f"model[{weights}].bias.data[:] = 0"
    assert doctor.treat(finding).gone


def test_the_comparison_leaves_the_model_as_it_was_and_comes_out_the_same_again() -> None:
    rng = np.random.default_rng(1)
    p = patient(deep(rng), rng, 2)
    before = [q._array.tobytes() for q in p.model.parameters()]
    numbers = [[(f.place.layer, f.fresh, f.chance) for f in flat(p)] for _ in range(2)]
    assert [q._array.tobytes() for q in p.model.parameters()] == before
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize(("kind", "middle"), [("Tanh", 0.0), ("Sigmoid", 0.5)])
def test_a_unit_that_is_saturated_on_both_sides_still_answers(kind: str, middle: float) -> None:
    model = nn.Sequential(
        nn.Linear(1, 2, rng=np.random.default_rng(0)), {"Tanh": nn.Tanh, "Sigmoid": nn.Sigmoid}[kind]()
    )
    model[0].weight.data = np.full((1, 2), 50, np.float32)
    model[0].bias.data = np.array([0, -500], np.float32)
    rng = np.random.default_rng(1)
    batches = [
        (Tensor(rng.choice([-1.0, 1.0], (32, 1)).astype(np.float32)), rng.integers(2, size=32)) for _ in range(8)
    ]
    p = Patient(model, F.cross_entropy, batches, optim.SGD(model.parameters(), lr=0.1), 8)
    place = p.vitals().activations[0]
    assert place.stuck.tolist() == [True, True] and place.flat.tolist() == [False, True]
    assert place.low[0] < middle < place.high[0]


@given(st.integers(1, 5), st.integers(1, 7), st.data())
def test_the_chance_is_the_share_of_all_choices_of_the_dead_that_has_as_many_here(
    n: int, drawn: int, data: st.DataObject
) -> None:
    d, dead = data.draw(st.integers(0, n)), data.draw(st.integers(0, drawn))
    choices = list(itertools.combinations(range(n + drawn), d + dead))
    assert tail(d, n, dead, drawn) == pytest.approx(
        sum(sum(k < n for k in chosen) >= d for chosen in choices) / len(choices)
    )
