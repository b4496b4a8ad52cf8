"""From stored results to pictures, verdicts and one page that holds them all.

The page is a single file: pictures are inside it, nothing is loaded, no script is needed. It says the same whenever
it is made from the same results, and fits a telephone, a projector in the dark and a sheet of paper.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from experiments import runner, style
from experiments.claim import DOCUMENTS, OURS
from experiments.examinations import kept
from experiments.experiment import LESSONS, Experiment, Picture, Table, discover, load
from experiments.provenance import ROOT
from experiments.records import Records
from experiments.store import Store
from experiments.tables import COUNTED, MARKS, by, numeric
from experiments.verdict import Judged, Verdict, judge
from npgrad.checkpoint import replace_file

__all__ = ["Reading", "draw", "read", "scoreboard", "write"]

CLASSES = {
    "reproduced": "reproduced", "direction only": "direction", "not reproduced": "not", "undecided": "direction",
    "seen once": "unjudged", "checked": "unjudged", "broken": "not", "not judged": "unjudged",
}  # fmt: skip
SEVERITIES = {"critical": "not", "serious": "not", "mild": "direction", "unknown": "unjudged", "healthy": "reproduced"}
HERE = Path(__file__).parent


# -- one lesson --------------------------------------------------------------------------------------------------------


@dataclass
class Reading:
    """What the stored results of a lesson say."""

    lesson: Experiment
    plan: Mapping[str, Any]
    records: Records
    tables: Sequence[Table] = ()
    judged: Sequence[Judged] = ()
    own_corpus: bool = False
    problems: list[str] = field(default_factory=list)
    """Sentences about runs that failed or are missing, and about tables or pictures that could not be made."""

    @property
    def extent(self) -> str:
        """Budget, seeds and length of training, in words: "default budget, 3 seeds, 15,000 steps"."""
        seeds = self.plan["seeds"]
        words = [f"{self.plan['budget']} budget", f"{seeds} seed{'s' * (seeds > 1)}"]
        steps = sorted({r.config.steps for r in self.records if hasattr(r.config, "steps")})
        return ", ".join([*words, *([f"{' or '.join(f'{n:,}' for n in steps)} steps"] if steps else [])])

    def of_kind(self, *kinds: str, judged: bool = True) -> list[Judged]:
        """Claims that were judged (or not) and are, or are not, identities."""
        return [j for j in self.judged if j.claim.kind in kinds and (j.verdict != "not judged") is judged]

    @property
    def counts(self) -> Counter[Verdict]:
        return Counter(one.verdict for one in self.judged if one.claim.kind != "identity")


def read(lesson: Experiment, store: Store) -> Reading:
    """Tables and verdicts from what is stored; what cannot be made is said in `problems`."""
    plan = store.plan(lesson.name)
    records, stale = store.found(lesson)
    reading = Reading(lesson, plan, records)
    stored = {record.about["key"] for record in records}
    titles = {run["key"]: f"{run['label']}, seed {run['seed']}" for run in plan["runs"]}
    for key, error in plan["failures"].items():
        reading.problems.append(f"The run {titles.get(key, key)} failed ({error}).")
    missing = len([r for r in plan["runs"] if r["key"] not in stored and r["key"] not in plan["failures"]]) - stale
    if stale:
        reading.problems.append(f"{stale} of {len(plan['runs'])} runs are of other code and left out: run them again.")
    if missing > 0:
        reading.problems.append(f"{missing} of {len(plan['runs'])} runs are missing: the lesson was interrupted.")
    measured: Mapping[str, Any] = {}
    if reading.records:
        try:
            measured = lesson.measure(reading.records)
            reading.tables = lesson.tables(reading.records)
        except Exception as error:  # a lesson of which half the runs are missing, or one being written
            reading.problems.append(f"Not everything could be measured ({type(error).__name__}: {error}).")
    reading.own_corpus = records.own_corpus
    reading.judged = judge(lesson.claims, measured, plan["budget"], reading.own_corpus)
    with contextlib.suppress(OSError, ValueError, KeyError):  # nothing has been drawn yet
        reading.problems += json.loads(_index(store, lesson.name).read_text(encoding="utf-8"))["problems"]
    return reading


def scoreboard(store: Store, known: Iterable[Experiment]) -> dict[str, Judged]:
    """Every claim of these lessons with its verdict, by its full name; not judged where a lesson has not been run."""
    board: dict[str, Judged] = {}
    for lesson in known:
        stored = (store.lesson(lesson.name) / "plan.json").is_file()
        judged = read(lesson, store).judged if stored else judge(lesson.claims, {})
        board |= {f"{lesson.name}/{one.claim.id}": one for one in judged}
    return board


# -- pictures ----------------------------------------------------------------------------------------------------------


def draw(lessons: Sequence[Experiment], store: Store, jobs: int | None = None) -> None:
    """Draw the pictures of these lessons from what is stored, several lessons at a time."""
    if len(lessons) < 2 or jobs == 1:
        for lesson in lessons:
            _draw_lesson(lesson, store)
        return
    with runner.processes(min(jobs or runner.cores(), len(lessons))) as executor:
        tasks = [executor.submit(_draw_file, str(lesson.file), str(store.directory)) for lesson in lessons]
        for task in as_completed(tasks):
            task.result()


def _draw_file(file: str, directory: str) -> None:
    path = Path(file)
    _draw_lesson(discover()[path.stem] if path.parent == LESSONS else load(path), Store(Path(directory)))


def _draw_lesson(lesson: Experiment, store: Store) -> None:
    records = store.records(lesson)
    folder = _index(store, lesson.name).parent
    shutil.rmtree(folder, ignore_errors=True)
    store.make(folder)
    captions: dict[str, str] = {}
    problems = []
    try:
        if records:
            captions = _save(lesson.plot(records), folder, "light") and _save(lesson.plot(records), folder, "dark")
        for record in records:
            own = record.folder / "figures"
            if not own.exists():
                _save_portrait(lesson.portrait(record), own)
    except Exception as error:
        problems.append(f"Not every picture could be drawn ({type(error).__name__}: {error}).")
    content = {"captions": captions, "problems": problems}
    _index(store, lesson.name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _save(pictures: Iterable[Picture], folder: Path, theme: style.Theme) -> dict[str, str]:
    captions = {}
    with style.theme(theme):
        for picture in pictures:
            style.save(picture.figure, folder / (picture.name if theme == "light" else f"{picture.name}-dark"))
            captions[picture.name] = picture.caption
    return captions


def _save_portrait(pictures: Iterable[Picture], folder: Path) -> None:
    with style.theme("light"):
        for picture in pictures:
            folder.mkdir(exist_ok=True)
            style.save(picture.figure, folder / picture.name)


def _index(store: Store, name: str) -> Path:
    return store.lesson(name) / "figures" / "index.json"


# -- the page ----------------------------------------------------------------------------------------------------------


def write(store: Store, lessons: Sequence[Experiment]) -> Path:
    """Make `report.html` from the stored results and pictures of these lessons; `report.html.jinja` is its template."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "marked": _marked,
        "capital": _capital,
        "spread": _spread,
        "code": _code,
        "value": _value,
        "percent": _percent,
    }
    readings = [read(lesson, store) for lesson in lessons]
    counts: Counter[Verdict] = sum((r.counts for r in readings), Counter())
    page = environment.get_template("report.html.jinja").render(
        style=Markup((HERE / "report.css").read_text(encoding="utf-8")),
        readings=readings,
        figures={r.lesson.name: _figures(store, r.lesson) for r in readings},
        numeric=numeric,
        reference=_reference(),
        counts=counts,
        shown=[v for v in (*COUNTED, "not judged") if counts[v] or v in ("reproduced", "not reproduced")],
        marks=MARKS,
        classes=CLASSES,
        by=by,
        documents={n: title for n, title in DOCUMENTS.items() if n not in (0, OURS)},
        facts=_facts(readings),
        doctor=kept(store),
        severities=SEVERITIES,
    )
    store.make(store.directory)
    final = store.directory / "report.html"
    replace_file(final, [page.encode()])
    return final


def _reference() -> Mapping[str, Mapping[str, Any]]:
    """The verdicts of the reference result by the full names of claims; none if there is none."""
    with contextlib.suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads((ROOT / "experiments/reference/claims.json").read_text(encoding="utf-8"))
        return {name: one for name, one in found.items() if one["verdict"] != "not judged"}
    return {}


def _figures(store: Store, lesson: Experiment) -> list[dict[str, str]]:
    folder = _index(store, lesson.name).parent
    try:
        captions = json.loads((folder / "index.json").read_text(encoding="utf-8"))["captions"]
    except (OSError, ValueError, KeyError):
        return []
    return [
        {
            "light": _embedded(folder / f"{name}.svg"),
            "dark": _embedded(folder / f"{name}-dark.svg"),
            "alt": f"{lesson.title}: {name.replace('_', ' ')}",
            "caption": caption,
        }
        for name, caption in captions.items()
    ]


def _embedded(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _facts(readings: Sequence[Reading]) -> dict[str, str]:
    """Where the runs were done, and by what."""
    facts: dict[str, dict[str, None]] = {}
    for record in (record for reading in readings for record in reading.records):
        about = record.about
        git = about.get("git")
        for name, value in {
            "Versions": ", ".join(f"{k} {v}" for k, v in about["versions"].items()),
            "BLAS": f"{about['blas']}, kernels {about['blas_kernel']}",
            "Processor": f"{about['processor']}, {about['platform']}",
            "Code": f"commit {git['commit'][:12]}{' with changes' if git['modified'] else ''}" if git else "",
            "Data": f"SHA-256 {about['data_digest'][:16]}…" if about.get("data_digest") else "",
        }.items():
            if value:
                facts.setdefault(name, {})[value] = None
    return {name: "; ".join(values) for name, values in facts.items()}


def _spread(cell: str) -> Markup:
    """A narrow screen puts the deviation below its mean."""
    mean, sign, deviation = cell.partition(" ± ")
    return Markup('{} <span class="sd">± {}</span>').format(mean, deviation) if sign else Markup.escape(mean)


def _marked(text: str, lesson: str = "") -> Markup:
    """Escaped, with `code` set as code; of a lesson's settings, `--set …`, a whole command is made."""
    made = Markup()
    for k, piece in enumerate(text.split("`")):
        if k % 2 and lesson and piece.startswith("--set "):
            piece = f"python -m experiments run {lesson} {piece}"
        made += _code(piece) if k % 2 else Markup.escape(piece)
    return made


def _code(text: str) -> Markup:
    """Lines may break between the words of a command, not inside `--seeds`."""
    words = Markup(" ").join(Markup("<span>{}</span>").format(word) for word in text.split(" "))
    return Markup("<code>{}</code>").format(words)


def _value(number: float | None) -> str:
    """A measured number of the doctor's, in three digits."""
    return "–" if number is None else f"{number:,.3g}".replace("-", "−")


def _percent(text: str) -> str:
    return re.sub(r"(?<=\d)%", "\u202f%", text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
