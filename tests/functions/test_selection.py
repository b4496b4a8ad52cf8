"""Choosing between arrays: who gets the gradient, at ties, bounds and nan, and what must never get through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from tests.strategies import FLOATS, broadcastable, seeds, shapes


def gradients(f: Callable[..., Tensor], *inputs: Any, dy: Any = None) -> list[Any]:
    """The gradients of f at `inputs`, for dy = 1 unless given."""
    leaves = [Tensor(x, requires_grad=True) for x in inputs]
    y = f(*leaves)
    y.backward(np.ones_like(y.numpy()) if dy is None else dy)
    return [leaf.grad for leaf in leaves]


def coarse(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Whole numbers from -2 to 2 as floats: ties are everywhere."""
    return np.random.default_rng(seed).integers(-2, 3, size=shape).astype(np.float64)


@given(st.sampled_from(["maximum", "minimum"]), broadcastable(), seeds, FLOATS)
def test_ties_share_equally(name: str, pair: Any, seed: int, dtype: Any) -> None:
    a, b = coarse(seed, pair[0]).astype(dtype), coarse(seed + 1, pair[1]).astype(dtype)
    f = getattr(np, name)
    y = f(Tensor(a), Tensor(b))
    assert np.array_equal(y.numpy(), f(a, b)) and y.dtype == dtype
    da, db = gradients(f, a, b)
    share = np.where(a == b, 0.5, (y.numpy() == a).astype(float))
    assert np.array_equal(da, npgrad.engine.arrays.unbroadcast(share, a.shape))
    assert np.array_equal(db, npgrad.engine.arrays.unbroadcast(1 - share, b.shape))
    assert da.sum() + db.sum() == y.size
    swapped = gradients(f, b, a)
    assert np.array_equal(swapped[1], da) and np.array_equal(swapped[0], db)


def test_the_conventions_at_nan_and_infinity() -> None:
    a = np.array([np.nan, 1.0, np.inf, -np.inf, np.inf])
    b = np.array([1.0, np.nan, np.inf, -np.inf, -np.inf])
    for f, last in ((npgrad.maximum, 1.0), (npgrad.minimum, 0.0)):
        da, db = gradients(f, a, b)
        assert np.array_equal(da, [np.nan, np.nan, 0.5, 0.5, last], equal_nan=True)
        assert np.array_equal(db, [np.nan, np.nan, 0.5, 0.5, 1 - last], equal_nan=True)


@given(shapes(empty=True), seeds, FLOATS, st.sampled_from([0, 0.0, 1.5, -np.inf, np.inf]))
def test_python_numbers_are_weak(shape: Any, seed: int, dtype: Any, number: Any) -> None:
    x = coarse(seed, shape).astype(dtype)
    for f in (
        lambda t: npgrad.maximum(t, number),
        lambda t: npgrad.maximum(number, t),
        lambda t: npgrad.minimum(t, number),
        lambda t: npgrad.clip(t, -1.5, number),
        lambda t: npgrad.clip(t, number, None),
        lambda t: npgrad.where(x > 0, t, number),
        lambda t: npgrad.where(x > 0, number, t),
    ):
        (dx,) = gradients(f, x)
        assert f(Tensor(x)).dtype == dtype == dx.dtype and dx.shape == f(Tensor(x)).shape == shape


@given(broadcastable(3), seeds, st.booleans(), st.booleans())
def test_clip_is_numpys_and_gives_every_gradient_to_one(triple: Any, seed: int, low: bool, high: bool) -> None:
    """Ties and crossed bounds included, each entry's gradient goes to exactly one of the three."""
    a, lo, hi = (coarse(seed + k, shape) for k, shape in enumerate(triple))
    bounds = [b for b, given_ in ((lo, low), (hi, high)) if given_]

    def f(t: Tensor, *rest: Tensor) -> Tensor:
        parts = iter(rest)
        return npgrad.clip(t, next(parts) if low else None, next(parts) if high else None)

    y = f(Tensor(a), *map(Tensor, bounds)).numpy()
    expected = np.maximum(a, lo) if low else a
    expected = np.minimum(expected, hi) if high else expected
    assert np.array_equal(y, expected)
    found = gradients(f, a, *bounds)
    assert sum(g.sum() for g in found) == y.size
    inside = np.ones(y.shape, bool)
    inside &= a >= lo if low else True
    inside &= a <= hi if high else True
    assert np.array_equal(found[0], npgrad.engine.arrays.unbroadcast(inside.astype(float), a.shape))


def test_clip_at_its_bounds() -> None:
    x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, np.nan, -np.inf, np.inf])
    assert np.array_equal(
        gradients(lambda t: npgrad.clip(t, -1, 1), x)[0], [0, 1, 1, 1, 0, np.nan, 0, 0], equal_nan=True
    )
    da, lo, hi = gradients(npgrad.clip, np.array([-2.0, 5.0]), 1.0, -1.0)
    assert np.array_equal(da, [0, 0]) and lo == 0 and hi == 2, "where the bounds cross, the upper one is the result"
    da, lo, hi = gradients(npgrad.clip, np.array([-2.0, 1.0, 5.0]), 1.0, 1.0)
    assert np.array_equal(da, [0, 1, 0]) and lo == 1 and hi == 1


def test_clip_has_numpys_signature() -> None:
    x = np.array([-2.0, 0.5, 2.0])
    t = Tensor(x, requires_grad=True)
    clipped = [
        np.clip(t, -1, 1),
        np.clip(t, a_min=-1, a_max=1),
        npgrad.clip(t, min=-1, max=1),
        npgrad.clip(t, np.full(3, -1.0), max=1),
        npgrad.clip(npgrad.clip(t, None, 1), -1, None),
    ]
    if np.lib.NumpyVersion(np.__version__) >= "2.1.0":  # where NumPy too knows these names
        clipped.append(np.clip(t, min=-1, max=1))
    for y in clipped:
        assert np.array_equal(y.numpy(), [-1, 0.5, 1])
        t.grad = None
        y.backward(np.ones(3))
        assert np.array_equal(t.grad, [0, 1, 0])
    assert np.array_equal(npgrad.clip(t).numpy(), x)
    assert np.array_equal(gradients(npgrad.clip, x)[0], [1, 1, 1])
    assert npgrad.clip(5, 0, 3).item() == 3 and npgrad.clip(np.array([5]), 0, 3).dtype == np.array([5]).dtype
    with pytest.raises(TypeError, match="both a_min= and min="):
        npgrad.clip(t, -1, min=-2)


@given(broadcastable(3), seeds)
def test_where_is_numpys(triple: Any, seed: int) -> None:
    condition, x, y = (coarse(seed + k, shape) for k, shape in enumerate(triple))
    condition = condition > 0
    z = np.where(condition, Tensor(x), Tensor(y))
    assert np.array_equal(z.numpy(), np.where(condition, x, y))
    dz = np.random.default_rng(seed).normal(size=z.shape)
    dx, dy = gradients(lambda a, b: npgrad.where(condition, a, b), x, y, dy=dz)
    unbroadcast = npgrad.engine.arrays.unbroadcast
    assert np.allclose(dx, unbroadcast(np.where(condition, dz, 0), x.shape))
    assert np.allclose(dy, unbroadcast(np.where(condition, 0, dz), y.shape))


@given(st.sampled_from([np.nan, np.inf, -np.inf]), FLOATS)
def test_what_is_not_chosen_never_gets_through(bad: float, dtype: Any) -> None:
    """Neither a bad value nor a bad gradient crosses from one branch into the other."""
    mask = np.array([True, False, True])
    x, y = np.array([1, bad, 3], dtype), np.array([bad, 2, bad], dtype)
    z = npgrad.where(mask, x, y)
    assert np.array_equal(z.numpy(), [1, 2, 3])
    dx, dy = gradients(lambda a, b: npgrad.where(mask, a, b), x, y)
    assert np.array_equal(dx, [1, 0, 1]) and np.array_equal(dy, [0, 1, 0])
    dx, dy = gradients(lambda a, b: npgrad.where(mask, a, b), x, y, dy=np.array([1, bad, 1], dtype))
    assert np.array_equal(dx, [1, 0, 1]) and np.array_equal(dy, [0, bad, 0], equal_nan=True)


def test_conditions_of_where() -> None:
    x = np.array([1.0, 2.0])
    for condition in (
        [True, False],
        np.array([3, 0]),
        np.array([1, 0], np.uint8),
        Tensor([True, False]),
        Tensor(x) < 2,
    ):
        assert np.array_equal(npgrad.where(condition, x, 0.0).numpy(), [1, 0])
    assert np.array_equal(npgrad.where(True, x, 0.0).numpy(), x)
    with pytest.raises(TypeError, match=r"condition of dtype float64.*c != 0"):
        npgrad.where(x, x, 0.0)
    t = Tensor(x, requires_grad=True)
    with pytest.raises(TypeError, match="has no gradient"):
        np.where(t, t, 0.0)


def test_a_mask_changed_later_does_not_change_the_gradient() -> None:
    mask = np.array([True, False])
    t = Tensor(np.ones(2), requires_grad=True)
    y = npgrad.where(mask, t, 0.0)
    mask[:] = False
    y.backward(np.ones(2))
    assert np.array_equal(t.grad, [1, 0])
