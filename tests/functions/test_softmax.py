"""softmax and log_softmax: probabilities, exact however large the scores."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from tests.functions.test_reduction import gradient
from tests.strategies import arrays, shapes

INF = np.inf


@given(st.data())
def test_softmax_is_a_distribution_and_ignores_shifts(data: st.DataObject) -> None:
    x = data.draw(arrays(data.draw(shapes(1))))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    y = npgrad.softmax(x, axis).numpy()
    assert np.allclose(y.sum(axis), 1) and (y >= 0).all()
    assert np.allclose(y, np.exp(x) / np.exp(x).sum(axis, keepdims=True), rtol=1e-13)
    assert np.allclose(npgrad.softmax(x + 1e4, axis).numpy(), y, rtol=1e-10)
    assert np.allclose(npgrad.log_softmax(x, axis).numpy(), np.log(y), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("f", [npgrad.softmax, npgrad.log_softmax])
@given(st.data())
def test_gradients_sum_to_zero_along_the_axis(f: Any, data: st.DataObject) -> None:
    x = data.draw(arrays(data.draw(shapes(1))))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    dy = np.random.default_rng(x.size).normal(size=x.shape)
    dx = gradient(lambda t: f(t, axis), x, dy)
    assert np.allclose(dx.sum(axis), 0, atol=1e-14)


@given(st.data())
def test_log_softmax_is_the_logarithm_of_softmax_in_its_gradient_too(data: st.DataObject) -> None:
    x = data.draw(arrays(data.draw(shapes(1))))
    dy = np.random.default_rng(x.size).normal(size=x.shape)
    fused = gradient(npgrad.log_softmax, x, dy)
    composed = gradient(lambda t: npgrad.log(npgrad.softmax(t)), x, dy)
    assert np.allclose(fused, composed, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", [npgrad.softmax, npgrad.log_softmax])
def test_exact_at_large_scores(f: Any, dtype: Any) -> None:
    for shift in (1e4, -1e4):
        x = np.array([[shift, shift + 1, shift - 2]], dtype)
        near = np.array([[0, 1, -2]], dtype)
        assert np.array_equal(f(x).numpy(), f(near).numpy())
        dy = np.array([[1, 2, -3]], dtype)
        assert np.array_equal(gradient(f, x, dy), gradient(f, near, dy))
    far = np.array([1e4, -1e4], dtype)
    expected = [1, 0] if f is npgrad.softmax else [0, -2e4]
    y = f(far)
    assert y.dtype == dtype and y.numpy().tolist() == expected
    dx = gradient(f, far, np.array([3, 5], dtype))
    assert dx.dtype == dtype and dx.tolist() == ([0, 0] if f is npgrad.softmax else [-5, 5])


@pytest.mark.parametrize(
    ("x", "y"),
    [([INF, 1.0], [1, 0]), ([INF, INF], [0.5, 0.5]), ([-INF, 1.0], [0, 1]), ([-INF, 0.0, 0.0], [0, 0.5, 0.5])],
)
def test_limits_at_infinity_raise_no_warning(x: list[float], y: list[float]) -> None:
    a = np.array([x, [0.0] * len(x)])
    probabilities = npgrad.softmax(a).numpy()
    assert probabilities[0].tolist() == y
    assert np.allclose(probabilities[1], float(Fraction(1, len(x))))
    logs = npgrad.log_softmax(a).numpy()
    assert np.allclose(np.exp(logs[0]), y, rtol=1e-15)
    dx = gradient(npgrad.log_softmax, a, np.eye(2, len(x)))
    assert np.allclose(dx, np.eye(2, len(x)) - probabilities)


def test_along_an_empty_axis_there_is_nothing_to_scale() -> None:
    for f in (npgrad.softmax, npgrad.log_softmax):
        assert f(np.zeros((0, 3))).shape == (0, 3)
        with pytest.raises(ValueError, match="zero-size"):
            f(np.zeros((3, 0)))
        with pytest.raises(IndexError, match="axis 4"):
            f(np.zeros((3, 2)), axis=4)


@pytest.mark.parametrize("f", [npgrad.softmax, npgrad.log_softmax])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_blocks_change_nothing(f: Any, axis: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 3, 4, 5))[0], rng.normal(size=(3, 4, 5))

    def both(x: Any) -> Any:
        t = npgrad.Tensor(x, requires_grad=True)
        y = f(t, axis=axis)
        y.backward(dy)
        return y.numpy(), t.grad

    expected = both(x)
    monkeypatch.setattr("npgrad.functions.row_blocks.BLOCK", 16)
    for given_x in (x, np.asfortranarray(x)):
        for right, found in zip(expected, both(given_x), strict=True):
            assert np.allclose(found, right, rtol=1e-13, atol=1e-15)
