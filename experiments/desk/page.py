"""The page of the desk: two settings side by side, which train while one looks."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from bokeh.document import Document
from bokeh.models import Button, CustomJS, Div, InlineStyleSheet, Toggle
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from experiments.desk.controls import CHOICES, SLIDERS, Controls
from experiments.desk.figures import LossPlot, RatioPlot, RidgePlot
from experiments.desk.pictures import activations, gradients, loss, update_ratio, weight_gradients
from experiments.desk.training import STEPS, Setting, Training
from npgrad import data
from npgrad.diagnose.style import DARK, LIGHT, Look

__all__ = ["Page"]

HERE = Path(__file__).parent
FRAME = 0.15
"""Seconds between two frames,"""
BUDGET = 0.07
"""of which so many are for training."""
CHUNK = 10
PICTURED = 4
"""Frames in which the loss moves until the pictures do: nine canvases are much to paint."""
SIDES = {"a": ("blue", Setting()), "b": ("vermillion", Setting(norm="batch"))}
PICTURES = ("activations", "gradients", "weights", "updates")

THEME = """
const dark = matchMedia("(prefers-color-scheme: dark)");
const tell = () => { play.tags = [dark.matches ? "dark" : "light"]; };
dark.addEventListener("change", tell);
tell();
"""
COPY = """
navigator.clipboard.writeText(line.tags[0]).then(
  () => { button.label = "copied"; setTimeout(() => { button.label = "copy as command"; }, 1500); },
  () => { button.label = "copy the line below by hand"; });
"""


class Side:
    """One setting: its controls, its training and its pictures."""

    def __init__(self, name: str, corpus: data.Corpus, sheet: InlineStyleSheet, changed: Callable[[], None]) -> None:
        self.name, self.corpus, self._tell = name, corpus, changed
        self.hue, setting = SIDES[name]
        self.stale = False
        self.drawn = -1
        self.controls = Controls(name, setting, self._changed, sheet)
        self.status = Div(name=f"{name}-status", margin=0, stylesheets=[sheet])
        self.command = Div(name=f"{name}-command", margin=0, sizing_mode="stretch_width", stylesheets=[sheet])
        self.command.styles = {"font-family": "ui-monospace, monospace", "font-size": "12px"}
        self.copy = Button(name=f"{name}-copy", label="copy as command", margin=0, stylesheets=[sheet])
        self.copy.js_on_click(CustomJS(args={"line": self.command, "button": self.copy}, code=COPY))
        self.activations = RidgePlot(f"{name}-activations", "Activations by layer", "σ (theory)")
        self.gradients = RidgePlot(f"{name}-gradients", "Gradients", "σ (theory)")
        self.weights = RidgePlot(f"{name}-weights", "Weight gradients", "grad : data")
        self.updates = RatioPlot(f"{name}-updates")
        self.plots = (self.activations, self.gradients, self.weights, self.updates)
        self.begin()

    def _changed(self) -> None:
        if not self.stale:  # a slider that is drawn along changes faster than it can be followed
            self.stale = True
            self._tell()

    def begin(self) -> None:
        """A new training of what the controls say, of which the first step is taken."""
        self.training = Training(self.controls.setting, self.corpus)
        self.training.advance(1)
        self.stale, self.drawn = False, -1
        line = self.training.setting.command(f"runs/desk-{self.name}")
        self.command.tags = [line]
        self.command.text = " ".join(f"<span>{part}</span>" for part in re.split(" (?=--)", line))

    def draw(self, look: Look, pictures: bool) -> None:
        """Say how far training is; show the pictures, too, if there is something new in them."""
        training, hue = self.training, look.hues[self.hue]
        if pictures and self.drawn != len(training.record.step):
            self.drawn = len(training.record.step)
            self.activations.show(activations(training), hue, look)
            self.gradients.show(gradients(training), hue, look)
            self.weights.show(weight_gradients(training), hue, look)
            self.updates.show(update_ratio(training), hue, look)
        if training.diverged:
            said = f"diverged at step {training.step - 1:,}"
        else:
            recent = training.losses[-100:]
            said = f"step {training.step:,}, loss {sum(recent) / len(recent):.2f}"
        self.status.text = said + (", done" if training.step >= STEPS else "")


class Page:
    """A document of Bokeh: one for every tab that is opened, with networks of its own."""

    def __init__(self, corpus: data.Corpus) -> None:
        self.look, self.frames = LIGHT, 0
        sheet = InlineStyleSheet(css=(HERE / "widgets.css").read_text(encoding="utf-8"))
        self.play = Toggle(name="play", label="pause", active=True, margin=0, stylesheets=[sheet])
        self.again = Button(name="again", label="begin again", margin=0, stylesheets=[sheet])
        self.sides = [Side(name, corpus, sheet, self._soon) for name in SIDES]
        self.loss = LossPlot("loss", len(corpus.vocabulary))
        self.play.on_change("active", self._played)
        self.play.on_change("tags", self._themed)
        self.again.on_click(self._restart)

    def open(self, document: Document) -> None:
        """Show the page in a document, and keep it moving."""
        roots = [self.play, self.again, self.loss.figure]
        for side in self.sides:
            roots += [*side.controls.widgets.values(), side.status, side.command, side.copy]
            roots += [plot.figure for plot in side.plots]
        with document.models.freeze():
            for root in roots:
                document.add_root(root)
        loader = Environment(loader=FileSystemLoader(HERE), undefined=StrictUndefined, autoescape=False)
        document.template = loader.get_template("page.html.jinja")
        document.template_variables.update(
            css=(HERE / "page.css").read_text(encoding="utf-8"), light=LIGHT, dark=DARK,
            sides=SIDES, controls=[*SLIDERS, *CHOICES], pictures=PICTURES,
        )  # fmt: skip
        document.title = "npgrad: the desk"
        document.js_on_event("document_ready", CustomJS(args={"play": self.play}, code=THEME))
        self._restyle()
        self._draw()
        self.document = document
        document.add_periodic_callback(self.frame, int(1000 * FRAME))

    def frame(self) -> None:
        """Train whoever is behind for a while, and draw; nothing if that is not wanted, or both are done."""
        end = time.perf_counter() + BUDGET
        trained = False
        while self.play.active and time.perf_counter() < end and (waiting := self._waiting()):
            min(waiting, key=lambda training: training.step).advance(CHUNK)
            trained = True
        if trained:
            self.frames += 1
            self._draw(pictures=self.frames % PICTURED == 0 or not self._waiting())

    def _waiting(self) -> list[Training]:
        """The trainings that are not done; none if the tab has been closed, or is not there yet."""
        context = self.document.session_context
        session = getattr(context, "session", None)
        if session is not None and not session.connection_count:
            return []
        return [side.training for side in self.sides if not side.training.done]

    def _soon(self) -> None:
        """Show a change without waiting for the next frame."""
        self.document.add_next_tick_callback(self._follow)

    def _follow(self) -> None:
        for side in self.sides:
            if side.stale:
                side.begin()
        self._draw()

    def _draw(self, pictures: bool = True) -> None:
        for side in self.sides:
            side.draw(self.look, pictures)
        hues = [self.look.hues[side.hue] for side in self.sides]
        names = [side.name.upper() for side in self.sides]
        self.loss.show([loss(side.training) for side in self.sides], names, hues)

    def _restyle(self) -> None:
        self.loss.restyle(self.look)
        for side in self.sides:
            for plot in side.plots:
                plot.restyle(self.look)
            side.drawn = -1

    def _played(self, attribute: str, old: bool, new: bool) -> None:
        self.play.label = "pause" if new else "train"
        self._draw()

    def _themed(self, attribute: str, old: list[str], new: list[str]) -> None:
        self.look = DARK if new == ["dark"] else LIGHT
        self._restyle()
        self._draw()

    def _restart(self) -> None:
        for side in self.sides:
            side.begin()
        self._draw()
