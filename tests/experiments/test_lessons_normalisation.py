"""The lessons on normalisation: each runs, judges and draws at a tiny budget; what is exact in them is exact."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models
from experiments import report, style
from experiments.batch_statistics import calibrate, jitter
from experiments.experiment import LESSONS, load
from experiments.lessons import batch_norm, norms, residual, why_batch_norm
from experiments.provenance import ROOT
from experiments.runner import execute
from experiments.store import Store
from models.conv_net import ConvNet
from npgrad import Tensor, data, nn
from npgrad.functions import cross_entropy
from tests.experiments.conftest import cut_off, on_one_another, threads

# Parts of the sweeps that still feed every claim and every picture; steps enough for every network to be compiled.
TINY = {
    "batch_norm": {"steps": "5", "long": "5", "names": "20", "gain": "0.5,5/3,2", "lr": "0.03,0.1"},
    "why_batch_norm": {"steps": "5", "probes": "1", "depth": "4"},
    "norms": {"steps": "5", "lr": "0.03,0.1"},
    "residual": {"steps": "5", "optimizer": "sgd,adam"},
}
seeds = st.integers(0, 2**32 - 1)
silent: Any = lambda *_: None  # noqa: E731


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every fortieth name: enough to train on for a few steps."""
    path = tmp_path_factory.mktemp("words") / "names.txt"
    path.write_text("\n".join(data.read_words(ROOT / "data/names.txt")[::40]), encoding="utf-8")
    return path


def carry_out(name: str, changes: dict[str, str], store: Store, count: int) -> Any:
    lesson = load(LESSONS / f"{name}.py")
    plan = lesson.plan(seeds=count, changes=changes)
    store.write_plan(plan)
    assert not execute(plan.runs, store, workers=threads).failed
    return lesson


@pytest.mark.parametrize("name", TINY)
def test_a_lesson_runs_judges_and_draws(name: str, words: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    lesson = carry_out(name, TINY[name] | {"data": str(words)}, store, 1)
    reading = report.read(lesson, store)
    assert not reading.problems
    assert [j.claim.id for j in reading.judged if j.reason == "no run measured it"] == []
    assert all(table.rows for table in reading.tables)
    assert all(len(row) == len(table.columns) for table in reading.tables for row in table.rows)
    with style.theme("dark"):
        pictures = list(lesson.plot(store.records(lesson)))
        for picture in pictures:
            assert picture.caption
            picture.figure.draw_without_rendering()
            assert not cut_off(picture.figure), picture.name
            assert not on_one_another(picture.figure), picture.name
    assert len(pictures) >= 2


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("batch_norm", {"study": "scale", "net": "shallow", "norm": "batch", "gain": "3", "lr": "0.1"}),
        ("why_batch_norm", {"study": "shift", "norm": "noisy", "lr": "0.2", "activation": "tanh"}),
        ("norms", {"study": "company", "norm": "layer", "batch_size": "3", "lr": "0.1"}),
        ("residual", {"study": "depth", "norm": "batch", "blocks": "2", "init": "kaiming"}),
    ],
)
def test_a_part_of_the_sweep_is_enough_to_draw(name: str, part: dict[str, str], words: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    lesson = carry_out(name, TINY[name] | part | {"data": str(words)}, store, 2)
    assert not report.read(lesson, store).problems
    for picture in lesson.plot(store.records(lesson)):
        picture.figure.draw_without_rendering()
        assert not cut_off(picture.figure), picture.name
        assert not on_one_another(picture.figure), picture.name


@pytest.mark.parametrize(
    ("module", "settings", "message"),
    [
        (batch_norm, {"study": "none"}, "there is no study 'none'"),
        (batch_norm, {"net": "wide"}, "there is no net 'wide'"),
        (batch_norm, {"batch_size": 1}, "batch_size must be 2 or more"),
        (batch_norm, {"lr": -1.0}, "learning rate"),
        (why_batch_norm, {"norm": "layer"}, "there is no norm 'layer'"),
        (why_batch_norm, {"study": "depth", "depth": 0}, "depth must be 1 or more"),
        (norms, {"norm": "instance"}, "there is no norm 'instance'"),
        (norms, {"dtype": "float16"}, "there is no dtype 'float16'"),
        (residual, {"init": "orthogonal"}, "there is no init 'orthogonal'"),
        (residual, {"blocks": 0}, "blocks must be 1 or more"),
    ],
)
def test_settings_that_make_no_sense(module: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        module.Config(**settings)


# -- what is exact -----------------------------------------------------------------------------------------------------


@given(seeds, st.floats(-100, 100), st.integers(2, 40))
def test_a_bias_in_front_of_batch_norm_does_nothing_and_gets_nothing(seed: int, shift: float, rows: int) -> None:
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(size=(2, rows, 7))
    norm = nn.BatchNorm1d(7, dtype=np.float64)
    bias = Tensor(np.full(7, shift), requires_grad=True)
    y = norm(Tensor(x) + bias)
    y.backward(dy)
    np.testing.assert_allclose(y.data, norm(Tensor(x)).data, atol=1e-9)
    # The gradients that cancel here are as large as 1/std.
    assert bias.grad is not None
    assert np.abs(bias.grad).max() <= 1e-12 * np.abs(dy).sum() / x.std(axis=0).min()


@given(seeds, st.floats(1.5, 100))
def test_the_scale_of_the_weights_is_invisible_behind_batch_norm(seed: int, c: float) -> None:
    found = batch_norm.scaled(np.random.default_rng(seed), c)
    exact = {
        "linear_out": c,
        "linear_dx": c,
        "linear_dW": 1.0,
        "linear_norm_out": 1.0,
        "linear_norm_dx": 1.0,
        "linear_norm_dW": 1 / c,
    }
    assert found == pytest.approx(exact, rel=1e-4)  # epsilon is part of the variance


def test_calibration_finds_the_mean_and_variance_of_the_examples(words: Path) -> None:
    corpus = data.load(words)
    model = models.build("mlp", vocab_size=len(corpus.vocabulary), context=3, rng=np.random.default_rng(0))
    x = corpus.train.x[:300]
    before = model.C.weight.data[x].reshape(300, -1) @ model.hidden.weight.data  # type: ignore[attr-defined]
    calibrate(model, x)
    norm: Any = model.norm  # type: ignore[attr-defined]
    np.testing.assert_allclose(norm.running_mean, before.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(norm.running_var, before.var(axis=0, ddof=1), rtol=1e-3)
    assert norm.momentum == 0.001


def test_probing_changes_nothing(words: Path) -> None:
    """A run that is looked at often ends with the weights of one that is looked at once."""
    corpus = data.load(words)
    ends = []
    for probes in (1, 6):
        config = why_batch_norm.Config(norm="batch", steps=6, probes=probes, data=str(words))
        ends.append(why_batch_norm.shifting(config, corpus, silent).summary["loss"])
    assert ends[0] == ends[1]


def test_roughness_is_the_curvature_of_a_parabola(monkeypatch: pytest.MonkeyPatch) -> None:
    """For L = k·w²/2 the gradient changes by k for each unit of way, wherever one stands."""

    class Parabola(nn.Module):
        def __init__(self) -> None:
            self.first = [nn.Parameter(np.zeros((2, 2))) for _ in range(2)]
            self.w = nn.Parameter(np.ones((2, 2)))

        def forward(self, x: object) -> Tensor:
            return (self.w * self.w).sum() * 1.5 + (self.first[0] + self.first[1]).sum() * 0

    model = Parabola()
    config = why_batch_norm.Config(lr=0.1)
    monkeypatch.setattr(why_batch_norm, "cross_entropy", lambda y, _: y)
    found = why_batch_norm.along(model, data.Windows(np.zeros((1, 1), np.intp), np.zeros(1, np.intp)), config)
    assert found["roughness"] == pytest.approx(3.0)
    losses = [6.0 * (1 - 3.0 * stride * 0.1) ** 2 for stride in (0.0, *why_batch_norm.STRIDES)]
    assert found["variation"] == pytest.approx(max(losses) - min(losses))
    np.testing.assert_array_equal(model.w.data, np.ones((2, 2)))


@given(seeds)
def test_shift_is_the_same_for_all_rows_and_absent_in_evaluation(seed: int) -> None:
    shift = why_batch_norm.Shift(0.5, np.random.default_rng(seed))
    x = np.random.default_rng(seed + 1).normal(size=(5, 4))
    y = shift(Tensor(x)).data
    s = (y[1] - y[0]) / (x[1] - x[0])
    np.testing.assert_allclose(y, s * x + (y[0] - s * x[0]), atol=1e-9)
    assert np.all((s > 0.74) & (s < 1.26))
    np.testing.assert_array_equal(shift.eval()(Tensor(x)).data, x)


@pytest.mark.parametrize("norm", norms.NORMS)
def test_only_batch_norm_asks_the_company(norm: str, words: Path) -> None:
    corpus = data.load(words)
    model = norms.build(norms.Config(norm=norm), corpus, np.random.default_rng(0), np.dtype(np.float64))
    found = norms.company(model, corpus, np.random.default_rng(1), times=5)
    assert (found["coupling"] > 1e-3) == (abs(found["forgotten"]) > 1e-6) == (norm == "batch")


def test_equal_contexts_cancel_in_theory_and_not_in_float32(words: Path) -> None:
    corpus = data.load(words)
    found = norms.twins(norms.Config(norm="batch"), corpus)
    assert found["twins_float32"] > 1e4
    assert found["twins_float64"] < 1
    assert norms.twins(norms.Config(norm="layer"), corpus)["twins_float32"] < 1


@given(seeds)
def test_a_convolution_is_a_linear_layer_on_patches(seed: int) -> None:
    corpus: Any = SimpleNamespace(train=data.Windows(np.zeros((4, 8), dtype=np.intp), np.arange(4)))
    model = ConvNet(27, 8, rng=np.random.default_rng(seed), blocks=1)
    found = residual.facts(model, corpus, np.random.default_rng(seed))
    assert found["convolution"] < 1e-12


def test_residual_sums_tame_the_gradients_of_batch_norm(words: Path) -> None:
    corpus = data.load(words, 8)
    ratios = []
    for direct in (False, True):
        config = residual.Config(residual=direct, blocks=8)
        found = residual.gradients(residual.build(config, 27, np.random.default_rng(0)), corpus)
        ratios.append(found[0] / found[-1])
    assert ratios[0] > 5 * ratios[1] > 5


def test_the_study_of_depth_sees_what_the_theory_predicts(words: Path) -> None:
    """π/(π − 1) a layer for ReLU behind batch norm; 1 without it, at Kaiming's gain."""
    corpus = data.load(words)
    growth = {}
    for norm in ("none", "batch"):
        config = why_batch_norm.Config(study="depth", norm=norm, activation="relu", depth=30)
        growth[norm] = why_batch_norm.deep(config, corpus, silent).summary["growth"]
    assert growth["batch"] == pytest.approx(math.pi / (math.pi - 1), rel=0.06)
    assert growth["none"] == pytest.approx(1.0, rel=0.06)


def test_noise_of_the_company_is_what_chance_makes_it(words: Path) -> None:
    """Of a Gaussian unit normalised over n examples: 1/n from the mean, half as much from the variance."""
    corpus = data.load(words)
    model = models.build("mlp", vocab_size=len(corpus.vocabulary), context=3, rng=np.random.default_rng(0))
    moved, _ = jitter(model, corpus, 32, np.random.default_rng(1), times=40)
    assert moved == pytest.approx(math.sqrt(1.5 / 32), rel=0.1)


def test_losses_at_equal_training_loss() -> None:
    """Of two straight lines, the one that lies lower by a half is found to lie lower by a half."""

    def record(norm: str, company: int, lr: float, end: float, above: float) -> Any:
        train = np.linspace(3.0, end, 30)
        config = SimpleNamespace(study="overfitting", norm=norm, company=company, lr=lr)
        summary = {"train_loss": end, "train": train.tolist(), "val": (4 - train + above).tolist()}
        return SimpleNamespace(config=config, summary=summary)

    class Few(list[Any]):
        def where(self, **settings: Any) -> Few:
            return Few(r for r in self if all(getattr(r.config, k) == v for k, v in settings.items()))

    company = batch_norm.COMPANY
    records: Any = Few(
        [
            record("none", 0, 0.1, 1.0, 1.0),
            record("batch", 0, 0.1, 1.5, 0.5),
            record("batch", company, 0.1, 1.4, 0.75),
            record("none", 0, 0.03, 1.2, 0.5),
        ]
    )
    found = batch_norm.overfitted(records)
    assert found["overfit/no normalisation"] - found["overfit/batch norm"] == pytest.approx(0.5)
    assert found["quiet_share"] == pytest.approx(0.5)
    assert found["slow_share"] == pytest.approx(1.0)


def test_a_bad_start_is_the_same_for_every_network() -> None:
    """The combinations differ in what was varied and in nothing else: the same numbers, scaled."""
    good = residual.build(residual.Config(init="kaiming"), 27, np.random.default_rng(0))
    small = residual.build(replace(residual.Config(), init="small"), 27, np.random.default_rng(0))
    ratio = small.stem[0].weight.data / good.stem[0].weight.data  # type: ignore[attr-defined]
    np.testing.assert_allclose(ratio, 0.3 / math.sqrt(2), rtol=1e-5)
    cross_entropy(small(np.zeros((2, 8), dtype=np.intp)), np.array([0, 1])).backward()
