"""Sharpness and gradient noise, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor, nn, optim
from npgrad.diagnose import NoiseScale, lanczos, noise_scale, sharpness
from npgrad.functions import cross_entropy
from tests.diagnose.test_monitor import network


@given(seed=st.integers(0, 10_000), n=st.integers(1, 12), shift=st.floats(-5, 5))
def test_lanczos_finds_the_largest_eigenvalue(seed: int, n: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, n))
    a = a + a.T + shift * np.eye(n)
    found = lanczos(lambda v: a @ v, n, rng=rng, tolerance=1e-12)
    assert found.converged and found.products <= n
    assert found.value == pytest.approx(np.linalg.eigvalsh(a)[-1], rel=1e-8, abs=1e-8)
    np.testing.assert_allclose(a @ found.vector, found.value * found.vector, atol=1e-5 * (1 + abs(found.value)))
    assert np.linalg.norm(found.vector) == pytest.approx(1)


@pytest.mark.parametrize("matrix", [np.zeros((4, 4)), np.eye(4), np.diag([2.0, 2.0, -3.0]), np.array([[-7.0]])])
def test_lanczos_copes_with_repeated_eigenvalues(matrix: np.ndarray) -> None:
    found = lanczos(lambda v: matrix @ v, len(matrix), rng=np.random.default_rng(0))
    assert found.value == pytest.approx(np.linalg.eigvalsh(matrix)[-1], abs=1e-9) and found.converged


def test_the_residual_tells_how_far_the_value_can_be_off() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(60, 60))
    a = a + a.T
    eigenvalues = np.linalg.eigvalsh(a)
    few = lanczos(lambda v: a @ v, 60, rng=rng, products=8, tolerance=1e-9)
    assert not few.converged and few.products == 8
    assert few.residual == pytest.approx(np.linalg.norm(a @ few.vector - few.value * few.vector))
    assert np.abs(eigenvalues - few.value).min() <= few.residual


def test_sharpness_is_the_top_of_the_dense_hessian() -> None:
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Linear(3, 4, rng=rng, dtype=np.float64),
        nn.BatchNorm1d(4, dtype=np.float64),
        nn.Tanh(),
        nn.Linear(4, 3, rng=rng, dtype=np.float64),
    )
    x, y = Tensor(rng.normal(size=(9, 3))), rng.integers(3, size=9)

    def loss() -> Tensor:
        return cross_entropy(model(x), y)

    state = model.state_dict()
    found = sharpness(model, loss, rng=rng, tolerance=1e-8)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    parameters = model.parameters()
    size = sum(p.size for p in parameters)
    cuts = np.cumsum([p.size for p in parameters])[:-1]
    rows = []
    for v in np.eye(size):
        pieces = [piece.reshape(p.shape) for piece, p in zip(np.split(v, cuts), parameters, strict=True)]
        rows.append(np.concatenate([h.ravel() for h in npgrad.hvp(loss, parameters, pieces)]))
    assert found.value == pytest.approx(np.linalg.eigvalsh(np.array(rows))[-1], rel=1e-8)
    assert found.converged and found.products < size


class Bowl(nn.Module):
    def __init__(self) -> None:
        self.w = nn.Parameter(np.array([1.0, 1.0, 1.0]))

    def forward(self) -> Tensor:
        return npgrad.sum(np.array([0.5, 3.0, 10.0]) * self.w * self.w) * 0.5


@pytest.mark.parametrize(("factor", "falls"), [(0.95, True), (1.05, False)])
def test_gradient_descent_is_stable_up_to_two_over_sharpness(factor: float, falls: bool) -> None:
    model = Bowl()
    found = sharpness(model, model, rng=np.random.default_rng(0))
    assert found.value == pytest.approx(10)
    assert found.largest_stable_rate == pytest.approx(0.2)
    optimizer = optim.SGD(model.parameters(), lr=factor * found.largest_stable_rate)
    first = model().item()
    for _ in range(50):
        optimizer.zero_grad()
        model().backward()
        optimizer.step()
    assert (model().item() < first) == falls


def test_there_is_no_sharpness_of_nothing() -> None:
    model = Bowl()
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="Bowl has no parameter that requires a gradient"):
        sharpness(model, model, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="not finite"):
        lanczos(lambda v: v * np.nan, 3, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="at least 1"):
        lanczos(lambda v: v, 0, rng=np.random.default_rng(0))


# -- noise -------------------------------------------------------------------------------------------------------------


class Mean(nn.Module):
    """Its gradient for one example is the example itself."""

    def __init__(self, n: int) -> None:
        self.w = nn.Parameter(np.zeros(n))

    def forward(self, x: np.ndarray) -> Tensor:
        return npgrad.sum(self.w * x) / len(x)


def test_the_noise_scale_of_gradients_with_known_mean_and_covariance() -> None:
    rng = np.random.default_rng(0)
    model, n = Mean(4), 20_000
    x = rng.normal([0.3, -0.2, 0.0, 0.1], [1.0, 2.0, 0.5, 0.1], size=(n, 4))
    found = noise_scale(model, lambda x, y: model(x), x, np.zeros(n), small=4, big=256, repeats=200, rng=rng)
    signal, noise = float(np.sum(x.mean(axis=0) ** 2)), float(x.var(axis=0).sum())
    assert found.noise == pytest.approx(noise, rel=0.03)
    assert found.signal == pytest.approx(signal, rel=0.1)
    assert found.scale == pytest.approx(noise / signal, rel=0.12)
    assert len(found.signals) == len(found.noises) == 200


def test_without_a_signal_the_scale_is_infinite() -> None:
    assert NoiseScale(np.array([-0.1, 0.05]), np.array([1.0, 1.0])).scale == float("inf")


def test_noise_is_measured_without_disturbing_the_model() -> None:
    model, rng = network(), np.random.default_rng(0)
    x, y = rng.integers(5, size=(64, 2)), rng.integers(4, size=64)
    state = model.state_dict()
    noise_scale(model, lambda x, y: cross_entropy(model(x), y), x, y, small=8, big=32, repeats=2, rng=rng)
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, state[name])


@pytest.mark.parametrize(("small", "big", "repeats"), [(0, 8, 1), (5, 8, 1), (4, 65, 1), (4, 8, 0)])
def test_sizes_that_make_no_sense_are_refused(small: int, big: int, repeats: int) -> None:
    model = Mean(1)
    with pytest.raises(ValueError, match="needs 0 < small"):
        noise_scale(
            model,
            lambda x, y: model(x),
            np.zeros((64, 1)),
            np.zeros(64),
            small=small,
            big=big,
            repeats=repeats,
            rng=np.random.default_rng(0),
        )
