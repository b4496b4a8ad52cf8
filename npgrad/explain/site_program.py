"""What the page of a training step's program shows, as data: `templates/program.html.jinja` makes HTML of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from npgrad.explain.program import CHECKS, END, network, remark, sections
from npgrad.explain.site_page import Chapter, anchors_of
from npgrad.explain.site_text import Line, Link, coloured, indent

__all__ = ["ProgramPage", "program_page"]


@dataclass(frozen=True)
class ProgramPage:
    network: tuple[Line, ...]
    constants: dict[str, str]
    checks: int
    rows: tuple[tuple[Line, tuple[Line, ...]], ...]
    """Lines of the network, in the order of the program, beside those of the program that belong to them."""


def program_page(chapters: Iterable[Chapter]) -> ProgramPage:
    """The lecture's network beside the program of its training step, each line linked to the equation it computes."""
    shown = network("mlp")
    text = coloured(shown.text.rstrip("\n"))
    pages = {chapter.subject.name: chapter for chapter in chapters}
    parts = sections(shown.program)
    rows = []
    number = 0
    for part in parts:
        if part.heading in (CHECKS, END):
            continue
        where = int(part.heading.partition(":")[2].split()[0])
        lines = tuple(program_line(k, line, pages) for k, line in enumerate(part.lines, number + 1))
        number += len(lines)
        rows.append((Line(where, text[where - 1].strip(), target=f"N{where}"), lines))
    return ProgramPage(
        network=tuple(Line(k, line, anchor=f"N{k}") for k, line in enumerate(text, 1)),
        constants=shown.constants,
        checks=len(parts[0].lines),
        rows=tuple(rows),
    )


def program_line(number: int, line: str, pages: dict[str, Chapter]) -> Line:
    """A line of the program, its remark linked to the derivation."""
    code, function, labels = remark(line)
    links = [Link(words, "") for words in (function, *(f"({label})" for label in labels)) if function]
    if function in pages:
        file, anchors = f"{pages[function].name}.html", anchors_of(pages[function].subject.derivation)
        links = [Link(function, file), *(Link(f"({label})", f"{file}#{anchors[label]}") for label in labels)]
    [source] = coloured(code.strip())
    return Line(number, source, indent(code), anchor=f"P{number}", remark=tuple(links))
