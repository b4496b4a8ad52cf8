"""Cases for npgrad.functions.dropout."""

from __future__ import annotations

import numpy as np

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import shape_of


@case("Dropout")
def dropped(rng: np.random.Generator) -> Case:
    shape, p = shape_of(rng), float(rng.uniform(0.05, 0.95))
    mask = np.asarray(rng.random(shape) >= p)
    return Case((rng.normal(size=shape), mask), {"p": p}, lambda torch, x, mask: x * mask / (1 - p))


@case("Dropout")
def everything_dropped(rng: np.random.Generator) -> Case:
    shape = shape_of(rng)
    return Case((rng.normal(size=shape), np.zeros(shape, bool)), {"p": 1.0}, lambda torch, x, mask: x * mask)
