"""Expressions of the derivations: Python's own grammar, read into a small tree.

The tree is what is evaluated, printed, rendered and mutated; the text is read once. Positions are (line, column) in the
file the text came from, so that an error or a failing check can point at it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, NoReturn

__all__ = [
    "FUNCTIONS",
    "REDUCTIONS",
    "Binary",
    "Call",
    "Compare",
    "Delta",
    "DerivationError",
    "Index",
    "Neg",
    "Node",
    "Number",
    "Reduce",
    "Ref",
    "Size",
    "is_letter",
    "read_expression",
    "text",
    "walk",
]

FUNCTIONS = {
    **dict.fromkeys(
        ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "tanh", "sinh", "cosh", "sigmoid", "erf"), 1
    ),
    **dict.fromkeys(("arcsin", "arccos", "arctan"), 1),
    **dict.fromkeys(("abs", "sign", "floor"), 1),
    **dict.fromkeys(("maximum", "minimum"), 2),
    "where": 3,
}
"""Elementwise functions and how many arguments they take."""

REDUCTIONS = ("sum", "mean", "prod", "max", "min")
CONSTANTS = {"pi": 3.141592653589793, "inf": float("inf"), "nan": float("nan")}

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


class DerivationError(ValueError):
    """A derivation that cannot be read or evaluated; the message shows the line and points at the column."""

    def __init__(self, problem: str, at: tuple[int, int], source: Source | None = None) -> None:
        self.problem, self.line, self.column = problem, at[0], at[1] + 1
        where = f"line {self.line}"
        shown = ""
        if source is not None:
            where = f"{source.name}:{self.line}"
            line = source.line(self.line)
            if line is not None:
                shown = f"\n{line}\n{' ' * at[1]}^"
        self.pointed = f"column {self.column}: {problem}{shown}"
        super().__init__(f"{where}, {self.pointed}")


@dataclass(frozen=True)
class Source:
    """The text a derivation stands in: its lines, the number of the first of them, and a name for messages."""

    name: str
    lines: tuple[str, ...]
    first: int = 1

    def line(self, number: int) -> str | None:
        k = number - self.first
        return self.lines[k] if 0 <= k < len(self.lines) else None


@dataclass(frozen=True)
class Node:
    """A node of an expression; equality compares what it says, not where it stands."""

    at: tuple[int, int] = field(default=(0, 0), compare=False, kw_only=True)


@dataclass(frozen=True)
class Number(Node):
    value: complex | int | float


@dataclass(frozen=True)
class Index(Node):
    """The value of an index letter."""

    name: str


@dataclass(frozen=True)
class Ref(Node):
    """A variable, or one element of it: `eps`, `x[i,k]`, `E[idx[i],c]`."""

    name: str
    indices: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Neg(Node):
    operand: Node


@dataclass(frozen=True)
class Binary(Node):
    op: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Compare(Node):
    """One or more comparisons, all of which must hold: 1 or 0."""

    ops: tuple[str, ...]
    operands: tuple[Node, ...]


@dataclass(frozen=True)
class Call(Node):
    function: str
    args: tuple[Node, ...]


@dataclass(frozen=True)
class Reduce(Node):
    """`sum(i, body)`: `letters` are bound inside `body`."""

    kind: str
    letters: tuple[str, ...]
    body: Node


@dataclass(frozen=True)
class Delta(Node):
    """1 where both integers are equal, else 0."""

    left: Node
    right: Node


@dataclass(frozen=True)
class Size(Node):
    """How many values an index letter takes."""

    letter: str


def is_letter(name: str) -> bool:
    """Whether `name` can be an index: one lower-case letter, optionally with one digit."""
    return name[:1].islower() and name[:1].isascii() and (len(name) == 1 or (len(name) == 2 and name[1].isdigit()))


def children(node: Node) -> tuple[Node, ...]:
    """The parts of a node that are nodes."""
    found: list[Node] = []
    for f in fields(node):
        value = getattr(node, f.name)
        if isinstance(value, Node):
            found.append(value)
        elif isinstance(value, tuple) and f.name != "at":
            found.extend(v for v in value if isinstance(v, Node))
    return tuple(found)


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def read_expression(string: str, at: tuple[int, int], source: Source) -> Node:
    """The tree of `string`, which starts at line and column `at` of `source`.

    Names are left as `Ref`: which of them are index letters depends on the equation (see `notation.resolve`).
    """
    row, column = at

    def place(node: ast.AST) -> tuple[int, int]:
        line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        if line == 1:
            # Python counts columns in bytes, and from the parenthesis put in front.
            offset = len(wrapped.split("\n", 1)[0].encode()[:offset].decode(errors="ignore")) - 1 + column
        return row + line - 1, offset

    # In parentheses an expression may run over several lines; the one in front shifts the first line by one column.
    wrapped = f"({string.rstrip()}\n)"
    try:
        tree = ast.parse(wrapped, mode="eval").body
    except SyntaxError as error:
        line, offset = error.lineno or 1, (error.offset or 1) - 1
        if line == 1:
            offset = min(offset - 1, len(string.rstrip().split("\n", 1)[0])) + column
        if line > string.rstrip().count("\n") + 1:
            line, offset = 1, column
        problem = (error.msg or "not an expression").split(". ")[0]
        raise DerivationError(
            f"this is not an expression ({problem})", (row + line - 1, max(offset, 0)), source
        ) from None

    def fail(problem: str, node: ast.AST) -> NoReturn:
        raise DerivationError(problem, place(node), source)

    def letters(node: ast.AST) -> tuple[str, ...]:
        parts = node.elts if isinstance(node, ast.Tuple) else [node]
        for part in parts:
            if not (isinstance(part, ast.Name) and is_letter(part.id)):
                fail("an index letter (or several in parentheses) belongs here", part)
        return tuple(part.id for part in parts if isinstance(part, ast.Name))

    def read(node: ast.AST) -> Node:
        spot: dict[str, Any] = {"at": place(node)}
        match node:
            case ast.Constant(value=bool() | int() | float() as value):
                return Number(int(value) if isinstance(value, bool) else value, **spot)
            case ast.Name():
                return Number(CONSTANTS[node.id], **spot) if node.id in CONSTANTS else Ref(node.id, **spot)
            case ast.Subscript(value=ast.Name()):
                assert isinstance(node.value, ast.Name)
                inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                return Ref(node.value.id, tuple(read(part) for part in inside), **spot)
            case ast.UnaryOp(op=ast.USub()):
                return Neg(read(node.operand), **spot)
            case ast.UnaryOp(op=ast.UAdd()):
                return read(node.operand)
            case ast.BinOp() if type(node.op) in _OPERATORS:
                return Binary(_OPERATORS[type(node.op)], read(node.left), read(node.right), **spot)
            case ast.Compare() if all(type(op) in _OPERATORS for op in node.ops):
                operands = (node.left, *node.comparators)
                return Compare(tuple(_OPERATORS[type(op)] for op in node.ops), tuple(map(read, operands)), **spot)
            case ast.Call(func=ast.Name()):
                assert isinstance(node.func, ast.Name)
                return call(node, node.func.id, spot)
        fail("the notation has no such expression; see `npgrad.explain` for what it has", node)

    def call(node: ast.Call, name: str, spot: dict[str, Any]) -> Node:
        if node.keywords:
            fail(f"{name} takes no keyword arguments", node)
        count = len(node.args)
        if name in REDUCTIONS:
            if count != 2:
                fail(f"{name} takes an index and an expression: {name}(i, …)", node)
            return Reduce(name, letters(node.args[0]), read(node.args[1]), **spot)
        if name == "delta":
            if count != 2:
                fail("delta takes two indices: delta(i, j)", node)
            return Delta(read(node.args[0]), read(node.args[1]), **spot)
        if name == "size":
            if count != 1:
                fail("size takes one index letter: size(i)", node)
            return Size(letters(node.args[0])[0], **spot)
        if name not in FUNCTIONS:
            known = ", ".join((*REDUCTIONS, "delta", "size", *FUNCTIONS))
            fail(f"there is no function {name!r} in the notation (there are {known})", node)
        if count != FUNCTIONS[name]:
            fail(f"{name} takes {FUNCTIONS[name]} argument{'s' * (FUNCTIONS[name] > 1)}, here are {count}", node)
        return Call(name, tuple(map(read, node.args)), **spot)

    return read(tree)


_LEVEL = {"+": 2, "-": 2, "*": 3, "/": 3, "//": 3, "%": 3, "**": 5}


def level(node: Node) -> int:
    """How tightly the outermost operation of a node binds (7: needs no parentheses anywhere)."""
    match node:
        case Compare():
            return 1
        case Binary():
            return _LEVEL[node.op]
        case Neg():
            return 4
        case Number() if isinstance(node.value, int | float) and node.value < 0:
            return 4
    return 7


def text(node: Node) -> str:
    """The expression in its own notation."""

    def within(part: Node, least: int) -> str:
        return f"({text(part)})" if level(part) < least else text(part)

    match node:
        case Number():
            return repr(node.value)
        case Index():
            return node.name
        case Size():
            return f"size({node.letter})"
        case Ref():
            return f"{node.name}[{','.join(map(text, node.indices))}]" if node.indices else node.name
        case Neg():
            return "-" + within(node.operand, 3)
        case Binary():
            here = _LEVEL[node.op]
            gap = " " if here == 2 else ""
            left = within(node.left, here + (node.op == "**"))
            return f"{left}{gap}{node.op}{gap}{within(node.right, here + (node.op != '**'))}"
        case Compare():
            parts = [within(node.operands[0], 2)]
            for op, operand in zip(node.ops, node.operands[1:], strict=True):
                parts += [op, within(operand, 2)]
            return " ".join(parts)
        case Call():
            return f"{node.function}({', '.join(map(text, node.args))})"
        case Reduce():
            bound = node.letters[0] if len(node.letters) == 1 else f"({','.join(node.letters)})"
            return f"{node.kind}({bound}, {text(node.body)})"
        case Delta():
            return f"delta({text(node.left)},{text(node.right)})"
    raise TypeError(f"not an expression: {node!r}")


def rebuild(node: Node, parts: tuple[Node, ...]) -> Node:
    """`node` with its children (in the order of `children`) replaced."""
    queue = list(parts)
    changes: dict[str, Any] = {}
    for f in fields(node):
        value = getattr(node, f.name)
        if isinstance(value, Node):
            changes[f.name] = queue.pop(0)
        elif isinstance(value, tuple) and f.name != "at" and any(isinstance(v, Node) for v in value):
            changes[f.name] = tuple(queue.pop(0) for _ in value)
    return replace(node, **changes)
