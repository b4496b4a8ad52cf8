"""The controls of one setting: what they are called, what values they take, and the setting they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bokeh.models import CategoricalSlider, InlineStyleSheet, Select

from experiments.desk.training import Setting
from models.deep_mlp import NORMS
from npgrad.nn import ACTIVATIONS

__all__ = ["Controls"]

SLIDERS: dict[str, tuple[str, dict[str, float]]] = {
    "gain": (
        "gain",
        {text: float(text) for text in ("0.05", "0.1", "0.2", "0.3", "0.5", "0.7", "0.85", "1", "1.2")}
        | {"√2": 2**0.5, "5/3": 5 / 3}
        | {text: float(text) for text in ("2", "2.5", "3", "4", "5", "10")},
    ),
    "output_gain": (
        "output gain",
        {text: float(text) for text in ("0", "0.001", "0.01", "0.03", "0.1", "0.3", "1", "2", "3", "5", "10")},
    ),
    "lr": (
        "learning rate",
        {text: float(text) for text in ("0.001", "0.003", "0.01", "0.03", "0.1", "0.2", "0.3", "0.5", "1", "3", "10")},
    ),
    "batch_size": ("batch size", {str(2**k): 2**k for k in range(1, 10)}),
    "depth": ("depth", {str(k): k for k in range(2, 13)}),
}
CHOICES: dict[str, tuple[str, dict[str, Any]]] = {
    "norm": ("normalisation", {name: name for name in NORMS}),
    "activation": ("activation", {name: name for name in ACTIVATIONS}),
    "fan_in": ("hidden weights", {"gain / √fan_in": True, "gain": False}),
}


class Controls:
    """Sliders and menus that stand for a Setting; `changed` is called whenever one is moved."""

    def __init__(self, side: str, setting: Setting, changed: Callable[[], None], sheet: InlineStyleSheet) -> None:
        def moved(attribute: str, old: object, new: object) -> None:
            changed()

        self.widgets: dict[str, CategoricalSlider | Select] = {}
        for name, (title, values) in SLIDERS.items():
            self.widgets[name] = CategoricalSlider(
                title=title, categories=list(values), value=_text(values, getattr(setting, name))
            )
        for name, (title, values) in CHOICES.items():
            text = _text(values, getattr(setting, name))
            self.widgets[name] = Select(title=title, options=list(values), value=text)
        for name, widget in self.widgets.items():
            widget.update(name=f"{side}-{name}", sizing_mode="stretch_width", margin=0, stylesheets=[sheet])
            widget.on_change("value", moved)

    @property
    def setting(self) -> Setting:
        tables = {name: values for name, (_, values) in (SLIDERS | CHOICES).items()}
        return Setting(**{name: tables[name][widget.value] for name, widget in self.widgets.items()})


def _text(values: dict[str, Any], value: Any) -> str:
    return next(text for text, one in values.items() if one == value)
