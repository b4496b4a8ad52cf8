"""What changes while a network is trained: updates, loss, running statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from npgrad.diagnose import style
from npgrad.diagnose.plots.wording import layer_colour, ordinal, parameter_names, thousands
from npgrad.diagnose.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["loss_curve", "running_drift", "update_ratio"]


def update_ratio(
    axes: Axes,
    record: Record,
    parameters: Sequence[int] | None = None,
    which: Literal["true", "lecture", "both"] = "true",
) -> None:
    """log₁₀ of update : data over time, by default of the weight matrices, with the line at −3.

    "true" is what the optimiser did to the data; "lecture" is learning rate · gradient : data, which is the same for
    plain SGD only; "both" draws the lecture's dotted.
    """
    chosen = record.matrices() if parameters is None else list(parameters)
    names = parameter_names(record, chosen)
    with np.errstate(divide="ignore", invalid="ignore"):
        true, lecture = np.log10(record.update_to_data), np.log10(record.lecture_ratio)
    ends = []
    drawn = lecture if which == "lecture" else true
    for k, name in zip(chosen, names, strict=True):
        hue = layer_colour(int(record.parameter_depth[k]), record.depth)
        axes.plot(record.step, drawn[:, k], color=hue, linewidth=1.8)
        if which == "both":
            axes.plot(record.step, lecture[:, k], color=hue, linewidth=1.6, linestyle=(0, (1, 1.6)))
        known = np.flatnonzero(np.isfinite(drawn[:, k]))
        if known.size:
            ends.append((float(record.step[known[-1]]), float(drawn[known[-1], k]), name, hue))
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -3.4), max(high, -2.6))
    axes.set_xlim(float(record.step[0]) if len(record.step) else 0)
    axes.set_xlabel("step      (solid: update made, dotted: rate · gradient)" if which == "both" else "step")
    thousands(axes)
    style.title(axes, "Update : data, log₁₀ of the ratio of σ")
    style.guide(axes, -3)
    if ends:
        ends.append((max(x for x, _, _, _ in ends), -3.0, "a thousandth", style.muted()))
    style.label_ends(axes, ends)


def loss_curve(
    axes: Axes,
    step: ArrayLike,
    loss: ArrayLike,
    *,
    expected: float | None = None,
    smooth: int = 1,
    name: str = "",
    colour: str | None = None,
) -> None:
    """Loss over time: a steep fall before the slow learning is a hockey stick, and its blade was wasted.

    `expected` is the loss of equal probabilities, ln of the number of classes. Every point is the mean of `smooth`
    steps; the first is kept as it is, since it tells how the network began.
    """
    x, y = np.asarray(step, dtype=np.float64), np.asarray(loss, dtype=np.float64)
    hue = style.colour("blue") if colour is None else colour
    if smooth > 1 and len(y) > smooth:
        begin = (x[0], y[0])
        y = np.convolve(y, np.ones(smooth) / smooth, "valid")
        x = np.convolve(x, np.ones(smooth) / smooth, "valid")
        x, y = np.append(begin[0], x), np.append(begin[1], y)
    axes.plot(x, y, color=hue)
    if len(y) and np.isfinite(y[0]):
        axes.plot(x[0], y[0], "o", color=hue, markersize=7, clip_on=False, zorder=5)
        axes.annotate(
            f"{y[0]:.2f}",
            (x[0], y[0]),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            color=style.legible(hue),
            fontsize=style.LABEL,
        )
    if len(y):
        # With nothing to draw, Matplotlib would not look at x either.
        axes.set_xlim(x[0], None if np.isfinite(y).any() or x[-1] == x[0] else x[-1])
    axes.set_xlabel("step")
    thousands(axes)
    style.title(axes, "Loss")
    ends = [(float(x[-1]), float(y[-1]), name, hue)] if name and len(y) else []
    if expected is not None:
        style.guide(axes, expected)
        ends.append((float(x[-1]) if len(x) else 0.0, expected, f"uniform: {expected:.2f}", style.muted()))
    style.label_ends(axes, ends)


def running_drift(axes: Axes, record: Record) -> None:
    """How far the running means of batch normalisation are from the batch's, over time, in standard deviations."""
    ends = []
    for k in range(len(record.norm_name)):
        hue = layer_colour(int(record.norm_depth[k]), record.depth)
        gap = record.running_mean_gap[:, k]
        axes.plot(record.step, gap, color=hue, linewidth=1.8)
        if len(gap):
            name = ordinal(int(record.norm_depth[k]), record.depth)
            ends.append((float(record.step[-1]), float(gap[-1]), name, hue))
    axes.set_ylim(0)
    axes.set_xlim(float(record.step[0]) if len(record.step) else 0)
    axes.set_xlabel("step")
    thousands(axes)
    style.title(axes, "Running mean − batch mean, in σ of the batch")
    style.label_ends(axes, ends)
