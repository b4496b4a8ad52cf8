"""Names, numbers and colours as all pictures write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from npgrad.diagnose import style
from npgrad.diagnose.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "beside", "layer_colour", "layer_names", "ordinal", "parameter_names", "percent", "short", "thousands", "when",
]  # fmt: skip


def layer_colour(depth: int, layers: int) -> str:
    """The colour of weight layer `depth` (0: before the first) in a network of `layers` of them."""
    return style.layer(max(depth, 0), layers + 1)


def ordinal(depth: int, layers: int) -> str:
    if depth < 1:
        return "embedding" if depth == 0 else "other"
    return "output" if depth == layers else f"layer {depth}"


def layer_names(record: Record, chosen: Sequence[int]) -> list[str]:
    """ "layer 2", with the class where several modules of one weight layer are shown."""
    names = [ordinal(int(record.layer_depth[k]), record.depth) for k in chosen]
    kinds = [str(record.layer_kind[k]) for k in chosen]
    if len(set(names)) == len(names):
        return names
    return [f"{name} {kind}" if kind != "Embedding" else name for name, kind in zip(names, kinds, strict=True)]


def parameter_names(record: Record, chosen: Sequence[int]) -> list[str]:
    names = [ordinal(int(record.parameter_depth[k]), record.depth) for k in chosen]
    if len(set(names)) == len(names):
        return names
    return [str(record.parameter_name[k]) for k in chosen]


def when(record: Record, t: int) -> str:
    return f"step {int(record.step[t]):,}"


def short(value: float) -> str:
    """Two significant digits, in the shorter of two notations."""
    if not np.isfinite(value):
        return "–"
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:#.2g}".rstrip(".") if 0 < abs(value) < 100 else f"{value:.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}".replace("-", "−")


def percent(share: float) -> str:
    return f"{100 * share:.1f} %" if np.isfinite(share) else "–"


def thousands(axes: Axes) -> None:
    from matplotlib.ticker import StrMethodFormatter

    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.locator_params(axis="x", nbins=6)


def beside(axes: Axes, y: float, text: str, shift: float, hue: str, align: str = "center") -> None:
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
