"""The instruments on sequences: activations (N, T, C) are seen as the same numbers in N·T rows would be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models
from experiments.provenance import ROOT
from models.training import loss_of, mean_loss
from npgrad import Tensor, data, nn, optim
from npgrad.diagnose import Monitor, Record, census, doctor
from npgrad.functions import cross_entropy

sizes = st.integers(1, 5)


def layers(seed: int, width: int) -> nn.Sequential:
    rng = np.random.default_rng(seed)
    norm = nn.LayerNorm(6, dtype=np.float64)
    first = nn.Linear(width, 6, rng=rng, gain=5.0, dtype=np.float64)
    return nn.Sequential(first, norm, nn.Tanh(), nn.Linear(6, 4, rng=rng, dtype=np.float64))


def watched(model: nn.Sequential, x: np.ndarray, y: np.ndarray) -> Record:
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    monitor = Monitor(model, optimizer)
    with monitor.watch(0):
        cross_entropy(model(Tensor(x)).reshape(-1, 4), y.ravel()).backward()
        optimizer.step()
    return monitor.record


@given(seed=st.integers(0, 100), n=sizes, t=sizes, width=sizes)
def test_sequences_and_their_rows_give_the_same_record(seed: int, n: int, t: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, t, width)), rng.integers(4, size=(n, t))
    one, other = watched(layers(seed, width), x, y), watched(layers(seed, width), x.reshape(n * t, width), y)
    for name, array in one.to_arrays().items():
        if array.dtype.kind == "f" and "range" not in name:
            np.testing.assert_allclose(array, other.to_arrays()[name], rtol=1e-6, atol=1e-12, err_msg=name)


@given(seed=st.integers(0, 100), n=sizes, t=sizes, width=sizes)
def test_a_census_counts_features_and_not_positions(seed: int, n: int, t: int, width: int) -> None:
    model = layers(seed, width)
    x = np.random.default_rng(seed).normal(size=(n, t, width))
    (one,) = census(Through(model), x, threshold=0.5, axis=-1)
    (other,) = census(Through(model), x.reshape(n * t, width), threshold=0.5)
    assert one.examples == other.examples == n * t
    np.testing.assert_allclose(one.saturated, other.saturated)
    np.testing.assert_allclose(one.largest, other.largest)
    (turned,) = census(Through(model), x.reshape(n * t, width), threshold=0.5, axis=0)
    assert turned.examples == 6 and len(turned.largest) == n * t


class Through(nn.Module):
    """Takes arrays."""

    def __init__(self, inner: nn.Module) -> None:
        self.inner = inner

    def forward(self, x: np.ndarray) -> Tensor:
        return self.inner(Tensor(x))


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm", "transformer"])
def test_a_monitor_sees_every_layer_of_a_network_that_reads_words(kind: str) -> None:
    model, words = network(kind), sequences()
    monitor = Monitor(model)
    with monitor.watch(0):
        mean_loss(model, words.x[:8], words.y[:8]).backward()
    record = monitor.record
    assert np.isfinite(record.activation_std).all() and np.isfinite(record.gradient_std).all()
    assert (record.activation_std > 0).all() and (record.gradient_std > 0).all()
    if kind != "transformer":
        states = model.recurrent(model.embedding(words.x[:8]))[0].numpy()
        seen = record.activation_std[0, list(record.layer_name).index("recurrent")]
        assert seen == pytest.approx(states.astype(float).std())


@pytest.mark.parametrize("kind", ["gru", "transformer"])
def test_the_doctor_finds_nothing_wrong_with_a_network_that_reads_words(kind: str) -> None:
    model, words = network(kind), sequences()
    batches = data.Batches(*words, 32, np.random.default_rng(1))
    report = doctor.examine(model, loss_of, batches, optim.Adam(model.parameters(), lr=0.005), 20)
    assert report.healthy, report


def network(kind: str) -> Any:
    options = {"embedding": 8, "hidden": 12} | ({"layers": 1, "heads": 2} if kind == "transformer" else {})
    return models.build(kind, vocab_size=27, context=1, rng=np.random.default_rng(0), **options)


def sequences() -> data.Windows:
    words = data.read_words(ROOT / "data/names.txt")
    return data.sequences([word for word in words[::20] if len(word) < 8], data.Vocabulary(words))
