"""The look of every figure: `npgrad.diagnose.style`, with colours for what only the experiments know.

figure, axes = style.figure(height=3.2)
axes.plot(x, y, color=style.colour("kaiming"))
style.over_steps(axes, x[-1])
style.label_ends(axes, [(x[-1], y[-1], "Kaiming", style.colour("kaiming"))])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from npgrad.diagnose import style as look
from npgrad.diagnose.style import LABEL as LABEL
from npgrad.diagnose.style import WIDTH as WIDTH
from npgrad.diagnose.style import Theme as Theme
from npgrad.diagnose.style import figure, guide, ink, label_ends, layer, muted, paper, save, theme, title, use

if TYPE_CHECKING:  # Matplotlib is imported when something is drawn
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure

__all__ = [
    "DASHED", "capped", "colour", "corner", "figure", "frame", "guide", "ink", "label", "label_ends", "layer",
    "legend_above", "lines", "logarithmic", "mark_departures", "means", "muted", "note", "over_steps", "paper",
    "reach", "reach_alike", "rows", "save", "theme", "title", "use",
]  # fmt: skip

End: TypeAlias = tuple[float, float, str, str]
"""Of a line: x, y, its name and its colour."""
Marks: TypeAlias = Sequence[float] | Mapping[Any, str]
DASHED = (0, (4, 3))
"""Of lines that were not measured: predictions and limits."""

_STAGES = {
    "original": "vermillion",
    "output": "orange",
    "hidden": "purple",
    "kaiming": "blue",
    "batchnorm": "green",
}


def colour(name: str) -> str:
    """The colour of a named thing ("kaiming", "relu") or of a hue ("blue"). Raises KeyError for unknown names."""
    return look.colour(_STAGES.get(name, name))


def frame(
    axes: Axes, text: str, below: str = "", *, xlog: Marks | None = None, ylog: Marks | None = None, **options: Any
) -> None:
    """What the picture shows, at its top left, and what its horizontal axis is; other options are those of `Axes.set`.

    `xlog` and `ylog` make an axis logarithmic: its marks, or a mapping of marks to what is written there; its usual
    ones if there are none.
    """
    title(axes, text)
    for along, marks in (("x", xlog), ("y", ylog)):
        if marks is not None:
            names = list(marks.values()) if isinstance(marks, Mapping) else None
            logarithmic(axes, list(marks) or None, names, along=along)
    axes.set(**({"xlabel": below} if below else {}) | options)


def lines(axes: Axes, curves: Iterable[tuple[Any, Any, str, str]], **options: Any) -> list[End]:
    """Draw lines, (x, y, text, colour) each; returns their ends, for `label_ends` to name once the limits are set."""
    ends = []
    for x, y, text, hue in curves:
        axes.plot(x, y, color=hue, **options)
        ends.append((x[-1], y[-1], text, hue))
    return ends


def means(axes: Axes, x: Sequence[float], values: Sequence[np.ndarray], hue: str) -> np.ndarray:
    """A line with dots through the means of values per seed, and their standard deviations; returns the means."""
    y = np.array([each.mean() for each in values])
    sd = [each.std(ddof=1) if len(each) > 1 else 0.0 for each in values]
    axes.errorbar(x, y, yerr=sd if any(sd) else None, color=hue, marker="o", markersize=8, capsize=4)
    return y


def logarithmic(
    axes: Axes, ticks: Sequence[float] | None = None, names: Sequence[str] | None = None, *, along: str = "x"
) -> None:
    """A logarithmic axis, "x" or "y", with marks at these values and nowhere between; its usual ones without values."""
    (axes.set_xscale if along == "x" else axes.set_yscale)("log")
    if ticks is not None:
        mark = axes.set_xticks if along == "x" else axes.set_yticks
        mark(ticks, [f"{tick:,g}" for tick in ticks] if names is None else names)
    axes.minorticks_off()


def over_steps(axes: Axes, last: float, first: int = 1) -> None:
    """Training steps on a logarithmic axis, marked at the powers of ten from `first` on."""
    logarithmic(axes, [10**k for k in range(7) if first <= 10**k <= last])
    axes.set_xlabel("step, logarithmic")


def rows(axes: Axes, names: Sequence[str] = (), room: float = 0.5) -> None:
    """One row a name, from top to bottom, with `room` above the first; without names only the look of rows."""
    if names:
        axes.set_yticks(range(len(names)), names, color=ink())
        axes.set_ylim(len(names) - 0.5, -room)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def note(axes: Axes, text: str, at: tuple[float, float], shift: tuple[float, float] = (0, 0), **options: Any) -> None:
    """A remark beside a point, `shift` (in points) away from it; muted if no colour is given."""
    axes.annotate(text, at, xytext=shift, textcoords="offset points", **{"color": muted()} | options)


def label(axes: Axes, x: float, y: float, text: str, hue: str, **options: Any) -> None:
    """A name written into the picture, at a place given as fractions of its sides."""
    axes.text(x, y, text, color=hue, transform=axes.transAxes, **options).set_in_layout(False)


def corner(axes: Axes, text: str, size: float = 11) -> None:
    """A remark above the picture, at its right."""
    note(axes, text, (1, 1), (0, 10), xycoords="axes fraction", ha="right", fontsize=size)


def capped(axes: Axes, x: np.ndarray, y: np.ndarray, hue: str, ceiling: float) -> None:
    """A line with dots; what diverged or lies above the ceiling is marked there."""
    y = np.nan_to_num(y, nan=np.inf)
    axes.plot(x, np.minimum(y, 2 * ceiling), "o-", color=hue, markersize=7)
    for high in x[y > ceiling]:
        axes.plot(high, ceiling, "^", color=hue, markersize=9, clip_on=False, zorder=5)


def reach(axes: Axes, low: float, high: float, along: str = "y", capped: bool = False) -> None:
    """Limits from low to high, and further where a marked point lies beyond them, so that none is cut off.

    With `capped` the upper limit stays: what lies above it has been marked there by `capped`.
    """
    k = 0 if along == "x" else 1
    lines = [line for line in axes.lines if line.get_marker() not in ("None", None, "", " ")]
    points = [
        np.asarray(line.get_xydata(), dtype=float)[:, k] for line in lines if line.get_transform() == axes.transData
    ]
    values = np.concatenate([np.array([low, high]), *points])
    values = values[np.isfinite(values) & (not capped or values <= high)]
    scale = (axes.get_xscale if along == "x" else axes.get_yscale)()
    there = np.log(values) if scale == "log" else values
    room = 0.04 * float(np.ptp(there))
    ends = [there.min() - room * (values.min() < low), there.max() + room * (values.max() > high)]
    (axes.set_xlim if along == "x" else axes.set_ylim)(*(np.exp(ends) if scale == "log" else ends))


def reach_alike(panels: Iterable[Axes], low: float, high: float) -> None:
    """The same for panels that share their y axis: capped, and as low as the lowest of them needs."""
    lows = []
    for axes in panels:
        reach(axes, low, high, capped=True)
        lows.append(axes.get_ylim()[0])
    axes.set_ylim(min(lows), high)


def mark_departures(made: Figure) -> None:
    """Put a triangle at the edge of the axes wherever a line leaves them, so that none is cut off in silence."""
    from matplotlib.lines import Line2D

    for axes in made.axes:
        scale = axes.transScale
        corners = scale.transform(list(zip(axes.get_xlim(), axes.get_ylim(), strict=True)))
        low, high = corners.min(axis=0), corners.max(axis=0)
        lines = [line for line in axes.lines if line.get_transform() == axes.transData]
        marked = {float(x) for line in lines if not line.get_clip_on() for x in np.atleast_1d(line.get_xdata())}
        for line in lines:
            data = np.asarray(line.get_xydata(), dtype=float)
            if not line.get_clip_on() or not line.get_visible() or not len(data):
                continue
            with np.errstate(all="ignore"):  # the logarithm of 0, which a logarithmic axis leaves out
                points = scale.transform(data)
            seen: set[tuple[int, ...]] = set()
            for first, place, way in departures(points, low, high):
                cell = tuple((40 * (place - low) / (high - low)).astype(int))
                if float(data[first, 0]) in marked or cell in seen:
                    continue
                seen.add(cell)
                x, y = scale.inverted().transform(place)
                flipped = (axes.xaxis_inverted(), axes.yaxis_inverted())[way[0]]
                marker = (("<", ">"), ("v", "^"))[way[0]][bool(way[1] != flipped)]
                options = {"color": line.get_color(), "markersize": 7, "clip_on": False, "zorder": 5, "gid": "departs"}
                axes.add_artist(Line2D([x], [y], marker=marker, linestyle="none", **options))


def departures(
    points: np.ndarray, low: np.ndarray, high: np.ndarray
) -> Iterator[tuple[int, np.ndarray, tuple[int, bool]]]:
    """Each stretch of a line that lies outside of a box: its first point, where it crosses the edge, and which edge.

    Points (n, 2) and corners (2,) are in coordinates in which lines are straight; an edge is (axis, whether the upper).
    """
    finite = np.isfinite(points).all(axis=1)
    slack = 1e-9 * (high - low)
    inside = finite & (points >= low - slack).all(axis=1) & (points <= high + slack).all(axis=1)
    outside = np.flatnonzero(finite & ~inside)
    for stretch in np.split(outside, np.flatnonzero(np.diff(outside) > 1) + 1) if len(outside) else ():
        i, j = int(stretch[0]), int(stretch[-1])
        near, far = (
            (i - 1, i) if i and inside[i - 1] else (j + 1, j) if j + 1 < len(points) and inside[j + 1] else (i, i)
        )
        a, b = np.clip(points[near], low, high), points[far]
        over = np.where(b > high, b - high, np.where(b < low, low - b, 0.0))
        along = np.where(over > 0, over / np.maximum(np.abs(b - a), 1e-300), 0.0)
        axis = int(along.argmax())
        yield i, np.clip(b + along[axis] * (a - b), low, high), (axis, bool(b[axis] > high[axis]))


def legend_above(made: Figure, lines: Sequence[Any], names: Sequence[str], columns: int) -> None:
    """Names of lines that lie too close for names at their ends."""
    made.legend(lines, names, loc="outside upper left", ncols=columns, fontsize=11, handlelength=1.2, columnspacing=1.2)
