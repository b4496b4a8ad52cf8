"""Parts of matrices: NumPy's, for every offset, with the gradient where the entry went."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor

shapes = st.tuples(st.integers(0, 4), st.integers(0, 4))


def assert_agrees(ours: Any, theirs: Any, x: np.ndarray, *arguments: Any) -> None:
    """Value, and the gradient of a random projection, which for what moves entries is found by trying each entry."""
    t = Tensor(x, requires_grad=True)
    y = ours(t, *arguments)
    want = theirs(x, *arguments)
    assert y.shape == np.shape(want) and y.dtype == x.dtype and np.array_equal(y.numpy(), want)
    dy = np.random.default_rng(0).normal(size=y.shape)
    y.backward(dy)
    unit = np.eye(x.size).reshape(x.size, *x.shape)
    dx = np.array([np.sum(dy * theirs(e, *arguments)) for e in unit]).reshape(x.shape)
    assert np.allclose(t.grad, dx, rtol=1e-13)


@given(shapes, st.integers(-5, 5))
@pytest.mark.parametrize("name", ["tril", "triu", "diag", "diagonal", "trace"])
def test_of_matrices(name: str, shape: tuple[int, int], k: int) -> None:
    if name == "diagonal" and 0 in shape:
        return
    assert_agrees(getattr(npgrad, name), getattr(np, name), np.random.default_rng(1).normal(size=shape), k)


@given(st.integers(1, 4), st.integers(-3, 3))
def test_of_vectors_and_stacks(n: int, k: int) -> None:
    rng = np.random.default_rng(1)
    assert_agrees(npgrad.diag, np.diag, rng.normal(size=n), k)
    for name in ("tril", "triu", "diagonal", "trace"):
        assert_agrees(getattr(npgrad, name), getattr(np, name), rng.normal(size=(n, 3, 2)), k)
    for name in ("diagonal", "trace"):
        assert_agrees(getattr(npgrad, name), getattr(np, name), rng.normal(size=(n, 3, 2)), k, 2, 0)


def test_nan_in_the_part_that_is_left_out() -> None:
    x = Tensor([[1.0, np.nan], [2.0, 3.0]], requires_grad=True)
    npgrad.tril(x).sum().backward()
    assert np.array_equal(x.grad, [[1, 0], [1, 1]])


def test_diag_says_what_it_takes() -> None:
    with pytest.raises(ValueError, match="got 3 axes"):
        npgrad.diag(np.zeros((2, 2, 2)))
