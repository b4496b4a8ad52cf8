"""Predicted propagation against closed forms, textbook numbers and wide random networks."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad import Tensor, nn
from npgrad.diagnose import (
    Layer,
    Monitor,
    Propagation,
    fixed_point,
    gradient_of_ignorance,
    moments,
    predict,
    read_layers,
)
from npgrad.functions import cross_entropy

WIDTH, DEPTH, INPUT = 300, 6, 200


def test_tanh_at_gain_five_thirds_settles_where_theory_says() -> None:
    q = fixed_point("tanh", 5 / 3)
    found = moments("tanh", q)
    assert math.sqrt(found.mean_square) == pytest.approx(0.651, abs=0.0005)
    assert (5 / 3) ** 2 * found.slope_square == pytest.approx(1.21, abs=0.0005)
    # |tanh x| > 0.97 is |x| > artanh 0.97.
    assert found.saturated[0] == pytest.approx(math.erfc(math.atanh(0.97) / math.sqrt(2 * q)))
    assert found.saturated[0] == pytest.approx(0.0539, abs=0.0001)


@given(q=st.floats(0, 1e4))
def test_relu_has_closed_forms(q: float) -> None:
    found = moments("relu", q)
    assert found.mean == pytest.approx(math.sqrt(q / (2 * math.pi)))
    assert found.mean_square == pytest.approx(q / 2)
    assert found.slope_square == pytest.approx(0.5 if q else 0.0)
    slope = 0.2
    leaky = moments(nn.LeakyReLU(slope), q)
    assert leaky.mean_square == pytest.approx(q * (1 + slope**2) / 2)


@given(q=st.floats(0, 1.0), activation=st.sampled_from(["tanh", "sigmoid", "gelu", "silu"]))
def test_smooth_activations_agree_with_gauss_hermite(q: float, activation: str) -> None:
    z, w = np.polynomial.hermite_e.hermegauss(80)
    w = w / math.sqrt(2 * math.pi)
    module = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "silu": nn.SiLU}[activation]()
    h = module(Tensor(math.sqrt(q) * z)).numpy()
    found = moments(activation, q)
    assert found.mean == pytest.approx(w @ h, abs=1e-6)
    assert found.mean_square == pytest.approx(w @ h**2, abs=1e-6)


def test_narrow_peaks_are_not_missed() -> None:
    # For large q: E tanh'² → ∫ sech⁴(x) dx / √(2πq) = (4/3)/√(2πq).
    q = 1e6
    assert moments("tanh", q).slope_square == pytest.approx(4 / 3 / math.sqrt(2 * math.pi * q), rel=1e-4)


@pytest.mark.parametrize(
    ("activation", "gain", "q"),
    [("relu", math.sqrt(2), 1.0), ("relu", 1.0, 0.0), ("relu", 2.0, math.inf), ("linear", 1.0, 1.0), ("tanh", 1.0, 0)],
)
def test_fixed_points_that_are_known(activation: str, gain: float, q: float) -> None:
    assert fixed_point(activation, gain) == q


@given(gain=st.floats(1.1, 5), bias=st.floats(0, 1))
def test_a_layer_maps_the_fixed_point_to_itself(gain: float, bias: float) -> None:
    q = fixed_point("tanh", gain, bias)
    assert gain**2 * moments("tanh", q).mean_square + bias**2 == pytest.approx(q, rel=1e-9)


def test_batch_normalised_relu_explodes_as_yang_found() -> None:
    found = predict([Layer(100, 100, 1.0, "relu", "batch")] * 10)
    np.testing.assert_allclose(found.chi[1:], math.pi / (math.pi - 1))
    ratio = found.gradient_std[:-1] / found.gradient_std[1:]
    np.testing.assert_allclose(ratio, math.sqrt(math.pi / (math.pi - 1)))
    same = predict([Layer(100, 100, 1.0, "relu", "layer")] * 10)
    np.testing.assert_allclose(same.gradient_std, 1.0)


@given(gain=st.floats(0.01, 100), norm=st.sampled_from(["batch", "layer"]), layers=st.integers(1, 5))
def test_normalisation_forgets_the_gain(gain: float, norm: str, layers: int) -> None:
    one = predict([Layer(30, 30, 1.0, "tanh", norm)] * layers)
    other = predict([Layer(30, 30, gain, "tanh", norm)] * layers)
    np.testing.assert_allclose(one.activation_std, other.activation_std)
    np.testing.assert_allclose(one.gradient_std, other.gradient_std)


def network(kind: type[nn.Module], norm: str, gain: float, rng: np.random.Generator) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise([INPUT] + [WIDTH] * DEPTH):
        layers.append(nn.Linear(n_in, n_out, norm != "batch", rng=rng, gain=gain, dtype=np.float64))
        if norm == "batch":
            layers.append(nn.BatchNorm1d(n_out, dtype=np.float64))
        if norm == "layer":
            layers.append(nn.LayerNorm(n_out, dtype=np.float64))
        layers.append(kind())
    return nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("kind", "norm", "gain"),
    [
        (nn.Tanh, "none", 5 / 3),
        (nn.Tanh, "none", 1.0),
        (nn.Tanh, "none", 3.0),
        (nn.LeakyReLU, "none", 1.4),
        (nn.GELU, "none", 1.5),
        (nn.Tanh, "batch", 0.2),
        (nn.ReLU, "batch", 1.0),
        (nn.ReLU, "layer", 5.0),
    ],
)
def test_wide_networks_do_what_was_predicted(kind: type[nn.Module], norm: str, gain: float) -> None:
    rng = np.random.default_rng(0)
    model = network(kind, norm, gain, rng)
    predicted = predict(read_layers(model))
    monitor = Monitor(model, every=1)
    with monitor.watch(0):
        y = model(Tensor(rng.normal(size=(300, INPUT))))
        y.backward(rng.normal(size=y.shape))
    record = monitor.record
    k = record.activations() if kind is not nn.GELU else record.layers("GELU")
    np.testing.assert_array_equal(record.layer_depth[k], predicted.depth)
    np.testing.assert_allclose(record.activation_std[0, k], predicted.activation_std, rtol=0.15)
    np.testing.assert_allclose(record.gradient_std[0, k], predicted.gradient_std, rtol=0.15)
    if kind is nn.Tanh:
        np.testing.assert_allclose(record.saturated[0, k], predicted.saturated, atol=0.01)


def test_gradients_at_the_beginning_are_those_of_ignorance() -> None:
    logits = Tensor(np.zeros((32, 27)), requires_grad=True)
    cross_entropy(logits, np.arange(32) % 27).backward()
    assert logits.grad is not None
    assert logits.grad.std() == pytest.approx(gradient_of_ignorance(27, 32))


def test_a_network_is_read_as_it_is() -> None:
    rng = np.random.default_rng(0)
    norm = nn.BatchNorm1d(50)
    assert norm.weight is not None
    norm.weight.data = np.full(50, 0.1)
    model = nn.Sequential(
        nn.Embedding(9, 20, rng=rng),
        nn.Flatten(),
        nn.Linear(40, 50, rng=rng, gain=2.0),
        nn.Tanh(),
        nn.Sequential(nn.Linear(50, 50, False, rng=rng), norm, nn.Dropout(0.5, rng=rng)),
    )
    first, second = read_layers(model)
    assert (first.fan_in, first.fan_out, first.norm) == (40, 50, "none") and isinstance(first.activation, nn.Tanh)
    assert first.gain == pytest.approx(2, rel=0.05) and first.bias_std == 0
    assert (second.norm, second.activation) == ("batch", "linear") and second.norm_gain == pytest.approx(0.1)


def test_a_prediction_survives_as_arrays() -> None:
    found = predict([Layer(3, 3, 1.0)] * 2)
    again = Propagation.from_arrays(found.to_arrays("p/"), "p/")
    for name, value in vars(found).items():
        np.testing.assert_array_equal(getattr(again, name), value)


def test_what_the_theory_does_not_cover_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="no layers"):
        predict([])
    with pytest.raises(ValueError, match="no norm 'spectral'"):
        predict([Layer(3, 3, 1.0, norm="spectral")])
    with pytest.raises(ValueError, match="no activation 'swish'"):
        moments("swish", 1.0)
    with pytest.raises(ValueError, match=r"cannot be -1"):
        moments("tanh", -1.0)
    with pytest.raises(ValueError, match=r"1 \(Conv1d\) is not covered"):
        read_layers(nn.Sequential(nn.Linear(2, 2, rng=rng), nn.Conv1d(1, 1, 1, rng=rng)))
    with pytest.raises(ValueError, match="before the first linear layer"):
        read_layers(nn.Sequential(nn.Tanh(), nn.Linear(2, 2, rng=rng)))
    with pytest.raises(ValueError, match="has no linear layer"):
        read_layers(nn.Sequential(nn.Flatten()))
