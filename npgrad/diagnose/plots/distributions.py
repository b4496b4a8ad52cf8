"""Histograms, one layer a row: activations, gradients, weight gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from npgrad.diagnose import style
from npgrad.diagnose.plots.wording import beside, layer_colour, layer_names, parameter_names, percent, short, when
from npgrad.diagnose.record import Record
from npgrad.engine.arrays import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["activations", "gradients", "weight_gradients"]


def activations(axes: Axes, record: Record, step: int | None = None, layers: Sequence[int] | None = None) -> None:
    """Distribution of the outputs of each layer at the recorded step nearest to `step` (None: the last).

    `layers` are indices into the record's layers; by default the nonlinearities (`record.activations()`).
    """
    t, chosen = record.row(step), record.activations() if layers is None else list(layers)
    columns = {"σ": [short(record.activation_std[t, k]) for k in chosen]}
    if record.threshold.size and np.isfinite(record.saturated[t, chosen, 0]).any():
        signed = {"Tanh", "Sigmoid"}.issuperset(record.layer_kind[chosen].tolist())
        head = f"> {record.threshold[0]:g}" if signed else "saturated"
        columns[head] = [percent(record.saturated[t, k, 0]) for k in chosen]
    hues = [layer_colour(int(record.layer_depth[k]), record.depth) for k in chosen]
    counts, spans = record.activation_counts[t, chosen], record.activation_range[t, chosen]
    _ridges(axes, counts, spans, layer_names(record, chosen), hues, columns)
    axes.set_xlabel("activation")
    style.title(axes, f"Activations, {when(record, t)}")


def gradients(axes: Axes, record: Record, step: int | None = None, layers: Sequence[int] | None = None) -> None:
    """Distribution of the derivative of the loss with respect to the outputs of each layer; otherwise as above."""
    t, chosen = record.row(step), record.activations() if layers is None else list(layers)
    columns = {"σ": [short(record.gradient_std[t, k]) for k in chosen]}
    hues = [layer_colour(int(record.layer_depth[k]), record.depth) for k in chosen]
    counts, spans = record.gradient_counts[t, chosen], record.gradient_range[t, chosen]
    _ridges(axes, counts, spans, layer_names(record, chosen), hues, columns)
    axes.set_xlabel("∂ loss / ∂ activation")
    style.title(axes, f"Gradients, {when(record, t)}")


def weight_gradients(
    axes: Axes, record: Record, step: int | None = None, parameters: Sequence[int] | None = None
) -> None:
    """Distribution of the gradient of each parameter, by default of the weight matrices, and gradient : data."""
    t, chosen = record.row(step), record.matrices() if parameters is None else list(parameters)
    ratio = record.gradient_to_data
    columns = {
        "σ": [short(record.parameter_gradient_std[t, k]) for k in chosen],
        "σ : σ of data": [short(ratio[t, k]) for k in chosen],
    }
    hues = [layer_colour(int(record.parameter_depth[k]), record.depth) for k in chosen]
    counts, spans = record.parameter_gradient_counts[t, chosen], record.parameter_gradient_range[t, chosen]
    _ridges(axes, counts, spans, parameter_names(record, chosen), hues, columns)
    axes.set_xlabel("∂ loss / ∂ weight")
    style.title(axes, f"Weight gradients, {when(record, t)}")


def _ridges(
    axes: Axes,
    counts: Array,
    spans: Array,
    names: Sequence[str],
    hues: Sequence[str],
    columns: Mapping[str, Sequence[str]],
) -> None:
    """Histograms as ridges of one height, one per row, first on top, with columns of numbers at their right.

    The height is that of the second highest bin: a spike (the zeros of ReLU) is cut off and does not flatten the rest.
    """
    ends = []
    for row, (count, (low, high), hue) in enumerate(zip(counts, spans, hues, strict=True)):
        if not count.any():
            continue
        edges = np.linspace(low, high, len(count) + 1)
        second = np.partition(count, -2)[-2] if len(count) > 1 else 0
        height = np.minimum(count / (second or count.max()), 1.12) * 0.8
        axes.stairs(row - height, edges, baseline=row, fill=True, color=hue, zorder=3)
        share = np.cumsum(count) / count.sum()
        ends += [edges[np.searchsorted(share, 0.001)], edges[np.searchsorted(share, 0.999) + 1]]
    rows = len(counts)
    left, right = (min(ends), max(ends)) if ends else (0.0, 1.0)
    axes.set_xlim(left, right)
    axes.set_ylim(rows - 0.8, -1.0)
    shown = range(0, rows, max(1, math.ceil(rows / 12)))
    axes.set_yticks([*shown], [names[k] for k in shown])
    for k, tick in zip(shown, axes.get_yticklabels(), strict=True):
        tick.set_color(style.legible(hues[k]))
        tick.set_verticalalignment("bottom")
    for place, (head, texts) in enumerate(columns.items()):
        beside(axes, -1.0, head, 8 + 58 * place, style.muted(), "bottom")
        for k in shown:
            beside(axes, k, texts[k], 8 + 58 * place, style.ink(), "bottom")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.locator_params(axis="x", nbins=5)
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3), useMathText=True)
