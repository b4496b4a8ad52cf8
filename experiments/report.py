"""From stored results to pictures, verdicts and one page that holds them all.

The page is a single file: pictures are inside it, nothing is loaded, no script is needed. It says the same whenever
it is made from the same results, and fits a telephone, a projector in the dark and a sheet of paper.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from experiments import runner, style
from experiments.claims import DOCUMENTS, OURS
from experiments.experiment import LESSONS, Experiment, Picture, Table, discover, load
from experiments.provenance import ROOT
from experiments.store import Record, Records, Store
from experiments.tables import COUNTED, MARKS, by, numeric
from experiments.verdict import Judged, judge
from npgrad import data

__all__ = ["Reading", "draw", "read", "scoreboard", "write"]

CLASSES = {
    "reproduced": "reproduced", "direction only": "direction", "not reproduced": "not", "undecided": "direction",
    "seen once": "unjudged", "checked": "unjudged", "broken": "not", "not judged": "unjudged",
}  # fmt: skip
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
    problems: list[str] = field(default_factory=list)
    """Sentences about runs that failed or are missing, and about tables or pictures that could not be made."""

    @property
    def counts(self) -> Counter[str]:
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
    reading.judged = judge(lesson.claims, measured, plan["budget"], own_corpus(records))
    with contextlib.suppress(OSError, ValueError, KeyError):  # nothing has been drawn yet
        reading.problems += json.loads(_index(store, lesson.name).read_text(encoding="utf-8"))["problems"]
    return reading


def own_corpus(records: Iterable[Record]) -> bool:
    """Whether they were made with another list of words than the names that come with the project."""
    digests = {record.about.get("data_digest") for record in records} - {None}
    return bool(digests - {_names()})


@functools.cache
def _names() -> str:
    return data.digest(data.read_words(ROOT / "data" / "names.txt"))


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
    """Make `report.html` from the stored results and pictures of these lessons."""
    readings = [read(lesson, store) for lesson in lessons]
    body = "\n".join([_head(readings), "<main>", *(_lesson(r, store) for r in readings), "</main>", _foot(readings)])
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The lecture, measured</title>
<style>
{(HERE / "report.css").read_text(encoding="utf-8")}</style>
</head>
<body>
{body}
</body>
</html>
"""
    store.make(store.directory)
    final = store.directory / "report.html"
    partial = store.directory / ".report.html"
    partial.write_text(page, encoding="utf-8")
    os.replace(partial, final)
    return final


def _head(readings: Sequence[Reading]) -> str:
    counts: Counter[str] = sum((r.counts for r in readings), Counter())
    total = sum(counts.values())
    shown = [v for v in (*COUNTED, "not judged") if counts[v] or v in ("reproduced", "not reproduced")]
    tiles = "".join(
        f'<li class="{CLASSES[v]}"><b>{counts[v]}</b><span class="verdict">{MARKS[v]} {v}</span></li>' for v in shown
    )
    bar = "".join(f'<span class="{CLASSES[v]}" style="flex:{counts[v]}"></span>' for v in MARKS if counts[v])
    rows = "".join(
        f'<tr><td><a href="#{escape(r.lesson.name)}">{escape(r.lesson.title)}</a></td>'
        + "".join(f'<td class="number {CLASSES[v]}">{r.counts[v] or "·"}</td>' for v in shown)
        + "</tr>"
        for r in readings
    )
    names = "".join(f'<th class="number" title="{v}"><span aria-label="{v}">{MARKS[v]}</span></th>' for v in shown)
    board = (
        f'<div class="wide"><table class="board"><thead><tr><th>Lesson</th>{names}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
    quick = sorted({str(r.plan["budget"]) for r in readings if r.plan["budget"] == "quick"})
    remark = (
        '<p class="remark">Some lessons here are <b>quick looks</b>: trained far shorter than the lecture trains. '
        "They show the shape of things; claims that need the full length are not judged.</p>"
        if quick
        else ""
    )
    one = total == 1
    return f"""<header>
<p class="eyebrow">npgrad</p>
<h1>The lecture, measured</h1>
<p class="lead">What five documents about one lecture on activations, gradients and batch normalisation claim,
beside what happens when it is tried. {total} {"claim" if one else "claims"}
in {len(readings)} {"lesson" if len(readings) == 1 else "lessons"}.</p>
{remark}
<ul class="tiles{" four" if len(shown) == 4 else ""}" style="--count: {len(shown)}">{tiles}</ul>
<div class="bar" aria-hidden="true">{bar}</div>
{board if len(readings) > 1 else ""}
</header>"""


def _lesson(reading: Reading, store: Store) -> str:
    lesson, plan = reading.lesson, reading.plan
    parts = [
        f'<section class="lesson" id="{escape(lesson.name)}">',
        f'<p class="eyebrow">Lesson <code>{escape(lesson.name)}</code></p>',
        f"<h2>{escape(lesson.title)}</h2>",
    ]
    if plan["remark"]:
        parts.append(f'<p class="remark">{escape(_capital(plan["remark"]))}.</p>')
    if plan["changes"]:
        changed = ", ".join(f"{key} = {value}" for key, value in plan["changes"].items())
        parts.append(f'<p class="remark">Changed by whoever ran it: <b>{escape(changed)}</b>.</p>')
    parts.append(
        f'<dl class="asked"><dt>Question</dt><dd>{escape(lesson.question)}</dd>'
        f"<dt>Expectation</dt><dd>{escape(lesson.expectation)}</dd></dl>"
    )
    parts += [f'<p class="remark failed">{escape(problem)}</p>' for problem in reading.problems]
    parts += _figures(store, lesson)
    parts += map(_table, reading.tables)
    if reading.judged:
        parts.append(_claims(reading.judged))
    parts.append(f"<h3>Repeat it</h3>\n<pre>{_code(escape(plan['command']))}</pre>")
    if lesson.next:
        items = "".join(f"<li>{_marked(item)}</li>" for item in lesson.next)
        parts.append(f'<h3>Try next</h3>\n<ul class="next">{items}</ul>')
    return "\n".join([*parts, "</section>"])


def _figures(store: Store, lesson: Experiment) -> list[str]:
    folder = _index(store, lesson.name).parent
    try:
        captions = json.loads((folder / "index.json").read_text(encoding="utf-8"))["captions"]
    except (OSError, ValueError, KeyError):
        return []
    made = []
    for name, caption in captions.items():
        light, dark = (_embedded(folder / f"{name}{suffix}.svg") for suffix in ("", "-dark"))
        # The alternative text is the caption, which stands below: read out once, not twice.
        made.append(
            f'<figure><picture><source media="screen and (prefers-color-scheme: dark)" srcset="{dark}">'
            f'<img src="{light}" alt=""></picture><figcaption>{_marked(caption)}</figcaption></figure>'
        )
    return made


def _embedded(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _table(table: Table) -> str:
    right = [numeric([row[k] for row in table.rows]) for k in range(len(table.columns))]
    classes = [' class="number"' if one else "" for one in right]
    head = "".join(f"<th{c}>{escape(text)}</th>" for c, text in zip(classes, table.columns, strict=True))
    head = f"<thead><tr>{head}</tr></thead>" if any(table.columns) else ""
    rows = "".join(
        "<tr>" + "".join(f"<td{c}>{_spread(cell)}</td>" for c, cell in zip(classes, row, strict=True)) + "</tr>"
        for row in table.rows
    )
    note = f'\n<p class="note">{_marked(table.note)}</p>' if table.note else ""
    return (
        f'<div class="wide"><table><caption>{escape(table.title)}</caption>{head}'
        f"<tbody>{rows}</tbody></table></div>{note}"
    )


def _claims(judged: Sequence[Judged]) -> str:
    claims = [one for one in judged if one.claim.kind != "identity" and one.verdict != "not judged"]
    identities = [one for one in judged if one.claim.kind == "identity" and one.verdict != "not judged"]
    open_ones = [one for one in judged if one.verdict == "not judged"]
    parts = [_claim_table(claims, "What the documents say, and what was measured")] if claims else []
    for some, what in ((identities, "checked because true by construction"), (open_ones, "not judged")):
        if some:
            count = f"{len(some)} {'claim' if len(some) == 1 else 'claims'} {what}"
            parts.append(f"<details><summary>{count}</summary>{_claim_table(some, '')}</details>")
    return "\n".join(parts)


def _claim_table(judged: Sequence[Judged], title: str) -> str:
    rows = []
    for one in judged:
        claim, v = one.claim, one.verdict
        note = "".join(
            f'<div class="note">{_marked(text)}</div>'
            for text in (claim.why and f"Bar: {claim.why}", claim.note)
            if text
        )
        said = _capital(by(claim.sources)) + (f": {claim.says}" if claim.says else "")
        beside = f"<br>beside {escape(one.beside)}" if one.beside else ""
        effect = f"<small>{escape(one.interval)}</small>" if one.interval else ""
        seeds = f" <small>n = {one.n}</small>" if one.n and claim.kind == "chance" else ""
        reason = f'<span class="source">{escape(one.reason)}</span>' if one.reason else ""
        rows.append(
            f'<tr><td>{_marked(claim.text)}<span class="source">{escape(said)}</span>{note}</td>'
            f'<td class="measured" data-name="Measured">{escape(one.measured)}{seeds}{beside}<br>{effect}</td>'
            f'<td data-name="Asked">{escape(claim.bar)}</td>'
            f'<td><span class="verdict {CLASSES[v]}">{MARKS[v]} {v}</span>{reason}</td></tr>'
        )
    caption = f"<caption>{title}</caption>" if title else ""
    return (
        f'<div class="wide"><table class="claims">{caption}<thead><tr><th>Claim</th><th>Measured, mean ± sd; effect, '
        f"95 %</th><th>Asked</th><th>Verdict</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _foot(readings: Sequence[Reading]) -> str:
    facts: dict[str, dict[str, None]] = {}
    for record in (record for reading in readings for record in reading.records):
        about = record.about
        git = about.get("git")
        for name, value in {
            "Versions": ", ".join(f"{k} {v}" for k, v in about["versions"].items()),
            "BLAS": f"{about['blas']}, {about['threads'].get('OMP_NUM_THREADS', 'several')} thread(s)",
            "Platform": about["platform"],
            "Code": f"commit {git['commit'][:12]}{' with changes' if git['modified'] else ''}" if git else "",
            "Data": f"SHA-256 {about['data_digest'][:16]}…" if about.get("data_digest") else "",
        }.items():
            if value:
                facts.setdefault(name, {})[value] = None
    listed = "".join(f"<dt>{name}</dt><dd>{escape('; '.join(values))}</dd>" for name, values in facts.items())
    documents = "".join(f'<li value="{n}">{escape(title)}</li>' for n, title in DOCUMENTS.items() if n not in (0, OURS))
    return f"""<footer>
<p>n counts seeds; ± is one standard deviation over them. Both sides of a comparison saw the same seeds, and so the
effect and its 95 % interval are taken seed by seed. A claim is <b>reproduced</b> when the whole interval is beyond the
bar, <b>direction only</b> when it is short of the bar but on the right side of no effect, <b>not reproduced</b> when
neither, <b>undecided</b> when the bar is inside it, and <b>seen once</b> with a single seed.</p>
<p>The documents:</p>
<ol>{documents}</ol>
<dl>{listed}</dl>
</footer>"""


def _spread(cell: str) -> str:
    """A narrow screen puts the deviation below its mean."""
    mean, sign, deviation = escape(cell).partition(" ± ")
    return f'{mean} <span class="sd">± {deviation}</span>' if sign else mean


def _marked(text: str) -> str:
    """Escaped, with `code` set as code."""
    pieces = escape(text).split("`")
    return "".join(_code(piece) if k % 2 and k < len(pieces) - 1 else piece for k, piece in enumerate(pieces))


def _code(escaped: str) -> str:
    """Lines may break between the words of a command, not inside `--seeds`."""
    return f"<code>{' '.join(f'<span>{word}</span>' for word in escaped.split(' '))}</code>"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
