"""Losses: against loops written without cleverness, what is ignored, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from tests.functions.test_reduction import gradient
from tests.strategies import arrays

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(4, 3))
T = np.array([0, 2, 1, 2])


def by_hand(z: Any, q: Any) -> list[float]:
    """The cross-entropy of each row, with probabilities q, by the book."""
    losses = []
    for row, target in zip(z.tolist(), q.tolist(), strict=True):
        total = sum(math.exp(v) for v in row)
        losses.append(-sum(p * math.log(math.exp(v) / total) for v, p in zip(row, target, strict=True)))
    return losses


@given(st.data())
def test_classes_and_probabilities_by_the_book(data: st.DataObject) -> None:
    n, classes = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    z = data.draw(arrays((n, classes)))
    t = np.array(data.draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)))
    smoothing = data.draw(st.sampled_from([0.0, 0.25, 1.0]))
    reduction = data.draw(st.sampled_from(["mean", "sum", "none"]))
    q = np.eye(classes)[t]
    want = np.array(by_hand(z, q * (1 - smoothing) + smoothing / classes))
    want = {"mean": want.mean, "sum": want.sum, "none": lambda: want}[reduction]()
    for target in (t, q):
        got = npgrad.cross_entropy(z, target, reduction=reduction, label_smoothing=smoothing)
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-12, atol=1e-13)
    got = npgrad.nll_loss(npgrad.log_softmax(Tensor(z)), t, reduction=reduction)
    if not smoothing:
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("probabilities", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_further_axes_are_further_rows(reduction: str, probabilities: bool) -> None:
    z = RNG.normal(size=(2, 3, 4, 5))
    t: Any = RNG.integers(3, size=(2, 4, 5))
    if probabilities:
        t = np.moveaxis(RNG.dirichlet(np.ones(3), size=(2, 4, 5)), -1, 1)
    rows = np.moveaxis(z, 1, -1).reshape(-1, 3)
    flat = np.moveaxis(t, 1, -1).reshape(-1, 3) if probabilities else t.reshape(-1)
    dy = RNG.normal(size=(2, 4, 5) if reduction == "none" else ())
    got = gradient(lambda x: npgrad.cross_entropy(x, t, reduction=reduction), z, dy)
    want = gradient(
        lambda x: npgrad.cross_entropy(x, flat, reduction=reduction), rows, dy.reshape(-1) if dy.ndim else dy
    )
    np.testing.assert_allclose(np.moveaxis(got, 1, -1).reshape(-1, 3), want, rtol=1e-13)
    value = npgrad.cross_entropy(z, t, reduction=reduction)
    assert value.shape == dy.shape


LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": npgrad.cross_entropy,
    "nll_loss": lambda z, t, **options: npgrad.nll_loss(npgrad.log_softmax(z), t, **options),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("ignored", [-100, 1])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_ignored_rows_count_for_nothing(name: str, ignored: int, reduction: str) -> None:
    f, t = LOSSES[name], np.array([0, ignored, 2, ignored])
    kept = [0, 2]
    dy = np.asarray(1.7)
    got = gradient(lambda z: f(z, t, ignore_index=ignored, reduction=reduction), Z, dy)
    want = gradient(lambda z: f(z, t[kept], reduction=reduction), Z[kept], dy)
    np.testing.assert_allclose(got[kept], want, rtol=1e-14)
    assert not got[[1, 3]].any()
    value = f(Tensor(Z), t, ignore_index=ignored, reduction=reduction)
    assert value.item() == pytest.approx(f(Tensor(Z[kept]), t[kept], reduction=reduction).item(), rel=1e-14)


@pytest.mark.parametrize("name", LOSSES)
def test_batches_that_are_ignored_altogether(name: str) -> None:
    f, t = LOSSES[name], np.full(4, -1)
    with pytest.raises(ValueError, match=r"all 4 targets are the ignored class.*reduction=\"sum\""):
        f(Tensor(Z), t, ignore_index=-1)
    assert f(Tensor(Z), t, ignore_index=-1, reduction="sum").item() == 0
    assert f(Tensor(Z), t, ignore_index=-1, reduction="none").numpy().tolist() == [0, 0, 0, 0]


def test_an_ignored_impossibility_stays_ignored() -> None:
    logp = Tensor([[-np.inf, 0.0], [-1.0, -2.0]], requires_grad=True)
    loss = npgrad.nll_loss(logp, [-1, 0], ignore_index=-1)
    loss.backward()
    assert loss.item() == 1 and logp.grad is not None and logp.grad.tolist() == [[0, 0], [-1, 0]]


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8, np.uint64, ">i4"])
def test_classes_of_any_integer_type(dtype: Any) -> None:
    assert npgrad.cross_entropy(Z, T.astype(dtype)).item() == npgrad.cross_entropy(Z, T).item()
    assert npgrad.cross_entropy(Z, T.tolist()).item() == npgrad.cross_entropy(Z, Tensor(T)).item()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_types_are_kept_and_extremes_are_exact(dtype: Any) -> None:
    z = np.array([[1e4, 0, -1e4], [-1e4, 1e4, 1e4]], dtype=dtype)
    losses = npgrad.cross_entropy(z, [2, 1], reduction="none")
    assert losses.dtype == dtype and losses.numpy() == pytest.approx([2e4, math.log(2)])
    logits = np.array([1e4, -1e4, 1e4, -1e4], dtype=dtype)
    losses = npgrad.bce_with_logits(logits, np.array([1, 0, 0, 1], dtype=dtype), reduction="none")
    assert losses.dtype == dtype and losses.numpy().tolist() == [0, 0, 1e4, 1e4]


def test_squares_and_logistic_losses_by_the_book() -> None:
    a, b = RNG.normal(size=(2, 3)), RNG.uniform(size=(2, 3))
    assert npgrad.mse_loss(a, b).item() == pytest.approx(np.mean((a - b) ** 2), rel=1e-14)
    p = 1 / (1 + np.exp(-a))
    losses = -(b * np.log(p) + (1 - b) * np.log(1 - p))
    for reduction, want in (("none", losses), ("sum", losses.sum()), ("mean", losses.mean())):
        np.testing.assert_allclose(npgrad.bce_with_logits(a, b, reduction=reduction).numpy(), want, rtol=1e-13)


def test_the_sum_of_no_losses_is_0() -> None:
    assert npgrad.bce_with_logits(Z[:0], Z[:0], reduction="sum").item() == 0
    assert npgrad.bce_with_logits(Z[:0], Z[:0], reduction="none").shape == (0, 3)


@pytest.mark.parametrize("order", ["C", "F"])
def test_logits_in_any_order(order: Any) -> None:
    for f in (npgrad.cross_entropy, lambda z, t: npgrad.nll_loss(npgrad.log_softmax(z), t)):
        dx = gradient(lambda z, f=f: f(z, T), np.array(Z, order=order))
        p = np.exp(Z) / np.exp(Z).sum(1, keepdims=True)
        np.testing.assert_allclose(dx, (p - np.eye(3)[T]) / 4, rtol=1e-12)


def test_squares_of_float16_do_not_overflow_in_their_sum() -> None:
    a = np.full(70_000, 2.0, np.float16)
    loss = npgrad.mse_loss(a, np.zeros_like(a))
    assert loss.dtype == np.float16 and loss.item() == 4


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: npgrad.cross_entropy(Z, [0, 3, 1, 2]), IndexError, r"target class of 3; with 3 logits .* 0 to 2"),
    (lambda: npgrad.cross_entropy(Z, [0, -1, 1, 2]), IndexError, r"target class of -1"),
    (lambda: npgrad.cross_entropy(Z, [True] * 4), TypeError, r"integers; got bool"),
    (lambda: npgrad.cross_entropy(Z, T.astype(float)), TypeError, r"floating-point targets of shape \(4,\).*astype"),
    (lambda: npgrad.cross_entropy(Z, np.ones((4, 2))), TypeError, r"shape \(4, 2\) for logits of shape \(4, 3\)"),
    (lambda: npgrad.cross_entropy(Z, T[:3]), ValueError, r"targets of shape \(3,\).*shape \(4,\)"),
    (lambda: npgrad.cross_entropy(Z[0], 0), ValueError, r"got \(3,\). Add the batch axis"),
    (lambda: npgrad.cross_entropy(Z[:0], T[:0]), ValueError, r"empty batch"),
    (lambda: npgrad.cross_entropy(Z[:0], Z[:0]), ValueError, r"empty batch"),
    (lambda: npgrad.cross_entropy(Z, T, reduction="avg"), ValueError, r"reduction must be .*'avg'"),
    (lambda: npgrad.cross_entropy(Z, T, label_smoothing=1.5), ValueError, r"between 0 and 1; got 1.5"),
    (lambda: npgrad.cross_entropy(Z, T, label_smoothing=math.nan), ValueError, r"between 0 and 1; got nan"),
    (lambda: npgrad.nll_loss(Z, [0, 3, 1, 2]), IndexError, r"target class of 3; with 3 classes .* 0 to 2"),
    (lambda: npgrad.nll_loss(Z, T.astype(float)), TypeError, r"integer classes; got float64"),
    (lambda: npgrad.nll_loss(Z, T[:2]), ValueError, r"got \(4, 3\) and \(2,\)"),
    (lambda: npgrad.nll_loss(Z[:0], T[:0]), ValueError, r"empty batch"),
    (lambda: npgrad.nll_loss(Z, T, reduction="max"), ValueError, r"reduction must be"),
    (lambda: npgrad.mse_loss(Z[:0], Z[:0]), ValueError, r"mse_loss of nothing \(shape \(0, 3\)\)"),
    (lambda: npgrad.bce_with_logits(Z[:0], Z[:0]), ValueError, r"bce_with_logits of nothing \(shape \(0, 3\)\)"),
    (lambda: npgrad.mse_loss(Z, Z[0]), ValueError, r"\(4, 3\) and \(3,\), and broadcasting"),
    (lambda: npgrad.bce_with_logits(Z, Z[0]), ValueError, r"\(4, 3\) and \(3,\)"),
    (lambda: npgrad.bce_with_logits(Z, Z, reduction=""), ValueError, r"reduction must be"),
]


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_losses_that_cannot_be(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
