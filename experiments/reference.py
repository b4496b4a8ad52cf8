"""A reference result: what is worth keeping of a directory of results, small enough to commit, to compare others with.

runs.jsonl         one line a run: its configuration and its summary. Everything below is made from it
scoreboard.txt     every claim: what was measured, the bar, the verdict, and why
claims.json        the same as numbers
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

from experiments.experiment import Experiment, Mistake
from experiments.provenance import ROOT
from experiments.records import Record, Records
from experiments.store import Store, plain_numbers
from experiments.tables import scoreboard
from experiments.verdict import Judged, judge

__all__ = ["REFERENCE", "compare", "export", "judged", "write_verdicts"]

REFERENCE = ROOT / "experiments" / "reference"
WIDTH = 120
README_FIGURE = "stages-losses-dark.svg"
"""The one picture of which the dark version is kept too: the README shows it."""
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
    records = {lesson.name: list(store.records(lesson)) for lesson in lessons}
    plans = {lesson.name: store.plan(lesson.name) for lesson in lessons}
    with (directory / "runs.jsonl").open("w", encoding="utf-8") as file:
        for name, stored in records.items():
            for record in stored:
                line = {
                    "lesson": name,
                    "budget": plans[name]["budget"],
                    "label": record.label,
                    "seed": record.seed,
                    "config": record.about["config"],
                    "code": record.about["code"]["digest"],
                    "own_corpus": Records([record]).own_corpus,
                    "summary": record.summary,
                }
                file.write(json.dumps(plain_numbers(line), sort_keys=True, ensure_ascii=False) + "\n")
    figures = directory / "figures"
    shutil.rmtree(figures, ignore_errors=True)
    store.make(figures)
    for lesson in lessons:
        for picture in sorted((store.lesson(lesson.name) / "figures").glob("*.svg")):
            name = f"{lesson.name}-{picture.name}"
            if not picture.stem.endswith("-dark") or name == README_FIGURE:
                shutil.copyfile(picture, figures / name)
    every = [record for stored in records.values() for record in stored]
    commands = [plans[lesson.name]["command"] for lesson in lessons]
    alike = {command.replace(f" {lesson.name}", " --all", 1) for command, lesson in zip(commands, lessons, strict=True)}
    if len(alike) == 1 and len(lessons) == len(known):
        commands = list(alike)
    (directory / "README.md").write_text(_readme(every, commands), encoding="utf-8")
    write_verdicts(directory, known)


def judged(directory: Path, known: Mapping[str, Experiment]) -> dict[str, Judged]:
    """Every claim of the lessons whose runs a reference holds, judged from those runs alone."""
    runs: dict[str, list[dict[str, Any]]] = {}
    try:
        with (directory / "runs.jsonl").open(encoding="utf-8") as file:
            for line in map(json.loads, file):
                runs.setdefault(line["lesson"], []).append(line)
    except FileNotFoundError:
        raise Mistake(f"there is no reference result in {directory}: it would hold runs.jsonl.") from None
    except (OSError, ValueError, KeyError) as error:
        raise Mistake(f"{directory / 'runs.jsonl'} cannot be read: {error}.") from None
    board: dict[str, Judged] = {}
    for name, lesson in known.items():
        lines = runs.get(name, [])
        if lines:
            records = [Record.of_summary(o["label"], o["seed"], o["config"], o["summary"]) for o in lines]
            measured = lesson.measure(Records(records))
            own = any(line.get("own_corpus") for line in lines)
            found = judge(lesson.claims, measured, lines[0].get("budget", "full"), own)
            board |= {f"{name}/{one.claim.id}": one for one in found}
    return board


def write_verdicts(directory: Path, known: Mapping[str, Experiment]) -> dict[str, Judged]:
    """Judge a reference by the claims as they are now, and write its scoreboard and its `claims.json`."""
    board = judged(directory, known)
    (directory / "scoreboard.txt").write_text(scoreboard(board, WIDTH) + "\n", encoding="utf-8")
    text = json.dumps(
        plain_numbers({name: as_numbers(one) for name, one in board.items()}), indent=1, ensure_ascii=False
    )
    (directory / "claims.json").write_text(text + "\n", encoding="utf-8")
    return board


def as_numbers(one: Judged) -> dict[str, Any]:
    """A verdict with everything it follows from."""
    names = ("verdict", "n", "mean", "sd", "other_mean", "other_sd", "effect", "low", "high", "reason")
    found: dict[str, Any] = {name: getattr(one, name) for name in names}
    claim = one.claim
    return {"text": claim.text, "kind": claim.kind, "bar": claim.bar, "why": claim.why} | found


def sentence(board: Mapping[str, Judged]) -> str:
    """How the claims of a reference came out, for people who read one sentence."""
    claims = [one for one in board.values() if one.claim.kind != "identity"]
    counts = Counter(one.verdict for one in claims)
    parts = [
        (f"{counts['reproduced']} are reproduced", True),
        (f"{counts['direction only']} hold in direction only", counts["direction only"]),
        (f"{counts['not reproduced']} do not hold", counts["not reproduced"]),
        (f"{counts['undecided'] + counts['seen once']} are undecided", counts["undecided"] + counts["seen once"]),
        (f"{counts['not judged']} have not been judged yet", counts["not judged"]),
    ]
    shown = [text for text, there in parts if there]
    text = f"Of {len(claims)} claims about this lecture, {', '.join(shown[:-1])} and {shown[-1]}"
    checked = sum(one.verdict == "checked" for one in board.values())
    return f"{text}; {checked} identities, true by construction, were checked as well."


def _ours(directory: Path) -> bool:
    return (directory / "runs.jsonl").is_file()


def _readme(records: list[Record], commands: list[str]) -> str:
    where = Counter(
        "{platform}, {processor}, Python {versions[python]}, NumPy {versions[numpy]}, {blas} ({blas_kernel})".format(
            **record.about
        )
        for record in records
    )
    hours = sum(record.about["seconds"] for record in records) / 3600
    runs = "\n".join(f"    {command}" for command in commands)
    return f"""\
# A reference result

The results of the lessons on one machine. To compare yours with them: `python -m experiments compare`.

| file | what it is |
|---|---|
| `runs.jsonl` | one line per run: its configuration and its summary; the verdicts follow from it |
| `scoreboard.txt` | every claim of the documents, what was measured, the bar, the verdict, and why |
| `claims.json` | the same as numbers: both sides, the effect with its interval, the number of seeds |
| `figures/` | every picture of the report, `LESSON-NAME.svg` |

{len(records):,} runs, {hours:.1f} hours on one core: {"; ".join(where)}. Made by

{runs}

and `python -m experiments export results experiments/reference`. When claims or bars have changed since,
`python -m experiments judge experiments/reference` judges the same runs again.
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
        there = Judged(mine.claim, theirs["verdict"], theirs["n"], mean, sd)
        line = f"{name}: {mine.measured} (n = {mine.n}), {mine.verdict}; reference {there.measured} (n = {there.n})"
        if mine.verdict != there.verdict:
            verdicts.append(f"{line}, {there.verdict}")
        elif not _alike(mine, there):
            measurements.append(line)
    if not both:
        raise Mistake(f"no claim has been judged both here and in {directory}.")
    return verdicts, measurements, both


def _alike(a: Judged, b: Judged) -> bool:
    if a.claim.number(a.mean) == b.claim.number(b.mean):
        return True
    spread = math.hypot(*(0.0 if math.isnan(one.sd) else one.sd for one in (a, b)))
    return abs(a.mean - b.mean) <= NEAR * spread
