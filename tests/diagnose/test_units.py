"""Census, effective rank, calibration: compared with what one would write without chunks, hooks or singular values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor, nn
from npgrad.diagnose import (
    Calibration,
    UnitCensus,
    activations,
    calibrate,
    census,
    effective_rank,
    undisturbed,
)
from npgrad.functions import cross_entropy
from tests.diagnose.test_monitor import network

ACTIVATIONS = [nn.Tanh, nn.Sigmoid, nn.ReLU, nn.ELU, nn.LeakyReLU]


@given(
    seed=st.integers(0, 1000),
    kind=st.sampled_from(ACTIVATIONS),
    scale=st.floats(0.1, 50),
    examples=st.integers(1, 40),
    chunk=st.integers(1, 50),
)
def test_census_is_that_of_all_examples_at_once(
    seed: int, kind: type[nn.Module], scale: float, examples: int, chunk: int
) -> None:
    rng = np.random.default_rng(seed)
    model = nn.Sequential(nn.Linear(4, 7, rng=rng, gain=scale, dtype=np.float64), kind())
    x = rng.normal(size=(examples, 4))
    (found,) = census(model, Tensor(x).numpy(), chunk=chunk, threshold=0.9)
    h = model(Tensor(x)).numpy()
    beyond = {
        nn.Tanh: np.abs(h) > 0.9,
        nn.Sigmoid: (h < 0.05) | (h > 0.95),
        nn.ReLU: h == 0,
        nn.ELU: h < -0.9,
        nn.LeakyReLU: np.zeros(h.shape, bool),
    }[kind]
    assert (found.name, found.kind, found.depth, found.layers, found.examples) == ("1", kind.__name__, 1, 1, examples)
    # A product of matrices may round differently in chunks.
    np.testing.assert_allclose(found.largest, np.abs(h).max(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.smallest, np.abs(h).min(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.saturated, beyond.mean(axis=0))
    np.testing.assert_array_equal(found.dead, beyond.all(axis=0))
    np.testing.assert_allclose(activations(model, x, chunk=chunk)["1"], h, rtol=1e-9, atol=1e-12)


def test_units_of_a_convolution_are_its_channels() -> None:
    rng = np.random.default_rng(0)
    conv = nn.Conv2d(2, 3, 2, rng=rng)
    assert conv.bias is not None
    conv.bias.data = np.array([-100.0, 0.0, 100.0])
    (found,) = census(nn.Sequential(conv, nn.ReLU()), rng.normal(size=(5, 2, 4, 4)).astype(np.float32))
    assert found.examples == 5 * 3 * 3
    assert found.dead.tolist() == [True, False, False] and found.saturated[2] == 0


def test_units_that_are_not_finite_are_not_called_alive() -> None:
    class Broken(nn.Module):
        def forward(self, x: Any) -> Tensor:
            return Tensor(np.array([[np.nan, 0.0]] * len(x)))

    (found,) = census(nn.Sequential(Broken(), nn.Tanh()), np.zeros((3, 1)))
    assert np.isnan(found.saturated[0]) and found.saturated[1] == 0 and not found.dead.any()


def test_a_census_survives_as_arrays() -> None:
    for k, found in enumerate(census(network(), np.zeros((3, 2), int))):
        again = UnitCensus.from_arrays(found.to_arrays(f"{k}/"), f"{k}/")
        for name, value in vars(found).items():
            np.testing.assert_array_equal(getattr(again, name), value)


LOOKS: dict[str, Callable[[nn.Module, Any], object]] = {
    "census": lambda model, x: census(model, x, training=True),
    "activations": lambda model, x: activations(model, x),
    "calibrate": lambda model, x: calibrate(model, x),
}


@pytest.mark.parametrize("look", LOOKS)
def test_looking_changes_nothing(look: str) -> None:
    model, x = network(), np.random.default_rng(0).integers(5, size=(20, 2))
    cross_entropy(model(x), np.zeros(20, int)).backward()
    model.modules()[3].training = False
    modes = [module.training for module in model.modules()]
    state, gradients = model.state_dict(), [p.grad for p in model.parameters()]
    dropout: Any = next(module for module in model.modules() if isinstance(module, nn.Dropout))
    stream = str(dropout.rng.bit_generator.state)
    LOOKS[look](model, x)
    assert modes == [module.training for module in model.modules()]
    assert not any(module._hooked for module in model.modules())
    assert all(p.grad is g for p, g in zip(model.parameters(), gradients, strict=True))
    assert str(dropout.rng.bit_generator.state) == stream
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, state[name])


def test_a_model_is_put_back_also_after_an_error() -> None:
    model = network()
    with pytest.raises(KeyError), undisturbed(model, training=False):
        assert not any(module.training for module in model.modules())
        raise KeyError
    assert all(module.training for module in model.modules())


def test_questions_without_an_answer_are_refused() -> None:
    model, nothing = network(), np.zeros((0, 2), int)
    with pytest.raises(ValueError, match="no examples"):
        census(model, nothing)
    with pytest.raises(ValueError, match="at least one example"):
        census(model, np.zeros((2, 2), int), chunk=0)
    with pytest.raises(ValueError, match="without a module that is known to saturate"):
        census(nn.Sequential(nn.Flatten()), Tensor(np.zeros((2, 2))).numpy())
    with pytest.raises(ValueError, match=r"not known where 1 \(Flatten\) saturates"):
        census(model, np.zeros((2, 2), int), layers=lambda name, module: name == "1")
    with pytest.raises(ValueError, match="variance over 1 example says nothing"):
        calibrate(model, np.zeros((1, 2), int))
    with pytest.raises(ValueError, match="nothing to calibrate"):
        calibrate(network(norm="none"), np.zeros((5, 2), int))


# -- effective rank ----------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 1000), rows=st.integers(1, 12), columns=st.integers(1, 12), scale=st.floats(1e-100, 1e100))
def test_effective_rank_lies_between_one_and_the_rank_and_ignores_scale_and_rotation(
    seed: int, rows: int, columns: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(rows, columns))
    rank = effective_rank(a)
    assert 1 - 1e-9 <= rank <= min(rows, columns) + 1e-9
    assert effective_rank(scale * a) == pytest.approx(rank)
    q, _ = np.linalg.qr(rng.normal(size=(columns, columns)))
    assert effective_rank(a @ q) == pytest.approx(rank)


def test_effective_rank_counts_directions_of_equal_strength() -> None:
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 6)))
    assert effective_rank(q) == pytest.approx(6)
    assert effective_rank(np.outer(np.arange(5.0), np.ones(3))) == pytest.approx(1)
    assert effective_rank(np.zeros((3, 3))) == 0
    # Singular values 3 and 1: exp of the entropy of (3/4, 1/4), Roy & Vetterli's definition.
    assert effective_rank(np.diag([3.0, 1.0])) == pytest.approx(np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25)))
    offset = np.random.default_rng(1).normal(size=(50, 4)) + 1000
    assert effective_rank(offset) < 1.1 and effective_rank(offset, centre=True) > 3
    with pytest.raises(ValueError, match="not finite"):
        effective_rank(np.array([[np.nan, 1.0]]))
    with pytest.raises(ValueError, match="shape"):
        effective_rank(np.ones(3))


# -- calibration -------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 1000), chunk=st.integers(1, 60), ddof=st.integers(0, 1))
def test_exact_statistics_are_those_of_one_batch_of_everything(seed: int, chunk: int, ddof: int) -> None:
    rng = np.random.default_rng(seed)
    norms = [nn.BatchNorm1d(4, momentum=0.3, ddof=ddof, dtype=np.float64) for _ in range(2)]
    linears = [nn.Linear(4, 4, rng=rng, dtype=np.float64) for _ in range(2)]
    model = nn.Sequential(linears[0], norms[0], nn.Tanh(), linears[1], norms[1])
    data = rng.normal(1, 3, size=(50, 4))
    with npgrad.no_grad():
        model(Tensor(data[:10]))
    found = calibrate(model, data, chunk=chunk)
    assert [layer.name for layer in found] == ["1", "4"] and [layer.depth for layer in found] == [1, 2]
    for layer, norm in zip(found, norms, strict=True):
        np.testing.assert_array_equal(layer.running_mean, norm.running_mean)
        norm.momentum = 1.0
    model.train()
    with npgrad.no_grad():
        whole = model(Tensor(data)).numpy()
    for layer, norm in zip(found, norms, strict=True):
        np.testing.assert_allclose(layer.mean, norm.running_mean, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(layer.var, norm.running_var, rtol=1e-9)
    for norm in norms:
        norm.running_mean[...] = 99
    found.apply(model)
    with npgrad.no_grad():
        # Variances of n and n − 1 differ, and only that.
        np.testing.assert_allclose(model.eval()(Tensor(data)).numpy(), whole, rtol=0.03, atol=0.03)
    again = Calibration.from_arrays(found.to_arrays("c/"), "c/")
    assert [vars(a).keys() for a in again] == [vars(b).keys() for b in found]
    assert again[1].mean_error == found[1].mean_error and again[1].std_error == found[1].std_error


def test_images_are_calibrated_by_channel() -> None:
    data = np.random.default_rng(0).normal(size=(6, 3, 4, 5))
    (found,) = calibrate(nn.Sequential(AsTensor(), nn.BatchNorm2d(3, dtype=np.float64)), data, chunk=2)
    np.testing.assert_allclose(found.mean, data.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(found.var, data.var(axis=(0, 2, 3), ddof=1))
    assert found.mean_error == pytest.approx(np.sqrt(np.mean(found.mean**2 / found.var)))


class AsTensor(nn.Module):
    def forward(self, x: Any) -> Tensor:
        return Tensor(x)
