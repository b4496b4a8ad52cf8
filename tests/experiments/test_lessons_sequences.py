"""The lessons on sequences: what is exact in them is exact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models
from experiments.lessons import architectures, attention, through_time
from experiments.provenance import ROOT
from experiments.records import Record, Records
from models.training import TrainConfig, evaluate, targets
from models.transformer import Transformer
from npgrad import data

VOCABULARY = data.Vocabulary("abcdefghijklmnopqrstuvwxyz")


def looked_back(**options: Any) -> tuple[Any, np.ndarray, Mapping[str, np.ndarray]]:
    config = through_time.Config(**({"hidden": 5} | options))
    model = through_time.network(config, 27, np.random.default_rng(0))
    passages = np.random.default_rng(1).integers(27, size=(3, 7))
    return model, passages, through_time.gradients(model, passages, np.random.default_rng(2))


@pytest.mark.parametrize("gain", [0.5, 1.0, 3.0])
def test_the_gradient_of_a_plain_network_is_the_product_of_its_jacobians(gain: float) -> None:
    model, passages, found = looked_back(gain=gain)
    net = model.recurrent
    W, inputs = net.weight_hh_l0.numpy(), model.embedding(passages).numpy() @ net.weight_ih_l0.numpy()
    states = [np.zeros((3, 5))]
    for t in range(passages.shape[1]):
        states.append(np.tanh(inputs[:, t] + states[-1] @ W))
    g = np.random.default_rng(2).normal(size=(3, 5))
    sizes = [np.sqrt(np.mean(g**2))]
    for h in states[:1:-1]:
        g = (g * (1 - h**2)) @ W.T
        sizes.append(np.sqrt(np.mean(g**2)))
    np.testing.assert_allclose(found["gradient"], np.array(sizes) / sizes[0], rtol=1e-4)
    assert found["by_mean"][1] == pytest.approx(gain * np.mean(1 - states[-1] ** 2), rel=1e-4)
    assert np.all(found["by_mean"] <= found["by_mean_square"] * (1 + 1e-9))


def test_too_few_words_are_said_to_be_so() -> None:
    assert len(through_time.stretches(np.arange(51), 50)) == 1
    with pytest.raises(ValueError, match="50 characters of text have no stretch of 51: take more words"):
        through_time.stretches(np.arange(50), 50)


def test_an_open_forget_gate_passes_everything_and_weights_of_zero_nothing() -> None:
    assert not looked_back(gain=0.0)[2]["gradient"][1:].any()
    kept = looked_back(cell="lstm", gain=0.0, forget_bias=40.0)[2]["gradient"]
    np.testing.assert_allclose(kept[1:], kept[1], rtol=1e-5)


def test_every_network_has_about_as_many_parameters_as_its_size_says() -> None:
    for size, wanted in (("small", 12_000), ("large", 46_000)):
        for name, network in architectures.NETWORKS.items():
            if name == "bigram":
                continue
            options = {"vocab_size": 27, "context": network.context or 1, "rng": np.random.default_rng(0)}
            model = models.build(network.model, **options, **getattr(network, size))  # type: ignore[arg-type]
            assert sum(p.size for p in model.parameters()) == pytest.approx(wanted, rel=0.08), (name, size)


@given(words=st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=9), context=st.integers(1, 8))
def test_windows_and_whole_words_have_the_same_targets(words: list[str], context: int) -> None:
    windows, whole = data.windows(words, VOCABULARY, context), data.sequences(words, VOCABULARY)
    assert targets(windows.y) == targets(whole.y)
    assert np.array_equal(windows.y, whole.y[whole.y >= 0])


@given(words=st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=9))
def test_counting_pairs_is_counting_pairs(words: list[str]) -> None:
    train = data.windows(words, VOCABULARY, 1)
    model = architectures.Bigram(train, 27)
    pairs = list(zip(train.x[:, 0], train.y, strict=True))
    p = [(pairs.count((a, b)) + 1) / (sum(a == first for first, _ in pairs) + 27) for a, b in pairs]
    assert evaluate(model, *train) == pytest.approx(-np.mean(np.log(p)), rel=1e-5)


def test_a_network_shown_windows_reads_nothing_else() -> None:
    gru = models.build("gru", vocab_size=27, context=1, rng=np.random.default_rng(0), hidden=6)
    model = architectures.Window(gru, 3)
    words = np.random.default_rng(1).integers(27, size=(4, 8))
    other = np.concatenate([words[::-1, :5], words[:, 5:]], axis=1)
    np.testing.assert_array_equal(model.following(words)[0].numpy(), model.following(other)[0].numpy())
    np.testing.assert_array_equal(model(words[:, 5:]).numpy(), gru(words[:, 5:])[:, -1].numpy())


def test_the_rate_is_chosen_on_one_part_and_scored_on_the_other() -> None:
    def record(lr: float, seed: int, val: float, test: float) -> Record:
        config = {"network": "gru", "size": "small", "lr": lr, "seed": seed}
        return Record.of_summary("", seed, config, {"val_loss": val, "test_loss": test})

    records = [record(0.1, 0, 2.0, 9.0), record(0.1, 1, 2.2, 8.0), record(0.2, 0, 2.1, 1.0), record(0.2, 1, 2.3, 1.0)]
    assert architectures.measure(Records(records))["gru/small"].tolist() == [9.0, 8.0]
    records[0] = record(0.1, 0, float("nan"), 9.0)
    assert architectures.measure(Records(records))["gru/small"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("norm", list(attention.NORMS))
def test_heads_share_out_one_among_what_came_before(norm: str) -> None:
    config = attention.Config(norm=norm, embedding=12)
    model = attention.network(config, 27, 2)
    words = data.sequences(data.read_words(ROOT / "data/names.txt")[:20], VOCABULARY)
    weights = attention.looked_at(model, words.x)
    assert weights.shape == (2, 20, 3, words.x.shape[1], words.x.shape[1])
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-5)
    assert not np.triu(weights, 1).any()
    back, first = attention.distances(weights, words.y)
    assert np.all(back.sum(axis=-1) + first < 1 + 1e-6) and back.min() > 0


def test_where_a_head_looks_is_told_by_distance() -> None:
    y = np.array([[1, 1, 1, 1, 1, 1, 1, data.PADDING]])
    weights = np.zeros((1, 1, 2, 8, 8))
    weights[0, 0, 0] = np.eye(8, k=-2)
    weights[0, 0, 1, :, 0] = 1.0
    back, first = attention.distances(weights, y)
    assert back[0].tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 0, 0]] and first[0].tolist() == [0, 1]


def test_gradients_before_training_are_looked_at_without_a_trace() -> None:
    model = Transformer(rng=np.random.default_rng(0), embedding=12, layers=3, heads=2)
    before = model.state_dict()
    words = data.sequences(data.read_words(ROOT / "data/names.txt")[:20], VOCABULARY)
    signal, gradient = attention.flow(model, words)
    assert len(signal) == len(gradient) == 3 and gradient.min() > 0
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())


@given(steps=st.integers(1, 200), warmup=st.floats(0, 1))
def test_a_learning_rate_that_begins_small_rises_to_the_usual_one(steps: int, warmup: float) -> None:
    config = attention.Config(steps=steps, warmup=warmup)
    usual = TrainConfig(steps=steps, lr=config.lr, optimizer="adam", lr_decay_at=config.lr_decay_at)
    share = [config.training.lr_at(k) / usual.lr_at(k) for k in range(steps)]
    rising = round(warmup * steps)
    assert share == pytest.approx([min((k + 1) / max(rising, 1), 1.0) for k in range(steps)])
