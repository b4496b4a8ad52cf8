"""Linear algebra: NumPy's values and orders, laws, stacks, and what singular matrices do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor, linalg
from npgrad.check import gradcheck
from tests.strategies import FLOATS, seeds

A = np.random.default_rng(0).normal(size=(2, 3, 4))
VECTORS = [None, 1, 2, 3, 0.5, np.inf, -np.inf, -1]
MATRICES = [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf]


def matrices(seed: int, n: int, *stack: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(*stack, n, n)) + 2 * np.sqrt(n) * np.eye(n)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(
    ("ord", "axis"),
    [*((o, a) for o in VECTORS for a in (0, -1)), *((o, a) for o in MATRICES for a in ((0, 1), (2, 0))), (None, None)],
)
def test_norms(ord: Any, axis: Any, keepdims: bool) -> None:
    f = lambda t: np.linalg.norm(t, ord, axis, keepdims)  # noqa: E731
    y = f(Tensor(A, requires_grad=True))
    assert y.shape == np.shape(f(A)) and np.allclose(y.numpy(), f(A), rtol=1e-13)
    gradcheck(lambda t: linalg.norm(t, ord, axis, keepdims), A)


def test_norms_there_are_not() -> None:
    with pytest.raises(ValueError, match="norm got ord='fro' over 1 axes"):
        linalg.norm(A[0], "fro", 0)
    with pytest.raises(ValueError, match="norm got ord=1 over 3 axes"):
        linalg.norm(A, 1)


def test_the_norm_of_nothing_and_of_zeros() -> None:
    x = Tensor(np.zeros((2, 3)), requires_grad=True)
    linalg.norm(x, axis=1).backward(np.ones(2))
    assert np.array_equal(x.grad, np.zeros((2, 3)))
    assert linalg.norm(np.zeros(0)).item() == 0 and linalg.norm(np.array([3, 4])).item() == 5


@given(seeds, FLOATS, st.integers(1, 4))
def test_solving_is_multiplying_by_the_inverse(seed: int, dtype: Any, n: int) -> None:
    a, b = matrices(seed, n).astype(dtype), np.random.default_rng(seed).normal(size=(n, 2)).astype(dtype)
    results = []
    for f in (np.linalg.solve, lambda s, t: np.linalg.inv(s) @ t):
        s, t = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
        y = f(s, t)
        y.backward(np.ones((n, 2)))
        assert y.dtype == s.grad.dtype == t.grad.dtype == dtype
        results.append((y.numpy(), s.grad, t.grad))
    tolerance = 1e-10 if dtype == np.float64 else 1e-3
    assert all(np.allclose(p, q, rtol=tolerance, atol=tolerance) for p, q in zip(*results, strict=True))


def test_one_right_hand_side_for_a_stack() -> None:
    a, b = matrices(0, 3, 4), np.arange(3.0)
    assert np.allclose(linalg.solve(a, b).numpy(), np.linalg.solve(a, b))
    gradcheck(linalg.solve, [a, b])


@given(seeds, st.integers(1, 4))
def test_determinants(seed: int, n: int) -> None:
    a = matrices(seed, n, 2)
    a[1, 0] *= -1
    s = Tensor(a, requires_grad=True)
    sign, logabsdet = np.linalg.slogdet(s)
    assert isinstance(sign, Tensor) and not sign.requires_grad and linalg.slogdet(s).logabsdet.requires_grad
    y = sign * npgrad.exp(logabsdet)
    y.backward(np.ones(2))
    t = Tensor(a, requires_grad=True)
    linalg.det(t).backward(np.ones(2))
    assert np.allclose(y.numpy(), np.linalg.det(a)) and np.allclose(s.grad, t.grad, rtol=1e-9)


@pytest.mark.parametrize("f", [linalg.inv, lambda x: linalg.solve(x, np.ones(2))])
def test_singular_matrices(f: Any) -> None:
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        f(np.ones((2, 2)))
    with pytest.raises(np.linalg.LinAlgError, match="square"):
        f(np.ones((3, 2)))


def test_linalg_is_a_name_of_npgrad() -> None:
    assert npgrad.linalg is linalg and set(linalg.__all__) >= {"norm", "solve", "inv", "det", "slogdet"}
    assert npgrad.Inv is linalg.Inv
