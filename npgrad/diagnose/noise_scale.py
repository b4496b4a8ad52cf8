"""Gradient noise scale: the batch size at which noise and signal of the gradient are equal.

The gradient of a batch of B examples is the true gradient G plus noise: E |G_B|² = |G|² + tr Σ/B, with Σ the covariance
of the gradient of one example. Two batch sizes give two equations, solved by (McCandlish et al. 2018, arXiv:1812.06162,
appendix A.1)

    |G|² = (B_big·|G_big|² − B_small·|G_small|²)/(B_big − B_small)
    tr Σ = (|G_small|² − |G_big|²)/(1/B_small − 1/B_big)

and the simple noise scale is tr Σ/|G|² (equation 2.9). Batches much smaller than that are mostly noise, so doubling
them nearly halves the number of steps needed; in much larger ones further examples are wasted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npgrad.diagnose.undisturbed import undisturbed
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor
from npgrad.nn import Module

__all__ = ["NoiseScale", "noise_scale"]


@dataclass(frozen=True, eq=False)
class NoiseScale:
    """Estimates from repeated draws. The two means are unbiased, so their ratio is taken last."""

    signals: NDArray[np.float64]
    """|G|² from each repetition; may be negative."""
    noises: NDArray[np.float64]
    """tr Σ from each repetition."""

    @property
    def signal(self) -> float:
        """|G|²."""
        return float(self.signals.mean())

    @property
    def noise(self) -> float:
        """tr Σ."""
        return float(self.noises.mean())

    @property
    def scale(self) -> float:
        """tr Σ/|G|², in examples; inf if no signal rises above the noise: repeat more often, or use larger batches."""
        return self.noise / self.signal if self.signal > 0 else float("inf")


def noise_scale(
    model: Module,
    loss: Callable[[Array, Array], Tensor],
    x: Array,
    y: Array,
    *,
    small: int = 32,
    big: int = 1024,
    repeats: int = 10,
    rng: np.random.Generator,
) -> NoiseScale:
    """Measure the noise scale of `loss(x, y)`, a mean over examples, at the present parameters of `model`.

    Each repetition draws `big` examples without replacement and compares the gradient of all of them with those of the
    big//small batches they fall into. The model is left as it was, running statistics included.

    Raises ValueError if the sizes do not satisfy 0 < small, 2·small ≤ big ≤ len(x), or `repeats` is not positive.
    """
    if not 0 < small <= big // 2 or big > len(x) or repeats < 1:
        raise ValueError(
            f"noise_scale(small={small}, big={big}, repeats={repeats}) of {len(x)} examples: needs 0 < small, "
            "2·small ≤ big ≤ the number of examples, and at least one repetition."
        )
    parts = big // small
    big = parts * small
    signals, noises = [], []
    with undisturbed(model):
        for _ in range(repeats):
            rows = rng.choice(len(x), big, replace=False)
            whole = _squared_norm(model, loss, x[rows], y[rows])
            each = [_squared_norm(model, loss, x[k], y[k]) for k in np.split(rows, parts)]
            part = float(np.mean(each))
            signals.append((big * whole - small * part) / (big - small))
            noises.append((part - whole) / (1 / small - 1 / big))
    return NoiseScale(np.array(signals), np.array(noises))


def _squared_norm(model: Module, loss: Callable[[Array, Array], Tensor], x: Array, y: Array) -> float:
    model.zero_grad()
    loss(x, y).backward()
    gradients = [p.grad.astype(np.float64).ravel() for p in model.parameters() if p.grad is not None]
    return float(sum(np.dot(g, g) for g in gradients))
