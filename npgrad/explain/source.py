"""The code beside a derivation: where it stands, which of its lines carry a number, what its variables hold.

A subject is a class (a Function) or a module with a derivation in its docstring. The numbers in its comments, `# (3)`,
tie code to equations; `watch` runs the code and records what the variable of each numbered equation holds when its line
is done.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np

from npgrad.explain.derivation import Derivation
from npgrad.explain.notation import parse
from npgrad.explain.syntax import DerivationError, Source

__all__ = ["Statement", "Subject", "subject_of", "watch"]

_TAG = re.compile(r"#\s*((?:\((?:\d+|[a-z])\)\s*)+)")
_ONE = re.compile(r"\((\d+|[a-z])\)")
_FORWARD = re.compile(r"\s+def forward\b")
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Statement:
    """A statement of the code that carries numbers."""

    file: str
    start: int
    end: int
    line: int
    """Where the comment is."""
    labels: tuple[str, ...]
    assigned: frozenset[str]
    """Names it assigns or changes: `mu`, `self.mu`."""


@dataclass(frozen=True)
class Piece:
    """A stretch of a file that belongs to a subject: the class without its docstring, or a function it calls."""

    file: str
    start: int
    end: int
    own: bool


@dataclass(frozen=True)
class Subject:
    """A derivation and the code it stands above."""

    name: str
    thing: Any
    file: str
    line: int
    derivation: Derivation
    pieces: tuple[Piece, ...]
    statements: tuple[Statement, ...]
    variables: frozenset[str]

    @property
    def path(self) -> str:
        """The file as a reader would name it, from the root of the checkout where there is one."""
        return short(self.file)

    def tagged(self, label: str) -> tuple[Statement, ...]:
        return tuple(s for s in self.statements if label in s.labels)

    def code(self) -> Iterator[tuple[int, str]]:
        """The lines of the subject's own code, with their numbers.

        What a class has above `forward` is left out unless an equation is computed there: the list of the arrays that
        it keeps, and the checks of its arguments, would part the mathematics from what is given.
        """
        lines = Path(self.file).read_text(encoding="utf-8").split("\n")
        for piece in self.pieces:
            if piece.own:
                numbered = [s.start for s in self.statements if s.file == self.file and s.start >= piece.start]
                start = next((n for n in range(piece.start, piece.end) if _FORWARD.match(lines[n - 1])), piece.start)
                if not isinstance(self.thing, type) or start > min(numbered, default=start):
                    start = piece.start
                for number in range(start, piece.end + 1):
                    yield number, lines[number - 1]


def short(file: str) -> str:
    path = Path(file).resolve()
    return path.relative_to(_ROOT).as_posix() if path.is_relative_to(_ROOT) else path.as_posix()


@dataclass(frozen=True)
class _File:
    lines: tuple[str, ...]
    tree: ast.Module
    tags: dict[int, tuple[str, ...]]


@lru_cache(maxsize=256)
def _load(file: str, stamp: float) -> _File:
    string = Path(file).read_text(encoding="utf-8")
    tags: dict[int, tuple[str, ...]] = {}
    for token in tokenize.generate_tokens(io.StringIO(string).readline):
        if token.type == tokenize.COMMENT and (found := _TAG.match(token.string)):
            tags[token.start[0]] = tuple(_ONE.findall(found[1]))
    return _File(tuple(string.split("\n")), ast.parse(string), tags)


def load(file: str) -> _File:
    return _load(file, Path(file).stat().st_mtime)


def subject_of(thing: Any) -> Subject:
    """The derivation and code of a Function class or of a module.

    Raises DerivationError if the docstring is missing or cannot be understood.
    """
    if isinstance(thing, ModuleType):
        file = thing.__file__
        name = thing.__name__.rpartition(".")[2]
    else:
        name = thing.__name__
        try:
            file = inspect.getsourcefile(thing)
        except (OSError, TypeError):
            file = None
    if file is None or not Path(file).is_file():
        raise DerivationError(f"{name} was not defined in a file, so there is no derivation to read", (0, 0))
    page = load(file)
    node: ast.Module | ast.ClassDef = page.tree
    if not isinstance(thing, ModuleType):
        found = [n for n in ast.walk(page.tree) if isinstance(n, ast.ClassDef) and n.name == name]
        if not found:
            raise DerivationError(f"class {name} is not to be found in {file}", (0, 0))
        node = found[-1]
    source = Source(short(file), page.lines)
    first = node.body[0] if node.body else None
    if not (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    ):
        raise DerivationError(f"{name} has no docstring, and so no derivation", (getattr(node, "lineno", 1), 0), source)
    derivation = parse(first.value.value, name, source, docstring_rows(page.lines, first))
    end = len(page.lines) if isinstance(node, ast.Module) else node.end_lineno or 0
    while end and not page.lines[end - 1].strip():
        end -= 1
    start = (first.end_lineno or 0) + 1
    if isinstance(node, ast.Module):
        # Of a topic the imports are not shown.
        start = next((n.lineno for n in node.body if isinstance(n, ast.FunctionDef | ast.ClassDef)), start)
    own = Piece(file, start, end, True)
    pieces = [own, *borrowed(thing)]
    return Subject(
        name,
        thing,
        file,
        getattr(node, "lineno", 1),
        derivation,
        tuple(pieces),
        tuple(s for piece in pieces for s in statements(piece)),
        frozenset(name for piece in pieces for name in variables(piece)),
    )


def docstring_rows(lines: tuple[str, ...], node: ast.Expr) -> list[tuple[int, str]]:
    """The docstring's lines as they stand in the file, quotes replaced by spaces so that columns stay true."""
    start, end = node.lineno, node.end_lineno or node.lineno
    rows = [(number, lines[number - 1]) for number in range(start, end + 1)]
    opening = re.match(r"\s*[rRuU]?(\"\"\"|'''|\"|')", rows[0][1])
    quote = opening[1] if opening else '"""'
    width = opening.end() if opening else 0
    rows[0] = start, " " * width + rows[0][1][width:]
    number, last = rows[-1]
    rows[-1] = number, last[: node.end_col_offset].rstrip().removesuffix(quote).rstrip()
    return rows


def borrowed(thing: Any) -> list[Piece]:
    """Base classes and module functions the code relies on: equations may be implemented there too."""
    if isinstance(thing, ModuleType):
        return []
    home = ("npgrad.functions", thing.__module__)
    found: list[Piece] = []
    queue: list[Any] = [base for base in thing.__mro__[1:] if base.__module__.startswith(home)]
    queue += list(called(thing))
    seen: set[Any] = set()
    while queue:
        item = queue.pop(0)
        if item in seen or not getattr(item, "__module__", "").startswith(home):
            continue
        seen.add(item)
        try:
            lines, start = inspect.getsourcelines(item)
        except (OSError, TypeError):
            continue
        if isinstance(item, type):
            node = ast.parse(inspect.cleandoc("\n") + _dedent(lines)).body[0]
            assert isinstance(node, ast.ClassDef)
            if ast.get_docstring(node) is not None:
                start += node.body[0].end_lineno or 0
                lines = lines[node.body[0].end_lineno or 0 :]
        found.append(Piece(inspect.getsourcefile(item) or "", start, start + len(lines) - 1, False))
        queue += list(called(item))
    return found


def _dedent(lines: list[str]) -> str:
    import textwrap

    return textwrap.dedent("".join(lines))


def called(thing: Any) -> Iterator[Any]:
    """Functions of the thing's own module that its code names."""
    codes = [thing.__code__] if isinstance(thing, FunctionType) else []
    if isinstance(thing, type):
        for member in vars(thing).values():
            member = getattr(member, "__func__", member)
            if isinstance(member, FunctionType):
                codes.append(member.__code__)
    space = vars(sys.modules[thing.__module__])
    for code in codes:
        for name in code.co_names:
            item = space.get(name)
            if isinstance(item, FunctionType) and name not in space.get("__all__", ()):
                yield item


def statements(piece: Piece) -> Iterator[Statement]:
    """The numbered statements of a piece."""
    page = load(piece.file)
    for line, labels in page.tags.items():
        if piece.start <= line <= piece.end:
            node = innermost(page.tree, line)
            start, end = (node.lineno, node.end_lineno or line) if node is not None else (line, line)
            yield Statement(piece.file, start, end, line, labels, frozenset(targets(node)) if node else frozenset())


def innermost(tree: ast.AST, line: int) -> ast.stmt | None:
    """The simple statement that covers a line; None for the header of a compound one."""
    best: ast.stmt | None = None
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0) and not hasattr(node, "body"):
            best = node
    return best


def targets(node: ast.stmt) -> Iterator[str]:
    """What a statement assigns: names and attributes, also through `out=`."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name | ast.Attribute) and isinstance(part.ctx, ast.Store):
            yield ast.unparse(part)
        elif (isinstance(part, ast.keyword) and part.arg == "out") or (
            isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Store)
        ):
            yield ast.unparse(part.value)


def variables(piece: Piece) -> Iterator[str]:
    """Names of parameters, local variables and attributes in a piece."""
    page = load(piece.file)
    for node in ast.walk(page.tree):
        line = getattr(node, "lineno", 0)
        if not piece.start <= line <= piece.end:
            continue
        match node:
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.Attribute():
                yield node.attr


# -- watching ----------------------------------------------------------------------------------------------------------


def watch(subject: Subject, names: dict[str, str], run: Callable[[], Any]) -> tuple[Any, dict[str, list[Any]]]:
    """Call `run`; for each label in `names` (label -> variable) copies of that variable when its code line was done.

    A line that runs several times leaves a copy each time, and so does each of several lines with the same number.
    """
    seen: dict[str, list[Any]] = {}
    files = {s.file for s in subject.statements}
    spans = [(p.file, p.start, p.end) for p in subject.pieces]
    open_at: dict[FrameType, Statement | None] = {}

    def at(frame: FrameType, line: int) -> Statement | None:
        file = frame.f_code.co_filename
        return next((s for s in subject.statements if s.file == file and s.start <= line <= s.end), None)

    def record(frame: FrameType, statement: Statement) -> None:
        for label in statement.labels:
            name = names.get(label)
            if name is None:
                continue
            owner = frame.f_locals.get("self")
            own = vars(owner) if hasattr(owner, "__dict__") else {}
            if name in statement.assigned and name in frame.f_locals:
                value = frame.f_locals[name]
            elif f"self.{name}" in statement.assigned or name not in frame.f_locals:
                value = own.get(name)
            else:
                value = frame.f_locals[name]
            if isinstance(value, np.ndarray | np.generic | int | float | complex):
                seen.setdefault(label, []).append(np.array(value))

    def local(frame: FrameType, event: str, argument: Any) -> Any:
        if event in ("line", "return"):
            before = open_at.get(frame)
            now = at(frame, frame.f_lineno) if event == "line" else None
            if before is not None and now is not before:
                record(frame, before)
            if event == "line":
                open_at[frame] = now
            else:
                open_at.pop(frame, None)
        return local

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        file, line = frame.f_code.co_filename, frame.f_code.co_firstlineno
        if file in files and any(f == file and start <= line <= end for f, start, end in spans):
            return local
        return None

    previous = sys.gettrace()
    sys.settrace(enter)
    try:
        result = run()
    finally:
        sys.settrace(previous)
    return result, seen
