"""Decompositions: their laws, NumPy's triangles and precision, what equal and vanishing values do."""

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

RNG = np.random.default_rng(0)
TALL = RNG.normal(size=(5, 3))
RIGHT = RNG.normal(size=(5, 2))
DEFINITE = TALL.T @ TALL + np.eye(3)


def turned(m: Any) -> Any:
    return m.swapaxes(-1, -2)


@given(seeds, FLOATS, st.integers(1, 4), st.booleans())
def test_roots_of_definite_matrices(seed: int, dtype: Any, n: int, upper: bool) -> None:
    b = np.random.default_rng(seed).normal(size=(2, n, n))
    x = (b @ turned(b) + np.eye(n)).astype(dtype)
    t = Tensor(x, requires_grad=True)
    y = np.linalg.cholesky(t, upper=upper)
    y.backward(np.ones(x.shape))
    assert y.dtype == t.grad.dtype == dtype
    assert np.allclose(y.numpy(), np.linalg.cholesky(x, upper=upper), rtol=1e-5)
    assert not (np.tril(t.grad, -1) if upper else np.triu(t.grad, 1)).any()


@given(seeds, FLOATS, st.integers(1, 4), st.sampled_from("LU"))
def test_eigenvalues_and_vectors(seed: int, dtype: Any, n: int, triangle: str) -> None:
    x = np.random.default_rng(seed).normal(size=(n, n)).astype(dtype)
    full = np.tril(x) + np.tril(x, -1).T if triangle == "L" else np.triu(x) + np.triu(x, 1).T
    w, v = linalg.eigh(Tensor(x), triangle)
    assert w.dtype == v.dtype == dtype and (v.numpy()[-1] >= 0).all()
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    assert np.allclose(full @ v.numpy(), v.numpy() * w.numpy(), atol=tolerance)
    assert np.allclose(w.numpy(), np.linalg.eigvalsh(x, triangle), atol=tolerance)


@given(seeds, FLOATS, st.integers(1, 4), st.integers(1, 4))
def test_singular_values_and_vectors(seed: int, dtype: Any, m: int, n: int) -> None:
    x = np.random.default_rng(seed).normal(size=(2, m, n)).astype(dtype)
    t = Tensor(x, requires_grad=True)
    u, s, vh = np.linalg.svd(t, False)
    y = (u * npgrad.expand_dims(s, -2)) @ vh
    dy = np.random.default_rng([seed, 1]).normal(size=x.shape)
    y.backward(dy)
    assert u.dtype == s.dtype == vh.dtype == t.grad.dtype == dtype
    tolerance = 1e-11 if dtype == np.float64 else 1e-4
    assert np.allclose(y.numpy(), x, atol=tolerance)
    # Taken apart and put together again, so that dy comes through: all three gradients together.
    gap = np.diff(s.numpy(), axis=-1, prepend=np.inf)
    if s.numpy().min() > 0.1 and np.abs(gap).min() > 0.1:
        assert np.allclose(t.grad, dy, atol=100 * tolerance)


@given(seeds, FLOATS, st.integers(1, 4), st.integers(1, 4))
def test_orthonormal_and_triangular(seed: int, dtype: Any, m: int, n: int) -> None:
    x = np.random.default_rng(seed).normal(size=(2, m, n)).astype(dtype)
    q, r = np.linalg.qr(Tensor(x))
    assert q.dtype == r.dtype == dtype and q.shape == np.linalg.qr(x).Q.shape
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    assert np.allclose((q @ r).numpy(), x, atol=tolerance) and not np.tril(r.numpy(), -1).any()
    assert np.allclose((turned(q) @ q).numpy(), np.eye(min(m, n)), atol=tolerance)
    assert (np.diagonal(r.numpy(), axis1=-2, axis2=-1) >= 0).all()
    assert np.array_equal(np.linalg.qr(Tensor(x), "r").numpy(), r.numpy())


def test_gradients_of_what_is_put_together() -> None:
    square = TALL[:3] + 3 * np.diag([1.0, 2.0, 4.0])
    for f, x in (
        (lambda x: linalg.eigvalsh(x, "U"), DEFINITE),
        (lambda x: linalg.cholesky(x, upper=True), DEFINITE),
        (linalg.svdvals, TALL.T),
        (linalg.svd, square),
        *((linalg.qr, x) for x in (square, TALL, TALL.T)),
        *((lambda x, p=p: linalg.cond(x, p), square) for p in (None, 2, -2, 1, "fro", np.inf)),
        (lambda x: linalg.lstsq(x, RIGHT)[:2], TALL),
        (lambda x: linalg.lstsq(TALL, x)[0], RIGHT[:, 0]),
    ):
        gradcheck(f, x)


def test_equal_eigenvalues_have_gradients_and_their_vectors_have_none() -> None:
    x = Tensor(np.eye(3), requires_grad=True)
    (linalg.eigvalsh(x) * np.array([1.0, 1.0, 1.0])).sum().backward()
    assert np.allclose(x.grad, np.eye(3))
    x = Tensor(np.eye(3), requires_grad=True)
    with np.errstate(all="ignore"):
        linalg.eigh(x).eigenvectors.backward(np.arange(9.0).reshape(3, 3))
    assert not np.isfinite(x.grad).all()


def test_norms_of_matrices_without_full_rank() -> None:
    """A vanishing singular value has no vectors to differentiate, but those of the others count."""
    x = Tensor(np.outer([1.0, 2.0], [2.0, 0.0, 1.0]), requires_grad=True)
    linalg.norm(x, 2).backward()
    assert np.allclose(x.grad, x.data / 5)
    assert linalg.norm(x, "nuc").item() == pytest.approx(5)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 0, 3), (0, 2, 2)])
def test_matrices_without_entries(shape: tuple[int, ...]) -> None:
    x = Tensor(np.zeros(shape), requires_grad=True)
    for mine, theirs in zip(linalg.svd(x, False), np.linalg.svd(x.data, False), strict=True):
        assert mine.shape == theirs.shape
    y = linalg.svdvals(x).sum() + linalg.pinv(x).sum()
    y.backward()
    assert x.grad.shape == shape


@pytest.mark.parametrize("b", [TALL[:, 1], TALL[:, 1:]])
@pytest.mark.parametrize("a", [TALL[:, :2], TALL[:2].T @ TALL[:2, :2], TALL[:, [0, 0]]])
def test_least_squares_as_numpy_has_them(a: np.ndarray, b: np.ndarray) -> None:
    b = b[: len(a)]
    for mine, theirs in zip(np.linalg.lstsq(Tensor(a), b), np.linalg.lstsq(a, b), strict=True):
        assert np.shape(mine) == np.shape(theirs)
        assert np.allclose(mine.numpy() if isinstance(mine, Tensor) else mine, theirs, atol=1e-12)


def test_small_singular_values_count_as_nothing() -> None:
    x = TALL[:, [0, 1, 0]] + 1e-6 * TALL
    assert np.allclose(np.linalg.pinv(Tensor(x), 1e-3).numpy(), np.linalg.pinv(x, 1e-3))
    assert np.allclose(np.linalg.pinv(Tensor(x), rtol=1e-3).numpy(), np.linalg.pinv(x, 1e-3))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: linalg.cholesky(-DEFINITE), np.linalg.LinAlgError, "not positive definite"),
        (lambda: linalg.eigh(TALL), np.linalg.LinAlgError, "square"),
        (lambda: linalg.eigh(DEFINITE, "X"), ValueError, "UPLO='X'"),
        (lambda: linalg.svd(TALL), NotImplementedError, "full_matrices=False"),
        (lambda: linalg.qr(TALL, "complete"), NotImplementedError, "5 by 3 got mode='complete'"),
        (lambda: linalg.lstsq(TALL[None], RIGHT), np.linalg.LinAlgError, r"got shape \(1, 5, 3\)"),
        (lambda: linalg.cond(DEFINITE, 3), ValueError, "ord=3"),
    ],
)
def test_refused(call: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        call()
