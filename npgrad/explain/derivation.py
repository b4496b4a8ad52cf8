"""What a docstring says once it is read: symbols, equations, cases, prose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from npgrad.explain.syntax import Index, Node, Reduce, Ref, Source, children

__all__ = ["Block", "Case", "Derivation", "Equation", "Paragraph", "Prose", "Symbol", "free"]


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str
    at: tuple[int, int]


@dataclass(frozen=True)
class Block:
    """Lines shown as they stand: tables and examples, indented deeper than the text around them."""

    lines: tuple[str, ...]
    at: tuple[int, int]


Prose = Paragraph | Block


@dataclass(frozen=True)
class Symbol:
    """A line of `Symbols`: an array or number that is given, or how many values an index takes."""

    name: str
    at: tuple[int, int]
    meaning: str
    kind: str
    """"array" (drawn), "constant" (has `value`), "size" (of the index `name`)."""
    axes: tuple[Node, ...] = ()
    domain: tuple[str, Any] | None = None
    """("interval", (low, high)), ("away", None), ("index", node) or ("choice", values) or
    ("definite", None)."""
    value: Any = None
    """A literal, a `Node`, or a tuple, list or slice of these."""
    text: str = ""


@dataclass(frozen=True)
class Equation:
    """A numbered line: `(k) lhs = member = member …`, all of which must agree."""

    label: str
    lhs: Node
    members: tuple[Node, ...]
    at: tuple[int, int]
    rows: tuple[int, ...]
    """The line of each member."""
    defines: bool
    """The left-hand side is a new name, which gets the value of the first member."""
    remarks: tuple[str, ...] = ()
    """The comment after each member, why it follows from the one before; empty where there is none."""

    @property
    def coded(self) -> bool:
        """Whether a line of code carries this equation's number (letters mark steps of reasoning)."""
        return self.label.isdigit()

    @property
    def name(self) -> str:
        """The name on the left, or an empty string for an identity between expressions."""
        return self.lhs.name if isinstance(self.lhs, Ref) else ""

    @property
    def letters(self) -> tuple[str, ...]:
        """The indices the equation holds for, in the order of the left-hand side."""
        return tuple(dict.fromkeys(free(self.lhs)))

    @property
    def number(self) -> str:
        return f"({self.label})"


@dataclass(frozen=True)
class Case:
    """One derivation: what is given, how the result arises, how the gradient follows."""

    name: str
    symbols: tuple[Symbol, ...]
    forward: tuple[Equation | Paragraph | Block, ...]
    backward: tuple[Equation | Paragraph | Block, ...]
    notes: tuple[Prose, ...]
    prose: tuple[Prose, ...]
    output: str
    """The forward variable the loss sees: backward starts from d<output>."""

    @property
    def steps(self) -> tuple[Equation, ...]:
        return tuple(e for e in self.forward if isinstance(e, Equation))

    @property
    def adjoints(self) -> tuple[Equation, ...]:
        return tuple(e for e in self.backward if isinstance(e, Equation))

    @property
    def equations(self) -> tuple[Equation, ...]:
        return self.steps + self.adjoints

    def symbol(self, name: str) -> Symbol | None:
        return next((s for s in self.symbols if s.name == name and s.kind != "size"), None)


@dataclass(frozen=True)
class Derivation:
    """A docstring that can be executed."""

    name: str
    summary: str
    prose: tuple[Prose, ...]
    cases: tuple[Case, ...]
    notes: tuple[Prose, ...]
    source: Source

    @property
    def equations(self) -> tuple[Equation, ...]:
        return tuple(e for case in self.cases for e in case.equations)


def free(node: Node) -> Iterator[str]:
    """Index letters of a resolved expression that no reduction in it binds, in order of appearance."""
    match node:
        case Index():
            yield node.name
        case Reduce():
            yield from (letter for letter in free(node.body) if letter not in node.letters)
        case _:
            for child in children(node):
                yield from free(child)
