"""Cases for npgrad.functions.softmax."""

from __future__ import annotations

import numpy as np

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import shape_of


@case("Softmax")
def softmax(rng: np.random.Generator) -> Case:
    x = 2 * rng.normal(size=shape_of(rng, 1))
    axis = int(rng.integers(-x.ndim, x.ndim))
    return Case((x,), {"axis": axis}, lambda torch, x: torch.softmax(x, axis))


@case("LogSoftmax")
def log_softmax(rng: np.random.Generator) -> Case:
    x = 2 * rng.normal(size=shape_of(rng, 1))
    axis = int(rng.integers(-x.ndim, x.ndim))
    return Case((x,), {"axis": axis}, lambda torch, x: torch.log_softmax(x, axis))
