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
from tests.strategies import arrays, broadcastable, seeds, shapes

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


def test_logistic_losses_by_the_book() -> None:
    a, b = RNG.normal(size=(2, 3)), RNG.uniform(size=(2, 3))
    p = 1 / (1 + np.exp(-a))
    losses = -(b * np.log(p) + (1 - b) * np.log(1 - p))
    for reduction, want in (("none", losses), ("sum", losses.sum()), ("mean", losses.mean())):
        np.testing.assert_allclose(npgrad.bce_with_logits(a, b, reduction=reduction).numpy(), want, rtol=1e-13)
        np.testing.assert_allclose(npgrad.binary_cross_entropy(p, b, reduction=reduction).numpy(), want, rtol=1e-13)


def test_a_certainty_that_is_wrong_costs_100_and_has_a_finite_gradient() -> None:
    p = Tensor(np.array([0.0, 1.0, 0.0, 1.0]), requires_grad=True)
    losses = npgrad.binary_cross_entropy(p, [1.0, 0.0, 0.0, 1.0], reduction="none")
    assert losses.numpy().tolist() == [100, 100, 0, 0]
    losses.sum().backward()
    assert p.grad is not None and p.grad.tolist() == [-1e12, 1e12, 0, 0]


def test_the_sum_of_no_losses_is_0() -> None:
    assert npgrad.bce_with_logits(Z[:0], Z[:0], reduction="sum").item() == 0
    assert npgrad.bce_with_logits(Z[:0], Z[:0], reduction="none").shape == (0, 3)


@pytest.mark.parametrize("order", ["C", "F"])
def test_logits_in_any_order(order: Any) -> None:
    for f in (npgrad.cross_entropy, lambda z, t: npgrad.nll_loss(npgrad.log_softmax(z), t)):
        dx = gradient(lambda z, f=f: f(z, T), np.array(Z, order=order))
        p = np.exp(Z) / np.exp(Z).sum(1, keepdims=True)
        np.testing.assert_allclose(dx, (p - np.eye(3)[T]) / 4, rtol=1e-12)


@pytest.mark.parametrize("target", [bool, np.int64, np.uint8])
def test_targets_and_weights_do_not_change_the_dtype_of_logits(target: Any) -> None:
    z, q = Tensor(Z.astype(np.float32)), np.eye(4, 3).astype(target)
    for loss in (
        npgrad.bce_with_logits(z, q, [1, 2, 3], pos_weight=np.full(3, 0.5)),
        npgrad.binary_cross_entropy(npgrad.sigmoid(z), q, np.ones(3)),
        npgrad.mse_loss(z, q),
        npgrad.l1_loss(z, q),
        npgrad.huber_loss(z, q, "sum"),
        npgrad.kl_div(z, q),
        npgrad.cross_entropy(z, T, [1, 2, 3], label_smoothing=0.1),
        npgrad.nll_loss(z, T, np.ones(3)),
    ):
        assert loss.dtype == np.float32


# -- beside PyTorch ----------------------------------------------------------------------------------------------------

REDUCTIONS = st.sampled_from(["mean", "sum", "none"])


def assert_equal_to_torch(
    torch: Any, ours: Callable[..., Tensor], theirs: Callable[..., Any], *inputs: Any, seed: int
) -> None:
    """The same value and, for a random cotangent, the same gradients."""
    mine = [Tensor(x, requires_grad=True) for x in inputs]
    # torch knows neither all layouts of memory nor other byte orders.
    others = [torch.tensor(np.array(x, float, order="C"), requires_grad=True) for x in inputs]
    y, z = ours(*mine), theirs(*others)
    assert y.shape == tuple(z.shape)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-11, atol=1e-12)
    dy = np.asarray(np.random.default_rng(seed).normal(size=y.shape))
    y.backward(dy)
    z.backward(torch.tensor(dy))
    for a, b in zip(mine, others, strict=True):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-10, atol=1e-11)


@st.composite
def rows_and_classes(draw: st.DrawFn) -> tuple[Any, Any, np.random.Generator]:
    """Logits (C,), (N, C) or (N, C, d…) and a class for each of their rows."""
    rng = np.random.default_rng(draw(seeds))
    C, places = draw(st.integers(1, 4)), draw(shapes(0, 3, 3))
    z = np.asarray(draw(arrays((*places[:1], C, *places[1:]), scale=2.0)))
    return z, np.asarray(rng.integers(0, C, size=places)), rng


@given(rows_and_classes(), REDUCTIONS, st.booleans(), st.sampled_from([0.0, 0.3, 1.0]), st.booleans())
def test_options_of_cross_entropy(
    torch: Any, drawn: Any, reduction: str, weighted: bool, smoothing: float, ignoring: bool
) -> None:
    z, t, rng = drawn
    C = z.shape[min(z.ndim - 1, 1)]
    weight = rng.uniform(0.1, 3, size=C) if weighted else None
    if ignoring and t.size > 1:
        t = np.where(rng.random(t.shape) < 0.3, -7, t)
        t[(0,) * t.ndim] = 0
    given = None if weight is None else torch.tensor(weight)
    options: Any = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": -7}
    F = torch.nn.functional
    assert_equal_to_torch(
        torch,
        lambda z: npgrad.cross_entropy(z, t, weight, **options),
        lambda z: F.cross_entropy(z, torch.tensor(t), given, **options),
        z, seed=1,
    )  # fmt: skip
    del options["label_smoothing"]
    assert_equal_to_torch(
        torch,
        lambda z: npgrad.nll_loss(z, t, weight, **options),
        lambda z: F.nll_loss(z, torch.tensor(t), given, **options),
        z, seed=2,
    )  # fmt: skip


@given(rows_and_classes(), REDUCTIONS, st.booleans(), st.sampled_from([0.0, 0.3]))
def test_class_probabilities_with_weights(
    torch: Any, drawn: Any, reduction: str, weighted: bool, smoothing: float
) -> None:
    z, _, rng = drawn
    weight = rng.uniform(0.1, 3, size=z.shape[min(z.ndim - 1, 1)]) if weighted else None
    given = None if weight is None else torch.tensor(weight)
    options: Any = {"reduction": reduction, "label_smoothing": smoothing}
    assert_equal_to_torch(
        torch,
        lambda z, q: npgrad.cross_entropy(z, q, weight, **options),
        lambda z, q: torch.nn.functional.cross_entropy(z, q, given, **options),
        z, rng.uniform(size=z.shape), seed=3,
    )  # fmt: skip


@given(broadcastable(3), REDUCTIONS, st.sampled_from(["", "weight", "pos_weight", "both"]), seeds)
def test_options_of_logistic_losses(torch: Any, found: Any, reduction: str, given: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = np.broadcast_shapes(*found)
    weights = {
        name: rng.uniform(0.1, 3, size=s)
        for name, s in zip(("weight", "pos_weight"), found[1:], strict=True)
        if given in (name, "both")
    }
    given_torch = {name: torch.tensor(w) for name, w in weights.items()}
    F = torch.nn.functional
    assert_equal_to_torch(
        torch,
        lambda z, q: npgrad.bce_with_logits(z, q, reduction=reduction, **weights),
        lambda z, q: F.binary_cross_entropy_with_logits(z, q, reduction=reduction, **given_torch),
        rng.normal(scale=3, size=shape), rng.uniform(size=shape), seed=seed,
    )  # fmt: skip
    weight = weights.get("weight")
    assert_equal_to_torch(
        torch,
        lambda p, q: npgrad.binary_cross_entropy(p, q, weight, reduction),
        lambda p, q: F.binary_cross_entropy(
            p, q, None if weight is None else torch.tensor(weight).expand(shape), reduction=reduction
        ),
        rng.uniform(0.01, 0.99, size=shape), rng.uniform(size=shape), seed=seed,
    )  # fmt: skip


def test_logistic_losses_with_weights_are_exact_at_extremes() -> None:
    losses = npgrad.bce_with_logits([1e4, -1e4, 1e4, -1e4], [1.0, 0, 0, 1], reduction="none", pos_weight=2.0)
    assert losses.numpy().tolist() == [0, 0, 1e4, 2e4]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@given(shapes(1), st.sampled_from(["mean", "sum", "none", "batchmean"]), st.booleans(), seeds)
def test_kullback_leibler(torch: Any, shape: Any, reduction: str, log_target: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    q = rng.normal(size=shape) if log_target else rng.uniform(0.1, 1, size=shape)
    assert_equal_to_torch(
        torch,
        lambda x, q: npgrad.kl_div(x, q, reduction, log_target),
        lambda x, q: torch.nn.functional.kl_div(x, q, reduction=reduction, log_target=log_target),
        rng.normal(size=shape), q, seed=seed,
    )  # fmt: skip


def test_what_has_probability_0_adds_nothing_to_the_divergence() -> None:
    logp = Tensor(np.log([0.5, 0.5]), requires_grad=True)
    loss = npgrad.kl_div(logp, [1.0, 0.0], "sum")
    loss.backward()
    assert loss.item() == math.log(2) and logp.grad is not None and logp.grad.tolist() == [-1, 0]


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: npgrad.cross_entropy(Z, [0, 3, 1, 2]), IndexError, r"target class of 3; with 3 logits .* 0 to 2"),
    (lambda: npgrad.cross_entropy(Z, [0, -1, 1, 2]), IndexError, r"target class of -1"),
    (lambda: npgrad.cross_entropy(Z, [True] * 4), TypeError, r"integers; got bool"),
    (lambda: npgrad.cross_entropy(Z, T.astype(float)), TypeError, r"floating-point targets of shape \(4,\).*astype"),
    (lambda: npgrad.cross_entropy(Z, np.ones((4, 2))), TypeError, r"shape \(4, 2\) for logits of shape \(4, 3\)"),
    (lambda: npgrad.cross_entropy(Z, T[:3]), ValueError, r"targets of shape \(3,\).*shape \(4,\)"),
    (lambda: npgrad.cross_entropy(0.5, 0), ValueError, r"got a single number"),
    (lambda: npgrad.cross_entropy(Z[0], [0]), ValueError, r"targets of shape \(1,\) .* shape \(\)"),
    (lambda: npgrad.cross_entropy(Z, T, [1.0, 2.0]), ValueError, r"class weights of shape \(2,\) for 3 classes"),
    (lambda: npgrad.nll_loss(Z, T, 2.0), ValueError, r"nll_loss got class weights of shape \(\) for 3 classes"),
    (lambda: npgrad.cross_entropy(Z, T, Tensor(np.ones(3), True)), ValueError, r"give it weight.detach\(\)"),
    (lambda: npgrad.cross_entropy(Z, T * 0, [0.0, 1, 1]), ValueError, r"all 4 targets .* weight 0"),
    (lambda: npgrad.nll_loss(np.float64(1), 0), ValueError, r"got \(\) and \(\)"),
    (lambda: npgrad.bce_with_logits(Z, Z, weight=T), ValueError, r"weight of shape \(4,\), which does not broadcast"),
    (lambda: npgrad.bce_with_logits(Z[0], Z[0], pos_weight=Z), ValueError, r"pos_weight of shape \(4, 3\)"),
    (lambda: npgrad.binary_cross_entropy([1.5], [1.0]), ValueError, r"outside \[0, 1\].*sigmoid"),
    (lambda: npgrad.kl_div(Z, Z[0]), ValueError, r"kl_div compares equal shapes"),
    (lambda: npgrad.kl_div(Z, Z, "batch"), ValueError, r"reduction must be"),
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
    (lambda: npgrad.bce_with_logits(Z[:0], Z[:0]), ValueError, r"bce_with_logits of nothing \(shape \(0, 3\)\)"),
    (lambda: npgrad.bce_with_logits(Z, Z[0]), ValueError, r"\(4, 3\) and \(3,\)"),
    (lambda: npgrad.bce_with_logits(Z, Z, reduction=""), ValueError, r"reduction must be"),
]


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_losses_that_cannot_be(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize(("z", "slope"), [(-20.0, 2.0611536e-09), (-16.0, 1.1253516e-07)])
def test_the_tail_of_the_binary_loss_keeps_its_gradient(z: float, slope: float) -> None:
    t = Tensor(np.array([z], np.float32), requires_grad=True)
    npgrad.bce_with_logits(t, np.zeros(1, np.float32), reduction="sum").backward()
    assert t.grad is not None and np.isclose(t.grad[0], slope, rtol=1e-6)


def test_an_ignored_row_may_be_nan() -> None:
    z = Tensor(np.array([[0.0, 1.0], [np.nan, np.nan]]), requires_grad=True)
    npgrad.cross_entropy(z, np.array([0, -1]), ignore_index=-1).backward()
    assert z.grad is not None and np.isfinite(z.grad).all() and not z.grad[1].any()


def test_what_has_probability_0_may_be_impossible() -> None:
    z = Tensor([[1.0, -np.inf, 2.0], [0.0, 0.0, 0.0]], requires_grad=True)
    q = np.array([[0.25, 0.0, 0.75], [1.0, 0.0, 0.0]])
    losses = npgrad.cross_entropy(z, q, reduction="none")
    possible = Tensor(z.numpy()[:1, [0, 2]], requires_grad=True)
    npgrad.cross_entropy(possible, q[:1, [0, 2]]).backward()
    losses.sum().backward()
    assert np.isfinite(losses.numpy()).all() and z.grad is not None and possible.grad is not None
    np.testing.assert_allclose(z.grad[0], [possible.grad[0, 0], 0, possible.grad[0, 1]], rtol=1e-14)


@pytest.mark.parametrize("log_target", [False, True])
def test_a_target_of_nan_is_not_hidden(log_target: bool) -> None:
    assert np.isnan(npgrad.kl_div([-1.0, -2.0], [0.5, np.nan], log_target=log_target).item())
    q = [-np.inf, 0.0] if log_target else [0.0, 1.0]
    assert npgrad.kl_div([-np.inf, -2.0], q, "sum", log_target).item() == 2.0
