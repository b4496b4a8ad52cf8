"""Every unit by itself: which are saturated, which dead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from npgrad.diagnose import style
from npgrad.diagnose.census import UnitCensus
from npgrad.diagnose.plots.wording import beside, layer_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["dead_units", "saturation_map"]


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
        beside(axes, row, text, 8, style.legible(style.colour("vermillion")) if dead else style.muted())
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
