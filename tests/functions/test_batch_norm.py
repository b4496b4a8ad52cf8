"""Batch normalisation: running statistics, layouts, invariances, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import Tensor
from tests.functions.test_reduction import gradient

RNG = np.random.default_rng(0)
X = RNG.normal(2.0, 3.0, size=(6, 4))
GAMMA, BETA = RNG.uniform(0.5, 2.0, size=4), RNG.normal(size=4)


def statistics(dtype: Any = np.float64) -> tuple[Any, Any]:
    return RNG.normal(size=4).astype(dtype), RNG.uniform(1, 2, size=4).astype(dtype)


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("momentum", [0.1, 0.001, 1.0, 0.0])
def test_running_statistics_move_towards_the_batchs(ddof: int, momentum: float) -> None:
    mean, var = statistics()
    before = mean.copy(), var.copy()
    y = npgrad.batch_norm(X, mean, var, GAMMA, BETA, True, momentum, ddof=ddof)
    np.testing.assert_allclose(mean, (1 - momentum) * before[0] + momentum * X.mean(0), rtol=1e-13)
    np.testing.assert_allclose(var, (1 - momentum) * before[1] + momentum * X.var(0, ddof=1), rtol=1e-13)
    normalised = (X - X.mean(0)) / np.sqrt(X.var(0, ddof=ddof) + 1e-5)
    np.testing.assert_allclose(y.numpy(), normalised * GAMMA + BETA, rtol=1e-12, atol=1e-13)


def test_evaluation_uses_the_running_statistics_and_leaves_them() -> None:
    mean, var = statistics()
    before = mean.copy(), var.copy()
    y = npgrad.batch_norm(X, mean, var, GAMMA, BETA)
    np.testing.assert_allclose(y.numpy(), (X - mean) / np.sqrt(var + 1e-5) * GAMMA + BETA, rtol=1e-12)
    assert np.array_equal(mean, before[0]) and np.array_equal(var, before[1])
    one = npgrad.batch_norm(X[:1], mean, var, GAMMA, BETA)
    np.testing.assert_allclose(one.numpy(), y.numpy()[:1], rtol=1e-15)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 4, 2, 3), (2, 4, 1, 2, 3)])
def test_further_axes_are_further_rows(shape: tuple[int, ...], training: bool) -> None:
    x, dy = RNG.normal(size=shape), RNG.normal(size=shape)
    first, second = statistics(), statistics()
    second = tuple(a.copy() for a in first)

    def rows(a: Any) -> Any:
        return np.moveaxis(a, 1, -1).reshape(-1, 4)

    got = gradient(lambda t: npgrad.batch_norm(t, *first, GAMMA, BETA, training), x, dy)
    want = gradient(lambda t: npgrad.batch_norm(t, *second, GAMMA, BETA, training), rows(x), rows(dy))
    np.testing.assert_allclose(rows(got), want, rtol=1e-11, atol=1e-13)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_scale_and_shift_default_to_one_and_nothing() -> None:
    plain = npgrad.batch_norm(X, weight=np.ones(4), bias=np.zeros(4), training=True).numpy()
    assert np.array_equal(npgrad.batch_norm(X, training=True).numpy(), plain)
    x = X.astype(np.float32)
    assert npgrad.batch_norm(x, training=True).dtype == np.float32


def test_a_gradient_has_nothing_to_say_along_what_is_undone() -> None:
    """Neither along a shift nor along a stretch of a channel: with a random dy and a random gamma."""
    dy = RNG.normal(size=X.shape)
    dx = gradient(lambda t: npgrad.batch_norm(t, weight=GAMMA, bias=BETA, training=True, eps=0.0), X, dy)
    assert np.abs(dx).max() > 0.1
    np.testing.assert_allclose(dx.sum(0), 0, atol=1e-13)
    np.testing.assert_allclose((dx * (X - X.mean(0))).sum(0), 0, atol=1e-12)


def test_constant_channels_give_the_shift_and_finite_gradients() -> None:
    x = X.copy()
    x[:, 2] = 5.0
    assert npgrad.batch_norm(x, weight=GAMMA, bias=BETA, training=True).numpy()[:, 2].tolist() == [BETA[2]] * 6
    assert np.isfinite(gradient(lambda t: npgrad.batch_norm(t, weight=GAMMA, training=True), x, X)).all()


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: npgrad.batch_norm(X[0], training=True), r"got \(4,\). Add the missing axis"),
    (lambda: npgrad.batch_norm(X[:1], training=True), r"got 1 row per channel.*eval\(\)"),
    (lambda: npgrad.batch_norm(X[:0], training=True), r"got 0 rows per channel"),
    (lambda: npgrad.batch_norm(X), r"evaluation needs running_mean and running_var"),
    (lambda: npgrad.batch_norm(X, np.zeros(4)), r"evaluation needs running_mean and running_var"),
    (lambda: npgrad.batch_norm(X, weight=np.ones(3), training=True), r"shape \(3,\) for x of shape \(6, 4\).* 4 chan"),
    (lambda: npgrad.batch_norm(X, bias=np.ones((1, 4)), training=True), r"shape \(1, 4\)"),
    (lambda: npgrad.batch_norm(X, np.zeros(5), np.ones(4)), r"shape \(5,\)"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_batches_that_cannot_be_normalised(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("training", [True, False])
def test_running_statistics_that_are_tensors_are_refused(training: bool) -> None:
    """In training they would stay as they are, silently: tensors are not changed in place."""
    with pytest.raises(TypeError, match=r"in place: pass arrays, such as t\.data"):
        npgrad.batch_norm(X, Tensor(np.zeros(4)), Tensor(np.ones(4)), training=training)  # type: ignore[arg-type]


def test_no_gradient_touches_the_running_statistics() -> None:
    mean, var = statistics()
    x = Tensor(X, requires_grad=True)
    y = npgrad.batch_norm(x, mean, var, GAMMA, BETA, True)
    after = mean.copy(), var.copy()
    y.backward(RNG.normal(size=X.shape))
    assert np.array_equal(mean, after[0]) and np.array_equal(var, after[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ddof", [0, 1])
def test_without_momentum_the_running_statistics_are_means_over_the_batches(dtype: Any, ddof: int) -> None:
    rng = np.random.default_rng(0)
    mean, var, count = np.zeros(3, dtype), np.ones(3, dtype), np.array(0)
    batches = [rng.normal(2, 3, size=(int(n), 3, 2)).astype(dtype) for n in rng.integers(2, 9, size=5)]
    for x in batches:
        npgrad.batch_norm(x, mean, var, training=True, momentum=None, ddof=ddof, num_batches_tracked=count)
    assert count == 5 and mean.dtype == dtype
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(mean, np.mean([x.mean(axis=(0, 2)) for x in batches], axis=0), rtol=rtol)
    np.testing.assert_allclose(var, np.mean([x.var(axis=(0, 2), ddof=1) for x in batches], axis=0), rtol=rtol)


def test_without_momentum_something_must_count() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3))
    with pytest.raises(ValueError, match="counts batches in num_batches_tracked"):
        npgrad.batch_norm(x, np.zeros(3), np.ones(3), training=True, momentum=None)
    want = npgrad.batch_norm(x, training=True).numpy()
    assert np.array_equal(npgrad.batch_norm(x, training=True, momentum=None).numpy(), want)
