"""Over- and underfitting: which of data, capacity and context is the bottleneck."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad import data, nn, optim
from npgrad.data import Batches
from npgrad.diagnose import doctor
from npgrad.diagnose.doctor.capacity import Widened
from npgrad.diagnose.doctor.data import lengthened
from npgrad.functions import cross_entropy
from tests.ward.case import Array, Case, train
from tests.ward.networks import Net, dense
from tests.ward.setups import PARTS, setups


@given(st.lists(st.text("abc", min_size=1, max_size=6), min_size=90, max_size=120), st.integers(2, 4))
def test_windows_in_their_order_give_longer_windows(words: list[str], context: int) -> None:
    vocabulary = data.Vocabulary("abc")
    short, long = (data.windows(words, vocabulary, k) for k in (context, context + 1))
    found = lengthened(short.x, short.y)
    if len(short.y) < 200:
        assert found is None
    elif found is not None:
        assert np.array_equal(found[:, 1:], short.x)
        # Behind the beginning of a word that has no longer a window of its own there is nothing but padding.
        inside = (short.x[:, 0] != 0) & (long.x[:, 0] != 0)
        assert np.array_equal(found[inside], long.x[inside])


def test_rows_in_no_order_are_no_text() -> None:
    rng = np.random.default_rng(0)
    assert lengthened(rng.integers(0, 9, (400, 3)), rng.integers(0, 9, 400)) is None
    assert lengthened(rng.normal(size=(400, 3)), rng.integers(0, 9, 400)) is None


def test_what_is_missing_is_named_with_the_number_that_shows_it() -> None:
    """Data: half of them do worse. Context: counting with longer windows does better. Capacity: so do more units."""
    said = {}
    for name in ("overfitting", "underfitting", "context too short"):
        case = next(s for s in setups(PARTS["first"]) if s.name.startswith(name)).build(1)
        report = doctor.examine(case.model, case.loss, case.batches, case.optimizer, case.steps, **case.options)
        assert report.names == [name]
        said[name] = report[0]
    few, narrow, short = said["overfitting"], said["underfitting"], said["context too short"]
    assert "Data are the bottleneck" in few.what
    assert few.evidence["best with half the examples"] > few.evidence["best validation"]
    assert "capacity, not data or context" in narrow.what
    assert "context, not capacity or data" in short.what
    assert short.evidence["counting, context 1"] > short.evidence["context 2"]


@given(st.integers(0, 9), st.booleans())
def test_units_beside_a_network_change_nothing_before_they_are_trained(seed: int, symbols: bool) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 7, (20, 3)) if symbols else rng.normal(size=(20, 3, 2)).astype(np.float32)
    network = Net(nn.Embedding(9, 2, rng=rng) if symbols else nn.Flatten(), *dense(rng, [6, 4, 5], nn.Tanh, 1.5))
    if not symbols:
        network.embedding, network.layers = None, nn.Sequential(nn.Flatten(), *network.layers)
    wide = Widened(network, x, 5, rng)
    unseen = np.full((2, 3), 8) if symbols else 9 * x[:2]
    for rows in (x, unseen):
        assert np.array_equal(wide(rows).data, network(rows).data)
    before = [p.data.copy() for p in wide.parameters()]
    optimizer = optim.Adam(wide.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        cross_entropy(wide(x), rng.integers(0, 5, 20)).backward()
        optimizer.step()
    assert not any(np.array_equal(a, p.data) for a, p in zip(before, wide.parameters(), strict=True))


def waves(rng: np.random.Generator, n: int = 2400) -> tuple[Array, Array]:
    """Three classes on a plane, in waves."""
    x = rng.uniform(-2, 2, (n, 2)).astype(np.float32)
    return x, np.digitize(np.sin(2.5 * x[:, 0]) + x[:, 1], [-0.6, 0.6])


def examined(model: nn.Module, optimizer: optim.Optimizer, x: Array, y: Array) -> doctor.Report:
    batches = Batches(x[:2000], y[:2000], 32, np.random.default_rng(1))
    return doctor.examine(model, cross_entropy, batches, optimizer, 80, validation=(x[2000:], y[2000:]))


def test_a_network_without_a_hidden_layer_is_told_to_have_one() -> None:
    rng = np.random.default_rng(0)
    x, y = waves(rng)
    model = Net(None, nn.Linear(2, 3, rng=rng))
    case = Case(model, cross_entropy, Batches(x[:2000], y[:2000], 32, rng), optim.Adam(model.parameters(), lr=0.01))
    train(case, 600)
    report = examined(model, case.optimizer, x, y)
    assert report.names == ["underfitting"]
    assert "no hidden layer" in report[0].what and report[0].remedy == "a hidden layer"
    before = [p.data.copy() for p in model.parameters()]
    assert doctor.treat(report[0]).helps
    assert all(np.array_equal(a, p.data) for a, p in zip(before, model.parameters(), strict=True))


def test_a_network_that_is_stuck_is_not_called_too_small() -> None:
    """Units that are off for every example learn no more, and units beside them would help; so would other weights."""
    rng = np.random.default_rng(0)
    x, y = waves(rng)
    model = Net(None, *dense(rng, [2, 40, 40, 3], nn.ReLU, 1.4))
    case = Case(model, cross_entropy, Batches(x[:2000], y[:2000], 32, rng), optim.Adam(model.parameters(), lr=0.003))
    train(case, 100)
    model.layers[0].bias.data = model.layers[0].bias.data - np.where(np.arange(40) < 39, 30, 0).astype(np.float32)
    train(case, 400)
    report = examined(model, case.optimizer, x, y)
    assert report.names == ["dead units"]


@pytest.mark.parametrize("gain", [1, 20])
def test_units_that_are_on_or_off_are_ill_where_others_would_come_further(gain: int) -> None:
    """Which side of a line a point is on is what a tanh of large weights says; a wave it cannot."""
    rng = np.random.default_rng(0)
    x, y = waves(rng)
    if gain == 1:
        y = (x.sum(1) > 0.2).astype(np.int64)
    model = Net(None, *dense(rng, [2, 48 if gain > 1 else 1, 3], nn.Tanh, 5 / 3))
    model.layers[0].weight.data = model.layers[0].weight.data * np.float32(gain)
    case = Case(model, cross_entropy, Batches(x[:2000], y[:2000], 32, rng), optim.Adam(model.parameters(), lr=0.02))
    train(case, 300)
    flat = np.mean(np.abs(np.tanh(model.layers[0](x).data)) > 0.97)
    assert flat > 0.4
    report = examined(model, case.optimizer, x, y)
    assert ("saturated units" in report.names) == (gain > 1)


def test_a_gap_within_chance_is_not_called_overfitting() -> None:
    """Large errors are rare among these examples: a network of one unit is a sixth worse on validation data by luck."""
    case = next(s for s in setups(PARTS["held-out"]) if s.name.startswith("underfitting (narrow), lenses")).build(0)
    report = doctor.examine(case.model, case.loss, case.batches, case.optimizer, case.steps, **case.options)
    assert report.names == ["underfitting"]


def test_examples_that_are_as_good_by_half_are_not_called_too_few() -> None:
    """Every example twice: half of them are the same ones, and what overfits is the network."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(630, 10)).astype(np.float32)
    y = rng.integers(0, 3, 630)
    x[:, 0] += 2 * y
    model = Net(None, *dense(rng, [10, 64, 64, 3], nn.ReLU, 1.4))
    batches = Batches(np.repeat(x[:30], 2, axis=0), np.repeat(y[:30], 2), 16, rng)
    optimizer = optim.Adam(model.parameters(), lr=0.002)
    report = doctor.examine(model, cross_entropy, batches, optimizer, 240, validation=(x[30:], y[30:]))
    finding = next(f for f in report if f.name == "overfitting")
    assert "capacity is too large" in finding.what


@pytest.mark.parametrize("columns", [2, 3])
def test_a_context_that_tells_enough_is_not_called_too_short(columns: int) -> None:
    """A text in which each symbol follows from the one before it: longer windows tell no more."""
    rng = np.random.default_rng(0)
    after = rng.dirichlet(np.full(8, 0.3), 8)
    text = [0]
    for _ in range(3000):
        text.append(int(rng.choice(8, p=after[text[-1]])))
    x = np.stack([text[k : len(text) - columns + k] for k in range(columns)], axis=1)
    y = np.array(text[columns:])
    model = Net(nn.Embedding(8, 8, rng=rng), *dense(rng, [8 * columns, 32, 8], nn.Tanh, 5 / 3))
    batches = Batches(x[:2400], y[:2400], 32, rng)
    case = Case(model, cross_entropy, batches, optim.Adam(model.parameters(), lr=0.003))
    train(case, 500)
    report = doctor.examine(model, cross_entropy, batches, case.optimizer, 80, validation=(x[2400:], y[2400:]))
    assert "context too short" not in report.names
