"""What the page of a derivation shows, as data: a template (`templates/derivation.html.jinja`) makes HTML of it."""

from __future__ import annotations

import math as maths
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from markupsafe import Markup

from npgrad.explain.derivation import Case, Derivation, Equation, Symbol
from npgrad.explain.equation_mutants import Outcome
from npgrad.explain.facing import Item, facing, items_of
from npgrad.explain.mathml import MathML, math
from npgrad.explain.place import place_of
from npgrad.explain.report import Report
from npgrad.explain.site_text import Line, Text, inline, lines_of, texts
from npgrad.explain.source import Subject

__all__ = ["Chapter", "Page", "anchors_of", "page_of", "scientific"]


@dataclass(frozen=True)
class Chapter:
    """A subject with what was found when it was checked."""

    name: str
    subject: Subject
    report: Report
    outcome: Outcome


@dataclass(frozen=True)
class ShownSymbol:
    formula: Markup
    value: str
    """What a size or a constant equals, as code."""
    meaning: Markup


@dataclass(frozen=True)
class Member:
    """One side of an equation: `left`, which only the first has, equals the formulas of `right`."""

    left: Markup
    right: tuple[Markup, ...]
    remark: Markup


@dataclass(frozen=True)
class ShownEquation:
    kind: ClassVar[str] = "equation"
    label: str
    number: str
    anchor: str
    line: int | None
    """Number of the first line of code that computes it."""
    members: tuple[Member, ...]
    error: str
    failed: bool


@dataclass(frozen=True)
class Row:
    """Items on the left, code on the right."""

    items: tuple[Text | ShownEquation, ...]
    lines: tuple[Line, ...]
    level: bool
    """The one equation and the one line are each other's."""
    low: bool = False
    """The items are headings, which stand at the bottom: just above what they head."""


@dataclass(frozen=True)
class ShownCase:
    name: str
    prose: tuple[Text, ...]
    symbols: tuple[ShownSymbol, ...]
    beside: bool
    """Whether the symbols stand beside the beginning of the code."""
    rows: tuple[Row, ...]
    notes: tuple[Text, ...]


@dataclass(frozen=True)
class Checked:
    """The errors of an equation: between its members, from the complex step, from the code."""

    anchor: str
    number: str
    name: str
    errors: tuple[str, str, str]


@dataclass(frozen=True)
class Page:
    heading: str
    path: str
    summary: Markup
    prose: tuple[Text, ...]
    cases: tuple[ShownCase, ...]
    notes: tuple[Text, ...]
    checks: tuple[tuple[str, tuple[Checked, ...]], ...]
    """The equations of each case, by its name."""
    drawn: int
    outcome: Outcome
    place: dict[str, tuple[str, ...]]
    """Where a Function is used: names by what they are names of."""
    marked: tuple[str, ...]
    """Labels of the equations that a line of code computes: to point at one side marks the other."""


def page_of(chapter: Chapter) -> Page:
    subject, derivation = chapter.subject, chapter.subject.derivation
    anchors = anchors_of(derivation)
    code = {line.number: line for line in lines_of(subject, anchors)}
    labels = dict.fromkeys(equation.label for equation in derivation.equations)
    return Page(
        heading=f"{'class ' if isinstance(subject.thing, type) else ''}{subject.name}",
        path=f"{subject.path}:{subject.line}",
        summary=inline(derivation.summary, anchors),
        prose=tuple(texts(derivation.prose, anchors)),
        cases=tuple(CaseReader(chapter, k, code).read(anchors) for k in range(len(derivation.cases))),
        notes=tuple(texts(derivation.notes, anchors)),
        checks=tuple(
            (case.name, tuple(checked(chapter.report, case, equation, k) for equation in case.equations))
            for k, case in enumerate(derivation.cases)
        ),
        drawn=chapter.report.drawn,
        outcome=chapter.outcome,
        place=place(subject),
        marked=tuple(label for label in labels if subject.tagged(label)),
    )


def anchors_of(derivation: Derivation) -> dict[str, str]:
    """The ids of equations by their labels; a label that several cases have is that of the first."""
    found: dict[str, str] = {}
    for k, case in enumerate(derivation.cases):
        for equation in case.equations:
            found.setdefault(equation.label, anchor(k, equation))
    return found


def anchor(case: int, equation: Equation) -> str:
    return f"eq-{equation.label}" if case == 0 else f"eq{case + 1}-{equation.label}"


class CaseReader:
    """Reads the case of a derivation that has the index `k`."""

    def __init__(self, chapter: Chapter, k: int, code: Mapping[int, Line]) -> None:
        self.subject, self.report = chapter.subject, chapter.report
        self.k = k
        self.case = chapter.subject.derivation.cases[k]
        self.code = code
        self.formulas = MathML(self.case)

    def read(self, anchors: Mapping[str, str]) -> ShownCase:
        case = self.case
        self.anchors = {**anchors, **{e.label: anchor(self.k, e) for e in case.equations}}
        return ShownCase(
            name=case.name[:1].upper() + case.name[1:],
            prose=tuple(texts(case.prose, self.anchors)),
            symbols=tuple(declared(symbol, self.formulas) for symbol in case.symbols),
            beside=self.k == 0,
            rows=tuple(self.facing() if self.k == 0 else self.below()),
            notes=tuple(texts(case.notes, self.anchors)),
        )

    def facing(self) -> Iterator[Row]:
        """The first case stands beside the code."""
        for row in facing(self.subject, self.case):
            items = tuple(self.item(item) for item in row.items)
            low = bool(items) and all(item.kind == "heading" for item in items)
            yield Row(items, tuple(self.code[number] for number, _ in row.lines), row.level, low)

    def below(self) -> Iterator[Row]:
        """Beside the equations of a further case, their lines are shown again."""
        for item in items_of(self.case):
            lines = [self.code[n] for n in self.lines(item)] if isinstance(item, Equation) else []
            again = tuple(replace(line, anchor="", target=line.anchor, again=True) for line in lines)
            yield Row((self.item(item),), again, bool(again))

    def lines(self, equation: Equation) -> list[int]:
        """Numbers of the lines of the subject's own code that compute an equation."""
        return [s.line for s in self.subject.tagged(equation.label) if s.line in self.code]

    def item(self, item: Item) -> Text | ShownEquation:
        if not isinstance(item, Equation):
            [text] = texts([item], self.anchors)
            return text
        return ShownEquation(
            label=item.label,
            number=item.number,
            anchor=anchor(self.k, item),
            line=next(iter(self.lines(item)), None),
            members=tuple(
                Member(
                    left=Markup(math(self.formulas.show(item.lhs))) if position == 0 else Markup(),
                    right=tuple(map(Markup, self.formulas.pieces(member))),
                    remark=inline(remark, self.anchors),
                )
                for position, (member, remark) in enumerate(zip(item.members, item.remarks, strict=True))
            ),
            error=scientific(self.report.worst(None, item.label, self.case.name)),
            failed=any((c.case, c.label) == (self.case.name, item.label) for c in self.report.failures),
        )


def declared(symbol: Symbol, formulas: MathML) -> ShownSymbol:
    """A line of Symbols."""
    value = symbol.text.split("=", 1)[1].strip() if symbol.kind in ("size", "constant") else ""
    return ShownSymbol(Markup(math(declaration(symbol, formulas))), value, inline(symbol.meaning))


def declaration(symbol: Symbol, formulas: MathML) -> str:
    """A symbol with the range of its values, as MathML."""
    if symbol.kind == "size":
        return f"<mo>|</mo><mi>{symbol.name}</mi><mo>|</mo>"
    if symbol.kind == "constant":
        return formulas.symbol(symbol.name)
    name = formulas.subscripted(formulas.symbol(symbol.name), symbol.axes)
    kind: str
    bound: Any
    kind, bound = symbol.domain or ("", None)
    if kind == "index":
        return f"{name}<mo>∈</mo>{formulas.show(bound)}"
    if kind == "away":
        return f"{name}<mo>≠</mo><mn>0</mn>"
    if kind == "definite":
        return f'{name}<mspace width="0.4em"/><mtext>positive definite</mtext>'
    if kind == "choice":
        return f"{name}<mo>∈</mo><mo>{{</mo>{'<mo>,</mo>'.join(formulas.number(v) for v in bound)}<mo>}}</mo>"
    if kind == "interval":
        low, high = bound
        if maths.isinf(high):
            return f"{name}<mo>&gt;</mo>{formulas.number(low)}"
        if maths.isinf(low):
            return f"{name}<mo>&lt;</mo>{formulas.number(high)}"
        return f"{name}<mo>∈</mo><mo>(</mo>{formulas.number(low)}<mo>,</mo>{formulas.number(high)}<mo>)</mo>"
    return name


# -- below the derivation ----------------------------------------------------------------------------------------------


def checked(report: Report, case: Case, equation: Equation, k: int) -> Checked:
    def worst(*kinds: str) -> str:
        return scientific(max_of(report.worst(kind, equation.label, case.name) for kind in kinds))

    errors = worst("chain"), worst("adjoint"), worst("code", "output", "gradient")
    return Checked(anchor(k, equation), equation.number, equation.name, errors)


def scientific(error: float) -> str:
    return "" if maths.isnan(error) else "0" if error == 0 else f"{error:.0e}"


def max_of(values: Iterable[float]) -> float:
    return max((v for v in values if not maths.isnan(v)), default=maths.nan)


def place(subject: Subject) -> dict[str, tuple[str, ...]]:
    if not isinstance(subject.thing, type):
        return {}
    used = place_of(subject.name)
    found = {
        "": (subject.name,),
        "called by": (*(f"{function}()" for function in used.functions), *used.operators),
        "layers": used.layers,
        "models": used.models,
        "experiments": used.experiments,
    }
    return {title: names for title, names in found.items() if names}
