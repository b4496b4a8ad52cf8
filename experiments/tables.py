"""Tables and verdicts as plain text, for the terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from collections.abc import Sequence

from experiments.claims import Judged
from experiments.experiment import Table

__all__ = ["MARKS", "by", "numeric", "plain", "verdicts"]

MARKS = {"reproduced": "✓", "direction only": "~", "not reproduced": "✗", "not judged": "○"}


def numeric(cells: Sequence[str]) -> bool:
    """Whether a column holds numbers, and so is aligned to the right."""
    filled = [cell for cell in cells if cell.strip("–—- ")]
    return bool(filled) and all(cell.lstrip("−-+~≈<> ")[:1].isdigit() for cell in filled)


def plain(table: Table) -> str:
    """The table in columns, its note wrapped below."""
    right = [numeric([row[k] for row in table.rows]) for k in range(len(table.columns))]
    lines = [list(table.columns), *(list(row) for row in table.rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(table.columns))]

    def laid(line: Sequence[str]) -> str:
        cells = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True))
        return "  " + "   ".join(cells).rstrip()

    head = [laid(lines[0]), "  " + "   ".join("─" * w for w in widths)] if any(table.columns) else []
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


def by(sources: Sequence[int]) -> str:
    """Who says so: "the lecture", "documents 1, 4"."""
    documents = [str(s) for s in sources if s]
    parts = ["the lecture"] if 0 in sources else []
    if documents:
        parts.append(f"document{'s' if len(documents) > 1 else ''} {', '.join(documents)}")
    return " and ".join(parts)


def _width() -> int:
    return max(40, min(shutil.get_terminal_size((100, 24)).columns, 110))
