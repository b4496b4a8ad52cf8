"""WaveNet: the hierarchy over windows and the dilated form over whole words are one network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import npgrad
from models.training import generators
from models.wavenet import DilatedWaveNet, WaveNet
from npgrad import Tensor, data, nn
from npgrad.data import PADDING

WORDS = ["emma", "olivia", "a", "sophia", "isabella", "maximiliano"]
VOCABULARY = data.Vocabulary(WORDS)


def both(context: int, norm: str) -> tuple[WaveNet, DilatedWaveNet]:
    options: Any = {"hidden": 6, "embedding": 3, "norm": norm, "dtype": np.float64}
    size = len(VOCABULARY)
    hierarchy = WaveNet(size, context, rng=generators(0).init, **options)
    dilated = DilatedWaveNet(size, context, rng=generators(1).init, **options)
    dilated.load_state_dict(hierarchy.state_dict())
    return hierarchy, dilated


@pytest.mark.parametrize("context", [2, 4, 8, 16])
@pytest.mark.parametrize("norm", ["layer", "none"])
def test_the_two_forms_are_one_network(context: int, norm: str) -> None:
    """Logits of every character, and gradients of their mean loss, over the same targets."""
    hierarchy, dilated = both(context, norm)
    windows, words = data.windows(WORDS, VOCABULARY, context), data.sequences(WORDS, VOCABULARY)
    there = words.y != PADDING
    a, b = hierarchy(windows.x), dilated(words.x)
    np.testing.assert_allclose(b.numpy()[there], a.numpy(), rtol=1e-12, atol=1e-14)
    npgrad.cross_entropy(a, windows.y).backward()
    npgrad.cross_entropy(b.reshape(-1, len(VOCABULARY)), words.y.reshape(-1), ignore_index=PADDING).backward()
    for p, q in zip(hierarchy.parameters(), dilated.parameters(), strict=True):
        np.testing.assert_allclose(q.grad, p.grad, rtol=1e-10, atol=1e-14)


def test_a_layer_is_a_dilated_causal_convolution() -> None:
    _, dilated = both(8, "none")
    x = np.random.default_rng(0).normal(size=(2, 3, 9))
    W = dilated.fuse[0].weight.numpy()
    convolution = nn.CausalConv1d(3, 6, 2, dilation=4, rng=np.random.default_rng(0), dtype=np.float64)
    convolution.load_state_dict({"weight": W.reshape(2, 3, 6).transpose(2, 1, 0), "bias": np.zeros(6)})
    h = np.moveaxis(x, 1, 2)
    fused = np.concatenate((h[:, :-4], h[:, 4:]), axis=2) @ W
    np.testing.assert_allclose(np.moveaxis(convolution(Tensor(x)).numpy(), 1, 2)[:, 4:], fused, rtol=1e-12)


def test_statistics_go_over_all_positions_of_a_layer() -> None:
    model = WaveNet(11, 4, rng=generators(0).init, embedding=3, hidden=5, dtype=np.float64)
    x = np.random.default_rng(0).integers(11, size=(7, 4))
    z = model.embedding.weight.numpy()[x].reshape(14, 6) @ model.fuse[0].weight.numpy()
    model(x)
    norm: Any = model.norm[0]
    np.testing.assert_allclose(norm.running_mean, 0.1 * z.mean(0), rtol=1e-12)
    np.testing.assert_allclose(norm.running_var, 0.9 + 0.1 * z.var(0, ddof=1), rtol=1e-12)


def test_errors_say_what_there_is() -> None:
    for context in (0, 1, 6):
        with pytest.raises(ValueError, match=f"two by two: the context must be 2, 4, 8, 16, …; got {context}"):
            WaveNet(27, context, rng=generators(0).init)
    with pytest.raises(ValueError, match="no norm 'batch' in DilatedWaveNet; there are layer, none"):
        DilatedWaveNet(rng=generators(0).init, norm="batch")
