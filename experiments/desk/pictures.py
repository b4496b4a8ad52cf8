"""What the desk draws, as numbers: the lecture's four pictures and the loss. Needs no browser and no library of plots.

Histograms are ridges: layer k stands on the line y = k, the first on top, and its bins rise to y = k − 0.8. All have
one height, that of the second highest bin: a spike (the zeros of ReLU) is cut off and does not flatten the rest. What
the theory predicts has the same scale as what was measured.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from experiments.curves import thinned
from experiments.desk.training import Training
from npgrad import Tensor
from npgrad.diagnose.plots.wording import short
from npgrad.diagnose.record import Record
from npgrad.nn import ACTIVATIONS

__all__ = ["Lines", "Ridges", "activations", "gradients", "loss", "update_ratio", "weight_gradients"]

RISE, CUT = 0.8, 1.12


@dataclass
class Ridges:
    """Histograms, a layer a row."""

    names: list[str]
    """Of the rows, the first on top."""
    texts: list[str]
    """What stands at the right of each."""
    left: float
    """Where the horizontal axis begins,"""
    right: float
    """and where it ends, in units of 10**exponent: as far from 0, or just before 0 if nothing lies below it."""
    exponent: int
    measured: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    """x and y of each row's outline."""
    predicted: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)


@dataclass
class Lines:
    names: list[str]
    lines: list[tuple[np.ndarray, np.ndarray]]


def activations(training: Training) -> Ridges:
    """Outputs of the hidden layers at the last recorded step; predicted: φ(x), x ~ N(0, q)."""
    record, predicted = training.record, training.predicted
    kind = ACTIVATIONS[training.setting.activation]

    def share(k: int, edges: np.ndarray) -> np.ndarray:
        x = predicted.preactivation_std[k] * _normal_sample()
        h = x if kind is None else kind()(Tensor(x)).numpy()
        return np.histogram(h, edges)[0] / len(h)

    sigma, theory = record.activation_std[-1], predicted.activation_std
    return _ridges(record.activation_counts[-1], record.activation_range[-1], sigma, theory, share)


def gradients(training: Training) -> Ridges:
    """Derivatives of the loss with respect to those outputs; predicted: N(0, σ²)."""
    record, theory = training.record, training.predicted.gradient_std

    def share(k: int, edges: np.ndarray) -> np.ndarray:
        normal = NormalDist(0, float(theory[k]))
        return np.diff([normal.cdf(edge) if theory[k] > 0 else float(edge > 0) for edge in edges])

    return _ridges(record.gradient_counts[-1], record.gradient_range[-1], record.gradient_std[-1], theory, share)


def weight_gradients(training: Training) -> Ridges:
    """Gradients of the weight matrices, and their σ over that of the weights."""
    record = training.record
    chosen = _matrices(record)
    counts, spans = record.parameter_gradient_counts[-1, chosen], record.parameter_gradient_range[-1, chosen]
    made = _ridges(counts, spans, record.parameter_gradient_std[-1, chosen])
    made.texts = [short(ratio) for ratio in record.gradient_to_data[-1, chosen]]
    made.names = _names(len(chosen))
    return made


def update_ratio(training: Training) -> Lines:
    """log₁₀ of update : data of the weight matrices over the steps, counted from 1."""
    record = training.record
    chosen = _matrices(record)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log10(record.update_to_data[:, chosen])
    lines = [(record.step + 1.0, np.where(np.isfinite(line), line, np.nan)) for line in ratio.T]
    return Lines(_names(len(chosen)), lines)


def loss(training: Training) -> tuple[np.ndarray, np.ndarray]:
    """Steps, counted from 1, and means of the loss over stretches of them that grow longer."""
    losses = np.array(training.losses)
    losses = losses[np.isfinite(losses)]
    if not len(losses):
        return np.empty(0), np.empty(0)
    x, y = thinned(losses)
    before = 2 * x[-1] - 1 - len(losses)
    # A stretch that has only begun would make the end of the line jump.
    begun = len(x) > 1 and len(losses) - before < max(10, int(0.12 * before))
    return (x[:-1], y[:-1]) if begun else (x, y)


def _matrices(record: Record) -> list[int]:
    """Weights of the linear layers; the embedding's is left out."""
    return [k for k in record.matrices() if record.parameter_depth[k] > 0]


def _names(matrices: int) -> list[str]:
    return [*(str(k + 1) for k in range(matrices - 1)), "out"]


# -- ridges ------------------------------------------------------------------------------------------------------------


def _ridges(
    counts: np.ndarray,
    spans: np.ndarray,
    sigma: np.ndarray,
    theory: np.ndarray | None = None,
    share: Callable[[int, np.ndarray], np.ndarray] | None = None,
) -> Ridges:
    """Of counts (rows, bins) between `spans` (rows, 2). `share(row, edges)` is the part expected in each bin."""
    rows = range(len(counts))
    usable = [k for k in rows if counts[k].any() and np.isfinite(spans[k]).all()]
    ends = np.array([_ends(counts[k], spans[k]) for k in usable] or [(-1.0, 1.0)])
    reach = _round_up(float(np.abs(ends).max()))
    exponent = math.floor(math.log10(reach)) if not 0.1 <= reach < 100 else 0
    unit = 10.0**exponent
    left = -reach if ends.min() < -0.02 * reach else -0.04 * reach
    made = Ridges([str(k + 1) for k in rows], [], left / unit, reach / unit, exponent)
    made.texts = [short(sigma[k] / unit) for k in rows]
    if theory is not None:
        made.texts = [f"{text} ({short(theory[k] / unit)})" for k, text in enumerate(made.texts)]
    for k in rows:
        if k not in usable:
            made.measured.append((np.empty(0), np.empty(0)))
            made.predicted.append((np.empty(0), np.empty(0)))
            continue
        edges = np.linspace(*spans[k], len(counts[k]) + 1)
        height = float(np.partition(counts[k], -2)[-2]) or float(counts[k].max())
        made.measured.append(_outline(k, edges / unit, counts[k] / height))
        if share is not None:
            made.predicted.append(_outline(k, edges / unit, share(k, edges) * counts[k].sum() / height))
    return made


def _outline(row: int, edges: np.ndarray, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.repeat(edges, 2)
    y = row - RISE * np.minimum(np.concatenate([[0.0], np.repeat(heights, 2), [0.0]]), CUT)
    return x, y


def _ends(counts: np.ndarray, span: np.ndarray) -> tuple[float, float]:
    """Between which values all lie but a thousandth at either side."""
    edges, part = np.linspace(*span, len(counts) + 1), np.cumsum(counts) / counts.sum()
    return float(edges[np.searchsorted(part, 0.001)]), float(edges[np.searchsorted(part, 0.999) + 1])


def _round_up(value: float) -> float:
    """To the next of 1, 1.5, 2, 3, 5 and 7 times a power of ten, so that an axis seldom changes."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 5, 7, 10) if step * power >= 0.999 * value)


@functools.cache
def _normal_sample() -> np.ndarray:
    """The quantiles of the standard normal distribution in the middle of 4000 equal parts."""
    return np.array([NormalDist().inv_cdf((k + 0.5) / 4000) for k in range(4000)])
