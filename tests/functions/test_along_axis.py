"""take, sort, diff, repeat, tile, roll, joining and cumulative products: NumPy's, with the gradient of each entry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from npgrad.check import gradcheck
from tests.functions.test_matrix_parts import assert_agrees
from tests.strategies import seeds

X = np.random.default_rng(0).normal(size=(3, 4, 2))
INDICES = np.array([[0, 2], [2, -1]])


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_take_and_sort(axis: Any) -> None:
    assert_agrees(npgrad.take, np.take, X, INDICES % 2, axis)
    t = Tensor(X, requires_grad=True)
    y = np.sort(t, axis)
    y.backward(np.arange(y.size).reshape(y.shape))
    assert np.array_equal(y.numpy(), np.sort(X, axis))
    ranks = np.argsort(np.argsort(X, axis), axis)
    if axis is None:
        assert np.array_equal(t.grad.ravel(), ranks)
    else:
        want = np.take_along_axis(np.arange(y.size).reshape(y.shape), ranks, axis)
        assert np.array_equal(t.grad, want)


def test_sorting_ties_and_nan() -> None:
    x = Tensor([2.0, np.nan, 1.0, 2.0], requires_grad=True)
    y = x.sort()
    y.backward([1.0, 2.0, 3.0, 4.0])
    assert np.array_equal(y.numpy(), [1, 2, 2, np.nan], equal_nan=True) and np.array_equal(x.grad, [2, 4, 1, 3])


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_differences(n: int, axis: int) -> None:
    assert_agrees(npgrad.diff, np.diff, X, n, axis)


def test_differences_with_ends() -> None:
    t = Tensor(X, requires_grad=True)
    for options in ({"prepend": 0.0}, {"append": X[:, :1]}, {"prepend": X, "append": 1.0, "n": 2}):
        axis = {"axis": 1}
        assert np.allclose(np.diff(t, **options, **axis).numpy(), np.diff(X, **options, **axis), rtol=1e-14)
    with pytest.raises(ValueError, match="n=-1"):
        npgrad.diff(t, -1)
    with pytest.raises(ValueError, match=r"shape \(\)"):
        npgrad.diff(1.0)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_repeat_and_roll(axis: Any) -> None:
    for times in (0, 1, 3):
        assert_agrees(npgrad.repeat, np.repeat, X, times, axis)
    n = X.size if axis is None else X.shape[axis]
    assert_agrees(npgrad.repeat, np.repeat, X, np.arange(n) % 3, axis)
    for shift in (0, 1, -2, 7):
        assert_agrees(npgrad.roll, np.roll, X, shift, axis)
    assert_agrees(npgrad.roll, np.roll, X, (1, -1), (0, 2))
    assert_agrees(npgrad.roll, np.roll, X, [1, 2], [0, 1])
    assert_agrees(npgrad.roll, np.roll, X, 2, (0, 1))


@pytest.mark.parametrize("reps", [0, 2, (2, 1), (2, 3, 1), (2, 1, 1, 3), ()])
def test_tile(reps: Any) -> None:
    assert_agrees(npgrad.tile, np.tile, X, reps)


@pytest.mark.parametrize("name", ["hstack", "vstack", "dstack", "column_stack"])
@pytest.mark.parametrize("shape", [(), (3,), (3, 2), (3, 2, 2)])
def test_joining(name: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    assert_agrees(lambda t: getattr(npgrad, name)([t, t, 2 * t]), lambda a: getattr(np, name)([a, a, 2 * a]), x)
    t = Tensor(x, requires_grad=True)
    assert np.array_equal(getattr(np, name)([t, x]).numpy(), getattr(np, name)([x, x]))
    with pytest.raises(ValueError, match=f"{name} needs a sequence of at least one tensor"):
        getattr(npgrad, name)([])


@pytest.mark.parametrize("name", ["atleast_1d", "atleast_2d", "atleast_3d"])
@pytest.mark.parametrize("shape", [(), (3,), (3, 2), (3, 2, 2), (2, 1, 2, 1)])
def test_at_least_so_many_axes(name: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    assert_agrees(getattr(npgrad, name), getattr(np, name), x)
    both = getattr(np, name)(Tensor(x), Tensor(0.0))
    assert isinstance(both, tuple) and [t.shape for t in both] == [a.shape for a in getattr(np, name)(x, 0.0)]


@given(seeds, st.integers(1, 6), st.lists(st.integers(0, 5), max_size=3))
def test_cumulative_products_with_zeros(seed: int, n: int, zeros: list[int]) -> None:
    x = np.random.default_rng(seed).uniform(0.5, 2.0, size=n)
    x[[k for k in zeros if k < n]] = 0
    t, u = Tensor(x, requires_grad=True), Tensor(x, requires_grad=True)
    y = np.cumprod(t)
    dy = np.random.default_rng(seed).normal(size=n)
    y.backward(dy)
    npgrad.stack([npgrad.prod(u[: k + 1]) for k in range(n)]).backward(dy)
    assert np.allclose(y.numpy(), np.cumprod(x)) and np.allclose(t.grad, u.grad, rtol=1e-12)


def test_cumulative_products_of_nothing() -> None:
    t = Tensor(np.zeros((0, 3)), requires_grad=True)
    npgrad.cumprod(t, 0).backward(np.zeros((0, 3)))
    assert t.grad.shape == (0, 3)


@pytest.mark.parametrize(
    ("name", "shapes", "more"),
    [
        ("dot", [(), (3,)], ()), ("dot", [(3,), (3,)], ()), ("dot", [(2, 3), (3,)], ()), ("dot", [(2, 3), (3, 4)], ()),
        ("dot", [(2, 3), (5, 3, 4)], ()), ("dot", [(5, 2, 3), (4, 3, 2)], ()), ("dot", [(3,), (2, 3, 4)], ()),
        ("inner", [(), (3,)], ()), ("inner", [(2, 3), (4, 3)], ()), ("inner", [(3,), (2, 5, 3)], ()),
        ("outer", [(2, 3), (4,)], ()), ("outer", [(), (4,)], ()), ("vdot", [(2, 3), (3, 2)], ()),
        ("tensordot", [(2, 3), (4, 5)], (0,)), ("tensordot", [(2, 3), (3, 4)], (1,)),
        ("tensordot", [(5, 2, 3), (2, 3, 4)], (2,)), ("tensordot", [(2, 3, 4), (3, 5, 2)], (([0, 1], [2, 0]),)),
        ("tensordot", [(2, 3, 4), (3, 5)], ((1, 0),)), ("tensordot", [(2, 0), (0, 3)], (1,)),
    ],
)  # fmt: skip
def test_products(name: str, shapes: list[tuple[int, ...]], more: tuple[Any, ...]) -> None:
    arrays = [np.asarray(np.random.default_rng(k).normal(size=shape)) for k, shape in enumerate(shapes)]
    f, g = getattr(npgrad, name), getattr(np, name)
    y = g(*[Tensor(a, requires_grad=True) for a in arrays], *more)
    assert y.shape == np.shape(g(*arrays, *more)) and np.allclose(y.numpy(), g(*arrays, *more), rtol=1e-13)
    if all(a.size for a in arrays):
        gradcheck(lambda a, b: f(a, b, *more), arrays)


def test_products_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"axes \(1,\) of shape \(2, 3\) and \(0,\) of shape \(2, 3\)"):
        npgrad.tensordot(np.zeros((2, 3)), np.zeros((2, 3)), 1)
    with pytest.raises(ValueError, match="a number of axes, or a pair"):
        npgrad.tensordot(np.zeros((2, 3)), np.zeros((2, 3)), (1, 2, 3))


def test_numbers_for_what_is_none() -> None:
    x = np.array([1.0, np.nan, np.inf, -np.inf])
    t = Tensor(x, requires_grad=True)
    y = np.nan_to_num(t, nan=5.0, posinf=7.0)
    y.backward(np.full(4, 2.0))
    assert np.array_equal(y.numpy(), np.nan_to_num(x, nan=5.0, posinf=7.0)) and np.array_equal(t.grad, [2, 0, 0, 0])
    assert np.nan_to_num(Tensor(np.float32([np.inf]))).dtype == np.float32


@given(seeds)
def test_smooth_maximum_of_two(seed: int) -> None:
    a, b = np.random.default_rng(seed).normal(scale=30, size=(2, 5))
    a[:2], b[1:3] = -np.inf, -np.inf
    s, t, u = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True), Tensor([a, b], requires_grad=True)
    y, z = np.logaddexp(s, t), npgrad.logsumexp(u, 0)
    for result in (y, z):
        result.backward(np.arange(5.0))
    assert np.allclose(y.numpy(), z.numpy(), rtol=1e-14)
    assert np.allclose([s.grad, t.grad], u.grad, rtol=1e-12)
