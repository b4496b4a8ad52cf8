"""Random inputs as Symbols describes them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgrad.explain.derivation import Case, Symbol
from npgrad.explain.evaluate import Scope
from npgrad.explain.syntax import Index, Node, walk

__all__ = ["axis_length", "draw_array", "draw_sizes", "evaluate_value", "letters_of"]

Array = NDArray[Any]


def letters_of(case: Case) -> list[str]:
    """Index letters that Symbols gives sizes to, in order of appearance."""
    found: dict[str, None] = {}
    for symbol in case.symbols:
        nodes = [*symbol.axes, *([symbol.domain[1]] if symbol.domain and symbol.domain[0] == "index" else [])]
        for node in nodes:
            for part in walk(node):
                if isinstance(part, Index):
                    found[part.name] = None
    return list(found)


def draw_sizes(case: Case, rng: np.random.Generator, largest: int) -> dict[str, int]:
    """Sizes from 2 up, distinct as long as there are few letters, so that a swapped index does not fit."""
    declared = {s.name for s in case.symbols if s.kind == "size"}
    letters = [letter for letter in letters_of(case) if letter not in declared]
    if len(letters) > 4:
        return {letter: int(rng.integers(2, min(largest, 3) + 1)) for letter in letters}
    pool = list(range(2, max(largest, 2) + 1)) + ([5] if len(letters) == 4 and largest >= 4 else [])
    pool = pool * (1 + len(letters) // len(pool))
    return dict(zip(letters, (int(n) for n in rng.permutation(pool)), strict=False))


def evaluate_value(value: Any, scope: Scope) -> Any:
    """A constant of Symbols as a Python object."""
    if isinstance(value, Node):
        return scope.value(value, {}).data.item()
    if isinstance(value, tuple | list):
        return type(value)(evaluate_value(part, scope) for part in value)
    if isinstance(value, slice):
        return slice(*(evaluate_value(part, scope) for part in (value.start, value.stop, value.step)))
    return value


def axis_length(axis: Node, scope: Scope) -> int:
    """How long an axis must be for every place that its index expression names."""
    if isinstance(axis, Index):
        return scope.sizes[axis.name]
    letters = {part.name: scope.sizes[part.name] for part in walk(axis) if isinstance(part, Index)}
    return int(np.max(scope.value(axis, letters).data)) + 1


def draw_array(symbol: Symbol, shape: tuple[int, ...], scope: Scope, rng: np.random.Generator) -> Array:
    kind: str
    bound: Any
    kind, bound = symbol.domain or ("", None)
    if kind == "index":
        high = scope.sizes[bound.name] if isinstance(bound, Index) else evaluate_value(bound, scope)
        return np.asarray(rng.integers(0, high, size=shape))
    if kind == "choice":
        return np.asarray(np.array(bound)[rng.integers(0, len(bound), size=shape)])
    if kind == "away":
        return np.asarray(rng.uniform(0.2, 2.0, size=shape) * rng.choice([-1.0, 1.0], size=shape))
    if kind == "definite":
        b = rng.normal(size=shape)
        return np.asarray(b @ b.swapaxes(-1, -2) + np.eye(shape[-1]))
    if kind == "interval":
        low, high = bound
        if math.isinf(high):
            return np.asarray(low + rng.uniform(0.3, 2.0, size=shape))
        if math.isinf(low):
            return np.asarray(high - rng.uniform(0.3, 2.0, size=shape))
        margin = 0.03 * (high - low)
        return np.asarray(rng.uniform(low + margin, high - margin, size=shape))
    return np.asarray(rng.normal(size=shape))
