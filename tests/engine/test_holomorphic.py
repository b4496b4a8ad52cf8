"""Holomorphic arrays: values against NumPy on real ones, slopes against closed forms and differences."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad.engine.holomorphic import STEP, Holomorphic, State, values
from npgrad.engine.holomorphic.number import ARRANGING, BY_VALUE, FUNCTIONS
from npgrad.engine.holomorphic.ufuncs import DECIDING, LARGER, LINEAR, PARTIALS, PRODUCTS, SMALLER, STEPS
from tests.strategies import seeds

WIDE = np.array([5e-324, 1e-310, 1e-200, 1e-20, 1e-5, 0.1, 0.5, 0.9, 1.5, 3.0, 20.0, 300.0, 1e5, 1e150, 1e300])
SIGNED = np.concatenate([-WIDE[::-1], [-0.0, 0.0], WIDE])


def same(a: Any, b: Any) -> bool:
    return np.shape(a) == np.shape(b) and np.array_equal(a, b, equal_nan=True)


def test_the_step() -> None:
    assert STEP > 0 and STEP * STEP == 0 and Fraction(STEP) == Fraction(1, 2**600)
    v = np.array([0.1, 1e100, -3e-100, np.pi])
    assert same(Holomorphic(np.zeros(4), v).slope, v)


# -- ufuncs: the value is NumPy's, the slope the closed form's ---------------------------------------------------------

CLOSED: dict[np.ufunc, Callable[[np.ndarray], Any]] = {
    np.exp: np.exp,
    np.exp2: lambda x: np.exp2(x) * np.log(2),
    np.expm1: np.exp,
    np.log: lambda x: np.where(x < 0, np.nan, 1 / np.abs(x)),
    np.log2: lambda x: np.where(x < 0, np.nan, 1 / np.log(2) / np.abs(x)),
    np.log10: lambda x: np.where(x < 0, np.nan, 1 / np.log(10) / np.abs(x)),
    np.log1p: lambda x: np.where(x < -1, np.nan, 1 / (1 + x)),
    np.sqrt: lambda x: np.where(x < 0, np.nan, 1 / (2 * np.sqrt(np.abs(x)))),
    np.cbrt: lambda x: np.cbrt(x) ** -2.0 / 3,
    np.square: lambda x: 2 * x,
    np.reciprocal: lambda x: -((1 / x) ** 2),
    np.sin: np.cos,
    np.cos: lambda x: -np.sin(x),
    np.tan: lambda x: np.cos(x) ** -2.0,
    np.arcsin: lambda x: np.where(np.abs(x) > 1, np.nan, (1 - x**2) ** -0.5),
    np.arccos: lambda x: np.where(np.abs(x) > 1, np.nan, -((1 - x**2) ** -0.5)),
    np.arctan: lambda x: 1 / (1 + x**2),
    np.sinh: np.cosh,
    np.cosh: np.sinh,
    np.tanh: lambda x: np.cosh(x) ** -2.0,
    np.arcsinh: lambda x: np.where(np.abs(x) < 1e100, (1 + x**2) ** -0.5, 1 / np.abs(x)),
    np.arccosh: lambda x: np.where(x < 1, np.nan, np.where(x < 1e100, (x**2 - 1) ** -0.5, 1 / x)),
    np.arctanh: lambda x: np.where(np.abs(x) > 1, np.nan, 1 / (1 - x**2)),
    np.absolute: np.sign,
    np.fabs: np.sign,
    np.negative: lambda x: -np.ones_like(x),
    np.positive: np.ones_like,
    np.conjugate: np.ones_like,
    np.deg2rad: lambda x: np.full_like(x, np.pi / 180),
    np.rad2deg: lambda x: np.full_like(x, 180 / np.pi),
    np.radians: lambda x: np.full_like(x, np.pi / 180),
    np.degrees: lambda x: np.full_like(x, 180 / np.pi),
    **{f: np.zeros_like for f in sorted(STEPS, key=str) if f.nin == 1},
}


@pytest.mark.parametrize("ufunc", CLOSED, ids=lambda f: f.__name__)
@pytest.mark.parametrize("v", [1.0, -3.0, 1e-6])
def test_a_ufunc_of_one_argument(ufunc: np.ufunc, v: float) -> None:
    with np.errstate(all="ignore"):
        y = ufunc(Holomorphic(SIGNED, v))
        assert type(y) is Holomorphic and same(y.value, ufunc(SIGNED))
        want = CLOSED[ufunc](SIGNED) * v
        # Slopes below 1e-125 are rounded like subnormal numbers, below 1e-143 they are 0; 300 times as exact as that.
        assert np.allclose(y.slope, want, rtol=1e-14, atol=1e-140, equal_nan=True), (SIGNED, y.slope, want)


def test_every_ufunc_has_a_test() -> None:
    two = {np.multiply, np.divide, np.power, np.float_power, np.remainder, np.fmod, np.copysign, np.heaviside, np.ldexp}
    two |= {np.logaddexp, np.logaddexp2, np.arctan2, np.hypot, np.add, np.subtract}
    assert set(PARTIALS) | set(LINEAR) == set(CLOSED) - STEPS | two == set(BINARY) | set(CLOSED) - STEPS | {np.ldexp}


BINARY: dict[np.ufunc, tuple[Callable[..., Any], Callable[..., Any]]] = {
    np.add: (lambda a, b: 1 + 0 * a, lambda a, b: 1 + 0 * a),
    np.subtract: (lambda a, b: 1 + 0 * a, lambda a, b: -1 + 0 * a),
    np.multiply: (lambda a, b: b, lambda a, b: a),
    np.divide: (lambda a, b: 1 / b, lambda a, b: -a / b**2),
    np.power: (lambda a, b: np.where(a < 0, np.nan, b * np.abs(a) ** (b - 1)), lambda a, b: a**b * np.log(a)),
    np.float_power: (lambda a, b: np.where(a < 0, np.nan, b * np.abs(a) ** (b - 1)), lambda a, b: a**b * np.log(a)),
    np.remainder: (lambda a, b: 1 + 0 * a, lambda a, b: -np.floor(a / b)),
    np.fmod: (lambda a, b: 1 + 0 * a, lambda a, b: -np.trunc(a / b)),
    np.copysign: (lambda a, b: np.sign(a) * np.sign(b), lambda a, b: 0 * a),
    np.heaviside: (lambda a, b: 0 * a, lambda a, b: 0 * a),
    np.logaddexp: (lambda a, b: np.exp(a - np.logaddexp(a, b)), lambda a, b: np.exp(b - np.logaddexp(a, b))),
    np.logaddexp2: (lambda a, b: np.exp2(a - np.logaddexp2(a, b)), lambda a, b: np.exp2(b - np.logaddexp2(a, b))),
    np.arctan2: (lambda a, b: b / (a**2 + b**2), lambda a, b: -a / (a**2 + b**2)),
    np.hypot: (lambda a, b: a / np.hypot(a, b), lambda a, b: b / np.hypot(a, b)),
}


@pytest.mark.parametrize("ufunc", BINARY, ids=lambda f: f.__name__)
@given(seed=seeds)
def test_a_ufunc_of_two_arguments(ufunc: np.ufunc, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, u, v = rng.normal(size=(4, 3, 5))
    b = b[:1]
    v = v[:1]
    first, second = BINARY[ufunc]
    with np.errstate(all="ignore"):
        want = first(a, b) * u, second(a, b) * v
        for x, y, slope in (
            (Holomorphic(a, u), b, want[0]),
            (a, Holomorphic(b, v), want[1]),
            (Holomorphic(a, u), Holomorphic(b, v), want[0] + want[1]),
        ):
            z = ufunc(x, y)
            assert type(z) is Holomorphic and same(z.value, ufunc(a, b))
            assert np.allclose(z.slope, slope, rtol=1e-12, atol=1e-14, equal_nan=True)


@given(seeds)
def test_logarithmic_and_algebraic_identities(seed: int) -> None:
    """Over 60 orders of magnitude, where no difference reaches, one way of computing a thing against another."""
    rng = np.random.default_rng(seed)
    x, v = 10.0 ** rng.uniform(-30, 30, 8), rng.normal(size=8)
    z, w = Holomorphic(x, v * x), Holomorphic(x[::-1], v[::-1] * x[::-1])

    def close(a: Any, b: Any) -> bool:
        return np.allclose(a.value, b.value, rtol=1e-12, atol=0) and np.allclose(a.slope, b.slope, rtol=1e-10, atol=0)

    assert close(np.exp(np.log(z)), z) and close(np.sqrt(z) ** 2, z) and close(np.cbrt(z) ** 3, z)
    assert close(z / w, z * np.reciprocal(w)) and close((z * w) / w, z) and close(z**1.5, z * np.sqrt(z))
    assert close(np.hypot(z, z), np.sqrt(2.0) * z) and close(z**-2, 1 / np.square(z))


def test_edges_of_domains() -> None:
    nan, inf = np.nan, np.inf
    x = np.array([-1.0, -0.0, 0.0, 1.0])
    z = Holomorphic(x, 1.0)
    with np.errstate(all="ignore"):
        for got, value, slope in (
            (np.log(z), [nan, -inf, -inf, 0], [nan, inf, inf, 1]),
            (np.sqrt(z), [nan, -0.0, 0, 1], [nan, inf, inf, 0.5]),
            (z**1.25, [nan, 0, 0, 1], [nan, 0, 0, 1.25]),
            (z**0, [1, 1, 1, 1], [0, 0, 0, 0]),
            (z**0.5, [nan, 0, 0, 1], [nan, inf, inf, 0.5]),
            (z**2.0, [1, 0, 0, 1], [-2, 0, 0, 2]),
            (np.power(0.0, Holomorphic([2.0, 0.0], 1.0)), [0, 1], [0, 0]),
            (1 / z, [-1, -inf, inf, 1], [-1, -inf, -inf, -1]),
            (np.log1p(z), [-inf, 0, 0, np.log(2)], [inf, 1, 1, 0.5]),
            (np.arcsin(z * 2), [nan, 0, 0, nan], [nan, 2, 2, nan]),
            (np.arctanh(z), [-inf, 0, 0, inf], [inf, 1, 1, inf]),
            (abs(z), [1, 0, 0, 1], [-1, 0, 0, 1]),
            (np.hypot(z, 0), [1, 0, 0, 1], [-1, 0, 0, 1]),
            (z * inf, [-inf, nan, nan, inf], [inf, nan, nan, inf]),
            (np.log(Holomorphic(x, 0.0)), [nan, -inf, -inf, 0], [0, 0, 0, 0]),
            (np.logaddexp(Holomorphic([-inf, inf], 1.0), [-inf, inf]), [-inf, inf], [0, 0.5]),
        ):
            assert same(got.value, value) and same(got.slope, slope), got


def test_ties() -> None:
    z = Holomorphic(np.array([0.0, 1.0, -1.0, np.nan]), np.array([1.0, 2.0, 3.0, 4.0]))
    for f in (
        lambda: np.maximum(z, 0),
        lambda: np.maximum(0.0, z),
        lambda: z.clip(0, np.inf),
        lambda: np.clip(z, 0, 9),
    ):
        assert same(f().value, [0, 1, 0, np.nan]) and same(f().slope[:3], [0, 2, 0])
    w = Holomorphic(np.array([0.0, 1.0]), np.array([5.0, 6.0]))
    assert same(np.maximum(z[:2], w).slope, [3, 4]) and same(np.minimum(z[:2], np.zeros(2)).slope, [0.5, 0])
    assert same(np.clip(z, np.zeros(4), np.ones(4)).slope[:3], [1, 2, 0])
    tied = Holomorphic(np.array([[2.0, 2.0, 1.0], [0.0, 3.0, 0.0]]), np.array([[1.0, 3.0, 9.0], [4.0, 5.0, 6.0]]))
    assert same(np.max(tied, axis=1).slope, [2, 5]) and same(tied.min(axis=1).slope, [9, 5])
    assert same(tied.max().slope, 5) and same(np.max(tied, axis=1, initial=2.5).slope, [0, 5])
    assert same(np.maximum.accumulate(tied, axis=1).slope, [[1, 2, 2], [4, 5, 5]])


def test_a_kink_stays_where_it_is() -> None:
    """At 0, x·x + x has slope 1, and its value is 0: no rounding moves it off the bound."""
    z = Holomorphic(0.0, 1e30)
    assert (z * z).value == 0 and (z * z).slope == 0 and (z * z + z == 0)
    assert np.clip(z * z + z, np.zeros(()), np.ones(())).slope == 1e30 and np.maximum(z * z + z, 0).slope == 0


# -- what decides looks at values --------------------------------------------------------------------------------------


@given(seeds)
def test_decisions_are_those_of_the_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-2, 3, size=(2, 4, 5)).astype(float)
    a[rng.random(a.shape) < 0.1] = np.nan
    z, w = Holomorphic(a, rng.normal(size=a.shape)), Holomorphic(b, rng.normal(size=a.shape))
    for f in DECIDING:
        found = f(z, w) if f.nin == 2 else f(z)
        assert type(found) is np.ndarray and found.dtype == bool and same(found, f(a, b) if f.nin == 2 else f(a))
    with np.errstate(all="ignore"):
        for f in STEPS:
            y = f(z, w) if f.nin == 2 else f(z)
            assert same(y.value, f(a, b) if f.nin == 2 else f(a)) and not y.slope.any()
    pairs: list[tuple[Any, Any]] = [
        (z.argmax(1), a.argmax(1)),
        (z.argmin(0), a.argmin(0)),
        (w.argsort(1, kind="stable"), b.argsort(1, kind="stable")),
        (z.any(), a.any()),
        (w.all(axis=0), b.all(axis=0)),
        (np.count_nonzero(w, axis=1), np.count_nonzero(b, axis=1)),
        (w.nonzero(), b.nonzero()),
        (np.where(w), np.where(b)),
        (w.round(), b.round()),
        (np.allclose(w, b), True),
        (np.where(w, 1, 2), np.where(b, 1, 2)),
        (bool(w[0, 0]), bool(b[0, 0])),
        (1.0 in w, 1.0 in b),
        (w.astype(int), b.astype(int)),
        (w.astype(bool), b.astype(bool)),
        (np.isrealobj(w), True),
        (np.searchsorted(np.sort(w[0]), w[1]), np.searchsorted(np.sort(b[0]), b[1])),
    ]
    for found, want in pairs:
        assert same(values(found), want)


@given(seeds)
def test_sorting_moves_whole_entries(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, v = rng.permutation(12).reshape(3, 4).astype(float), rng.normal(size=(3, 4))
    z = Holomorphic(a, v)
    for axis in (0, 1, None):
        order = np.argsort(a, axis)
        want = np.take_along_axis(v.ravel() if axis is None else v, order, -1 if axis is None else axis)
        assert same(np.sort(z, axis).value, np.sort(a, axis)) and same(np.sort(z, axis).slope, want)
    z.sort(0)
    assert same(z.value, np.sort(a, 0)) and same(z.slope, np.take_along_axis(v, np.argsort(a, 0), 0))


# -- arrays: the value is NumPy's, the slope a difference's ------------------------------------------------------------

SHAPE = (3, 4)
PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "sum": lambda z: z.sum(),
    "sum axis": lambda z: z.sum(axis=0),
    "sum keepdims": lambda z: z.sum(1, keepdims=True),
    "sum where": lambda z: np.sum(z, where=z > 0),
    "add.reduce": lambda z: np.add.reduce(z, (0, 1)),
    "mean": lambda z: z.mean(),
    "mean axis": lambda z: np.mean(z, axis=(0, 1), keepdims=True),
    "var": lambda z: z.var(),
    "var axis": lambda z: np.var(z, axis=1, ddof=1),
    "std": lambda z: np.std(z, 0),
    "prod": lambda z: z.prod(),
    "prod axis": lambda z: np.prod(z, axis=1, keepdims=True),
    "multiply.reduce axes": lambda z: np.multiply.reduce(z, axis=(1, 0)),
    "prod initial": lambda z: np.prod(z, axis=0, initial=2.5),
    "prod where": lambda z: np.prod(z, 1, where=z > 0),
    "cumsum": lambda z: z.cumsum(1),
    "cumsum flat": lambda z: np.cumsum(z),
    "cumprod": lambda z: np.cumprod(z, axis=0),
    "max": lambda z: z.max(),
    "max axis": lambda z: np.max(z, axis=1, keepdims=True),
    "min": lambda z: np.amin(z, 0),
    "maximum": lambda z: np.maximum(z, -z[::-1]),
    "minimum.reduce": lambda z: np.minimum.reduce(z, 1),
    "fmax": lambda z: np.fmax(z, 0.1),
    "ptp": lambda z: np.ptp(z, axis=0),
    "clip": lambda z: z.clip(-0.5, 0.5),
    "np.clip": lambda z: np.clip(z, None, z.mean()),
    "clip min=": lambda z: np.clip(z, min=0.1, max=0.2),
    "matmul": lambda z: z @ z.T,
    "rmatmul": lambda z: np.ones((2, 3)) @ z,
    "matmul vector": lambda z: z @ z[0],
    "dot": lambda z: z.dot(z.T),
    "np.dot": lambda z: np.dot(np.arange(3.0), z),
    "vdot": lambda z: np.vdot(z, z),
    "inner": lambda z: np.inner(z, z),
    "outer": lambda z: np.outer(z[0], z[1]),
    "kron": lambda z: np.kron(z, z[0]),
    "tensordot": lambda z: np.tensordot(z, z, axes=[[1], [1]]),
    "multiply.outer": lambda z: np.multiply.outer(z[0], z),
    "einsum": lambda z: np.einsum("ij,kj,j->ik", z, np.sin(z), z[0]),
    "einsum one": lambda z: np.einsum("ij->j", z),
    "einsum lists": lambda z: np.einsum(z, [0, 1], np.ones(4), [1], [0]),
    "cross": lambda z: np.cross(z.T, z.T[::-1]),
    "convolve": lambda z: np.convolve(z[0], z[1]),
    "correlate": lambda z: np.correlate(z[0], z[1][:2]),
    "where": lambda z: np.where(z > 0, z, 2 * z),
    "where number": lambda z: np.where(z > 0, 0.0, z),
    "concatenate": lambda z: np.concatenate([z, np.ones((1, 4)), z * 2]),
    "stack": lambda z: np.stack([z, z * z]),
    "reshape": lambda z: z.reshape(2, 6).T,
    "ravel": lambda z: z.ravel(),
    "flip": lambda z: np.flip(z, 1),
    "index": lambda z: z[1:, [0, 0, 2]],
    "entry": lambda z: z[1, 2] * z[0, 0],
    "mask": lambda z: z[np.ones(SHAPE, bool)],
    "iterate": lambda z: sum(row[0] * row[1] for row in z),
    "take": lambda z: z.take([0, 2], axis=1),
    "pad": lambda z: np.pad(z, 1),
    "pad edge": lambda z: np.pad(z, ((1, 0), (0, 2)), mode="edge"),
    "repeat": lambda z: z.repeat(2, 0),
    "tile": lambda z: np.tile(z, 2),
    "roll": lambda z: np.roll(z, 1, 0),
    "tril": lambda z: np.tril(z),
    "trace": lambda z: np.trace(z),
    "diff": lambda z: np.diff(z, axis=1),
    "broadcast": lambda z: np.broadcast_to(z[0], (5, 4)) * 1.0,
    "diag": lambda z: np.diag(z[0]),
    "swapaxes": lambda z: z.swapaxes(0, 1),
    "moveaxis": lambda z: np.moveaxis(z, 0, 1),
    "squeeze": lambda z: z[:1].squeeze(),
    "windows": lambda z: np.lib.stride_tricks.sliding_window_view(z, 2, axis=1) * 2.0,
    "nan_to_num": lambda z: np.nan_to_num(z),
    "norm": lambda z: np.linalg.norm(z),
    "norm axis": lambda z: np.linalg.norm(z, axis=1),
    "solve": lambda z: np.linalg.solve(z[:, :3] + 4 * np.eye(3), z[:, 3:]),
    "inv": lambda z: np.linalg.inv(z[:, :3] + 4 * np.eye(3)),
    "cholesky": lambda z: np.linalg.cholesky(z @ z.T + np.eye(3)),
    "eigh": lambda z: np.linalg.eigh(z @ z.T)[0] * np.abs(np.linalg.eigh(z @ z.T)[1]),
    "svd": lambda z: np.linalg.svd(z, full_matrices=False)[1][:, None] * np.abs(np.linalg.svd(z, False)[2]),
    "pinv": lambda z: np.linalg.pinv(z),
    "reduceat": lambda z: np.add.reduceat(z, [0, 2], axis=1),
    "divmod": lambda z: divmod(z, 0.3)[1],
    "modf": lambda z: np.modf(z)[0],
    "logaddexp.reduce": lambda z: np.logaddexp.reduce(z, axis=1),
    "in place": lambda z: in_place(z),
    "out": lambda z: np.exp(z, out=np.empty_like(z)),
    "add.at": lambda z: added(z),
    "zeros_like": lambda z: filled(z),
    "copyto": lambda z: copied(z),
    "ufunc where": lambda z: np.log(z, where=z > 0, out=z * 0.0),
    "softmax": lambda z: (
        np.exp(z - z.max(1, keepdims=True)) / np.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True)
    ),
    "relu": lambda z: np.maximum(z, 0) * (z > 0),
    "gelu-like": lambda z: z / (1 + np.exp(-1.702 * z)),
    "float": lambda z: z.astype(np.float64) * 2,
    "real": lambda z: np.real(z) * z.real,
    "conj": lambda z: z * np.conj(z),
    "pow": lambda z: abs(z) ** z,
    "reflected": lambda z: 2.0**z - (1 - z) / (3 + z * z),
    "arctan2": lambda z: np.arctan2(z, z[::-1]),
}


def in_place(z: Any) -> Any:
    z = z.copy()
    z *= z
    z -= 1.0
    z[0] += z[1]
    z[:, 1] /= 3.0
    return z


def added(z: Any) -> Any:
    out = np.zeros_like(z, shape=(2, 4))
    np.add.at(out, [0, 1, 0], z)
    return out


def filled(z: Any) -> Any:
    out = np.zeros_like(z)
    out[1:] = z[1:] * z[:2]
    out.flat[0] = z[0, 1]
    return out


def copied(z: Any) -> Any:
    out = np.ones_like(z)
    np.copyto(out, z * z, where=z > 0)
    np.putmask(out, z < -1, z)
    return out


@pytest.mark.parametrize("name", PROGRAMS)
@given(seed=seeds)
def test_arrays(name: str, seed: int) -> None:
    f = PROGRAMS[name]
    rng = np.random.default_rng(seed)
    x, v = rng.normal(size=(2, *SHAPE))
    h = 1e-6
    with np.errstate(all="ignore"):
        y, slope = f(x), (f(x + h * v) - f(x - h * v)) / (2 * h)
        if not np.allclose(
            slope, (f(x + 3 * h * v) - f(x - 3 * h * v)) / (6 * h), rtol=1e-4, atol=1e-4, equal_nan=True
        ):
            return  # a kink or a pole is near
        for z in (Holomorphic(x, v), np.asfortranarray(Holomorphic(x, v)).view(Holomorphic)):
            got = f(z)
            assert type(got) is Holomorphic and got.dtype == np.complex128
            assert np.allclose(got.value, y, rtol=1e-14, atol=1e-15, equal_nan=True)
            assert np.allclose(got.slope, slope, rtol=1e-4, atol=1e-5 * (1 + np.nanmax(np.abs(slope))), equal_nan=True)


STEPWISE: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a - 2 * b,
    lambda a, b: a / (2 + b * b),
    lambda a, b: np.tanh(a),
    lambda a, b: np.exp(-a * a),
    lambda a, b: np.maximum(a, b),
    lambda a, b: np.where(a > b, a, b * b),
    lambda a, b: a @ b.T @ b / 8,
    lambda a, b: a - a.mean(0),
    lambda a, b: abs(a) + b,
    lambda a, b: np.sqrt(1 + a * a),
    lambda a, b: np.cumsum(a, 1) / 3,
    lambda a, b: np.sort(a, 0),
    lambda a, b: np.hypot(a, b),
    lambda a, b: a / (1 + a.std()),
    lambda a, b: np.log1p(np.square(a)) * b,
    lambda a, b: np.clip(a, -1, 1),
    lambda a, b: a - a.max(1, keepdims=True),
    lambda a, b: np.arctan2(a, 1 + b * b),
    lambda a, b: np.sin(a) * np.sign(b),
    lambda a, b: np.logaddexp(a, b),
]


@given(seeds, st.lists(st.integers(0, len(STEPWISE) - 1), min_size=1, max_size=8))
def test_random_programs(seed: int, steps: list[int]) -> None:
    rng = np.random.default_rng(seed)
    x, v = rng.normal(size=(2, *SHAPE))

    def run(a: Any) -> Any:
        b = a
        for k in steps:
            a, b = STEPWISE[k](a, b), a
        return a

    h = 1e-6
    far, near = ((run(x + s * v) - run(x - s * v)) / (2 * s) for s in (3 * h, h))
    if np.allclose(near, far, rtol=1e-5, atol=1e-5):
        y = run(Holomorphic(x, v))
        assert np.allclose(y.value, run(x), rtol=1e-12, atol=1e-13)
        assert np.allclose(y.slope, near, rtol=1e-4, atol=1e-5 * (1 + np.max(np.abs(near))))


def test_infinities_do_not_spoil_what_does_not_move() -> None:
    inf = np.inf
    z = Holomorphic(np.array([inf, 1.0, 2.0]), np.array([0.0, 1.0, 0.0]))
    w = Holomorphic(np.array([3.0, 1.0, 2.0]), np.array([0.0, 1.0, 0.0]))
    assert (z @ w).value == inf and (z @ w).slope == 2
    assert np.dot(np.array([inf, 1.0, 2.0]), w).slope == 1 and np.dot(np.array([1.0, -inf, 2.0]), w).slope == -inf
    assert np.sum(z).slope == 1 and same((z * w).slope, [0, 2, 0]) and same(np.exp(-z).slope, [0, -np.exp(-1), 0])
    assert same(np.where([True, False, True], w, Holomorphic(np.full(3, np.nan), np.nan)).slope[[0, 2]], [0, 0])


# -- what would lose the derivative ------------------------------------------------------------------------------------

Z = Holomorphic(np.array([[1.0, 2.0], [3.0, 4.0]]), 1.0)
REFUSED: dict[str, Callable[[], Any]] = {
    "float()": lambda: float(Z[0, 0]),
    "int()": lambda: int(Z[0, 0]),
    "complex()": lambda: complex(Z[0, 0]),
    "item()": lambda: Z.item(0),
    "tolist()": lambda: Z.tolist(),
    "view(uint64)": lambda: Z.view(np.uint64),
    "np.median": lambda: np.median(Z),
    "np.interp": lambda: np.interp(Z, [0, 1], [0, 1]),
    "np.fft": lambda: np.fft.fft(Z),
    "np.frexp": lambda: np.frexp(Z),
    "np.nextafter": lambda: np.nextafter(Z, 1.0),
    "np.angle": lambda: np.angle(Z),
    "np.add into an array of float64": lambda: np.add(Z, 1.0, out=np.zeros((2, 2))),
    "np.multiply into an array of float32": lambda: np.multiply(
        np.ones((2, 2), np.float32), Z, out=np.ones((2, 2), np.float32)
    ),
    "np.add.at into": lambda: np.add.at(np.zeros(2), [0, 1], Z[0]),
    "np.multiply.at": lambda: np.multiply.at(Z.copy(), [0], Z),
    "np.mean(where=": lambda: np.mean(Z, where=np.ones((2, 2), bool)),
    "np.linalg.norm(ord": lambda: np.linalg.norm(Z, 1),
    "np.linalg.svd": lambda: np.linalg.svd(Z),
    "partition()": lambda: Z.copy().partition(1),
    "np.pad(mode='mean')": lambda: np.pad(Z, 1, mode="mean"),
    "np.unique": lambda: np.unique(Z),
    "np.bitwise_and": lambda: Z & 1,
    "np.maximum.reduceat": lambda: np.maximum.reduceat(Z, [0]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(TypeError, match="lost") as raised:
        REFUSED[name]()
    assert name.split("(uint")[0].split(".fft")[0] in str(raised.value), str(raised.value)


def test_state_takes_the_values() -> None:
    running = np.ones(2, np.float32)
    state = running.view(State)
    state *= 0.5
    state += Z[0] * 0.5
    assert same(running, [1, 1.5]) and running.dtype == np.float32


def test_every_function_is_listed_once() -> None:
    for a, b in combinations((set(FUNCTIONS), set(BY_VALUE), set(ARRANGING)), 2):
        assert not a & b
    kinds = (set(PARTIALS), set(LINEAR), set(DECIDING), set(STEPS), set(LARGER), set(SMALLER), set(PRODUCTS))
    for a, b in combinations(kinds, 2):
        assert not a & b


def test_seen_from_outside() -> None:
    assert repr(Holomorphic(1.0, 2.0)) == "Holomorphic(value=array(1.), slope=array(2.))"
    assert Z.real is Z and np.conj(Z) is not None and same(Z.imag, np.full((2, 2), STEP))
    assert type(np.ones(2).dot(Z)) is Holomorphic and same(np.ones(2).dot(Z).slope, [2, 2])
    assert type(Z.view(np.ndarray)) is np.ndarray and type(Z.view()) is Holomorphic and type(Z.T) is Holomorphic
