"""Cells of tables; tables and verdicts as plain text, for the terminal."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import zip_longest
from typing import Any

import numpy as np

from experiments.claims import DOCUMENTS, Judged, Verdict
from experiments.experiment import Table

__all__ = ["MARKS", "by", "fraction", "number", "numeric", "plain", "scoreboard", "spread", "tally", "verdicts"]

MARKS: dict[Verdict, str] = {"reproduced": "✓", "direction only": "~", "not reproduced": "✗", "not judged": "○"}


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
    lines = [list(table.columns), *(list(row) for row in table.rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(table.columns))]

    gap = " " * (3 if 2 + sum(widths) + 3 * (len(widths) - 1) <= _width() else 2)

    def laid(line: Sequence[str]) -> str:
        cells = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True))
        return "  " + gap.join(cells).rstrip()

    head = [laid(lines[0]), "  " + gap.join("─" * w for w in widths)] if any(table.columns) else []
    body = [*head, *map(laid, lines[1:])]
    note = [textwrap.fill(table.note, _width(), initial_indent="  ", subsequent_indent="  ")] if table.note else []
    return "\n".join([table.title, "", *body, *note])


def verdicts(judged: Sequence[Judged]) -> str:
    """A claim a paragraph: verdict, what is said and by whom, what was measured. Those not judged are only counted."""
    lines = []
    for one in judged:
        claim = one.claim
        if one.verdict == "not judged":
            continue
        lines.append(f"{MARKS[one.verdict]} {one.verdict}: {claim.text}")
        said = f"{by(claim.sources)}: {claim.stated}" if claim.stated else by(claim.sources)
        lines.append(f"    {said}; measured: {one.measured}")
        if claim.note and one.verdict != "reproduced":
            lines.append(f"    {claim.note}")
    for reason, count in Counter(one.reason for one in judged if one.verdict == "not judged").items():
        lines.append(f"{MARKS['not judged']} not judged: {count} {'claim' if count == 1 else 'claims'} ({reason})")
    return "\n".join(textwrap.fill(line, _width(), subsequent_indent="    ") for line in lines)


def scoreboard(judged: Mapping[str, Judged], room: int | None = None) -> str:
    """Every claim with its name, its documents, what was measured and the verdict, in columns; totals at the end.

    As wide as the terminal, or `room` characters.
    """
    if not judged:
        return "no claims"
    rows = []
    for name, one in judged.items():
        claim, stated = one.claim, one.claim.stated
        text = claim.text if not stated or stated in claim.text else f"{claim.text} [{stated}]"
        sources = " ".join("lecture" if source == 0 else str(source) for source in claim.sources)
        rows.append((name, sources, text, one.measured, f"{MARKS[one.verdict]} {one.verdict}"))
    head = ("Claim", "Document", "says", "Measured", "Verdict")
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    widths[3] = min(widths[3], 16)
    room = room or max(40, min(shutil.get_terminal_size((140, 24)).columns, 170))
    widths[2] = max(30, room - sum(widths) + widths[2] - 3 * (len(head) - 1))
    if sum(widths) + 3 * (len(head) - 1) > room:  # narrow: the text below its name
        return "\n".join([*_narrow(rows, room), "", tally(judged.values())])
    lines = ["   ".join(map(str.ljust, head, widths)).rstrip(), "   ".join("─" * width for width in widths)]
    for row in rows:
        cells = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)]
        lines += ["   ".join(map(str.ljust, line, widths)).rstrip() for line in zip_longest(*cells, fillvalue="")]
    return "\n".join([*lines, "", tally(judged.values())])


def _narrow(rows: Sequence[Sequence[str]], room: int) -> list[str]:
    lines = []
    for name, sources, text, measured, verdict in rows:
        for part in (text, f"documents: {sources.replace(' ', ', ')}; measured: {measured}"):
            lines.append(textwrap.fill(part, room, initial_indent="    ", subsequent_indent="    "))
        lines.insert(len(lines) - 2, f"{name}: {verdict}")
    return lines


def tally(judged: Iterable[Judged]) -> str:
    """How many claims there are of each verdict, and in which documents."""
    judged = list(judged)
    counts = Counter(one.verdict for one in judged)
    parts = [f"{counts[verdict]} {verdict}" for verdict in MARKS if counts[verdict]]
    total = f"{len(judged)} {'claim' if len(judged) == 1 else 'claims'}: {', '.join(parts)}"
    sources = Counter(source for one in judged for source in one.claim.sources)
    named = [f"{'the lecture' if d == 0 else f'document {d}'} {sources[d]}" for d in DOCUMENTS if sources[d]]
    said = f"(made by: {', '.join(named)})"
    return f"{total}\n{textwrap.fill(said, _width(), subsequent_indent=' ')}" if named else total


def by(sources: Sequence[int]) -> str:
    """Who says so: "the lecture", "documents 1, 4"."""
    documents = [str(s) for s in sources if s]
    parts = ["the lecture"] if 0 in sources else []
    if documents:
        parts.append(f"document{'s' if len(documents) > 1 else ''} {', '.join(documents)}")
    return " and ".join(parts)


def _width() -> int:
    return max(40, min(shutil.get_terminal_size((100, 24)).columns, 110))
