"""Exercises: the forward pass given, the backward pass to write, a line at a time.

    npgrad exercise                       what can be practised
    npgrad exercise batch_norm            writes batch_norm_exercise.py
    npgrad exercise network               the lecture's whole backward pass
    npgrad exercise batch_norm --hint dvar 2
    npgrad exercise --grade batch_norm_exercise.py

An exercise is made from a derivation: its Forward becomes NumPy (`exercise_code`), its Backward the lines to fill in.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from npgrad.explain.derivation import Case, Equation
from npgrad.explain.draw import letters_of
from npgrad.explain.exercise_code import HELPERS, Arrays, Untranslatable, lines_for, literal
from npgrad.explain.order import UnknownName, find, name_of, things
from npgrad.explain.printer import Printer
from npgrad.explain.source import Subject, load, subject_of
from npgrad.explain.syntax import Binary, Call, Index, Neg, Node, Reduce, Ref, children, walk
from npgrad.explain.trial import Trial, entry

__all__ = ["LEVELS", "Exercise", "exercise", "hint", "names"]

DRAWS = 3
NETWORK = {"v": 11, "d": 2, "n": 6, "p": 3, "h": 4, "c": 7}
"""Sizes for the network: all different, so that what is transposed does not fit; characters repeat, some do not."""
LEVELS = {
    1: "every other backward line is given",
    2: "every backward line is blank",
    3: "only the gradients that are asked for are named",
}
_SLOPES = {
    "exp": "exp(u)", "expm1": "exp(u)", "log": "1/u", "log1p": "1/(1 + u)", "sqrt": "1/(2·√u)", "sin": "cos(u)",
    "cos": "−sin(u)", "tanh": "1 − tanh(u)²", "sigmoid": "s·(1 − s)", "erf": "2/√π·exp(−u²)", "abs": "the sign of u",
}  # fmt: skip


@dataclass(frozen=True)
class Blank:
    """A gradient to write: its name, the equation that gives it, and one solution."""

    name: str
    equation: Equation
    solution: tuple[str, ...]


@dataclass(frozen=True)
class Exercise:
    """One case of a derivation as an exercise."""

    name: str
    number: int
    """Which case, from 1."""
    subject: Subject
    case: Case
    trials: tuple[Trial, ...]
    arguments: tuple[str, ...]
    setting: tuple[str, ...]
    """Lines that set constants."""
    forward: tuple[tuple[str, Equation | None], ...]
    backward: tuple[tuple[tuple[str, ...], Equation], ...]
    """Lines of the solution, with those that define no gradient (shorthand)."""
    wanted: tuple[str, ...]
    """The gradients of the inputs: what has to be right."""

    @cached_property
    def blanks(self) -> tuple[Blank, ...]:
        return tuple(Blank(e.name, e, code) for code, e in self.backward if e.name in self.truths[0])

    @cached_property
    def truths(self) -> list[dict[str, Any]]:
        """For each set of random inputs every gradient by complex step, in the shape that the code's variable has."""
        found = []
        for k, trial in enumerate(self.trials):
            space = self.run_forward(k)
            right = {}
            for name, value in trial.truths.items():
                shape = np.shape(space[name]) if name in space else value.shape
                right[f"d{name}"] = value.reshape(shape) if value.size == int(np.prod(shape)) else value
            found.append(right)
        return found

    def inputs(self, k: int) -> dict[str, Any]:
        """The arguments of `exercise` in the k-th set of random inputs."""
        trial = self.trials[k]
        output = f"d{self.case.output}"
        found: dict[str, Any] = {}
        for name in self.arguments:
            if name == output:
                found[name] = trial.dy
            elif name.startswith("size_"):
                found[name] = np.asarray(trial.scope.sizes[name[5:]])
            else:
                found[name] = trial.final.variables[name].data.copy()
        return found

    def run_forward(self, k: int) -> dict[str, Any]:
        space: dict[str, Any] = {"np": np}
        exec(self.head(), space)
        space |= {name: a.copy() if a.ndim else a.item() for name, a in self.inputs(k).items()}
        with np.errstate(all="ignore"):
            exec("\n".join([*self.setting, *(line for line, _ in self.forward)]), space)
        return space

    def head(self) -> str:
        """Imports, and the functions that the lines need."""
        code = "\n".join([*(line for line, _ in self.forward), *(line for lines, _ in self.backward for line in lines)])
        used = [definition for name, definition in HELPERS.items() if re.search(rf"(?<![\w.]){name}\(", code)]
        math = "import math\n\n" if any("math." in d for d in used) or "math." in code else ""
        return f"{math}import numpy as np\n" + "".join(f"\n\n{definition}\n" for definition in used)

    def text(self, level: int = 2, solved: bool = False) -> str:
        """The file: a docstring that says what to do, and the function `exercise`."""
        command = "npgrad exercise"
        own = f"{self.name}" + (f" --case {self.number}" if self.number > 1 else "")
        middle = self.blanks[len(self.blanks) // 2].name
        title = f"Backward by hand: {self.name}" + (f" ({self.case.name})" if self.case.name else "")
        asked = sentence([f"`{name}`" for name in self.wanted])
        paragraphs = [
            "The forward pass is given; its last result is what the loss sees. Replace every `...` after it with "
            "NumPy: `dx` is the derivative of the loss with respect to x, in the shape of x. Any correct form counts. "
            f"A line may become several, and lines you have no use for may be deleted, as long as {asked} "
            f"{'is' if len(self.wanted) == 1 else 'are'} right.",
        ]
        if solved:
            paragraphs = ["One solution; any other form that gives the same numbers is as good."]
        doc = [*textwrap.wrap(title, 96), "", *(line for p in paragraphs for line in textwrap.wrap(p, 96)), ""]
        if not solved:
            doc += [f"    {command} --grade FILE", f"    {command} {own} --hint {middle} 1    (then 2, 3)", ""]
        lines = ['"""' + doc[0], *doc[1:-1], '"""', "", self.head().rstrip(), "", ""]
        lines += [f'EXERCISE = ("{self.name}", {self.number})', "", ""]
        lines += [f"def exercise({', '.join(self.arguments)}):"]
        body = list(self.given())
        body += [*self.setting, "", "# Forward"]
        width = max((len(line) for line, e in self.forward if e is not None and len(line) < 56), default=0)
        for line, equation in self.forward:
            body.append(line if equation is None else f"{line:{width}}  # ({equation.label})")
        body += ["", "# Backward"]
        body += self.questions(level, solved)
        lines += [f"    {line}" if line else "" for line in body]
        return "\n".join(lines) + "\n"

    def given(self) -> Iterator[str]:
        for name in self.arguments:
            symbol = self.case.symbol(name)
            axes = self.axes(name)
            shape = f" ({', '.join(axes)})" if axes else ""
            meaning = symbol.meaning if symbol is not None else "computed before"
            if name == f"d{self.case.output}":
                meaning = f"arrives: the derivative of the loss with respect to {self.case.output}"
            elif name.startswith("size_"):
                meaning = f"how many values {name[5:]} takes"
            yield from textwrap.wrap(f"{name}{shape}: {meaning}", 90, initial_indent="# ", subsequent_indent="#     ")

    def axes(self, name: str) -> tuple[str, ...]:
        symbol = self.case.symbol(name)
        if symbol is not None:
            return tuple(a.name if isinstance(a, Index) else "…" for a in symbol.axes)
        output = next((e for e in self.case.steps if e.name == name[1:]), None)
        return output.letters if output is not None else ()

    def questions(self, level: int, solved: bool) -> Iterator[str]:
        blank = {b.name for b in self.blanks}
        asked = {b.name for k, b in enumerate(self.blanks) if level > 1 or k % 2 or b.name in self.wanted}
        for code, equation in self.backward:
            name = equation.name
            if solved or (name in blank and name not in asked):
                yield code[0] if len(code) > 1 else f"{code[0]}  # ({equation.label})"
                yield from code[1:-1]
                if len(code) > 1:
                    yield f"{code[-1]}  # ({equation.label})"
            elif name in blank and (level < 3 or name in self.wanted):
                yield f"{name} = ..."


def sentence(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def names() -> list[str]:
    """What can be practised: every Function, and the lecture's network."""
    return [name for name, thing in things().items() if not isinstance(thing, ModuleType)] + ["network"]


@lru_cache(maxsize=8)
def exercise(name: str, number: int = 1, seed: int = 0) -> Exercise:
    """The exercise on a Function (by any of its names), or on `network`.

    Raises UnknownName if there is none of that name or number.
    """
    thing = find(name)
    if isinstance(thing, ModuleType) and name_of(thing) != "network":
        raise UnknownName(f"{name!r} has no backward pass to write; `network` and every Function have.")
    subject = subject_of(thing)
    cases = subject.derivation.cases
    if not 1 <= number <= len(cases):
        raise UnknownName(f"{name} has {len(cases)} case{'s' * (len(cases) != 1)}; --case is 1 to {len(cases)}.")
    case = cases[number - 1]
    sizes = NETWORK if name_of(thing) == "network" else None
    trials = tuple(Trial(subject, case, (seed, k), sizes=sizes) for k in range(DRAWS))
    for trial in trials:
        trial.check()
    own = name_of(thing) if ":" not in name else name
    arrays = tuple(s.name for s in case.symbols if s.kind == "array")
    if isinstance(thing, ModuleType):
        return from_topic(own, number, subject, case, trials, arrays)
    return from_derivation(own, number, subject, case, trials, arrays)


def wanted(trials: tuple[Trial, ...], case: Case) -> tuple[str, ...]:
    given = {s.name for s in case.symbols if s.kind == "array"}
    return tuple(e.name for e in case.adjoints if e.defines and e.name[1:] in given and e.name[1:] in trials[0].truths)


def from_derivation(
    name: str, number: int, subject: Subject, case: Case, trials: tuple[Trial, ...], arrays: tuple[str, ...]
) -> Exercise:
    scopes = [trial.final for trial in trials]
    axes = {
        s.name: tuple(a.name if isinstance(a, Index) else "" for a in s.axes) for s in case.symbols if s.kind == "array"
    }
    known = [s.name for s in case.symbols if s.kind != "size"]
    extra: list[str] = []
    forward: list[tuple[str, Equation | None]] = []
    backward: list[tuple[tuple[str, ...], Equation]] = []
    output = f"d{case.output}"
    for equation in case.equations:
        if not equation.defines:
            continue
        if equation in case.adjoints and output not in known:
            known.append(output)
            axes[output] = axes.get(case.output, ())
        line = lines_for(equation, case, axes, scopes, known)
        if equation in case.steps:
            if line is None:
                extra.append(equation.name)
            else:
                forward += [(code, None) for code in line.code[:-1]] + [(line.code[-1], equation)]
        elif line is not None:
            backward.append((line.code, equation))
        known.append(equation.name)
        axes[equation.name] = equation.letters
    code = "\n".join([*(line for line, _ in forward), *(line for lines, _ in backward for line in lines)])
    setting = settings(case, {s.name: axes[s.name] for s in case.symbols if s.kind == "array"}, code)
    sizes = [f"size_{letter}" for letter in trials[0].scope.sizes]
    set_here = [line.split(" = ")[0] for line in setting]
    text = "\n".join([code, *setting])
    sizes = [size for size in sizes if size not in set_here and mentions(text, size)]
    arguments = (*arrays, *sizes, *extra, output)
    return Exercise(
        name, number, subject, case, trials, arguments, setting, tuple(forward), tuple(backward), wanted(trials, case)
    )


def settings(case: Case, axes: dict[str, tuple[str, ...]], code: str) -> tuple[str, ...]:
    """Lines for the constants and sizes that the code, or a constant after them, mentions."""
    found: list[tuple[str, str]] = []
    sizes: dict[str, str] = {}
    declared = {s.name for s in case.symbols if s.kind == "size"}
    for array, letters in axes.items():
        for k, letter in enumerate(letters):
            if letter and letter not in declared:
                sizes.setdefault(letter, f"{array}.shape[{k}]")
    for letter in letters_of(case):
        if letter not in declared:
            sizes.setdefault(letter, f"size_{letter}")
    for symbol in case.symbols:
        if symbol.kind == "array":
            continue
        name = symbol.name if symbol.kind == "constant" else f"size_{symbol.name}"
        value = symbol.value
        if isinstance(value, Node):
            try:
                found.append((name, Arrays(sizes).term(value, ()).code))
            except Untranslatable:
                continue
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((name, literal(value)))
        if symbol.kind == "size":
            sizes[symbol.name] = name
    kept: list[str] = []
    text = code
    for name, value in reversed(found):
        if mentions(text, name):
            kept.insert(0, f"{name} = {value}")
            text += "\n" + value
    return tuple(kept)


def mentions(code: str, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(ast.parse(code)))


def from_topic(
    name: str, number: int, subject: Subject, case: Case, trials: tuple[Trial, ...], arrays: tuple[str, ...]
) -> Exercise:
    """The topic's own lines: they read as the lecture writes them."""
    function = entry(subject.thing)
    _, start = inspect.getsourcelines(function)
    page = load(subject.file)
    by_label = {e.label: e for e in case.equations}
    tree = next(n for n in page.tree.body if isinstance(n, ast.FunctionDef) and n.lineno == start)
    forward: list[tuple[str, Equation | None]] = []
    backward: list[tuple[tuple[str, ...], Equation]] = []
    setting = [f"{s.name} = {literal(s.value)}" for s in case.symbols if s.kind == "constant" and s.name == "eps"]
    waiting: list[str] = []
    for statement in tree.body:
        if isinstance(statement, ast.Expr | ast.Return) and not page.tags.get(statement.lineno):
            continue
        line = page.lines[statement.lineno - 1].strip().partition("  #")[0]
        labels = page.tags.get(statement.lineno, ())
        equation = by_label.get(labels[0]) if labels else None
        if equation is None:
            (waiting if backward or (forward and forward[-1][1] is case.steps[-1]) else setting).append(line)
        elif equation in case.steps:
            forward.append((line, equation))
        else:
            backward.append(((*waiting, line), equation))
            waiting = []
        if equation is case.adjoints[-1]:
            break
    return Exercise(
        name, number, subject, case, trials, arrays, tuple(setting), tuple(forward), tuple(backward),
        wanted(trials, case),
    )  # fmt: skip


# -- hints -------------------------------------------------------------------------------------------------------------


def hint(of: Exercise, name: str, level: int) -> list[str]:
    """A hint on one gradient: 1 where its variable is used, 2 which rules that means, 3 the derivation's own step.

    Raises UnknownName if the exercise does not ask for `name`.
    """
    blank = next((b for b in of.blanks if b.name == name), None)
    if blank is None:
        raise UnknownName(f"{of.name} has no line {name!r}; its lines are {', '.join(b.name for b in of.blanks)}.")
    printer = Printer(of.case)
    variable = name[1:]
    uses = [e for e in of.case.steps if e.defines and variable in read(e.members[0]) and e.name != variable]
    if level == 3:
        lines = printer.equation(blank.equation)
        found = [f"({blank.equation.label}) {lines[0]}"]
        remarks = (*blank.equation.remarks, *[""] * len(lines))
        found += [f"      {remarks[0]}"] if remarks[0] else []
        for k, line in enumerate(lines[1:], 1):
            found.append(f"    {line}" + (f"   {remarks[k]}" if remarks[k] else ""))
        return [piece for line in found for piece in textwrap.wrap(line, 79, subsequent_indent="        ")]
    if level == 1:
        if not uses:
            return [f"{variable} is the result itself: its gradient arrives."]
        count = {1: "once", 2: "twice"}.get(len(uses), f"{len(uses)} times")
        found = [f"{variable} is used {count} in the forward pass, so {name} has {terms(len(uses))}:"]
        found += [f"    ({e.label}) {printer.equation(e)[0]}" for e in uses]
        return [piece for line in found for piece in textwrap.wrap(line, 79, subsequent_indent="        ")]
    found = []
    own = set(of.axes(variable)) | set(next((e.letters for e in of.case.steps if e.name == variable), ()))
    for e in uses:
        ways = list(rules(e, variable, own))
        found += textwrap.wrap(f"({e.label}) gives d{e.name}: " + "; ".join(ways) + ".", 79, subsequent_indent="    ")
    if len(uses) > 1:
        found.append("The contributions of the uses are added.")
    return found or [f"{variable} is the result itself: its gradient arrives."]


def terms(count: int) -> str:
    return "one term" if count == 1 else f"{count} terms, which are added"


def read(node: Node) -> set[str]:
    return {part.name for part in walk(node) if isinstance(part, Ref)}


def rules(equation: Equation, variable: str, own: set[str]) -> Iterator[str]:
    """What happens to `variable` on the way into one equation, from the outside in, as rules of differentiation."""
    copied = [letter for letter in equation.letters if letter not in own]

    def path(node: Node) -> Iterator[str]:
        if isinstance(node, Ref):
            if not all(isinstance(index, Index) for index in node.indices):
                yield "an entry is used wherever its index stands, and all those contributions are added"
            return
        inside = [child for child in children(node) if variable in read(child)]
        match node:
            case Neg():
                yield "a minus sign stays"
            case Reduce(kind="sum"):
                yield f"a sum over {', '.join(node.letters)} hands its gradient to every term"
            case Reduce(kind="mean"):
                yield f"a mean over {', '.join(node.letters)} hands every term an equal share"
            case Call(function=name) if name in _SLOPES:
                yield f"the slope of {name}: {_SLOPES[name]}"
            case Call():
                yield f"{node.function} passes the gradient to the argument that was chosen"
            case Reduce():
                yield f"a {node.kind} hands its gradient to where it was found"
            case Binary(op="*") if len(inside) == 1:
                yield "a factor gets the gradient times the other factor"
            case Binary(op="*"):
                yield "both factors contain it: the product rule"
            case Binary(op="/") if variable in read(node.right):
                yield "a divisor: d(1/u) = −1/u²"
            case Binary(op="/"):
                yield "what is divided gets the gradient divided by the same number"
            case Binary(op="-") if variable in read(node.right) and variable not in read(node.left):
                yield "what is subtracted gets minus the gradient"
            case Binary(op="**"):
                yield "a power: d(uᵖ) = p·uᵖ⁻¹"
        for child in inside:
            yield from path(child)

    found = list(dict.fromkeys(path(equation.members[0])))
    if copied:
        found.append(f"it was copied along {', '.join(copied)}, so the gradient is summed along {', '.join(copied)}")
    yield from found or ["the gradient passes as it is"]
