"""Results on disk: what a run leaves behind, and how plots, tables and verdicts get at it.

    results/stages/plan.json                            the runs last asked for, and how
    results/stages/runs/kaiming-seed0-1f00ba2c3d-77ab01c2/
        config.json                                     configuration, data digest, versions, BLAS, threads, git state
        summary.json  metrics.csv  arrays.npz           what the run found out
        figures/                                        pictures of this run alone, if its lesson draws any
    results/stages/figures/                             SVG and PNG, light and dark
    results/report.html

The name of a run's folder ends in two digests: of what was asked (configuration, data, NumPy, BLAS) and of the code
that was executed. A changed configuration or a changed rule goes to a folder of its own, and changing back finds the
old result; what other code has computed is never shown. A folder appears complete or not at all.
"""

from __future__ import annotations

import csv
import glob
import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from experiments.experiment import Experiment, Mistake, Plan, Result, Run
from experiments.provenance import Code
from experiments.records import Record, Records, hashable
from npgrad.checkpoint import replace_file

__all__ = ["Store", "plain_numbers", "read_json", "write_json"]

# -- writing -----------------------------------------------------------------------------------------------------------


class Store:
    """A directory of results. Raises Mistake if it cannot be written or what is in it cannot be read."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.code = Code()

    def lesson(self, name: str) -> Path:
        return self.directory / name

    def folder(self, run: Run) -> Path | None:
        """Where the result of a run is that this code has computed; None if there is none."""
        return self._fresh(run.lesson, run.file, run.folder)[0]

    def has(self, run: Run) -> bool:
        return self.folder(run) is not None

    def _fresh(self, lesson: str, file: Path, name: str) -> tuple[Path | None, bool]:
        """The folder whose result is of this code, and whether there are others."""
        folders = sorted((self.lesson(lesson) / "runs").glob(f"{glob.escape(name)}-*"))
        for folder in folders:
            about = read_json(folder / "config.json")
            if about is not None and about["code"]["digest"] == self.code.digest(file, about["code"]["functions"]):
                return folder, len(folders) > 1
        return None, bool(folders)

    def save(
        self, run: Run, result: Result, code: Mapping[str, Any], environment: Mapping[str, Any], seconds: float
    ) -> Path:
        """Write the folder of a run; whoever looks sees all of it or nothing.

        `code` says which Functions it applied and the digest of all it executed.
        """
        columns = {name: np.asarray(column, dtype=float).ravel() for name, column in result.series.items()}
        if len({len(column) for column in columns.values()}) > 1:
            lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
            raise ValueError(f"the series of {run.title} differ in length: {lengths}.")
        about = {
            "lesson": run.lesson,
            "label": run.label,
            "seed": run.seed,
            "config": asdict(run.config),
            "key": run.key,
            "data_digest": run.digest,
            "code": dict(code),
            **environment,
            "seconds": round(seconds, 2),
        }
        final = self.lesson(run.lesson) / "runs" / f"{run.folder}-{code['digest'][:8]}"
        self.make(final.parent)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=final.parent))
        try:
            partial.chmod(0o755)
            write_json(partial / "config.json", about)
            write_json(partial / "summary.json", result.summary)
            with (partial / "metrics.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                if columns:
                    writer.writerow(columns)
                    writer.writerows([f"{v:.9g}" for v in row] for row in zip(*columns.values(), strict=True))
            arrays: dict[str, Any] = {k: np.asarray(v) for k, v in result.arrays.items()}
            np.savez_compressed(partial / "arrays.npz", **arrays)
            if final.exists():
                shutil.rmtree(final)
            os.replace(partial, final)
        except OSError as error:
            raise Mistake(f"{final} cannot be written: {error.strerror}.") from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return final

    def make(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Mistake(f"{directory} cannot be made: {error.strerror}.") from None

    def write_plan(self, plan: Plan, failures: Mapping[str, str] | None = None) -> None:
        """Note which runs belong to the lesson now; `failures` maps keys of runs to what went wrong."""
        content = {
            "lesson": plan.experiment.name,
            "budget": plan.budget,
            "seeds": plan.seeds,
            "changes": dict(plan.changes),
            "command": plan.command,
            "remark": plan.remark,
            "runs": [{"label": r.label, "seed": r.seed, "key": r.key, "folder": r.folder} for r in plan.runs],
            "failures": dict(failures or {}),
        }
        directory = self.lesson(plan.experiment.name)
        self.make(directory)
        write_json(directory / "plan.json", content)
        for left in (directory / "runs").glob(".partial-*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)

    def plan(self, name: str) -> dict[str, Any]:
        loaded = read_json(self.lesson(name) / "plan.json")
        if loaded is None:
            raise Mistake(f"{self.directory} holds no results of {name}: run it first.")
        return loaded

    def records(self, lesson: Experiment) -> Records:
        """The results of the lesson's plan that are there and that this code has computed."""
        return self.found(lesson)[0]

    def found(self, lesson: Experiment) -> tuple[Records, int]:
        """The results of the lesson's plan, and how many runs there are for which only other code has computed one."""
        found, stale = [], 0
        for entry in self.plan(lesson.name)["runs"]:
            folder, others = self._fresh(lesson.name, lesson.file, entry["folder"])
            about = None if folder is None else read_json(folder / "config.json")
            if folder is None or about is None:
                stale += others
                continue
            config = SimpleNamespace(**{k: hashable(v) for k, v in about["config"].items()})
            found.append(Record(folder, about["label"], about["seed"], config, about))
        return Records(found), stale

    def lessons(self, known: Mapping[str, Experiment]) -> list[Experiment]:
        """The lessons that have results here, in reading order."""
        if not self.directory.is_dir():
            raise Mistake(f"there is no directory {self.directory}.")
        return [lesson for name, lesson in known.items() if (self.lesson(name) / "plan.json").is_file()]


def plain_numbers(value: Any) -> Any:
    """JSON has no nan and no infinity: both become null."""
    if isinstance(value, Mapping):
        return {str(k): plain_numbers(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain_numbers(v) for v in value]
    if isinstance(value, np.generic):
        return plain_numbers(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def read_json(path: Path) -> dict[str, Any] | None:
    """Raises Mistake if there is such a file and it cannot be read."""
    try:
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Mistake(f"{path} cannot be read: {error}.") from None
    return loaded


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(plain_numbers(content), indent=2, ensure_ascii=False)
    replace_file(path, [text.encode(), b"\n"])
