"""group_norm: against a loop over groups, its relatives, numerical care, and its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from tests.strategies import arrays, seeds, shapes


def naive(x: np.ndarray, groups: int, eps: float) -> np.ndarray:
    y = np.empty(x.shape)
    size = x.shape[1] // groups
    for i in range(x.shape[0]):
        for g in range(groups):
            part = x[i, g * size : (g + 1) * size]
            y[i, g * size : (g + 1) * size] = (part - part.mean()) / np.sqrt(part.var() + eps)
    return y


@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), shapes(0, 2), st.sampled_from([1e-6, 1e-2]))
def test_group_by_group(data: Any, items: int, groups: int, size: int, positions: tuple[int, ...], eps: float) -> None:
    channels = groups * size
    x = data.draw(arrays((items, channels, *positions)))
    gamma, beta = data.draw(arrays((channels,))), data.draw(arrays((channels,)))
    spread = (channels, *[1] * len(positions))
    y = npgrad.group_norm(x, groups, gamma, beta, eps).numpy()
    assert np.allclose(y, naive(x, groups, eps) * gamma.reshape(spread) + beta.reshape(spread), rtol=1e-8, atol=1e-8)
    assert np.allclose(npgrad.group_norm(x, groups, eps=eps).numpy(), naive(x, groups, eps), rtol=1e-8, atol=1e-8)


@given(seeds, shapes(2, 4))
def test_one_group_is_layer_norm(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    values, dy = rng.normal(size=shape), rng.normal(size=shape)
    x, z = Tensor(values, requires_grad=True), Tensor(values, requires_grad=True)
    y, w = npgrad.group_norm(x, 1), npgrad.layer_norm(z, shape[1:])
    y.backward(dy)
    w.backward(dy)
    assert np.allclose(y.numpy(), w.numpy(), atol=1e-12)
    assert np.allclose(x.grad, z.grad, atol=1e-9)


@given(seeds, st.integers(1, 4))
def test_single_precision_survives_a_large_offset(seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    exact = rng.integers(-40, 40, size=(2, groups * 2, 5)) / 8 + 1e6
    dy = rng.normal(size=exact.shape)
    results = []
    for dtype in (np.float32, np.float64):
        x = Tensor(exact.astype(dtype), requires_grad=True)
        y = npgrad.group_norm(x, groups)
        y.backward(dy)
        assert y.dtype == x.grad.dtype == dtype
        results.append((y.numpy(), x.grad))
    (y32, dx32), (y64, dx64) = results
    assert np.max(np.abs(y32 - y64)) < 1e-5 * np.max(np.abs(y64))
    spread = exact.reshape(2, groups, -1).std(axis=2).min()
    assert np.max(np.abs(dx32 - dx64)) < 1e-5 * np.max(np.abs(dy)) / spread


def test_a_group_of_one_number_becomes_beta_and_passes_no_gradient() -> None:
    x = Tensor(np.array([[3.0, -5.0]]), requires_grad=True)
    beta = Tensor(np.array([0.25, -0.5]), requires_grad=True)
    y = npgrad.group_norm(x, 2, np.array([2.0, 3.0]), beta)
    assert np.array_equal(y.numpy(), [[0.25, -0.5]])
    y.backward([[1.0, 2.0]])
    assert np.array_equal(x.grad, [[0, 0]])
    assert np.array_equal(beta.grad, [1, 2])


def test_a_batch_of_none() -> None:
    gamma = Tensor(np.ones(4), requires_grad=True)
    x = Tensor(np.zeros((0, 4, 3)), requires_grad=True)
    npgrad.group_norm(x, 2, gamma).backward(np.zeros((0, 4, 3)))
    assert x.grad.shape == (0, 4, 3)
    assert np.array_equal(gamma.grad, np.zeros(4))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((np.zeros((2, 6)), 4), ValueError, "cannot divide 6 channels (input of shape (2, 6)) into num_groups=4"),
        ((np.zeros((2, 6)), 0), ValueError, "num_groups=0"),
        ((np.zeros(6), 2), ValueError, "needs an input of shape (N, C, ...)"),
        ((np.zeros((2, 6, 0)), 2), ValueError, "at least one channel and position; got (2, 6, 0)"),
        ((np.zeros((2, 6)), 2, np.ones(3)), ValueError, "weight of shape (3,) for 6 channels"),
        ((np.zeros((2, 6)), 2, None, np.ones(2)), ValueError, "bias of shape (2,) for 6 channels"),
        ((np.zeros((2, 6), np.int32), 2), TypeError, "group_norm normalises floating-point numbers; got int32"),
    ],
)
def test_errors_name_the_shapes(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as raised:
        npgrad.group_norm(*arguments)
    assert words in str(raised.value)


@given(seeds, st.tuples(*[st.integers(1, 3)] * 2), shapes(1, 2))
def test_each_instance_by_itself(seed: int, batch: Any, positions: Any) -> None:
    rng = np.random.default_rng(seed)
    x, gamma, beta = rng.normal(size=(*batch, *positions)), *rng.normal(size=(2, batch[1]))
    along = tuple(range(2, x.ndim))
    one = (batch[1], *[1] * len(positions))
    xhat = (x - x.mean(along, keepdims=True)) / np.sqrt(x.var(along, keepdims=True) + 1e-3)
    got = npgrad.instance_norm(x, weight=gamma, bias=beta, eps=1e-3).numpy()
    np.testing.assert_allclose(got, xhat * gamma.reshape(one) + beta.reshape(one), rtol=1e-10, atol=1e-10)
