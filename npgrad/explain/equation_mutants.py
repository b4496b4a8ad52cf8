"""Wrong derivations, made from right ones: every way to spoil one place of one equation.

A check that cannot fail proves nothing. Here each member of each equation is changed in one place of its syntax tree: a
sign flipped, a term or a factor dropped, an index swapped, a number changed, a function or reduction replaced. `verify`
has to notice each. A change that leaves the value of the member the same on every set of random inputs (the sign inside
a square, i and j of a delta exchanged) says the same thing in other words; it is no mutant and is counted apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from npgrad.explain.derivation import Equation
from npgrad.explain.source import Subject, subject_of
from npgrad.explain.syntax import (
    Binary,
    Call,
    Compare,
    Delta,
    DerivationError,
    Index,
    Neg,
    Node,
    Number,
    Reduce,
    Ref,
    Size,
    children,
    rebuild,
    text,
)
from npgrad.explain.trial import Trial, difference

__all__ = ["Mutant", "Outcome", "mutants_of", "tally"]

_FUNCTION = {
    "exp": "expm1",
    "expm1": "exp",
    "log": "log1p",
    "log1p": "log",
    "sqrt": "exp",
    "sin": "cos",
    "cos": "sin",
    "tan": "sin",
    "tanh": "sigmoid",
    "sigmoid": "tanh",
    "arcsin": "arccos",
    "arccos": "arcsin",
    "arctan": "sin",
    "sinh": "cosh",
    "cosh": "sinh",
    "erf": "tanh",
    "abs": "sign",
    "sign": "abs",
    "floor": "abs",
    "maximum": "minimum",
    "minimum": "maximum",
}
_REDUCTION = {
    "sum": ("mean", "max"),
    "mean": ("sum",),
    "prod": ("sum",),
    "max": ("min", "mean"),
    "min": ("max", "mean"),
}
_COMPARISON = {"<": ">", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


@dataclass(frozen=True)
class Mutant:
    """One equation with one place of one member changed."""

    equation: Equation
    member: int
    changed: Node
    how: str

    @property
    def line(self) -> int:
        return self.equation.rows[self.member]

    def mutated(self) -> Equation:
        members = list(self.equation.members)
        members[self.member] = self.changed
        return replace(self.equation, members=tuple(members))

    def __str__(self) -> str:
        return f"({self.equation.label}) {self.how}: {text(self.equation.lhs)} = {text(self.changed)}"


@dataclass(frozen=True)
class Outcome:
    """How many mutants of a subject there were, how many `verify` noticed, and which it did not."""

    name: str
    killed: int
    same: int
    survivors: tuple[Mutant, ...]

    @property
    def mutants(self) -> int:
        return self.killed + len(self.survivors)

    @property
    def rate(self) -> float:
        return self.killed / self.mutants if self.mutants else 1.0


Names = dict[str, int]


def variations(node: Node, letters: tuple[str, ...], names: Names) -> Iterator[tuple[str, Node]]:
    """Every tree that differs from `node` in one place; `letters` are the indices in scope, `names` the variables."""
    inner = letters
    if isinstance(node, Reduce):
        inner = tuple(dict.fromkeys((*letters, *node.letters)))
    parts = children(node)
    for k, part in enumerate(parts):
        for how, changed in variations(part, inner, names):
            yield how, rebuild(node, (*parts[:k], changed, *parts[k + 1 :]))
    match node:
        case Number():
            yield "constant changed", replace(node, value=node.value + 1)
            if node.value not in (0, -1):
                yield "constant changed", replace(node, value=node.value / 2)
        case Index():
            for other in letters:
                if other != node.name:
                    yield "index swapped", replace(node, name=other)
        case Ref():
            for other, axes in names.items():
                if other != node.name and axes == len(node.indices):
                    yield "name swapped", replace(node, name=other)
        case Size():
            for other in letters:
                if other != node.letter:
                    yield "size of another index", replace(node, letter=other)
        case Neg():
            yield "sign flipped", node.operand
        case Binary(op="+"):
            yield "sign flipped", replace(node, op="-")
            yield "term dropped", node.left
            yield "term dropped", node.right
        case Binary(op="-"):
            yield "sign flipped", replace(node, op="+")
            yield "term dropped", node.left
            yield "term dropped", Neg(node.right)
        case Binary(op="*"):
            yield "factor dropped", node.left
            yield "factor dropped", node.right
        case Binary(op="/"):
            yield "divisor dropped", node.left
            yield "multiplied instead of divided", replace(node, op="*")
        case Binary():
            yield "exponent dropped" if node.op == "**" else "division dropped", node.left
        case Compare():
            for k, op in enumerate(node.ops):
                yield "comparison turned", replace(node, ops=(*node.ops[:k], _COMPARISON[op], *node.ops[k + 1 :]))
        case Delta():
            yield "delta dropped", Number(1)
        case Call(function="where"):
            condition, a, b = node.args
            yield "branches exchanged", replace(node, args=(condition, b, a))
        case Call():
            yield "function replaced", replace(node, function=_FUNCTION[node.function])
            yield "function dropped", node.args[0]
        case Reduce():
            for kind in _REDUCTION[node.kind]:
                yield "reduction replaced", replace(node, kind=kind)


def mutants_of(equation: Equation, names: Names | None = None) -> Iterator[Mutant]:
    """All mutants of an equation's members; `names` are the variables it could name, with their number of axes."""
    for k, member in enumerate(equation.members):
        seen = {member}
        changes = [*variations(member, equation.letters, names or {}), ("sign flipped", Neg(member))]
        for how, changed in changes:
            if changed not in seen:
                seen.add(changed)
                yield Mutant(equation, k, changed, how)


def tally(thing: Any, seed: int = 0, draws: int = 3) -> Outcome:
    """Make every mutant of a subject's derivation and see whether the checks of `verify` notice it."""
    subject = thing if isinstance(thing, Subject) else subject_of(thing)
    killed = same = 0
    survivors: list[Mutant] = []
    for case in subject.derivation.cases:
        trials = [Trial(subject, case, (seed, k)) for k in range(draws)]
        for trial in trials:
            trial.check()
        names: Names = {s.name: len(s.axes) for s in case.symbols if s.name in trials[0].final.variables}
        for equation in case.equations:
            if equation is next(iter(case.adjoints), None):
                names[f"d{case.output}"] = names[case.output]
            mutants = list(mutants_of(equation, names))
            if equation.defines:
                names[equation.name] = len(equation.letters)
            for mutant in mutants:
                if all(unchanged(trial, mutant) for trial in trials):
                    same += 1
                elif any(notices(trial, mutant) for trial in trials):
                    killed += 1
                else:
                    survivors.append(mutant)
    return Outcome(subject.name, killed, same, tuple(survivors))


def unchanged(trial: Trial, mutant: Mutant) -> bool:
    """Whether the changed member has the value of the original one."""
    equation = mutant.equation
    try:
        sizes = trial.final.extents(equation)
        values = [
            trial.final.variable(trial.final.value(node, sizes), equation.letters, sizes).data
            for node in (equation.members[mutant.member], mutant.changed)
        ]
    except DerivationError:
        return False
    allowed = trial.allowed("value", equation, equation.at[0], *values)
    return bool(np.all(np.isfinite(values[1]))) and difference(*values) <= allowed


def notices(trial: Trial, mutant: Mutant) -> bool:
    try:
        return trial.mutant(mutant.equation, mutant.mutated()) is not None
    except DerivationError:
        return True


def summary(outcomes: list[Outcome]) -> str:
    """A table of kill rates, and the survivors."""
    width = max((len(o.name) for o in outcomes), default=8)
    lines = []
    for o in outcomes:
        lines.append(
            f"{o.name:{width}}  {o.killed:5} of {o.mutants:5} mutants noticed  {o.rate:7.2%}   {o.same:4} say the same"
        )
        lines += [f"{'':{width}}  line {m.line}: {m}" for m in o.survivors]
    killed, total = sum(o.killed for o in outcomes), sum(o.mutants for o in outcomes)
    rate = killed / total if total else math.nan
    lines.append(f"{'all':{width}}  {killed:5} of {total:5} mutants noticed  {rate:7.2%}")
    return "\n".join(lines)
