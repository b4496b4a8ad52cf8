"""Numbers that stand in sentences: of the derivations' lessons, and of the experiments'."""

from __future__ import annotations

import math

import numpy as np
import pytest

import npgrad
from experiments.claim import Claim
from experiments.claims.initial_loss import CLAIMS, PRINTED
from experiments.lessons.initial_loss import normal_loss
from npgrad.diagnose import moments


def test_the_first_loss_of_27_classes() -> None:
    """explain/topics/initial_loss: s**2/2 up to about s = 1; 26 at s = 13."""
    assert normal_loss(0.5, 27) - math.log(27) == pytest.approx(0.5**2 / 2, rel=0.05)
    assert normal_loss(1.0, 27) - math.log(27) == pytest.approx(0.5, rel=0.1)
    assert normal_loss(7.0, 27) < 15 < 7**2 / 2
    assert normal_loss(13.0, 27) == pytest.approx(26, abs=0.5)


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if "the softmax of these logits" in claim.note])
def test_the_softmax_of_document_4s_examples(claim: Claim) -> None:
    """claims/initial_loss: the logits and the printed numbers, as they are compared, and the softmax in the note."""
    logits, printed = PRINTED[claim.id.removeprefix("example-")]
    assert ", ".join(f"{v:g}".replace("-", "−") for v in logits) in claim.text
    assert ", ".join(f"{v:g}" for v in printed) == claim.says
    exact = ", ".join(f"{v:.3g}" for v in npgrad.softmax(np.array(logits)).numpy())
    assert claim.note == f"They are not the softmax of these logits: that is {exact}."


def test_adam_on_noise_moves_a_quarter_as_far(rng: np.random.Generator) -> None:
    """explain/topics/adam: 0.23 of lr on gradients that are independent with mean 0."""
    g = rng.normal(size=(2_000, 500))
    m, v, late = np.zeros(500), np.zeros(500), []
    for t in range(len(g)):
        m, v = 0.9 * m + 0.1 * g[t], 0.999 * v + 0.001 * g[t] ** 2
        late.append(m / (1 - 0.9 ** (t + 1)) / np.sqrt(v / (1 - 0.999 ** (t + 1))))
    assert np.sqrt(np.mean(np.square(late[1_000:]))) == pytest.approx(0.23, abs=0.01)


def test_tanh_without_a_gain_decays_like_a_root() -> None:
    """explain/topics/kaiming_gain: about 1/sqrt(2*depth), 0.1 after fifty layers."""
    q = 1.0
    for depth in range(1, 1_001):
        q = moments("tanh", q).mean_square
        if depth in (50, 1_000):
            assert math.sqrt(q) == pytest.approx(1 / math.sqrt(2 * depth), rel=0.05)
    q = 1.0
    for _ in range(50):
        q = moments("tanh", q).mean_square
    assert math.sqrt(q) == pytest.approx(0.1, abs=0.005)


def test_saturation_of_a_layer_with_30_inputs_and_unit_weights(rng: np.random.Generator) -> None:
    """explain/topics/linear_variance: 5.5 times as large, 63 % beyond 0.99."""
    assert math.sqrt(30) == pytest.approx(5.5, abs=0.05)
    t = np.tanh(math.sqrt(30) * rng.normal(size=200_000))
    assert np.mean(np.abs(t) > 0.99) == pytest.approx(0.63, abs=0.005)


def test_momentum_inside_and_outside_of_the_velocity_part_when_the_rate_changes(rng: np.random.Generator) -> None:
    """explain/topics/momentum: the same at a constant rate, and another where it changes."""
    g = rng.normal(size=10)
    for rates, same in (([0.1] * 10, True), ([0.1] * 5 + [0.01] * 5, False)):
        b = v = p = q = 0.0
        for lr, one in zip(rates, g, strict=True):
            b, v = 0.9 * b + one, 0.9 * v + lr * one
            p, q = p - lr * b, q - v
        assert bool(p == pytest.approx(q)) is same
