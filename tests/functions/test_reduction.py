"""Reductions: NumPy's values over any axes, and the conventions at constants, zeros and nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from tests.strategies import arrays, shape_and_axis, shapes

DEFINED_ON_NOTHING = [np.sum, np.prod]
NEED_NUMBERS = [np.mean, np.var, np.std]


def gradient(f: Callable[[Tensor], Tensor], x: Any, dy: Any = None) -> np.ndarray:
    t = Tensor(x, requires_grad=True)
    f(t).backward(dy)
    assert t.grad is not None
    return t.grad


@pytest.mark.parametrize("f", [*DEFINED_ON_NOTHING, *NEED_NUMBERS])
@given(shape_and_axis(), st.booleans(), st.data())
def test_values_are_numpys(f: Any, shape_axis: Any, keepdims: bool, data: st.DataObject) -> None:
    shape, axis = shape_axis
    x = data.draw(arrays(shape))
    y = f(Tensor(x), axis=axis, keepdims=keepdims)
    expected = f(x, axis=axis, keepdims=keepdims)
    assert isinstance(y, Tensor) and y.shape == np.shape(expected)
    assert np.allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("f", [np.sum, np.prod])
@given(st.data())
def test_nothing_gives_the_neutral_element(f: Any, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, empty=True))
    axis = data.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    x = np.ones(shape)
    assert np.array_equal(f(Tensor(x), axis=axis).numpy(), f(x, axis=axis))
    assert gradient(lambda t: f(t, axis=axis).sum(), x).shape == shape


@pytest.mark.parametrize("f", [np.mean, np.var, np.std])
def test_the_mean_of_nothing_is_nan_and_warns(f: Any) -> None:
    with pytest.warns(RuntimeWarning):
        assert np.isnan(f(Tensor(np.zeros((2, 0))), axis=1).numpy()).all()
    with pytest.warns(RuntimeWarning):
        assert gradient(lambda t: f(t).sum(), np.zeros((0, 3))).shape == (0, 3)
    # Nothing to average, but of something.
    assert f(Tensor(np.zeros((0, 3))), axis=1).shape == (0,)


@given(shape_and_axis(), st.data())
def test_sum_and_mean_spread_their_gradient_evenly(shape_axis: Any, data: st.DataObject) -> None:
    shape, axis = shape_axis
    x = data.draw(arrays(shape))
    ones = gradient(lambda t: npgrad.sum(t, axis).sum(), x)
    assert np.array_equal(ones, np.ones(shape))
    share = gradient(lambda t: npgrad.mean(t, axis).sum(), x)
    assert np.allclose(share, np.sum(x * 0 + 1, axis=axis, keepdims=True) ** -1.0 * np.ones(shape))


@given(shape_and_axis(), st.sampled_from([0, 1, 0.5]), st.data())
def test_variance_with_ddof(shape_axis: Any, ddof: float, data: st.DataObject) -> None:
    shape, axis = shape_axis
    shape = tuple(n + 1 for n in shape)
    x = data.draw(arrays(shape))
    for f in (np.var, np.std):
        assert np.allclose(f(Tensor(x), axis=axis, ddof=ddof).numpy(), f(x, axis=axis, ddof=ddof), rtol=1e-10)
    # Moving everything changes no variance.
    dx = gradient(lambda t: (npgrad.var(t, axis, ddof) * 3.0).sum(), x)
    assert np.allclose(np.sum(dx, axis=axis), 0, atol=1e-12)


def test_no_degrees_of_freedom_is_nan_and_warns_as_in_numpy() -> None:
    with pytest.warns(RuntimeWarning) as caught:
        assert np.isnan(npgrad.var([1.0], ddof=1).item())
    assert "variance of 1 numbers with ddof=1" in str(caught[0].message)
    with pytest.warns(RuntimeWarning):
        assert npgrad.var([1.0, 3.0], ddof=2).item() == np.inf


@pytest.mark.parametrize("value", [0.1, 1e30, -3.3, 0.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_std_of_a_constant_is_0_with_gradient_0(value: float, dtype: Any) -> None:
    x = np.full((3, 7), value, dtype)
    assert npgrad.std(x, axis=1).numpy().tolist() == [0, 0, 0]
    assert not gradient(lambda t: npgrad.std(t, axis=1).sum(), x).any()
    x[1, 2] += 1
    dx = gradient(lambda t: npgrad.std(t, axis=1).sum(), x)
    assert np.isfinite(dx).all() and not dx[[0, 2]].any()


def test_float32_far_from_zero_keeps_its_variance() -> None:
    x = (np.random.default_rng(0).integers(0, 16, size=1000) / 8 + 1e6).astype(np.float32)
    exact = np.var(x.astype(np.float64))
    assert abs(npgrad.var(x).item() / exact - 1) < 1e-5


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_the_gradient_of_a_product_with_zeros(zeros: int) -> None:
    x = np.array([2.0, -3.0, 5.0])
    x[:zeros] = 0
    others = [np.prod(np.delete(x, k)) for k in range(3)]
    assert np.array_equal(gradient(npgrad.prod, x), others)


@given(shape_and_axis(), st.data())
def test_the_gradient_of_a_product_is_that_of_multiplying(shape_axis: Any, data: st.DataObject) -> None:
    shape, axis = shape_axis
    x = data.draw(arrays(shape))
    x = np.where(np.abs(x) < 0.3, 0.0, x)
    dx = gradient(lambda t: npgrad.prod(t, axis).sum(), x)
    for place in np.ndindex(shape):
        less = x.copy()
        less[place] = 1
        # With its own factor set to 1 the product that contains the place is the derivative.
        kept = np.prod(less, axis=axis, keepdims=True)
        assert np.isclose(dx[place], np.broadcast_to(kept, shape)[place], rtol=1e-12, atol=1e-15)


@given(st.data())
def test_cumsum(data: st.DataObject) -> None:
    x = data.draw(arrays(data.draw(shapes(1, empty=True))))
    axis = data.draw(st.one_of(st.none(), st.integers(-x.ndim, x.ndim - 1)))
    y = np.cumsum(Tensor(x), axis=axis)
    assert np.allclose(y.numpy(), np.cumsum(x, axis=axis))
    dy = np.random.default_rng(x.size).normal(size=y.shape)
    dx = gradient(lambda t: np.cumsum(t, axis=axis), x, dy)
    flat = dy if axis is not None else dy.ravel()
    back = np.flip(np.cumsum(np.flip(flat, axis), axis), axis).reshape(x.shape)
    assert np.allclose(dx, back)


@pytest.mark.parametrize("f", [npgrad.sum, npgrad.mean, npgrad.var, npgrad.std, npgrad.prod, npgrad.max])
def test_integers_and_numbers_are_reduced_too(f: Any) -> None:
    assert f([[1, 2], [3, 4]]).item() == getattr(np, f.__name__)([[1, 2], [3, 4]])
    assert f(3.0).item() == getattr(np, f.__name__)(3.0)
    assert f(np.float32(3)).dtype == np.float32


@pytest.mark.parametrize("f", [npgrad.sum, npgrad.mean, npgrad.var, npgrad.std, npgrad.prod, npgrad.max, npgrad.min])
def test_errors_say_what_is_wrong(f: Any) -> None:
    with pytest.raises(IndexError, match="axis 2 is out of bounds"):
        f(np.ones((2, 3)), axis=2)
    with pytest.raises(ValueError, match=r"duplicate|repeated"):
        f(np.ones((2, 3)), axis=(0, 0))
    with pytest.raises(TypeError, match="keepdims must be True or False; got"):
        f(np.ones((2, 3)), axis=0, keepdims=np.float64)
    with pytest.raises(TypeError, match="where="):
        getattr(np, f.__name__)(Tensor(np.ones(2)), where=np.array([True, False]))


def test_numpys_dtype_argument_is_refused_wherever_it_stands() -> None:
    t = Tensor(np.ones(2))
    with pytest.raises(TypeError, match="dtype="):
        np.sum(t, dtype=np.float32)
    with pytest.raises(TypeError, match="dtype="):
        np.sum(t, 0, np.float32)


@pytest.mark.parametrize("f", [np.sum, np.mean, np.var, np.std])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_the_sums_of_float16_do_not_limit_its_means(f: Any, axis: Any) -> None:
    """The sum of so many numbers is beyond float16's largest, 65504; their mean and variance are not."""
    x = (np.arange(140_000).reshape(2, -1) % 7 + 0.1).astype(np.float16)
    x[1] *= np.float16(10)
    with np.errstate(over="ignore"):
        y, expected = f(Tensor(x), axis=axis).numpy(), f(x.astype(np.float64), axis=axis).astype(np.float16)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, expected, rtol=2e-3)
    dx = gradient(lambda t: f(t, axis=axis).sum(), x[:, :50])
    wide = gradient(lambda t: f(t, axis=axis).sum(), x[:, :50].astype(np.float64))
    assert dx.dtype == np.float16
    np.testing.assert_allclose(dx, wide, rtol=5e-3, atol=1e-6)


@pytest.mark.parametrize("f", [npgrad.sum, npgrad.mean, npgrad.var, npgrad.std, npgrad.prod, npgrad.cumsum])
def test_axes_may_be_numpys_integers(f: Any) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 5))
    for axis in (0, -1, (0, 2), (-1, 1)):
        if f is npgrad.cumsum and isinstance(axis, tuple):
            continue
        other = tuple(map(np.int32, axis)) if isinstance(axis, tuple) else np.int64(axis)
        assert np.array_equal(f(x, other).numpy(), f(x, axis).numpy())
        dx, expected = (gradient(lambda t, a=a: npgrad.sum(f(t, a) ** 2), x) for a in (other, axis))
        assert np.array_equal(dx, expected)
