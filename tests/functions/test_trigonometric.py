"""Angles and hyperbolic functions: NumPy's values, laws they obey, edges of their domains, limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from tests.functions.test_elementwise import slope
from tests.strategies import FLOATS, arrays, shapes

NAMES = ["sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "arcsinh", "arccosh", "arctanh"]


def inside(name: str, x: Any) -> Any:
    """x, moved into the domain of the function."""
    if name in ("arcsin", "arccos", "arctanh"):
        return (x / (1 + np.abs(x)) * 0.9).astype(x.dtype)
    return (1.1 + np.abs(x)).astype(x.dtype) if name == "arccosh" else x


@given(st.sampled_from(NAMES), shapes(empty=True), FLOATS, st.data())
def test_numpys_functions_on_tensors(name: str, shape: Any, dtype: Any, data: st.DataObject) -> None:
    x = inside(name, data.draw(arrays(shape, dtype)))
    f = getattr(np, name)
    y = f(Tensor(x))
    # Not to the bit: in float32 the last one depends on how the numbers lie in memory.
    assert isinstance(y, Tensor) and y.dtype == dtype and np.allclose(y.numpy(), f(x), rtol=1e-6)
    dx = slope(getattr(npgrad, name), x)
    assert dx.dtype == dtype and dx.shape == x.shape and np.all(np.isfinite(dx))


@given(shapes(), st.data())
def test_inverses_undo_each_other(shape: Any, data: st.DataObject) -> None:
    x = data.draw(arrays(shape))
    small, above = inside("arcsin", x), inside("arccosh", x)
    for f, g, at in (
        (npgrad.sin, npgrad.arcsin, small),
        (npgrad.cos, npgrad.arccos, small),
        (npgrad.tan, npgrad.arctan, x),
        (npgrad.sinh, npgrad.arcsinh, x),
        (npgrad.cosh, npgrad.arccosh, above),
        (npgrad.tanh, npgrad.arctanh, small),
    ):
        y = Tensor(at, requires_grad=True)
        z = f(g(y))
        z.backward(np.ones_like(at))
        assert np.allclose(z.numpy(), at, rtol=1e-11, atol=1e-12) and np.allclose(y.grad, 1, rtol=1e-9)


@given(shapes(), st.data())
def test_laws(shape: Any, data: st.DataObject) -> None:
    x = data.draw(arrays(shape))
    for f, g in (
        (npgrad.tan, lambda t: npgrad.sin(t) / npgrad.cos(t)),
        (lambda t: npgrad.cosh(t) ** 2 - npgrad.sinh(t) ** 2, lambda t: t**0),
        (npgrad.sinh, lambda t: (npgrad.exp(t) - npgrad.exp(-t)) / 2),
        (lambda t: npgrad.arcsin(npgrad.tanh(t)), lambda t: np.pi / 2 - npgrad.arccos(npgrad.tanh(t))),
        (lambda t: npgrad.hypot(t, 2.0), lambda t: npgrad.sqrt(t * t + 4)),
        (lambda t: npgrad.arctan2(t, 2.0), lambda t: npgrad.arctan(t / 2)),
    ):
        assert np.allclose(f(Tensor(x)).numpy(), g(Tensor(x)).numpy(), rtol=1e-10, atol=1e-10)
        assert np.allclose(slope(f, x), slope(g, x), rtol=1e-8, atol=1e-8)


def test_the_edges_of_the_domains() -> None:
    with np.errstate(divide="ignore"):
        assert np.array_equal(slope(npgrad.arcsin, np.array([-1.0, 1.0])), [np.inf, np.inf])
        assert np.array_equal(slope(npgrad.arccos, np.array([-1.0, 1.0])), [-np.inf, -np.inf])
        assert slope(npgrad.arccosh, np.array([1.0])) == np.inf
        assert slope(npgrad.arctanh, np.array([1.0])) == np.inf
    with np.errstate(invalid="ignore"):
        for f, x in ((npgrad.arcsin, 1.5), (npgrad.arccos, -1.5), (npgrad.arccosh, 0.5)):
            assert np.isnan(f(x).item()) and np.isnan(slope(f, np.array([x]))).all()


def test_digits_near_one() -> None:
    """1 - x**2 would have lost them: the slope is exact to the last digits that x has."""
    x = np.array([1 - 2.0**-50])
    assert np.allclose(slope(npgrad.arcsin, x), 1 / np.sqrt(2.0**-49), rtol=1e-12)
    assert np.allclose(slope(npgrad.arctanh, x), 1 / 2.0**-49, rtol=1e-12)


def test_large_sides_do_not_overflow() -> None:
    a, b = Tensor([3e200], requires_grad=True), Tensor([4e200], requires_grad=True)
    y = npgrad.hypot(a, b) + npgrad.arctan2(a, b)
    y.backward()
    assert np.allclose(y.numpy(), 5e200) and np.allclose(a.grad, 0.6) and np.allclose(b.grad, 0.8)
    assert slope(npgrad.arcsinh, np.array([1e300])) == 1e-300


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0), (1.0, 0.0)])
def test_every_quadrant(a: float, b: float) -> None:
    s, t = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
    angle = npgrad.arctan2(s, t)
    angle.backward()
    r2 = a * a + b * b
    assert angle.item() == np.arctan2(a, b) and np.allclose([s.grad, t.grad], [b / r2, -a / r2])


@given(st.sampled_from(NAMES), FLOATS)
def test_nan_stays_nan(name: str, dtype: Any) -> None:
    x = inside(name, np.array([np.nan, 0.5], dtype))
    f = getattr(npgrad, name)
    assert np.array_equal(np.isnan(f(x).numpy()), [True, False])
    assert np.array_equal(np.isnan(slope(f, x)), [True, False])
