"""One case of a derivation on one set of random inputs: the code is run once, the equations as often as asked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgrad.declared import signature
from npgrad.engine.arrays import unbroadcast
from npgrad.engine.function import Function
from npgrad.engine.holomorphic import Holomorphic, slopes
from npgrad.explain.derivation import Case, Equation, Symbol
from npgrad.explain.draw import axis_length, draw_array, draw_sizes, evaluate_value
from npgrad.explain.evaluate import AMPLIFIED, Scope, Variable
from npgrad.explain.report import TOLERANCE, Check
from npgrad.explain.source import Subject, watch
from npgrad.explain.syntax import DerivationError, Ref, walk

__all__ = ["Trial", "difference"]

Array = NDArray[Any]

FLOOR = 1e-3
SAMPLES = 8
MARGIN = 16
"""How many times what `SAMPLES` samples of noise show is allowed: another order of summation, another formula."""

Key = tuple[str, str, int]


def entry(thing: Any) -> Any:
    """The code that takes the symbols: `forward` of a Function, the first public function of a topic."""
    return getattr(thing, thing.__all__[0]) if isinstance(thing, ModuleType) else thing.forward


def difference(a: Array, b: Array) -> float:
    """The largest difference, relative to the largest entry; entries smaller than 1e-3 count as 1e-3."""
    if a.shape != b.shape:
        return math.inf
    if a.size == 0:
        return 0.0
    gap = float(np.max(np.abs(a - b)))
    size = scale(a, b)
    return gap / size if math.isfinite(gap) and math.isfinite(size) else math.inf


def scale(a: Array, b: Array) -> float:
    return max(float(np.max(np.abs(a))), float(np.max(np.abs(b))), FLOOR)


@dataclass
class Execution:
    """What the code did with the drawn inputs."""

    output: Array | None
    """What forward returned; None for a topic, whose results go by name."""
    gradients: dict[str, Array | None]
    seen: dict[str, list[Any]]
    node: Any


@dataclass
class Trial:
    """One case on one set of random inputs: the code is run once, the equations as often as asked (mutants)."""

    subject: Subject
    case: Case
    seed: Sequence[int]
    largest: int = 4
    sizes: dict[str, int] | None = None
    """Sizes of the index letters, instead of random ones."""
    scope: Scope = field(init=False)
    run: Execution = field(init=False)
    truths: dict[str, Array] = field(init=False, default_factory=dict)
    given: list[str] = field(init=False, default_factory=list)
    compared: set[str] = field(init=False, default_factory=set)
    """Numbers of the equations that a variable of the code was compared with."""
    reshaped: set[str] = field(init=False, default_factory=set)
    final: Scope = field(init=False)
    """Every variable of the case, once `check` has run."""
    reached: Scope = field(init=False)
    _gaps: dict[Key, Array] | None = field(init=False, default=None)
    """While rounding is measured: what `compare` subtracts, instead of judging it."""
    _rounding: dict[Key, float] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(list(self.seed))
        source = self.subject.derivation.source
        self.scope = Scope({}, dict(self.sizes or draw_sizes(self.case, rng, self.largest)), source)
        self.constants: dict[str, Any] = {}
        for symbol in self.case.symbols:
            if symbol.kind == "array":
                continue
            value = evaluate_value(symbol.value, self.scope)
            if symbol.kind == "size":
                self.scope.sizes[symbol.name] = value
                continue
            self.constants[symbol.name] = value
            if isinstance(value, int | float | complex):
                self.scope.variables[symbol.name] = Variable(np.asarray(value))
        parameters = signature(entry(self.subject.thing)).parameters
        starred = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
        arrays: dict[str, Array] = {}
        kept: list[Symbol] = []
        for symbol in self.case.symbols:
            if symbol.kind == "array":
                if symbol.name not in parameters and not starred:
                    kept.append(symbol)
                    continue
                shape = tuple(axis_length(axis, self.scope) for axis in symbol.axes)
                arrays[symbol.name] = draw_array(symbol, shape, self.scope, rng)
        self.arrays = arrays
        self.scope.variables.update({name: Variable(a) for name, a in arrays.items()})
        self.dy: Array = np.zeros(())
        self.run = self.execute(arrays, rng)
        for symbol in kept:
            value = getattr(self.run.node, symbol.name, None)
            if value is None:
                raise DerivationError(
                    f"{symbol.name!r} is neither a parameter of forward nor an attribute it leaves", symbol.at, source
                )
            shape = tuple(axis_length(axis, self.scope) for axis in symbol.axes)
            self.scope.variables[symbol.name] = Variable(np.asarray(value).reshape(shape))

    def execute(self, arrays: dict[str, Array], rng: np.random.Generator) -> Execution:
        """Run the code, watching the lines that carry numbers."""
        if isinstance(self.subject.thing, ModuleType):
            return self.topic(arrays)
        cls: type[Function] = self.subject.thing
        parameters = [p for name, p in signature(cls.forward).parameters.items() if name != "self"]
        names = {p.name for p in parameters}
        last = max(
            (k for k, p in enumerate(parameters) if p.name in arrays and p.kind is not p.KEYWORD_ONLY), default=-1
        )
        inputs: list[str | None] = []
        args: list[Any] = []
        options: dict[str, Any] = {}
        for k, p in enumerate(parameters):
            if p.kind is p.VAR_POSITIONAL:
                extra = [name for name in arrays if name == p.name or name not in names]
                inputs += extra
                args += [arrays[name] for name in extra]
            elif p.kind is p.VAR_KEYWORD:
                continue
            elif p.kind is not p.KEYWORD_ONLY and k <= last:
                inputs.append(p.name if p.name in arrays else None)
                args.append(arrays.get(p.name, self.constants.get(p.name, p.default)))
            elif p.name in arrays or p.name in self.constants:
                options[p.name] = arrays.get(p.name, self.constants.get(p.name))
        differentiable = [name is not None and arrays[name].dtype.kind == "f" for name in inputs]
        self.given = [name for name, wanted in zip(inputs, differentiable, strict=True) if name and wanted]
        node = cls()
        node.needs = tuple(differentiable)
        labels = {e.label: e.name for e in self.case.equations if e.name}
        options = {name: v.copy() if isinstance(v, np.ndarray) else v for name, v in options.items()}
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]

        def call() -> tuple[Array, Any]:
            y = np.asarray(node.forward(*copies, **options))
            result = y.copy()
            node.out_shape, node.out_dtype = y.shape, y.dtype
            self.dy = np.asarray(rng.normal(size=y.shape))
            return result, node.backward(self.dy.copy()) if any(differentiable) else ()

        try:
            (y, gradients), seen = watch(self.subject, labels, call)
        except Exception as error:
            raise DerivationError(
                f"the code fails on inputs drawn by Symbols: {type(error).__name__}: {error}",
                self.case.symbols[0].at if self.case.symbols else (0, 0),
                self.scope.source,
            ) from error
        if not isinstance(gradients, tuple):
            gradients = (gradients,)
        found: dict[str, Array | None] = {}
        for k, name in enumerate(inputs):
            if name is not None and differentiable[k]:
                g = gradients[k] if k < len(gradients) else None
                found[name] = None if g is None else np.array(unbroadcast(np.asarray(g), arrays[name].shape))
        return Execution(y, found, seen, node)

    def topic(self, arrays: dict[str, Array]) -> Execution:
        """Run the function of a topic; it returns its results by name."""
        function = entry(self.subject.thing)
        known = {**self.constants, **arrays}
        inputs = {name: known[name] for name in signature(function).parameters if name in known}
        copies = {name: a.copy() if isinstance(a, np.ndarray) else a for name, a in inputs.items()}
        labels = {e.label: e.name for e in self.case.equations if e.name}
        try:
            returned, seen = watch(self.subject, labels, lambda: function(**copies))
        except Exception as error:
            at = self.case.symbols[0].at if self.case.symbols else (0, 0)
            problem = f"the code fails on inputs drawn by Symbols: {type(error).__name__}: {error}"
            raise DerivationError(problem, at, self.scope.source) from error
        for label, name in labels.items():
            if label.isdigit() and name in returned:
                seen[label] = [*seen.get(label, []), np.array(returned[name])]
        return Execution(None, {}, seen, None)

    # -- checking ------------------------------------------------------------------------------------------------------

    def check(self) -> list[Check]:
        """All numeric checks of the case."""
        found = list(self.checks(self.case))
        self.final = self.reached
        return found

    def mutant(self, old: Equation, new: Equation) -> Check | None:
        """The first check that fails when `old` is replaced by `new`; None if all pass. Needs `check` to have run.

        Lines that do not depend on the changed one keep their values; those that do are evaluated and checked again.
        """
        checks = self.checks(with_equation(self.case, old, new), since=new)
        return next((check for check in checks if not check.ok), None)

    def rounding(self, key: Key) -> float:
        """How far apart rounding may bring the two sides of a comparison of this case, from the size of its terms.

        The case is evaluated again with random errors at every operation (see `evaluate`). Where numbers cancel, or are
        divided by something small, the two sides move apart by as much as their own rounding is multiplied there.
        """
        if self._rounding is None:
            rng = np.random.default_rng(0)
            exact, *noisy = (self.gaps(noise) for noise in (None, *[rng] * SAMPLES))
            self._rounding = {}
            for place, gap in exact.items():
                moved = max(float(np.max(np.abs(gaps[place] - gap), initial=0)) for gaps in noisy)
                if np.all(np.isfinite(gap)):
                    self._rounding[place] = MARGIN / AMPLIFIED * moved if math.isfinite(moved) else math.inf
        return self._rounding.get(key, 0.0)

    def gaps(self, noise: np.random.Generator | None) -> dict[Key, Array]:
        """The difference of the two sides of every comparison."""
        found: dict[Key, Array] = {}
        self._gaps = found
        try:
            for _ in self.checks(self.case, noise=noise):
                pass
        finally:
            self._gaps = None
        return found

    def allowed(self, kind: str, equation: Equation, row: int, a: Array, b: Array) -> float:
        """The `difference` that two sides may have; rounding is measured only where it matters."""
        error = difference(a, b)
        if error <= TOLERANCE or math.isinf(error):
            return TOLERANCE
        return TOLERANCE + self.rounding((kind, equation.label, row)) / scale(a, b)

    def checks(
        self, case: Case, since: Equation | None = None, noise: np.random.Generator | None = None
    ) -> Iterator[Check]:
        mutated = case.forward is not self.case.forward
        scope = replace(self.scope.copy() if since is None else self.final.copy(), noise=noise)
        changed: set[str] = set()

        def affected(equation: Equation) -> bool:
            if since is None or equation is since:
                return True
            sides = equation.members if equation.defines else (equation.lhs, *equation.members)
            return any(isinstance(part, Ref) and part.name in changed for side in sides for part in walk(side))

        output = self.run.output
        scope.shapes = {} if output is None else {case.output: output.shape}
        for equation in case.steps:
            if not affected(equation):
                continue
            yield from self.chain(equation, scope, case)
            yield from self.code(equation, scope, case)
            if equation.defines:
                changed.add(equation.name)
                if equation.name == case.output and output is not None:
                    yield self.compare(
                        "output", case, equation, scope.variables[equation.name].data, output,
                        f"{equation.number} is not what the code's forward returns",
                    )  # fmt: skip
        before = {s.name for s in case.symbols if s.name in scope.variables} | {e.name for e in case.steps if e.defines}
        scope.shapes.update({f"d{name}": scope.variables[name].shape for name in before})
        if output is None:
            self.dy = np.ones(scope.variables[case.output].shape)
        scope.variables[f"d{case.output}"] = Variable(self.dy)
        forward = scope.copy()
        derived: set[str] = set()
        for equation in case.adjoints:
            name = equation.name[1:] if equation.name.startswith("d") and equation.defines else ""
            derived.add(name)
            if not affected(equation) and not mutated:
                continue
            yield from self.chain(equation, scope, case)
            if equation.defines:
                changed.add(equation.name)
            if name in before:
                truth = self.truth(name, case, forward, mutated)
                value = scope.variables[equation.name].data
                yield self.compare(
                    "adjoint", case, equation, value, truth,
                    f"{equation.number} {equation.name} is not the derivative of the loss with respect to {name}",
                )  # fmt: skip
                if name in self.run.gradients:
                    g = self.run.gradients[name]
                    yield self.compare(
                        "gradient", case, equation, value, np.zeros(value.shape) if g is None else g,
                        f"{equation.number} {equation.name} is not what the code's backward returns for {name}",
                    )  # fmt: skip
            yield from self.code(equation, scope, case)
        for name in self.given:
            if name not in derived:
                line = case.equations[-1].at[0]
                yield Check("adjoint", case.name, "", line, math.inf, f"Backward does not derive d{name}")
        if self._gaps is None:
            self.reached = scope

    def compare(
        self, kind: str, case: Case, equation: Equation, a: Array, b: Array, message: str, row: int = 0
    ) -> Check:
        row = row or equation.at[0]
        if self._gaps is not None:
            self._gaps[kind, equation.label, row] = a - b if a.shape == b.shape else np.asarray(math.nan)
            return Check(kind, case.name, equation.label, row, 0.0, message)
        error, allowed = difference(a, b), self.allowed(kind, equation, row, a, b)
        if a.shape != b.shape:
            message += f" (shapes {a.shape} and {b.shape})"
        elif error > allowed:
            message += f" (difference {error:.1e})"
        if error > allowed:
            for other in unchecked(case, equation, kind == "adjoint", self.compared):
                message += f"; or {other.number} on line {other.at[0]} is wrong, which nothing else checks"
        return Check(kind, case.name, equation.label, row, error, message, allowed)

    def chain(self, equation: Equation, scope: Scope, case: Case) -> Iterator[Check]:
        """Evaluate an equation into `scope`, and compare its members."""
        sizes = scope.extents(equation)
        members = [scope.variable(scope.value(m, sizes), equation.letters, sizes) for m in equation.members]
        if equation.defines:
            scope.variables[equation.name] = members[0]
            first = members[0].data
            finite = bool(np.all(np.isfinite(first)))
            yield Check(
                "define", case.name, equation.label, equation.rows[0], 0.0 if finite else math.inf,
                f"{equation.number} has values that are not finite",
            )  # fmt: skip
            rest = list(zip(members[1:], equation.rows[1:], strict=True))
        else:
            first = scope.variable(scope.value(equation.lhs, sizes), equation.letters, sizes).data
            rest = list(zip(members, equation.rows, strict=True))
        if self._gaps is not None:
            self._gaps["value", equation.label, equation.at[0]] = first
        for member, row in rest:
            yield self.compare(
                "chain",
                case,
                equation,
                member.data,
                first,
                f"{equation.number} is not equal to its left-hand side here",
                row,
            )

    def code(self, equation: Equation, scope: Scope, case: Case) -> Iterator[Check]:
        """The variable of the code, at the line that carries the equation's number."""
        copies = self.run.seen.get(equation.label)
        if not copies or not equation.name or equation.name not in scope.variables:
            if equation.coded and self.run.output is None:
                message = f"{equation.number} cannot be compared: no variable {equation.name} at its line of code"
                yield Check("code", case.name, equation.label, equation.at[0], math.inf, message)
            return
        wanted = scope.variables[equation.name].data
        held = copies[-1]
        if held.size == wanted.size:
            same = squeezed(held.shape) == squeezed(wanted.shape)
            # Code may hold the same numbers under another shape; whether it does is settled by the text as it stands.
            if not same and equation.label not in self.reshaped and self._gaps is None:
                sides = wanted, held.reshape(wanted.shape)
                if difference(*sides) <= self.allowed("code", equation, equation.at[0], *sides):
                    self.reshaped.add(equation.label)
            if same or equation.label in self.reshaped:
                self.compared.add(equation.label)
                yield self.compare(
                    "code", case, equation, wanted, held.reshape(wanted.shape),
                    f"{equation.number} is not what {equation.name} holds after the code line with that number",
                )  # fmt: skip
                return
        if self.run.output is None:
            message = f"{equation.number} has shape {wanted.shape}, but in the code {equation.name} has {held.shape}"
            yield Check("code", case.name, equation.label, equation.at[0], math.inf, message)

    def truth(self, name: str, case: Case, forward: Scope, mutated: bool) -> Array:
        """The derivative of sum(dy*y) with respect to a forward variable, by complex step through the later lines."""
        noisy = self._gaps is not None
        if not (mutated or noisy) and name in self.truths:
            return self.truths[name]
        value = forward.variables[name].data
        each = np.eye(value.size).reshape(value.size, *value.shape)
        scope = forward.copy(**{name: Variable(Holomorphic(value, each), batched=True)})
        start = next((k + 1 for k, e in enumerate(case.steps) if e.defines and e.name == name), 0)
        changed = {name}
        for equation in case.steps[start:]:
            if equation.defines and changed & {
                part.name for part in walk(equation.members[0]) if isinstance(part, Ref)
            }:
                scope.variables[equation.name] = scope.define(equation)
                changed.add(equation.name)
        y = scope.variables[case.output]
        if not y.batched:
            truth = np.zeros(value.shape) if name != case.output else self.dy
        else:
            slope = slopes(y.data)
            truth = np.sum(slope * self.dy, axis=tuple(range(1, slope.ndim))).reshape(value.shape)
        if not (mutated or noisy):
            self.truths[name] = truth
        return truth


def unchecked(case: Case, equation: Equation, all_forward: bool, compared: set[str]) -> list[Equation]:
    """The lines a failing equation rests on that no variable of the code, second member or truth speaks for."""
    defined = {e.name: e for e in case.equations if e.defines}
    queue = [part.name for m in (equation.lhs, *equation.members) for part in walk(m) if isinstance(part, Ref)]
    if all_forward:
        queue += [e.name for e in case.steps if e.defines]
    found: dict[str, Equation] = {}
    while queue:
        name = queue.pop()
        origin = defined.get(name)
        if origin is None or name in found or origin is equation:
            continue
        found[name] = origin
        queue += [part.name for m in origin.members for part in walk(m) if isinstance(part, Ref)]
    before = {e.name for e in case.steps} | {s.name for s in case.symbols}
    return [
        e
        for name, e in found.items()
        if e.label not in compared and len(e.members) == 1 and not (name.startswith("d") and name[1:] in before)
    ]


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def with_equation(case: Case, old: Equation, new: Equation) -> Case:
    """`case` with one equation replaced; sections without it stay the same object."""

    def swap(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(new if item is old else item for item in items) if any(item is old for item in items) else items

    return replace(case, forward=swap(case.forward), backward=swap(case.backward))
