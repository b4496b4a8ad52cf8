"""Pictures of what the instruments recorded.

Every function takes a Matplotlib axis and recorded data, never a model: pictures can be drawn from files, again, and in
another theme.

    figure, axes = style.figure(height=3.4)
    plots.activations(axes, Record.load("run.npz"))
    style.save(figure, Path("activations"))

The lecture's four pictures are `activations`, `gradients`, `weight_gradients` and `update_ratio`. A weight layer and
what stands behind it have one colour in all pictures, from dark at the input to light at the output.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from npgrad.diagnose import style
from npgrad.diagnose.calibration import Calibration
from npgrad.diagnose.census import UnitCensus
from npgrad.diagnose.propagation import Propagation
from npgrad.diagnose.record import Record
from npgrad.tensor import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "activations", "calibration", "dead_units", "gradients", "layer_colour", "loss_curve", "propagation",
    "running_drift", "saturation_map", "update_ratio", "weight_gradients",
]  # fmt: skip

RIDGE = 1.5
"""How high a histogram stands, in rows: more than 1, so that neighbours overlap a little."""


def layer_colour(depth: int, layers: int) -> str:
    """The colour of weight layer `depth` (0: before the first) in a network of `layers` of them."""
    return style.layer(max(depth, 0), layers + 1)


# -- distributions -----------------------------------------------------------------------------------------------------


def activations(axes: Axes, record: Record, step: int | None = None, layers: Sequence[int] | None = None) -> None:
    """Distribution of the outputs of each layer at the recorded step nearest to `step` (None: the last).

    `layers` are indices into the record's layers; by default the nonlinearities (`record.activations()`).
    """
    t, chosen = record.row(step), record.activations() if layers is None else list(layers)
    notes = []
    for k in chosen:
        note = f"σ {_short(record.activation_std[t, k])}"
        if record.threshold.size and np.isfinite(record.saturated[t, k, 0]):
            note += f"   {record.saturated[t, k, 0]:.1%}".replace("%", " %")
        notes.append(note)
    hues = [layer_colour(int(record.layer_depth[k]), record.depth) for k in chosen]
    spans = record.activation_range[t, chosen]
    _ridges(axes, record.activation_counts[t, chosen], spans, _layer_names(record, chosen), hues, notes)
    axes.set_xlabel("activation")
    saturated = record.threshold.size and np.isfinite(record.saturated[t, chosen]).any()
    head = f"σ   > {record.threshold[0]:g}" if saturated else ""
    _heads(axes, f"Activations, {_when(record, t)}", head)


def gradients(axes: Axes, record: Record, step: int | None = None, layers: Sequence[int] | None = None) -> None:
    """Distribution of the derivative of the loss with respect to the outputs of each layer; otherwise as above."""
    t, chosen = record.row(step), record.activations() if layers is None else list(layers)
    notes = [f"σ {_short(record.gradient_std[t, k])}" for k in chosen]
    hues = [layer_colour(int(record.layer_depth[k]), record.depth) for k in chosen]
    widest = 4 * np.nanmax(record.gradient_std[t, chosen], initial=0.0)
    spans = record.gradient_range[t, chosen]
    _ridges(axes, record.gradient_counts[t, chosen], spans, _layer_names(record, chosen), hues, notes, widest)
    axes.set_xlabel("∂ loss / ∂ activation")
    _heads(axes, f"Gradients, {_when(record, t)}")


def weight_gradients(
    axes: Axes, record: Record, step: int | None = None, parameters: Sequence[int] | None = None
) -> None:
    """Distribution of the gradient of each parameter, by default of the weight matrices, and gradient : data."""
    t, chosen = record.row(step), record.matrices() if parameters is None else list(parameters)
    ratio = record.gradient_to_data
    notes = [f"σ {_short(record.parameter_gradient_std[t, k])}   {_short(ratio[t, k])}" for k in chosen]
    hues = [layer_colour(int(record.parameter_depth[k]), record.depth) for k in chosen]
    widest = 4 * np.nanmax(record.parameter_gradient_std[t, chosen], initial=0.0)
    counts, spans = record.parameter_gradient_counts[t, chosen], record.parameter_gradient_range[t, chosen]
    _ridges(axes, counts, spans, _parameter_names(record, chosen), hues, notes, widest)
    axes.set_xlabel("∂ loss / ∂ weight")
    _heads(axes, f"Weight gradients, {_when(record, t)}", "σ   σ / σ of data")


def _ridges(
    axes: Axes,
    counts: Array,
    spans: Array,
    names: Sequence[str],
    hues: Sequence[str],
    notes: Sequence[str],
    widest: float = math.inf,
) -> None:
    """Histograms as ridges, one a row, first on top; all with the same area, so that narrow means high."""
    from matplotlib.colors import to_rgba

    curves = []
    for count, (low, high) in zip(counts, spans, strict=True):
        width = (high - low) / len(count)
        total = count.sum()
        density = count / (total * width) if total and width > 0 else np.zeros(len(count))
        edges = np.linspace(low, high, len(count) + 1) if np.isfinite(low) else np.zeros(len(count) + 1)
        curves.append((edges, density))
    # One scale for all rows; but a spike (a ReLU's zero, a gradient that vanished) must not flatten the others.
    peaks = sorted(float(density.max(initial=0.0)) for _, density in curves)
    tall = RIDGE / (peaks[len(peaks) // 2] or 1.0)
    rows = len(curves)
    for row, ((edges, density), hue) in enumerate(zip(curves, hues, strict=True)):
        height = np.minimum(density * tall, RIDGE * 1.35)
        axes.stairs(row - height, edges, baseline=row, fill=True, color=to_rgba(hue, 0.75), zorder=2 + row)
        axes.stairs(row - height, edges, baseline=None, color=style.paper(), linewidth=1.0, zorder=2.5 + row)
    lows, highs = [edges[0] for edges, _ in curves], [edges[-1] for edges, _ in curves]
    left, right = max(min(lows), -widest), min(max(highs), widest)
    axes.set_xlim(left, right if right > left else left + 1)
    axes.set_ylim(rows - 0.75, -RIDGE)
    every = max(1, math.ceil(rows / 12))
    shown = range(0, rows, every)
    axes.set_yticks([*shown], [names[k] for k in shown])
    for k, tick in zip(shown, axes.get_yticklabels(), strict=True):
        tick.set_color(style.legible(hues[k]))
        axes.annotate(
            notes[k],
            (1, k),
            xycoords=axes.get_yaxis_transform(),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=style.ink(),
            fontsize=style.LABEL,
        )
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.locator_params(axis="x", nbins=5)
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3), useMathText=True)


def _heads(axes: Axes, text: str, notes: str = "") -> None:
    """The title, and above the column of numbers what they are."""
    style.title(axes, text)
    if notes:
        axes.annotate(
            notes,
            (1, 1),
            xycoords="axes fraction",
            xytext=(8, -2),
            textcoords="offset points",
            va="top",
            color=style.muted(),
            fontsize=style.LABEL,
        )


# -- over time ---------------------------------------------------------------------------------------------------------


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
    names = _parameter_names(record, chosen)
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
    axes.set_xlabel("step")
    _thousands(axes)
    style.title(axes, "Update : data, log₁₀ of the ratio of σ")
    style.guide(axes, -3, "−3: a thousandth a step", at=0.02)
    if which == "both":
        axes.annotate(
            "solid: the update made   dotted: rate · gradient",
            (0.02, 0.98),
            xycoords="axes fraction",
            va="top",
            color=style.muted(),
            fontsize=style.LABEL,
        )
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
    if len(y):
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
        axes.set_xlim(x[0])
    axes.set_xlabel("step")
    _thousands(axes)
    style.title(axes, "Loss")
    if expected is not None:
        style.guide(axes, expected, f"equal probabilities: {expected:.2f}")
    if name and len(y):
        style.label_ends(axes, [(float(x[-1]), float(y[-1]), name, hue)])


def running_drift(axes: Axes, record: Record) -> None:
    """How far the running means of batch normalisation are from the batch's, over time, in standard deviations."""
    ends = []
    for k in range(len(record.norm_name)):
        hue = layer_colour(int(record.norm_depth[k]), record.depth)
        gap = record.running_mean_gap[:, k]
        axes.plot(record.step, gap, color=hue, linewidth=1.8)
        if len(gap):
            name = _ordinal(int(record.norm_depth[k]), record.depth)
            ends.append((float(record.step[-1]), float(gap[-1]), name, hue))
    axes.set_ylim(0)
    axes.set_xlim(float(record.step[0]) if len(record.step) else 0)
    axes.set_xlabel("step")
    _thousands(axes)
    style.title(axes, "Running mean − batch mean, in σ of the batch")
    style.label_ends(axes, ends)


# -- units -------------------------------------------------------------------------------------------------------------


def saturation_map(axes: Axes, h: ArrayLike, threshold: float = 0.99, name: str = "|h|") -> None:
    """One batch of activations `h` (examples, units): white where |h| is beyond the threshold, so no gradient passes.

    A column that is white from top to bottom is a unit this batch cannot teach.
    """
    from matplotlib.colors import ListedColormap

    beyond = np.abs(np.asarray(h)) > threshold
    if beyond.ndim != 2:
        raise ValueError(f"saturation_map takes activations (examples, units); got an array of shape {beyond.shape}.")
    dark = style.ink() if style.contrast(style.ink(), "#ffffff") > 4 else style.hair()
    axes.imshow(beyond, cmap=ListedColormap([dark, "#ffffff"]), vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(True)
    axes.set_xlabel("unit")
    axes.set_ylabel("example")
    white = int(beyond.all(axis=0).sum())
    columns = f", {white} unit{'s' * (white != 1)} for every example" if white else ""
    style.title(axes, f"White: {name} > {threshold:g}, {beyond.mean():.0%} of all".replace("%", " %") + columns)


def dead_units(axes: Axes, layers: Sequence[UnitCensus]) -> None:
    """Every unit of every layer, the most saturated first: how often it was saturated; dead units have a colour."""
    from matplotlib.colors import LinearSegmentedColormap

    widest = max(len(layer.saturated) for layer in layers)
    shades = np.full((len(layers), widest), np.nan)
    for row, layer in enumerate(layers):
        shades[row, : len(layer.saturated)] = np.sort(layer.saturated)[::-1]
    scale = LinearSegmentedColormap.from_list("saturated", [style.hair(), style.ink()]).with_extremes(bad=style.paper())
    edges = np.arange(widest + 1) + 0.5
    total = max(layer.depth for layer in layers)
    for row, layer in enumerate(layers):
        dead, units = int(layer.dead.sum()), len(layer.saturated)
        band = [row - 0.36, row + 0.36]
        mesh = axes.pcolormesh(edges, band, shades[row : row + 1], cmap=scale, vmin=0, vmax=1, linewidth=0)
        mesh.set_rasterized(True)
        if dead:
            axes.fill_between(
                [0.5, dead + 0.5], band[0], band[1], color=style.colour("vermillion"), linewidth=0, zorder=3
            )
        axes.annotate(
            f"{dead} of {units} dead" if dead else f"none of {units} dead",
            (1, row),
            xycoords=axes.get_yaxis_transform(),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=style.legible(style.colour("vermillion")) if dead else style.muted(),
            fontsize=style.LABEL,
        )
    axes.set_yticks(range(len(layers)), [f"layer {layer.depth}" for layer in layers])
    for layer, tick in zip(layers, axes.get_yticklabels(), strict=True):
        tick.set_color(style.legible(layer_colour(layer.depth, total)))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(layers) - 0.5, -0.5)
    axes.set_xlim(0.5, widest + 0.5)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    axes.set_xlabel("units, the most saturated first")
    axes.figure.colorbar(
        mesh, ax=axes, orientation="horizontal", aspect=40, fraction=0.05, pad=0.02, label="share of examples saturated"
    )
    style.title(axes, f"Saturation of every unit over {layers[0].examples:,} examples")


# -- predictions and calibrations --------------------------------------------------------------------------------------


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
    axes.plot(predicted.depth, line, color=style.muted(), linewidth=1.8, zorder=2)
    spread = [line[line > 0]]
    ends = [(float(predicted.depth[-1]), float(line[-1]), "predicted", style.muted())]
    if record is not None:
        t = record.row(int(record.step[0]) if step is None and len(record.step) else step)
        chosen = record.layers(*kinds) if kinds else record.activations()
        table = record.activation_std if what == "activation" else record.gradient_std
        for k in chosen:
            hue = layer_colour(int(record.layer_depth[k]), record.depth)
            axes.plot(record.layer_depth[k], table[t, k], "o", markersize=8, color=hue, zorder=3)
        values = table[t, chosen]
        spread.append(values[np.isfinite(values) & (values > 0)])
        last = chosen[-1]
        hue = layer_colour(int(record.layer_depth[last]), record.depth)
        ends.append((float(record.layer_depth[last]), float(table[t, last]), "measured", hue))
    together = np.concatenate(spread)
    if together.size and together.max() > 8 * together.min():
        axes.set_yscale("log")
    elif together.size:
        axes.set_ylim(0, 1.15 * together.max())
    axes.set_xticks([int(d) for d in predicted.depth][:: max(1, len(predicted.depth) // 10)])
    axes.set_xlim(predicted.depth[0] - 0.3, predicted.depth[-1] + 0.3)
    axes.set_xlabel("layer")
    name = "activations" if what == "activation" else "gradients at the activations"
    style.title(axes, f"σ of {name}")
    style.label_ends(axes, ends)


def calibration(axes: Axes, found: Calibration, what: Literal["mean", "std"] = "mean") -> None:
    """Running statistics against those of the whole data set, a dot a channel; the diagonal is where they agree."""
    layers = max(layer.depth for layer in found)
    every = []
    for k, layer in enumerate(found):
        if what == "mean":
            exact, running, error = layer.mean, layer.running_mean, layer.mean_error
        else:
            exact, running, error = np.sqrt(layer.var), np.sqrt(layer.running_var), layer.std_error
        hue = layer_colour(layer.depth, layers)
        every += [exact, running]
        axes.plot(exact, running, "o", markersize=4.5, color=hue, alpha=0.75, markeredgewidth=0, zorder=2)
        text = f"{error:.3f} σ" if what == "mean" else f"{error:.1%}".replace("%", " %")
        axes.annotate(
            f"{_ordinal(layer.depth, 10**9)}: {text}",
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


# -- words -------------------------------------------------------------------------------------------------------------


def _ordinal(depth: int, layers: int) -> str:
    if depth < 1:
        return "embedding" if depth == 0 else "other"
    return "output" if depth == layers else f"layer {depth}"


def _layer_names(record: Record, chosen: Sequence[int]) -> list[str]:
    """ "layer 2", with the class where several modules of one weight layer are shown."""
    names = [_ordinal(int(record.layer_depth[k]), record.depth) for k in chosen]
    kinds = [str(record.layer_kind[k]) for k in chosen]
    if len(set(names)) == len(names):
        return names
    return [f"{name} {kind}" if kind != "Embedding" else name for name, kind in zip(names, kinds, strict=True)]


def _parameter_names(record: Record, chosen: Sequence[int]) -> list[str]:
    names = [_ordinal(int(record.parameter_depth[k]), record.depth) for k in chosen]
    if len(set(names)) == len(names):
        return names
    return [str(record.parameter_name[k]) for k in chosen]


def _when(record: Record, t: int) -> str:
    return f"step {int(record.step[t]):,}"


def _short(value: float) -> str:
    """Two significant digits, in the shorter of two notations."""
    if not np.isfinite(value):
        return "–"
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}".replace("-", "−")


def _thousands(axes: Axes) -> None:
    from matplotlib.ticker import StrMethodFormatter

    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.locator_params(axis="x", nbins=6)
