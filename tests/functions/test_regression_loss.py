"""Squared, absolute and Huber losses: by the book, beside PyTorch, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from tests.functions.test_loss import REDUCTIONS, assert_equal_to_torch
from tests.strategies import seeds, shapes

Z = np.random.default_rng(0).normal(size=(4, 3))


@given(shapes(), REDUCTIONS, st.floats(0.1, 3), seeds)
def test_as_torch_has_them(torch: Any, shape: Any, reduction: str, bend: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    F = torch.nn.functional
    pairs: list[tuple[Any, Any, dict[str, float]]] = [
        (npgrad.mse_loss, F.mse_loss, {}),
        (npgrad.l1_loss, F.l1_loss, {}),
        (npgrad.huber_loss, F.huber_loss, {"delta": bend}),
        (npgrad.smooth_l1_loss, F.smooth_l1_loss, {"beta": bend}),
        (npgrad.smooth_l1_loss, F.smooth_l1_loss, {"beta": 0.0}),
    ]
    a, b = rng.normal(scale=2, size=(2, *shape))
    for ours, theirs, options in pairs:
        assert_equal_to_torch(
            torch,
            lambda a, b, f=ours, o=options: f(a, b, reduction, **o),
            lambda a, b, f=theirs, o=options: f(a, b, reduction=reduction, **o),
            np.asarray(a), np.asarray(b), seed=seed,
        )  # fmt: skip


def test_by_the_book() -> None:
    a, b = np.array([0.0, 0.5, 3.0]), np.zeros(3)
    assert npgrad.mse_loss(a, b).item() == pytest.approx(np.mean(a**2), rel=1e-14)
    assert npgrad.l1_loss(a, b, "none").numpy().tolist() == [0, 0.5, 3]
    assert npgrad.huber_loss(a, b, "none").numpy().tolist() == [0, 0.125, 2.5]
    assert npgrad.smooth_l1_loss(a, b, "sum", beta=2.0).item() == 0.0625 + 2


def test_no_difference_has_no_gradient() -> None:
    for loss in (npgrad.mse_loss, npgrad.l1_loss, npgrad.huber_loss, npgrad.smooth_l1_loss):
        a = Tensor(Z, requires_grad=True)
        loss(a, Z).backward()
        assert a.grad is not None and not a.grad.any()


def test_a_wild_target_pulls_no_harder_than_delta() -> None:
    a = Tensor([0.0, 0.0, 0.0], requires_grad=True)
    npgrad.huber_loss(a, [np.inf, -1e30, np.nan], "sum", delta=0.25).backward()
    np.testing.assert_array_equal(a.grad, [-0.25, 0.25, np.nan])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_float_types_are_kept(dtype: Any) -> None:
    a = Z.astype(dtype)
    for loss in (npgrad.mse_loss, npgrad.l1_loss, npgrad.huber_loss, npgrad.smooth_l1_loss):
        for reduction in ("mean", "sum", "none"):
            assert loss(a, a, reduction).dtype == dtype


def test_squares_of_float16_do_not_overflow_in_their_sum() -> None:
    a = np.full(70_000, 2.0, np.float16)
    loss = npgrad.mse_loss(a, np.zeros_like(a))
    assert loss.dtype == np.float16 and loss.item() == 4


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: npgrad.mse_loss(Z[:0], Z[:0]), r"mse_loss of nothing \(shape \(0, 3\)\)"),
    (lambda: npgrad.mse_loss(Z, Z[0]), r"\(4, 3\) and \(3,\), and broadcasting"),
    (lambda: npgrad.l1_loss(Z, Z, "max"), r"reduction must be .*'max'"),
    (lambda: npgrad.huber_loss(Z, Z, delta=0.0), r"delta=0.0: it must be positive.*l1_loss"),
    (lambda: npgrad.smooth_l1_loss(Z, Z, beta=-1.0), r"beta=-1.0: it must not be negative"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_losses_that_cannot_be(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
