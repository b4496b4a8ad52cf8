"""Runs of the same steps, compared: which of two ends lower by what counts, and what the doctor concludes from it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad.diagnose import doctor
from npgrad.diagnose.doctor.exam import Exam
from npgrad.diagnose.doctor.thresholds import limit
from npgrad.diagnose.doctor.updates import slow
from npgrad.diagnose.doctor.vitals import Course, Patient
from tests.ward import illnesses, variations
from tests.ward.case import hold_back
from tests.ward.harm import MARGIN, harm
from tests.ward.setups import PARTS, healthy, setups, spoilt

LOSSES = st.lists(st.floats(0, 5), min_size=40, max_size=40).map(np.array)


def exam(before: float = 1.0) -> Exam:
    """Of a network whose ignorant loss is 1."""
    case = healthy("regression-tanh", "sgd", 0)
    found = Exam(Patient(case.model, case.loss, case.batches, case.optimizer, case.steps))
    vars(found).update(early=SimpleNamespace(loss=before), ignorance=1.0)
    return found


def course(losses: np.ndarray) -> Course:
    return Course(losses, np.ones(len(losses)), {}, {}, settled=float(losses[-len(losses) // 4 :].mean()))


@given(LOSSES, LOSSES)
def test_of_two_runs_at_most_one_is_better(first: np.ndarray, second: np.ndarray) -> None:
    judge, a, b = exam(), course(first), course(second)
    assert not (judge.better(a, b) and judge.better(b, a))
    assert not judge.better(a, a)
    diverged = replace(b, settled=float("nan"))
    assert judge.better(a, diverged) and not judge.better(diverged, a)


@given(st.floats(0.05, 0.9), st.integers(0, 100))
def test_what_counts_is_little_where_there_is_little_to_gain(gained: float, seed: int) -> None:
    """A run that gains nothing beside one that gains something, both as noisy as a tenth of that."""
    noise = 0.1 * gained * np.random.default_rng(seed).standard_normal((2, 40))
    still, falling = course(1 + noise[0]), course(1 - gained + noise[1])
    assert exam().better(falling, still)
    assert not exam().better(course(still.losses - 0.015), still)


@pytest.mark.parametrize("height", [2.0, 50.0, 1e6])
def test_a_spike_is_no_more_than_a_spike_whatever_its_height(height: float) -> None:
    calm, spiky = np.full(40, 0.1), np.full(40, 0.1)
    spiky[[32, 35, 38]] = height
    assert not exam().better(course(calm), course(np.where(np.arange(40) == 35, height, 0.1)))
    spiky[[31, 33, 36, 39]] = height
    assert exam().better(course(calm), course(spiky))


@pytest.mark.parametrize(
    "name",
    [
        "context too short (short), calls-tanh-bn, momentum",
        "learning rate too high (too_high 80), calls-two-relu, adam",
        "schedule decays too early (decaying 5 0.3), calls-tanh-bn, sgd",
        "weight decay too strong (decayed 0.12), calls-two-relu, sgd",
    ],
)
def test_it_knows_what_is_wrong_where_there_is_little_to_gain(name: str) -> None:
    """Letters that hang on the two before them: in so many steps the best run gains 6 % of the ignorant loss."""
    setup = next(s for s in setups(PARTS["fourth"]) if s.name == name)
    case = setup.build(2)
    report = doctor.examine(case.model, case.loss, case.batches, case.optimizer, case.steps, **case.options)
    assert report.names == list(setup.illnesses)


@pytest.mark.parametrize("network", ["names-tanh", "regression-wide"])
def test_an_output_layer_with_a_rate_of_its_own_is_not_taken_for_a_low_rate_of_all(network: str) -> None:
    """It sends next to nothing back, so that the layers before it are slow too."""
    assert harm("uneven updates", illnesses.uneven, network, "sgd", 1) > MARGIN
    case = spoilt(network, "sgd", (illnesses.uneven,), 1)
    report = doctor.examine(case.model, case.loss, case.batches, case.optimizer, case.steps)
    assert report.names == ["uneven updates"]
    slow = min(case.optimizer.param_groups, key=lambda group: group["lr"])["params"]
    assert report[0].where[0] in [n for n, p in case.model.named_parameters() if any(p is q for q in slow)]
    assert doctor.treat(report[0]).helps


def test_a_rate_that_becomes_too_low_while_the_network_learns_is_named() -> None:
    """Forty steps at a rate that is right, then a three-hundredth of it."""
    case = spoilt("lattice-three-tanh", "adam", (illnesses.slowed,), 0)
    report = doctor.examine(case.model, case.loss, case.batches, case.optimizer, case.steps, **case.options)
    assert report.names == ["learning rate too low"]
    assert doctor.treat(report[0]).helps


def test_a_rate_that_was_annealed_to_next_to_nothing_is_not_too_low() -> None:
    case = spoilt("market-tanh", "adam", (partial(variations.annealed, steps=800, end=0.001),), 0)
    found = Exam(Patient(case.model, case.loss, case.batches, case.optimizer, case.steps, **case.options))
    assert max(found.course.ratio(n) for n in found.matrices()) < limit("low ratio")
    assert not slow(found, 10) and not slow(found, 100)
    report = doctor.examine(case.model, case.loss, case.batches, case.optimizer, case.steps, **case.options)
    assert report.healthy


@pytest.mark.parametrize("validated", [True, False])
def test_a_low_rate_that_gets_there_in_four_times_the_steps_is_not_too_low(validated: bool) -> None:
    case = healthy("market-tanh", "sgd", 0)
    if validated:
        hold_back(case)
    rate = case.optimizer.lr
    for factor, said in ((0.3, False), (0.003, True)):
        case.optimizer.lr = rate * factor
        found = Exam(Patient(case.model, case.loss, case.batches, case.optimizer, case.steps, **case.options))
        assert slow(found, 1 / factor) is said
