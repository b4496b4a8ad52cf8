"""Derivations on a terminal: the list, a page, a run with its differences, a trace with its arrays."""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import numpy as np

from npgrad.explain.derivation import Case, Equation, Paragraph, Prose, Symbol
from npgrad.explain.draw import letters_of
from npgrad.explain.facing import Heading, Item, Row, facing, items_of
from npgrad.explain.order import groups, name_of, things
from npgrad.explain.printer import Printer, width
from npgrad.explain.report import Report
from npgrad.explain.source import Subject, subject_of
from npgrad.explain.trial import Trial
from npgrad.explain.verify import verify

__all__ = ["Style", "listing", "page", "run", "trace"]

_TAG = re.compile(r"#\s*((?:\((?:\d+|[a-z])\)\s*)+)")
_EQUATIONS, _CODE = 66, 90
"""Columns that equations and code must have to stand side by side."""
_LEGEND = "∂x is the derivative of the loss with respect to x, dx in the code; a number in the code names its equation."
_CODES = {"bold": "1", "number": "36", "faint": "2", "good": "32", "bad": "31"}


class Style:
    """Colour where it is wanted: on a terminal, unless NO_COLOR is set (https://no-color.org)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        stream = stream or sys.stdout
        self.colour = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.columns = shutil.get_terminal_size((100, 40)).columns

    def __call__(self, kind: str, string: str) -> str:
        return f"\033[{_CODES[kind]}m{string}\033[0m" if self.colour and string else string


def pad(string: str, columns: int) -> str:
    return string + " " * (columns - width(re.sub(r"\033\[\d+m", "", string)))


# -- the list ----------------------------------------------------------------------------------------------------------


def listing(style: Style) -> Iterator[str]:
    """Everything there is, grouped in an order of reading."""
    known = things()
    by_class = {thing.__name__.rpartition(".")[2]: (name, thing) for name, thing in known.items()}
    space = max(width(name) for name in known) + 2
    limit = max(min(style.columns, 120), 60)
    for group in groups():
        if not group.names:
            continue
        yield style("bold", group.title)
        yield from (style("faint", line) for line in textwrap.wrap(group.text, limit))
        for key in group.names:
            name, thing = by_class[key]
            summary = subject_of(thing).derivation.summary
            summary = textwrap.shorten(summary, limit - space - 2, placeholder=" …")
            yield f"  {style('number', pad(name, space))}{summary}"
        yield ""
    yield "Read one:            npgrad explain batch_norm"
    yield "Its numerical error: npgrad explain batch_norm --run"
    yield "Its arrays:          npgrad explain batch_norm --trace"
    yield "A backward pass:     npgrad explain --step"
    yield "A training step:     npgrad program"


# -- a page ------------------------------------------------------------------------------------------------------------


def page(thing: Any, style: Style) -> Iterator[str]:
    """Derivation and code: side by side where the terminal is wide enough, stacked otherwise."""
    subject = subject_of(thing)
    derivation = subject.derivation
    limit = min(style.columns, 120)
    yield style("bold", name_of(thing)) + style("faint", f"   {subject.path}:{subject.line}")
    words = Printer(derivation.cases[0])
    yield from textwrap.wrap(words.words(derivation.summary), limit)
    for part in derivation.prose:
        yield ""
        yield from prose(part, limit, words)
    code_width = max((width(line) for _, line in subject.code()), default=0) + 6
    # Few lines of code are very long: rather than leave no room for equations, they are folded.
    left = max(style.columns - code_width - 2, _EQUATIONS)
    beside = style.columns - left >= min(code_width, _CODE)
    for k, case in enumerate(derivation.cases):
        yield ""
        if case.name:
            yield from (style("bold", line) for line in textwrap.wrap(f"Case: {case.name}", limit))
        printer = Printer(case)
        for part in case.prose:
            yield from prose(part, limit, printer)
            yield ""
        given = list(symbols(case, style, left - 2 if beside and k == 0 else limit))
        if beside and k == 0:
            # What is given stands beside the beginning of the code.
            for row in facing(subject, case):
                yield from side_by_side(row, printer, style, left, given)
                given = []
        else:
            yield from given
            for item in items_of(case):
                yield from shown(item, printer, style, limit)
        for part in case.notes:
            yield ""
            yield from prose(part, limit, printer)
    if not beside:
        yield ""
        yield style("bold", "Code")
        yield from (code_line(part, style) for _, line in subject.code() for part in fold(line, style.columns))
    for part in derivation.notes:
        yield ""
        yield from prose(part, limit, words)
    yield ""
    yield from (style("faint", line) for line in textwrap.wrap(_LEGEND, limit))


def prose(part: Prose, limit: int, printer: Printer) -> Iterator[str]:
    if isinstance(part, Paragraph):
        yield from textwrap.wrap(printer.words(part.text), limit)
    else:
        yield from (f"    {line}" for line in part.lines)


def symbols(case: Case, style: Style, limit: int) -> Iterator[str]:
    """What is given, as a table."""
    if not case.symbols:
        return
    printer = Printer(case)
    entries = [(declaration(symbol, printer), printer.words(symbol.meaning)) for symbol in case.symbols]
    widest = max(limit - 35, 20)  # what is wider has its meaning below, so that the others keep room for theirs
    space = max((w for w in (width(declared) for declared, _ in entries) if w <= widest), default=0) + 3
    for declared, meaning in entries:
        lines = textwrap.wrap(meaning, max(limit - space - 2, 30)) or [""]
        if width(declared) > widest:
            yield f"  {declared}"
            declared = ""
        yield f"  {pad(declared, space)}{style('faint', lines[0])}".rstrip()
        yield from (f"  {'':{space}}{style('faint', line)}" for line in lines[1:])


def declaration(symbol: Symbol, printer: Printer) -> str:
    """The left part of a line of Symbols."""
    if symbol.kind != "array":
        return (
            symbol.text
            if symbol.kind == "size"
            else f"{printer.name(symbol.name)} = {symbol.text.split('=', 1)[1].strip()}"
        )
    declared = printer.name(symbol.name) + printer.indices(symbol.axes)
    kind: str
    bound: Any
    kind, bound = symbol.domain or ("", None)
    if kind == "index":
        return f"{declared} ∈ {printer.show(bound)}"
    if kind == "definite":
        return f"{declared} positive definite"
    if kind:
        tail = (
            symbol.text[symbol.text.find("]") + 1 :].strip() if symbol.axes else symbol.text[len(symbol.name) :].strip()
        )
        return f"{declared} {tail.replace('!=', '≠').replace('in ', '∈ ')}"
    return declared


def shown(item: Item, printer: Printer, style: Style, limit: int) -> Iterator[str]:
    """An item of a derivation as lines of at most `limit` columns where that can be."""
    if isinstance(item, Heading):
        yield style("bold", item.text)
    elif isinstance(item, Equation):
        first, *rest = printer.equation(item)
        label = f"{item.number:>5} "
        lines = wrap(first, limit - 6)
        # Continued members stand under the first equals sign.
        margin = " " * (6 + width(first[: first.index(" = ") + 1]))
        yield style("number", label) + lines[0]
        yield from (margin + "  " + line for line in lines[1:])
        yield from remark(printer.words(item.remarks[0]), margin, style, limit)
        for member, why in zip(rest, item.remarks[1:], strict=True):
            head, *tail = wrap(member, max(limit - len(margin), 30))
            yield margin + head
            yield from (margin + "  " + line for line in tail)
            yield from remark(printer.words(why), margin, style, limit)
    else:
        yield from (f"      {style('faint', line)}" for line in prose(item, max(limit - 6, 30), printer))


def remark(string: str, margin: str, style: Style, limit: int) -> Iterator[str]:
    for line in textwrap.wrap(string, max(limit - len(margin) - 4, 30)):
        yield f"{margin}    {style('faint', line)}"


def wrap(string: str, limit: int) -> list[str]:
    """Break an expression before a + or − of the lowest depth, as late as the limit allows."""
    if width(string) <= limit or limit < 20:
        return [string]
    depth, best = 0, (99, 0)
    for k, c in enumerate(string):
        depth += (c in "([{") - (c in ")]}")
        if k > limit - 2:
            break
        if string[k : k + 3] in (" + ", " − ", " = ") and k > limit // 3 and depth <= best[0]:
            best = depth, k
    if best[0] == 99:
        return [string]
    return [string[: best[1]], *wrap(string[best[1] + 1 :], limit)]


def code_line(line: str, style: Style) -> str:
    tag = _TAG.search(line)
    return line[: tag.start()] + style("number", line[tag.start() :]) if tag else line


def fold(line: str, limit: int) -> list[str]:
    """A line of code in pieces of at most `limit` columns, deeper than it began; a number stays with its sign."""
    if width(line) <= limit:
        return [line]
    tag = _TAG.search(line)
    body, end = (line[: tag.start()].rstrip(), "  " + line[tag.start() :]) if tag else (line, "")
    indent = " " * (len(line) - len(line.lstrip()))
    deeper = indent + ("# " if body.lstrip().startswith("#") else " " * 8)
    parts = textwrap.wrap(
        body.strip(), limit, initial_indent=indent, subsequent_indent=deeper, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    parts = [part[min(max(width(part) - limit, 0), len(part) - len(part.lstrip())) :] for part in parts]
    if len(parts[-1] + end) > limit:
        return [*parts, indent + " " * 8 + end.strip()]
    return [*parts[:-1], parts[-1] + end]


def side_by_side(row: Row, printer: Printer, style: Style, left: int, above: Sequence[str] = ()) -> Iterator[str]:
    """A row in two columns, the lines `above` on top of the left one."""
    items = [line for item in row.items for line in shown(item, printer, style, left - 2)]
    lines = [
        f"{style('faint', f'{number:4}' if k == 0 else '    ')}  {code_line(part, style)}"
        for number, line in row.lines
        for k, part in enumerate(fold(line, style.columns - left - 6))
    ]
    height = max(len(above) + len(items), len(lines))
    if not row.level:
        # Code leans on the line below it, which is level with its equation.
        lines = [""] * (height - len(lines)) + lines
        if all(isinstance(item, Heading) for item in row.items):
            items = [""] * (height - len(above) - len(items)) + items
    items = [*above, *items]
    for k in range(height):
        yield (pad(items[k] if k < len(items) else "", left) + (lines[k] if k < len(lines) else "")).rstrip()


# -- a run -------------------------------------------------------------------------------------------------------------


def run(thing: Any, style: Style, seed: int = 0, draws: int = 5) -> tuple[list[str], Report]:
    """Line by line, how far each equation, each adjoint and the code are from the truth on random inputs."""
    subject = subject_of(thing)
    report = verify(subject, seed, draws)
    lines = [
        f"{style('bold', name_of(thing))}: largest relative difference over {draws} sets of random inputs, float64",
        "",
    ]
    limit = min(max(style.columns - 46, 40), 80)
    for case in subject.derivation.cases:
        printer = Printer(case)
        title = f"Case: {case.name}" if case.name else ""
        if width(title) > limit + 7:
            lines += [style("bold", line) for line in textwrap.wrap(title, style.columns)]
            title = ""
        lines.append(style("bold", pad(title, limit + 7)) + "  members  complex step      code")
        for heading, equations in (("Forward", case.steps), ("Backward", case.adjoints)):
            if not equations:
                continue
            lines.append(style("bold", heading))
            for equation in equations:
                first = printer.equation(equation)[0]
                first += " = …" * (len(equation.members) > 1)
                text = first if width(first) <= limit else first[: limit - 2] + " …"
                code = [report.worst(kind, equation.label, case.name) for kind in ("code", "output", "gradient")]
                cells = (
                    cell(report.worst("chain", equation.label, case.name), 9, style),
                    cell(report.worst("adjoint", equation.label, case.name), 14, style),
                    cell(max((c for c in code if not math.isnan(c)), default=math.nan), 10, style),
                )
                lines.append(f"{style('number', f'{equation.number:>5}')}  {pad(text, limit)}{''.join(cells)}")
        lines.append("")
    for failure in report.failures:
        lines.append(style("bad", f"{report.path}:{failure.line} {failure.message}"))
    lines += textwrap.wrap(
        "members: the expressions of a chain against each other. complex step: an adjoint against Im L(v + ih)/h "
        "through the remaining forward lines. code: the equation against what the line of code with its number holds, "
        "what forward returns, or what backward returns.",
        min(style.columns, 120),
    )
    return lines, report


def cell(error: float, space: int, style: Style) -> str:
    if math.isnan(error):
        return f"{'·':>{space}}"
    string = "0" if error == 0 else f"{error:.0e}"
    return style("good" if error <= 1e-9 else "bad", f"{string:>{space}}")


# -- a trace -----------------------------------------------------------------------------------------------------------


def trace(thing: Any, style: Style, seed: int = 0) -> Iterator[str]:
    """Every array of a small example: the first index takes 3 values, the others 2."""
    subject = subject_of(thing)
    for case in subject.derivation.cases:
        if case.name:
            yield style("bold", f"Case: {case.name}")
        yield from trace_case(subject, case, style, seed)
        yield ""


def trace_case(subject: Subject, case: Case, style: Style, seed: int) -> Iterator[str]:
    declared = {s.name for s in case.symbols if s.kind == "size"}
    letters = [letter for letter in letters_of(case) if letter not in declared]
    sizes = {letter: 3 if k == 0 else 2 for k, letter in enumerate(letters)}
    trial = Trial(subject, case, (seed,), sizes=sizes)
    trial.check()
    printer = Printer(case)
    yield style("bold", "Given")
    for symbol in case.symbols:
        if symbol.name in trial.final.variables:
            yield from array(
                printer.name(symbol.name) + printer.indices(symbol.axes), trial.final.variables[symbol.name].data
            )
    for heading, equations in (("Forward", case.steps), ("Backward", case.adjoints)):
        if not equations:
            continue
        yield style("bold", heading)
        if heading == "Backward":
            yield from array(f"{printer.name(f'd{case.output}')} (arrives)", trial.dy)
        for equation in equations:
            yield f"{style('number', f'{equation.number:>5}')}  {printer.equation(equation)[0]}"
            if equation.name:
                yield from array(printer.name(equation.name), trial.final.variables[equation.name].data)


def array(name: str, values: Any) -> list[str]:
    with np.printoptions(precision=4, suppress=True):
        lines = str(np.asarray(values)).split("\n")
    lead = f"       {name} = "
    margin = " " * width(lead)
    return [lead + lines[0], *(margin + line for line in lines[1:])]
