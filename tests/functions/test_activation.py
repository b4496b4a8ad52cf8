"""Activations: identities between them, limits, kinks and nan, all without a warning (warnings are errors here)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import npgrad
from npgrad import Tensor
from npgrad.functions.activation import NEGATIVE_SLOPE
from npgrad.functions.error_function import erfc
from tests.strategies import FLOATS, arrays, seeds, shapes

ACTIVATIONS: dict[str, Callable[[Any], Tensor]] = {
    "tanh": npgrad.tanh,
    "sigmoid": npgrad.sigmoid,
    "relu": npgrad.relu,
    "leaky_relu": npgrad.leaky_relu,
    "leaky_relu 0.3": lambda x: npgrad.leaky_relu(x, 0.3),
    "elu": npgrad.elu,
    "elu 1.7": lambda x: npgrad.elu(x, 1.7),
    "gelu": npgrad.gelu,
    "gelu tanh": lambda x: npgrad.gelu(x, approximate="tanh"),
    "silu": npgrad.silu,
    "softplus": npgrad.softplus,
    "softplus 2": lambda x: npgrad.softplus(x, 2.0),
    "log_sigmoid": npgrad.log_sigmoid,
    "prelu 0.4": lambda x: npgrad.prelu(x, 0.4),
}
# Limits of value and slope at -infinity and +infinity.
LIMITS: dict[str, tuple[float, float, float, float]] = {
    "tanh": (-1, 1, 0, 0),
    "sigmoid": (0, 1, 0, 0),
    "relu": (0, np.inf, 0, 1),
    "leaky_relu": (-np.inf, np.inf, NEGATIVE_SLOPE, 1),
    "leaky_relu 0.3": (-np.inf, np.inf, 0.3, 1),
    "elu": (-1, np.inf, 0, 1),
    "elu 1.7": (-1.7, np.inf, 0, 1),
    "gelu": (0, np.inf, 0, 1),
    "gelu tanh": (0, np.inf, 0, 1),
    "silu": (0, np.inf, 0, 1),
    "softplus": (0, np.inf, 0, 1),
    "softplus 2": (0, np.inf, 0, 1),
    "log_sigmoid": (-np.inf, 0, 1, 0),
    "prelu 0.4": (-np.inf, np.inf, 0.4, 1),
}
names = st.sampled_from(sorted(ACTIVATIONS))


def slope(f: Callable[[Any], Tensor], x: Any) -> Any:
    """The derivative of an elementwise f at every entry of x."""
    t = Tensor(x, requires_grad=True)
    y = f(t)
    y.backward(np.ones_like(y.numpy()))
    return t.grad


@given(names, shapes(empty=True), FLOATS, st.data())
def test_shapes_and_dtypes_are_kept(name: str, shape: Any, dtype: Any, data: st.DataObject) -> None:
    x = data.draw(arrays(shape, dtype, scale=3.0))
    f = ACTIVATIONS[name]
    y, dx = f(Tensor(x)), slope(f, x)
    assert y.shape == dx.shape == x.shape and y.dtype == dx.dtype == dtype
    assert np.allclose(y.numpy(), f(x.astype(np.float64)).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_numbers_and_integers(name: str) -> None:
    f = ACTIVATIONS[name]
    whole = np.array([-2, 0, 3])
    assert np.allclose(f(whole).numpy(), f(whole.astype(np.float64)).numpy(), rtol=1e-15)
    assert f(-2.0).item() == pytest.approx(f(whole).numpy()[0], rel=1e-15)
    assert f(3).shape == ()


@given(names, FLOATS)
def test_limits_at_infinity(name: str, dtype: Any) -> None:
    f = ACTIVATIONS[name]
    left, right, slope_left, slope_right = LIMITS[name]
    ends = np.array([-np.inf, np.inf], dtype)
    assert np.allclose(f(ends).numpy(), [left, right])
    assert np.allclose(slope(f, ends), [slope_left, slope_right])


@given(names, FLOATS, st.sampled_from([1e2, 1e4, 1e30]))
def test_far_out_is_almost_the_limit(name: str, dtype: Any, distance: float) -> None:
    f = ACTIVATIONS[name]
    left, right, slope_left, slope_right = LIMITS[name]
    x = np.array([-distance, distance], dtype)
    expected = [
        v if np.isfinite(v) else s * p for v, s, p in zip((left, right), (slope_left, slope_right), x, strict=True)
    ]
    assert np.allclose(f(x).numpy(), expected, rtol=1e-6, atol=1e-30)
    assert np.allclose(slope(f, x), [slope_left, slope_right], rtol=1e-6, atol=1e-30)


@given(names, FLOATS)
def test_nan_stays_nan(name: str, dtype: Any) -> None:
    x = np.array([np.nan, 1.0, -1.0], dtype)
    f = ACTIVATIONS[name]
    assert np.array_equal(np.isnan(f(x).numpy()), [True, False, False])
    assert np.array_equal(np.isnan(slope(f, x)), [True, False, False])


def test_kinks_take_the_side_of_zero_slope() -> None:
    for zero in (0.0, -0.0):
        assert slope(npgrad.relu, zero) == 0
        assert slope(lambda t: npgrad.leaky_relu(t, 0.3), zero) == 0.3
        assert slope(lambda t: npgrad.leaky_relu(t, -0.3), zero) == -0.3
        assert slope(lambda t: npgrad.elu(t, 1.7), zero) == 1.7


@given(shapes(), st.data())
def test_identities(shape: Any, data: st.DataObject) -> None:
    x = data.draw(arrays(shape, scale=3.0))
    x = np.where(np.abs(x) < 1e-3, 1e-3, x)
    same = [
        (npgrad.tanh, lambda t: 2 * npgrad.sigmoid(2 * t) - 1),
        (npgrad.tanh, lambda t: npgrad.expm1(2 * t) / (npgrad.exp(2 * t) + 1)),
        (npgrad.sigmoid, lambda t: 1 - npgrad.sigmoid(-t)),
        (npgrad.sigmoid, lambda t: 1 / (1 + npgrad.exp(-t))),
        (npgrad.softplus, lambda t: -npgrad.log(npgrad.sigmoid(-t))),
        (npgrad.softplus, lambda t: t + npgrad.softplus(-t)),
        (npgrad.silu, lambda t: t * npgrad.sigmoid(t)),
        (npgrad.silu, lambda t: t + npgrad.silu(-t)),
        (npgrad.gelu, lambda t: t + npgrad.gelu(-t)),
        (
            lambda t: npgrad.gelu(t, "tanh"),
            lambda t: 0.5 * t * (1 + npgrad.tanh(0.7978845608028654 * (t + 0.044715 * t**3))),
        ),
        (npgrad.relu, lambda t: (t + npgrad.abs(t)) / 2),
        (npgrad.relu, lambda t: npgrad.leaky_relu(t, 0.0)),
        (npgrad.relu, lambda t: npgrad.maximum(t, 0.0)),
        (lambda t: npgrad.leaky_relu(t, 0.2), lambda t: npgrad.relu(t) - 0.2 * npgrad.relu(-t)),
        (lambda t: npgrad.leaky_relu(t, 1.5), lambda t: npgrad.relu(t) - 1.5 * npgrad.relu(-t)),
        (lambda t: npgrad.elu(t, 0.7), lambda t: npgrad.relu(t) + 0.7 * npgrad.expm1(-npgrad.relu(-t))),
    ]
    for f, g in same:
        assert np.allclose(f(Tensor(x)).numpy(), g(Tensor(x)).numpy(), rtol=1e-11, atol=1e-13)
        assert np.allclose(slope(f, x), slope(g, x), rtol=1e-9, atol=1e-12)


def test_the_table_of_saturation() -> None:
    """What the notes of Tanh tabulate."""
    t = np.array([0.0, 0.5, 0.9, 0.99, 0.999])
    assert np.allclose(slope(npgrad.tanh, np.arctanh(t)), [1.0, 0.75, 0.19, 0.0199, 0.002], atol=2e-6)
    assert slope(npgrad.tanh, 20.0) == 0


def test_left_tails_keep_their_digits() -> None:
    x = np.array([-20.0, -40.0, -300.0])
    for f in (npgrad.sigmoid, npgrad.softplus):
        assert np.allclose(f(x).numpy(), np.exp(x), rtol=1e-8, atol=0)
        assert np.allclose(slope(f, x), np.exp(x), rtol=1e-8, atol=0)
    assert np.allclose(slope(npgrad.elu, x), np.exp(x), rtol=1e-14, atol=0)
    exact = [v * math.erfc(-v / math.sqrt(2)) / 2 for v in (-5.0, -10.0, -30.0)]
    assert np.allclose(npgrad.gelu(np.array([-5.0, -10.0, -30.0])).numpy(), exact, rtol=1e-12, atol=0)


def test_the_left_tail_of_gelu_in_float32() -> None:
    x = np.concatenate([np.linspace(-12.5, 5, 3001), [-0.0, 1e-30]]).astype(np.float32)
    exact = np.array([v * math.erfc(-v / math.sqrt(2)) / 2 for v in x.astype(np.float64)])
    y = npgrad.gelu(x).numpy()
    # What rounding the exponent x²/2 to float32 costs, and a few roundings more.
    assert np.all(np.abs(y - exact) <= (4e-7 + 6e-8 * x**2) * np.abs(exact))
    double = slope(npgrad.gelu, x.astype(np.float64))
    assert np.allclose(slope(npgrad.gelu, x), double, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_layouts_change_nothing(name: str) -> None:
    f = ACTIVATIONS[name]
    x = np.random.default_rng(0).normal(scale=3.0, size=(7, 11))
    expected = f(x).numpy(), slope(f, x)
    for given_x in (np.asfortranarray(x), x[::-1][::-1]):
        assert np.allclose(f(given_x).numpy(), expected[0], rtol=1e-15)
        assert np.allclose(slope(f, given_x), expected[1], rtol=1e-15)


def test_gelu_says_what_it_knows() -> None:
    with pytest.raises(ValueError, match=r'approximate=\'erf\'.*"none".*"tanh"'):
        npgrad.gelu(np.ones(3), approximate="erf")


# Points from the left tail over every border between formulas to where erfc underflows.
POINTS = np.concatenate([np.linspace(-7, 26, 5001), [-4.0, -0.46875, 0.0, 0.46875, 4.0]])


def test_error_function_against_the_c_library() -> None:
    assert np.allclose(erfc(POINTS), [math.erfc(x) for x in POINTS], rtol=2e-15, atol=0)
    single = POINTS.astype(np.float32)
    assert erfc(single).dtype == np.float32
    right = np.array([math.erfc(x) for x in single])
    assert np.allclose(erfc(single), right, rtol=2e-6, atol=1e-37)


def test_error_function_at_the_ends() -> None:
    ends = np.array([-np.inf, -1e300, 1e300, np.inf, np.nan])
    assert np.array_equal(erfc(ends), [2, 2, 0, 0, np.nan], equal_nan=True)
    assert erfc(0.2) == pytest.approx(math.erfc(0.2)) and erfc(np.zeros((2, 0))).shape == (2, 0)


@given(hnp.arrays(np.float64, 5, elements=st.floats(-6, 6)))
def test_error_function_on_complex_steps(x: np.ndarray) -> None:
    """The slope of a complex step is the Gaussian, to the last digits."""
    from npgrad.engine.holomorphic import Holomorphic

    y = erfc(Holomorphic(x, 1.0))
    assert np.allclose(y.slope, -2 / math.sqrt(math.pi) * np.exp(-x * x), rtol=1e-12, atol=1e-15)
    assert np.array_equal(y.value, erfc(x))


@given(shapes(2, 4), seeds, st.booleans())
def test_prelu_has_a_slope_for_each_channel_or_one_for_all(torch: Any, shape: Any, seed: int, one: bool) -> None:
    rng = np.random.default_rng(seed)
    x, a = rng.normal(size=shape), rng.normal(size=1 if one else shape[1])
    mine = [Tensor(x, requires_grad=True), Tensor(a, requires_grad=True)]
    theirs = [torch.tensor(x, requires_grad=True), torch.tensor(a, requires_grad=True)]
    y, z = npgrad.prelu(*mine), torch.nn.functional.prelu(*theirs)
    dy = rng.normal(size=shape)
    y.backward(dy)
    z.backward(torch.tensor(dy))
    np.testing.assert_allclose(y.numpy(), z.detach().numpy())
    for p, q in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-12, atol=1e-13)


def test_at_0_prelu_has_its_left_slope() -> None:
    x = Tensor([0.0, np.nan], requires_grad=True)
    npgrad.prelu(x, 0.3).backward([1.0, 1.0])
    np.testing.assert_array_equal(x.grad, [0.3, np.nan])


def test_slopes_that_cannot_be() -> None:
    with pytest.raises(ValueError, match=r"weight of shape \(3,\) for x of shape \(2, 4\).* shape \(4,\)"):
        npgrad.prelu(np.ones((2, 4)), np.ones(3))
    with pytest.raises(ValueError, match="beta=0"):
        npgrad.softplus(1.0, 0.0)
