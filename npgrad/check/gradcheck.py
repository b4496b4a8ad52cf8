"""gradcheck: is this backward rule the derivative of this forward rule?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npgrad.check.complex_step import complex_step, outputs
from npgrad.check.diagnosis import Evidence, likely_cause
from npgrad.check.errors import GradientError, KinkError, NotHolomorphicError
from npgrad.check.finite_difference import central_difference, evaluate
from npgrad.derivative import Point, gradients
from npgrad.engine.arrays import Array
from npgrad.engine.backward import reachable
from npgrad.engine.node import Node
from npgrad.engine.tensor import Tensor

__all__ = ["COMPLEX", "DIFFERENCES", "TOLERANCE", "TORCH", "Report", "gradcheck"]

COMPLEX, DIFFERENCES, TORCH = "complex step", "central differences", "torch"
TOLERANCE = {COMPLEX: 1e-12, DIFFERENCES: 1e-7, TORCH: 1e-11}
"""Largest error of a correct gradient for each oracle, relative to the largest entry of the gradient."""
_DETAIL = 2048


@dataclass(frozen=True)
class Report:
    """A passed check: for each oracle asked, the largest error found and the number of derivatives compared."""

    errors: dict[str, float] = field(default_factory=dict)
    compared: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return "gradient correct: " + ", ".join(
            f"{oracle} {error:.1e} ({self.compared[oracle]} derivatives)" for oracle, error in self.errors.items()
        )


def gradcheck(
    f: Any,
    inputs: Any,
    *,
    holomorphic: bool = True,
    torch: Callable[..., Any] | None = None,
    seed: int = 0,
    entries: int = 64,
) -> Report:
    """Compare the gradients that backward() gives for `f` with independent oracles; raise GradientError if they differ.

    `f` is any function of tensors that returns a tensor (or a tuple of them), or a Function class. `inputs` is one
    input or a sequence: floating-point arrays are differentiated (in float64, whatever their dtype), integers, Python
    numbers and None are passed on as they are. Leaf tensors, such as the parameters of a module, may also be used by
    an `f` that takes no arguments: `gradcheck(lambda: loss(model), list(model.parameters()))`.

    What is differentiated is sum(dy*f(inputs)) with dy drawn from `seed`: a plain sum would hide errors (the gradient
    of the sum of a softmax is zero, right or wrong). Inputs of up to `entries` entries are checked entry by entry,
    larger ones at as many random entries and along a random direction, which sees all of them.

    The oracles: the *complex step* (relative error at most 1e-12); *central differences* (1e-7); and, if `torch` is
    given, a function of torch tensors that computes the same thing, PyTorch (1e-11, values and gradients). A function
    that reads single numbers (float(x), np.median) has no complex step: `holomorphic=False` leaves the judgement to the
    others.

    Raises GradientError (an AssertionError) naming the input, the worst index, both values and a likely cause;
    KinkError at a point where f is not smooth; NotHolomorphicError if the complex step cannot judge f; ValueError if
    f is random.
    """
    point = Point(f, inputs, "gradcheck", numbers=False)
    # Not default_rng(seed) itself: inputs drawn from that would have the same numbers as dy, and hide a forgotten dy.
    rng = np.random.default_rng([seed, 0x6479])
    middle = evaluate(point, point.values)
    dys = [np.asarray(rng.normal(size=y.shape)) for y in middle]
    got = backward(point, dys, middle)
    oracles = [COMPLEX, DIFFERENCES] if holomorphic else [DIFFERENCES]
    report = Report(dict.fromkeys(oracles, 0.0), dict.fromkeys(oracles, 0))
    for k, g in enumerate(got):
        if g is not None and g.size:
            check_input(point, k, g, dys, middle, oracles, report, rng, entries)
    if torch is not None:
        check_torch(point, torch, got, dys, middle, report)
    return report


@contextmanager
def watching_dy(ys: list[Tensor]) -> Iterator[None]:
    """Inside, a rule below `ys` that writes into its dy raises GradientError."""

    def careful(node: Node) -> Callable[[Array], Any]:
        def backward(dy: Array) -> Any:
            before = dy.copy()
            found = type(node).backward(node, dy)
            if not np.array_equal(before, dy, equal_nan=True):
                raise GradientError(
                    f"backward of {node.describe()} wrote into dy, which other nodes may share: compute into an array "
                    "of its own."
                )
            return found

        return backward

    nodes = {node for y in ys if y._node is not None for node in reachable(y._node)}
    for node in nodes:
        setattr(node, "backward", careful(node))  # noqa: B010 (of the instance)
    try:
        yield
    finally:
        for node in nodes:
            del node.backward


def repeated(y: Array, again: Array) -> bool:
    """Whether two results are the same, up to the last digits, in which matrix products of other layouts differ."""
    if y.shape != again.shape:
        return False
    finite = np.isfinite(again)
    scale = np.max(np.abs(again[finite]), initial=0.0)
    return bool(np.allclose(y, again, rtol=0, atol=1e-13 * float(scale), equal_nan=True))


def backward(point: Point, dys: list[Array], middle: list[Array]) -> list[Array | None]:
    """The gradients by backward(), one for each input, None for those without; what must not change is watched."""
    given = [dy.copy() for dy in dys]
    with np.errstate(all="ignore"), point.at(point.values) as tensors:
        ys = outputs(point(tensors))
        if not all(repeated(y._array, m) for y, m in zip(ys, middle, strict=True)):
            raise ValueError(
                "the function gave two different results for the same inputs: seed its randomness inside it."
            )
        with watching_dy(ys):
            found = iter(gradients(ys, given, [t for t in tensors if t is not None]))
        for k, (t, x) in enumerate(zip(tensors, point.values, strict=True)):
            if t is not None and not np.array_equal(t._array, x, equal_nan=True):
                raise GradientError(f"forward or backward wrote into input {k}: compute into arrays of their own.")
        return [None if t is None else next(found) for t in tensors]


def directions(x: Array, entries: int, rng: np.random.Generator) -> Iterator[tuple[Array, int | None]]:
    """Unit vectors for single entries (with the flat index), and for large inputs one direction that moves them all."""
    if x.size > entries:
        v = rng.normal(size=x.shape)
        yield v / np.max(np.abs(v)), None
    chosen = range(x.size) if x.size <= entries else rng.choice(x.size, size=entries, replace=False)
    for i in chosen:
        v = np.zeros(x.shape)
        v.flat[i] = 1.0
        yield v, int(i)


def check_input(
    point: Point,
    k: int,
    g: Array,
    dys: list[Array],
    middle: list[Array],
    oracles: list[str],
    report: Report,
    rng: np.random.Generator,
    entries: int,
) -> None:
    """Compare the gradient of input k along several directions with the oracles."""
    x = point.values[k]
    if not np.all(np.isfinite(g)):
        raise GradientError(
            explain(point, k, g, dys, middle, oracles[0], float(np.max(np.abs(g[np.isfinite(g)]), initial=1.0)))
        )
    with np.errstate(all="ignore"):
        loss = sum(float(np.sum(np.abs(dy * y))) for dy, y in zip(dys, middle, strict=True))
    # Cancellation in f leaves errors that are small against what f could change by, not against its derivative.
    scale = 1e-3 * loss / max(1.0, float(np.max(np.abs(x)))) if np.isfinite(loss) else 0.0
    scale = max(scale, float(np.max(np.abs(g))))
    found: list[tuple[dict[str, float], float, float, int | None]] = []
    for v, i in directions(x, entries, rng):
        seen: dict[str, float] = {}
        for oracle in oracles:
            columns = ask(oracle, point, k, v, i, middle)
            terms = [dy * c for dy, c in zip(dys, columns, strict=True)]
            seen[oracle] = float(sum(np.sum(t) for t in terms))
            scale = max(scale, float(sum(np.sum(np.abs(t)) for t in terms))) if i is not None else scale
        mine = float(np.sum(g * v))
        # Along a dense direction many terms add up, and so does their rounding.
        found.append((seen, mine, 1.0 if i is not None else float(np.sum(np.abs(g * v))), i))
    # A gradient that vanishes up to rounding (the cross-entropy of one class) is measured by dy, the size of its terms.
    unit = max((float(np.max(np.abs(dy), initial=0.0)) for dy in dys), default=0.0)
    scale = scale if scale > 1e-15 * unit else max(unit, 1e-300)
    for seen, mine, terms_size, i in found:
        weight = 1.0 if i is not None else max(1.0, terms_size / scale)
        if COMPLEX in seen and not abs(seen[COMPLEX] - seen[DIFFERENCES]) <= 1e-6 * scale * weight:
            raise NotHolomorphicError(
                f"the function checked is not holomorphic in input {k}{place(x, i)}: the complex step says "
                f"{seen[COMPLEX]:.6g}, differences say {seen[DIFFERENCES]:.6g}. Something on the way loses or changes "
                "the imaginary part, as np.asarray(x) does before np.abs or np.maximum. Write it without, or judge it "
                "by central differences alone: gradcheck(…, holomorphic=False)."
            )
        for oracle, value in seen.items():
            error = abs(value - mine) / (scale * weight)
            report.compared[oracle] += 1
            if not error <= TOLERANCE[oracle]:
                raise GradientError(explain(point, k, g, dys, middle, oracle, scale))
            report.errors[oracle] = max(report.errors[oracle], error)


def ask(oracle: str, point: Point, k: int, v: Array, i: int | None, middle: list[Array]) -> list[Array]:
    """What one oracle says about the derivative of every output along v."""
    if oracle == COMPLEX:
        try:
            return complex_step(point, k, v)
        except TypeError as error:
            raise NotHolomorphicError(
                f"the complex step cannot judge this function: {error} Or judge it by central differences alone: "
                "gradcheck(…, holomorphic=False)."
            ) from error
    slopes, smooth = central_difference(point, k, v, middle)
    if not smooth:
        raise KinkError(
            f"the function is not smooth at input {k}{place(point.values[k], i)}: its slopes to the left and right "
            "disagree, so there is no gradient to compare with. Choose a point at least 1e-5 away from kinks and jumps "
            "(ties of a maximum, zeros of relu and abs, edges of a domain)."
        )
    return slopes


def explain(point: Point, k: int, g: Array, dys: list[Array], middle: list[Array], oracle: str, scale: float) -> str:
    """The message of a GradientError: the whole reference gradient is computed where that is affordable."""
    x = point.values[k]
    want = np.full(x.shape, np.nan)
    rng = np.random.default_rng(0)
    for i in range(x.size) if x.size <= _DETAIL else rng.choice(x.size, size=_DETAIL, replace=False):
        v = np.zeros(x.shape)
        v.flat[i] = 1.0
        want.flat[i] = sum(np.sum(dy * c) for dy, c in zip(dys, ask(oracle, point, k, v, int(i), middle), strict=True))
    return describe(point, k, g, want, dys, middle, oracle, TOLERANCE[oracle] * scale)


def describe(
    point: Point, k: int, g: Array, want: Array, dys: list[Array], middle: list[Array], oracle: str, tolerance: float
) -> str:
    error = np.where(np.isnan(want), 0.0, np.where(np.isnan(g), np.inf, np.abs(g - want)))
    worst = int(np.argmax(error))
    wrong = int(np.count_nonzero(error > tolerance))
    evidence = Evidence(g, want, tolerance, k, point.values, middle, dys)
    return (
        f"wrong gradient of input {k} (shape {g.shape}){place(g, worst)}: backward gives {g.flat[worst]:.8g}, "
        f"{oracle} {want.flat[worst]:.8g}; {wrong} of {g.size} entries are wrong. "
        f"Likely cause: {likely_cause(evidence)}."
    )


def place(x: Array, i: int | None) -> str:
    if i is None or x.ndim == 0:
        return ""
    return f" at [{', '.join(str(int(n)) for n in np.unravel_index(i, x.shape))}]"


def check_torch(
    point: Point, f: Callable[..., Any], got: list[Array | None], dys: list[Array], middle: list[Array], report: Report
) -> None:
    """Compare values and gradients with those of PyTorch, for a function `f` of torch tensors."""
    import torch

    tensors = [
        torch.tensor(x, requires_grad=g is not None) if isinstance(x, np.ndarray) else x
        for x, g in zip([getattr(x, "_array", x) for x in point.values], got, strict=True)
    ]
    result = f(*tensors) if point.arguments else f()
    ys = list(result) if isinstance(result, tuple | list) else [result]
    report.errors[TORCH], report.compared[TORCH] = 0.0, 0
    for j, (y, mine) in enumerate(zip(ys, middle, strict=True)):
        theirs = y.detach().numpy()
        if theirs.shape != mine.shape:
            raise GradientError(f"the value has shape {mine.shape}, torch's has shape {theirs.shape}.")
        size = max(float(np.max(np.abs(mine), initial=0.0)), 1e-300)
        error = float(np.max(np.abs(theirs - mine), initial=0.0)) / size
        if not error <= TOLERANCE[TORCH]:
            raise GradientError(
                f"output {j} differs from torch's by {error:.1e} of its size: the *forward* rules differ."
            )
        report.errors[TORCH] = max(report.errors[TORCH], error)
    live = [(y, torch.tensor(dy)) for y, dy in zip(ys, dys, strict=True) if y.requires_grad]
    if live:
        torch.autograd.backward([y for y, _ in live], [dy for _, dy in live])
    for k, (t, g) in enumerate(zip(tensors, got, strict=True)):
        if g is None or not g.size:
            continue
        want = np.zeros(g.shape) if t.grad is None else t.grad.numpy()
        loss = sum(float(np.sum(np.abs(dy * y))) for dy, y in zip(dys, middle, strict=True))
        floor = 1e-3 * loss / max(1.0, float(np.max(np.abs(point.values[k]))))
        # torch rounds where terms cancel: an error that is nothing beside dy is torch's.
        unit = max((float(np.max(np.abs(dy), initial=0.0)) for dy in dys), default=0.0)
        scale = max(float(np.max(np.abs(want))), floor, 1e-2 * unit, 1e-300)
        error = float(np.max(np.abs(g - want))) / scale
        report.compared[TORCH] += g.size
        if not error <= TOLERANCE[TORCH]:
            raise GradientError(describe(point, k, g, want, dys, middle, TORCH, TOLERANCE[TORCH] * scale))
        report.errors[TORCH] = max(report.errors[TORCH], error)
