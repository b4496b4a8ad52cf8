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
@pytest.mark.parametrize("axis", [None, (0, 2), (1, -1), (1,), np.int64(0), np.int64(-1)])
def test_several_axes_are_one(f: Any, axis: Any) -> None:
    """Over some axes as over their product, whatever kind of integer names them."""
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(3, 4, 5)), rng.normal(size=(3, 4, 5))
    axes = list(range(3)) if axis is None else [int(a) % 3 for a in np.atleast_1d(axis)]
    order = [a for a in range(3) if a not in axes] + axes
    rows = [3, 4, 5]
    flat = [a.transpose(order).reshape(-1, int(np.prod([rows[k] for k in axes]))) for a in (x, dy)]

    def unflat(a: Any) -> Any:
        return a.reshape([rows[k] for k in order]).transpose(np.argsort(order))

    assert np.allclose(f(x, axis).numpy(), unflat(f(flat[0]).numpy()), rtol=1e-13)
    dx = gradient(lambda t: f(t, axis), x, dy)
    assert np.allclose(dx, unflat(gradient(f, *flat)), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("f", [npgrad.softmax, npgrad.log_softmax])
def test_of_a_number(f: Any) -> None:
    assert f(2.0).item() == f(2.0, axis=None).item() == (1 if f is npgrad.softmax else 0)
