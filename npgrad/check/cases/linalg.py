"""Cases for npgrad.functions.linalg: matrices far from singular."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import shape_of
from npgrad.check.cases.reduction import options_of


def regular(rng: np.random.Generator, n: int, *stack: int) -> NDArray[np.float64]:
    """Matrices whose diagonal outweighs the rest of each row, with determinants of both signs."""
    x = rng.uniform(-1, 1, size=(*stack, n, n)) / n
    return np.asarray(x + np.eye(n)[rng.permutation(n)] * rng.choice([-1.0, 1.0], size=n)[:, None] * 1.5)


@case("Norm")
def norm(rng: np.random.Generator) -> Case:
    x = np.asarray(0.5 + rng.uniform(size=shape_of(rng)))
    options, axes, keep = options_of(rng, x)
    return Case((x,), options, lambda torch, x: (x * x).sum(axes, keepdim=keep).sqrt() if axes else (x * x).sqrt())


@case("Solve")
def solve(rng: np.random.Generator) -> Case:
    n, m, s, t = (int(k) for k in rng.integers(1, 5, size=4))
    A, b = [((), (n, m)), ((s,), (s, n, m)), ((s,), (n, m)), ((), (s, n, m)), ((s, 1), (t, n, m))][rng.integers(5)]

    def torch_solve(torch: Any, A: Any, b: Any) -> Any:
        # torch asks whether b is a stack of vectors or of matrices by its shape; NumPy, and npgrad, by its axes.
        return torch.linalg.solve(A, b.reshape([1] * (A.ndim - b.ndim) + list(b.shape)))

    return Case((regular(rng, n, *A), rng.normal(size=b)), torch=torch_solve)


@case("Solve")
def solve_one(rng: np.random.Generator) -> Case:
    n, s = (int(k) for k in rng.integers(1, 5, size=2))
    A = regular(rng, n, *((s,) if rng.random() < 0.5 else ()))
    return Case((A, rng.normal(size=n)), torch=lambda torch, A, b: torch.linalg.inv(A) @ b)


@case("Inv")
def inv(rng: np.random.Generator) -> Case:
    n, s = (int(k) for k in rng.integers(1, 5, size=2))
    x = regular(rng, n, *((s,) if rng.random() < 0.5 else ()))
    return Case((x,), torch=lambda torch, x: torch.linalg.inv(x))


@case("Det")
def det(rng: np.random.Generator) -> Case:
    n, s = (int(k) for k in rng.integers(1, 5, size=2))
    x = regular(rng, n, *((s,) if rng.random() < 0.5 else ()))
    return Case((x,), torch=lambda torch, x: torch.linalg.det(x))


@case("LogAbsDet")
def logabsdet(rng: np.random.Generator) -> Case:
    n, s = (int(k) for k in rng.integers(1, 5, size=2))
    x = regular(rng, n, *((s,) if rng.random() < 0.5 else ()))
    return Case((x,), torch=lambda torch, x: torch.linalg.slogdet(x)[1])
