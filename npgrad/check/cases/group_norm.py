"""Cases for npgrad.functions.group_norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.case import Case, case


def drawn(rng: np.random.Generator, groups: int, size: int, weight: bool = True, bias: bool = True) -> Case:
    """A case of `groups` groups of `size` channels, with no, one or two axes of positions."""
    channels = groups * size
    positions = tuple(int(n) for n in rng.integers(1, 4, size=rng.integers(0, 3)))
    if size == 1:
        positions = (*positions, 3)
    items = int(rng.integers(1, 4))
    # With less, two numbers that nearly agree bend the function too sharply for central differences.
    eps = float(10.0 ** rng.uniform(-1.5, 0))

    def reference(torch: Any, x: Any, gamma: Any = None, beta: Any = None) -> Any:
        # PyTorch cannot differentiate a group_norm with a bias and no weight.
        weight = torch.ones(channels, dtype=x.dtype) if gamma is None else gamma
        return torch.nn.functional.group_norm(x, groups, weight, beta, eps)

    gamma = rng.normal(size=channels) if weight else None
    beta = rng.normal(size=channels) if bias else None
    x = rng.normal(1, 2, size=(items, channels, *positions))
    return Case((x, gamma, beta), {"num_groups": groups, "eps": eps}, reference)


@case("GroupNorm")
def groups(rng: np.random.Generator) -> Case:
    return drawn(rng, int(rng.integers(1, 4)), int(rng.integers(2, 4)))


@case("GroupNorm")
def a_group_per_channel(rng: np.random.Generator) -> Case:
    return drawn(rng, int(rng.integers(1, 5)), 1)


@case("GroupNorm")
def parameters_left_out(rng: np.random.Generator) -> Case:
    return drawn(rng, int(rng.integers(1, 4)), 2, bool(rng.random() < 0.5), bool(rng.random() < 0.5))
