"""rms_norm: against NumPy axis by axis, its invariance, its limits, and its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from tests.strategies import FLOATS, arrays, seeds, shapes


@given(st.data(), shapes(1, 4), st.sampled_from([1e-8, 1e-5, 1e-1]))
def test_any_number_of_last_axes(data: Any, shape: tuple[int, ...], eps: float) -> None:
    axes = data.draw(st.integers(1, len(shape)))
    x, gamma = data.draw(arrays(shape)), data.draw(arrays(shape[-axes:]))
    want = x / np.sqrt(np.mean(x**2, axis=tuple(range(-axes, 0)), keepdims=True) + eps)
    np.testing.assert_allclose(npgrad.rms_norm(x, shape[-axes:], eps=eps).numpy(), want, rtol=1e-12, atol=1e-14)
    got = npgrad.rms_norm(x, shape[-axes:], gamma, eps).numpy()
    np.testing.assert_allclose(got, want * gamma, rtol=1e-12, atol=1e-14)


@given(seeds, st.integers(1, 6), st.floats(0.5, 4))
def test_the_length_of_a_row_changes_nothing_and_has_no_gradient(seed: int, n: int, stretch: float) -> None:
    rng = np.random.default_rng(seed)
    values, gamma, dy = rng.normal(size=(3, n)), rng.normal(size=n), rng.normal(size=(3, n))
    x = Tensor(values, requires_grad=True)
    y = npgrad.rms_norm(x, n, gamma, eps=0.0)
    y.backward(dy)
    assert np.allclose(y.numpy(), npgrad.rms_norm(values * stretch, n, gamma, eps=0.0).numpy())
    assert x.grad is not None
    # Measured against the terms that cancel.
    terms = np.max(np.abs(dy * gamma), axis=1) / np.sqrt(np.mean(values**2, axis=1))
    assert np.all(np.abs((x.grad * values).sum(axis=1)) < 1e-11 * n * terms * np.max(np.abs(values), axis=1))


@given(FLOATS)
def test_eps_is_the_resolution_unless_given(dtype: Any) -> None:
    x = Tensor(np.zeros((2, 3), dtype), requires_grad=True)
    y = npgrad.rms_norm(x, 3)
    y.backward(np.ones((2, 3), dtype))
    assert y.dtype == dtype and not y.numpy().any()
    np.testing.assert_allclose(x.grad, np.finfo(dtype).eps ** -0.5, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((np.ones((2, 3)), 4), ValueError, "rms_norm got an input of shape (2, 3), whose last axes are not"),
        ((np.ones((2, 3)), ()), ValueError, "has no features to normalise"),
        ((np.ones((2, 3)), 3, np.ones(2)), ValueError, "a weight of shape (2,) for normalized_shape=3"),
        ((np.ones((2, 3), int), 3), TypeError, "rms_norm normalises floating-point numbers; got int64"),
    ],
)
def test_errors_name_the_shapes(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as raised:
        npgrad.rms_norm(*arguments)
    assert words in str(raised.value)
