"""Arithmetic: NumPy's values and dtypes, Python numbers as operands, and the conventions of powers at 0."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from npgrad.functions.arithmetic import power
from tests.strategies import FLOATS, arrays, broadcastable, shapes

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]


def gradients(f: Callable[..., Tensor], *inputs: Any, dy: Any = None) -> list[Any]:
    """The gradients of f at `inputs`, for dy = 1 unless given."""
    leaves = [Tensor(x, requires_grad=True) for x in inputs]
    y = f(*leaves)
    y.backward(np.ones_like(y.numpy()) if dy is None else dy)
    return [leaf.grad for leaf in leaves]


@given(st.sampled_from(OPERATORS), broadcastable(), FLOATS, st.data())
def test_operators_agree_with_numpy(op: Any, pair: Any, dtype: Any, data: st.DataObject) -> None:
    a, b = (np.abs(data.draw(arrays(shape, dtype))) + dtype(0.5) for shape in pair)
    expected = op(a, b)
    y = op(Tensor(a), Tensor(b))
    assert y.dtype == expected.dtype and y.shape == expected.shape
    assert np.allclose(y.numpy(), expected, rtol=1e-6 if dtype is np.float32 else 1e-13)
    for mixed in (op(Tensor(a), b), op(a, Tensor(b))):
        assert np.array_equal(mixed.numpy(), y.numpy())
    da, db = gradients(op, a, b)
    assert da.shape == a.shape and da.dtype == dtype and db.shape == b.shape and db.dtype == dtype


@given(st.sampled_from(OPERATORS), shapes(empty=True), FLOATS, st.sampled_from([2, 2.0, 0.5, 3, -1.5]), st.data())
def test_python_numbers_are_weak(op: Any, shape: Any, dtype: Any, number: Any, data: st.DataObject) -> None:
    x = np.abs(data.draw(arrays(shape, dtype))).astype(dtype) + dtype(0.5)
    flipped = abs(number)
    for f, value in ((lambda t: op(t, number), op(x, number)), (lambda t: op(flipped, t), op(flipped, x))):
        (dx,) = gradients(f, x)
        assert f(Tensor(x)).dtype == dtype == dx.dtype and dx.shape == x.shape
        assert np.allclose(f(Tensor(x)).numpy(), value, rtol=1e-6 if dtype is np.float32 else 1e-13)


@given(shapes(), st.integers(-6, 6), st.data())
def test_integer_powers_are_products(shape: Any, exponent: int, data: st.DataObject) -> None:
    x = data.draw(arrays(shape))
    x = np.where(x < 0, -1.0, 1.0) * (np.abs(x) + 0.3)
    product = np.prod([x] * abs(exponent), axis=0) if exponent else np.ones(shape)
    expected = 1 / product if exponent < 0 else product
    for p in (exponent, float(exponent), np.asarray(float(exponent))):
        assert np.allclose(npgrad.pow(x, p).numpy(), expected, rtol=1e-13)
        (dx,) = gradients(lambda t, p=p: t**p, x)
        assert np.allclose(dx, exponent * expected / x, rtol=1e-13)


@given(st.sampled_from([0, 0.0, 0.5, -0.5, 1, 1.0, 2, 2.0, 3, 4, 5, -1, -2, -3, -4, 1.7, 1e3, float("inf")]))
def test_short_powers_are_numpys(p: Any) -> None:
    x = np.array([0.25, 0.5, 0.99, 1.0])
    with np.errstate(over="ignore"):
        assert np.allclose(power(x, p), np.power(x, p), rtol=1e-15, atol=0)
    assert np.allclose(power(np.float32(0.5), p), np.power(np.float32(0.5), p))


def test_gradient_of_power_zero_is_zero_everywhere() -> None:
    points = np.array([0.0, -0.0, 2.0, -3.0, np.inf, -np.inf, np.nan, 1e300])
    for p in (0, 0.0, np.float32(0), np.zeros(()), np.zeros(8), np.zeros(8, int)):
        y, (dx,) = npgrad.pow(points, p), gradients(lambda t, p=p: t**p, points)
        assert np.array_equal(y.numpy(), np.ones(8))
        assert np.array_equal(dx, np.zeros(8)), (p, dx)


def test_gradient_of_the_exponent_at_base_zero_is_zero() -> None:
    p = np.array([0.5, 1.0, 3.0, 0.0])
    for zeros in (0.0, np.zeros(4), np.zeros(())):
        assert np.array_equal(gradients(lambda t, zeros=zeros: npgrad.pow(zeros, t), p)[0], np.zeros(4))
    a, dp = gradients(npgrad.pow, np.array([0.0, 0.0, 4.0]), np.array([2.0, 1.0, 0.5]))
    assert np.allclose(a, [0.0, 1.0, 0.25]) and np.allclose(dp, [0.0, 0.0, 2.0 * np.log(4.0)])


def test_exponent_of_a_negative_base_has_no_gradient() -> None:
    with pytest.warns(RuntimeWarning, match="invalid value"):
        da, dp = gradients(npgrad.pow, np.array([-2.0]), np.array([3.0]))
    assert da == [12.0] and np.isnan(dp).all()


def test_powers_of_integer_arrays_are_numpys() -> None:
    assert npgrad.pow(np.array([2, 3]), 3).dtype == np.array([1]).dtype
    with pytest.raises(ValueError, match="negative integer powers"):
        npgrad.pow(np.array([2, 3]), -1)


def test_quotients_far_from_one() -> None:
    """b**2 would overflow (or vanish) where the gradient is an ordinary number."""
    da, db = gradients(npgrad.div, np.array([1e300, 1e-300]), np.array([1e300, 1e-300]), dy=np.array([1e300, 1e-300]))
    assert np.allclose(da, [1.0, 1.0], rtol=1e-15) and np.allclose(db, [-1.0, -1.0], rtol=1e-15)


@given(broadcastable(), st.data())
def test_identities(pair: Any, data: st.DataObject) -> None:
    a, b = (data.draw(arrays(shape)) for shape in pair)
    dy = np.random.default_rng(0).normal(size=np.broadcast_shapes(a.shape, b.shape))
    for f, g in (
        (lambda x, y: x - y, lambda x, y: x + -y),
        (lambda x, y: x / (y * y + 1), lambda x, y: x * (y**2 + 1) ** -1),
        (lambda x, y: (x + y) ** 2, lambda x, y: x * x + 2 * x * y + y * y),
        (lambda x, y: (x - y) * (x + y), lambda x, y: x**2 - y**2),
        (lambda x, y: (x * x + 1) ** y, lambda x, y: npgrad.exp(y * npgrad.log(x * x + 1))),
    ):
        for one, other in zip(gradients(f, a, b, dy=dy), gradients(g, a, b, dy=dy), strict=True):
            assert np.allclose(one, other, rtol=1e-11, atol=1e-11)


def test_backward_twice_gives_the_same_twice() -> None:
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.5, 1.5])
    for op in OPERATORS:
        x, y = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
        z = op(x, y)
        z.backward(np.ones(3), retain_graph=True)
        first = x.grad, y.grad
        x.grad = y.grad = None
        z.backward(np.full(3, 2.0))
        assert np.allclose(x.grad, 2 * first[0]) and np.allclose(y.grad, 2 * first[1])
