"""The first NaN or infinity of a run: which Function made it, where, from what, and why most likely.

    with npgrad.diagnose.nonfinite(model):
        for x, y in batches:
            step(x, y)                      # compiled or not

    NonFiniteError: Log in layer "head", forward, gave 1 of 32 values that are not finite
       line     train.py:41, step 12
       ...

Inside, every Function is looked at, forward and backward, so compiled steps run eagerly. An infinity that was put in on
purpose, as a mask is, is not reported: only what *becomes* infinite or NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from npgrad.diagnose.watching import Watching, users_line
from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.mode import switch
from npgrad.engine.node import Leaf
from npgrad.nn import Module
from npgrad.optim import Optimizer

__all__ = ["Ingredient", "NonFinite", "NonFiniteError", "nonfinite"]


@dataclass(frozen=True)
class Ingredient:
    """One array that went in."""

    name: str
    shape: tuple[int, ...]
    low: float
    high: float
    zeros: float
    """The share of zeros."""
    bad: float
    """The share of entries that are not finite."""
    largest: tuple[float, ...]
    """The largest values by size, of the finite ones."""

    @classmethod
    def of(cls, name: str, a: Array) -> Ingredient:
        flat = np.asarray(a).ravel()
        finite = flat[np.isfinite(flat)].astype(np.float64)
        top = finite[np.argsort(-np.abs(finite))[:3]] if finite.size else finite
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
        size = max(flat.size, 1)
        return cls(
            name,
            np.shape(a),
            low,
            high,
            float((flat == 0).sum() / size),
            float(1 - finite.size / size),
            tuple(top.tolist()),
        )

    def __str__(self) -> str:
        text = f"{self.name} {self.shape}: {self.low:.3g} to {self.high:.3g}, {self.zeros:.0%} zeros"
        if self.bad:
            text += f", {self.bad:.0%} not finite"
        return text + (f", largest {', '.join(f'{v:.3g}' for v in self.largest)}" if self.largest else "")


@dataclass(frozen=True)
class NonFinite:
    """The first bad value."""

    function: str
    layer: str | None
    """The module by its name; None outside of the model."""
    direction: str
    """"forward", "backward" or "update"."""
    line: str | None
    """`file:line` of the user's code."""
    step: int
    """How many updates had been made before, counted from `start`."""
    bad: int
    size: int
    inputs: tuple[Ingredient, ...]
    cause: str

    def __str__(self) -> str:
        layer = f' in layer "{self.layer}"' if self.layer else ""
        lines = [
            f"{self.function}{layer}, {self.direction}, gave {self.bad} of {self.size} values that are not finite",
            f"   line     {self.line or 'unknown'}, step {self.step}",
            *[f"   {'went in' if k == 0 else '       '}  {ingredient}" for k, ingredient in enumerate(self.inputs)],
            f"   likely   {self.cause}",
        ]
        return "\n".join(lines)


class NonFiniteError(FloatingPointError):
    """Raised where the first bad value arises; `found` says what is known of it."""

    def __init__(self, found: NonFinite) -> None:
        super().__init__(str(found))
        self.found = found


class nonfinite(Watching):
    """Inside the `with`, the first NaN or infinity that arises raises NonFiniteError, or is kept in `found`.

    `stop=False` lets the run go on. Steps are counted from `start` by the optimiser's updates. Layers have names if
    `model` is given.
    """

    def __init__(self, model: Module | None = None, *, stop: bool = True, start: int = 0) -> None:
        super().__init__(model)
        self.stop, self.start = stop, start
        self.found: NonFinite | None = None
        self._names = {} if model is None else {id(p._leaf()): name for name, p in model.named_parameters()}
        self._begin = {} if model is None else {name: _size(p._array) for name, p in model.named_parameters()}
        self._model = model
        self._where: WeakKeyDictionary[Function, tuple[str | None, str | None, list[Any]]] = WeakKeyDictionary()
        self._mode: list[switch] = []

    def __enter__(self) -> nonfinite:
        mode = self.on()
        mode.__enter__()
        self._mode.append(mode)
        return self

    def __exit__(self, *error: object) -> None:
        self._mode.pop().__exit__(*error)

    def forward_seen(
        self, node: Function, arrays: list[Any], options: dict[str, Any], leaves: tuple[Leaf, ...], y: Array
    ) -> None:
        if self.found is not None:
            return
        if node.needs:
            self._where[node] = (self.layer(), users_line(), arrays)
        if _finite(y) and not any(_float(leaf.storage.array) and np.isnan(leaf.storage.array).any() for leaf in leaves):
            return
        name = type(node).__name__
        spoilt = [leaf for leaf in leaves if id(leaf) in self._names and not _finite(leaf.storage.array)]
        if spoilt:
            leaf = spoilt[0]
            self._report(
                "the optimiser's step" if self.updates else "the first value",
                self._names[id(leaf)].rpartition(".")[0] or None,
                "update" if self.updates else "start",
                users_line(),
                self.start + max(self.updates - 1, 0),
                leaf.storage.array,
                [(self._names[id(leaf)], leaf.storage.array)],
                f"{self._names[id(leaf)]} is not finite: "
                + (
                    "the update was: a gradient or a learning rate too large"
                    if self.updates
                    else "it was so from the start"
                ),
            )
            return
        given = [(f"input {k}", a) for k, a in enumerate(arrays) if _float(a)]
        plain = [(label, a) for label, a in given if np.isnan(a).any()]
        if plain:
            outside = "the data have NaN in them" if leaves else "a NaN came from outside of what was watched"
            self._report(name, self.layer(), "forward", users_line(), self.start + self.updates, y, plain[:1], outside)
            return
        arisen = not np.isnan(y).any() if any(not _finite(a) for _, a in given) else False
        if _finite(y) or arisen:
            return
        self._report(
            name,
            self.layer(),
            "forward",
            users_line(),
            self.start + self.updates,
            y,
            given,
            self._cause(name, [a for _, a in given], y, options, "forward"),
        )

    def backward_seen(self, node: Function, dy: Array, gradients: tuple[Any, ...]) -> None:
        layer, line, arrays = self._where.pop(node, (None, None, []))
        if self.found is not None or not _finite(dy):
            return
        bad = next((g for g in gradients if g is not None and not _finite(g)), None)
        if bad is None:
            return
        name = type(node).__name__
        given = [(f"input {k}", a) for k, a in enumerate(arrays) if _float(a)]
        self._report(
            name,
            layer,
            "backward",
            line,
            self.start + self.updates,
            np.asarray(bad),
            [("dy", dy), *given],
            self._cause(name, [a for _, a in given], np.asarray(bad), {}, "backward"),
        )

    def update_seen(self, optimizer: Optimizer, group: dict[str, Any], parameters: list[Any]) -> None:
        self._where.clear()

    def check(self) -> NonFinite | None:
        """Look at the parameters themselves, which the last update may have spoilt; what is found, if anything."""
        if self.found is None and self._model is not None:
            for name, p in self._model.named_parameters():
                if not _finite(p._array):
                    self._report(
                        "the optimiser's step",
                        name.rpartition(".")[0] or None,
                        "update",
                        users_line(),
                        self.start + max(self.updates - 1, 0),
                        p._array,
                        [(name, p._array)],
                        f"{name} is not finite: a gradient or a learning rate too large",
                    )
                    break
        return self.found

    def _report(
        self,
        function: str,
        layer: str | None,
        direction: str,
        line: str | None,
        step: int,
        y: Array,
        inputs: list[tuple[str, Any]],
        cause: str,
    ) -> None:
        bad = int(np.asarray(~np.isfinite(y)).sum())
        self._where.clear()
        made = tuple(Ingredient.of(name, np.asarray(a)) for name, a in inputs)
        self.found = NonFinite(function, layer, direction, line, step, bad, y.size, made, cause)
        if self.stop:
            raise NonFiniteError(self.found)

    def _cause(self, name: str, arrays: list[Any], y: Array, options: dict[str, Any], direction: str) -> str:
        """What most likely made the bad value."""
        last = np.asarray(arrays[-1]) if arrays else np.zeros(0)
        first = np.asarray(arrays[0]) if arrays else np.zeros(0)
        largest = max((float(np.abs(a[np.isfinite(a)]).max(initial=0)) for a in map(np.asarray, arrays)), default=0.0)
        back = direction == "backward"
        if name == "Log":
            if (first < 0).any():
                return f"log of {int((first < 0).sum())} negative numbers"
            return (
                "1/x of a number too small in the gradient of log"
                if back
                else f"log of 0, {int((first == 0).sum())} times"
            )
        if name == "Log1p":
            return "log1p of −1 or less"
        if name in ("Exp", "Expm1"):
            return (
                f"overflow of exp: its largest input is {float(first.max()):.3g}, "
                f"{np.log(np.finfo(y.dtype).max):.0f} is the limit"
            )
        if name == "Sqrt":
            return "1/(2√x) at 0 in the gradient of sqrt: add an eps" if back else "square root of a negative number"
        if name in ("Div", "Divide", "TrueDivide", "Reciprocal"):
            zeros = int((last == 0).sum())
            if zeros:
                return ("0/0" if np.isnan(y).any() else "division by 0") + f", {zeros} divisors are 0: add an eps"
            return "division by a number too small: its square is 0" if back else "division by a number too small"
        if name in ("Pow", "Power"):
            return (
                "0 to a negative power, or a negative number to a fraction"
                if not back
                else "the gradient of a power at 0"
            )
        if name in ("BatchNorm", "BatchNormInference", "LayerNorm", "GroupNorm", "Std", "Var", "Norm"):
            return "0/0 in a norm: a variance of 0 and an eps of 0" if largest < 1e15 else "overflow of a variance"
        grown = self._grown()
        if grown is not None:
            return f"the learning rate: {grown[0]} has grown {grown[1]:.0e} times since the start"
        if largest > 1e15:
            return f"values have grown to {largest:.1e}: a learning rate too high, or weights too large for the depth"
        if not all(_finite(a) for a in arrays):
            return "infinities that went in: inf − inf or 0·inf"
        return "not one of the known ones; what went in is above"

    def _grown(self) -> tuple[str, float] | None:
        if self._model is None or not self.updates:
            return None
        ratios = {n: _size(p._array) / self._begin[n] for n, p in self._model.named_parameters() if self._begin.get(n)}
        worst = max(ratios, key=lambda n: ratios[n], default=None)
        return (worst, ratios[worst]) if worst is not None and ratios[worst] > 100 else None


def _float(a: Any) -> bool:
    return isinstance(a, np.ndarray | np.generic | float) and np.asarray(a).dtype.kind == "f"


def _finite(a: Any) -> bool:
    return not _float(a) or bool(np.isfinite(a).all())


def _size(a: Array) -> float:
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.mean(np.square(a, dtype=np.float64))))
