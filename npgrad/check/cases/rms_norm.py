"""Cases for npgrad.functions.rms_norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.case import Case, case


def drawn(rng: np.random.Generator, weight: bool) -> Case:
    """A case normalising over the last axes, of up to two more."""
    features = tuple(int(n) for n in rng.integers(1, 5, size=rng.integers(1, 4)))
    shape = (*[int(n) for n in rng.integers(1, 5, size=rng.integers(0, 3))], *features)
    eps = float(10.0 ** rng.uniform(-4, -1))

    def reference(torch: Any, x: Any, gamma: Any = None) -> Any:
        return torch.nn.functional.rms_norm(x, features, gamma, eps)

    gamma = rng.normal(size=features) if weight else None
    return Case((rng.normal(1, 2, size=shape), gamma), {"eps": eps, "ndim": len(features)}, reference)


@case("RMSNorm")
def scaled(rng: np.random.Generator) -> Case:
    return drawn(rng, True)


@case("RMSNorm")
def without_scale(rng: np.random.Generator) -> Case:
    return drawn(rng, False)
