"""A lesson that takes no time, in a file of its own, and ways to run it."""

from __future__ import annotations

import contextlib
import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from experiments.experiment import Experiment, load

FAKE = '''
"""A fake lesson."""

import os
import time
from dataclasses import dataclass

import numpy as np

from experiments import style
from experiments.claim import Claim
from experiments.experiment import Picture, Result, Table

ORDER = 1
QUESTION = "Is twice a number more than the <number>?"
EXPECTATION = "Yes & no."
FACTOR = 2
UNUSED = 7


@dataclass(frozen=True)
class Config:
    gain: float = 1.0
    steps: int = 100
    mishap: str = ""
    wait: float = 0.0
    bold: bool = False
    seed: int = 0

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError("steps must be 1 or more.")


SWEEP = {"gain": (1.0, 2.0, 3.0)}
QUICK = {"steps": 10, "gain": (1.0, 2.0)}
SEEDS = {"default": 1}


def run(config, progress):
    progress(1, config.steps)
    if config.gain == 2.0:
        if config.mishap == "raises":
            raise RuntimeError("the gain\\\\nis two")
        if config.mishap == "dies":
            os._exit(3)
    time.sleep(config.wait if config.gain != 3.0 else 0.0)
    rng = np.random.default_rng(config.seed)
    x = rng.normal(size=5)
    return Result(
        {"twice": doubled(config.gain), "noise": float(x[0]), "words": ["a", "b"], "nothing": float("nan")},
        {"step": range(3), "loss": [3.0, 2.0, 1.0]},
        {"x": x},
    )


def doubled(x):
    """Twice."""
    return FACTOR * x


def measure(records):
    return {f"twice/{gain:g}": own.values("twice") for gain, own in records.by("gain").items()}


CLAIMS = [
    Claim("two", "Twice one is two.", source=1, quantity="twice/1", low=1.9, high=2.1, format=".1f", why="As printed."),
    Claim("five", "Twice two is five, more than two.", source=(2, 3), quantity="twice/2", low=4.9, nothing=2.0,
          format=".1f", says="five", kind="fact", why="Rounded.", note="It is `four`."),
    Claim("less", "Twice two is less than twice one.", source=0, quantity="twice/2", than="twice/1", high=0.0,
          kind="fact", why="Less is less.", corpus=True),
    Claim("slow", "Judged at length only.", source=5, quantity="twice/1", low=0.0, why="Any.", budget="full"),
    Claim("same", "Two is two.", source=5, quantity="twice/1", low=0.0, kind="identity"),
]


def tables(records):
    return [Table("Doubles", ["gain", "twice"], [[f"{r.config.gain:g}", f"{r.summary['twice']:g}"] for r in records])]


def plot(records):
    figure, axes = style.figure(height=2.0)
    x = [r.config.gain for r in records]
    axes.plot(x, [r.summary["twice"] for r in records], color=style.colour("blue"))
    style.label_ends(axes, [(x[-1], records[-1].summary["twice"], "twice", style.colour("blue"))])
    style.title(axes, "Twice")
    yield Picture("twice", figure, "Twice the gain, and `x < y & z`.")


def portrait(record):
    figure, axes = style.figure(height=2.0)
    axes.plot(record.series["step"], record.series["loss"])
    yield Picture("loss", figure, "The loss.")


NEXT = ["Half: `--set gain=0.5`."]
'''


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with the fake lesson in it."""
    made = tmp_path / "lessons"
    made.mkdir()
    (made / "fake.py").write_text(textwrap.dedent(FAKE).lstrip().replace("\\\\n", "\\n"), encoding="utf-8")
    return made


@pytest.fixture
def reload(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Experiment]]:
    """Reads the fake lesson, anew each time it is called."""
    # Bytecode is taken for current when the source has the same size and second, which a test changes faster than.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def read() -> Experiment:
        sys.modules.pop("lesson_fake", None)
        return load(directory / "fake.py")

    yield read
    sys.modules.pop("lesson_fake", None)


@pytest.fixture
def lesson(reload: Callable[[], Experiment]) -> Experiment:
    return reload()


def cut_off(figure: Figure) -> list[tuple[str, float, float]]:
    """Points that lie outside of their axes without a mark at its edge: (title, x, y) each.

    A line may leave the axes where a triangle of its colour says so.
    """
    found = []
    for axes in figure.axes:
        lines = [line for line in axes.lines if line.get_transform() == axes.transData]
        edge = {float(x) for line in lines if not line.get_clip_on() for x in np.atleast_1d(line.get_xdata())}
        (x0, x1), (y0, y1) = (sorted(limits) for limits in (axes.get_xlim(), axes.get_ylim()))
        departing = {to_hex(mark.get_color()) for mark in axes.findobj(lambda o: o.get_gid() == "departs")}
        scattered = [(c.get_offsets(), "") for c in axes.collections if c.get_offset_transform() == axes.transData]
        drawn = [(line.get_xydata(), to_hex(line.get_color())) for line in lines if line.get_clip_on()]
        for points, hue in [*drawn, *scattered]:
            if hue in departing:
                continue
            for x, y in np.asarray(points, dtype=float):
                inside = x0 <= x <= x1 and y0 <= y <= y1
                if np.isfinite([x, y]).all() and not inside and x not in edge:
                    found.append((axes.get_title(loc="left"), x, y))
    return found


def on_one_another(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of remarks, names and titles whose boxes overlap by more than the space around letters."""
    figure.draw_without_rendering()
    texts = [*figure.texts]
    for axes in figure.axes:
        texts += [*axes.texts, axes.title, axes._left_title, axes._right_title]
    texts = [t for t in texts if t.get_visible() and t.get_text().strip()]
    boxes = [(t.get_text(), Text.get_window_extent(t)) for t in texts]  # of the words, without leaders
    return [
        (a, b)
        for (a, x), (b, y) in itertools.combinations(boxes, 2)
        if min(x.x1, y.x1) - max(x.x0, y.x0) > 4 and min(x.y1, y.y1) - max(x.y0, y.y0) > 4
    ]


@contextlib.contextmanager
def threads(jobs: int) -> Iterator[Executor]:
    """Threads do as workers for what does not depend on processes, and start at once."""
    with ThreadPoolExecutor(jobs) as executor:
        yield executor
