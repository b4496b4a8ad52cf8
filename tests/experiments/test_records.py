"""What lessons take from several records at once: groups, means over seeds, texts and tables filled from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.records import Record, Records, by_setting, mean_curve, measured, paired
from experiments.tables import Column, across, sampled, table

RUNS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3), st.floats(0.5, 2)), min_size=1, max_size=12)


def records(runs: list[tuple[str, int, float]]) -> Records:
    made = [
        Record.of_summary("", seed, {"norm": norm, "depth": depth}, {"loss": loss})
        for seed, (norm, depth, loss) in enumerate(runs)
    ]
    for record, (_, _, loss) in zip(made, runs, strict=True):
        vars(record).update(series={"curve": np.array([loss, 2 * loss])}, arrays={"kept": np.array([1.0, loss, 3.0])})
    return Records(made)


@given(RUNS)
def test_a_setting_that_lacks_seeds_is_left_out(runs: list[tuple[str, int, float]]) -> None:
    found = by_setting(records(runs), "norm", "loss")
    every = {norm: [loss for n, _, loss in runs if n == norm] for norm, _, _ in runs}
    most = max(map(len, every.values()))
    assert {norm: values.tolist() for norm, values in found.items()} == {
        n: v for n, v in every.items() if len(v) == most
    }
    assert paired(found.values()) and paired(map(np.array, every.values())) == (len(found) == len(every))
    assert not paired([])


@given(RUNS)
def test_curves_are_averaged_over_records(runs: list[tuple[str, int, float]]) -> None:
    own, losses = records(runs), np.array([loss for _, _, loss in runs])
    assert mean_curve(own, "curve") == pytest.approx([losses.mean(), 2 * losses.mean()])
    middle = np.prod(losses) ** (1 / len(losses))
    assert mean_curve(own, "kept", geometric=True) == pytest.approx([1, middle, 3])


@given(RUNS)
def test_groups_by_several_settings_are_nested_and_miss_no_record(runs: list[tuple[str, int, float]]) -> None:
    own = records(runs)
    nested = {(n, d): some for n, part in own.by("norm").items() for d, some in part.by("depth").items()}
    groups = own.by("norm", "depth")
    assert list(groups) == list(nested)
    for (norm, depth), group in groups.items():
        assert list(group) == list(nested[norm, depth]) == list(own.where(norm=norm, depth=lambda d, k=depth: d == k))
    assert sum(map(len, groups.values())) == len(own)
    assert all(k == (*pair, seed) for k, pair, seed in ((k, k[:2], k[2]) for k in own.by("norm", "depth", "depth")))


@given(RUNS)
def test_texts_are_filled_with_settings_and_means(runs: list[tuple[str, int, float]]) -> None:
    own = records(runs)
    mean = np.mean([loss for _, _, loss in runs])
    assert own.fill("{norm}, {depth} layers: {loss:.6f}") == f"{runs[0][0]}, {runs[0][1]} layers: {mean:.6f}"
    assert own[:0].fill("{norm}") == ""


def test_every_number_of_the_summaries_is_measured_and_nothing_else() -> None:
    own = records([("a", 1, 1.0), ("b", 1, 0.5), ("a", 2, 3.0)])
    vars(own[0])["summary"]["word"] = "emma"
    found = measured(own.by("norm"))
    assert {name: values.tolist() for name, values in found.items()} == {"loss/a": [1.0, 3.0], "loss/b": [0.5]}
    assert measured(own.by("norm"), "other")["other/a"].size == 0


def test_a_mean_curve_is_as_long_as_the_shortest() -> None:
    own = records([("a", 1, 1.0), ("a", 1, 3.0)])
    vars(own[0])["series"] = {"curve": np.array([1.0])}
    assert mean_curve(own, "curve").tolist() == [2.0]


def test_tables_are_filled_column_by_column() -> None:
    own = records([("a", 1, 1.0), ("a", 2, 3.0), ("b", 1, 0.5)])
    columns = [
        Column("loss", "loss", 1),
        Column("deep", "loss", 0, depth=2),
        Column("share", lambda group: group.values("loss") / 2, 2),
        Column("depths", "from {depth}"),
    ]
    made = table("{norm}: loss", "norm", own.by("norm") | {"c": own[:0]}, columns, "Mean {loss:.1f}.", {"a": "none"})
    assert (made.title, made.columns, made.note) == (
        "a: loss",
        ["norm", "loss", "deep", "share", "depths"],
        "Mean 1.5.",
    )
    assert made.rows == [["none", "2.0 ± 1.4", "3", "1.00 ± 0.71", "from 1"], ["b", "0.5", "–", "0.25", "from 1"]]
    assert not table("", "norm", {}, columns, "{steps}").rows

    crossed = across("loss", 1, "loss", norm={"a": "none", "b": "batch"}, depth={1: "", 2: "deep"})
    made = table("", ("norm", "depth"), own.by("norm", "depth"), crossed)
    assert made.columns[2:] == ["loss, none", "loss, none, deep", "loss, batch", "loss, batch, deep"]
    assert made.rows == [
        ["a", "1", "1.0", "–", "–", "–"],
        ["a", "2", "–", "3.0", "–", "–"],
        ["b", "1", "–", "–", "0.5", "–"],
    ]
    assert table("", "norm", own.by("norm", "depth"), []).rows == [["a"], ["a"], ["b"]]
    names = sampled(["eva", "ada", "ida", "ole", "per"], "batch norm")
    assert names.rows == [["eva", "ada", "ida", "ole"], ["per"]] and "batch norm" in names.title
