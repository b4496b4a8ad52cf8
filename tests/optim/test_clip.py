"""Clipping scales all gradients together, as torch does."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad import Tensor, optim


def owner(g: np.ndarray | None, shape: tuple[int, ...] = (2,)) -> Tensor:
    p = Tensor(np.zeros(shape if g is None else g.shape, np.float64 if g is None else g.dtype), requires_grad=True)
    p.grad = g
    return p


@given(st.integers(0, 2**32), st.floats(0.0, 20.0), st.sampled_from([np.float32, np.float64]))
def test_as_torch(torch: Any, seed: int, max_norm: float, dtype: type) -> None:
    rng = np.random.default_rng(seed)
    gradients: list[np.ndarray] = [rng.normal(size=shape).astype(dtype) for shape in [(3, 4), (), (0,), (7,)]]
    ours = [owner(g.copy()) for g in gradients] + [owner(None)]
    theirs = []
    for g in gradients:
        q = torch.zeros(g.shape, dtype=torch.tensor(g).dtype, requires_grad=True)
        q.grad = torch.tensor(g)
        theirs.append(q)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    norm = optim.clip_grad_norm(ours, max_norm)
    np.testing.assert_allclose(norm, float(torch.nn.utils.clip_grad_norm_(theirs, max_norm)), rtol=tolerance)
    for p, q in zip(ours, theirs, strict=False):
        assert p.grad is not None and p.grad.dtype == dtype
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=tolerance, atol=1e-12)
    assert ours[-1].grad is None


def test_small_gradients_are_left_alone() -> None:
    g = np.array([0.3, 0.4])
    p = owner(g)
    held = p.grad
    assert optim.clip_grad_norm(p, 1.0) == pytest.approx(0.5)
    assert p.grad is held and np.array_equal(held, g)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_squares_outside_the_range_of_float32(scale: float) -> None:
    p = owner(np.array([3.0, 4.0], np.float32) * np.float32(scale))
    assert optim.clip_grad_norm([p], 1.0) == pytest.approx(5 * scale, rel=1e-6)


def test_layouts() -> None:
    g = np.arange(6.0).reshape(2, 3)
    locked = g.copy()
    locked.flags.writeable = False
    for laid_out in (np.asfortranarray(g), g[::-1].copy()[::-1], np.repeat(g, 2, axis=1)[:, ::2], locked):
        p = owner(laid_out)
        norm = optim.clip_grad_norm([p], 1.0)
        assert p.grad is not None
        np.testing.assert_allclose(p.grad, g / norm, rtol=1e-6)
    assert np.array_equal(locked, g)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_an_error(bad: float) -> None:
    p = owner(np.array([1.0, bad]))
    with pytest.raises(RuntimeError, match="cannot be clipped"):
        optim.clip_grad_norm([p], 1.0)
    assert p.grad is not None and p.grad[0] == 1.0


def test_negative_norm() -> None:
    with pytest.raises(ValueError, match="max_norm must be"):
        optim.clip_grad_norm([owner(np.ones(2))], -1.0)


def test_nothing_to_clip() -> None:
    assert optim.clip_grad_norm([], 1.0) == 0.0
    assert optim.clip_grad_norm([owner(None), owner(np.zeros(3))], 1.0) == 0.0
