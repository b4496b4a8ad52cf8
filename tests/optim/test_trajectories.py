"""Every optimiser takes torch's steps, and those its docstring describes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad import optim
from tests.optim.conftest import OPTIMISERS, each_optimiser, leaves, make

SHAPES = [(3, 4), (), (5,), (2, 1, 3), (1,), (0,)]


def test_the_table_is_complete() -> None:
    public = [getattr(optim, name) for name in optim.__all__]
    found = {c.__name__ for c in public if isinstance(c, type) and issubclass(c, optim.Optimizer)}
    assert found - {"Optimizer"} == set(OPTIMISERS)


def assert_torchs_steps(
    torch: Any,
    name: str,
    options: dict[str, Any],
    seed: int,
    missing: float,
    groups: tuple[dict[str, Any], dict[str, Any]] = ({}, {}),
    dtype: type = np.float64,
) -> None:
    """50 steps with the same random gradients, each absent with probability `missing`."""
    rng = np.random.default_rng(seed)
    start: list[np.ndarray] = [np.asarray(rng.normal(size=shape), dtype) for shape in SHAPES]
    ours, theirs = leaves(*start), [torch.tensor(a, requires_grad=True) for a in start]
    a, b = (
        kind([{"params": ps[:3], **groups[0]}, {"params": ps[3:], **groups[1]}], **options)
        for kind, ps in ((getattr(optim, name), ours), (getattr(torch.optim, name), theirs))
    )
    for _ in range(50):
        a.zero_grad()
        b.zero_grad()
        for p, q in zip(ours, theirs, strict=True):
            if rng.random() >= missing:
                p.grad = np.asarray(rng.normal(size=p.shape), dtype)
                q.grad = torch.tensor(p.grad)
        a.step()
        b.step()
    # PyTorch keeps the product of NAdam's momenta in single precision.
    tolerance = 1e-4 if dtype == np.float32 else 1e-6 if name == "NAdam" else 1e-10
    for p, q in zip(ours, theirs, strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance)


@each_optimiser
@given(st.data(), st.integers(0, 2**32), st.sampled_from([0.0, 0.3]))
def test_steps_are_torchs(torch: Any, name: str, data: st.DataObject, seed: int, missing: float) -> None:
    assert_torchs_steps(torch, name, data.draw(OPTIMISERS[name].options), seed, missing)


@each_optimiser
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_groups_have_their_own_options(torch: Any, name: str, dtype: type) -> None:
    groups = ({"lr": 0.02}, {"weight_decay": 0.2, "maximize": True})
    assert_torchs_steps(torch, name, OPTIMISERS[name].example, 3, 0.1, groups, dtype)


@each_optimiser
@given(st.data(), st.integers(0, 2**32))
def test_the_formula_in_the_docstring_is_what_happens(name: str, data: st.DataObject, seed: int) -> None:
    options = data.draw(OPTIMISERS[name].options)
    rng = np.random.default_rng(seed)
    start = rng.normal(size=(4, 3))
    gradients = [rng.normal(size=start.shape) for _ in range(20)]
    (p,) = leaves(start)
    optimizer = make(name, [p], **options)
    for g in gradients:
        p.grad = g.copy()
        optimizer.step()
        assert np.array_equal(p.grad, g)
    np.testing.assert_allclose(p.numpy(), OPTIMISERS[name].formula(start, gradients, options), rtol=1e-9, atol=1e-9)


def test_momentum_is_sutskevers_while_the_learning_rate_is_constant(rng: np.random.Generator) -> None:
    for rates, equal in (([0.1] * 6, True), ([0.1] * 3 + [0.01] * 3, False)):
        start = rng.normal(size=3)
        (p,) = leaves(start)
        optimizer = optim.SGD([p], momentum=0.9)
        theta, velocity = start, np.zeros(3)
        for lr in rates:
            p.grad = rng.normal(size=3)
            optimizer.lr = lr
            optimizer.step()
            velocity = 0.9 * velocity - lr * p.grad
            theta = theta + velocity
        assert np.allclose(p.numpy(), theta, rtol=1e-12) == equal
