"""Through time: gradients of an unrolled recurrent network, plain and gated.

The lecture looks at activations and gradients because recurrent networks come next: unrolled, they are as deep as a
text is long, with the same weights in every layer. This lesson sends a gradient back through forty steps of one that is
not trained yet, and through the same network with a gate (Cho et al. 2014, arXiv:1406.1078).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments import style
from experiments.claims import Claim
from experiments.curves import rms
from experiments.experiment import Picture, Result, Table
from experiments.records import Records
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import fraction, spread
from npgrad import Tensor, sigmoid, tanh

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ORDER = 15

QUESTION = "What is left of a gradient after forty steps back through time, and what does a gate change?"
EXPECTATION = (
    "Every step multiplies the gradient by the same recurrent weights and by a slope of tanh below 1: it should vanish "
    "where the weights are small and explode where they are large. A gate that mostly keeps the old state lets the "
    "gradient pass by, whatever the weights."
)

# -- configuration -----------------------------------------------------------------------------------------------------

CELLS = {"plain": "plain tanh", "gated": "gated"}


@dataclass(frozen=True)
class Config:
    """Random inputs through random weights; nothing is trained."""

    cell: str = "plain"
    gain: float = 1.0
    """The recurrent weights are N(0, 1)·gain/√hidden."""
    keep: float = 3.0
    """Bias of the gate: sigmoid(3) = 0.95 of the old state is kept."""
    steps: int = 40
    hidden: int = 100
    examples: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        check(self, one_of={"cell": CELLS}, at_least={2: ("steps", "hidden", "examples"), 0: ("gain",)})


SWEEP = {"cell": tuple(CELLS), "gain": (0.5, 1.0, 5 / 3, 3.0)}
SEEDS = {"quick": 3, "full": 10}


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    rng = np.random.default_rng([config.seed, 15])
    n, width = config.examples, config.hidden
    W, U, Z = (Tensor(rng.normal(size=(width, width)) * s / np.sqrt(width)) for s in (1.0, config.gain, 1.0))
    h = Tensor(np.tanh(rng.normal(size=(n, width))), requires_grad=True)
    states = []
    for _ in range(config.steps):
        x = Tensor(rng.normal(size=(n, width)))
        new = tanh(x @ W + h @ U)
        if config.cell == "gated":
            keep = sigmoid(x @ Z + config.keep)
            new = keep * h + (1 - keep) * new
        new.retain_grad()
        states.append(new)
        h = new
    h.backward(rng.normal(size=h.shape))
    progress(1, 1)
    size = np.array([rms(state.grad) for state in states])
    return Result(
        summary={"left": size[0] / size[-1]},
        series={"back": np.arange(config.steps), "gradient": size[::-1] / size[-1]},
    )


# -- what it shows -----------------------------------------------------------------------------------------------------


def measure(records: Records) -> dict[str, np.ndarray]:
    return {
        f"{cell}/{fraction(gain)}": same.values("left")
        for cell, own in records.by("cell").items()
        for gain, same in own.by("gain").items()
    }


RNN = "standard form is notoriously difficult to train due to unstable gradient flows"
CLAIMS = [
    Claim("vanishes", "Gradients of a plain recurrent network are unstable: what is left after forty steps, gain 1.",
          source=4, quantity="plain/1", ratio=True, high=0.1, nothing=1.0, format=".2g", says=RNN,
          why="A tenth left, or less."),
    Claim("explodes", "… and with weights three times as large.",
          source=4, quantity="plain/3", ratio=True, low=10.0, nothing=1.0, format=".2g", says=RNN, part_of="vanishes",
          why="Ten times as large, or more."),
    Claim("gated", "Gates were developed to control this: what is left with a gate beside what is left without, gain "
                   "1.",
          source=4, quantity="gated/1", than="plain/1", ratio=True, low=10.0, format=".2g",
          says="specifically engineered to address this", why="Ten times as much, or more."),
    Claim("gated-holds", "… so that the gradient keeps its size: what is left of it with a gate, gain 1.",
          source=4, quantity="gated/1", ratio=True, low=0.1, high=10.0, format=".2g",
          says="specifically engineered to address this", part_of="gated", why="Within a factor of ten."),
]  # fmt: skip


def tables(records: Records) -> list[Table]:
    rows = [
        [fraction(gain), *(spread(own.values("left", cell=cell), ".2g") for cell in CELLS)]
        for gain, own in records.by("gain").items()
    ]
    config = records[0].config
    note = f"Gradient at the first of {config.steps} steps over that at the last; {config.hidden} units."
    return [Table("What is left of a gradient", ["Gain of the recurrent weights", *CELLS.values()], rows, note)]


def plot(records: Records) -> Iterator[Picture]:
    yield Picture("time", *through_time(records))


def through_time(records: Records) -> tuple[Figure, str]:
    cells = records.by("cell")
    figure, panels = style.figure(1, len(cells), height=3.6, sharey=True, squeeze=False)
    for axes, (cell, own) in zip(panels[0], cells.items(), strict=True):
        groups = own.by("gain")
        for k, (gain, same) in enumerate(groups.items()):
            curve = np.exp(np.mean([np.log(r.series["gradient"]) for r in same], axis=0))
            axes.plot(same[0].series["back"], curve, color=style.layer(k, len(groups)), label=f"gain {fraction(gain)}")
        style.logarithmic(axes, along="y")
        axes.set_xlabel("steps back")
        style.title(axes, CELLS[cell].capitalize())
    style.legend_above(figure, panels[0][0].lines, [f"gain {fraction(gain)}" for gain in records.by("gain")], 4)
    return figure, (
        "Size of the gradient of the state, relative to the last step, on its way back through time in networks that "
        "are not trained yet. With a gate most of it takes the way past the weights."
    )


NEXT = [
    "Between vanishing and exploding: `--set gain=1.2,1.4`.",
    "A gate that is half open: `--set cell=gated --set keep=0`.",
    "A longer text: `--set steps=200`.",
]
