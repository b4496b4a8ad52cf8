"""What several lessons take from losses and arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.curves import frequency_loss, rms, steps_until, thinned


def test_steps_until_a_level() -> None:
    losses = np.array([5.0] * 10 + [1.0] * 10)
    assert steps_until(losses, 3.0, width=4) == 9  # three of the four are low
    assert steps_until(losses, 6.0, width=4) == 0
    assert steps_until(losses, 0.5, width=4) == steps_until(losses, 3.0, width=30) == math.inf


@given(st.lists(st.floats(0, 10), min_size=1, max_size=300))
def test_thinning_keeps_the_sum_and_the_order(losses: list) -> None:
    step, mean = thinned(np.array(losses))
    assert (np.diff(step) > 0).all() and step[0] >= 1 and step[-1] <= len(losses)
    assert mean.min() >= min(losses) - 1e-9 and mean.max() <= max(losses) + 1e-9


def test_size_and_entropy() -> None:
    assert rms([3.0, -3.0]) == 3.0
    assert frequency_loss(np.array([0, 1, 2, 3])) == pytest.approx(math.log(4))
    assert frequency_loss(np.array([5, 5, 5])) == 0.0
