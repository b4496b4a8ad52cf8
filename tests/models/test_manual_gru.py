"""The GRU by hand agrees with the engine, with the fused Function and with PyTorch, line by line and through time."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import manual_gru
from models.manual_gru import ADJOINTS, backward, forward, initial, through_time


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("steps", [1, 6])
def test_every_adjoint_equals_the_engines_the_closed_form_and_torchs(seed: int, steps: int, torch: object) -> None:
    one, through, worst = manual_gru.tables(np.random.default_rng(seed), steps)
    assert len(one) == len(ADJOINTS) + 1 == 24 and len(through) == 7
    assert worst < 1e-12


def test_the_backward_lines_answer_the_forward_lines_in_reverse() -> None:
    def numbers(function: object) -> list[int]:
        source = inspect.getsource(function)  # type: ignore[arg-type]
        return [int(k) for line in source.splitlines() for k in re.findall(r"\((\d+)\)", line.partition("  # ")[2])]

    assert numbers(forward) == list(range(1, 15))
    answered = numbers(backward)
    assert answered == sorted(answered, reverse=True) and set(answered) == set(range(1, 15))


@given(st.integers(0, 99))
def test_a_shut_gate_carries_state_and_gradient_unchanged(seed: int) -> None:
    """With the update gate at 1, any number of steps later."""
    rng = np.random.default_rng(seed)
    p = initial(rng)
    p["b"][4:8] = 1e3
    x, h, dy = rng.normal(size=(2, 20, 5)), rng.uniform(-1, 1, size=(2, 4)), np.zeros((2, 20, 4))
    dy[:, -1] = rng.normal(size=(2, 4))
    y, d = through_time(p, x, h, dy)
    np.testing.assert_allclose(y[:, -1], h, rtol=0, atol=1e-14)
    np.testing.assert_allclose(d["h"], dy[:, -1], rtol=0, atol=1e-14)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert manual_gru.main(["--steps", "3"]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^d{name} ", out, re.MULTILINE) for name in ADJOINTS) and "through 3 steps" in out
    with pytest.raises(SystemExit) as stop:
        manual_gru.main(["--steps", "0"])
    assert stop.value.code == 2
