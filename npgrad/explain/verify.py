"""Executing a derivation: every displayed line against the others, the complex-step truth and the code.

For each case of a docstring, on random inputs drawn as Symbols says:

- every member of a chain has the value of its left-hand side;
- every d<name> in Backward, for a variable or input `name` of Forward, is the derivative of the loss sum(dy*y) by it:
  earlier lines are frozen, later ones evaluated at name + i·h (Squire & Trapp 1998), so nothing cancels;
- the code's `forward` gives the last forward value, its `backward` the gradients of the inputs;
- the variable of each numbered equation holds, when the code line with that number is done, the equation's value;
- numbers in code and docstring match one to one, and every symbol is a variable of the code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from npgrad.explain.derivation import Case
from npgrad.explain.report import TOLERANCE, Check, Report
from npgrad.explain.source import Subject, subject_of
from npgrad.explain.syntax import DerivationError, Node
from npgrad.explain.trial import Trial

__all__ = ["TOLERANCE", "Check", "Report", "Trial", "verify"]


def verify(thing: Any, seed: int = 0, draws: int = 3, largest: int = 4) -> Report:
    """Check the derivation of a Function class (or of a `Subject`) on `draws` sets of random inputs.

    Sizes of indices are drawn between 2 and `largest`, different for different letters as far as they go. What cannot
    be read or evaluated is reported as a check of kind "error", not raised.
    """
    try:
        subject = thing if isinstance(thing, Subject) else subject_of(thing)
    except DerivationError as error:
        failed = Check("error", "", "", error.line, math.inf, str(error))
        return Report(getattr(thing, "__name__", str(thing)), "", (failed,), 0)
    checks = list(bookkeeping(subject))
    for case in subject.derivation.cases:
        for k in range(draws):
            try:
                checks += Trial(subject, case, (seed, k), largest).check()
            except DerivationError as error:
                checks.append(Check("error", case.name, "", error.line, math.inf, error.pointed))
                break
    return Report(subject.name, subject.path, tuple(checks), draws)


# -- numbers and names -------------------------------------------------------------------------------------------------


def bookkeeping(subject: Subject) -> Iterator[Check]:
    """Numbers in code against numbers in the docstring; symbols against variables."""
    derivation = subject.derivation
    tagged = {label for s in subject.statements for label in s.labels}
    seen: set[str] = set()
    for case in derivation.cases:
        for equation in case.equations:
            if equation.coded and equation.label not in tagged:
                yield Check(
                    "tag", case.name, equation.label, equation.at[0], math.inf,
                    f"equation {equation.number} has no line of code: no comment says '# {equation.number}'",
                )  # fmt: skip
            seen.add(equation.label)
    for statement in subject.statements:
        if any(p.own and p.file == statement.file and p.start <= statement.line <= p.end for p in subject.pieces):
            for label in statement.labels:
                found = label in seen
                yield Check(
                    "tag", "", label, statement.line, 0.0 if found else math.inf,
                    f"the comment '# ({label})' names an equation that the docstring does not have",
                )  # fmt: skip
    for case in derivation.cases:
        for name, at in variable_names(case, isinstance(subject.thing, type)):
            found = name in subject.variables
            yield Check(
                "symbol", case.name, "", at[0], 0.0 if found else math.inf,
                f"{name!r} is no parameter, variable or attribute of the code, so a reader cannot find it there",
            )  # fmt: skip


def variable_names(case: Case, function: bool) -> Iterator[tuple[str, tuple[int, int]]]:
    """The names of a case that the code must have: what is given, what numbered lines compute, what backward gets.

    The result of forward and the gradients that backward returns need no names; what follows from sizes is shorthand.
    """
    arrays = {s.name for s in case.symbols if s.kind == "array"}
    for symbol in case.symbols:
        if symbol.kind == "array" or (symbol.kind == "constant" and not derived(symbol.value)):
            yield symbol.name, symbol.at
    for equation in case.equations:
        if equation.coded and equation.defines and equation.name != case.output and equation.name[1:] not in arrays:
            yield equation.name, equation.at
    if case.adjoints and function:
        yield f"d{case.output}", case.adjoints[0].at


def derived(value: Any) -> bool:
    return isinstance(value, Node)
