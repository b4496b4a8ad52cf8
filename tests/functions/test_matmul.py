"""Matrix products: every combination of ranks against a loop, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor

RNG = np.random.default_rng(0)


def product(a: Any, b: Any) -> Any:
    """a @ b by adding up, entry by entry."""
    left, right = a[None] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left, right = (np.broadcast_to(x, stack + x.shape[-2:]) for x in (left, right))
    y = sum((left[..., :, j, None] * right[..., None, j, :] for j in range(a.shape[-1])), np.zeros(()))
    y = np.broadcast_to(y, (*stack, left.shape[-2], right.shape[-1]))
    y = y[..., 0, :] if a.ndim == 1 else y
    return y[..., 0] if b.ndim == 1 else y


@given(st.data())
def test_all_ranks(data: st.DataObject) -> None:
    """The gradients too, as what makes sum(dy·(a@b)) linear in a and in b: by another product, entry by entry."""
    n, m, k = (data.draw(st.integers(0, 3)) for _ in range(3))
    ranks = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stack = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))
    shapes = []
    for rank, matrix in zip(ranks, [(n, m), (m, k)], strict=True):
        lengths = tuple(data.draw(st.sampled_from([1, length])) for length in stack)
        shapes.append((m,) if rank == 1 else (*lengths[4 - rank :], *matrix))
    a, b = (Tensor(RNG.normal(size=shape), requires_grad=True) for shape in shapes)
    y = a @ b
    np.testing.assert_allclose(y.numpy(), product(a.numpy(), b.numpy()), rtol=1e-12, atol=1e-13)
    dy = RNG.normal(size=y.shape)
    y.backward(dy)
    for x, f in ((a, lambda v: product(v, b.numpy())), (b, lambda v: product(a.numpy(), v))):
        v = RNG.normal(size=x.shape)
        assert x.grad is not None and x.grad.shape == x.shape
        assert np.sum(x.grad * v) == pytest.approx(np.sum(dy * f(v)), rel=1e-11, abs=1e-12)


def test_transposed_and_strided_factors() -> None:
    a, b = RNG.normal(size=(6, 8))[::2, ::-2], np.asfortranarray(RNG.normal(size=(4, 5)))
    x, w = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
    y = (w.T @ x.T).T
    dy = RNG.normal(size=y.shape)
    y.backward(dy)
    np.testing.assert_allclose(y.numpy(), a @ b, rtol=1e-14)
    np.testing.assert_allclose(x.grad, dy @ b.T, rtol=1e-13)
    np.testing.assert_allclose(w.grad, a.T @ dy, rtol=1e-13)


@pytest.mark.parametrize("shapes", [((), (3,)), ((3,), ()), ((2, 3), ())])
def test_numbers_are_no_factors(shapes: Any) -> None:
    a, b = (Tensor(np.ones(shape), requires_grad=True) for shape in shapes)
    with pytest.raises(ValueError, match=r"matmul takes vectors and matrices.*Use \* to multiply by a number"):
        npgrad.matmul(a, b)


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(
        ValueError,
        match=r"shapes \(2, 3\) and \(2, 3\): the last axis of the first has 3 entries and the second has 2 rows",
    ):
        Tensor(np.ones((2, 3)), requires_grad=True) @ np.ones((2, 3))


def test_linear_takes_further_axes_in_front() -> None:
    rng = np.random.default_rng(0)
    x, W, b, dy = (rng.normal(size=shape) for shape in ((2, 3, 4), (4, 5), (5,), (2, 3, 5)))
    for rows in (x, x[0, 0], x[:0]):
        t = Tensor(rows, requires_grad=True)
        y = npgrad.linear(t, W, b)
        np.testing.assert_allclose(y.numpy(), rows @ W + b, rtol=1e-13)
        y.backward(dy[tuple(slice(n) for n in rows.shape[:-1])] if rows.ndim > 1 else dy[0, 0])
        cotangent = dy[: len(rows)] if rows.ndim > 1 else dy[0, 0]
        np.testing.assert_allclose(t.grad, cotangent @ W.T, rtol=1e-13)


def test_a_bias_of_higher_precision_raises_that_of_the_result() -> None:
    x, W, b = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32), np.full(4, 0.1)
    for bias in (b, b.astype(np.float32), np.arange(4)):
        y = npgrad.linear(x, W, bias)
        assert y.dtype == (x @ W + bias).dtype and np.array_equal(y.numpy(), x @ W + bias)
