"""Numbers that several lessons take from losses and from arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["frequency_loss", "rms", "steps_until", "thinned"]


def rms(a: Any) -> float:
    """The root mean square."""
    return float(np.sqrt(np.mean(np.asarray(a, dtype=float) ** 2)))


def thinned(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over stretches of steps, each longer than the one before: what a logarithmic axis shows."""
    edges = [0]
    while edges[-1] < len(losses):
        edges.append(min(max(edges[-1] + 10, int(edges[-1] * 1.12)), len(losses)))
    means = np.add.reduceat(losses.astype(float), edges[:-1]) / np.diff(edges)
    return (np.array(edges[:-1]) + 1 + np.array(edges[1:])) / 2, means


def steps_until(losses: np.ndarray, level: float, width: int = 100) -> float:
    """Steps before the stretch of `width` steps whose mean loss is the first below a level; infinite if there is none.

    0 if the first stretch is.
    """
    if len(losses) < width:
        return math.inf
    below = np.flatnonzero(np.convolve(losses, np.ones(width) / width, "valid") < level)
    return float(below[0]) if len(below) else math.inf


def frequency_loss(y: np.ndarray) -> float:
    """The loss of knowing how frequent each character is, and nothing else: the entropy of the targets y (N,)."""
    p = np.bincount(y) / len(y)
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())
