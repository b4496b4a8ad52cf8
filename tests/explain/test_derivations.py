"""Every derivation of the library, executed: no Function without one, none that fails, none that could drift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from npgrad.engine.function import Function
from npgrad.explain.derivation import Case, Derivation, Equation
from npgrad.explain.equation_mutants import Outcome, summary, tally
from npgrad.explain.notation import parse
from npgrad.explain.order import groups, things, topics
from npgrad.explain.report import TOLERANCE
from npgrad.explain.source import Subject, docstring_rows, load, subject_of
from npgrad.explain.trial import Trial, difference
from npgrad.explain.verify import verify
from npgrad.functions import registry
from tests.conftest import SEED

NAMES = list(things())
AS_DRAWN = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without shrinking: one seed is no simpler than another, and the report names the line in any case."""


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=6, phases=AS_DRAWN)
@given(seed=st.integers(0, 2**32 - 1), largest=st.integers(3, 5))
def test_holds_on_random_inputs_of_random_sizes(name: str, seed: int, largest: int) -> None:
    report = verify(things()[name], seed, draws=1, largest=largest)
    assert report.ok, str(report)


def test_where_numbers_cancel_rounding_is_told_from_a_mistake() -> None:
    """With these inputs the standard deviation is near 0, and dp is what rounding leaves, divided by it."""
    report = verify(things()["update_ratio"], 161, draws=1, largest=4)
    assert report.ok and report.worst("code", "6") > TOLERANCE
    subject = subject_of(things()["update_ratio"])
    trial = Trial(subject, subject.derivation.cases[1], (161, 0))
    checks = trial.check()
    assert {c.label for c in checks if c.allowed > TOLERANCE} == {"6"}
    # The same size of error elsewhere is a mistake.
    (growth,) = (c for c in checks if (c.kind, c.label) == ("code", "7"))
    equation = next(e for e in trial.case.equations if e.label == "7")
    value = trial.final.variables["growth"].data
    assert not trial.compare("code", trial.case, equation, value, value * (1 + 5e-9), "").ok and growth.ok


@pytest.mark.parametrize("name", list(registry))
def test_every_function_has_a_derivation_to_the_end(name: str) -> None:
    subject = subject_of(registry[name])
    assert subject.derivation.cases, f"{name} has no Forward section"
    for case in subject.derivation.cases:
        assert case.adjoints, f"{name} {case.name} has no Backward section"
        assert any(e.coded for e in case.steps) and any(e.coded for e in case.adjoints)


def test_the_order_of_reading_names_everything() -> None:
    titles = [group.title for group in groups()]
    assert "More" not in titles, f"name these in npgrad.explain.order: {groups()[titles.index('More')].names}"
    assert {thing for thing in things().values() if isinstance(thing, type)} == set(registry.values())
    named = [name for group in groups() for name in group.names]
    assert len(named) == len(set(named)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_code_and_docstring_match_one_to_one(name: str) -> None:
    subject = subject_of(things()[name])
    own = {
        label for s in subject.statements for label in s.labels if s.file == subject.file and own_line(subject, s.line)
    }
    everywhere = {label for s in subject.statements for label in s.labels}
    numbered = {e.label for e in subject.derivation.equations if e.coded}
    assert numbered <= everywhere
    assert own <= {e.label for e in subject.derivation.equations}


@pytest.mark.parametrize("name", NAMES)
def test_every_numbered_equation_is_compared_with_the_code(name: str) -> None:
    """With a variable at its line, with what forward returns, or with what backward returns."""
    thing = things()[name]
    compared = {(c.case, c.label) for c in verify(thing, draws=1).checks if c.kind in ("code", "output", "gradient")}
    cases = subject_of(thing).derivation.cases
    assert {(case.name, e.label) for case in cases for e in case.equations if e.coded} <= compared


def own_line(subject: Subject, line: int) -> bool:
    return any(p.own and p.start <= line <= p.end for p in subject.pieces)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def test_mutants_are_noticed(capsys: pytest.CaptureFixture[str], record_property: Any) -> None:
    outcomes: list[Outcome] = [tally(thing, SEED) for thing in things().values()]
    with capsys.disabled():
        print(f"\nmutants of the derivations: {summary(outcomes).splitlines()[-1]}")
    killed, made = sum(o.killed for o in outcomes), sum(o.mutants for o in outcomes)
    record_property("kill rate", killed / made)
    assert made > 5000
    assert killed / made >= 0.99, summary(outcomes)
    for outcome in outcomes:
        assert outcome.rate >= 0.99, summary([outcome])


def flips(subject: Subject) -> Iterator[tuple[int, int, str]]:
    """Places in the docstring's equations where a sign stands between two terms: (line, column, other sign)."""
    lines = Path(subject.file).read_text(encoding="utf-8").split("\n")
    for row in sorted({row for e in subject.derivation.equations for row in e.rows}):
        code = lines[row - 1].split("#", 1)[0]
        for column in range(1, len(code) - 1):
            if code[column - 1 : column + 2] in (" + ", " - "):
                yield row, column, "-" if code[column] == "+" else "+"


def edited(subject: Subject, row: int, column: int, sign: str) -> Derivation:
    """The derivation as it reads after one character of its docstring was changed."""
    import ast

    page = load(subject.file)
    node: Any = page.tree
    if isinstance(subject.thing, type):
        node = next(n for n in ast.walk(page.tree) if isinstance(n, ast.ClassDef) and n.name == subject.name)
    rows = [
        (number, line[:column] + sign + line[column + 1 :] if number == row else line)
        for number, line in docstring_rows(page.lines, node.body[0])
    ]
    return parse("", subject.name, subject.derivation.source, rows)


@pytest.mark.parametrize("name", NAMES)
def test_editing_a_sign_fails_and_names_the_line(name: str) -> None:
    subject = subject_of(things()[name])
    places = list(flips(subject))
    for row, column, sign in places[:: max(1, len(places) // 6)]:
        derivation = edited(subject, row, column, sign)
        report = verify(replace(subject, derivation=derivation), SEED, draws=2)
        case, equation = next((c, e) for c in derivation.cases for e in c.equations if row in e.rows)
        if report.ok:
            assert same_values(subject, derivation, case), f"{subject.path}:{row} a sign was turned and nothing noticed"
            continue
        lines = {check.line for check in report.failures if check.label == equation.label and check.case == case.name}
        lines |= {check.line for check in report.failures if check.kind == "error"}
        named = lines & {equation.at[0], *equation.rows} or f"on line {equation.at[0]} is wrong" in str(report)
        assert named, f"line {row} was edited; reported:\n{report}"


def same_values(subject: Subject, derivation: Derivation, case: Case) -> bool:
    """Whether an edit changes no value: the sign inside a square, for example."""
    before = next(c for c in subject.derivation.cases if c.name == case.name)
    first, second = (
        Trial(origin, which, (SEED, 0))
        for origin, which in ((subject, before), (replace(subject, derivation=derivation), case))
    )
    first.check()
    second.check()
    for equation in before.equations:
        if equation.defines:
            sides = [trial.final.variables[equation.name].data for trial in (first, second)]
            if difference(*sides) > first.allowed("value", equation, equation.at[0], *sides):
                return False
    return True


# -- what the checks say about derivations that are wrong --------------------------------------------------------------


class Wrong(Function):
    """y = x².

    Symbols
        x[i]    input
    Forward
        (1) y[i] = x[i]**2
                 = x[i]*x[i]*x[i]
    Backward
        (2) dx[i] = dy[i]*x[i]
        (3) z[i] = 1.0*i
    """

    def forward(self, x: Any) -> Any:
        self.x = x
        return x**2  # (1)

    def backward(self, dy: Any) -> Any:
        self.dx = 2 * self.x * dy  # (2) (4)
        return self.dx


def test_each_kind_of_mistake_is_reported_with_its_line() -> None:
    report = verify(Wrong)
    said = str(report)
    first = subject_of(Wrong).line
    for line, message in (
        (first + 7, "(1) is not equal to its left-hand side here"),
        (first + 9, "(2) dx is not the derivative of the loss with respect to x"),
        (first + 9, "(2) dx is not what the code's backward returns for x"),
        (first + 9, "(2) is not what dx holds after the code line with that number"),
        (first + 10, "equation (3) has no line of code"),
        (first + 10, "'z' is no parameter, variable or attribute of the code"),
        (first + 18, "the comment '# (4)' names an equation that the docstring does not have"),
    ):
        assert any(f":{line} {message}" in row for row in said.split("\n")), (line, message, said)


def half(x: Any) -> Any:
    return x / 2  # (1)


class OwnRule(Function):
    """y = x/2, a rule of a user's, with its code in a function of the same file.

    Symbols
        x[i]    input
    Forward
        (1) y[i] = x[i]/2
    Backward
        (2) dx[i] = dy[i]/2
    """

    def forward(self, x: Any) -> Any:
        return half(x)

    def backward(self, dy: Any) -> Any:
        self.dx = dy * 0.5  # (2)
        return self.dx


@pytest.mark.smoke
def test_a_rule_of_ones_own_is_checked_like_the_librarys() -> None:
    assert verify(OwnRule).ok and verify(registry["BatchNorm"]).ok


def test_what_was_typed_at_a_prompt_has_no_derivation() -> None:
    space: dict[str, Any] = {}
    exec("class Typed:\n    'Doc.'", space)
    assert "was not defined in a file" in str(verify(space["Typed"]))


class Unreadable(Function):
    """y = x.

    Symbols
        x[i]    input
    Forward
        (1) y[i] = x[j]
    """


def test_a_docstring_that_cannot_be_read_is_a_failure_with_its_place() -> None:
    report = verify(Unreadable)
    assert not report.ok and f":{subject_line(Unreadable) + 6}, column" in str(report)


def subject_line(thing: Any) -> int:
    import inspect

    return inspect.getsourcelines(thing)[1]


def test_topics_have_code_for_every_number() -> None:
    for name, module in topics().items():
        report = verify(module)
        numbered = {(c.name, e.label) for c in subject_of(module).derivation.cases for e in c.equations if e.coded}
        compared = {(check.case, check.label) for check in report.checks if check.kind == "code"}
        assert compared == numbered, name


def test_equations_are_found_by_their_lines() -> None:
    subject = subject_of(registry["BatchNorm"])
    lines = Path(subject.file).read_text(encoding="utf-8").split("\n")
    for equation in subject.derivation.equations:
        assert isinstance(equation, Equation)
        assert lines[equation.at[0] - 1].lstrip().startswith(equation.number)
        assert all("=" in lines[row - 1] for row in equation.rows)
