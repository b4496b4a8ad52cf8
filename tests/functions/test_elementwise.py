"""Elementary functions: NumPy's values, laws they obey, and what they do where floating point makes it hard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from tests.strategies import FLOATS, arrays, shapes

NAMES = ["exp", "log", "log1p", "expm1", "sqrt", "abs", "sin", "cos"]


def slope(f: Callable[[Tensor], Tensor], x: Any) -> Any:
    """The derivative of an elementwise f at every entry of x."""
    t = Tensor(x, requires_grad=True)
    y = f(t)
    y.backward(np.ones_like(y.numpy()))
    return t.grad


@given(st.sampled_from(NAMES), shapes(empty=True), FLOATS, st.data())
def test_numpys_functions_on_tensors(name: str, shape: Any, dtype: Any, data: st.DataObject) -> None:
    x = (np.abs(data.draw(arrays(shape, dtype))) + dtype(0.1)).astype(dtype)
    f = getattr(np, name)
    y = f(Tensor(x))
    assert isinstance(y, Tensor) and y.dtype == dtype and y.shape == x.shape
    assert np.array_equal(y.numpy(), f(x))
    assert np.array_equal(getattr(npgrad, name)(x).numpy(), f(x))
    dx = slope(f, x)
    assert dx.dtype == dtype and dx.shape == x.shape


@pytest.mark.parametrize("name", NAMES)
def test_numbers_and_integers(name: str) -> None:
    f, g = getattr(npgrad, name), getattr(np, name)
    assert f(2.0).item() == g(2.0)
    assert np.array_equal(f(np.array([1, 2, 3])).numpy(), g(np.array([1, 2, 3])))


@given(shapes(), st.data())
def test_laws(shape: Any, data: st.DataObject) -> None:
    x = data.draw(arrays(shape))
    positive = np.abs(x) + 0.1
    same = [
        (lambda t: npgrad.log(npgrad.exp(t)), lambda t: 1 * t, x),
        (lambda t: npgrad.exp(npgrad.log(t)), lambda t: 1 * t, positive),
        (lambda t: npgrad.log1p(npgrad.expm1(t)), lambda t: 1 * t, x),
        (lambda t: npgrad.sqrt(t) ** 2, lambda t: 1 * t, positive),
        (npgrad.sqrt, lambda t: t**0.5, positive),
        (lambda t: npgrad.sqrt(t * t), npgrad.abs, np.where(np.abs(x) < 0.01, 1.0, x)),
        (lambda t: npgrad.sin(t) ** 2 + npgrad.cos(t) ** 2, lambda t: t**0, x),
        (lambda t: npgrad.sin(2 * t), lambda t: 2 * npgrad.sin(t) * npgrad.cos(t), x),
    ]
    for f, g, at in same:
        assert np.allclose(f(Tensor(at)).numpy(), g(Tensor(at)).numpy(), rtol=1e-12, atol=1e-12)
        assert np.allclose(slope(f, at), slope(g, at), rtol=1e-10, atol=1e-12)


def test_the_kink_of_abs() -> None:
    x = np.array([-np.inf, -2.0, -0.0, 0.0, 3.0, np.inf, np.nan])
    assert np.array_equal(slope(npgrad.abs, x), [-1, -1, 0, 0, 1, 1, np.nan], equal_nan=True)
    assert np.array_equal(slope(abs, x), slope(np.absolute, x), equal_nan=True)


def test_small_numbers_keep_their_digits() -> None:
    x = np.array([1e-20, -1e-12, 1e-9])
    assert np.allclose(npgrad.log1p(x).numpy(), x - x * x / 2, rtol=1e-15, atol=0)
    assert np.allclose(npgrad.expm1(x).numpy(), x + x * x / 2, rtol=1e-15, atol=0)
    assert np.allclose(slope(npgrad.expm1, np.array([-40.0, -700.0])), np.exp([-40.0, -700.0]), rtol=1e-14, atol=0)


def test_limits_at_infinity() -> None:
    """Where there is a finite limit, it is reached without a warning."""
    assert npgrad.exp(-np.inf).item() == 0 and npgrad.expm1(-np.inf).item() == -1 and npgrad.exp(-1e4).item() == 0
    for f in (npgrad.exp, npgrad.expm1):
        assert np.array_equal(slope(f, np.array([-np.inf, -1e4])), [0.0, 0.0])
    for f in (npgrad.log, npgrad.log1p, npgrad.sqrt):
        assert np.array_equal(slope(f, np.array([np.inf])), [0.0])


def test_infinite_slopes_say_so() -> None:
    for f in (npgrad.sqrt, npgrad.log):
        with pytest.warns(RuntimeWarning, match="divide by zero"):
            assert slope(f, np.array([0.0])) == [np.inf]


@given(st.sampled_from(NAMES), FLOATS)
def test_nan_stays_nan(name: str, dtype: Any) -> None:
    x = np.array([np.nan, 1.0], dtype)
    f = getattr(npgrad, name)
    assert np.array_equal(np.isnan(f(x).numpy()), [True, False])
    assert np.array_equal(np.isnan(slope(f, x)), [True, False])
