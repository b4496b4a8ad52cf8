"""Grading an exercise: every gradient of a student's file against the complex step, line by line.

The file runs in a process of its own (`exercise_run`), twice: as it is, and with every gradient replaced by the right
one once the file is done with it. What is right the second time only is wrong because an earlier line is. Why a line is
wrong is looked for in two ways: the pattern of the numbers (`npgrad.check.diagnosis`), and every way to spoil the right
equation in one place (`mutants`).
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npgrad.check.diagnosis import Evidence, likely_cause
from npgrad.explain import exercise_run
from npgrad.explain.equation_mutants import mutants_of
from npgrad.explain.exercise import DRAWS, Blank, Exercise, exercise, read
from npgrad.explain.order import UnknownName
from npgrad.explain.printer import Printer
from npgrad.explain.syntax import DerivationError, Ref, children, text
from npgrad.explain.trial import squeezed

__all__ = ["Grade", "NotGradable", "Verdict", "grade"]

SECONDS = 10.0
TOLERANCE = 1e-8
RIGHT, FORM, FOLLOWS, WRONG, BLANK, LEFT_OUT, FAILS = (
    "right", "right, in another form", "wrong only because of an earlier line", "wrong", "blank", "left out",
    "does not run",
)  # fmt: skip
_SPOILED = {
    "term dropped": "A term is missing",
    "factor dropped": "A factor is missing",
    "divisor dropped": "A division is missing",
    "constant changed": "A number is wrong",
    "sign flipped": "A sign is wrong",
    "exponent dropped": "A power is missing",
    "function dropped": "A function is missing",
    "function replaced": "The wrong function",
    "reduction replaced": "The wrong reduction",
    "index swapped": "The wrong index",
    "delta dropped": "A selection is missing",
}


class NotGradable(Exception):
    """A file that is no exercise, or did not finish; the message is for its author."""


@dataclass(frozen=True)
class Verdict:
    """What became of one gradient."""

    name: str
    status: str
    line: int
    """Where the file is done with it; 0 if it does not appear."""
    why: str = ""


@dataclass(frozen=True)
class Grade:
    """What became of a file."""

    exercise: Exercise
    verdicts: tuple[Verdict, ...]
    peeked: tuple[str, ...]
    """Libraries with a backward pass of their own that the file uses."""
    errors: tuple[str, ...]
    """What does not run beside the gradients."""
    printed: str

    @property
    def ok(self) -> bool:
        """Whether every gradient that was asked for is right, by the file's own work, and the file runs to its end."""
        asked = set(self.exercise.wanted)
        bad = any(v.status in (WRONG, FAILS, FOLLOWS) for v in self.verdicts)
        missing = any(v.name in asked and v.status in (BLANK, LEFT_OUT) for v in self.verdicts)
        return not (bad or missing or self.peeked or self.errors)

    def lines(self) -> Iterator[str]:
        """The grade as text of 80 columns."""
        width = max(len(v.name) for v in self.verdicts)
        for v in self.verdicts:
            where = f"line {v.line}" if v.line else ""
            yield f"{where:>9}  {v.name:{width}}  {v.status}"
            if v.why:
                indent = " " * (13 + width)
                yield from textwrap.wrap(v.why, 80, initial_indent=indent, subsequent_indent=indent)
        yield ""
        for error in self.errors:
            yield from textwrap.wrap(error, 80)
        if self.peeked:
            yield from textwrap.wrap(
                f"The file uses {', '.join(self.peeked)}, which has a backward pass of its own: that is no solution. "
                "NumPy is enough.", 80,
            )  # fmt: skip
        count = {s: sum(v.status == s for v in self.verdicts) for s in (RIGHT, FORM, BLANK, WRONG, FAILS, FOLLOWS)}
        good = count[RIGHT] + count[FORM]
        told = [f"{good} of {len(self.verdicts)} lines right"]
        told += [f"{n} {word}" for word, n in (("wrong", count[WRONG]), ("that do not run", count[FAILS]),
                 ("wrong because of those", count[FOLLOWS]), ("blank", count[BLANK])) if n]  # fmt: skip
        yield from textwrap.wrap(("PASS: " if self.ok else "NOT YET: ") + ", ".join(told), 80)
        first = next((v for v in self.verdicts if v.status in (WRONG, FAILS, BLANK)), None)
        if first is not None and not self.ok:
            own = self.exercise.name + (f" --case {self.exercise.number}" if self.exercise.number > 1 else "")
            yield f"a hint: npgrad exercise {own} --hint {first.name}"


def grade(file: str | Path, seconds: float = SECONDS) -> Grade:
    """Grade a file that `exercise` wrote and a student filled in.

    Raises NotGradable if it cannot be read, is no exercise, or takes more than `seconds` of time.
    """
    path = Path(file)
    source = reading(path)
    try:
        tree = ast.parse(source, path.name)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        raise NotGradable(f"{path.name}{where}: Python cannot read this ({getattr(error, 'msg', error)}).") from None
    name, number = which(tree, path)
    if exercise_run.find(tree) is None:
        raise NotGradable(f"{path.name} has no function `exercise` any more: write the exercise again and copy it.")
    try:
        of = exercise(name, number)
    except UnknownName as error:
        raise NotGradable(str(error)) from None
    report, arrays, printed = run(path, of, seconds)
    if report["module_error"]:
        raise NotGradable(f"{path.name} fails before `exercise` begins: {report['module_error']}.")
    if (changed := changed_forward(of, arrays)) is not None:
        raise NotGradable(
            f"{path.name} computes {changed} differently from the forward pass that was given; the gradients belong to "
            "that. Write the exercise again (--out FILE) and copy your lines into it."
        )
    verdicts = tuple(judge(of, blank, report, arrays, tree) for blank in of.blanks)
    return Grade(of, verdicts, peeks(tree, report["imported"]), other_errors(report), printed)


def reading(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise NotGradable(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise NotGradable(f"{path} is no text in UTF-8.") from None


def which(tree: ast.Module, path: Path) -> tuple[str, int]:
    """The name and case that the file says it is an exercise on."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "EXERCISE" for t in node.targets):
            try:
                name, number = ast.literal_eval(node.value)
            except (ValueError, TypeError):
                break
            if isinstance(name, str) and isinstance(number, int):
                return name, number
    raise NotGradable(f'{path.name} is no exercise: it has no line EXERCISE = ("name", 1).')


def run(path: Path, of: Exercise, seconds: float) -> tuple[dict[str, Any], dict[str, Any], str]:
    """What the process that runs the file found: report, arrays, and what the file printed."""
    with tempfile.TemporaryDirectory(prefix="npgrad-exercise-") as name:
        folder = Path(name)
        for k in range(DRAWS):
            np.savez(folder / f"inputs{k}.npz", **of.inputs(k))
        np.savez(
            folder / "truths.npz",
            **{f"{k} {b.name}": of.truths[k][b.name] for k in range(DRAWS) for b in of.blanks},
        )
        frame = {
            "draws": DRAWS,
            "gradients": [b.name for b in of.blanks],
            "forward": [e.name for _, e in of.forward if e is not None],
        }
        (folder / "frame.json").write_text(json.dumps(frame))
        output = folder / "printed"
        with output.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-X", "utf8", str(Path(exercise_run.__file__)), str(path.resolve()), str(folder)],
                stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, cwd=path.resolve().parent,
                start_new_session=os.name == "posix",
            )  # fmt: skip
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                raise NotGradable(
                    f"{path.name} did not finish in {seconds:g} s{at_line(folder)}: is there a loop without an end? "
                    "(--time gives it longer)"
                ) from None
            finally:
                stop(process)
        with output.open("rb") as stream:
            printed = stream.read(4000).decode(errors="replace")
        if not (folder / "report.json").is_file():
            raise NotGradable(f"{path.name} ended its own process{at_line(folder)} (exit code {process.returncode}).")
        report = json.loads((folder / "report.json").read_text())
        with np.load(folder / "found.npz", allow_pickle=False) as found:
            arrays = dict(found)
        return report, arrays, printed


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process, and with it what it started."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()


def at_line(folder: Path) -> str:
    line = folder / "line"
    return f" (at line {line.read_text()})" if line.is_file() and line.read_text() else ""


# -- judging -----------------------------------------------------------------------------------------------------------


def agrees(got: Any, want: Any, allowed: float = TOLERANCE) -> bool:
    if squeezed(got.shape) != squeezed(want.shape) or not np.all(np.isfinite(got)):
        return False
    size = max(float(np.max(np.abs(want), initial=0)), 1e-3)
    return float(np.max(np.abs(got.reshape(want.shape) - want), initial=0)) <= allowed * size


def judge(of: Exercise, blank: Blank, report: dict[str, Any], arrays: dict[str, Any], tree: ast.Module) -> Verdict:
    name = blank.name
    ends = [draw["ends"].get(name) for draw in report["draws"]]
    if any(end is None for end in ends):
        return Verdict(name, LEFT_OUT, 0, "It is asked for." if name in of.wanted else "")
    line = report["lines"][ends[0]][0]

    def values(which: str) -> list[Any]:
        return [arrays.get(f"{k} {which} {name}") for k in range(DRAWS)]

    def errors(which: str) -> str:
        return next((d[f"{which}_errors"][str(e)] for d, e in zip(report["draws"], ends, strict=True)
                     if str(e) in d[f"{which}_errors"]), "")  # fmt: skip

    fixed, own = values("fixed"), values("own")
    right = [of.truths[k][name] for k in range(DRAWS)]
    allowed = [
        max(TOLERANCE, of.trials[k].allowed("adjoint", blank.equation, blank.equation.at[0], f, r))
        if f is not None and f.shape == r.shape
        else TOLERANCE
        for k, (f, r) in enumerate(zip(fixed, right, strict=True))
    ]
    if failed := errors("fixed"):
        return Verdict(name, FAILS, line, failed)
    if any(f is None for f in fixed):
        return Verdict(name, BLANK, line)
    if all(agrees(f, r, a) for f, r, a in zip(fixed, right, allowed, strict=True)):
        if errors("own") or not all(
            o is not None and agrees(o, r, a) for o, r, a in zip(own, right, allowed, strict=True)
        ):
            return Verdict(name, FOLLOWS, line)
        note = ""
        if fixed[0].shape != right[0].shape:
            note = f"Its shape is {fixed[0].shape}, that of {name[1:]} is {right[0].shape}."
        return Verdict(name, RIGHT if as_derived(blank, tree) else FORM, line, note)
    return Verdict(name, WRONG, line, cause(of, blank, fixed, right))


def as_derived(blank: Blank, tree: ast.Module) -> bool:
    """Whether the file's statements on a gradient are those of the solution, blanks and parentheses aside."""
    function = exercise_run.find(tree)
    assert function is not None
    own = [ast.dump(s) for s in function.body if blank.name in {n.id for n in ast.walk(s) if isinstance(n, ast.Name)}]
    wanted = [ast.dump(s) for s in ast.parse("\n".join(blank.solution)).body]
    return own[: len(wanted)] == wanted


def cause(of: Exercise, blank: Blank, got: list[Any], want: list[Any]) -> str:
    """The likely mistake, in the names of the exercise."""
    pairs = zip(got, want, strict=True)
    g, w = next(((x, y) for x, y in pairs if squeezed(x.shape) != squeezed(y.shape)), (got[0], want[0]))
    variable = blank.name[1:]
    if squeezed(g.shape) != squeezed(w.shape):
        text = f"Its shape is {g.shape}, that of {variable} is {w.shape}: "
        if g.shape == w.shape[::-1] and g.ndim == 2:
            return text + "transposed."
        if g.size > w.size:
            return text + f"{variable} was copied along an axis, and the gradients of the copies are summed."
        if g.size < w.size:
            return text + "a gradient has the shape of its variable; was too much summed?"
        return text + "a gradient has the shape of its variable."
    if all(agrees(x, -y) for x, y in zip(got, want, strict=True)):
        return "The sign is wrong."
    pattern = diagnosis(of, blank, got, want)
    spoiled = as_if(of, blank, got)
    # Where both explain the numbers, the words that name the terms say more.
    if pattern and not (spoiled and ("constant factor" in pattern or pattern.startswith(("off by", "only ")))):
        return sentence(pattern)
    return spoiled or f"No common mistake fits. Compare hint 1: where {variable} is used."


def sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def diagnosis(of: Exercise, blank: Blank, got: list[Any], want: list[Any]) -> str:
    """The first pattern that `npgrad.check` recognises in every set of inputs; empty if there is none."""
    variable = blank.name[1:]
    uses = [e for e in of.case.steps if e.defines and e.name != variable and variable in read(e.members[0])]
    for use in uses or [of.case.steps[-1]]:
        found = []
        for k in range(DRAWS):
            known = of.trials[k].final.variables
            names = [variable, *(n for n in sorted(read(use.members[0])) if n != variable and n in known)]
            if use.name not in known or variable not in known:
                break
            inputs = [known[n].data for n in names]
            dy = of.truths[k].get(f"d{use.name}", known.get(f"d{use.name}", known[use.name]).data
                                  if f"d{use.name}" in known else np.ones(known[use.name].shape))  # fmt: skip
            output = known[use.name].data
            w = want[k]
            size = max(float(np.max(np.abs(w), initial=0)), 1e-3)
            words = likely_cause(
                Evidence(got[k].reshape(w.shape), w, 1e-12 * size, 0, inputs, [output], [np.reshape(dy, output.shape)])
            )
            if words.startswith("none recognised"):
                break
            for j, n in reversed(list(enumerate(names))):
                words = words.replace(f"input {j}", n)
            words = words.replace("the input", variable).replace("the result", use.name)
            words = words.replace("the factor dy ", f"the factor d{use.name} ").replace("by dy)", f"by d{use.name})")
            for form in ("1 − y²", "1 − y", "1 + y", "y"):
                own = form.replace("y", use.name)
                words = words.replace(f"factor {form} ", f"factor {own} ").replace(f"by {form})", f"by {own})")
            found.append(words)
        if len(found) == DRAWS and len({words.split("n = ")[0] for words in found}) == 1:
            return found[0]
    return ""


def as_if(of: Exercise, blank: Blank, got: list[Any]) -> str:
    """The right equation spoiled in one place, if that is what the file computes."""
    printer = Printer(of.case)
    equation = blank.equation
    names = {name: len(v.shape) for name, v in of.trials[0].final.variables.items() if name in read_all(of, blank)}
    for mutant in mutants_of(equation, names):
        if mutant.how == "name swapped" or all(same(of, k, mutant, got[k]) for k in range(DRAWS)) is False:
            continue
        gone = lost(mutant.changed, equation.members[mutant.member], mutant.how)
        shown = f"{printer.show(equation.lhs)} = {printer.show(mutant.changed)}"
        right = printer.show(equation.members[mutant.member])
        what = _SPOILED.get(mutant.how, mutant.how.capitalize())
        return f"{what}{gone}: this is {shown}, where {right} belongs."
    return ""


def lost(changed: Any, right: Any, how: str) -> str:
    """What a dropped term was, where it can be named."""
    if "dropped" not in how:
        return ""
    kept = {text(part) for part in walk_all(changed)}
    gone = [part for part in walk_all(right) if isinstance(part, Ref) and text(part) not in kept]
    return f" ({text(gone[0])})" if len(gone) == 1 else ""


def walk_all(node: Any) -> Iterator[Any]:
    yield node
    for child in children(node):
        yield from walk_all(child)


def read_all(of: Exercise, blank: Blank) -> set[str]:
    return {name for member in blank.equation.members for name in read(member)}


def same(of: Exercise, k: int, mutant: Any, got: Any) -> bool:
    scope = of.trials[k].final
    try:
        sizes = scope.extents(mutant.equation)
        value = scope.variable(scope.value(mutant.changed, sizes), mutant.equation.letters, sizes).data
    except (DerivationError, KeyError):
        return False
    return bool(np.all(np.isfinite(value))) and agrees(got, value)


# -- honesty -----------------------------------------------------------------------------------------------------------


def peeks(tree: ast.Module, imported: list[str]) -> tuple[str, ...]:
    """Libraries that differentiate by themselves and are imported, when the file runs or in its text."""
    found = set(imported)
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        found |= {name.partition(".")[0] for name in names if name.partition(".")[0] in exercise_run.FOREIGN}
    return tuple(sorted(found))


def changed_forward(of: Exercise, arrays: dict[str, Any]) -> str | None:
    """The first variable of the forward pass that has another value than it was given, or none."""
    space = of.run_forward(0)
    for _, equation in of.forward:
        if equation is not None:
            held = arrays.get(f"0 own {equation.name}")
            if held is None or not agrees(held, np.asarray(space[equation.name])):
                return equation.name
    return None


def other_errors(report: dict[str, Any]) -> tuple[str, ...]:
    """Statements that fail even with right gradients, and end no gradient."""
    draw = report["draws"][0]
    ends = {str(end) for end in draw["ends"].values()}
    return tuple(
        f"line {report['lines'][int(k)][0]} does not run: {text}"
        for k, text in draw["fixed_errors"].items()
        if k not in ends
    )
