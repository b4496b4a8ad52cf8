"""Which equation stands level with which line of code.

Both columns keep their order, and code does not always compute in the order in which one explains. So the pairs that
can face each other are the longest chain that rises in both; the others are linked, but not level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from npgrad.explain.derivation import Block, Case, Equation, Paragraph
from npgrad.explain.source import Subject

__all__ = ["Heading", "Row", "facing"]


@dataclass(frozen=True)
class Heading:
    """Forward or Backward, on the left."""

    text: str


Item = Heading | Equation | Paragraph | Block
Line = tuple[int, str]


@dataclass(frozen=True)
class Row:
    """Items beside lines of code. `level`: the one equation and the one line are each other's."""

    items: tuple[Item, ...]
    lines: tuple[Line, ...]
    level: bool = False


def items_of(case: Case) -> list[Item]:
    found: list[Item] = [Heading("Forward"), *case.forward]
    if case.backward:
        found += [Heading("Backward"), *case.backward]
    return found


def facing(subject: Subject, case: Case) -> list[Row]:
    """The items of `case` and the subject's own code, cut into rows."""
    items = items_of(case)
    lines = list(subject.code())
    while lines and not lines[0][1].strip():
        lines.pop(0)
    at = {number: k for k, (number, _) in enumerate(lines)}
    pairs = [
        (k, at[statement.line])
        for k, item in enumerate(items)
        if isinstance(item, Equation)
        for statement in subject.tagged(item.label)
        if statement.line in at and statement.file == subject.file
    ]
    rows: list[Row] = []
    left = right = 0
    for k, line in longest_chain(pairs):
        # The heading belongs to the equation below it.
        if items[left:k] or lines[right:line]:
            rows.append(Row(tuple(items[left:k]), tuple(lines[right:line])))
        rows.append(Row((items[k],), (lines[line],), level=True))
        left, right = k + 1, line + 1
    if items[left:] or lines[right:]:
        rows.append(Row(tuple(items[left:]), tuple(lines[right:])))
    return rows


def longest_chain(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest sequence of pairs that rises in both places."""
    ordered = sorted(set(pairs))
    best: list[list[tuple[int, int]]] = []
    for pair in ordered:
        before = [chain for chain in best if chain[-1][0] < pair[0] and chain[-1][1] < pair[1]]
        best.append([*max(before, key=len, default=[]), pair])
    return max(best, key=len, default=[])
