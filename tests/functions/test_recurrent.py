"""Recurrent steps and runs: a run is its steps one after the other, and extreme inputs stay finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from npgrad import functions as F
from npgrad.functions.recurrent import GATES

STEPS: dict[str, Any] = {"rnn": F.rnn_step, "lstm": F.lstm_step, "gru": F.gru_step}
each_cell = pytest.mark.parametrize("cell", list(STEPS))


def drawn(cell: str, N: int, T: int, H: int, seed: int) -> list[Tensor]:
    rng = np.random.default_rng(seed)
    columns = GATES[cell] * H
    state = (2, N, H) if cell == "lstm" else (N, H)
    shapes = [(N, T, columns), state, (H, columns), *([(columns,)] if cell == "gru" else [])]
    return [Tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes]


@each_cell
@given(st.data())
def test_a_run_is_its_steps(cell: str, data: st.DataObject) -> None:
    N, T, H = (data.draw(st.integers(1, 4)) for _ in range(3))
    lengths = np.array(data.draw(st.none() | st.lists(st.integers(0, T), min_size=N, max_size=N)))
    inputs = drawn(cell, N, T, H, data.draw(st.integers(0, 99)))
    padded = lengths.ndim == 1
    a, s, W, *b = inputs
    y = F.recurrent(a, s, W, *(b or [None]), lengths if padded else None, cell=cell)
    dy = np.random.default_rng(1).normal(size=y.shape)
    y.backward(dy)
    fused = [x.grad for x in inputs]
    for x in inputs:
        x.grad = None
    states = []
    for t in range(T):
        new = STEPS[cell](a[:, t], s, W, *b)
        s = npgrad.where((lengths > t)[:, None], new, s) if padded else new
        states.append(s)
    z = npgrad.stack(states, axis=-2)
    z.backward(dy)
    assert np.array_equal(y.numpy(), z.numpy())
    for x, g in zip(inputs, fused, strict=True):
        assert np.allclose(0 if x.grad is None else x.grad, g, rtol=1e-12, atol=1e-13)


@each_cell
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saturated_gates_are_finite_and_pass_no_gradient(cell: str, dtype: Any) -> None:
    for size in (1e4, -1e4):
        columns = GATES[cell] * 2
        a = Tensor(np.full((3, columns), size, dtype), requires_grad=True)
        s = Tensor(np.full((2, 3, 2) if cell == "lstm" else (3, 2), 0.5, dtype), requires_grad=True)
        W = Tensor(np.zeros((2, columns), dtype), requires_grad=True)
        with np.errstate(all="raise", under="ignore"):
            y = STEPS[cell](a, s, W)
            y.backward(np.ones(y.shape, dtype))
        assert np.isfinite(y.numpy()).all() and np.isfinite(s.grad).all()
        if cell != "gru":
            assert np.abs(a.grad).max() < 1e-6


def test_an_open_forget_gate_carries_the_gradient_unchanged() -> None:
    """The constant error carousel: forget gate 1, input gate 0."""
    H, T = 3, 50
    a = np.zeros((2, T, 4 * H))
    a[..., :H], a[..., H : 2 * H] = -100, 100
    s = Tensor(np.random.default_rng(0).normal(size=(2, 2, H)), requires_grad=True)
    y = F.recurrent(a, s, np.zeros((H, 4 * H)), cell="lstm")
    dy = np.zeros(y.shape)
    dy[1, :, -1] = 1
    y.backward(dy)
    assert np.array_equal(y.numpy()[1, :, -1], s.numpy()[1])
    assert np.array_equal(s.grad[1], np.ones((2, H)))


def test_errors_name_the_shapes() -> None:
    zeros = np.zeros
    with pytest.raises(
        ValueError, match=r"rnn_step got an input's share of shape \(2, 4\).*\(N, H\), \(N, H\), \(H, H\)"
    ):
        F.rnn_step(zeros((2, 4)), zeros((2, 3)), zeros((3, 3)))
    with pytest.raises(ValueError, match=r"it takes \(2, N, H\)"):
        F.lstm_step(zeros((2, 12)), zeros((2, 3)), zeros((3, 12)))
    with pytest.raises(ValueError, match=r"b of shape \(3,\)"):
        F.gru_step(zeros((2, 9)), zeros((2, 3)), zeros((3, 9)), zeros(3))
    with pytest.raises(ValueError, match="Say one of 'rnn', 'lstm', 'gru'"):
        F.recurrent(zeros((2, 1, 3)), zeros((2, 3)), zeros((3, 3)), cell="tanh")
    with pytest.raises(ValueError, match="add it to a"):
        F.recurrent(zeros((2, 1, 3)), zeros((2, 3)), zeros((3, 3)), zeros(3))
    with pytest.raises(ValueError, match=r"it takes \(N, T, gates of all units\)"):
        F.recurrent(zeros((2, 3)), zeros((2, 3)), zeros((3, 3)))
