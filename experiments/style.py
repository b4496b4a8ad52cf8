"""The look of every figure: `npgrad.diagnose.style`, with colours for what only the experiments know.

figure, axes = style.figure(height=3.2)
axes.plot(x, y, color=style.colour("kaiming"))
style.label_ends(axes, [(x[-1], y[-1], "Kaiming", style.colour("kaiming"))])
"""

from __future__ import annotations

from npgrad.diagnose import style as look
from npgrad.diagnose.style import LABEL as LABEL
from npgrad.diagnose.style import WIDTH as WIDTH
from npgrad.diagnose.style import Theme as Theme
from npgrad.diagnose.style import figure, guide, ink, label_ends, layer, muted, paper, save, theme, title

__all__ = ["colour", "figure", "guide", "ink", "label_ends", "layer", "muted", "paper", "save", "theme", "title"]

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
