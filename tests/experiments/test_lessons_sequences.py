"""The unrolled recurrent network: what a gate does in its extremes, and the lesson from run to page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments import report
from experiments.experiment import LESSONS, load
from experiments.lessons import recurrent
from experiments.runner import Progress, execute
from experiments.store import Store
from tests.experiments.conftest import cut_off, threads


def left(**options: object) -> float:
    config = recurrent.Config(**({"steps": 6, "hidden": 8, "examples": 4} | options))  # type: ignore[arg-type]
    return float(recurrent.run(config, Progress(None)).summary["left"])


def test_an_open_gate_passes_everything_and_weights_of_zero_nothing() -> None:
    assert left(cell="gated", keep=40.0) == pytest.approx(1.0)
    assert left(cell="plain", gain=0.0) == 0.0
    assert 0 < left(cell="plain", gain=0.5) < left(cell="gated", gain=0.5) < 1


def test_the_lesson_runs_judges_and_draws(tmp_path: Path) -> None:
    lesson = load(LESSONS / "recurrent.py")
    store = Store(tmp_path)
    plan = lesson.plan(seeds=2, changes={"steps": "6", "hidden": "8"})
    store.write_plan(plan)
    assert not execute(plan.runs, store, workers=threads).failed
    reading = report.read(lesson, store)
    assert not reading.problems and all(one.n == 2 for one in reading.judged)
    for picture in lesson.plot(reading.records):
        assert not cut_off(picture.figure)
    assert np.isfinite([r.summary["left"] for r in reading.records]).all()
    assert reading.extent == "default budget, 2 seeds, 6 steps"
