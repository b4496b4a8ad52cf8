"""Cases for npgrad.functions.layer_norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.case import Case, case


def drawn(rng: np.random.Generator, axes: int, weight: bool, bias: bool) -> Case:
    """A case normalising over the last `axes` axes, of up to two more."""
    features = tuple(int(n) for n in rng.integers(2, 5, size=axes))
    shape = (*[int(n) for n in rng.integers(1, 5, size=rng.integers(0, 3))], *features)
    # With less, two numbers that nearly agree bend the function too sharply for central differences.
    eps = float(10.0 ** rng.uniform(-1.5, 0))

    def reference(torch: Any, x: Any, gamma: Any = None, beta: Any = None) -> Any:
        return torch.nn.functional.layer_norm(x, features, gamma, beta, eps)

    gamma = rng.normal(size=features) if weight else None
    beta = rng.normal(size=features) if bias else None
    return Case((rng.normal(1, 2, size=shape), gamma, beta), {"eps": eps, "ndim": axes}, reference)


@case("LayerNorm")
def last_axis(rng: np.random.Generator) -> Case:
    return drawn(rng, 1, True, True)


@case("LayerNorm")
def several_axes(rng: np.random.Generator) -> Case:
    return drawn(rng, int(rng.integers(2, 4)), True, True)


@case("LayerNorm")
def parameters_left_out(rng: np.random.Generator) -> Case:
    return drawn(rng, int(rng.integers(1, 3)), bool(rng.random() < 0.5), bool(rng.random() < 0.5))


@case("LayerNorm")
def one_feature(rng: np.random.Generator) -> Case:
    # Terms of the size of dy/√eps cancel to a gradient of 0, which torch rounds: eps keeps them as small as dy.
    def reference(torch: Any, x: Any, gamma: Any, beta: Any) -> Any:
        return torch.nn.functional.layer_norm(x, (1,), gamma, beta, 1.0)

    rows = int(rng.integers(1, 4))
    return Case((rng.normal(size=(rows, 1)), rng.normal(size=1), rng.normal(size=1)), {"eps": 1.0}, reference)
