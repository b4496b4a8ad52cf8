"""Text and code as markup, which the templates of the site print as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from npgrad.explain.derivation import Block, Paragraph
from npgrad.explain.facing import Heading
from npgrad.explain.order import things
from npgrad.explain.source import Subject

__all__ = ["Line", "Link", "Text", "coloured", "inline", "lines_of", "texts"]

_LABEL = re.compile(r"(?<![\w\])])\((\d+|[a-z])\)")


@dataclass(frozen=True)
class Text:
    """A heading, a paragraph, or a block of lines shown as they stand: `kind` says which."""

    kind: str
    content: Markup


class Link(NamedTuple):
    """Words that lead to an address, or nowhere if that is empty."""

    words: str
    address: str


@dataclass(frozen=True)
class Line:
    """A line of code beside its number."""

    number: int
    source: Markup
    indent: int = 0
    """Columns by which it is indented: where it has to be broken, it continues deeper than that."""
    labels: tuple[str, ...] = ()
    """Of the equations that it computes."""
    anchor: str = ""
    """Its id."""
    target: str = ""
    """The id that its number links to."""
    remark: tuple[Link, ...] = ()
    again: bool = False
    """Whether it is shown a second time, and so without an id."""


def texts(parts: Iterable[Heading | Paragraph | Block], anchors: Mapping[str, str] | None = None) -> Iterator[Text]:
    """Prose for a template; `anchors` are the ids of equations by their labels."""
    for part in parts:
        if isinstance(part, Block):
            yield Text("block", escape("\n".join(part.lines)))
        elif isinstance(part, Heading):
            yield Text("heading", escape(part.text))
        else:
            yield Text("paragraph", inline(part.text, anchors))


def inline(string: str, anchors: Mapping[str, str] | None = None) -> Markup:
    """Running text with `code`, simple formulas, and numbers of equations as links."""
    made = Markup()
    for part in re.split(r"(`[^`]+`)", string):
        if part.startswith("`"):
            name = part.strip("`")
            code, page = Markup("<code>{}</code>").format(name), page_called(name.rpartition(".")[2])
            made += Markup('<a href="{}">{}</a>').format(page, code) if page else code
            continue
        text = str(escape(part))
        # Formulas in running text: powers raised, factors with a dot, a minus as long as a plus.
        text = re.sub(r"(?<=[\w)])\*\*(\w+|\([^()]*\))", r"<sup>\1</sup>", text)
        text = re.sub(r"(?<=[\w)])\*(?=[\w(])", "·", text)
        text = re.sub(r"(?<=[\w)>]) - (?=[\w(])", " − ", text)
        made += Markup(_LABEL.sub(lambda found: linked(found, anchors or {}), text))
    return made


def linked(found: re.Match[str], anchors: Mapping[str, str]) -> str:
    anchor = anchors.get(found[1])
    return f'<a href="#{anchor}">{found[0]}</a>' if anchor else found[0]


def page_called(name: str) -> str | None:
    """The page of a Function class or public function mentioned in prose."""
    for candidate, thing in things().items():
        if name in (candidate, thing.__name__):
            return f"{candidate}.html"
    return None


# -- code --------------------------------------------------------------------------------------------------------------


def coloured(text: str) -> list[Markup]:
    """Python, line by line, each word of it in the class that Pygments gives it."""
    html = highlight(text, PythonLexer(stripnl=False, ensurenl=False), HtmlFormatter(nowrap=True))
    return [Markup(line) for line in html.split("\n")[: text.count("\n") + 1]]


def lines_of(subject: Subject, anchors: Mapping[str, str]) -> Iterator[Line]:
    """The subject's own code; a number in a comment links to its equation."""
    lines = list(subject.code())
    margin = min((indent(line) for _, line in lines if line.strip()), default=0)
    sources = coloured("\n".join(line[margin:] for _, line in lines))
    for (number, line), source in zip(lines, sources, strict=True):
        computed = [s for s in subject.statements if s.line == number and s.file == subject.file]
        labels = tuple(label for s in computed for label in s.labels if label in anchors)
        content = str(source)
        for label in labels:
            content = content.replace(f"({label})", f'<a href="#{anchors[label]}">({label})</a>')
        # Where a line is full, the whole comment goes to the next: (3) alone would be no comment.
        content = re.sub(r"# <a .*</a>", r'<span class="tag">\g<0></span>', content)
        yield Line(number, Markup(content), max(indent(line) - margin, 0), labels, f"L{number}")


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())
