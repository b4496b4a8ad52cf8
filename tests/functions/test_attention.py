"""Attention: a mean of values, equal to the composition it replaces; masks, shifts, rows that may see nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor, rotary, scaled_dot_product_attention


def drawn(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    rng = np.random.default_rng(seed)
    return [Tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes]


@given(st.data())
def test_is_the_composition_it_replaces(data: st.DataObject) -> None:
    N, T, S, D, E = (data.draw(st.integers(1, 4)) for _ in range(5))
    inputs = drawn(data.draw(st.integers(0, 99)), (N, T, D), (N, S, D), (N, S, E))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    mask = rng.random((T, S)) < 0.7
    mask[:, 0] = True
    causal = data.draw(st.booleans())
    y = scaled_dot_product_attention(*inputs, mask, is_causal=causal)
    dy = rng.normal(size=y.shape)
    y.backward(dy)
    fused = [x.grad for x in inputs]
    for x in inputs:
        x.grad = None
    q, k, v = inputs
    allowed = mask & np.tri(T, S, dtype=bool) if causal else mask
    scores = npgrad.where(allowed, q @ npgrad.swapaxes(k, -1, -2) / np.sqrt(D), -np.inf)
    z = npgrad.softmax(scores) @ v
    z.backward(dy)
    assert np.allclose(y.numpy(), z.numpy(), rtol=1e-12, atol=1e-13)
    for x, g in zip(inputs, fused, strict=True):
        assert np.allclose(x.grad, g, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_query_that_may_see_nothing_gets_0_and_gives_no_gradient(dtype: Any) -> None:
    q, k, v = (Tensor(x.numpy().astype(dtype), requires_grad=True) for x in drawn(0, (2, 3, 4), (2, 5, 4), (2, 5, 6)))
    mask = np.ones((2, 3, 5), bool)
    mask[0, 1] = False
    mask[1] = False
    with np.errstate(all="raise"):
        y = scaled_dot_product_attention(q, k, v, mask)
        y.backward(np.ones(y.shape, dtype))
    assert y.dtype == dtype and not y.numpy()[0, 1].any() and not y.numpy()[1].any()
    assert not q.grad[0, 1].any() and not q.grad[1].any() and not k.grad[1].any() and not v.grad[1].any()
    assert all(np.isfinite(x.grad).all() for x in (q, k, v)) and v.grad[0].any()


def test_a_mask_to_be_added_may_leave_nothing_to_see() -> None:
    q, k, v = drawn(0, (3, 4), (5, 4), (5, 2))
    free = np.random.default_rng(0).random((3, 5)) < 0.7
    free[1] = False
    y, z = (scaled_dot_product_attention(q, k, v, mask) for mask in (free, np.where(free, 0.0, -np.inf)))
    with np.errstate(all="raise"):
        z.backward(np.ones(z.shape))
    np.testing.assert_allclose(z.numpy(), y.numpy(), rtol=1e-12)
    assert not z.numpy()[1].any() and not q.grad[1].any() and np.isfinite(k.grad).all()


def test_what_is_masked_has_no_influence() -> None:
    q, k, v = drawn(0, (3, 4), (5, 4), (5, 2))
    mask = np.array([True, True, False, True, False])
    y = scaled_dot_product_attention(q, k, v, mask)
    y.backward(np.ones(y.shape))
    assert not k.grad[~mask].any() and not v.grad[~mask].any()
    few = scaled_dot_product_attention(q, k.numpy()[mask], v.numpy()[mask])
    assert np.allclose(y.numpy(), few.numpy(), rtol=1e-14)
    # The largest score of all is masked, and is not what is subtracted.
    far = k.numpy().copy()
    far[2] = 1e4 * q.numpy()[0]
    assert np.array_equal(scaled_dot_product_attention(q, far, v, mask).numpy(), y.numpy())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_scores_do_not_overflow(dtype: Any) -> None:
    q, k, v = (Tensor(x.numpy().astype(dtype), requires_grad=True) for x in drawn(0, (3, 4), (5, 4), (5, 2)))
    with np.errstate(over="raise", invalid="raise"):
        y = scaled_dot_product_attention(q, k, v, scale=1e4)
        y.backward(np.ones(y.shape, dtype))
    best = (q.numpy() @ k.numpy().T).argmax(1)
    assert np.allclose(y.numpy(), v.numpy()[best], rtol=1e-6)
    assert np.isfinite(q.grad).all()


def test_dropout_draws_from_the_generator_and_keeps_the_mean() -> None:
    q, k, v = drawn(0, (200, 4), (300, 4), (300, 2))
    plain = scaled_dot_product_attention(q, k, v).numpy()
    rng = np.random.default_rng(0)
    runs = [scaled_dot_product_attention(q, k, v, dropout_p=0.4, rng=rng).numpy() for _ in range(60)]
    assert not np.array_equal(runs[0], runs[1])
    again = scaled_dot_product_attention(q, k, v, dropout_p=0.4, rng=np.random.default_rng(0)).numpy()
    assert np.array_equal(again, runs[0])
    spread = np.std(runs, axis=0) / np.sqrt(60)
    assert np.mean(np.abs(np.mean(runs, axis=0) - plain) < 3 * spread) > 0.98
    assert not scaled_dot_product_attention(q, k, v, dropout_p=1.0, rng=rng).numpy().any()


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 4), st.integers(0, 99))
def test_a_product_of_turned_vectors_depends_on_their_distance(start: int, apart: int, h: int, seed: int) -> None:
    q, k = (x.numpy() for x in drawn(seed, (1, 2 * h), (1, 2 * h)))

    def product(start: int) -> float:
        return float((rotary(q, start=start).numpy() * rotary(k, start=start + apart).numpy()).sum())

    assert np.isclose(product(start), product(0), rtol=1e-10, atol=1e-12)
    assert np.isclose(np.linalg.norm(rotary(q, start=start).numpy()), np.linalg.norm(q), rtol=1e-12)
    assert np.array_equal(rotary(q).numpy(), q)


def test_rotation_is_that_of_the_paper() -> None:
    """Equation 15, whose pairs are neighbours; here the two of a pair lie half of the features apart."""
    x = np.random.default_rng(0).normal(size=(5, 6))
    R = np.zeros((5, 6, 6))
    for m in range(5):
        for d in range(3):
            c, s = np.cos(m * 10000 ** (-2 * d / 6)), np.sin(m * 10000 ** (-2 * d / 6))
            R[m, 2 * d : 2 * d + 2, 2 * d : 2 * d + 2] = [[c, -s], [s, c]]
    order = [0, 3, 1, 4, 2, 5]
    assert np.allclose(rotary(x).numpy()[:, order], np.einsum("tij,tj->ti", R, x[:, order]), rtol=1e-12)


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 6\) and heads=2; it takes \(…, T, heads·D\) with an even D"):
        rotary(np.zeros((2, 6)), heads=2)
    q, k, v = drawn(0, (2, 3, 4), (2, 5, 4), (2, 5, 6))
    with pytest.raises(ValueError, match=r"it takes \(…, T, D\), \(…, S, D\) and \(…, S, E\)"):
        scaled_dot_product_attention(q, v, k)
    with pytest.raises(TypeError, match="a mask of booleans"):
        scaled_dot_product_attention(q, k, v, np.zeros((3, 5), int))
    with pytest.raises(ValueError, match=r"does not broadcast to the scores, which have the shape \(2, 3, 5\)"):
        scaled_dot_product_attention(q, k, v, np.ones((4, 2, 3, 5), bool))
    with pytest.raises(TypeError, match="Pass rng="):
        scaled_dot_product_attention(q, k, v, dropout_p=0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        scaled_dot_product_attention(q, k, v, dropout_p=1.5)
