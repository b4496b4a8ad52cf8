"""The networks are the lecture's: shapes, scales, and what differs between stages."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models
from models.deep_mlp import NORMS, DeepMLP
from models.mlp import MLP, STAGES
from npgrad import nn
from npgrad.functions import cross_entropy
from npgrad.nn import ACTIVATIONS


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def contexts(n: int, context: int = 3, vocab_size: int = 27) -> tuple[Any, Any]:
    draw = rng(9)
    return draw.integers(vocab_size, size=(n, context)), draw.integers(vocab_size, size=n)


def weights(network: MLP) -> dict[str, Any]:
    hidden, output = network.hidden, network.output
    return {"C": network.C.weight, "W1": hidden.weight, "b1": hidden.bias, "W2": output.weight, "b2": output.bias}


@pytest.mark.parametrize("stage", STAGES)
def test_stages_scale_the_same_numbers(stage: str) -> None:
    original = {k: v.numpy() for k, v in weights(MLP(rng=rng(), stage="original", dtype=np.float64)).items()}
    here = weights(MLP(rng=rng(), stage=stage, dtype=np.float64))
    kaiming = (5 / 3) / math.sqrt(30)
    factors = {
        "original": (1.0, 1.0, 1.0, 1.0),
        "output": (1.0, 1.0, 0.01, 0.0),
        "hidden": (0.2, 0.01, 0.01, 0.0),
        "kaiming": (kaiming, 0.01, 0.01, 0.0),
        "batchnorm": (kaiming, None, 0.01, 0.0),
    }[stage]
    for name, factor in zip(("C", "W1", "b1", "W2", "b2"), (1.0, *factors), strict=True):
        if factor is None:
            assert here[name] is None
        else:
            np.testing.assert_allclose(here[name].numpy(), factor * original[name], rtol=1e-14, err_msg=name)


def test_original_weights_are_standard_normal() -> None:
    for name, weight in weights(MLP(rng=rng(1), stage="original")).items():
        z = weight.numpy().ravel()
        assert abs(z.mean()) < 5 / math.sqrt(z.size), name
        assert abs(z.std() - 1) < 5 / math.sqrt(2 * z.size), name


@pytest.mark.parametrize("stage", STAGES)
def test_the_first_loss(stage: str) -> None:
    low, high = (18.0, 36.0) if stage == "original" else (3.2, 3.4)
    x, y = contexts(2000)
    assert low < cross_entropy(MLP(rng=rng(), stage=stage)(x), y).item() < high


def test_mlp_is_the_formula() -> None:
    network = MLP(rng=rng(), stage="batchnorm", dtype=np.float64)
    x, _ = contexts(32)
    p = {name: value.numpy() for name, value in weights(network).items() if value is not None}
    z = p["C"][x].reshape(32, 30) @ p["W1"]
    z = (z - z.mean(0)) / np.sqrt(z.var(0, ddof=1) + 1e-5)
    np.testing.assert_allclose(network(x).numpy(), np.tanh(z) @ p["W2"] + p["b2"], rtol=1e-10, atol=1e-14)
    assert sum(q.size for q in network.parameters()) == 12097


def test_scales_can_be_replaced() -> None:
    network = MLP(rng=rng(), stage="kaiming", hidden_scale=0.0, output_scale=3.0, dtype=np.float64)
    assert not network.hidden.weight.numpy().any()
    plain = MLP(rng=rng(), stage="original", dtype=np.float64)
    np.testing.assert_allclose(network.output.weight.numpy(), 3 * plain.output.weight.numpy(), rtol=1e-14)


def test_the_deep_network_is_the_lectures() -> None:
    network = DeepMLP(rng=rng())
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Linear", "BatchNorm1d", "Tanh"] * 5 + ["Linear", "BatchNorm1d"]
    assert all(layer.bias is None for layer in network.layers if isinstance(layer, nn.Linear))
    norms = [layer for layer in network.layers if isinstance(layer, nn.BatchNorm1d)]
    assert [norm.weight.numpy()[0] for norm in norms if norm.weight is not None] == [1, 1, 1, 1, 1, np.float32(0.1)]
    assert sum(p.size for p in network.parameters()) == 47024


@pytest.mark.parametrize(("gain", "fan_in"), [(None, True), (3.0, True), (0.5, False)])
def test_weights_of_the_deep_network_without_norm(gain: float | None, fan_in: bool) -> None:
    network = DeepMLP(rng=rng(), norm="none", gain=gain, fan_in=fan_in)
    linear = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
    assert len(linear) == 6 and all(layer.bias is not None and not layer.bias.numpy().any() for layer in linear)
    for k, layer in enumerate(linear):
        wanted = (0.1 if k == 5 else 5 / 3 if gain is None else gain) / (
            math.sqrt(layer.weight.shape[0]) if fan_in else 1
        )
        assert abs(layer.weight.numpy().std() / wanted - 1) < 0.07


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_with_every_norm(activation: str, norm: str) -> None:
    network = DeepMLP(11, 2, rng=rng(), depth=3, hidden=20, activation=activation, norm=norm, groups=4)
    x, y = contexts(8, 2, 11)
    loss = cross_entropy(network(x), y)
    loss.backward()
    assert abs(loss.item() - math.log(11)) < 0.2
    assert all(p.grad is not None and np.isfinite(p.grad).all() for p in network.parameters())


@given(st.integers(2, 30), st.integers(1, 9), st.integers(1, 9), st.sampled_from(["batch", "none"]))
def test_any_size(vocab_size: int, context: int, depth: int, norm: str) -> None:
    network = models.build(
        "deep_mlp", vocab_size=vocab_size, context=context, rng=rng(), depth=depth, hidden=7, embedding=3, norm=norm
    )
    x, _ = contexts(5, context, vocab_size)
    assert network(x).shape == (5, vocab_size)
    assert (network.vocab_size, network.context) == (vocab_size, context)
    assert network.eval()(x[:0]).shape == (0, vocab_size)


def test_state_moves_between_networks() -> None:
    for name in models.MODELS:
        one, other = (models.build(name, vocab_size=27, context=4, rng=rng(seed)) for seed in (0, 1))
        x, _ = contexts(4, 4)
        other.load_state_dict(one.state_dict())
        assert np.array_equal(one.eval()(x).numpy(), other.eval()(x).numpy())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cnn", {}, "no model 'cnn'; the models are mlp, deep_mlp"),
        ("mlp", {"depth": 3}, "model 'mlp' has no option 'depth'; its options are stage, embedding"),
        ("mlp", {"stage": "best"}, "no stage 'best'; the stages are original, output, hidden, kaiming, batchnorm"),
        ("deep_mlp", {"norm": "spectral"}, "no norm 'spectral'; there are none, batch, layer, group"),
        ("deep_mlp", {"activation": "sin"}, "no activation 'sin'; there are tanh"),
        ("deep_mlp", {"depth": 0}, "depth of 1 or more linear layers; got 0"),
    ],
)
def test_models_that_do_not_exist(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.build(name, vocab_size=27, context=3, rng=rng(), **options)
