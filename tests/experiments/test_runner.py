"""Running: what is there is kept, a run that fails is named, Ctrl-C loses nothing that is finished."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.experiment import LESSONS, Experiment, Plan
from experiments.provenance import ROOT
from experiments.runner import execute, processes
from experiments.store import Store
from tests.experiments.conftest import threads


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def labels(runs) -> list[str]:
    return sorted(run.label for run in runs)


def begin(plan: Plan, store: Store, **options):
    store.write_plan(plan)
    return execute(plan.runs, store, **({"workers": threads} | options))


def test_a_second_time_only_what_is_missing_or_changed_is_run(lesson: Experiment, store: Store) -> None:
    plan = lesson.plan()
    first = begin(plan, store)
    assert labels(first.done) == ["gain=1", "gain=2", "gain=3"] and not first.kept
    assert labels(begin(plan, store).kept) == ["gain=1", "gain=2", "gain=3"]

    wider = begin(lesson.plan(changes={"gain": "1,2,4"}), store)
    assert (labels(wider.kept), labels(wider.done)) == (["gain=1", "gain=2"], ["gain=4"])
    assert labels(begin(lesson.plan(seeds=2), store).done) == ["gain=1", "gain=2", "gain=3"]
    assert len(begin(lesson.plan(changes={"steps": "7"}), store).done) == 3
    assert len(begin(plan, store, fresh=True).done) == 3

    folder = store.folder(plan.runs[0])
    (folder / "config.json").unlink()
    assert labels(begin(plan, store).done) == ["gain=1"]


def test_what_a_run_leaves(lesson: Experiment, store: Store) -> None:
    plan = lesson.plan(seeds=2)
    begin(plan, store)
    records = store.records(lesson)
    assert [(r.config.gain, r.seed) for r in records] == [(g, s) for g in (1.0, 2.0, 3.0) for s in (0, 1)]
    record = records[3]
    assert record.summary["twice"] == 4.0 and record.summary["words"] == ["a", "b"]
    assert math.isnan(record.summary["nothing"])
    assert record.series["loss"].tolist() == [3.0, 2.0, 1.0]
    assert np.array_equal(record.arrays["x"], np.random.default_rng(1).normal(size=5))
    assert records.where(gain=2.0).values("twice").tolist() == [4.0, 4.0]
    assert list(records.by("gain")) == [1.0, 2.0, 3.0]
    assert records.mean("twice", gain=3.0) == 6.0 and math.isnan(records.mean("absent"))
    about = json.loads((record.folder / "config.json").read_text(encoding="utf-8"))
    assert about["config"]["gain"] == 2.0 and about["versions"]["numpy"] == np.__version__
    assert {"blas", "blas_kernel", "processor", "threads", "git", "seed", "data_digest", "seconds"} <= set(about)
    text = (record.folder / "metrics.csv").read_text(encoding="utf-8")
    assert text.splitlines() == ["step,loss", "0,3", "1,2", "2,1"]


def test_the_same_run_leaves_the_same_bytes(lesson: Experiment, tmp_path: Path) -> None:
    run = lesson.plan().runs[0]
    kept = []
    for name in ("one", "two"):
        store = Store(tmp_path / name)
        begin(lesson.plan(), store)
        kept.append([(store.folder(run) / f).read_bytes() for f in ("summary.json", "metrics.csv", "arrays.npz")])
    assert kept[0] == kept[1]


def test_a_run_that_raises_is_named_and_the_others_go_on(lesson: Experiment, store: Store) -> None:
    plan = lesson.plan(changes={"mishap": "raises"})
    outcome = begin(plan, store)
    assert labels(outcome.done) == ["gain=1", "gain=3"]
    assert outcome.failed == {plan.runs[1].key: "RuntimeError: the gain"}
    assert not store.has(plan.runs[1])


def test_a_result_that_cannot_be_stored_is_a_failure(lesson: Experiment, store: Store) -> None:
    class Bad(Store):
        def save(self, run, result, *about):
            result.series["longer"] = range(9)
            return super().save(run, result, *about)

    outcome = begin(lesson.plan(changes={"gain": "1"}), Bad(store.directory))
    assert "differ in length: step 3, loss 3, longer 9" in next(iter(outcome.failed.values()))
    assert not (store.lesson("fake") / "runs").exists()


def test_a_process_that_dies_is_named_and_the_others_go_on(lesson: Experiment, store: Store) -> None:
    plan = lesson.plan(changes={"mishap": "dies", "gain": "1,2,3"})
    outcome = begin(plan, store, workers=processes, jobs=2)
    assert labels(outcome.done) == ["gain=1", "gain=3"]
    assert outcome.failed == {plan.runs[1].key: "its process died"}
    record = store.records(lesson)[0]
    assert record.about["threads"]["OPENBLAS_NUM_THREADS"] == "1"


@pytest.mark.skipif(os.name != "posix", reason="signals as on Unix")
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_keeps_what_is_finished(directory: Path, store: Store) -> None:
    # gain=3 ends at once, the others wait for a minute.
    arguments = ["run", "fake", "--jobs", "2", "--set", "wait=60", "--set", "gain=3,1,2", "--out", str(store.directory)]
    program = "import sys; from pathlib import Path; from experiments.__main__ import main\n"
    program += f"sys.exit(main({arguments!r}, Path({str(directory)!r})))"
    runs = store.lesson("fake") / "runs"
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        try:
            deadline = time.monotonic() + 40
            while not list(runs.glob("gain=3*/config.json")) and time.monotonic() < deadline:
                time.sleep(0.05)
            begun = time.monotonic()
            os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to the workers too
            _, error = child.communicate(timeout=30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    assert child.returncode == 130, error
    assert time.monotonic() - begun < 20
    assert "stopped: 1 of 3 runs are kept" in error and "Traceback" not in error
    assert [folder.name[:6] for folder in runs.iterdir()] == ["gain=3"]


def test_from_the_command_line(directory: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(store.directory), "--jobs", "1"]
    assert main(["run", "fake", "--quick", *out], directory) == 0
    printed = capsys.readouterr()
    assert "quick look: 10 steps instead of 100" in printed.out and "Doubles" in printed.out
    assert "[2/2] fake: gain=2, seed 0" in printed.err
    assert "~ direction only: Twice two is five" in printed.out and "It is `four`." in printed.out
    assert "○ not judged: 1 claim (needs the full budget)" in printed.out
    assert f"report: {store.directory / 'report.html'}" in printed.out

    assert main(["show", str(store.directory), "fake"], directory) == 0
    assert "Doubles" in capsys.readouterr().out
    (store.directory / "report.html").unlink()
    assert main(["report", str(store.directory)], directory) == 0
    assert (store.directory / "report.html").is_file()

    assert main(["run", "fake", "--set", "mishap=raises", *out], directory) == 1
    printed = capsys.readouterr()
    assert "experiments: fake: gain=2, seed 0 failed: RuntimeError: the gain" in printed.err
    assert "! The run gain=2, seed 0 failed (RuntimeError: the gain)." in printed.out

    assert main(["list"], directory) == 0
    assert "A fake lesson" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run"], "name the lessons to run, or say --all; there are fake."),
        (["run", "fake", "--all"], "name the lessons to run, or say --all"),
        (["run", "fkae"], "there is no lesson called 'fkae': did you mean fake?"),
        (["run", "fake", "--set", "gain"], "--set takes KEY=VALUE; got 'gain'."),
        (["run", "fake", "--set", "gian=2"], "did you mean gain?"),
        (["run", "fake", "--seeds", "0"], "must be a whole number, 1 or more; got '0'"),
        (["run", "fake", "--quick", "--full"], "not allowed with argument"),
        (["run", "fake", "--out", f"{__file__}/x"], "cannot be made"),
        (["run", "fake", "--scheduler", "nonsense"], ""),
        (["report", "/nowhere"], "there is no directory /nowhere."),
        (["show", "/nowhere", "fake"], "holds no results of fake: run it first."),
        (["dance"], "invalid choice"),
        ([], "required"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    directory: Path,
    tmp_path: Path,
    arguments: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments, directory) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("experiments: ") and printed.err.count("\n") == 1
    assert sentence in printed.err


def test_a_lesson_is_a_script(tmp_path: Path) -> None:
    changes = ["--set", "activation=relu", "--set", "gain=1", "--set", "depth=4", "--set", "width=12"]
    program = [sys.executable, str(LESSONS / "kaiming.py"), "--quick", *changes, "--jobs", "1", "--out", "found"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    plan = json.loads((tmp_path / "found/kaiming/plan.json").read_text(encoding="utf-8"))
    assert plan["budget"] == "quick" and plan["changes"]["activation"] == "relu"
    assert len(list((tmp_path / "found/kaiming/runs").iterdir())) == len(plan["runs"]) > 0
    assert (tmp_path / "found/report.html").is_file()
