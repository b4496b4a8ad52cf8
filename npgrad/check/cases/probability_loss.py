"""Cases for npgrad.functions.probability_loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import shape_of


@case("BCELoss")
def probabilities(rng: np.random.Generator) -> Case:
    shape = shape_of(rng)

    def reference(torch: Any, p: Any, q: Any) -> Any:
        return torch.nn.functional.binary_cross_entropy(p, q, reduction="none")

    return Case((rng.uniform(0.05, 0.95, size=shape), rng.uniform(size=shape)), torch=reference)


@case("BCEWithLogits")
def bce(rng: np.random.Generator) -> Case:
    shape = shape_of(rng)
    z = rng.normal(scale=3, size=shape)

    def reference(torch: Any, z: Any, q: Any) -> Any:
        return torch.nn.functional.binary_cross_entropy_with_logits(z, q, reduction="none")

    return Case((np.where(np.abs(z) < 0.01, 0.5, z), rng.uniform(size=shape)), torch=reference)
