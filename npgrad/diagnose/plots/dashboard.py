"""The lecture's four pictures in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from npgrad.diagnose import style
from npgrad.diagnose.plots.distributions import activations, gradients, weight_gradients
from npgrad.diagnose.plots.over_time import update_ratio
from npgrad.diagnose.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["dashboard"]

# Inches. A picture narrower or lower than this has names that collide, whatever its layout does.
PANEL_WIDTH, PANEL_HEIGHT, ROW = 5.6, 3.6, 0.235
SHOWN = 12
"""How many rows of a histogram carry a name at most."""


def dashboard(
    record: Record,
    size: tuple[float, float] | None = None,
    *,
    step: int | None = None,
    theme: style.Theme = "light",
    dpi: float = 100,
) -> Figure:
    """Activations, their gradients, weight gradients and update : data, at the recorded step nearest to `step`.

    `size` is (width, height) in inches, of any proportion; by default two pictures stand beside each other, as large as
    their text needs. The figure always has size · dpi pixels: where that is too small for the text, everything is drawn
    larger at a lower resolution, so that text shrinks with the picture and nothing collides.

    Returns a Matplotlib figure, which a notebook shows and `style.save` or `figure.savefig(path)` writes. Raises
    ValueError if nothing was recorded, or for a size that is not positive.
    """
    record.row(step)
    if size is not None and not (size[0] > 0 and size[1] > 0):
        raise ValueError(f"size is (width, height) in inches, both above 0; got {size}.")
    import matplotlib
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = min(max(len(record.activations()), len(record.matrices())), 2 * SHOWN)
    # One line of text for each named row and each line's end, and a head.
    panel = max(PANEL_HEIGHT, 1.7 + ROW * (max(min(rows, SHOWN), len(record.matrices())) + 2))
    wanted = (2 * PANEL_WIDTH, 2 * panel) if size is None else size

    def shrinking(columns: int) -> float:
        return max(1.0, columns * PANEL_WIDTH / wanted[0], 4 // columns * panel / wanted[1])

    columns = min((2, 1, 4), key=shrinking)
    factor = shrinking(columns)
    # Titles stand above the heads of the columns of numbers, which a long one would reach.
    with style.theme(theme), matplotlib.rc_context({"axes.titlepad": 26}):
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
        figure = style.blank(figsize=(wanted[0] * factor, wanted[1] * factor), dpi=dpi / factor, layout=layout)
        axes = figure.subplots(4 // columns, columns).ravel()
        activations(axes[0], record, step)
        gradients(axes[1], record, step)
        weight_gradients(axes[2], record, step)
        # Last: the names of its lines are moved apart in the room that the others have left.
        update_ratio(axes[3], record)
    return figure
