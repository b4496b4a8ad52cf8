"""max, min and logsumexp: ties, NaN, infinities, and nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import npgrad
from npgrad import Tensor
from npgrad.functions.extreme import Max, Min
from tests.functions.test_reduction import gradient
from tests.strategies import arrays, shape_and_axis

INF = np.inf


@pytest.mark.parametrize("f", [np.max, np.min])
@given(shape_and_axis(), st.booleans(), st.data())
def test_values_are_numpys(f: Any, shape_axis: Any, keepdims: bool, data: st.DataObject) -> None:
    shape, axis = shape_axis
    x = data.draw(arrays(shape))
    assert np.array_equal(f(Tensor(x), axis=axis, keepdims=keepdims).numpy(), f(x, axis=axis, keepdims=keepdims))


@pytest.mark.parametrize("f", [npgrad.max, npgrad.min])
@given(shape_and_axis(), st.data())
def test_ties_share_equally(f: Any, shape_axis: Any, data: st.DataObject) -> None:
    shape, axis = shape_axis
    x = data.draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([-1.0, 0.0, 2.0, INF])))
    dx = gradient(lambda t: f(t, axis).sum(), x)
    best = f(x, axis, keepdims=True).numpy()
    count = np.sum(x == best, axis=axis, keepdims=True)
    assert np.allclose(dx, (x == best) / count)


@pytest.mark.parametrize(("f", "rule"), [(npgrad.max, Max), (npgrad.min, Min)])
def test_ties_split_in_the_complex_step_too(f: Any, rule: Any) -> None:
    """The step confirms the convention instead of refuting it."""
    from npgrad.engine.holomorphic import Holomorphic

    x, v = np.array([1.0, 1.0, 1.0]), np.array([3.0, 6.0, 0.0])
    assert np.isclose(rule().forward(Holomorphic(x, v)).slope, np.sum(gradient(f, x) * v))


def test_nan_is_the_extreme_and_takes_the_gradient() -> None:
    x = np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0]])
    for f in (npgrad.max, npgrad.min):
        y = f(x, axis=1).numpy()
        assert np.isnan(y[0]) and not np.isnan(y[1])
        assert gradient(lambda t, f=f: f(t, axis=1).sum(), x)[0].tolist() == [0, 1, 0]


def test_an_infinite_cotangent_stays_where_it_belongs() -> None:
    dx = gradient(lambda t: npgrad.max(t, axis=1), np.array([[1.0, 2.0]]), np.array([INF]))
    assert dx.tolist() == [[0, INF]]


@pytest.mark.parametrize("f", [npgrad.max, npgrad.min, npgrad.logsumexp])
def test_nothing_has_no_extreme(f: Any) -> None:
    with pytest.raises(ValueError, match="zero-size"):
        f(np.zeros((0, 3)), axis=0)
    assert f(np.zeros((0, 3)), axis=1).shape == (0,)


@given(shape_and_axis(), st.booleans(), st.sampled_from([0.0, 1e4, -1e4, 1e300]), st.data())
def test_logsumexp_of_shifted_numbers(shape_axis: Any, keepdims: bool, shift: float, data: st.DataObject) -> None:
    shape, axis = shape_axis
    x = data.draw(arrays(shape))
    expected = np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)) + shift
    y = npgrad.logsumexp(x + shift, axis, keepdims).numpy()
    assert y.shape == np.shape(expected)
    assert np.allclose(y, expected, rtol=1e-12, atol=1e-10)
    dx = gradient(lambda t: npgrad.logsumexp(t, axis).sum(), x + shift)
    assert np.allclose(np.sum(dx, axis=axis), 1, rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("x", "y", "dx"),
    [
        ([-INF, -INF], -INF, [0, 0]),
        ([INF, 1.0], INF, [1, 0]),
        ([INF, INF, -INF, 0.0], INF, [0.5, 0.5, 0, 0]),
        ([INF, -1e38], INF, [1, 0]),
        ([-INF, 2.0], 2.0, [0, 1]),
        ([1e4, -1e4], 1e4, [1, 0]),
        ([-1e4, -1e4], -1e4 + np.log(2), [0.5, 0.5]),
    ],
)
def test_logsumexp_at_its_limits(dtype: Any, x: list[float], y: float, dx: list[float]) -> None:
    a = np.array(x, dtype)
    result = npgrad.logsumexp(a)
    assert result.dtype == dtype and result.item() == dtype(y)
    grad = gradient(npgrad.logsumexp, a)
    assert grad.dtype == dtype and grad.tolist() == dx
    both = npgrad.logsumexp(np.stack([a, np.zeros_like(a)]), axis=1).numpy()
    assert both[0] == dtype(y) and np.isclose(both[1], np.log(len(x)))


def test_nan_in_logsumexp_stays_in_its_row() -> None:
    y = npgrad.logsumexp(np.array([[np.nan, 1.0], [0.0, 0.0]]), axis=1).numpy()
    assert np.isnan(y[0]) and y[1] == np.log(2)


def test_logsumexp_of_a_number_is_the_number() -> None:
    for x in (2, 2.0, np.float32(2), np.array(2.0), Tensor(2.0, requires_grad=True)):
        for options in ({}, {"axis": ()}, {"keepdims": True}):
            y = npgrad.logsumexp(x, **options)
            assert y.shape == () and y.item() == 2
    assert gradient(npgrad.logsumexp, np.array(2.0)) == 1


@pytest.mark.parametrize("f", [npgrad.max, npgrad.min, npgrad.logsumexp, npgrad.sum, npgrad.mean])
def test_axes_are_integers_of_any_kind(f: Any) -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    for axis in (np.int64(0), np.int8(-1), (np.int64(0), 2)):
        plain = tuple(map(int, axis)) if isinstance(axis, tuple) else int(axis)
        assert np.array_equal(f(x, axis=axis).numpy(), f(x, axis=plain).numpy())
        dx = gradient(lambda t, axis=axis: f(t, axis=axis).sum(), x)
        assert np.array_equal(dx, gradient(lambda t, plain=plain: f(t, axis=plain).sum(), x))
