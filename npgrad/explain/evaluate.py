"""Evaluating expressions: an index letter is a named axis.

A value is an array together with the letters its axes belong to, sorted. Two values meet by lining up equal letters; a
reduction removes a letter; an element access gives its letters to the axes of a variable. Because axes have names, one
more of them, `@`, costs nothing: along it a variable is perturbed in all its elements at once, one per entry, which
gives every derivative of the lines that follow in a single evaluation (`truth` in `verify`).

The same code evaluates real arrays and `Holomorphic` ones, for the complex step.

With `noise`, every operation that rounds gets a random relative error of up to `NOISE`: how far a result moves says how
much rounding it carries (Monte Carlo arithmetic: Parker 1997, "Monte Carlo Arithmetic", UCLA CSD-970002).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgrad.engine.holomorphic import Holomorphic, slopes, values
from npgrad.explain.derivation import Equation
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
    Source,
    children,
)

__all__ = ["AMPLIFIED", "Scope", "Value", "Variable"]

Array = NDArray[Any]
DIRECTIONS = "@"
AMPLIFIED = 1024
"""How many times larger than rounding the errors that `noise` makes are, so that they stand out from it."""
NOISE = AMPLIFIED * float(np.finfo(float).eps)


@dataclass(frozen=True)
class Variable:
    """A named array of the derivation. `batched`: its first axis is `@`, one entry per perturbed element."""

    data: Array
    batched: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape[1:] if self.batched else self.data.shape


@dataclass(frozen=True)
class Value:
    """An array whose axes are named, in sorted order."""

    axes: tuple[str, ...]
    data: Array

    def along(self, axes: tuple[str, ...]) -> Array:
        """The array with an axis for each of `axes` (sorted, a superset of its own), of length 1 where it has none."""
        if axes == self.axes:
            return self.data
        lengths = dict(zip(self.axes, self.data.shape, strict=True))
        return self.data.reshape([lengths.get(axis, 1) for axis in axes])


def union(named: Iterable[Value]) -> tuple[str, ...]:
    first, *rest = [v.axes for v in named]
    if all(axes == first for axes in rest):
        return first
    return tuple(sorted(set(first).union(*rest)))


def combine(function: Callable[..., Any], *named: Value) -> Value:
    axes = union(named)
    return Value(axes, np.asanyarray(function(*[v.along(axes) for v in named])))


def _erf(x: Array) -> Array:
    y = np.array([math.erf(v) for v in np.ravel(values(x))]).reshape(np.shape(x))
    return (
        Holomorphic(y, slopes(x) * (2 / math.sqrt(math.pi)) * np.exp(-(values(x) ** 2))) if x.dtype.kind == "c" else y
    )


def _sigmoid(x: Array) -> Array:
    return np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))


_ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan")},
    **{name: getattr(np, name) for name in ("tanh", "sinh", "cosh", "arcsin", "arccos", "arctan")},
    "sigmoid": _sigmoid,
    "erf": _erf,
    **{name: getattr(np, name) for name in ("abs", "sign", "floor", "maximum", "minimum", "where")},
}
_SELECTING = ("abs", "sign", "floor", "maximum", "minimum", "where", "max", "min")
_REDUCED: dict[str, Callable[..., Any]] = {name: getattr(np, name) for name in ("sum", "mean", "prod", "max", "min")}
_COMPARISONS: dict[str, Callable[..., Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.true_divide,
    "//": np.floor_divide,
    "%": np.mod,
}


def _power(a: Array, b: Array) -> Array:
    if a.dtype.kind in "iub" and b.dtype.kind in "iub" and np.any(np.asarray(b) < 0):
        a = a.astype(float)
    return np.asanyarray(np.power(a, b))


@dataclass
class Scope:
    """The variables and index sizes an equation is evaluated with."""

    variables: dict[str, Variable]
    sizes: dict[str, int]
    """How many values the letters of Symbols take."""
    source: Source
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Shapes known in advance for names on the left (gradients have the shape of what they belong to)."""
    noise: np.random.Generator | None = None

    def fail(self, problem: str, node: Node) -> DerivationError:
        return DerivationError(problem, node.at, self.source)

    def copy(self, **variables: Variable) -> Scope:
        return replace(self, variables={**self.variables, **variables})

    # -- how many values an index takes --------------------------------------------------------------------------------

    def extents(self, equation: Equation) -> dict[str, int]:
        """The size of every letter on the left of `equation`."""
        known: dict[str, int] = {}
        letters = equation.letters
        shape = self.shapes.get(equation.name)
        if shape is None and equation.name in self.variables:
            shape = self.variables[equation.name].shape
        if equation.defines and shape is not None and len(shape) != len(letters):
            raise self.fail(
                f"{equation.name} has {len(letters)} ind{'ex' if len(letters) == 1 else 'ices'} here, but "
                f"{len(shape)} ax{'is' if len(shape) == 1 else 'es'}: its shape is {shape}",
                equation.lhs,
            )
        for k, letter in enumerate(letters):
            if equation.defines and shape is not None:
                known[letter] = shape[k]
                if self.sizes.get(letter, shape[k]) != shape[k]:
                    raise self.fail(
                        f"index {letter} takes {self.sizes[letter]} values, "
                        f"but axis {k} of {equation.name} has {shape[k]}",
                        equation.lhs,
                    )
        missing = [letter for letter in letters if letter not in known]
        for letter in missing:
            size = self.extent(letter, (equation.lhs, *equation.members), known)
            if size is None:
                raise self.fail(
                    f"nothing says how many values index {letter} takes; declare 'size({letter}) = …' in Symbols",
                    equation.lhs,
                )
            known[letter] = size
        return known

    def extent(self, letter: str, nodes: Iterable[Node], bound: Mapping[str, int]) -> int | None:
        """The size of `letter`: declared, or that of the axes it runs along, or of what a delta compares it with."""
        if letter in self.sizes:
            return self.sizes[letter]
        partner: int | None = None
        for node in nodes:
            for use in uses(node, letter):
                if isinstance(use, Ref):
                    if use.name in self.variables and len(self.variables[use.name].shape) == len(use.indices):
                        for k, index in enumerate(use.indices):
                            if index == Index(letter):
                                return self.variables[use.name].shape[k]
                elif isinstance(use, Delta):
                    other = use.right if use.left == Index(letter) else use.left
                    if isinstance(other, Index):
                        partner = bound.get(other.name, self.sizes.get(other.name, partner))
        return partner

    # -- evaluation ----------------------------------------------------------------------------------------------------

    def define(self, equation: Equation, node: Node | None = None) -> Variable:
        """The value of the left-hand side, from its first member (or from `node`), as an array over its letters."""
        sizes = self.extents(equation)
        return self.variable(self.value(node or equation.members[0], sizes), equation.letters, sizes)

    def variable(self, value: Value, letters: tuple[str, ...], sizes: Mapping[str, int]) -> Variable:
        batched = DIRECTIONS in value.axes
        order = ((DIRECTIONS,) if batched else ()) + letters
        full = tuple(sorted(order))
        lengths = {**sizes, **dict(zip(value.axes, value.data.shape, strict=True))}
        data = np.broadcast_to(value.along(full), [lengths[axis] for axis in full])
        return Variable(
            data.transpose([full.index(axis) for axis in order]).copy(),
            batched,
        )

    def value(self, node: Node, sizes: Mapping[str, int]) -> Value:
        """The value of an expression in which the letters of `sizes` are free."""
        with np.errstate(all="ignore"):
            return self._value(node, sizes)

    def _value(self, node: Node, sizes: Mapping[str, int]) -> Value:
        match node:
            case Number():
                return Value((), np.asarray(node.value))
            case Index():
                return Value((node.name,), np.arange(sizes[node.name]))
            case Ref():
                return self.element(node, sizes)
            case Neg():
                inner = self._value(node.operand, sizes)
                return Value(inner.axes, np.asanyarray(np.negative(inner.data)))
            case Binary():
                left, right = self._value(node.left, sizes), self._value(node.right, sizes)
                return self.rounded(combine(_power if node.op == "**" else _ARITHMETIC[node.op], left, right))
            case Compare():
                parts = [self.exactly(operand, sizes) for operand in node.operands]
                found = Value((), np.asarray(1))
                for op, left, right in zip(node.ops, parts, parts[1:], strict=False):
                    held = combine(lambda a, b, op=op: _COMPARISONS[op](a, b).astype(int), left, right)
                    found = combine(np.multiply, found, held)
                return found
            case Delta():
                left, right = self.exactly(node.left, sizes), self.exactly(node.right, sizes)
                return combine(lambda a, b: np.equal(a, b).astype(int), left, right)
            case Call():
                value = combine(_ELEMENTWISE[node.function], *[self._value(a, sizes) for a in node.args])
                return value if node.function in _SELECTING else self.rounded(value)
            case Size():
                size = sizes.get(node.letter, self.sizes.get(node.letter))
                if size is None:
                    raise self.fail(f"nothing says how many values index {node.letter} takes", node)
                return Value((), np.asarray(size))
            case Reduce():
                return self.reduce(node, sizes)
        raise TypeError(f"not an expression: {node!r}")

    def rounded(self, value: Value) -> Value:
        """The value with the error that `noise` asks for; integers are exact."""
        data = value.data
        if self.noise is None or data.dtype.kind not in "fc":
            return value
        error = 1 + self.noise.uniform(-NOISE, NOISE, (2, *data.shape))
        if isinstance(data, Holomorphic):
            return Value(value.axes, Holomorphic(data.value * error[0], data.slope * error[1]))
        return Value(value.axes, np.asarray(data * error[0]))

    def exactly(self, node: Node, sizes: Mapping[str, int]) -> Value:
        """The value without noise of its own: of an index, or of what is compared and must stay equal."""
        return (self if self.noise is None else replace(self, noise=None))._value(node, sizes)

    def reduce(self, node: Reduce, sizes: Mapping[str, int]) -> Value:
        inside = dict(sizes)
        for letter in node.letters:
            inside.pop(letter, None)
        for letter in node.letters:
            size = self.extent(letter, (node.body,), inside)
            if size is None:
                size = sizes.get(letter)
            if size is None:
                raise self.fail(
                    f"nothing says how many values index {letter} takes; declare 'size({letter}) = …' in Symbols", node
                )
            inside[letter] = size
        value = self._value(node.body, inside)
        for letter in node.letters:
            value = self.reduce_one(node.kind, letter, inside[letter], value)
        return value

    def reduce_one(self, kind: str, letter: str, size: int, value: Value) -> Value:
        if letter not in value.axes:
            value = Value((*value.axes, letter), np.broadcast_to(value.data[..., None], (*value.data.shape, size)))
            value = Value(tuple(sorted(value.axes)), value.data.transpose(np.argsort(value.axes)))
        axis = value.axes.index(letter)
        rest = value.axes[:axis] + value.axes[axis + 1 :]
        reduced = Value(rest, np.asanyarray(_REDUCED[kind](value.data, axis=axis)))
        if self.noise is None or kind in _SELECTING:
            return reduced
        # The terms carry noise too: a sum that cancels rounds as its terms do.
        return self.rounded(Value(rest, np.asanyarray(_REDUCED[kind](self.rounded(value).data, axis=axis))))

    def element(self, node: Ref, sizes: Mapping[str, int]) -> Value:
        variable = self.variables.get(node.name)
        if variable is None:
            raise self.fail(f"{node.name!r} has no value here", node)
        shape = variable.shape
        if len(shape) != len(node.indices):
            raise self.fail(
                f"{node.name} has {len(node.indices)} ind{'ex' if len(node.indices) == 1 else 'ices'} here, but "
                f"{len(shape)} ax{'is' if len(shape) == 1 else 'es'}",
                node,
            )
        first = (DIRECTIONS,) if variable.batched else ()
        names = [index.name for index in node.indices if isinstance(index, Index)]
        if len(names) == len(shape) and len(set(names)) == len(names):
            for k, name in enumerate(names):
                if sizes[name] > shape[k]:
                    raise self.fail(
                        f"index {name} takes {sizes[name]} values, but axis {k} of {node.name} has {shape[k]}", node
                    )
            axes = (*first, *names)
            order = sorted(range(len(axes)), key=axes.__getitem__)
            data = variable.data
            if any(sizes[name] < n for name, n in zip(names, shape, strict=True)):
                # An index may run along the first part of a longer axis, as in the gradient of a concatenation.
                data = data[(*(slice(None) for _ in first), *(slice(sizes[name]) for name in names))]
            return Value(tuple(axes[k] for k in order), data.transpose(order))
        return self.gather(node, variable, sizes)

    def gather(self, node: Ref, variable: Variable, sizes: Mapping[str, int]) -> Value:
        """Elements at computed places; a place outside the array holds 0, as padding does."""
        places = []
        for index in node.indices:
            place = self.exactly(index, sizes)
            if DIRECTIONS in place.axes:
                raise self.fail("an index must not depend on a differentiated variable", index)
            places.append(place)
        axes = union(places)
        inside: Any = True
        grids = []
        for place, n, index in zip(places, variable.shape, node.indices, strict=True):
            grid: Any = place.along(axes)
            if grid.dtype.kind == "f":
                if np.any(grid != np.round(grid)):
                    raise self.fail("an index must be an integer", index)
                grid = grid.astype(int)
            held = (grid >= 0) & (grid < n)
            if not place.axes and not np.all(held):
                raise self.fail(f"there is no place {grid.item()} on an axis of {n}", index)
            inside = inside & held
            grids.append(np.clip(grid, 0, max(n - 1, 0)))
        shape = np.broadcast_shapes(*(g.shape for g in grids))
        grids = [np.broadcast_to(g, shape) for g in grids]
        data = variable.data[(slice(None), *grids)] if variable.batched else variable.data[tuple(grids)]
        if not np.all(inside):
            data = np.where(inside, data, 0)
        return Value(((DIRECTIONS,) if variable.batched else ()) + axes, np.asanyarray(data))


def uses(node: Node, letter: str) -> Iterator[Node]:
    """Element accesses and deltas in which `letter` stands alone as an index, not bound by an inner reduction."""
    if isinstance(node, Reduce) and letter in node.letters:
        return
    own = node.indices if isinstance(node, Ref) else (node.left, node.right) if isinstance(node, Delta) else ()
    if Index(letter) in own:
        yield node
    for child in children(node):
        yield from uses(child, letter)
