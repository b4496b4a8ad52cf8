"""Cases for npgrad.functions.extreme."""

from __future__ import annotations

import numpy as np

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import broadcastable, shape_of
from npgrad.check.cases.reduction import apart, options_of


@case("Max")
def max_(rng: np.random.Generator) -> Case:
    x = apart(rng, shape_of(rng))
    options, axes, keep = options_of(rng, x)
    return Case((x,), options, lambda torch, x: torch.amax(x, axes, keepdim=keep))


@case("Min")
def min_(rng: np.random.Generator) -> Case:
    x = apart(rng, shape_of(rng))
    options, axes, keep = options_of(rng, x)
    return Case((x,), options, lambda torch, x: torch.amin(x, axes, keepdim=keep))


@case("LogSumExp")
def logsumexp(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng))
    options, axes, keep = options_of(rng, x)
    return Case((x,), options, lambda torch, x: torch.logsumexp(x, axes, keepdim=keep) if axes else x * 1.0)


@case("LogAddExp")
def logaddexp(rng: np.random.Generator) -> Case:
    a, b = broadcastable(rng)
    return Case((rng.normal(size=a), rng.normal(size=b)), torch=lambda torch, x, y: torch.logaddexp(x, y))
