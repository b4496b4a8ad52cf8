"""The pictures of the desk as Bokeh figures: made once, then given new numbers, now and then another theme."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, FixedTicker, Label, LinearAxis, NumeralTickFormatter, Range1d, Span
from bokeh.plotting import figure

from experiments.desk.pictures import Lines, Ridges
from npgrad.diagnose.style import Look

__all__ = ["LossPlot", "RatioPlot", "RidgePlot", "shades"]

FONT = "system-ui, sans-serif"
DASHES = [5, 3]
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def shades(hue: str, count: int, look: Look) -> list[str]:
    """Colours of `count` layers: from near the ink at the input, over the hue, to near the paper at the output."""
    places = np.linspace(-0.45, 0.5, count) if count > 1 else np.zeros(count)
    return [mixed(hue, look.ink if place < 0 else look.paper, abs(float(place))) for place in places]


def mixed(one: str, other: str, share: float) -> str:
    """Two colours "#rrggbb", so much of the other."""
    parts = [(int(one[k : k + 2], 16), int(other[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in parts)


class Plot:
    """A figure without tools: a finger on it scrolls the page."""

    def __init__(self, name: str, height: int, **options: object) -> None:
        self.figure = figure(
            name=name, height=height, sizing_mode="stretch_width", min_width=200, tools="", toolbar_location=None,
            background_fill_color=None, border_fill_color=None, outline_line_color=None, **options,
        )  # fmt: skip
        self.figure.title.update(text_font=FONT, text_font_size="13px", text_font_style="bold")
        for axis in self.figure.axis:
            axis.update(
                axis_label_text_font=FONT, axis_label_text_font_size="12px", axis_label_text_font_style="normal",
                major_label_text_font=FONT, major_label_text_font_size="12px", major_tick_in=0, major_tick_out=4,
                minor_tick_line_color=None,
            )  # fmt: skip

    def restyle(self, look: Look) -> None:
        made = self.figure
        made.title.text_color = look.ink
        made.grid.grid_line_color = look.hair
        for axis in made.axis:
            axis.update(axis_label_text_color=look.muted, major_label_text_color=look.muted)
            if axis.axis_line_color is not None:  # rows have no lines
                axis.update(axis_line_color=look.muted, major_tick_line_color=look.muted)


class RidgePlot(Plot):
    """Histograms, a layer a row, what theory predicts dashed over them, and a column of numbers at the right."""

    def __init__(self, name: str, title: str, numbers: str) -> None:
        super().__init__(name, 250, x_range=Range1d(-1, 1), y_range=Range1d(1, -1))
        self.title, self.head = title, numbers
        self.measured = ColumnDataSource({"x": [], "y": [], "colour": []})
        self.predicted = ColumnDataSource({"x": [], "y": []})
        self.figure.patches("x", "y", source=self.measured, color="colour", line_width=0.5)
        self._dashed = self.figure.multi_line("x", "y", source=self.predicted, line_width=1.4, line_dash=DASHES)
        self.numbers = LinearAxis(minor_tick_line_color=None)
        self.numbers.update(major_label_text_font=FONT, major_label_text_font_size="12px")
        self.figure.add_layout(self.numbers, "right")
        for axis in self.figure.yaxis:
            # A new ticker would make Bokeh look through the whole document: these get new ticks.
            axis.update(ticker=FixedTicker(), axis_line_color=None, major_tick_line_color=None, major_label_standoff=2)
        self.figure.ygrid.visible = False
        self.figure.xaxis.ticker.desired_num_ticks = 4

    def show(self, ridges: Ridges, hue: str, look: Look) -> None:
        rows = range(len(ridges.names))
        self.figure.title.text = f"{self.title}{_times(ridges.exponent)}, {self.head}"
        self.figure.x_range.update(start=ridges.left, end=ridges.right)
        self.figure.y_range.update(start=len(rows) - 0.9, end=-1)
        every = math.ceil(len(rows) / 12)
        left, right = self.figure.yaxis
        for axis, texts in ((left, ridges.names), (right, ridges.texts)):
            axis.ticker.ticks = [k - 0.3 for k in rows[::every]]
            axis.major_label_overrides = {k - 0.3: texts[k] for k in rows[::every]}
        self.measured.data = {
            "x": [x for x, _ in ridges.measured], "y": [y for _, y in ridges.measured],
            "colour": shades(hue, len(rows), look),
        }  # fmt: skip
        self.predicted.data = {"x": [x for x, _ in ridges.predicted], "y": [y for _, y in ridges.predicted]}

    def restyle(self, look: Look) -> None:
        super().restyle(look)
        self.numbers.major_label_text_color = look.ink
        self._dashed.glyph.line_color = look.ink


class RatioPlot(Plot):
    """log₁₀ of update : data over the steps, a line a layer."""

    def __init__(self, name: str) -> None:
        super().__init__(name, 250, x_axis_type="log", x_range=Range1d(1, 1000), y_range=Range1d(-4, -1.5))
        self.figure.title.text = "Update : data (log₁₀)"
        self.figure.xaxis.axis_label = "step"
        self.figure.xaxis.formatter = NumeralTickFormatter(format="0,0")
        self.lines = ColumnDataSource({"x": [], "y": [], "colour": []})
        self.figure.multi_line("x", "y", source=self.lines, color="colour", line_width=1.8)
        self.guide = Span(location=-3, dimension="width", line_dash=DASHES)
        self.figure.add_layout(self.guide)
        self.ends = ColumnDataSource({"x": [], "y": [], "text": []})
        self._names = self.figure.text(
            "x", "y", "text", source=self.ends, text_font=value(FONT), text_font_size="12px", text_baseline="middle",
            x_offset=5,
        )  # fmt: skip
        self.figure.xgrid.visible = False

    def show(self, ratio: Lines, hue: str, look: Look) -> None:
        every = np.concatenate([y for _, y in ratio.lines])
        every = every[np.isfinite(every)]
        low, high = (
            (min(-3.5, float(every.min()) - 0.2), max(-2.0, float(every.max()) + 0.2)) if every.size else (-4, -2)
        )
        last = float(ratio.lines[0][0][-1]) if len(ratio.lines[0][0]) else 1.0
        self.figure.y_range.update(start=math.floor(2 * low) / 2, end=math.ceil(2 * high) / 2)
        self.figure.x_range.update(start=1, end=_steps_shown(last))
        self.lines.data = {
            "x": [x for x, _ in ratio.lines], "y": [y for _, y in ratio.lines],
            "colour": shades(hue, len(ratio.lines), look),
        }  # fmt: skip
        named = [k for k in (0, len(ratio.lines) - 1) if len(ratio.lines[k][1]) and np.isfinite(ratio.lines[k][1][-1])]
        self.ends.data = {
            "x": [last for _ in named],
            "y": [float(ratio.lines[k][1][-1]) for k in named],
            "text": [ratio.names[k] for k in named],
        }

    def restyle(self, look: Look) -> None:
        super().restyle(look)
        self.guide.line_color = look.muted
        self._names.glyph.text_color = look.muted


class LossPlot(Plot):
    """Both losses over the steps, on logarithmic axes."""

    def __init__(self, name: str, classes: int) -> None:
        super().__init__(
            name, 210, x_axis_type="log", y_axis_type="log", x_range=Range1d(5, 1000), y_range=Range1d(1.9, 4)
        )
        self.figure.title.text = "Loss of the minibatches, averaged"
        self.figure.xaxis.axis_label = "step"
        self.figure.xaxis.formatter = NumeralTickFormatter(format="0,0")
        self.figure.yaxis.ticker = FixedTicker()
        self.figure.xgrid.visible = False
        self.uniform = math.log(classes)
        self.guide = Span(location=self.uniform, dimension="width", line_dash=DASHES)
        self.remark = Label(
            x=8, y=self.uniform, x_units="screen", text=f"equal probabilities {self.uniform:.2f}", y_offset=2,
            text_font=FONT, text_font_size="12px",
        )  # fmt: skip
        self.figure.add_layout(self.guide)
        self.figure.add_layout(self.remark)
        self.curves = ColumnDataSource({"x": [], "y": [], "colour": []})
        self.figure.multi_line("x", "y", source=self.curves, color="colour", line_width=2.4)
        self.ends = ColumnDataSource({"x": [], "y": [], "text": [], "colour": [], "shift": []})
        self.figure.text(
            "x", "y", "text", source=self.ends, text_color="colour", text_font=value(FONT), text_font_size="14px",
            text_font_style="bold", text_baseline="middle", x_offset=7, y_offset="shift",
        )  # fmt: skip

    def show(self, curves: Sequence[tuple[np.ndarray, np.ndarray]], names: Sequence[str], hues: Sequence[str]) -> None:
        there = [k for k, (x, _) in enumerate(curves) if len(x) > 1]  # a network may diverge before that
        every = np.concatenate([np.array([2.2, self.uniform + 0.3]), *(curves[k][1] for k in there)])
        top = min(1.05 * float(every.max()), 40.0)
        self.figure.y_range.update(start=min(2.1, 0.95 * float(every.min())), end=top)
        self.figure.yaxis[0].ticker.ticks = [2, 2.2, 2.5, 3, 4, 5] if top < 6 else [2, 3, 5, 10, 20, 30]
        last = max((float(curves[k][0][-1]) for k in there), default=1.0)
        self.figure.x_range.update(start=5, end=_steps_shown(last))
        self.curves.data = {"x": [x for x, _ in curves], "y": [y for _, y in curves], "colour": list(hues)}
        ends = [float(curves[k][1][-1]) for k in there]
        above = [end >= max(ends) for end in ends]
        self.ends.data = {
            "x": [float(curves[k][0][-1]) for k in there], "y": ends, "text": [names[k] for k in there],
            "colour": [hues[k] for k in there], "shift": [-8 if high else 8 for high in above],
        }  # fmt: skip

    def restyle(self, look: Look) -> None:
        super().restyle(look)
        self.guide.line_color = self.remark.text_color = look.muted


def _steps_shown(last: float) -> float:
    """Where the axis of steps ends: room for a name behind the last one."""
    return max(200.0, last**1.16)


def _times(exponent: int) -> str:
    return f" × 10{str(-exponent).translate(SUPERSCRIPT)}" if exponent else ""
