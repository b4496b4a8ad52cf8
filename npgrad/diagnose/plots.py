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
from collections.abc import Mapping, Sequence
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


def layer_colour(depth: int, layers: int) -> str:
    """The colour of weight layer `depth` (0: before the first) in a network of `layers` of them."""
    return style.layer(max(depth, 0), layers + 1)


# -- distributions -----------------------------------------------------------------------------------------------------


def activations(axes: Axes, record: Record, step: int | None = None, layers: Sequence[int] | None = None) -> None:
    """Distribution of the outputs of each layer at the recorded step nearest to `step` (None: the last).

    `layers` are indices into the record's layers; by default the nonlinearities (`record.activations()`).
    """
    t, chosen = record.row(step), record.activations() if layers is None else list(layers)
    columns = {"σ": [_short(record.activation_std[t, k]) for k in chosen]}
    if record.threshold.size and np.isfinite(record.saturated[t, chosen, 0]).any():
        signed = {"Tanh", "Sigmoid"}.issuperset(record.layer_kind[chosen].tolist())
        head = f"> {record.threshold[0]:g}" if signed else "saturated"
        columns[head] = [_percent(record.saturated[t, k, 0]) for k in chosen]
    hues = [layer_colour(int(record.layer_depth[k]), record.depth) for k in chosen]
    counts, spans = record.activation_counts[t, chosen], record.activation_range[t, chosen]
    _ridges(axes, counts, spans, _layer_names(record, chosen), hues, columns)
    axes.set_xlabel("activation")
    style.title(axes, f"Activations, {_when(record, t)}")


def gradients(axes: Axes, record: Record, step: int | None = None, layers: Sequence[int] | None = None) -> None:
    """Distribution of the derivative of the loss with respect to the outputs of each layer; otherwise as above."""
    t, chosen = record.row(step), record.activations() if layers is None else list(layers)
    columns = {"σ": [_short(record.gradient_std[t, k]) for k in chosen]}
    hues = [layer_colour(int(record.layer_depth[k]), record.depth) for k in chosen]
    counts, spans = record.gradient_counts[t, chosen], record.gradient_range[t, chosen]
    _ridges(axes, counts, spans, _layer_names(record, chosen), hues, columns)
    axes.set_xlabel("∂ loss / ∂ activation")
    style.title(axes, f"Gradients, {_when(record, t)}")


def weight_gradients(
    axes: Axes, record: Record, step: int | None = None, parameters: Sequence[int] | None = None
) -> None:
    """Distribution of the gradient of each parameter, by default of the weight matrices, and gradient : data."""
    t, chosen = record.row(step), record.matrices() if parameters is None else list(parameters)
    ratio = record.gradient_to_data
    columns = {
        "σ": [_short(record.parameter_gradient_std[t, k]) for k in chosen],
        "σ : σ of data": [_short(ratio[t, k]) for k in chosen],
    }
    hues = [layer_colour(int(record.parameter_depth[k]), record.depth) for k in chosen]
    counts, spans = record.parameter_gradient_counts[t, chosen], record.parameter_gradient_range[t, chosen]
    _ridges(axes, counts, spans, _parameter_names(record, chosen), hues, columns)
    axes.set_xlabel("∂ loss / ∂ weight")
    style.title(axes, f"Weight gradients, {_when(record, t)}")


def _ridges(
    axes: Axes,
    counts: Array,
    spans: Array,
    names: Sequence[str],
    hues: Sequence[str],
    columns: Mapping[str, Sequence[str]],
) -> None:
    """Histograms as ridges of one height, one a row, first on top, with columns of numbers at their right.

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
        _beside(axes, -1.0, head, 8 + 58 * place, style.muted(), "bottom")
        for k in shown:
            _beside(axes, k, texts[k], 8 + 58 * place, style.ink(), "bottom")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.locator_params(axis="x", nbins=5)
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3), useMathText=True)


def _beside(axes: Axes, y: float, text: str, shift: float, hue: str, align: str = "center") -> None:
    """Text to the right of the axes at the height y, `shift` points away."""
    axes.annotate(
        text,
        (1, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(shift, 0),
        textcoords="offset points",
        va=align,
        color=hue,
        fontsize=style.LABEL,
        annotation_clip=False,
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
    axes.set_xlabel("step      (solid: update made, dotted: rate · gradient)" if which == "both" else "step")
    _thousands(axes)
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
    _thousands(axes)
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
    for row, layer in enumerate(layers):
        dead, units = int(layer.dead.sum()), len(layer.saturated)
        band = [row - 0.36, row + 0.36]
        mesh = axes.pcolormesh(edges, band, shades[row : row + 1], cmap=scale, vmin=0, vmax=1, linewidth=0)
        mesh.set_rasterized(True)
        if dead:
            axes.fill_between(
                [0.5, dead + 0.5], band[0], band[1], color=style.colour("vermillion"), linewidth=0, zorder=3
            )
        text = f"{dead or 'none'} of {units} dead" if np.isfinite(layer.saturated).all() else "not finite"
        _beside(axes, row, text, 8, style.legible(style.colour("vermillion")) if dead else style.muted())
    axes.set_yticks(range(len(layers)), [f"layer {layer.depth}" for layer in layers])
    for layer, tick in zip(layers, axes.get_yticklabels(), strict=True):
        tick.set_color(style.legible(layer_colour(layer.depth, layer.layers)))
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
        text = f"{error:.3f} σ" if what == "mean" else _percent(error)
        axes.annotate(
            f"{_ordinal(layer.depth, layer.layers)}: {text}",
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
        return f"{value:#.2g}".rstrip(".") if 0 < abs(value) < 100 else f"{value:.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}".replace("-", "−")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if np.isfinite(share) else "–"


def _thousands(axes: Axes) -> None:
    from matplotlib.ticker import StrMethodFormatter

    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.locator_params(axis="x", nbins=6)
