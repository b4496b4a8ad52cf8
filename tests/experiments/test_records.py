"""What lessons take from several records at once: means over seeds, and values that can be compared seed by seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.records import Record, Records, by_setting, mean_curve, paired
from experiments.tables import across, cells, sampled

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


def test_cells_of_several_quantities_and_of_one_across_settings() -> None:
    own = records([("a", 1, 1.0), ("a", 2, 3.0), ("b", 1, 0.5)])
    assert cells(own, loss=1, other=2) == ["1.5 ± 1.3", "–"] and cells(own.where(norm="b"), loss=".0%") == ["50%"]
    assert across(own, "loss", 1, norm="ab") == ["2.0 ± 1.4", "0.5"]
    assert across(own, "loss", 0, norm="ab", depth=(1, 2)) == ["1", "3", "0", "–"]
    table = sampled(["eva", "ada", "ida", "ole", "per"], "batch norm")
    assert table.rows == [["eva", "ada", "ida", "ole"], ["per"]] and "batch norm" in table.title
