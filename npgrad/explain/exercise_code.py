"""Equations as lines of NumPy: what an exercise gives of the forward pass, and one solution of its backward pass.

Where axes line up, an equation becomes an expression on whole arrays (`x - mu`, `dy @ b.T`, `(dy*xc).sum(0)`); where it
names computed places (a convolution, padding), it becomes loops over the indices, which say the same sentence letter by
letter. Every line is run on random inputs when it is written and has to give what the equation gives.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad.explain.derivation import Case, Equation
from npgrad.explain.draw import letters_of
from npgrad.explain.evaluate import Scope
from npgrad.explain.syntax import (
    Binary,
    Call,
    Compare,
    Delta,
    Index,
    Neg,
    Node,
    Number,
    Reduce,
    Ref,
    Size,
    walk,
)
from npgrad.explain.trial import difference

__all__ = ["Line", "Untranslatable", "lines_for", "written"]

_PRECEDENCE = {"+": 2, "-": 2, "*": 3, "/": 3, "//": 3, "%": 3, "**": 5}
_CALLS = {
    **{name: f"np.{name}" for name in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "tanh")},
    **{name: f"np.{name}" for name in ("sinh", "cosh", "abs", "sign", "floor", "maximum", "minimum", "where")},
    **{name: f"np.{name}" for name in ("arcsin", "arccos", "arctan")},
    "sigmoid": "sigmoid",
    "erf": "erf",
}
HELPERS = {
    "sigmoid": "def sigmoid(x):\n    return 0.5 * (1 + np.tanh(0.5 * x))",
    "erf": "erf = np.vectorize(math.erf)",
    "at": (
        "def at(a, *place):\n"
        '    """The entry of `a` at a place; outside of the array it is 0."""\n'
        "    return a[place] if all(0 <= k < n for k, n in zip(place, a.shape)) else 0.0"
    ),
}
"""Functions that a line may need; a file that uses one defines it."""


class Untranslatable(ValueError):
    """An expression that has no form on whole arrays, or an index of unknown size."""


@dataclass(frozen=True)
class Line:
    """The code of one equation: a line, or several."""

    equation: Equation
    code: tuple[str, ...]
    looped: bool = False


@dataclass(frozen=True)
class Term:
    """A piece of code whose value has one axis for each of `axes`."""

    code: str
    axes: tuple[str, ...]
    level: int = 7

    def within(self, least: int) -> str:
        return f"({self.code})" if self.level < least else self.code


def literal(value: Any) -> str:
    if value == math.pi:
        return "np.pi"
    if value == math.inf:
        return "np.inf"
    return repr(value)


def lengths(equation: Equation, case: Case, axes: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """For each index letter of an equation the code that says how many values it takes.

    `axes` are the letters of the arrays that exist so far.
    """
    found: dict[str, str] = {}
    if equation.name.startswith("d") and equation.name[1:] in axes:
        found = {letter: f"{equation.name[1:]}.shape[{k}]" for k, letter in enumerate(equation.letters)}
    declared = {s.name for s in case.symbols if s.kind == "size"}
    partners: list[tuple[str, str]] = []
    for member in (equation.lhs, *equation.members):
        for node in walk(member):
            if isinstance(node, Ref) and node.name in axes:
                for k, index in enumerate(node.indices):
                    if isinstance(index, Index) and index.name not in declared:
                        found.setdefault(index.name, f"{node.name}.shape[{k}]")
            elif isinstance(node, Delta) and isinstance(node.left, Index) and isinstance(node.right, Index):
                partners += [(node.left.name, node.right.name), (node.right.name, node.left.name)]
    for name, letters in axes.items():
        for k, letter in enumerate(letters):
            if letter and letter not in declared:
                found.setdefault(letter, f"{name}.shape[{k}]")
    for letter in declared:
        found.setdefault(letter, f"size_{letter}")
    for left, right in partners:
        if right in found:
            found.setdefault(left, found[right])
    # What no array says, an option does; the exercise gets it as an argument.
    for letter in letters_of(case):
        found.setdefault(letter, f"size_{letter}")
    return found


class Arrays:
    """Translates the expressions of one equation to operations on whole arrays."""

    def __init__(self, lengths: Mapping[str, str]) -> None:
        self.lengths = lengths

    def length(self, letter: str) -> str:
        if letter not in self.lengths:
            raise Untranslatable(f"nothing says how many values {letter} takes")
        return self.lengths[letter]

    def term(self, node: Node, order: tuple[str, ...]) -> Term:
        """The code of `node`; its axes come in the order of `order`."""
        match node:
            case Number():
                value = node.value
                return Term(literal(value), (), 7 if not isinstance(value, complex) and value >= 0 else 4)
            case Index():
                return Term(f"np.arange({self.length(node.name)})", (node.name,))
            case Size():
                return Term(self.length(node.letter), ())
            case Ref():
                return self.element(node, order)
            case Neg():
                inner = self.term(node.operand, order)
                return Term(f"-{inner.within(3)}", inner.axes, 4 if inner.level > 3 else 3)
            case Binary():
                return self.binary(node, order)
            case Compare() if len(node.ops) == 1:
                left, right = self.aligned([self.term(part, order) for part in node.operands], order)
                return Term(f"({left.within(2)} {node.ops[0]} {right.within(2)})", joined([left, right], order))
            case Delta():
                left, right = self.aligned([self.term(part, order) for part in (node.left, node.right)], order)
                return Term(f"1.0*({left.within(2)} == {right.within(2)})", joined([left, right], order), 3)
            case Call():
                parts = self.aligned([self.term(part, order) for part in node.args], order)
                inside = ", ".join(
                    p.code.removeprefix("(").removesuffix(")") if whole(p.code) else p.code for p in parts
                )
                return Term(f"{_CALLS[node.function]}({inside})", joined(parts, order))
            case Reduce():
                return self.reduce(node, order)
        raise Untranslatable("no form on whole arrays")

    def element(self, node: Ref, order: tuple[str, ...]) -> Term:
        names = tuple(index.name for index in node.indices if isinstance(index, Index))
        if len(names) == len(node.indices):
            if len(set(names)) < len(names):
                raise Untranslatable("a diagonal")
            return turned(Term(node.name, names), order)
        parts: list[str] = []
        axes: tuple[str, ...] = ()
        gathered = False
        for index in node.indices:
            if isinstance(index, Index) and not (gathered and axes and index.name in axes):
                parts.append(":")
                axes += (index.name,)
            elif isinstance(index, Number):
                parts.append(literal(index.value))
            elif isinstance(index, Ref) and all(isinstance(i, Index) for i in index.indices) and not gathered:
                inner = tuple(i.name for i in index.indices if isinstance(i, Index))
                if set(inner) & set(axes):
                    if inner != axes or len(parts) != len(axes):
                        raise Untranslatable("an element of each row at a time")
                    # x[i, t[i]]: both places are named, row after row.
                    parts = [f"np.arange({self.length(letter)})" for letter in axes]
                else:
                    axes += inner
                parts.append(index.name)
                gathered = True
            else:
                raise Untranslatable("computed places")
        while parts and parts[-1] == ":":
            parts.pop()
        return turned(Term(f"{node.name}[{', '.join(parts)}]", axes), order)

    def binary(self, node: Binary, order: tuple[str, ...]) -> Term:
        if node.op == "*" and (product := self.product(factors(node), (), order)) is not None:
            return product
        terms = [self.term(part, order) for part in (node.left, node.right)]
        if node.op in "+-":
            # Of truth values, NumPy's + is "or".
            both = zip((node.left, node.right), terms, strict=True)
            terms = [Term(f"1.0*{t.code}", t.axes, 3) if isinstance(part, Compare) else t for part, t in both]
        left, right = self.aligned(terms, order)
        here = _PRECEDENCE[node.op]
        gap = " " if here in (2, 5) else ""
        if node.op == "**":
            code = f"{left.within(6)}{gap}**{gap}{right.within(5)}"
        else:
            code = f"{left.within(here)} {node.op} {right.within(here + 1)}"
        return Term(code, joined([left, right], order), here)

    def aligned(self, terms: Sequence[Term], order: tuple[str, ...]) -> list[Term]:
        axes = joined(terms, order)
        return [spread(term, axes) for term in terms]

    def product(self, parts: list[Node], letters: tuple[str, ...], order: tuple[str, ...]) -> Term | None:
        """A product of arrays summed over `letters`, as a matrix product or an einsum; None if it needs neither."""
        if not letters or len(parts) != 2 or not all(isinstance(part, Ref) for part in parts):
            return None
        terms = []
        for part in parts:
            assert isinstance(part, Ref)
            names = tuple(index.name for index in part.indices if isinstance(index, Index))
            if len(names) != len(part.indices) or len(set(names)) < len(names):
                return None
            terms.append(Term(part.name, names))
        a, b = terms
        if not all(letter in a.axes and letter in b.axes for letter in letters):
            return None
        rest = tuple(x for x in order if x in (*a.axes, *b.axes) and x not in letters)
        if len(letters) == 1 and len(a.axes) == len(b.axes) == 2 and len(rest) == 2 and rest[0] != rest[1]:
            (letter,) = letters
            first, second = (a, b) if rest[0] in a.axes else (b, a)
            if rest[0] in first.axes and rest[1] in second.axes and rest[0] not in second.axes:
                left = first.code if first.axes == (rest[0], letter) else f"{first.code}.T"
                right = second.code if second.axes == (letter, rest[1]) else f"{second.code}.T"
                return Term(f"{left} @ {right}", rest, 3)
        if set(a.axes) <= set(b.axes) or set(b.axes) <= set(a.axes):
            return None
        script = f"{''.join(a.axes)},{''.join(b.axes)}->{''.join(rest)}"
        return Term(f'np.einsum("{script}", {a.code}, {b.code})', rest)

    def inside(self, node: Reduce, order: tuple[str, ...]) -> tuple[str, ...]:
        """The order of the axes of what is reduced: where it fits that of an array in it, so that none is turned."""
        names = [
            tuple(index.name for index in part.indices if isinstance(index, Index))
            for part in walk(node.body)
            if isinstance(part, Ref)
        ]
        longest = max(names, key=len, default=())
        held = {letter for letters in names for letter in letters}
        if held == set(longest) and tuple(x for x in longest if x not in node.letters) == tuple(
            x for x in order if x in longest
        ):
            used = tuple(x for x in order if x not in longest)
            return (*used, *longest, *(x for x in node.letters if x not in longest))
        return (*order, *node.letters)

    def reduce(self, node: Reduce, order: tuple[str, ...]) -> Term:
        if set(node.letters) & set(order):
            # max(c, z[i,c]) inside an equation of c: the letter in here is another one.
            order = tuple(x for x in order if x not in node.letters)
        if node.kind == "sum" and (product := self.product(factors(node.body), node.letters, order)) is not None:
            return product
        inner = self.term(node.body, self.inside(node, order))
        times = [letter for letter in node.letters if letter not in inner.axes]
        letters = [letter for letter in node.letters if letter in inner.axes]
        axes = tuple(x for x in inner.axes if x not in node.letters)
        code, level = inner.code, inner.level
        if letters:
            places = [inner.axes.index(letter) for letter in letters]
            along = "" if not axes else str(places[0]) if len(places) == 1 else str(tuple(places))
            code, level = f"{inner.within(7)}.{node.kind}({along})", 7
        if times:
            if node.kind == "sum":
                code = " * ".join([*(self.length(letter) for letter in times), code if level >= 3 else f"({code})"])
                level = 3
            elif node.kind == "prod":
                raise Untranslatable("a power in disguise")
        return Term(code, axes, level)


def whole(code: str) -> bool:
    """Whether a pair of parentheses encloses the whole of `code`."""
    if not (code.startswith("(") and code.endswith(")")):
        return False
    depth = 0
    for k, c in enumerate(code):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return k == len(code) - 1
    return False


def factors(node: Node) -> list[Node]:
    if isinstance(node, Binary) and node.op == "*":
        return [*factors(node.left), *factors(node.right)]
    return [node]


def joined(terms: Sequence[Term], order: tuple[str, ...]) -> tuple[str, ...]:
    present = {axis for term in terms for axis in term.axes}
    if not present <= set(order):
        raise Untranslatable("an index that is not in scope")
    return tuple(axis for axis in order if axis in present)


def turned(term: Term, order: tuple[str, ...]) -> Term:
    """The term with its axes in the order of `order`."""
    if not set(term.axes) <= set(order):
        raise Untranslatable("an index that is not in scope")
    axes = tuple(axis for axis in order if axis in term.axes)
    if axes == term.axes:
        return term
    if len(axes) == 2:
        return Term(f"{term.code}.T", axes)
    return Term(f"{term.code}.transpose({', '.join(str(term.axes.index(axis)) for axis in axes)})", axes)


def spread(term: Term, axes: tuple[str, ...]) -> Term:
    """The term with axes of length 1 where broadcasting would not line it up with `axes` by itself."""
    if not term.axes or term.axes == axes[len(axes) - len(term.axes) :]:
        return term
    first = axes.index(term.axes[0])
    index = ", ".join(":" if axis in term.axes else "None" for axis in axes[first:])
    return Term(f"{term.within(7)}[{index}]", term.axes)


def vectorised(equation: Equation, member: Node, sizes: Mapping[str, str], axes: Mapping[str, tuple[str, ...]]) -> str:
    """One line that assigns `member` to the left-hand side."""
    lhs = equation.lhs
    if not isinstance(lhs, Ref) or not all(isinstance(index, Index) for index in lhs.indices):
        raise Untranslatable("a left-hand side at computed places")
    term = Arrays(sizes).term(member, equation.letters)
    code = term.code.removeprefix("(").removesuffix(")") if whole(term.code) else term.code
    if term.axes != equation.letters:
        like = equation.name[1:]
        if equation.name.startswith("d") and like in axes:
            shape = f"{like}.shape"
        else:
            shape = f"({', '.join(sizes[letter] for letter in equation.letters)},)"
        code = f"np.broadcast_to({spread(term, equation.letters).code}, {shape})"
    return f"{equation.name} = {code}"


def scattered(equation: Equation, member: Node) -> tuple[str, ...]:
    """`dE[v,c] = sum(i, delta(v, t[i])*dy[i,c])` as additions at the places t, repeated ones included."""
    if not (isinstance(member, Reduce) and member.kind == "sum" and equation.name.startswith("d")):
        raise Untranslatable("nothing to scatter")
    parts = factors(member.body)
    first = equation.letters[0] if equation.letters else ""
    match parts:
        case [Delta(left=Index(name=letter), right=Ref() as place), Ref() as values] if letter == first:
            pass
        case _:
            raise Untranslatable("nothing to scatter")
    wanted = (*member.letters, *equation.letters[1:])
    if tuple(i.name for i in values.indices if isinstance(i, Index)) != wanted or place.indices != tuple(
        Index(letter) for letter in member.letters
    ):
        raise Untranslatable("axes in another order")
    return (
        f"{equation.name} = np.zeros({equation.name[1:]}.shape)",
        f"np.add.at({equation.name}, {place.name}, {values.name})",
    )


def looped(
    equation: Equation, member: Node, sizes: Mapping[str, str], axes: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """Loops over the indices of the left-hand side; sums become generators."""
    lhs = equation.lhs
    if not isinstance(lhs, Ref) or not all(isinstance(index, Index) for index in lhs.indices):
        raise Untranslatable("a left-hand side at computed places")

    def length(letter: str) -> str:
        if letter not in sizes:
            raise Untranslatable(f"nothing says how many values {letter} takes")
        return sizes[letter]

    def one(node: Node, least: int = 0) -> str:
        code, level = scalar(node)
        return f"({code})" if level < least else code

    def scalar(node: Node) -> tuple[str, int]:
        match node:
            case Number():
                return literal(node.value), 7 if not isinstance(node.value, complex) and node.value >= 0 else 4
            case Index():
                return node.name, 7
            case Size():
                return length(node.letter), 7
            case Ref(indices=()):
                return node.name, 7
            case Ref():
                inside = ", ".join(one(index) for index in node.indices)
                plain = all(isinstance(index, Index | Number | Ref) for index in node.indices)
                return (f"{node.name}[{inside}]" if plain else f"at({node.name}, {inside})"), 7
            case Neg():
                return f"-{one(node.operand, 3)}", 4
            case Binary():
                here = _PRECEDENCE[node.op]
                gap = " " if here in (2, 3) else ""
                left, right = one(node.left, here + (node.op == "**")), one(node.right, here + (node.op != "**"))
                if node.op in "+-":
                    left = f"1.0*{left}" if isinstance(node.left, Compare) else left
                    right = f"1.0*{right}" if isinstance(node.right, Compare) else right
                return f"{left}{gap}{node.op}{gap}{right}", here
            case Compare():
                text = one(node.operands[0], 2)
                for op, operand in zip(node.ops, node.operands[1:], strict=True):
                    text += f" {op} {one(operand, 2)}"
                return f"({text})", 7
            case Delta():
                return f"({one(node.left, 2)} == {one(node.right, 2)})", 7
            case Call(function="where"):
                condition, a, b = (one(part) for part in node.args)
                return f"({a} if {condition} else {b})", 7
            case Call():
                return f"{_CALLS[node.function]}({', '.join(one(part) for part in node.args)})", 7
            case Reduce():
                loops = " ".join(f"for {letter} in range({length(letter)})" for letter in node.letters)
                kind = {"prod": "math.prod", "mean": "np.mean"}.get(node.kind, node.kind)
                body = f"{one(node.body)} {loops}"
                return (f"np.mean([{body}])" if node.kind == "mean" else f"{kind}({body})"), 7
        raise Untranslatable("no such expression")

    like = equation.name[1:]
    shape = f"{like}.shape" if equation.name.startswith("d") and like in axes else ""
    if not shape:
        shape = f"({', '.join(length(letter) for letter in equation.letters)},)"
    found = [f"{equation.name} = np.zeros({shape})"]
    indent = ""
    for k, letter in enumerate(equation.letters):
        own = f"{equation.name}.shape[{k}]"
        found.append(f"{indent}for {letter} in range({own}):")
        indent += "    "
    found.append(f"{indent}{equation.name}[{', '.join(equation.letters)}] = {one(member)}")
    return tuple(found)


def candidates(equation: Equation, case: Case, axes: Mapping[str, tuple[str, ...]]) -> Iterator[Line]:
    """Ways to write an equation, the best first; whether one is right, running it tells."""
    sizes = lengths(equation, case, axes)
    for member in equation.members:
        with contextlib.suppress(Untranslatable):
            yield Line(equation, scattered(equation, member))
        with contextlib.suppress(Untranslatable):
            yield Line(equation, (vectorised(equation, member, sizes, axes),))
    for member in equation.members:
        with contextlib.suppress(Untranslatable):
            yield Line(equation, looped(equation, member, sizes, axes), True)


def written(line: Line, scopes: Sequence[Scope], names: Sequence[str]) -> bool:
    """Whether the code of a line gives what its equation gives, in each of several sets of random inputs."""
    for scope in scopes:
        space: dict[str, Any] = {"np": np, "math": math}
        for helper in HELPERS.values():
            exec(helper, space)
        space |= {name: scope.variables[name].data.copy() for name in names if name in scope.variables}
        space |= {name: scope.variables[name].data.item() for name in names
                  if name in scope.variables and not scope.variables[name].shape}  # fmt: skip
        space |= {f"size_{letter}": size for letter, size in scope.sizes.items()}
        try:
            with np.errstate(all="ignore"):
                exec("\n".join(line.code), space)
            value = np.asarray(space[line.equation.name])
            if difference(value, scope.variables[line.equation.name].data) > 1e-8:
                return False
        except Exception:
            return False
    return True


def lines_for(
    equation: Equation, case: Case, axes: Mapping[str, tuple[str, ...]], scopes: Sequence[Scope], names: Sequence[str]
) -> Line | None:
    """The best code for an equation that was seen to be right; None if there is none."""
    return next((line for line in candidates(equation, case, axes) if written(line, scopes, names)), None)
