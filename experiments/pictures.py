"""Pictures of a lesson: from functions that draw what the runs have stored.

    @where(study="rate")
    def rates(records):
        \"\"\"Training loss after {steps:,} steps at each learning rate.\"\"\"       the caption
        figure, axes = style.figure(height=3.5)
        style.frame(axes, "Loss by learning rate", "learning rate, logarithmic", xlog=(0.1, 1, 10))
        for norm, own in records.by("norm").items():
            trend(axes, own, "lr", "loss", style.colour(norm), ceiling=3.0)
        return figure

    plot = pictures(rates=rates)

A caption is a text for `Records.fill`: settings and means stand in braces. A function that has nothing to draw returns
None, and there is no picture; one that has to choose its words returns the figure and the caption.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from experiments import style
from experiments.experiment import Picture
from experiments.records import Records, by_setting, mean_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Drawing", "curves", "pictures", "trend", "where"]

Drawing: TypeAlias = "Callable[[Records], Figure | tuple[Figure, str] | None]"


def where(choose: Callable[[Records], Records] | None = None, **settings: Any) -> Callable[[Drawing], Drawing]:
    """Of all records a function draws those that `Records.where` chooses, and of these what `choose` does, if any."""

    def of(draw: Drawing) -> Drawing:
        @functools.wraps(draw)
        def chosen(records: Records) -> Figure | tuple[Figure, str] | None:
            own = records.where(**settings)
            return _drawn(draw, choose(own) if choose and len(own) else own)

        return chosen

    return of


def pictures(**drawings: Drawing) -> Callable[[Records], Iterator[Picture]]:
    """`plot` of a lesson: the pictures by name, in their order."""

    def plot(records: Records) -> Iterator[Picture]:
        for name, draw in drawings.items():
            drawn = _drawn(draw, records)
            if drawn is not None:
                yield Picture(name, *drawn)

    return plot


def _drawn(draw: Drawing, records: Records) -> tuple[Figure, str] | None:
    drawn = draw(records) if len(records) else None
    if drawn is None or isinstance(drawn, tuple):
        return drawn
    return drawn, records.fill(" ".join((inspect.getdoc(draw) or "").split()))


def curves(
    axes: Axes,
    groups: Mapping[Any, Records],
    x: str,
    y: str,
    names: Mapping[Any, str] | None = None,
    hues: Mapping[Any, str] | None = None,
    *,
    geometric: bool = False,
    **options: Any,
) -> list[style.End]:
    """A line a group through the means over its runs of y by x, both series or arrays; returns their ends.

    `names` and `hues` are those of the groups where their keys are not; other options are those of `Axes.plot`.
    """
    names, hues = names or {}, hues or {}
    ends = []
    for key, own in groups.items():
        name, hue = names.get(key, str(key)), style.colour(hues.get(key, key))
        ends += style.lines(axes, [(mean_curve(own, x), mean_curve(own, y, geometric=geometric), name, hue)], **options)
    return ends


def trend(axes: Axes, records: Records, setting: str, name: str, hue: str, ceiling: float = np.inf) -> None:
    """The means of a number of the summaries by a setting; what diverged or lies above the ceiling is marked there."""
    points = sorted(by_setting(records, setting, name).items())
    x, y = np.array([at for at, _ in points]), np.array([np.nan_to_num(v, nan=np.inf).mean() for _, v in points])
    style.capped(axes, x, y, hue, ceiling)
