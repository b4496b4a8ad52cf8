"""Cells of tables; tables and verdicts as plain text, for the terminal."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import product
from types import MappingProxyType
from typing import Any
from unicodedata import east_asian_width

import numpy as np

from experiments.claim import DOCUMENTS, OURS
from experiments.experiment import Table
from experiments.records import Records
from experiments.verdict import Judged, Verdict

__all__ = [
    "COUNTED", "MARKS", "Column", "across", "by", "fraction", "in_columns", "markdown", "number", "numeric", "plain",
    "sampled", "scoreboard", "spread", "table", "tally", "verdicts",
]  # fmt: skip

MARKS: dict[Verdict, str] = {
    "reproduced": "✓", "direction only": "~", "not reproduced": "✗", "undecided": "?", "seen once": "·",
    "checked": "=", "broken": "≠", "not judged": "○",
}  # fmt: skip
COUNTED: tuple[Verdict, ...] = ("reproduced", "direction only", "not reproduced", "undecided", "seen once")


def number(value: float, form: str) -> str:
    """A value in a cell: with a real minus sign, and "diverged" instead of nan and infinities."""
    return f"{value:{form}}".replace("-", "−").replace("e−0", "e−") if math.isfinite(value) else "diverged"


def spread(values: Any, form: int | str = 3) -> str:
    """mean ± standard deviation, in so many digits or in a format; a dash if there is no value."""
    values, form = np.asarray(values, dtype=float), f".{form}f" if isinstance(form, int) else form
    if not len(values):
        return "–"
    if not np.isfinite(values).all():
        return "diverged"
    deviation = f" ± {number(values.std(ddof=1), form)}" if len(values) > 1 else ""
    return number(values.mean(), form) + deviation


class Column:
    """Of `table`: a number of the summaries, as mean ± deviation over seeds, with its digits or format.

    Of each group's records those with these settings. In the place of the number may stand a function of them that
    gives values or the text of the cell, or a text for `Records.fill`: `Column("rate", "{lr:g}")`.
    """

    def __init__(
        self, heading: str, what: str | Callable[[Records], Any], form: int | str = 3, **settings: Any
    ) -> None:
        self.heading, self.what, self.form, self.settings = heading, what, form, settings

    def cell(self, records: Records) -> str:
        own, what = records.where(**self.settings), self.what
        if not len(own):
            return "–"
        found = what(own) if callable(what) else own.fill(what) if "{" in what else own.values(what)
        return found if isinstance(found, str) else spread(found, self.form)


def table(
    title: str,
    head: str | Sequence[str],
    groups: Mapping[Any, Records],
    columns: Iterable[Column],
    note: str = "",
    names: Mapping[Any, str] = MappingProxyType({}),
) -> Table:
    """A row for each group of records that has any, named by its key: by as many parts of it as there are heads.

    `names` are those of keys that are not to be written as they are. Title, headings and note are texts for
    `Records.fill`.

        table("Loss by depth", "layers", records.by("depth"),
              [Column("seconds", "seconds", 1), *across("loss", norm={"none": "no norm", "batch": "batch norm"})],
              "Validation loss after {steps:,} steps.")
    """
    columns, heads = list(columns), [head] if isinstance(head, str) else list(head)
    there = {key if isinstance(key, tuple) else (key,): own for key, own in groups.items() if len(own)}
    rows = []
    for key, own in there.items():
        parts = key[: len(heads)]
        named = [names.get(part, fraction(part) if isinstance(part, float) else str(part)) for part in parts]
        rows.append([*named, *(column.cell(own) for column in columns)])
    every = Records([record for own in there.values() for record in own])
    headings = [*heads, *(column.heading for column in columns)]
    return Table(every.fill(title), list(map(every.fill, headings)), rows, every.fill(note))


def across(name: str, form: int | str = 3, first: str = "", **settings: Mapping[Any, str]) -> list[Column]:
    """For `table`: a number of the summaries in a column for each combination of settings, which map to their names."""
    made = []
    for chosen in product(*(values.items() for values in settings.values())):
        heading = ", ".join(part for part in (first, *(text for _, text in chosen)) if part)
        made.append(Column(heading, name, form, **dict(zip(settings, (value for value, _ in chosen), strict=True))))
    return made


def sampled(names: Sequence[str], network: str) -> Table:
    """Names that a network has drawn, four in a row."""
    title = f"{len(names)} names, sampled from the network with {network}"
    return Table(title, [""] * 4, [names[k : k + 4] for k in range(0, len(names), 4)])


def fraction(value: float) -> str:
    """A setting such as a gain: 5/3 as it is, others as decimals."""
    near = Fraction(value).limit_denominator(3)
    return str(near) if near.denominator == 3 and abs(near - value) < 1e-9 else f"{value:g}"


def numeric(cells: Sequence[str]) -> bool:
    """Whether a column holds numbers, and so is aligned to the right."""
    filled = [cell for cell in cells if cell.strip("–—- ")]
    return bool(filled) and all(cell.lstrip("−-+~≈<> ")[:1].isdigit() for cell in filled)


def plain(table: Table) -> str:
    """The table in columns, its note wrapped below."""
    right = [numeric([row[k] for row in table.rows]) for k in range(len(table.columns))]
    rows, room = [table.columns, *table.rows], _width() - 2
    blocks = []
    for part in column_parts(rows, room):
        lines = in_columns([[row[k] for k in part] for row in rows], [right[k] for k in part], room)
        blocks.append("\n".join(f"  {line}" for line in lines))
    body = ["\n\n".join(blocks)]
    note = [textwrap.fill(table.note, _width(), initial_indent="  ", subsequent_indent="  ")] if table.note else []
    return "\n".join([table.title, "", *body, *note])


def column_parts(rows: Sequence[Sequence[str]], room: int) -> list[list[int]]:
    """Which columns are printed below each other where all of them are wider than `room`: the first begins each part.

    A part has two columns at least, however wide they are: a terminal that breaks lines in the middle of cells cannot
    be read.
    """
    widths = [max(map(columns_of, column)) for column in zip(*rows, strict=True)]
    found = [[0]]
    for k in range(1, len(widths)):
        if len(found[-1]) > 1 and sum(widths[j] + 2 for j in found[-1]) + widths[k] > room:
            found.append([0])
        found[-1].append(k)
    return found


def in_columns(rows: Sequence[Sequence[str]], right: Sequence[bool], room: int = 0) -> list[str]:
    """The lines of a table whose first row is its head, with a rule below it unless it is empty.

    Columns are aligned to the right where `right` says so, and stand three apart if that fits into `room`, or else two.
    """
    widths = [max(map(columns_of, column)) for column in zip(*rows, strict=True)]
    gap = " " * (3 if sum(widths) + 3 * (len(widths) - 1) <= room else 2)

    def laid(line: Sequence[str]) -> str:
        cells = []
        for cell, width, flush in zip(line, widths, right, strict=True):
            space = " " * (width - columns_of(cell))
            cells.append(space + cell if flush else cell + space)
        return gap.join(cells).rstrip()

    head = [laid(rows[0]), gap.join("─" * width for width in widths)] if any(rows[0]) else []
    return [*head, *map(laid, rows[1:])]


def columns_of(text: str) -> int:
    """How many columns of a terminal a text takes: two for each ideograph."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)


def markdown(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """The same table for a page."""
    marks = ["---:" if flush else "---" for flush in right]
    return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], marks, *rows[1:]])


def verdicts(judged: Sequence[Judged]) -> str:
    """A claim a paragraph: verdict, what is said and by whom, both sides, the bar. Those not judged are counted."""
    lines = [line for one in judged if one.verdict != "not judged" for line in paragraph(one)]
    for reason, count in Counter(one.reason for one in judged if one.verdict == "not judged").items():
        lines.append(f"{MARKS['not judged']} not judged: {count} {'claim' if count == 1 else 'claims'} ({reason})")
    return "\n".join(textwrap.fill(line, _width(), subsequent_indent="    ") for line in lines)


def paragraph(one: Judged, name: str = "") -> list[str]:
    """The lines of a claim: its sentence, what was measured, why the bar is where it is, what else to know."""
    claim = one.claim
    said = f"{by(claim.sources)}: {claim.says}" if claim.says else by(claim.sources)
    lines = [f"{MARKS[one.verdict]} {one.verdict}: {claim.text}", f"    {said}. {one.evidence}."]
    if name:
        lines[0] = f"{MARKS[one.verdict]} {name}: {one.verdict}. {claim.text}"
    if claim.why:
        lines.append(f"    Bar: {claim.why}")
    if claim.note:
        lines.append(f"    {claim.note}")
    return lines


def scoreboard(judged: Mapping[str, Judged], room: int | None = None) -> str:
    """Every claim by its full name, as in `verdicts`; identities apart, and totals at the end.

    As wide as the terminal, or `room` characters.
    """
    if not judged:
        return "no claims"
    room = room or max(40, min(shutil.get_terminal_size((120, 24)).columns, 120))
    counted = {name: one for name, one in judged.items() if one.claim.kind != "identity"}
    apart = {name: one for name, one in judged.items() if one.claim.kind == "identity"}
    parts = []
    for heading, some in (("", counted), ("Checked identities: true by construction, and not counted", apart)):
        if heading and some:
            parts.append(heading)
        for name, one in some.items():
            lines = (textwrap.fill(line, room, subsequent_indent="    ") for line in paragraph(one, name))
            parts.append("\n".join(lines))
    return "\n\n".join([*parts, tally(judged.values(), room)])


def tally(judged: Iterable[Judged], room: int | None = None) -> str:
    """How many claims there are of each verdict, and in which documents; how many identities were checked."""
    room = room or _width()
    judged = list(judged)
    claims = [one for one in judged if one.claim.kind != "identity"]
    apart = Counter(one.verdict for one in judged if one.claim.kind == "identity")
    counts = Counter(one.verdict for one in claims)
    total = f"{_count(len(claims), 'claim')}: {_listed(counts, (*COUNTED, 'not judged'))}"
    if apart:
        total += f"; {_count(apart.total(), 'identity')}: {_listed(apart, ('checked', 'broken', 'not judged'))}"
    total = textwrap.fill(total, room, subsequent_indent="  ")
    sources = Counter(source for one in claims for source in one.claim.sources)
    names = {0: "the lecture", OURS: "our own"}
    named = [f"{names.get(d, f'document {d}')} {sources[d]}" for d in DOCUMENTS if sources[d]]
    said = f"(made by: {', '.join(named)})"
    return f"{total}\n{textwrap.fill(said, room, subsequent_indent=' ')}" if named else total


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what[:-1] + 'ies' if what.endswith('y') else what + 's'}"


def _listed(counts: Counter[Verdict], verdicts: Iterable[Verdict]) -> str:
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in verdicts if counts[verdict])


def by(sources: Sequence[int]) -> str:
    """Who says so: "the lecture", "documents 1, 4", "our own finding"."""
    if set(sources) == {OURS}:
        return "our own finding"
    documents = [str(s) for s in sources if s and s != OURS]
    parts = ["the lecture"] if 0 in sources else []
    if documents:
        parts.append(f"document{'s' if len(documents) > 1 else ''} {', '.join(documents)}")
    return " and ".join(parts)


def _width() -> int:
    return max(40, min(shutil.get_terminal_size((100, 24)).columns, 110))
