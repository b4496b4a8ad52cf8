"""What should be equal, side by side: prediction and measurement, running and exact statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from npgrad.diagnose import style
from npgrad.diagnose.calibration import Calibration
from npgrad.diagnose.plots.wording import layer_colour, ordinal, percent
from npgrad.diagnose.propagation import Propagation
from npgrad.diagnose.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["calibration", "propagation"]


def propagation(
    axes: Axes,
    predicted: Propagation,
    record: Record | None = None,
    what: Literal["activation", "gradient"] = "activation",
    step: int | None = None,
    *,
    kinds: Sequence[str] = (),
) -> None:
    """Standard deviation by layer: a line for what was predicted, a dot a layer for what was measured.

    Measured are the record's nonlinearities (`kinds` names others) at the recorded step nearest to `step` (None: the
    first, where the prediction holds).
    """
    line = predicted.activation_std if what == "activation" else predicted.gradient_std
    within = np.ones(len(line), bool)
    ends: list[tuple[float, float, str, str]] = []
    spread = []
    if record is not None:
        t = record.row(int(record.step[0]) if step is None and len(record.step) else step)
        chosen = record.layers(*kinds) if kinds else record.activations()
        table = record.activation_std if what == "activation" else record.gradient_std
        depths, values = record.layer_depth[chosen], table[t, chosen]
        within = (predicted.depth >= depths.min()) & (predicted.depth <= depths.max())
        for depth, value in zip(depths.tolist(), values.tolist(), strict=True):
            axes.plot(depth, value, "o", markersize=8, color=layer_colour(depth, record.depth), zorder=3)
        spread.append(values[np.isfinite(values) & (values > 0)])
        ends.append((float(depths[-1]), float(values[-1]), "● measured", layer_colour(int(depths[-1]), record.depth)))
    x, line = predicted.depth[within], line[within]
    axes.plot(x, line, color=style.muted(), linewidth=1.8, zorder=2)
    if len(x):
        ends.append((float(x[-1]), float(line[-1]), "predicted", style.muted()))
        axes.set_xlim(x[0] - 0.3, x[-1] + 0.3)
        axes.set_xticks([int(depth) for depth in x][:: math.ceil(len(x) / 10)])
    together = np.concatenate([*spread, line[line > 0]])
    if together.size and together.max() > 8 * together.min():
        axes.set_yscale("log")
        if together.max() > 100 * together.min():
            axes.minorticks_off()
    elif together.size:
        axes.set_ylim(0, 1.15 * together.max())
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
    axes.set_xlabel("layer")
    name = "activations" if what == "activation" else "gradients at the activations"
    style.title(axes, f"σ of {name}")
    style.label_ends(axes, ends)


def calibration(axes: Axes, found: Calibration, what: Literal["mean", "std"] = "mean") -> None:
    """Running statistics against those of the whole data set, a dot a channel; the diagonal is where they agree."""
    every = []
    for k, layer in enumerate(found):
        if what == "mean":
            exact, running, error = layer.mean, layer.running_mean, layer.mean_error
        else:
            exact, running, error = np.sqrt(layer.var), np.sqrt(layer.running_var), layer.std_error
        hue = layer_colour(layer.depth, layer.layers)
        every += [exact, running]
        axes.plot(exact, running, "o", markersize=4.5, color=hue, alpha=0.75, markeredgewidth=0, zorder=2)
        text = f"{error:.3f} σ" if what == "mean" else percent(error)
        axes.annotate(
            f"{ordinal(layer.depth, layer.layers)}: {text}",
            (1, 1 - 0.09 * (k + 1)),
            xycoords="axes fraction",
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
            color=style.legible(hue),
            fontsize=style.LABEL,
        )
    axes.annotate(
        "typical error",
        (1, 1),
        xycoords="axes fraction",
        xytext=(10, 0),
        textcoords="offset points",
        va="center",
        color=style.muted(),
        fontsize=style.LABEL,
    )
    low, high = (float(f(np.concatenate(every))) for f in (np.min, np.max))
    margin = 0.05 * (high - low) or 1.0
    axes.plot([low, high], [low, high], color=style.muted(), linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(low - margin, high + margin)
    axes.grid(visible=True, axis="both")
    name = "mean" if what == "mean" else "standard deviation"
    axes.set_xlabel(f"{name} over the whole data set")
    axes.set_ylabel("running")
    style.title(axes, f"Running {name} of each channel")
