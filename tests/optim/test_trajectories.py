"""Every optimiser takes torch's steps, and flat storage changes no bit of them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad import Tensor, optim

SHAPES = [(3, 4), (), (5,), (2, 1, 3), (1,), (0,)]

unit = st.floats(0.01, 0.99)
rates = st.floats(1e-4, 0.5)
decays = st.one_of(st.just(0.0), st.floats(1e-4, 0.3))


@st.composite
def sgd_options(draw: st.DrawFn) -> dict[str, Any]:
    momentum = draw(st.one_of(st.just(0.0), unit))
    nesterov = draw(st.booleans()) if momentum else False
    return {"lr": draw(rates), "momentum": momentum, "weight_decay": draw(decays), "nesterov": nesterov}


@st.composite
def adam_options(draw: st.DrawFn) -> dict[str, Any]:
    # Without a memory of squares (beta2 near 0) every gradient near 0 amplifies rounding: nothing to compare then.
    betas = (draw(st.floats(0.0, 0.99)), draw(st.floats(0.5, 0.9999)))
    eps = draw(st.sampled_from([1e-8, 1e-3, 0.1]))
    return {"lr": draw(rates), "betas": betas, "eps": eps, "weight_decay": draw(decays)}


def run_both(
    torch: Any,
    name: str,
    options: dict[str, Any],
    seed: int,
    missing: float,
    groups: list[dict[str, Any]] | None = None,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """50 steps with the same random gradients, each absent with probability `missing`."""
    rng = np.random.default_rng(seed)
    start = [rng.normal(size=shape) for shape in SHAPES]
    ours = [Tensor(a, requires_grad=True) for a in start]
    theirs = [torch.tensor(a, requires_grad=True) for a in start]
    if groups is None:
        a, b = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    else:
        half = len(start) // 2
        a = getattr(optim, name)(
            [{"params": ours[:half], **groups[0]}, {"params": ours[half:], **groups[1]}], **options
        )
        b = getattr(torch.optim, name)(
            [{"params": theirs[:half], **groups[0]}, {"params": theirs[half:], **groups[1]}], **options
        )
    for _ in range(50):
        a.zero_grad()
        b.zero_grad()
        for p, q in zip(ours, theirs, strict=True):
            if rng.random() >= missing:
                g = rng.normal(size=p.shape)
                p.grad, q.grad = g, torch.tensor(g)
        a.step()
        b.step()
    return [p.numpy() for p in ours], [q.detach().numpy() for q in theirs]


def assert_close(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-10, atol=1e-10)


@given(sgd_options(), st.integers(0, 2**32), st.sampled_from([0.0, 0.3]))
def test_sgd_takes_torchs_steps(torch: Any, options: dict[str, Any], seed: int, missing: float) -> None:
    assert_close(*run_both(torch, "SGD", options, seed, missing))


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
@given(adam_options(), st.integers(0, 2**32), st.sampled_from([0.0, 0.3]))
def test_adam_takes_torchs_steps(torch: Any, name: str, options: dict[str, Any], seed: int, missing: float) -> None:
    assert_close(*run_both(torch, name, options, seed, missing))


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_groups_have_their_own_options(torch: Any, name: str) -> None:
    groups = [{"lr": 0.02}, {"weight_decay": 0.2}]
    assert_close(*run_both(torch, name, {"lr": 0.1}, 3, 0.1, groups))


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.4]), st.data())
def test_flat_storage_gives_the_bits_of_separate_parameters(
    name: str, dtype: type, seed: int, missing: float, data: st.DataObject
) -> None:
    options = data.draw(sgd_options() if name == "SGD" else adam_options())
    rng = np.random.default_rng(seed)
    shapes = [(7, 9), (3,), (), (41,)]
    start = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    together = [Tensor(a, requires_grad=True) for a in start]
    apart = [Tensor(a, requires_grad=True) for a in start]
    one = getattr(optim, name)(together, **options)
    many = [getattr(optim, name)([p], **options) for p in apart]
    for _ in range(10):
        for p, q in zip(together, apart, strict=True):
            p.grad = q.grad = rng.normal(size=p.shape).astype(dtype) if rng.random() >= missing else None
        one.step()
        for optimizer in many:
            optimizer.step()
    for p, q in zip(together, apart, strict=True):
        assert p.dtype == dtype
        assert p.numpy().tobytes() == q.numpy().tobytes()


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_the_formula_in_the_docstring_is_what_happens(name: str) -> None:
    rng = np.random.default_rng(5)
    p = rng.normal(size=(4, 3))
    t = Tensor(p, requires_grad=True)
    lam, lr = 0.1, 0.05
    options = {"lr": lr, "weight_decay": lam} | ({"momentum": 0.8, "nesterov": True} if name == "SGD" else {})
    optimizer = getattr(optim, name)([t], **options)
    b = m = v = np.zeros_like(p)
    for k in range(1, 21):
        g = t.grad = rng.normal(size=p.shape)
        kept = g.copy()
        optimizer.step()
        assert np.array_equal(g, kept)
        if name == "SGD":
            g = g + lam * p
            b = 0.8 * b + g
            p = p - lr * (g + 0.8 * b)
        else:
            if name == "AdamW":
                p = (1 - lr * lam) * p
            else:
                g = g + lam * p
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g**2
            p = p - lr * (m / (1 - 0.9**k)) / (np.sqrt(v / (1 - 0.999**k)) + 1e-8)
    np.testing.assert_allclose(t.numpy(), p, rtol=1e-12)
