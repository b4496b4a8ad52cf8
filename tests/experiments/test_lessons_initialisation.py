"""The lessons on initial weights: each runs, judges and draws at a tiny budget; what is exact in them is exact."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import report, style
from experiments.experiment import LESSONS, load
from experiments.lessons import gains, initial_loss, kaiming, saturation, update_ratio
from experiments.provenance import ROOT
from experiments.records import Record, Records
from experiments.runner import Progress, execute
from experiments.store import Store
from models.deep_mlp import DeepMLP
from npgrad import Tensor, data, nn
from npgrad.diagnose import fixed_point, moments
from npgrad.functions import cross_entropy
from tests.experiments.conftest import cut_off, on_one_another, threads

TINY = {
    "gains": {"steps": "4", "draws": "2", "hidden": "6"},
    "initial_loss": {"steps": "4", "hidden": "6"},
    "saturation": {"steps": "4", "warmup": "2", "hidden": "6"},
    "kaiming": {"depth": "4", "width": "12", "examples": "8"},
    "update_ratio": {"steps": "4", "hidden": "6"},
}
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every fortieth name: enough to train on for four steps."""
    path = tmp_path_factory.mktemp("words") / "names.txt"
    path.write_text("\n".join(data.read_words(ROOT / "data/names.txt")[::40]), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", TINY)
def test_a_lesson_runs_judges_and_draws(name: str, words: Path, tmp_path: Path) -> None:
    lesson = load(LESSONS / f"{name}.py")
    changes = TINY[name] | ({"data": str(words)} if "data" in lesson.hints else {})
    store = Store(tmp_path)
    plan = lesson.plan(seeds=2, changes=changes)
    store.write_plan(plan)
    outcome = execute(plan.runs, store, workers=threads)
    assert not outcome.failed
    reading = report.read(lesson, store)
    assert not reading.problems
    unmeasured = [j.claim.id for j in reading.judged if j.reason == "no run measured it"]
    # In so few steps nothing dies, no network overflows and no rate is the best of many.
    assert set(unmeasured) <= {
        "dead-gradient", "never-recovers", "explodes", "vanishes", "ideal", "ideal-batch", "regret", "too-high",
    }  # fmt: skip
    assert all(table.rows for table in reading.tables)
    assert all(len(row) == len(table.columns) for table in reading.tables for row in table.rows)
    with style.theme("dark"):
        pictures = list(lesson.plot(store.records(lesson)))
        pictures += lesson.portrait(store.records(lesson)[0])
        for picture in pictures:
            assert picture.caption
            picture.figure.draw_without_rendering()
            assert not cut_off(picture.figure), picture.name
            assert not on_one_another(picture.figure), picture.name
    assert len(pictures) >= 3


@pytest.mark.parametrize("name", TINY)
def test_a_part_of_the_sweep_is_enough_to_draw(name: str, words: Path, tmp_path: Path) -> None:
    part = {
        "gains": {"gain": "2", "activation": "relu"},
        "initial_loss": {"output_scale": "0.5", "start": "all zero"},
        "saturation": {"hidden_scale": "0.3", "activation": "sigmoid", "mishap": "1"},
        "kaiming": {"activation": "elu", "gain": "1.1"},
        "update_ratio": {"lr": "0.2", "optimizer": "adam"},
    }[name]
    lesson = load(LESSONS / f"{name}.py")
    changes = TINY[name] | part | ({"data": str(words)} if "data" in lesson.hints else {})
    store = Store(tmp_path)
    plan = lesson.plan(seeds=1, changes=changes)
    store.write_plan(plan)
    assert not execute(plan.runs, store, workers=threads).failed
    assert not report.read(lesson, store).problems
    for picture in lesson.plot(store.records(lesson)):
        picture.figure.draw_without_rendering()
        assert not cut_off(picture.figure), picture.name
        assert not on_one_another(picture.figure), picture.name


# -- what is exact -----------------------------------------------------------------------------------------------------


def trained(start: str, words: Path, **options: Any) -> dict[str, Any]:
    config = initial_loss.Config(start=start, steps=5, hidden=6, data=str(words), **options)
    return initial_loss.run(config, Progress(None)).summary


def test_equal_weights_stay_equal_and_one_random_layer_parts_them(words: Path) -> None:
    """As counted: whether equal columns of a product are equal to the last bit depends on the processor."""
    assert trained("all zero", words)["distinct_units"] == 1
    assert trained("all equal", words)["distinct_units"] == 1
    assert trained("zero hidden", words)["distinct_units"] == 6
    assert trained("random", words)["distinct_units"] == 6


def test_rounding_makes_no_unit_different() -> None:
    units = np.random.default_rng(0).normal(size=(31, 5)).astype(np.float32)
    rounded = np.hstack([units, units * (1 + 3e-7), units])
    assert initial_loss.distinct(rounded) == initial_loss.distinct(units) == 5
    assert initial_loss.distinct(np.hstack([units, units * 1.01, -units])) == 15
    assert initial_loss.distinct(np.zeros((31, 4))) == 1


@given(classes=st.integers(1, 60), value=st.floats(-50, 50))
def test_equal_logits_cost_the_logarithm_of_the_number_of_classes(classes: int, value: float) -> None:
    loss = cross_entropy(np.full((3, classes), value), np.zeros(3, dtype=int)).item()
    assert loss == pytest.approx(math.log(classes), abs=1e-9)
    assert initial_loss.normal_loss(0.0, classes) == pytest.approx(math.log(classes), abs=1e-12)


def test_zero_last_weights_begin_at_exactly_that(words: Path) -> None:
    found = trained("random", words, output_scale=0.0)
    assert found["initial_loss"] == pytest.approx(found["uniform_loss"], abs=1e-6)
    assert found["logit_size"] == 0


@given(t=st.floats(-1, 1))
def test_the_gate_of_tanh(t: float) -> None:
    np.testing.assert_allclose(saturation.gate(t), 1 - t * t, rtol=1e-6, atol=1e-12)


@given(seed=seeds, kind=st.sampled_from(saturation.KINDS))
def test_gradients_are_multiplied_by_the_slope(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    model = saturation.build(saturation.Config(activation=kind, hidden=5), 27, rng)
    seen = saturation.look(model, rng.integers(27, size=(4, 3)), rng.integers(27, size=4))
    np.testing.assert_allclose(seen["dx"], seen["dt"] * seen["gate"], rtol=1e-4, atol=1e-10)
    assert all(p.grad is None for p in model.parameters())


def test_a_dead_relu_gets_no_gradient_whatever_the_batch(rng: np.random.Generator) -> None:
    model = saturation.build(saturation.Config(activation="relu", hidden=5), 27, rng)
    dead = np.array([True, False, True, False, False])
    assert model.hidden.bias is not None
    model.hidden.bias.data = np.where(dead, -100.0, 0.0)
    x, y = rng.integers(27, size=(64, 3)), rng.integers(27, size=64)
    assert saturation.gradient_of_dead(model, dead, x, y) == 0
    assert saturation.gradient_of_dead(model, ~dead, x, y) > 0
    assert math.isnan(saturation.gradient_of_dead(model, np.zeros(5, dtype=bool), x, y))


@given(seed=seeds, kind=st.sampled_from(["linear", "relu", "leaky_relu"]))
def test_twice_the_gain_is_twice_the_size_in_every_layer(seed: int, kind: str) -> None:
    config = kaiming.Config(activation=kind, gain=1.0, depth=5, width=8, examples=4)
    once, _ = kaiming.propagate(config, np.random.default_rng(seed))
    twice, _ = kaiming.propagate(replace(config, gain=2.0), np.random.default_rng(seed))
    for layer, (a, b) in enumerate(zip(once, twice, strict=True), start=1):
        np.testing.assert_allclose(b.numpy(), 2.0**layer * a.numpy(), rtol=1e-5, atol=1e-6)


@given(seed=seeds, fan_in=st.integers(1, 400))
def test_the_size_of_a_product_is_the_root_of_fan_in(seed: int, fan_in: int) -> None:
    rng = np.random.default_rng(seed)
    product = rng.standard_normal((400, fan_in)) @ rng.standard_normal((fan_in, 400))
    # The sum over a finite draw varies by about 1/√(2·400·fan_in)-ish in each factor; six of those is never seen.
    assert product.std() / math.sqrt(fan_in) == pytest.approx(1.0, abs=6 / math.sqrt(400 * fan_in) + 0.02)


def test_the_constants_that_the_notes_quote() -> None:
    q = fixed_point("tanh", 5 / 3)
    settled = moments("tanh", q)
    assert 100 * settled.saturated[0] == pytest.approx(5.4, abs=0.05)
    assert q == pytest.approx(1.18, abs=0.005)
    assert (5 / 3) ** 2 * settled.slope_square == pytest.approx(1.21, abs=0.005)
    assert 1 / math.sqrt(moments("tanh", 1.0).mean_square) == pytest.approx(1.593, abs=0.001)
    assert 1 - math.tanh(0.5) ** 2 == pytest.approx(0.79, abs=0.005)
    assert 1 - math.tanh(2.0) ** 2 == pytest.approx(0.07, abs=0.005)


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("activation", ["tanh", "linear"])
def test_looking_changes_nothing_and_sees_every_layer(norm: str, activation: str, rng: np.random.Generator) -> None:
    model = DeepMLP(rng=rng, depth=4, hidden=7, norm=norm, activation=activation)
    before = model.state_dict()
    seen = gains.look(model, rng.integers(27, size=(16, 3)), rng.integers(27, size=16))
    after = model.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert all(p.grad is None and not m._hooked for m in model.modules() for p in m.parameters())
    assert seen["activation_values"].shape == seen["gradient_values"].shape == (3, 16, 7)
    assert len(seen["weight_gradient_std"]) == 5


@given(seed=seeds, bounded=st.booleans())
def test_a_histogram_is_a_density(seed: int, bounded: bool) -> None:
    values = np.tanh(np.random.default_rng(seed).normal(size=(3, 2, 50)))
    edges, density = gains.histogram(values, bounded)
    share = (density * np.diff(edges)).sum(axis=1)
    assert (share <= 1 + 1e-9).all() and (share > 0.9).all()
    if bounded:
        np.testing.assert_allclose(share, 1.0)


@given(
    best=st.integers(0, 4),
    shift=st.floats(-1, 1),
    slope=st.floats(0.5, 1.5),
    order=st.permutations(range(5)),
)
def test_the_search_finds_the_best_rate_and_the_one_at_a_thousandth(
    best: int, shift: float, slope: float, order: list[int]
) -> None:
    rates = [10.0**k for k in range(-4, 1)]

    def record(lr: float, ratio: float, loss: float) -> Record:
        summary = {"diverged": int(loss > 9), "ratio": ratio, "val_loss": loss}
        return Record.of_summary("", 0, {"lr": lr, "seed": 0}, summary)

    def ratio(k: int) -> float:
        return -3 + slope * (math.log10(rates[k]) + 2 - shift)

    diverged = record(10.0, math.nan, math.inf)
    found = update_ratio.search(Records([diverged, *(record(rates[k], ratio(k), 2.0 + abs(k - best)) for k in order)]))
    assert found["best_lr"] == pytest.approx(rates[best]) and found["best_loss"] == 2.0
    assert found["best_ratio"] == pytest.approx(ratio(best))
    assert found["inside"] == float(best > 0)
    assert np.log10(found["advised_lr"]) == pytest.approx(-2 + shift)
    assert found["advised_loss"] >= found["best_loss"]
    alone = update_ratio.search(Records([diverged, record(0.1, -2.0, 2.0)]))
    assert np.isnan(alone["advised_loss"]).all() and alone["best_lr"] == 0.1
    again = Records([record(lr, -2.0, lr) for lr in (0.1, 0.1, 0.01, 0.001, 0.001)])  # a rate that lacks a seed
    assert update_ratio.search(again)["best_lr"].tolist() == [0.001, 0.001]


def test_only_plain_gradient_descent_does_what_the_formula_says(words: Path) -> None:
    def over(optimizer: str, lr: float) -> float:
        config = update_ratio.Config(optimizer=optimizer, lr=lr, steps=12, hidden=6, data=str(words))
        return float(update_ratio.run(config, Progress(None)).summary["true_to_formula"])

    assert over("sgd", 0.1) == pytest.approx(1.0, abs=1e-3)
    assert over("momentum", 0.01) > 1.5
    assert over("adam", 0.001) > 5


def test_tanh_stays_where_it_was_put() -> None:
    """The lesson replaces the nonlinearity of the network by name."""
    config = saturation.Config(activation="elu", hidden=4)
    model = saturation.build(config, 27, np.random.default_rng(0))
    assert isinstance(model.tanh, nn.ELU)
    with pytest.raises(ValueError, match="there is no activation"):
        saturation.Config(activation="swish")
    assert isinstance(model(np.zeros((1, 3), dtype=int)), Tensor)
