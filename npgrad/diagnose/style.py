"""One visual language for every figure.

Colours are Okabe and Ito's, which people with any colour vision can tell apart; on top of that no figure says
anything by colour alone: lines carry their names, measured and stated values have different marks. A thing keeps its
colour: an activation, an optimiser or a layer looks the same wherever it appears. Figures made inside
`style.theme("dark")` are light on dark. Text is large: a figure is still readable at half its size.

    figure, axes = style.figure(height=3.2)
    axes.plot(x, y, color=style.colour("adam"))
    style.label_ends(axes, [(x[-1], y[-1], "Adam", style.colour("adam"))])
"""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "blank", "colour", "figure", "guide", "hair", "ink", "label_ends", "layer", "legible", "muted", "paper", "save",
    "theme", "title", "use",
]  # fmt: skip

Theme = Literal["light", "dark"]
WIDTH = 6.4
LABEL = 12.0


@dataclass(frozen=True)
class Look:
    paper: str
    ink: str
    muted: str
    hair: str
    hues: Mapping[str, str]


LIGHT = Look(
    paper="#ffffff",
    ink="#1b1f24",
    muted="#5c6570",
    hair="#d9dee3",
    hues={
        "vermillion": "#d55e00",
        "orange": "#c98500",  # Okabe and Ito's, darkened: their own is too light for text on white
        "green": "#008f68",
        "blue": "#0072b2",
        "purple": "#b0568c",
        "sky": "#3a94cf",
        "grey": "#6b7480",
    },
)
DARK = Look(
    paper="#14181d",
    ink="#e8ebee",
    muted="#a3adb8",
    hair="#343c45",
    hues={
        "vermillion": "#ff7f2a",
        "orange": "#f0b429",
        "green": "#2fc79a",
        "blue": "#4aa8e8",
        "purple": "#e08bbb",
        "sky": "#8fd0f7",
        "grey": "#9aa4b0",
    },
)

LOOKS = {"light": LIGHT, "dark": DARK}

NAMED = {
    # normalisation
    "none": "vermillion",
    "batch": "green",
    "layer": "blue",
    "group": "purple",
    # activations
    "tanh": "blue",
    "sigmoid": "purple",
    "relu": "vermillion",
    "leaky_relu": "orange",
    "elu": "green",
    "gelu": "sky",
    "silu": "sky",
    "softplus": "orange",
    "linear": "grey",
    # optimisers
    "sgd": "blue",
    "momentum": "orange",
    "adam": "green",
    # what a document says, beside a measurement in the colour of the thing measured
    "stated": "grey",
}

_current: ContextVar[Look] = ContextVar("look", default=LIGHT)


def ink() -> str:
    """The colour of text and marks that stand for nothing in particular."""
    return _current.get().ink


def muted() -> str:
    """The colour of what should step back: axes, remarks."""
    return _current.get().muted


def paper() -> str:
    """The background."""
    return _current.get().paper


def hair() -> str:
    """The colour of the finest lines: grids and frames."""
    return _current.get().hair


def colour(name: str) -> str:
    """The colour of a named thing ("adam", "relu") or of a hue ("blue"). Raises KeyError for unknown names."""
    return _current.get().hues[NAMED.get(name, name)]


def layer(index: int, depth: int) -> str:
    """The colour of a layer in a network of `depth` layers: a scale from the input (dark) to the output (light)."""
    import matplotlib
    from matplotlib.colors import to_hex

    low, high = (0.0, 0.78) if _current.get() is LIGHT else (0.3, 1.0)
    place = low + (high - low) * index / max(depth - 1, 1)
    return to_hex(matplotlib.colormaps["viridis"](place))


def legible(hue: str, least: float = 3.0) -> str:
    """`hue`, mixed with ink until text in it has at least this contrast with the paper (WCAG's ratio)."""
    share, mixed = 0.0, hue
    while contrast(mixed, paper()) < least and share < 1:
        share += 0.05
        parts = [(int(hue[k : k + 2], 16), int(ink()[k : k + 2], 16)) for k in (1, 3, 5)]
        mixed = "#" + "".join(f"{round(a + (b - a) * min(share, 1)):02x}" for a, b in parts)
    return mixed


def contrast(one: str, other: str) -> float:
    """The ratio that the Web Content Accessibility Guidelines define, from 1 (none) to 21."""

    def luminance(hue: str) -> float:
        parts = [int(hue[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@contextlib.contextmanager
def theme(name: Theme) -> Iterator[None]:
    """Figures made inside have this look."""
    import matplotlib

    token = _current.set(LOOKS[name])
    try:
        with matplotlib.rc_context(_settings()):
            yield
    finally:
        _current.reset(token)


def use(name: Theme) -> None:
    """All figures made from now on have this look: for notebooks, whose cells no `with` can hold together."""
    import matplotlib

    _current.set(LOOKS[name])
    matplotlib.rcParams.update(_settings())


def _settings() -> dict[Any, Any]:
    """The current look, as Matplotlib's settings."""
    look = _current.get()
    return {
        "svg.hashsalt": "npgrad",
        "svg.fonttype": "none",
        "font.family": ["DejaVu Sans"],  # comes with Matplotlib: text is laid out the same on every machine
        "font.size": 12.5,
        "axes.labelsize": 12.5,
        "axes.titlesize": 13.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlepad": 10.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": look.muted,
        "axes.linewidth": 0.8,
        "axes.labelcolor": look.muted,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "grid.color": look.hair,
        "grid.linewidth": 0.8,
        "xtick.color": look.muted,
        "ytick.color": look.muted,
        "xtick.labelsize": 11.5,
        "ytick.labelsize": 11.5,
        "xtick.minor.visible": False,
        "lines.linewidth": 2.2,
        "lines.solid_capstyle": "round",
        "text.color": look.ink,
        "legend.frameon": False,
        "figure.facecolor": look.paper,
        "axes.facecolor": look.paper,
        "savefig.facecolor": look.paper,
    }


def figure(rows: int = 1, columns: int = 1, *, height: float = 3.4, **options: Any) -> tuple[Figure, Any]:
    """A figure as wide as the page and its axes, as `matplotlib.pyplot.subplots` gives them; no global state."""
    made = blank(figsize=(WIDTH, height), layout="constrained")
    return made, made.subplots(rows, columns, **options)


def blank(**options: Any) -> Figure:
    """A figure without axes, which notebooks show; options are those of `matplotlib.figure.Figure`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    made = _kind()(**options)
    FigureCanvasAgg(made)
    return made


@functools.cache
def _kind() -> type[Figure]:
    from matplotlib.figure import Figure

    class Picture(Figure):
        """Notebooks show a plain Figure as text unless pyplot has been imported there."""

        def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
            """Two pixels for each that it takes on the screen."""
            file = io.BytesIO()
            self.savefig(file, format="png", dpi=2 * self.dpi)
            width, height = (self.get_size_inches() * self.dpi).round().astype(int).tolist()
            return file.getvalue(), {"width": width, "height": height}

    return Picture


def title(axes: Axes, text: str) -> None:
    """What the picture shows, at its top left."""
    axes.set_title(text, color=ink())


def guide(axes: Axes, value: float, text: str = "", *, vertical: bool = False, at: float = 1.0) -> None:
    """A dashed line at a value that matters, with its name; `at` is where along it, from 0 to 1."""
    draw = axes.axvline if vertical else axes.axhline
    draw(value, color=muted(), linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    if not text:
        return
    if vertical:
        place, transform, shift = (value, at), axes.get_xaxis_transform(), (5, 0)
        align = ("left", "top" if at > 0.5 else "bottom")
    else:
        place, transform, shift = (at, value), axes.get_yaxis_transform(), (0, 4)
        align = ("right" if at > 0.5 else "left", "bottom")
    axes.annotate(
        text,
        place,
        xycoords=transform,
        xytext=shift,
        textcoords="offset points",
        color=muted(),
        ha=align[0],
        va=align[1],
    )


def label_ends(axes: Axes, ends: Iterable[tuple[float, float, str, str]], gap: float = 1.3) -> None:
    """Name lines at their right ends, (x, y, text, colour) each, moved apart where they would overlap.

    Call it last: it places the names by the limits of the axes as they are then. `gap` is in lines of text.
    """
    ends = [end for end in ends if np.isfinite(end[1])]
    made: Any = axes.figure
    if not ends:
        return
    made.draw_without_rendering()
    points = 72.0 / made.dpi
    step = LABEL * gap
    box = axes.get_window_extent()
    low, high = box.y0 * points, box.y1 * points
    at = [axes.transData.transform((x, y)) * points for x, y, _, _ in ends]
    wanted = [min(max(float(place[1]), low), high) for place in at]
    right = max(float(place[0]) for place in at) + 16
    for (x, y, text, hue), (x0, y0), place in zip(ends, at, spread(wanted, step, low, high), strict=True):
        leader = {"arrowstyle": "-", "color": hue, "linewidth": 1.0, "shrinkA": 1, "shrinkB": 2, "relpos": (0, 0.5)}
        axes.annotate(
            text,
            (x, y),
            xytext=(right - x0, place - y0),
            textcoords="offset points",
            color=legible(hue),
            fontsize=LABEL,
            va="center",
            annotation_clip=False,
            arrowprops=leader if low <= y0 <= high else None,
        )


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The places nearest to those wanted that are at least `gap` apart: neighbours that collide share their mean.

    All lie between low and high, if there is room for them.
    """
    order = sorted(range(len(wanted)), key=lambda k: wanted[k])
    groups: list[list[int]] = []
    centres: list[float] = []
    for k in order:
        groups.append([k])
        centres.append(_held(wanted[k], 0.0, low, high))
        while len(groups) > 1 and centres[-1] - centres[-2] < gap * (len(groups[-1]) + len(groups[-2])) / 2:
            merged = groups.pop(-2) + groups.pop()
            groups.append(merged)
            mean = sum(wanted[j] for j in merged) / len(merged)
            centres[-2:] = [_held(mean, gap * (len(merged) - 1) / 2, low, high)]
    places = [0.0] * len(wanted)
    for group, centre in zip(groups, centres, strict=True):
        for rank, k in enumerate(group):
            places[k] = centre + (rank - (len(group) - 1) / 2) * gap
    return places


def _held(centre: float, half: float, low: float, high: float) -> float:
    if high - low < 2 * half:
        return (low + high) / 2
    return min(max(centre, low + half), high - half)


def save(figure: Figure, path: Path, formats: Sequence[str] = ("svg", "png")) -> list[Path]:
    """Write `path` with these suffixes: the same bytes for the same figure, without dates or versions inside."""
    written = []
    for form in formats:
        file = path.parent / f"{path.name}.{form}"
        nothing: dict[str, Any] = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[form]
        figure.savefig(file, format=form, dpi=144, metadata=nothing)
        if form == "svg":  # trailing blanks in paths: version control complains
            text = file.read_text(encoding="utf-8")
            file.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n", encoding="utf-8")
        written.append(file)
    return written
