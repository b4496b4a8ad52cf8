"""Initial values: torch's gains and scales, our layouts, nobody's global random state."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad.nn import init

RANDOM: list[Callable[..., Any]] = [
    init.normal,
    init.uniform,
    init.kaiming_normal,
    init.kaiming_uniform,
    init.xavier_normal,
    init.xavier_uniform,
    init.orthogonal,
]
NAMES = ["linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]
NAMES += ["sigmoid", "tanh", "relu", "leaky_relu", "selu"]


@pytest.mark.parametrize("name", NAMES)
def test_gains_are_torchs(torch: Any, name: str) -> None:
    assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-15)


@given(st.one_of(st.floats(-10, 10), st.integers(-3, 3)))
def test_gain_of_leaky_relu(torch: Any, slope: float) -> None:
    assert init.calculate_gain("leaky_relu", slope) == pytest.approx(
        torch.nn.init.calculate_gain("leaky_relu", slope), rel=1e-15
    )


def test_gains_nobody_knows() -> None:
    with pytest.raises(ValueError, match=r"no gain is known for the nonlinearity 'gelu'. Known are linear"):
        init.calculate_gain("gelu")
    for slope in (True, "steep"):
        with pytest.raises(ValueError, match="slope of leaky_relu must be a number"):
            init.calculate_gain("leaky_relu", slope)  # type: ignore[arg-type]


def test_fans() -> None:
    assert init.fans((30, 200)) == (30, 200)
    assert init.fans((16, 3, 5)) == (15, 80)
    assert init.fans((16, 3, 5, 7)) == (105, 560)
    for shape in (4, (), (4,)):
        with pytest.raises(ValueError, match="no fan_in and fan_out"):
            init.fans(shape)


@pytest.mark.parametrize("draw", RANDOM)
def test_generators_are_required_and_decide_everything(draw: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"got none: pass rng=np.random.default_rng"):
        draw((3, 4))
    with pytest.raises(TypeError, match=r"got int: pass rng=np.random.default_rng\(7\)"):
        draw((3, 4), rng=7)
    a, b = (draw((3, 4), rng=np.random.default_rng(1)) for _ in range(2))
    assert a.dtype == np.float32 and a.shape == (3, 4) and np.array_equal(a, b)
    wide = draw((3, 4), rng=np.random.default_rng(1), dtype=np.float64)
    assert wide.dtype == np.float64 and np.array_equal(wide.astype(np.float32), a)
    assert a.flags.writeable and a.flags.c_contiguous and a.base is None


def theirs(torch: Any, name: str, shape: tuple[int, ...], **options: Any) -> float:
    """The standard deviation torch aims at, from the bounds or numbers it passes on."""
    weight = torch.empty(shape, dtype=torch.float64)
    torch.manual_seed(0)
    getattr(torch.nn.init, name + "_")(weight, **options)
    return float(weight.std())


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("nonlinearity", ["relu", "tanh", "leaky_relu", "linear"])
@pytest.mark.parametrize("shape", [(60, 500), (40, 20, 3, 5)])
def test_kaiming_has_torchs_scale(
    torch: Any, distribution: str, mode: str, nonlinearity: str, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    options = {"mode": mode, "nonlinearity": nonlinearity, "a": 0.3}
    w = getattr(init, f"kaiming_{distribution}")(shape, rng=rng, dtype=np.float64, **options)
    torch_shape = shape[::-1] if len(shape) == 2 else shape
    expected = theirs(torch, f"kaiming_{distribution}", torch_shape, **options)
    assert w.std() == pytest.approx(expected, rel=0.03)
    exact = init.calculate_gain(nonlinearity, 0.3) / math.sqrt(init.fans(shape)[mode == "fan_out"])
    assert w.std() == pytest.approx(exact, rel=0.02)
    if distribution == "uniform":
        assert np.abs(w).max() <= math.sqrt(3) * exact


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize("shape", [(60, 500), (40, 20, 3, 5)])
def test_xavier_has_torchs_scale(torch: Any, distribution: str, shape: tuple[int, ...]) -> None:
    w = getattr(init, f"xavier_{distribution}")(shape, rng=np.random.default_rng(0), gain=1.7)
    torch_shape = shape[::-1] if len(shape) == 2 else shape
    assert w.std() == pytest.approx(theirs(torch, f"xavier_{distribution}", torch_shape, gain=1.7), rel=0.03)


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([(), (2,), (2, 2)]), st.floats(0.1, 3))
def test_orthogonal_is_orthogonal(rows: int, columns: int, window: tuple[int, ...], gain: float) -> None:
    shape = (rows, columns, *window)
    w = init.orthogonal(shape, rng=np.random.default_rng(0), gain=gain, dtype=np.float64)
    assert w.shape == shape
    m = w.reshape(rows, -1)
    m = m if rows <= m.shape[1] else m.T
    np.testing.assert_allclose(m @ m.T, gain**2 * np.eye(len(m)), atol=1e-12)


def test_orthogonal_is_uniform() -> None:
    rng = np.random.default_rng(0)
    corner = np.array([init.orthogonal((2, 2), rng=rng)[0, 0] for _ in range(2000)])
    # The first entry is the cosine of a uniform angle: mean 0, variance 1/2.
    assert abs(corner.mean()) < 0.06 and abs((corner**2).mean() - 0.5) < 0.04


def test_fills() -> None:
    assert not init.zeros((2, 3)).any() and init.zeros(3).dtype == np.float32
    assert init.ones(2, dtype=np.float64).tolist() == [1, 1]
    assert init.constant((2,), 0.5).tolist() == [0.5, 0.5]


def test_bounds_and_moments() -> None:
    rng = np.random.default_rng(0)
    u = init.uniform(10_000, -1.0, 3.0, rng=rng)
    assert -1 <= u.min() < -0.99 and 2.99 < u.max() <= 3
    n = init.normal(10_000, 2.0, 0.5, rng=rng)
    assert n.mean() == pytest.approx(2.0, abs=0.02) and n.std() == pytest.approx(0.5, rel=0.03)


def test_unknown_mode() -> None:
    with pytest.raises(ValueError, match="mode must be 'fan_in' or 'fan_out', got 'fan_avg'"):
        init.kaiming_normal((2, 3), mode="fan_avg", rng=np.random.default_rng(0))
