"""Derivations as a static site: pages that need no network, no script and no server.

Every page is made from the docstring and source of one subject: prose and mathematics on the left, the code on the
right, an equation and the line that computes it facing each other and linked both ways. The numbers beside the
equations are those of a check made while the site is built. `templates/` holds the HTML, `assets/` styles and fonts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import npgrad.explain
from npgrad.explain.equation_mutants import Outcome, tally
from npgrad.explain.order import groups, things
from npgrad.explain.report import Report
from npgrad.explain.site_page import Chapter, page_of, scientific
from npgrad.explain.site_program import program_page
from npgrad.explain.site_text import inline
from npgrad.explain.source import subject_of
from npgrad.explain.verify import verify

__all__ = ["ASSETS", "Document", "build", "chapters", "documents", "fragment"]

ASSETS = Path(__file__).parent / "assets"
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Document:
    """A page: where it is written to, without ".html", and its data with the template that shows them."""

    name: str
    heading: str
    template: str
    page: Any

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the equations that are marked together with their code."""
        return getattr(self.page, "marked", ())


def chapters(each: Callable[..., Iterable[tuple[Report, Outcome]]] = map) -> list[Chapter]:
    """Every subject, checked, in the order of reading; `each` may be the `map` of an executor of processes."""
    found = zip(things().items(), each(checked, things()), strict=True)
    return [Chapter(name, subject_of(thing), *results) for (name, thing), results in found]


def checked(name: str) -> tuple[Report, Outcome]:
    subject = subject_of(things()[name])
    return verify(subject), tally(subject)


def documents(read: Sequence[Chapter]) -> list[Document]:
    """The pages of derivations in the order of reading; the notation and the program come before them."""
    doc = npgrad.explain.__doc__ or ""
    notation = doc[doc.index("The notation\n") :].split("=" * 12, 1)[1].strip()
    return [
        Document("notation", "The notation", "notation.html.jinja", notation),
        Document("program", "The program of a training step", "program.html.jinja", program_page(read)),
        *(Document(chapter.name, chapter.name, "derivation.html.jinja", page_of(chapter)) for chapter in read),
    ]


def fragment(document: Document) -> str:
    """A page as HTML without its outer document and heading; `derivation.css` in `ASSETS` is its style."""
    return _TEMPLATES.get_template("fragment.html.jinja").render(
        template=document.template, page=document.page, labels=document.labels
    )


# -- a site of its own -------------------------------------------------------------------------------------------------


def build(directory: str | Path) -> int:
    """Write the site to `directory` and say so.

    Returns an exit code: 1 if a derivation failed its check (the pages show where).
    """
    start = time.perf_counter()
    target = Path(directory)
    for file in (file for file in ASSETS.rglob("*") if file.is_file()):
        copy = target / file.relative_to(ASSETS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    read = chapters()
    home = Document("index", "Derivations that run", "index.html.jinja", index(read))
    notation, program, *derivations = documents(read)
    write(target, home, "npgrad: derivations that run")
    write(target, notation, notation.heading)
    write(target, program, f"{program.heading}: npgrad")
    names = ["", *(document.name for document in derivations), ""]
    for before, document, after in zip(names, derivations, names[2:], strict=False):
        write(target, document, f"{document.name}: npgrad", before, after)
    print(f"{len(derivations) + 3} pages in {time.perf_counter() - start:.1f} s: open {target / 'index.html'}")
    failed = [chapter for chapter in read if not chapter.report.ok]
    for chapter in failed:
        print(chapter.report, file=sys.stderr)
    return 1 if failed else 0


def write(target: Path, document: Document, title: str, before: str = "", after: str = "") -> None:
    html = _TEMPLATES.get_template("page.html.jinja").render(
        title=title,
        heading=document.heading,
        template=document.template,
        page=document.page,
        labels=document.labels,
        before=before,
        after=after,
    )
    (target / f"{document.name}.html").write_bytes(html.encode("utf-8"))


class Contents(NamedTuple):
    """A group of derivations on the first page: their names, each with its summary."""

    title: str
    text: Markup
    entries: tuple[tuple[str, Markup], ...]


def index(read: Sequence[Chapter]) -> dict[str, Any]:
    """What the first page shows."""
    by_class = {chapter.subject.name: chapter for chapter in read}
    return {
        "equations": sum(len(chapter.subject.derivation.equations) for chapter in read),
        "worst": scientific(max(chapter.report.worst() for chapter in read)),
        "killed": sum(chapter.outcome.killed for chapter in read),
        "mutants": sum(chapter.outcome.mutants for chapter in read),
        "groups": [
            Contents(
                group.title,
                inline(group.text),
                tuple(
                    (chapter.name, inline(chapter.subject.derivation.summary))
                    for chapter in (by_class[name] for name in group.names)
                ),
            )
            for group in groups()
            if group.names
        ],
    }
