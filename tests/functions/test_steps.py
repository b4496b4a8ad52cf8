"""Steps: NumPy's values, halves and signs, and a gradient of 0 that is there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from tests.functions.test_elementwise import slope
from tests.strategies import FLOATS, arrays, shapes

NAMES = ["sign", "floor", "ceil", "trunc", "round"]


@given(st.sampled_from([*NAMES, "rint", "around"]), shapes(empty=True), FLOATS, st.data())
def test_numpys_functions_on_tensors(name: str, shape: Any, dtype: Any, data: st.DataObject) -> None:
    x = data.draw(arrays(shape, dtype, scale=4.0))
    f = getattr(np, name)
    y = f(Tensor(x, requires_grad=True))
    assert isinstance(y, Tensor) and y.requires_grad and y.dtype == dtype and np.array_equal(y.numpy(), f(x))
    dx = slope(f, x)
    assert dx.dtype == dtype and np.array_equal(dx, np.zeros_like(x))


@pytest.mark.parametrize("name", NAMES)
def test_at_jumps_and_beyond_numbers(name: str) -> None:
    x = np.array([-np.inf, -2.5, -0.5, 0.0, 0.5, 1.0, np.inf, np.nan])
    f = getattr(npgrad, name)
    assert np.array_equal(f(x).numpy(), getattr(np, name)(x), equal_nan=True)
    assert np.array_equal(slope(f, x), np.zeros(8))


def test_decimals_and_pythons_own_functions() -> None:
    x = Tensor([1.2345, -678.9], requires_grad=True)
    assert np.array_equal(np.round(x, 2).numpy(), [1.23, -678.9])
    assert np.array_equal(x.round(-1).numpy(), [0, -680]) and np.array_equal(round(x, 1).numpy(), [1.2, -678.9])
    assert np.array_equal(math.floor(x).numpy(), [1, -679]) and np.array_equal(math.ceil(x).numpy(), [2, -678])
    assert np.array_equal(math.trunc(x).numpy(), [1, -678])


def test_what_stands_beside_a_step_is_trained() -> None:
    x = Tensor([2.7], requires_grad=True)
    (x - npgrad.floor(x)).backward()
    assert x.grad == [1.0]
    y = Tensor([2.7], requires_grad=True)
    (y % 1).backward()
    assert np.array_equal(y.grad, x.grad)


def test_remainders() -> None:
    a, b = np.array([7.5, -7.5, 7.5, -7.5]), np.array([2.0, 2.0, -2.0, -2.0])
    s, t = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
    y = s % t
    y.backward(np.ones(4))
    assert np.array_equal(y.numpy(), a % b) and np.array_equal(np.mod(s, t).numpy(), a % b)
    assert np.array_equal(s.grad, np.ones(4)) and np.array_equal(t.grad, -(a // b))
    assert np.array_equal((10 % Tensor([3.0, 4.0])).numpy(), [1, 2])
