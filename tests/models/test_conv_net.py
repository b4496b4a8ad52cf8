"""The residual network: ResNet-50's shape in small, its blocks, and what a residual connection guarantees."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models
from models.conv_net import Bottleneck, ConvNet
from models.training import TrainConfig, fit
from npgrad import Tensor, nn, no_grad
from npgrad.data import Indices
from npgrad.functions import cross_entropy


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def contexts(n: int, context: int = 8) -> tuple[Indices, Indices]:
    draws = rng(5)
    return draws.integers(27, size=(n, context)), draws.integers(27, size=n)


def weighted(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, (nn.Conv1d, nn.Linear))]


def test_sixteen_blocks_have_fifty_layers_as_in_resnet() -> None:
    network = ConvNet(rng=rng(), blocks=16)
    assert len(weighted(network)) == 50
    widths = [module.weight.shape for module in weighted(network.blocks[0])]  # type: ignore[attr-defined]
    assert widths == [(8, 32, 1), (8, 8, 3), (32, 8, 1)]


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_convolution_has_a_bias_where_no_norm_follows(norm: str) -> None:
    convolutions = [m for m in ConvNet(rng=rng(), norm=norm).modules() if isinstance(m, nn.Conv1d)]
    assert [conv.bias is not None for conv in convolutions] == [norm == "none"] * 13


@pytest.mark.parametrize("residual", [False, True])
def test_a_block_that_computes_nothing_passes_its_input_or_blocks_it(residual: bool) -> None:
    layer = nn.Linear(4, 4, rng=rng())
    layer.weight.data = np.zeros((4, 4))
    x = rng().uniform(0, 1, size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(Bottleneck(layer, residual)(Tensor(x)).data, x if residual else np.zeros_like(x))


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("context", [1, 5])
def test_logits_and_gradients(norm: str, residual: bool, context: int) -> None:
    network = models.build(
        "conv_net", vocab_size=27, context=context, rng=rng(), blocks=2, norm=norm, residual=residual
    )
    x, y = contexts(16, context)
    logits = network(x)
    assert logits.shape == (16, 27)
    cross_entropy(logits, y).backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in network.parameters())


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, math.sqrt(2), 0.3]))
def test_plain_and_residual_have_the_same_weights(seed: int, gain: float) -> None:
    plain, residual = (ConvNet(rng=rng(seed), blocks=2, gain=gain, residual=r) for r in (False, True))
    for a, b in zip(plain.parameters(), residual.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_without_fan_in_weights_are_larger_by_its_root() -> None:
    scaled, plain = (ConvNet(rng=rng(), blocks=1, fan_in=f) for f in (True, False))
    for a, b in zip(weighted(scaled)[:-1], weighted(plain)[:-1], strict=True):
        fan_in = math.prod(a.weight.shape[1:])  # type: ignore[attr-defined]
        np.testing.assert_allclose(b.weight.data, a.weight.data * math.sqrt(fan_in), rtol=1e-5)  # type: ignore[attr-defined]


def test_it_learns() -> None:
    network = ConvNet(rng=rng(), blocks=1)
    x, y = contexts(32)
    losses = fit(network, x, y, TrainConfig(steps=30, lr=0.3))
    assert losses[-1] < losses[0] - 0.5


def test_evaluation_depends_on_the_example_alone() -> None:
    network = ConvNet(rng=rng(), blocks=2).eval()
    x, _ = contexts(6)
    with no_grad():
        alone = np.concatenate([network(one[None]).data for one in x])
        np.testing.assert_allclose(network(x).data, alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "layer"}, "there is no norm 'layer'; there are none and batch"),
        ({"channels": 10}, "a multiple of 4 channels to narrow to a quarter; got 10"),
        ({"blocks": -1}, "the number of blocks must be 0 or more; got -1"),
    ],
)
def test_networks_that_cannot_be(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvNet(rng=rng(), **options)  # type: ignore[arg-type]
