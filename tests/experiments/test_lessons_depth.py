"""The lessons on depth, context, optimisers, sharpness and sequences: each runs in small; what is exact is exact."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import report, style
from experiments.experiment import LESSONS, load
from experiments.lessons import (
    architectures,
    attention,
    context,
    deep_bn,
    edge_of_stability,
    in_passing,
    optimisers,
    through_time,
)
from experiments.provenance import ROOT
from experiments.records import Record, Records
from experiments.runner import execute
from experiments.store import Store
from models.deep_mlp import DeepMLP
from models.mlp import MLP
from models.training import generators
from npgrad import data
from tests.experiments.conftest import cut_off, on_one_another, threads

TINY = {
    "deep_bn": {"steps": "4", "stack_steps": "5", "hidden": "5", "stack": "7"},
    "context": {"steps": "4"},
    "optimisers": {"steps": "4", "hidden": "6"},
    "edge_of_stability": {"steps": "8", "hidden": "4", "looks": "4", "examples": "40"},
    "through_time": {"steps": "5", "hidden": "5", "length": "6", "delay": "4"},
    "architectures": {"steps": "5", "lr": "0.01", "held": "20"},
    "attention": {"steps": "5", "embedding": "6", "held": "20"},
    "in_passing": {"steps": "4"},
}
DEEP = {"fifty", "essential", "warm-up", "warm-up-pre", "pre-deep"}
"""Claims about networks too deep for these runs."""
PART = {
    "deep_bn": {"norm": "layer", "stack_gain": "2"},
    "context": {"context": "2"},
    "optimisers": {"optimizer": "adam", "rate": "2", "start": "large"},
    "edge_of_stability": {"lr": "0.7", "stage": "hidden"},
    "through_time": {"cell": "gru", "optimizer": "adam"},
    "architectures": {"network": "transformer"},
    "attention": {"norm": "post", "lr": "0.02"},
    "in_passing": {"study": "linear", "arm": "false"},
}
names = st.lists(st.text("abc", min_size=1, max_size=5), min_size=2, max_size=12)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every fortieth name: enough to train on for a few steps."""
    path = tmp_path_factory.mktemp("words") / "names.txt"
    path.write_text("\n".join(data.read_words(ROOT / "data/names.txt")[::40]), encoding="utf-8")
    return path


def assert_runs_and_draws(
    name: str, words: Path, tmp_path: Path, changes: dict[str, str], seeds: int
) -> report.Reading:
    lesson = load(LESSONS / f"{name}.py")
    store = Store(tmp_path)
    plan = lesson.plan(seeds=seeds, changes=TINY[name] | changes | {"data": str(words)})
    store.write_plan(plan)
    assert not execute(plan.runs, store, workers=threads).failed
    reading = report.read(lesson, store)
    assert not reading.problems
    assert all(len(row) == len(table.columns) for table in reading.tables for row in table.rows)
    with style.theme("dark"):
        for picture in lesson.plot(reading.records):
            assert picture.caption
            picture.figure.draw_without_rendering()
            assert not cut_off(picture.figure), picture.name
            assert not on_one_another(picture.figure), picture.name
    return reading


@pytest.mark.parametrize("name", TINY)
def test_a_lesson_runs_judges_and_draws(name: str, words: Path, tmp_path: Path) -> None:
    reading = assert_runs_and_draws(name, words, tmp_path, {"stack": "20"} if name == "deep_bn" else {}, 2)
    assert all(table.rows for table in reading.tables)
    # In eight steps no loss falls far.
    unmeasured = {one.claim.id for one in reading.judged if one.reason == "no run measured it"}
    assert unmeasured <= DEEP


@pytest.mark.parametrize("name", TINY)
def test_a_part_of_the_sweep_is_enough_to_draw(name: str, words: Path, tmp_path: Path) -> None:
    assert_runs_and_draws(name, words, tmp_path, PART[name], 1)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (lambda: deep_bn.Config(norm="bach"), "no norm 'bach'"),
        (lambda: deep_bn.Config(stack=-1), "got -1"),
        (lambda: context.Config(context=0), "1 or more"),
        (lambda: optimisers.Config(optimizer="adm"), "no optimizer 'adm'"),
        (lambda: optimisers.Config(start="tiny"), "no start 'tiny'"),
        (lambda: edge_of_stability.Config(lr=0.0), "positive"),
        (lambda: edge_of_stability.Config(stage="last"), "no stage 'last'"),
        (lambda: through_time.Config(cell="grue"), "no cell 'grue'"),
        (lambda: architectures.Config(network="mlp"), "no network 'mlp'"),
        (lambda: architectures.Config(size="huge"), "no size 'huge'"),
        (lambda: attention.Config(norm="batch"), "no norm 'batch'"),
        (lambda: attention.Config(layers=0), "1 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(config, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        config()


def test_the_printed_class_lacks_what_it_asks_for() -> None:
    rngs = generators(0)
    found = in_passing.printed(in_passing.Config(study="printed"), None, rngs, lambda *_: None)
    assert found.summary == {"printed_runs": 0, "missing": "training"}


def test_the_printed_class_lacks_it_in_pytorch_too(torch: Any) -> None:
    names: dict[str, Any] = {"torch": torch}
    exec(in_passing.PRINTED, names)
    layer, x = names["BatchNorm1d"](3), torch.ones(4, 3)
    with pytest.raises(AttributeError, match="training"):
        layer(x)
    layer.training = True
    assert layer(x) is None


# -- counting ----------------------------------------------------------------------------------------------------------


def by_hand(train: list[str], before: str, character: str, characters: int) -> float:
    """The probability as the formula has it, with dictionaries."""
    p = 1 / characters
    for back in range(len(before) + 1):
        ending = before[len(before) - back :]
        padded = ["." * len(before) + word + "." for word in train]
        followers = Counter(
            word[k] for word in padded for k in range(len(before), len(word)) if word[k - back : k] == ending
        )
        if not followers:
            return p
        weight = 5 * len(followers)
        p = (followers[character] + weight * p) / (followers.total() + weight)
    return p


@given(words=names, back=st.integers(1, 3), rest=st.text("abc", max_size=3))
def test_counting_gives_probabilities_and_the_right_ones(words: list[str], back: int, rest: str) -> None:
    vocabulary = data.Vocabulary("abc")
    train = data.windows(words, vocabulary, back)
    before = ("." * back + rest)[-back:]
    x = vocabulary.encode(before)[None]
    found = [np.exp(-context.counted(train, data.Windows(x, np.array([k])), 4)) for k in range(4)]
    assert sum(found) == pytest.approx(1.0, abs=1e-12)
    for k, character in enumerate(".abc"):
        assert found[k] == pytest.approx(by_hand(words, before, character, 4), abs=1e-12)


def test_letter_frequencies_are_a_network_without_input(words: Path) -> None:
    corpus = data.load(words)
    share = np.bincount(corpus.train.y, minlength=len(corpus.vocabulary)) / len(corpus.train.y)
    assert deep_bn.letters_loss(corpus) == pytest.approx(-np.log(share[corpus.val.y]).mean(), rel=1e-9)


def test_a_network_without_input_gains_nothing_from_any_character(words: Path) -> None:
    model = MLP(27, context=5, rng=np.random.default_rng(0), hidden=6, stage="kaiming")
    val = data.windows(data.read_words(words)[:50], data.Vocabulary("abcdefghijklmnopqrstuvwxyz"), 5)
    alone, beyond = context.importance(model, val, np.random.default_rng(1))
    assert len(alone) == 5 and np.any(alone != 0)
    model.C.weight.data = np.zeros_like(model.C.weight.numpy())
    alone, beyond = context.importance(model, val, np.random.default_rng(1))
    assert not np.any(alone) and beyond == 0.0


# -- depth -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_looking_at_propagation_changes_nothing(norm: str) -> None:
    model = DeepMLP(rng=np.random.default_rng(0), hidden=20, norm=norm)
    before = model.state_dict()
    x, y = np.random.default_rng(1).integers(27, size=(64, 3)), np.random.default_rng(2).integers(27, size=64)
    found = deep_bn.propagation(model, x, y)
    assert len(found["signal"]) == len(found["gradient"]) == 5
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_small_weights_shrink_the_signal_and_the_gradient_by_the_gain() -> None:
    model = DeepMLP(rng=np.random.default_rng(0), hidden=400, depth=8, norm="none", gain=0.3)
    x, y = np.random.default_rng(1).integers(27, size=(200, 3)), np.random.default_rng(2).integers(27, size=200)
    found = deep_bn.propagation(model, x, y)
    # From the second layer on tanh is the identity as far as anyone can see: a layer multiplies by its gain.
    assert found["signal"][2:] / found["signal"][1:-1] == pytest.approx(0.3, rel=0.15)
    assert found["gradient"][1:-1] / found["gradient"][2:] == pytest.approx(0.3, rel=0.15)


# -- optimisers --------------------------------------------------------------------------------------------------------


def test_an_optimiser_that_has_not_run_from_a_start_leaves_its_cell_empty() -> None:
    summary = dict.fromkeys(("val_loss", "hidden_none", "last_none", "hidden_batch", "last_batch"), 2.0)
    runs = [("sgd", "small"), ("sgd", "kaiming"), ("adam", "small")]
    configs = [{"optimizer": o, "start": s, "rate": 1.0, "steps": 4} for o, s in runs]
    table, _ = optimisers.tables(Records([Record.of_summary("", 0, config, summary) for config in configs]))
    assert [row[1:] for row in table.rows] == [["2.000 at 0.1", "2.000 at 0.1"], ["2.000 at 0.001", "–"]]


def test_all_hidden_gradients_are_alike_however_small(words: Path) -> None:
    corpus = data.load(words)
    sizes = [
        optimisers.gradients(optimisers.Config(start="small", hidden=100, seed=seed), corpus, "none")[2:-1]
        for seed in range(2)
    ]
    assert all(one.max() < 1.5 * one.min() for one in sizes)
    assert all(one.max() < 1e-4 for one in sizes)


def test_the_first_step_of_momentum_is_that_of_gradient_descent(words: Path) -> None:
    first = []
    for optimizer, rate in (("sgd", 1.0), ("momentum", 10.0)):
        config = optimisers.Config(optimizer=optimizer, rate=rate, steps=1, hidden=6, data=str(words))
        assert config.training.lr == pytest.approx(0.1)
        first.append(optimisers.run(config, lambda step, of: None).arrays["first"])
    assert np.array_equal(*first)


# -- sharpness ---------------------------------------------------------------------------------------------------------


@given(
    falls=st.lists(st.floats(0.01, 1.0), min_size=2, max_size=10),
    slope=st.floats(-3, 3),
    share=st.floats(0.01, 0.99),
)
def test_the_sharpness_at_a_loss_is_read_between_the_looks(falls: list[float], slope: float, share: float) -> None:
    loss = 10 - np.cumsum(falls)
    level = loss[-1] + share * (loss[0] - loss[-1])
    assert edge_of_stability.at_loss(loss, 7 + slope * loss, level) == pytest.approx(7 + slope * level, abs=1e-6)
    assert np.isnan(edge_of_stability.at_loss(loss, loss, loss[-1] - 1))
    assert np.isnan(edge_of_stability.at_loss(loss, loss, loss[0] + 1))


def test_below_the_edge_no_step_goes_uphill_and_beyond_it_some_do() -> None:
    ended = {}
    for lr in (0.5, 30.0):
        config = edge_of_stability.Config(lr=lr, steps=60, examples=100, hidden=10, looks=10)
        ended[lr] = SimpleNamespace(**edge_of_stability.run(config, lambda step, of: None).summary)
    assert ended[0.5].highest < 1 and ended[0.5].rising == 0
    assert ended[30.0].highest > 1 and ended[30.0].rising > 0.1
    assert ended[0.5].first_sharpness == pytest.approx(ended[30.0].first_sharpness, rel=1e-6)
