"""A reference result: what is worth keeping of a directory of results, small enough to commit, to compare others with.

scoreboard.txt     every claim, what was measured, the verdict
claims.json        the same as numbers: mean, standard deviation, number of seeds, verdict
runs.jsonl         one line a run: its configuration and its summary
figures/           every picture of the report, as LESSON-NAME.svg
README.md          where and how it was made
"""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import report
from experiments.claims import Judged
from experiments.experiment import Experiment, Mistake
from experiments.provenance import ROOT
from experiments.store import Record, Store, plain_numbers
from experiments.tables import scoreboard

__all__ = ["REFERENCE", "compare", "export"]

REFERENCE = ROOT / "experiments" / "reference"
WIDTH = 140
NEAR = 3.0
"""Two measurements agree that differ by at most so many standard deviations, or are written alike."""


def export(store: Store, known: Mapping[str, Experiment], directory: Path) -> None:
    """Write the reference of these results; what it held before is replaced.

    Raises Mistake if there is nothing to keep, or the directory holds something else.
    """
    lessons = store.lessons(known)
    if not lessons:
        raise Mistake(f"{store.directory} holds no results: python -m experiments run makes some.")
    if directory.exists() and (not directory.is_dir() or (any(directory.iterdir()) and not _ours(directory))):
        raise Mistake(f"{directory} is not a reference result and would be overwritten: name another directory.")
    store.make(directory)
    board = report.scoreboard(store, lessons)
    (directory / "scoreboard.txt").write_text(scoreboard(board, WIDTH) + "\n", encoding="utf-8")
    claims = {name: {"verdict": one.verdict, "mean": one.mean, "sd": one.sd, "n": one.n} for name, one in board.items()}
    text = json.dumps(plain_numbers(claims), indent=1, ensure_ascii=False)
    (directory / "claims.json").write_text(text + "\n", encoding="utf-8")
    records = {lesson.name: list(store.records(lesson)) for lesson in lessons}
    with (directory / "runs.jsonl").open("w", encoding="utf-8") as file:
        for name, stored in records.items():
            for record in stored:
                line = {
                    "lesson": name,
                    "label": record.label,
                    "seed": record.seed,
                    "config": record.about["config"],
                    "summary": record.summary,
                }
                file.write(json.dumps(plain_numbers(line), sort_keys=True, ensure_ascii=False) + "\n")
    figures = directory / "figures"
    shutil.rmtree(figures, ignore_errors=True)
    store.make(figures)
    for lesson in lessons:
        for picture in sorted((store.lesson(lesson.name) / "figures").glob("*.svg")):
            if not picture.stem.endswith("-dark"):
                shutil.copyfile(picture, figures / f"{lesson.name}-{picture.name}")
    every = [record for stored in records.values() for record in stored]
    commands = [store.plan(lesson.name)["command"] for lesson in lessons]
    alike = {command.replace(f" {lesson.name}", " --all", 1) for command, lesson in zip(commands, lessons, strict=True)}
    if len(alike) == 1 and len(lessons) == len(known):
        commands = list(alike)
    (directory / "README.md").write_text(_readme(every, commands), encoding="utf-8")


def _ours(directory: Path) -> bool:
    return (directory / "scoreboard.txt").is_file()


def _readme(records: list[Record], commands: list[str]) -> str:
    where = Counter(
        "{platform}, Python {versions[python]}, NumPy {versions[numpy]}, {blas}".format(**record.about)
        for record in records
    )
    hours = sum(record.about["seconds"] for record in records) / 3600
    runs = "\n".join(f"    {command}" for command in commands)
    return f"""\
# A reference result

What the lessons gave on one machine, to compare yours with: `python -m experiments compare`.

| file | what it is |
|---|---|
| `scoreboard.txt` | every claim of the documents, what we measured, the verdict |
| `claims.json` | the same as numbers: mean, standard deviation, number of seeds |
| `figures/` | every picture of the report, `LESSON-NAME.svg` |
| `runs.jsonl` | one line a run: its configuration and its summary |

{len(records):,} runs, {hours:.1f} hours of one core: {"; ".join(where)}. Made by

{runs}

and `python -m experiments export results experiments/reference`.
"""


def compare(board: Mapping[str, Judged], directory: Path = REFERENCE) -> tuple[list[str], list[str], int]:
    """Claims whose verdict differs from the reference's, and claims whose measurement does though the verdict agrees.

    A line each; and how many claims were compared. Raises Mistake if there is no reference, or nothing to compare.
    """
    path = directory / "claims.json"
    try:
        reference: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Mistake(f"there is no reference result in {directory}: it would hold {path.name}.") from None
    except (OSError, ValueError) as error:
        raise Mistake(f"{path} cannot be read: {error}.") from None
    verdicts, measurements = [], []
    both = 0
    for name, mine in board.items():
        theirs = reference.get(name)
        if theirs is None or "not judged" in (mine.verdict, theirs["verdict"]):
            continue
        both += 1
        mean, sd = (math.nan if theirs[key] is None else theirs[key] for key in ("mean", "sd"))
        there = Judged(mine.claim, theirs["verdict"], mean, sd, theirs["n"])
        line = f"{name}: {mine.measured}, {mine.verdict}; reference {there.measured}"
        if mine.verdict != there.verdict:
            verdicts.append(f"{line}, {there.verdict}")
        elif not _alike(mine, there):
            measurements.append(line)
    if not both:
        raise Mistake(f"no claim has been judged both here and in {directory}.")
    return verdicts, measurements, both


def _alike(a: Judged, b: Judged) -> bool:
    if a.claim.write(a.mean) == b.claim.write(b.mean):
        return True
    spread = math.hypot(*(0.0 if math.isnan(one.sd) else one.sd for one in (a, b)))
    return abs(a.mean - b.mean) <= NEAR * spread
