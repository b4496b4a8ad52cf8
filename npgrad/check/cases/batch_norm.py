"""Cases for npgrad.functions.batch_norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.case import Case, case


@case("BatchNorm")
def biased(rng: np.random.Generator) -> Case:
    n, c = int(rng.integers(2, 9)), int(rng.integers(1, 5))
    eps = float(10.0 ** rng.uniform(-6, -1))

    def reference(torch: Any, x: Any, gamma: Any, beta: Any) -> Any:
        return torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)

    inputs = (rng.normal(1, 2, size=(n, c)), rng.normal(size=c), rng.normal(size=c))
    return Case(inputs, {"eps": eps}, reference)


@case("BatchNorm")
def lecture(rng: np.random.Generator) -> Case:
    n, c = int(rng.integers(2, 9)), int(rng.integers(1, 5))

    def reference(torch: Any, x: Any, gamma: Any, beta: Any) -> Any:
        return gamma * (x - x.mean(0)) / torch.sqrt(x.var(0) + 1e-3) + beta

    inputs = (rng.normal(1, 2, size=(n, c)), rng.normal(size=c), rng.normal(size=c))
    return Case(inputs, {"eps": 1e-3, "ddof": 1}, reference)


@case("BatchNormInference")
def inference(rng: np.random.Generator) -> Case:
    n, c = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    mu, var = rng.normal(size=c), rng.uniform(0.1, 3, size=c)

    def reference(torch: Any, x: Any, gamma: Any, beta: Any) -> Any:
        return torch.nn.functional.batch_norm(x, torch.tensor(mu), torch.tensor(var), gamma, beta, eps=1e-4)

    inputs = (rng.normal(1, 2, size=(n, c)), rng.normal(size=c), rng.normal(size=c))
    return Case(inputs, {"mu": mu, "var": var, "eps": 1e-4}, reference)
