"""Cases for npgrad.functions.matmul."""

from __future__ import annotations

import numpy as np

from npgrad.check.case import Case, case


@case("MatMul")
def matmul(rng: np.random.Generator) -> Case:
    i, j, k, s, t = (int(n) for n in rng.integers(1, 5, size=5))
    left, right = [
        ((i, j), (j, k)),
        ((j,), (j,)),
        ((i, j), (j,)),
        ((j,), (j, k)),
        ((s, i, j), (j, k)),
        ((i, j), (s, j, k)),
        ((s, i, j), (s, j, k)),
        ((s, 1, i, j), (t, j, k)),
        ((s, i, j), (j,)),
        ((j,), (s, j, k)),
    ][rng.integers(10)]
    return Case((rng.normal(size=left), rng.normal(size=right)), torch=lambda torch, a, b: a @ b)


@case("Linear")
def linear(rng: np.random.Generator) -> Case:
    i, j, k, s = (int(n) for n in rng.integers(1, 6, size=4))
    x = rng.normal(size=[(i, j), (s, i, j), (j,)][rng.integers(3)])
    return Case((x, rng.normal(size=(j, k)), rng.normal(size=k)), torch=lambda torch, x, W, b: x @ W + b)


@case("Linear")
def without_bias(rng: np.random.Generator) -> Case:
    i, j, k = (int(n) for n in rng.integers(1, 6, size=3))
    return Case((rng.normal(size=(i, j)), rng.normal(size=(j, k)), None), torch=lambda torch, x, W, b: x @ W)
