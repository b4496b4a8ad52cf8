"""layer_norm: against NumPy axis by axis, its invariances, numerical care, and its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from tests.strategies import arrays, seeds, shapes


def naive(x: np.ndarray, axes: int, eps: float) -> np.ndarray:
    along = tuple(range(x.ndim - axes, x.ndim))
    return (x - x.mean(axis=along, keepdims=True)) / np.sqrt(x.var(axis=along, keepdims=True) + eps)


@given(st.data(), shapes(1, 4), st.sampled_from([1e-8, 1e-5, 1e-1]))
def test_any_number_of_last_axes(data: Any, shape: tuple[int, ...], eps: float) -> None:
    axes = data.draw(st.integers(1, len(shape)))
    x = data.draw(arrays(shape))
    gamma, beta = data.draw(arrays(shape[-axes:])), data.draw(arrays(shape[-axes:]))
    plain = npgrad.layer_norm(x, shape[-axes:], eps=eps).numpy()
    assert np.allclose(plain, naive(x, axes, eps), rtol=1e-9, atol=1e-9)
    full = npgrad.layer_norm(x, shape[-axes:], gamma, beta, eps).numpy()
    assert np.allclose(full, naive(x, axes, eps) * gamma + beta, rtol=1e-9, atol=1e-9)


@given(seeds, st.integers(2, 6), st.floats(-5, 5), st.floats(0.5, 4))
def test_shifting_and_stretching_a_row_changes_nothing_and_has_no_gradient(
    seed: int, n: int, shift: float, stretch: float
) -> None:
    rng = np.random.default_rng(seed)
    values, gamma, dy = rng.normal(size=(3, n)), rng.normal(size=n), rng.normal(size=(3, n))
    x = Tensor(values, requires_grad=True)
    y = npgrad.layer_norm(x, n, gamma, eps=0.0)
    y.backward(dy)
    assert np.allclose(y.numpy(), npgrad.layer_norm(values * stretch + shift, n, gamma, eps=0.0).numpy())
    # Measured against the terms that cancel: with two features nothing else is left of the gradient.
    terms = np.max(np.abs(dy * gamma) / values.std(axis=1, keepdims=True), axis=1)
    assert np.all(np.abs(x.grad.sum(axis=1)) < 1e-11 * terms * n)
    assert np.all(np.abs((x.grad * values).sum(axis=1)) < 1e-11 * terms * n * np.max(np.abs(values)))


@given(seeds, st.integers(2, 40))
def test_single_precision_survives_a_large_offset(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    exact = np.round(rng.normal(size=(4, n)) * 8) / 8 + rng.permutation(n) + 1e6
    assert np.array_equal(exact.astype(np.float32), exact)
    results = []
    for dtype in (np.float32, np.float64):
        x = Tensor(exact.astype(dtype), requires_grad=True)
        y = npgrad.layer_norm(x, n)
        y.backward(np.arange(4.0 * n).reshape(4, n) % 5 - 2)
        assert y.dtype == x.grad.dtype == dtype
        results.append((y.numpy(), x.grad))
    (y32, dx32), (y64, dx64) = results
    assert np.max(np.abs(y32 - y64)) < 1e-5 * np.max(np.abs(y64))
    # Measured against the terms that cancel: with two features nothing else is left of the gradient.
    assert np.all(np.abs(dx32 - dx64) < 1e-5 * 2 / np.sqrt(exact.var(axis=1, keepdims=True) + 1e-5))


@pytest.mark.parametrize("shape", [(3, 1), (1, 1), (2, 5)])
def test_rows_that_do_not_vary_become_beta_and_pass_no_gradient(shape: tuple[int, ...]) -> None:
    x = Tensor(np.full(shape, 7.5, np.float32), requires_grad=True)
    beta = np.linspace(-1, 1, shape[-1], dtype=np.float32)
    y = npgrad.layer_norm(x, shape[-1], np.full(shape[-1], 2, np.float32), beta)
    assert np.array_equal(y.numpy(), np.broadcast_to(beta, shape))
    y.backward(np.ones(shape))
    assert np.allclose(x.grad, 0, atol=1e-4)


def test_a_batch_of_none_has_gradients_of_zero_for_the_parameters() -> None:
    gamma, beta = Tensor(np.ones(3), requires_grad=True), Tensor(np.zeros(3), requires_grad=True)
    y = npgrad.layer_norm(np.zeros((0, 3)), 3, gamma, beta)
    y.backward(np.zeros((0, 3)))
    assert y.shape == (0, 3)
    assert np.array_equal(gamma.grad, np.zeros(3))
    assert np.array_equal(beta.grad, np.zeros(3))


def test_parameters_of_a_wider_type_widen_the_result() -> None:
    x = Tensor(np.ones((2, 3), np.float32) * [1, 2, 4], requires_grad=True)
    y = npgrad.layer_norm(x, 3, np.full(3, 1 / 3))
    assert y.dtype == np.float64
    single = npgrad.layer_norm(np.array([[1, 2, 4]], np.float32), 3, np.full(3, 1 / 3, np.float32))
    assert single.dtype == np.float32


@pytest.mark.parametrize("shape", [np.int64(3), (np.int32(2), np.int64(3)), np.array([2, 3])])
def test_lengths_may_be_numpys_integers(shape: Any) -> None:
    x = np.arange(12.0).reshape(2, 2, 3) ** 2
    want = npgrad.layer_norm(x, tuple(np.atleast_1d(shape).tolist())).numpy()
    assert np.array_equal(npgrad.layer_norm(x, shape).numpy(), want)
    assert np.array_equal(npgrad.nn.LayerNorm(shape, dtype=np.float64)(Tensor(x)).numpy(), want)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((np.zeros((2, 3)), 4), ValueError, "(2, 3), whose last axes are not normalized_shape=4"),
        ((np.zeros((2, 3)), (3, 2)), ValueError, "(2, 3), whose last axes are not normalized_shape=(3, 2)"),
        ((np.zeros(3), (2, 3)), ValueError, "(3,), whose last axes are not"),
        ((np.zeros((2, 0)), 0), ValueError, "has no features to normalise"),
        ((np.zeros((2, 3)), ()), ValueError, "has no features to normalise"),
        ((np.zeros((2, 3)), 3, np.ones(2)), ValueError, "weight of shape (2,)"),
        ((np.zeros((2, 3)), 3, None, np.ones((1, 3))), ValueError, "bias of shape (1, 3)"),
        ((np.zeros((2, 3), int), 3), TypeError, "got int64. Convert with .astype"),
    ],
)
def test_errors_name_the_shapes(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as raised:
        npgrad.layer_norm(*arguments)
    assert words in str(raised.value)
