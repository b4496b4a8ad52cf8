"""Cases for npgrad.functions.cross_entropy."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.case import Case, case


def logits_and_classes(rng: np.random.Generator) -> tuple[Any, Any]:
    n, c = int(rng.integers(1, 7)), int(rng.integers(1, 6))
    return rng.normal(scale=2, size=(n, c)), rng.integers(0, c, size=n)


@case("CrossEntropy")
def mean(rng: np.random.Generator) -> Case:
    return Case(logits_and_classes(rng), torch=lambda torch, z, t: torch.nn.functional.cross_entropy(z, t))


@case("CrossEntropy")
def smoothed(rng: np.random.Generator) -> Case:
    smoothing, reduction = float(rng.uniform(0.05, 1)), str(rng.choice(["mean", "sum", "none"]))

    def reference(torch: Any, z: Any, t: Any) -> Any:
        return torch.nn.functional.cross_entropy(z, t, label_smoothing=smoothing, reduction=reduction)

    return Case(logits_and_classes(rng), {"label_smoothing": smoothing, "reduction": reduction}, reference)


@case("CrossEntropy")
def ignoring(rng: np.random.Generator) -> Case:
    z, t = logits_and_classes(rng)
    t = np.where(rng.random(len(t)) < 0.4, -1, t)
    t[0] = 0

    def reference(torch: Any, z: Any, t: Any) -> Any:
        return torch.nn.functional.cross_entropy(z, t, ignore_index=-1)

    return Case((z, t), {"ignore_index": -1}, reference)


@case("CrossEntropy")
def weighted(rng: np.random.Generator) -> Case:
    """Classes that count differently, some rows ignored."""
    z, t = logits_and_classes(rng)
    weight, reduction = rng.uniform(0.2, 3, size=z.shape[1]), str(rng.choice(["mean", "sum", "none"]))
    t = np.where(rng.random(len(t)) < 0.2, -1, t)
    t[0] = 0

    def reference(torch: Any, z: Any, t: Any) -> Any:
        return torch.nn.functional.cross_entropy(z, t, torch.tensor(weight), ignore_index=-1, reduction=reduction)

    return Case((z, t), {"ignore_index": -1, "weight": weight, "reduction": reduction}, reference)


@case("SoftCrossEntropy")
def soft(rng: np.random.Generator) -> Case:
    z, _ = logits_and_classes(rng)

    def reference(torch: Any, z: Any, q: Any) -> Any:
        return torch.nn.functional.cross_entropy(z, q, reduction="none")

    return Case((z, rng.uniform(size=z.shape)), torch=reference)


@case("NLLLoss")
def nll(rng: np.random.Generator) -> Case:
    return Case(logits_and_classes(rng), torch=lambda torch, z, t: torch.nn.functional.nll_loss(z, t, reduction="none"))


@case("NLLLoss")
def nll_weighted(rng: np.random.Generator) -> Case:
    z, t = logits_and_classes(rng)
    weight, reduction = rng.uniform(0.2, 3, size=z.shape[1]), str(rng.choice(["mean", "sum", "none"]))

    def reference(torch: Any, z: Any, t: Any) -> Any:
        return torch.nn.functional.nll_loss(z, t, torch.tensor(weight), reduction=reduction)

    return Case((z, t), {"weight": weight, "reduction": reduction}, reference)
