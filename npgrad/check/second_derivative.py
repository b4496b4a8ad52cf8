"""Does the complex step go through a backward rule too? Then, and only then, `npgrad.hvp` through it is exact."""

from __future__ import annotations

from typing import Any

import numpy as np

import npgrad.functions as F
from npgrad.check.complex_step import outputs
from npgrad.check.errors import GradientError
from npgrad.check.finite_difference import evaluate
from npgrad.derivative import Point, gradients, hvp
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor

__all__ = ["hvpcheck"]

_TOLERANCE = 1e-6
_STEP = 1e-4


def hvpcheck(f: Any, inputs: Any, *, seed: int = 0) -> float:
    """Compare hvp of sum(dy*f(inputs)) along a random direction with central differences of its gradient.

    A wrong result has one of two causes: the gradient itself is wrong (`gradcheck` finds that), or backward has the
    right value but not its derivative, since it rounds it, looks it up or goes through np.asarray. Returns the largest
    error relative to the size of the second derivatives; raises GradientError if it exceeds 1e-6.
    """
    point = Point(f, inputs, "hvpcheck", numbers=False)
    rng = np.random.default_rng([seed, 0x687670])
    dys = [np.asarray(rng.normal(size=y.shape)) for y in evaluate(point, point.values)]
    vs = [
        None if t is None else np.asarray(rng.uniform(-1, 1, size=x.shape))
        for x, t in zip(point.values, point.dtypes, strict=True)
    ]

    def loss(*tensors: Tensor) -> Any:
        total: Any = 0.0
        for y, dy in zip(outputs(point.f(*tensors)), dys, strict=True):
            total = total + F.sum(F.mul(y, dy))
        return total

    def gradient(s: float) -> list[Array]:
        moved = [x if v is None else x + s * v for x, v in zip(point.values, vs, strict=True)]
        with np.errstate(all="ignore"), point.at(moved) as tensors:
            return gradients(outputs(point(tensors)), dys, [t for t in tensors if t is not None])

    with np.errstate(all="ignore"):
        found = hvp(loss if point.arguments else lambda: loss(), list(point.inputs), vs)
    h = _STEP
    plus, minus, plus2, minus2 = gradient(h), gradient(-h), gradient(2 * h), gradient(-2 * h)
    worst = 0.0
    products = [hv for hv in found if hv is not None]
    size = max((float(np.max(np.abs(g), initial=0.0)) for g in [*products, *gradient(0.0)]), default=0.0)
    unit = max((float(np.max(np.abs(dy), initial=0.0)) for dy in dys), default=0.0)
    size = size if size > 1e-15 * unit else max(unit, 1e-300)
    for k, (hv, a, b, c, d) in enumerate(zip(products, plus, minus, plus2, minus2, strict=True)):
        want = (8 * (a - b) - (c - d)) / (12 * h)
        gap = np.abs(hv - want)
        error = float(np.max(gap, initial=0.0)) / size
        worst = max(worst, error)
        if not error <= _TOLERANCE:
            at = int(np.argmax(gap))
            raise GradientError(
                f"wrong second derivative of input {k}: hvp gives {hv.flat[at]:.8g}, differences of the gradient "
                f"{want.flat[at]:.8g}. Likely cause: backward has the right value but not its derivative (it rounds or "
                "looks up, or np.asarray came before np.abs), so hvp is wrong although the gradients are right."
            )
    return worst
