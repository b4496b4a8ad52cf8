"""Derivations as a static site: pages that need no network, no script and no server.

Every page is made from the docstring and source of one subject: prose and mathematics on the left, the code on the
right, an equation and the line that computes it facing each other and linked both ways. The numbers beside the
equations are those of a check made while the site is built.
"""

from __future__ import annotations

import math as maths
import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import npgrad.explain
from npgrad.explain.derivation import Case, Derivation, Equation, Paragraph, Prose, Symbol
from npgrad.explain.equation_mutants import Outcome, tally
from npgrad.explain.facing import Heading, Item, facing, items_of
from npgrad.explain.mathml import MathML, math
from npgrad.explain.order import Group, groups, things
from npgrad.explain.place import place_of
from npgrad.explain.program import CHECKS, END, network, remark, sections
from npgrad.explain.report import Report
from npgrad.explain.source import Subject, subject_of
from npgrad.explain.verify import verify

__all__ = ["build"]

_ASSETS = Path(__file__).parent / "assets"
_TAG = re.compile(r"(?<![\w\])])\((\d+|[a-z])\)")
_FONTS = ("pagella-math", "pagella-regular", "pagella-italic", "pagella-bold")


@dataclass(frozen=True)
class Chapter:
    """A subject with what was found when it was checked."""

    name: str
    subject: Subject
    report: Report
    outcome: Outcome

    @property
    def file(self) -> str:
        return f"{self.name}.html"


def build(directory: str | Path) -> int:
    """Write the site to `directory` and say so.

    Returns an exit code: 1 if a derivation failed its check (the pages show where), 2 without Pygments.
    """
    try:
        import pygments  # noqa: F401
    except ImportError:
        print("the site highlights code with Pygments: python -m pip install 'npgrad[site]'.", file=sys.stderr)
        return 2
    start = time.perf_counter()
    chapters = []
    for name, thing in things().items():
        subject = subject_of(thing)
        chapters.append(Chapter(name, subject, verify(subject), tally(subject)))
    target = Path(directory)
    (target / "fonts").mkdir(parents=True, exist_ok=True)
    for file in (*(f"{font}.woff2" for font in _FONTS), "GUST-FONT-LICENSE.txt", "README.txt"):
        (target / "fonts" / file).write_bytes((_ASSETS / file).read_bytes())
    (target / "style.css").write_bytes((_ASSETS / "style.css").read_bytes())
    write(target / "index.html", index(chapters))
    write(target / "notation.html", notation())
    write(target / "program.html", program_page(chapters))
    for k, chapter in enumerate(chapters):
        before = chapters[k - 1] if k else None
        after = chapters[k + 1] if k + 1 < len(chapters) else None
        write(target / chapter.file, Page(chapter).html(before, after))
    print(f"{len(chapters) + 3} pages in {time.perf_counter() - start:.1f} s: open {target / 'index.html'}")
    failed = [c for c in chapters if not c.report.ok]
    for chapter in failed:
        print(chapter.report, file=sys.stderr)
    return 1 if failed else 0


def write(path: Path, content: str) -> None:
    path.write_bytes(content.encode("utf-8"))


# -- text --------------------------------------------------------------------------------------------------------------


def inline(string: str, anchors: dict[str, str] | None = None) -> str:
    """Prose as HTML: `code`, simple formulas, and numbers of equations as links."""
    parts = re.split(r"(`[^`]+`)", string)
    out = []
    for part in parts:
        if part.startswith("`"):
            inside = part.strip("`")
            page = page_called(inside.rpartition(".")[2])
            code = f"<code>{escape(inside)}</code>"
            out.append(f'<a href="{page}">{code}</a>' if page else code)
            continue
        part = escape(part, quote=False)
        # Formulas in running text: powers raised, factors with a dot, a minus as long as a plus.
        part = re.sub(r"(?<=[\w)])\*\*(\w+|\([^()]*\))", r"<sup>\1</sup>", part)
        part = re.sub(r"(?<=[\w)])\*(?=[\w(])", "·", part)
        part = re.sub(r"(?<=[\w)>]) - (?=[\w(])", " − ", part)
        out.append(_TAG.sub(lambda m: link(m, anchors or {}), part))
    return "".join(out)


def link(found: re.Match[str], anchors: dict[str, str]) -> str:
    anchor = anchors.get(found[1])
    return f'<a href="#{anchor}">{found[0]}</a>' if anchor else found[0]


def page_called(name: str) -> str | None:
    """The page of a Function class or public function mentioned in prose."""
    for candidate, thing in things().items():
        if name in (candidate, thing.__name__):
            return f"{candidate}.html"
    return None


def prose(parts: Iterable[Prose], anchors: dict[str, str] | None = None) -> str:
    return "\n".join(
        f"<p>{inline(part.text, anchors)}</p>"
        if isinstance(part, Paragraph)
        else f"<pre>{escape(chr(10).join(part.lines))}</pre>"
        for part in parts
    )


def document(title: str, body: str, top: str, bottom: str, style: str = "") -> str:
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">{style}
</head>
<body>
<header>{top}</header>
<main>
{body}
</main>
<footer>{bottom}</footer>
</body>
</html>
"""


def scientific(error: float) -> str:
    return "" if maths.isnan(error) else "0" if error == 0 else f"{error:.0e}"


# -- the index ---------------------------------------------------------------------------------------------------------

_HOME = '<a href="index.html">npgrad: derivations that run</a>'
_DELTA = math('<msub><mi>δ</mi><mrow><mi>i</mi><mspace width="0.08em"/><mi>j</mi></mrow></msub>')
_BOTTOM = (
    "Made by <code>npgrad explain --html</code> from the docstrings and the source. "
    'Fonts: TeX Gyre Pagella, <a href="fonts/GUST-FONT-LICENSE.txt">GUST Font License</a>.'
)


def index(chapters: list[Chapter]) -> str:
    equations = sum(len(c.subject.derivation.equations) for c in chapters)
    worst = max(c.report.worst() for c in chapters)
    killed, mutants = sum(c.outcome.killed for c in chapters), sum(c.outcome.mutants for c in chapters)
    body = f"""<h1>Derivations that run</h1>
<p class="summary">Every backward rule of npgrad, derived by hand beside the code that computes it. Nothing on these
pages is only displayed: each line was executed when the page was made.</p>
<p>There are {equations} equations. On random inputs every member of every chain agreed with its neighbours, every
adjoint agreed with the derivative of the remaining forward lines, taken by a complex step, which does not cancel, and
every line of code with a number agreed with the equation of that number. The largest relative difference was
{scientific(worst)}. To see whether such a check would notice a mistake, {mutants:,} mistakes were made, one at a time:
a sign flipped, a term dropped, an index exchanged. It noticed {killed:,}.</p>
<h2>How to read a page</h2>
<p>The left column is the derivation, the right column the source. A number such as (3) is on both sides: point at it or
follow it, and its other side is marked. Letters mark steps of reasoning that no line of code computes. The small number
at the end of an equation is its largest difference in the last check.</p>
<p>{math("<mi>∂</mi><mi>x</mi>")} is the derivative of the loss with respect to {math("<mi>x</mi>")}, and called
<code>dx</code> in the code. {_DELTA} is 1 where both indices are equal, else 0, and so is a comparison in brackets
where it holds. Otherwise a symbol is the name of the variable. How the docstrings are written is
described in <a href="notation.html">the notation</a>.</p>
<p>If you have an hour: <a href="add.html">add</a>, for what broadcasting does to a gradient;
<a href="tanh.html">tanh</a>, for saturation; <a href="matmul.html">matmul</a>;
<a href="cross_entropy.html">cross_entropy</a>; then <a href="batch_norm.html">batch_norm</a>, slowly.</p>
<p>All together: <a href="program.html">the program of a whole training step</a>, each line linked to its equation.</p>
<div class="chapters">
{"".join(chapter_list(group, chapters) for group in groups() if group.names)}
</div>"""
    return document("npgrad: derivations that run", body, _HOME, _BOTTOM)


def chapter_list(group: Group, chapters: list[Chapter]) -> str:
    by_class = {c.subject.name: c for c in chapters}
    entries = [
        f'<li><a href="{c.file}">{c.name}</a> <span>{inline(c.subject.derivation.summary)}</span></li>'
        for c in (by_class[name] for name in group.names)
    ]
    head = f"<h2>{escape(group.title)}</h2>\n<p>{inline(group.text)}</p>"
    return f"<section>\n{head}\n<ol>\n{chr(10).join(entries)}\n</ol>\n</section>\n"


def notation() -> str:
    doc = npgrad.explain.__doc__ or ""
    start = doc.index("The notation\n")
    return document(
        "The notation",
        f"<h1>The notation</h1>\n<pre>{escape(doc[start:].split('=' * 12, 1)[1].strip())}</pre>",
        _HOME,
        _BOTTOM,
    )


# -- the program -------------------------------------------------------------------------------------------------------


def program_page(chapters: list[Chapter]) -> str:
    """The lecture's network beside the program of its training step, each line linked to the equation it computes."""
    shown = network("mlp")
    pages = {c.subject.name: Page(c) for c in chapters}
    text = lines_of(shown.text)
    parts = sections(shown.program)
    rows = []
    number = 0
    for part in parts:
        if part.heading in (CHECKS, END):
            continue
        where = int(part.heading.partition(":")[2].split()[0])
        left = f'<a class="ln" href="#N{where}">{where}</a><span class="source">{text[where - 1].strip()}</span>'
        right = []
        for line in part.lines:
            number += 1
            right.append(program_line(number, line, pages))
        rows.append(
            f'<div class="row level"><div class="text code"><span class="line">{left}</span></div>'
            f'<div class="code">{"".join(right)}</div></div>'
        )
    network_lines = "".join(
        f'<span class="line" id="N{k}"><span class="ln">{k}</span><span class="source">{line}</span></span>'
        for k, line in enumerate(text, 1)
    )
    given = "".join(
        f"<dt><code>{escape(name)}</code></dt><dd>{escape(words)}</dd>" for name, words in shown.constants.items()
    )
    checks = len(parts[0].lines)
    body = f"""<h1>The program of a training step</h1>
<p class="summary">What <code>npgrad.compile</code> makes of the lecture's network: its backward pass, written for
you.</p>
<p>The step below ran once while every NumPy call that the Functions made was noted. On the right are these calls, each
result in memory that was planned beforehand; on the left, the line of the network that they belong to: first from top
to bottom, then back. The remark at the end of a line links to the derivation of the equation it computes; a line
without a number is on the way there. <code>npgrad program</code> prints the same.</p>
<div class="code">{network_lines}</div>
<h2>Line by line</h2>
<p>Before the first line, {checks} checks make sure that this is the step that was recorded; after the last one,
parameters get their new gradients.</p>
<dl class="symbols">
{given}
</dl>
<div class="rows">
{chr(10).join(rows)}
</div>"""
    return document("The program of a training step: npgrad", body, _HOME, _BOTTOM)


def program_line(number: int, line: str, pages: dict[str, Page]) -> str:
    """A line of the program as HTML, its remark linked to the derivation."""
    code, function, labels = remark(line)
    tag = ""
    if function:
        page = pages.get(function)
        if page is None:
            words = [function, *(f"({label})" for label in labels)]
        else:
            file = page.chapter.file
            words = [f'<a href="{file}">{function}</a>']
            words += [f'<a href="{file}#{page.anchors[label]}">({label})</a>' for label in labels]
        tag = f'  <span class="tag c1"># {" ".join(words)}</span>'
    [content] = lines_of(code.strip())
    indent = len(code) - len(code.lstrip())
    own = f' style="--i:{indent}"' if indent else ""
    return (
        f'<span class="line" id="P{number}"><span class="ln">{number}</span>'
        f'<span class="source"{own}>{content}{tag}</span></span>'
    )


def lines_of(text: str) -> list[str]:
    """Python as HTML, line by line."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    html: str = highlight(text, PythonLexer(stripnl=False, ensurenl=False), HtmlFormatter(nowrap=True))
    return html.split("\n")[: len(text.splitlines())]


# -- a page ------------------------------------------------------------------------------------------------------------


class Page:
    """The page of one subject."""

    def __init__(self, chapter: Chapter) -> None:
        self.chapter = chapter
        self.subject = chapter.subject
        self.derivation: Derivation = chapter.subject.derivation
        self.anchors: dict[str, str] = {}
        for k, case in enumerate(self.derivation.cases):
            for equation in case.equations:
                self.anchors.setdefault(equation.label, self.anchor(k, equation))
        self.code = dict(highlighted(self.subject, self.anchors))

    def anchor(self, k: int, equation: Equation) -> str:
        return f"eq-{equation.label}" if k == 0 else f"eq{k + 1}-{equation.label}"

    def html(self, before: Chapter | None, after: Chapter | None) -> str:
        subject, derivation = self.subject, self.derivation
        title = f"{'class ' if isinstance(subject.thing, type) else ''}{subject.name}"
        body = [
            f"<h1>{escape(self.chapter.name)}</h1>",
            f'<p class="summary">{inline(derivation.summary, self.anchors)}</p>',
            f'<p class="path">{escape(title)}, {escape(subject.path)}:{subject.line}</p>',
            prose(derivation.prose, self.anchors),
            *(self.case(k, case) for k, case in enumerate(derivation.cases)),
            prose(derivation.notes, self.anchors),
            self.check(),
            self.place(),
        ]
        links = "<nav>"
        links += f'<a href="{before.file}">← {escape(before.name)}</a>' if before else "<span></span>"
        links += f'<a href="{after.file}">{escape(after.name)} →</a>' if after else "<span></span>"
        links += "</nav>"
        top = _HOME + (f'<a href="{after.file}">next: {escape(after.name)}</a>' if after else "")
        return document(
            f"{self.chapter.name}: npgrad", "\n".join(part for part in body if part), top, links + _BOTTOM, self.marks()
        )

    def marks(self) -> str:
        """Pointing at one side of a number, or following it, marks the other: a style sheet can do that by itself."""
        rules = []
        for label in dict.fromkeys(e.label for e in self.derivation.equations):
            if self.subject.tagged(label):
                here = f".k-{label}"
                rules.append(
                    f"main:has({here}:hover) {here}, main:has({here}:target) {here} {{ background: var(--mark); }}"
                )
        return "\n<style>\n" + "\n".join(rules) + "\n.eq:target, .line:target { background: var(--mark); }\n</style>"

    # -- mathematics ---------------------------------------------------------------------------------------------------

    def case(self, k: int, case: Case) -> str:
        setter = MathML(case)
        anchors = self.anchors | {e.label: self.anchor(k, e) for e in case.equations}
        parts = [f"<h2>{escape(case.name[:1].upper() + case.name[1:])}</h2>"] if case.name else []
        parts.append(prose(case.prose, anchors))
        symbols = self.symbols(case, setter)
        parts.append('<div class="rows">')
        if k == 0:
            for row in facing(self.subject, case):
                # What is given stands beside the beginning of the code; a heading, just above what it heads.
                low = " low" if row.items and all(isinstance(item, Heading) for item in row.items) else ""
                left = symbols + "".join(self.item(item, setter, k, case, anchors) for item in row.items)
                right = "".join(self.code[number] for number, _ in row.lines)
                level = " level" if row.level else ""
                code = f'<div class="code">{right}</div>' if right else ""
                parts.append(f'<div class="row{level}"><div class="text{low}">{left}</div>{code}</div>')
                symbols = ""
        else:
            parts.append(symbols)
            for item in items_of(case):
                left = self.item(item, setter, k, case, anchors)
                right = ""
                if isinstance(item, Equation):
                    lines = [s.line for s in self.subject.tagged(item.label) if s.line in self.code]
                    right = "".join(copied(self.code[line], line) for line in lines)
                code = f'<div class="code">{right}</div>' if right else ""
                level = " level" if right else ""
                parts.append(f'<div class="row{level}"><div class="text">{left}</div>{code}</div>')
        parts += ["</div>", prose(case.notes, anchors)]
        return "\n".join(part for part in parts if part)

    def symbols(self, case: Case, setter: MathML) -> str:
        if not case.symbols:
            return ""
        entries = "\n".join(f"<dt>{declared(s, setter)}</dt><dd>{inline(s.meaning)}</dd>" for s in case.symbols)
        return f'<dl class="symbols">\n{entries}\n</dl>'

    def item(self, item: Item, setter: MathML, k: int, case: Case, anchors: dict[str, str]) -> str:
        if isinstance(item, Heading):
            return f"<h3>{item.text}</h3>"
        if not isinstance(item, Equation):
            return prose([item], anchors)
        lines = [s.line for s in self.subject.tagged(item.label) if s.line in self.code]
        number = (
            f'<a class="no" href="#L{lines[0]}">{item.number}</a>'
            if lines
            else f'<span class="no">{item.number}</span>'
        )
        members = []
        for position, member in enumerate(item.members):
            left = math(setter.show(item.lhs)) if position == 0 else ""
            right = " ".join(setter.pieces(member))
            members.append(
                f'<div class="member"><span class="left">{left}</span> '
                f'<span class="equals">{math("<mo>=</mo>")}</span> <span class="right">{right}</span></div>'
            )
            if item.remarks[position]:
                members.append(f'<p class="why">{inline(item.remarks[position], anchors)}</p>')
        error = self.chapter.report.worst(None, item.label, case.name)
        failed = any((c.case, c.label) == (case.name, item.label) for c in self.chapter.report.failures)
        shown = f'<span class="error{" bad" if failed else ""}">{scientific(error)}</span>'
        return (
            f'<div class="eq k-{item.label}" id="{self.anchor(k, item)}">{number}'
            f'<div class="chain">{"".join(members)}</div>{shown}</div>'
        )

    # -- around it -----------------------------------------------------------------------------------------------------

    def check(self) -> str:
        report, outcome = self.chapter.report, self.chapter.outcome
        rows = []
        for k, case in enumerate(self.derivation.cases):
            if case.name:
                rows.append(f'<tr class="case"><th colspan="5">{escape(case.name)}</th></tr>')
            for equation in case.equations:
                errors = [
                    report.worst("chain", equation.label, case.name),
                    report.worst("adjoint", equation.label, case.name),
                    max_of(report.worst(kind, equation.label, case.name) for kind in ("code", "output", "gradient")),
                ]
                cells = "".join(f'<td class="n">{scientific(error)}</td>' for error in errors)
                rows.append(
                    f'<tr><td><a href="#{self.anchor(k, equation)}">{equation.number}</a></td>'
                    f"<td><code>{escape(equation.name)}</code></td>{cells}</tr>"
                )
        noticed = "all noticed" if not outcome.survivors else f"{outcome.killed} noticed"
        return f"""<h2>The last check</h2>
<p>Largest relative differences over {report.drawn} sets of random inputs: between the members of a chain; from the
derivative of the remaining forward lines by complex step; from what the code holds or returns. {outcome.mutants}
mistakes were planted in the equations, {noticed}.</p>
<div class="wide"><table>
<tr><th></th><th></th><th class="n">members</th><th class="n">complex step</th><th class="n">code</th></tr>
{chr(10).join(rows)}
</table></div>"""

    def place(self) -> str:
        if not isinstance(self.subject.thing, type):
            return ""
        place = place_of(self.subject.name)
        columns = [
            ("called by", [f"{f}()" for f in place.functions] + list(place.operators)),
            ("layers", list(place.layers)),
            ("models", list(place.models)),
            ("experiments", list(place.experiments)),
        ]
        shown = "".join(
            f"<div><b>{title}</b>{''.join(f'<code>{escape(name)}</code>' for name in names)}</div>"
            for title, names in [("", [self.subject.name]), *columns]
            if names
        )
        return f'<h2>Its place</h2>\n<div class="place">{shown}</div>'


def max_of(values: Iterable[float]) -> float:
    return max((v for v in values if not maths.isnan(v)), default=maths.nan)


def declared(symbol: Symbol, setter: MathML) -> str:
    """A line of Symbols as a formula."""
    if symbol.kind == "size":
        return math(f"<mo>|</mo><mi>{symbol.name}</mi><mo>|</mo>") + f" = <code>{escape(right_side(symbol))}</code>"
    if symbol.kind == "constant":
        return math(setter.symbol(symbol.name)) + f" = <code>{escape(right_side(symbol))}</code>"
    name = setter.subscripted(setter.symbol(symbol.name), symbol.axes)
    kind: str
    bound: Any
    kind, bound = symbol.domain or ("", None)
    if kind == "index":
        return math(f"{name}<mo>∈</mo>{setter.show(bound)}")
    if kind == "away":
        return math(f"{name}<mo>≠</mo><mn>0</mn>")
    if kind == "choice":
        return math(f"{name}<mo>∈</mo><mo>{{</mo>{'<mo>,</mo>'.join(setter.number(v) for v in bound)}<mo>}}</mo>")
    if kind == "interval":
        low, high = bound
        if maths.isinf(high):
            return math(f"{name}<mo>&gt;</mo>{setter.number(low)}")
        if maths.isinf(low):
            return math(f"{name}<mo>&lt;</mo>{setter.number(high)}")
        return math(f"{name}<mo>∈</mo><mo>(</mo>{setter.number(low)}<mo>,</mo>{setter.number(high)}<mo>)</mo>")
    return math(name)


def right_side(symbol: Symbol) -> str:
    return symbol.text.split("=", 1)[1].strip()


# -- code --------------------------------------------------------------------------------------------------------------


def highlighted(subject: Subject, anchors: dict[str, str]) -> Iterator[tuple[int, str]]:
    """The lines of the subject's own code as HTML, numbers in comments linked to their equations."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    lines = list(subject.code())
    margin = min((len(line) - len(line.lstrip()) for _, line in lines if line.strip()), default=0)
    string = "\n".join(line[margin:] for _, line in lines)
    html = highlight(string, PythonLexer(stripnl=False, ensurenl=False), HtmlFormatter(nowrap=True)).split("\n")
    for (number, line), content in zip(lines, html, strict=False):
        labels = [
            label for s in subject.statements if s.line == number and s.file == subject.file for label in s.labels
        ]
        labels = [label for label in labels if label in anchors]
        for label in labels:
            content = content.replace(f"({label})", f'<a href="#{anchors[label]}">({label})</a>')
        # Where a line is full, the whole comment goes to the next: (3) alone would be no comment.
        content = re.sub(r"# <a .*</a>", r'<span class="tag">\g<0></span>', content)
        classes = "".join(f" k-{label}" for label in labels)
        indent = len(line) - len(line.lstrip()) - margin
        own = f' style="--i:{indent}"' if indent > 0 else ""
        source = f'<span class="source"{own}>{content}</span>'
        yield number, f'<span class="line{classes}" id="L{number}"><span class="ln">{number}</span>{source}</span>'


def copied(line: str, number: int) -> str:
    """A second showing of a line: without its id, and linked to the first."""
    line = line.replace(f' id="L{number}"', "").replace('class="line', 'class="line copy', 1)
    return line.replace(f'<span class="ln">{number}</span>', f'<a class="ln" href="#L{number}">{number}</a>')
