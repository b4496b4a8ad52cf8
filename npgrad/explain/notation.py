"""From a docstring to a derivation: symbols, numbered equations, prose.

The notation is described in `npgrad.explain`. Everything that can be wrong without knowing any numbers is found here:
grammar, unknown names, indices that belong to nothing, numbers used twice.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from npgrad.explain.derivation import Block, Case, Derivation, Equation, Paragraph, Prose, Symbol, free
from npgrad.explain.syntax import (
    DerivationError,
    Index,
    Node,
    Reduce,
    Ref,
    Source,
    children,
    is_letter,
    read_expression,
    rebuild,
)

__all__ = ["parse"]

_HEADING = re.compile(r"(Symbols|Forward|Backward|Notes)\s*$|Case:\s*(.+?)\s*$")
_LABEL = re.compile(r"\((\d+|[a-z])\)\s+")
_SIZE = re.compile(r"size\(([a-z]\d?)\)\s*=(?!=)\s*(.+)$")

Row = tuple[int, str]


def parse(
    doc: str, name: str = "derivation", source: Source | None = None, rows: Sequence[Row] | None = None
) -> Derivation:
    """Read the derivation in the docstring `doc`.

    `source` and `rows` say where the lines stand in a file; without them lines are counted from the start of `doc`.
    Raises DerivationError, which shows the line and points at the column, for anything that cannot be understood.
    """
    if source is None:
        source = Source(name, tuple(doc.split("\n")))
    if rows is None:
        rows = list(enumerate(doc.split("\n"), source.first))
    return _Reader(name, source, rows).read()


def resolve(node: Node, names: Iterable[str], letters: Iterable[str] | None, source: Source) -> Node:
    """Tell names from index letters: a bare letter that is bound (on the left, or by a reduction) is an index.

    `letters` are those of the left-hand side; None takes every letter that is no known name as an index.
    """
    known = frozenset(names)

    def visit(node: Node, bound: frozenset[str]) -> Node:
        match node:
            case Ref(indices=()) if node.name in bound:
                return Index(node.name, at=node.at)
            case Ref():
                if node.name not in known:
                    if not node.indices and is_letter(node.name):
                        if letters is None:
                            return Index(node.name, at=node.at)
                        raise DerivationError(
                            f"the index {node.name!r} is neither on the left-hand side nor bound by a sum",
                            node.at,
                            source,
                        )
                    raise DerivationError(unknown(node.name, known), node.at, source)
                return replace(node, indices=tuple(visit(part, bound) for part in node.indices))
            case Reduce():
                return replace(node, body=visit(node.body, bound | set(node.letters)))
            case _:
                return rebuild(node, tuple(visit(part, bound) for part in children(node)))

    return visit(node, frozenset(letters or ()))


def unknown(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1, 0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{name!r} is neither declared in Symbols nor defined above{hint}"


class _Reader:
    def __init__(self, name: str, source: Source, rows: Sequence[Row]) -> None:
        self.name, self.source = name, source
        self.rows = [(number, line.rstrip()) for number, line in rows]

    def fail(self, problem: str, at: tuple[int, int]) -> DerivationError:
        return DerivationError(problem, at, self.source)

    # -- the page ------------------------------------------------------------------------------------------------------

    def read(self) -> Derivation:
        summary = next((line.strip() for _, line in self.rows[:1]), "")
        body = self.rows[1:] if summary else self.rows
        base = min((indent(line) for _, line in body if line), default=0)
        # Blocks of the page: (case name or None, heading, its rows); prose has the heading "".
        blocks: list[tuple[str | None, str, list[Row]]] = [(None, "", [])]
        current: str | None = None
        for number, line in body:
            found = _HEADING.match(line[base:]) if indent(line) == base else None
            if found and found[2]:
                current = found[2]
                blocks.append((current, "", []))
            elif found:
                blocks.append((current, found[1], []))
            elif line and indent(line) == base and blocks[-1][1]:
                blocks.append((current, "", [(number, line)]))
            else:
                blocks[-1][2].append((number, line))
        cases: dict[str, dict[str, list[Row]]] = {}
        common: dict[str, list[Row]] = {}
        for title, heading, rows in blocks:
            page = common if title is None else cases.setdefault(title, {})
            if heading in page and heading:
                raise self.fail(f"a second {heading!r} for the same case", (rows[0][0] - 1 if rows else 0, base))
            page.setdefault(heading, []).extend(rows)
        prose = self.prose(common.get("", []))
        if not cases:
            return Derivation(self.name, summary, prose, self.case("", common, {}, ()), (), self.source)
        noted = [page for page in cases.values() if "Notes" in page]
        if len(noted) == 1 and noted[0] is list(cases.values())[-1] and "Notes" not in common:
            common["Notes"] = noted[0].pop("Notes")
        if "Forward" in common:
            raise self.fail(
                "with several cases, every Forward stands under a 'Case: NAME' heading", (common["Forward"][0][0], base)
            )
        shared = self.symbols(common.get("Symbols", []))
        read = tuple(c for title, page in cases.items() for c in self.case(title, page, common, shared))
        return Derivation(self.name, summary, prose, read, self.prose(common.get("Notes", [])), self.source)

    def case(
        self, name: str, page: dict[str, list[Row]], common: dict[str, list[Row]], shared: tuple[Symbol, ...]
    ) -> tuple[Case, ...]:
        if "Forward" not in page:
            return ()
        own = self.symbols(page.get("Symbols", []), shared)
        replaced = {s.name for s in own}
        symbols = (*(s for s in shared if s.name not in replaced), *own)
        names = {s.name for s in symbols if s.kind != "size"}
        labels: set[str] = set()
        forward = self.section(page["Forward"], names, labels, adjoint=False)
        steps = [e for e in forward if isinstance(e, Equation) and e.defines]
        if not steps:
            raise self.fail("Forward defines nothing", (page["Forward"][0][0] if page["Forward"] else 0, 0))
        rows = page.get("Backward", [])
        output = self.output([e.name for e in steps], rows)
        backward = self.section(rows, names | {f"d{output}"}, labels, adjoint=True)
        return (
            Case(
                name,
                symbols,
                forward,
                backward,
                self.prose(page.get("Notes", [])),
                self.prose(page.get("", [])) if name else (),
                output,
            ),
        )

    def output(self, defined: list[str], rows: list[Row]) -> str:
        """The forward variable whose derivative Backward uses but does not derive; otherwise the last."""
        string = "\n".join(line for _, line in rows)
        given = set(re.findall(r"^\s*\((?:\d+|[a-z])\)\s+(\w+)", string, re.M))
        for name in reversed(defined):
            if f"d{name}" not in given and re.search(rf"\bd{name}\b", string):
                return name
        return defined[-1]

    def prose(self, rows: list[Row]) -> tuple[Prose, ...]:
        """Paragraphs, and blocks of deeper indented lines."""
        found: list[Prose] = []
        base = min((indent(line) for _, line in rows if line), default=0)
        running: list[Row] = []
        block: list[Row] = []

        def flush() -> None:
            if running:
                found.append(Paragraph(" ".join(line.strip() for _, line in running), (running[0][0], base)))
                running.clear()
            while block and not block[-1][1]:
                block.pop()
            if block:
                margin = min(indent(line) for _, line in block if line)
                found.append(Block(tuple(line[margin:] for _, line in block), (block[0][0], margin)))
                block.clear()

        for number, line in rows:
            if line and indent(line) > base:
                if running:
                    flush()
                block.append((number, line))
            elif not line and block:
                block.append((number, line))
            else:
                if block or not line:
                    flush()
                if line:
                    running.append((number, line))
        flush()
        return tuple(found)

    # -- symbols -------------------------------------------------------------------------------------------------------

    def symbols(self, rows: list[Row], shared: tuple[Symbol, ...] = ()) -> tuple[Symbol, ...]:
        base = min((indent(line) for _, line in rows if line), default=0)
        entries: list[list[Any]] = []
        for number, line in rows:
            if not line:
                continue
            if indent(line) > base and entries:
                entries[-1][2] = f"{entries[-1][2]} {line.strip()}".strip()
                continue
            declared, _, meaning = line.strip().partition("  ")
            entries.append([(number, indent(line)), declared, meaning.strip()])
        constants = {s.name for s in shared if s.kind == "constant"}
        constants |= {m[1] for e in entries if (m := re.match(r"(\w+)\s*=(?!=)", e[1]))}
        found: list[Symbol] = []
        for at, declared, meaning in entries:
            for symbol in self.declaration(at, declared, meaning, constants):
                if any(s.name == symbol.name and (s.kind == "size") == (symbol.kind == "size") for s in found):
                    raise self.fail(f"{symbol.name!r} is declared twice", at)
                found.append(symbol)
        return tuple(found)

    def declaration(self, at: tuple[int, int], declared: str, meaning: str, constants: set[str]) -> list[Symbol]:
        if size := _SIZE.match(declared):
            node = self.value(size[2], (at[0], at[1] + size.start(2)), constants)
            return [Symbol(size[1], at, meaning, "size", value=node, text=declared)]
        if assigned := re.match(r"(\w+)\s*=(?!=)\s*(.+)$", declared):
            node = self.value(assigned[2], (at[0], at[1] + assigned.start(2)), constants)
            return [Symbol(assigned[1], at, meaning, "constant", value=node, text=declared)]
        try:
            tree = ast.parse(declared, mode="eval").body
        except SyntaxError as error:
            column = at[1] + (error.offset or 1) - 1
            raise self.fail(
                "a symbol is declared as 'x[i,k]  meaning', 'x[i] > 0  meaning' or 'eps = 1e-3  meaning', "
                "with two spaces before the meaning",
                (at[0], column),
            ) from None
        return [
            self.array(part, at, declared, meaning, constants)
            for part in (tree.elts if isinstance(tree, ast.Tuple) else [tree])
        ]

    def array(self, tree: ast.expr, at: tuple[int, int], declared: str, meaning: str, constants: set[str]) -> Symbol:
        domain: tuple[str, Any] | None = None
        spot = at[0], at[1] + tree.col_offset
        if isinstance(tree, ast.Compare) and len(tree.ops) == 1:
            domain = self.domain(tree.ops[0], tree.comparators[0], spot, constants)
            tree = tree.left
        piece = ast.get_source_segment(declared, tree) or declared
        node = read_expression(piece, (at[0], at[1] + tree.col_offset), self.source)
        if not isinstance(node, Ref):
            raise self.fail("a name, with an index letter for each of its axes, belongs here", spot)
        axes = tuple(resolve(axis, constants, None, self.source) for axis in node.indices)
        return Symbol(node.name, spot, meaning, "array", axes, domain, text=declared)

    def domain(self, op: ast.cmpop, bound: ast.expr, at: tuple[int, int], constants: set[str]) -> tuple[str, Any]:
        try:
            value = ast.literal_eval(bound)
        except ValueError:
            value = None
        match op:
            case ast.Gt() | ast.GtE() if isinstance(value, int | float):
                return "interval", (value, float("inf"))
            case ast.Lt() | ast.LtE() if isinstance(value, int | float):
                return "interval", (float("-inf"), value)
            case ast.NotEq() if value == 0:
                return "away", None
            case ast.In() if isinstance(value, tuple) and len(value) == 2:
                return "interval", tuple(float(v) for v in value)
            case ast.In() if isinstance(value, set | list):
                return "choice", tuple(value)
            case ast.In() if isinstance(bound, ast.Name) and bound.id == "definite":
                return "definite", None
            case ast.In():
                node = read_expression(ast.unparse(bound), at, self.source)
                return "index", resolve(node, constants, None, self.source)
        raise self.fail("a domain is '> 0', '!= 0', 'in (low, high)', 'in {0, 1}' or 'in v' for an index v", at)

    def value(self, string: str, at: tuple[int, int], constants: set[str]) -> Any:
        """A literal; else a tuple, list or slice of values, or an expression in sizes and other constants."""
        try:
            return ast.literal_eval(string)
        except (ValueError, SyntaxError):
            pass
        try:
            tree = ast.parse(string, mode="eval").body
        except SyntaxError as error:
            raise self.fail(f"this is not a value ({error.msg})", (at[0], at[1] + (error.offset or 1) - 1)) from None

        def read(tree: ast.expr) -> Any:
            if isinstance(tree, ast.Tuple | ast.List):
                parts = [read(part) for part in tree.elts]
                return tuple(parts) if isinstance(tree, ast.Tuple) else parts
            if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "slice":
                return slice(*(read(part) for part in tree.args))
            piece = ast.get_source_segment(string, tree) or string
            try:
                return ast.literal_eval(piece)
            except ValueError:
                node = read_expression(piece, (at[0], at[1] + tree.col_offset), self.source)
                return resolve(node, constants, (), self.source)

        return read(tree)

    # -- equations -----------------------------------------------------------------------------------------------------

    def section(
        self, rows: list[Row], names: set[str], labels: set[str], adjoint: bool
    ) -> tuple[Equation | Paragraph | Block, ...]:
        """The equations and remarks of a section; `names` grows by what they define."""
        found: list[Equation | Paragraph | Block] = []
        for group in self.groups(rows):
            if label := _LABEL.match(group[0][1].lstrip()):
                if label[1] in labels:
                    raise self.fail(f"the number ({label[1]}) is used twice", (group[0][0], indent(group[0][1])))
                labels.add(label[1])
                equation = self.equation(group, names)
                names.add(equation.name) if equation.defines else None
                found.append(equation)
            else:
                found.extend(self.prose(group))
        return tuple(found)

    def groups(self, rows: list[Row]) -> list[list[Row]]:
        """Rows that belong together: an equation with its continuation lines, or a stretch of remarks."""
        found: list[list[Row]] = []
        depth, equation, open_end = 0, False, False
        for number, line in rows:
            bare = line.strip()
            if _LABEL.match(bare):
                found.append([(number, line)])
                depth, equation = 0, True
            elif equation and bare and (depth > 0 or bare[0] in "=+-*/#" or open_end):
                found[-1].append((number, line))
            elif not bare and equation:
                continue
            else:
                if equation or not found:
                    found.append([])
                equation = False
                found[-1].append((number, line))
            if equation:
                code = line.split("#", 1)[0]
                depth += sum(code.count(c) for c in "([") - sum(code.count(c) for c in ")]")
                open_end = code.rstrip()[-1:] in ("=", "+", "-", "*", "/")
        return [group for group in found if any(line for _, line in group)]

    def equation(self, group: list[Row], names: set[str]) -> Equation:
        number, first = group[0]
        at = number, indent(first)
        label = _LABEL.match(first.lstrip())
        assert label is not None
        start = at[1] + label.end()
        parts = list(self.members(group, start))
        if len(parts) < 2:
            raise self.fail("an equation needs an '=' with an expression on each side", (number, start))
        nodes = [read_expression(string, spot, self.source) for string, spot in parts]
        lhs = nodes[0]
        plain = isinstance(lhs, Ref) and all(
            isinstance(i, Ref) and not i.indices and is_letter(i.name) for i in lhs.indices
        )
        defines = False
        if isinstance(lhs, Ref) and plain and lhs.name not in names:
            letters = tuple(i.name for i in lhs.indices if isinstance(i, Ref))
            if len(set(letters)) < len(letters):
                raise self.fail("an index stands twice on the left-hand side", lhs.at)
            lhs = replace(lhs, indices=tuple(Index(i.name, at=i.at) for i in lhs.indices if isinstance(i, Ref)))
            defines = True
        else:
            if label[1].isdigit() and not isinstance(lhs, Ref):
                raise self.fail(
                    "a numbered equation defines a name: 'name[i,k] = …' (identities take a letter)", lhs.at
                )
            lhs = resolve(lhs, names, None, self.source)
            letters = tuple(dict.fromkeys(free(lhs)))
        members = tuple(resolve(node, names, letters, self.source) for node in nodes[1:])
        rows = tuple(spot[0] for _, spot in parts[1:])
        remarks = [""] * len(rows)
        for row, line in group:
            if "#" in line:
                # A comment belongs to the last member that begins on its line or above.
                k = max((k for k, start in enumerate(rows) if start <= row), default=0)
                remarks[k] = f"{remarks[k]} {line.split('#', 1)[1].strip()}".strip()
        return Equation(label[1], lhs, members, at, rows, defines, tuple(remarks))

    def members(self, group: list[Row], start: int) -> Iterator[tuple[str, tuple[int, int]]]:
        """The stretches between the '=' signs, with their positions."""
        depth = 0
        current: list[str] = [""]
        spot: tuple[int, int] | None = None
        for k, (number, line) in enumerate(group):
            content = line.split("#", 1)[0].rstrip()
            column = start if k == 0 else indent(line)
            if k and spot is not None:
                current.append(" " * column)
            for position in range(column, len(content)):
                c = content[position]
                before, after = content[position - 1 : position], content[position + 1 : position + 2]
                depth += (c in "([") - (c in ")]")
                if c == "=" and depth == 0 and before not in ("=", "<", ">", "!") and after != "=":
                    if spot is None:
                        raise self.fail("an expression is missing before this '='", (number, position))
                    yield "\n".join(current), spot
                    current, spot = [""], None
                    continue
                if spot is None:
                    if c == " ":
                        continue
                    spot = (number, position)
                current[-1] += c
        if spot is None:
            raise self.fail("an expression is missing after this '='", (group[-1][0], len(group[-1][1])))
        yield "\n".join(current), spot


def indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
