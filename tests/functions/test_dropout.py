"""dropout: what is dropped, what stays, its mean, its generator, and its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from tests.strategies import FLOATS, seeds, shapes


@given(seeds, shapes(0, 3, empty=True), st.floats(0.01, 0.99), FLOATS)
def test_entries_are_dropped_or_enlarged_and_gradients_likewise(
    seed: int, shape: tuple[int, ...], p: float, dtype: Any
) -> None:
    rng = np.random.default_rng(seed)
    x = Tensor(np.asarray(rng.uniform(1, 2, size=shape), dtype), requires_grad=True)
    dy = np.asarray(rng.uniform(1, 2, size=shape), dtype)
    y = npgrad.dropout(x, p, rng=rng)
    y.backward(dy)
    stays = y.numpy() != 0
    assert y.dtype == x.grad.dtype == dtype
    assert np.allclose(y.numpy(), np.where(stays, x.numpy() / (1 - p), 0))
    assert np.allclose(x.grad, np.where(stays, dy / (1 - p), 0))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_mean_is_kept_and_the_share_of_zeros_is_p(p: float) -> None:
    n = 100_000
    y = npgrad.dropout(np.ones(n), p, rng=np.random.default_rng(0)).numpy()
    assert abs((y == 0).mean() - p) < 5 * np.sqrt(p * (1 - p) / n)
    assert abs(y.mean() - 1) < 5 * np.sqrt(p / (1 - p) / n)


def test_the_generator_decides_and_moves_on() -> None:
    x = np.ones(50)
    rng = np.random.default_rng(3)
    first, second = npgrad.dropout(x, rng=rng).numpy(), npgrad.dropout(x, rng=rng).numpy()
    assert not np.array_equal(first, second)
    assert np.array_equal(first, npgrad.dropout(x, rng=np.random.default_rng(3)).numpy())


def test_numpys_global_generator_is_left_alone() -> None:
    before = np.random.get_state()[1].copy()
    npgrad.dropout(np.ones(10), rng=np.random.default_rng(0))
    assert np.array_equal(before, np.random.get_state()[1])


def test_evaluation_and_a_probability_of_zero_return_the_tensor_itself() -> None:
    x = Tensor(np.ones(3), requires_grad=True)
    assert npgrad.dropout(x, 0.5, training=False) is x
    assert npgrad.dropout(x, 0.0) is x
    assert isinstance(npgrad.dropout(np.ones(3), training=False), Tensor)


def test_with_probability_one_nothing_stays() -> None:
    x = Tensor(np.ones(5), requires_grad=True)
    y = npgrad.dropout(x, 1.0, rng=np.random.default_rng(0))
    y.backward(np.ones(5))
    assert np.array_equal(y.numpy(), np.zeros(5))
    assert np.array_equal(x.grad, np.zeros(5))


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
@pytest.mark.parametrize("training", [True, False])
def test_a_probability_out_of_range_is_named(p: float, training: bool) -> None:
    with pytest.raises(ValueError, match=f"dropout got p={p}"):
        npgrad.dropout(np.ones(3), p, training, np.random.default_rng(0))


@pytest.mark.parametrize("rng", [None, 0, np.random.RandomState(0)])
def test_without_a_generator_it_says_how_to_make_one(rng: Any) -> None:
    with pytest.raises(TypeError, match=r"Pass rng=np.random.default_rng\(seed\), or training=False"):
        npgrad.dropout(np.ones(3), rng=rng)
