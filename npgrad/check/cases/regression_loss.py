"""Cases for npgrad.functions.regression_loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import shape_of


@case("MSELoss")
def mse(rng: np.random.Generator) -> Case:
    shape = tuple(int(n) for n in rng.integers(1, 5, size=rng.integers(0, 4)))
    inputs = (rng.normal(size=shape), rng.normal(size=shape))
    return Case(inputs, torch=lambda torch, a, b: torch.nn.functional.mse_loss(a, b))


@case("Huber")
def huber(rng: np.random.Generator) -> Case:
    shape, delta = shape_of(rng), float(rng.uniform(0.3, 2))
    # Not at the ends of the parabola, where the slope has a kink.
    r = rng.normal(scale=2 * delta, size=shape)
    r = np.where(np.abs(np.abs(r) - delta) < 0.01, 0.5 * delta, r)
    b = rng.normal(size=shape)

    def reference(torch: Any, a: Any, b: Any) -> Any:
        return torch.nn.functional.huber_loss(a, b, reduction="none", delta=delta)

    return Case((np.asarray(b + r), np.asarray(b)), {"delta": delta}, reference)
