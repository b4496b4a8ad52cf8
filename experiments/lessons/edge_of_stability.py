"""The edge of stability: how sharp a valley a learning rate can follow.

Near the bottom of a valley of curvature λ, gradient descent converges only if its learning rate is below 2/λ. This
lesson measures λ, the largest eigenvalue of the Hessian, along training on the whole of a small training set, where no
minibatch noise hides what happens (after Cohen et al. 2021, arXiv:2103.00065).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import npgrad
from experiments import style
from experiments.claims.edge_of_stability import CLAIMS as CLAIMS
from experiments.corpus import load
from experiments.experiment import Picture, Result, Table
from experiments.records import Records
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import cells, spread
from models.mlp import MLP
from models.mlp import STAGES as SCALES
from models.training import generators
from npgrad import Tensor, diagnose, optim
from npgrad.functions import cross_entropy

ORDER = 14

QUESTION = (
    "What decides whether a learning rate is too high: the network, its initialisation, its normalisation, or the "
    "learning rate itself?"
)
EXPECTATION = (
    "The documents say that normalisation smooths the landscape and so allows higher learning rates, and that updates "
    "much above 1/1000 of the weights mean instability. Cohen et al. found something else: training sharpens the "
    "valley until λ = 2/lr and then stays there, at the edge, while the loss still falls."
)

# -- configuration -----------------------------------------------------------------------------------------------------

STAGES = {"kaiming": "Kaiming", "batchnorm": "batch norm", "original": "original"}


@dataclass(frozen=True)
class Config:
    """The lecture's network, narrower, on its first 1,000 examples, all of them in every step."""

    lr: float = 1.0
    stage: str = "kaiming"
    steps: int = 1_000
    examples: int = 1_000
    hidden: int = 50
    looks: int = 24
    """How often the sharpness is measured."""
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        check(self, one_of={"stage": SCALES}, at_least={1: ("steps", "hidden", "looks"), 2: ("examples",), 0: ("lr",)})
        if not self.lr:
            raise ValueError("lr must be positive.")


RATES = (0.3, 1.0, 2.0, 4.0)
SLOW, USUAL = 0.3, 1.0
LATE = 1.5
"""The loss at which networks are compared late in training."""
SWEEP = [{"lr": RATES}, {"stage": ("batchnorm", "original"), "lr": (SLOW, USUAL)}]
QUICK = {"steps": 300, "looks": 10, "lr": (USUAL,)}
FULL = {"looks": 60}


def cost(config: Config) -> float:
    return 5 * config.steps + 600 * config.looks


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    corpus = load(config.data)
    rngs = generators(config.seed)
    model = MLP(len(corpus.vocabulary), rng=rngs.init, stage=config.stage, hidden=config.hidden)
    x, y = corpus.train.x[: config.examples], corpus.train.y[: config.examples]
    optimizer = optim.SGD(model.parameters(), lr=config.lr)

    def loss_now() -> Tensor:
        return cross_entropy(model(x), y)

    @npgrad.compile
    def update() -> Tensor:
        loss = loss_now()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    due = set(np.linspace(0, config.steps - 1, config.looks).astype(int).tolist())
    seen: dict[str, list[float]] = {"step": [], "sharpness": [], "ratio": []}
    losses = []
    weight = model.hidden.weight
    with np.errstate(all="ignore"):  # a network that blows up is a result
        for step in range(config.steps):
            look = step in due
            if look:
                top = diagnose.sharpness(model, loss_now, rng=rngs.sampling, products=30, tolerance=0.01)
                before = weight.numpy().copy()
            losses.append(update().item())
            if not math.isfinite(losses[-1]):
                break
            if look:
                change = float(np.std(weight.numpy() - before) / np.std(before))
                for name, value in zip(seen, (step, top.value, math.log10(max(change, 1e-30))), strict=True):
                    seen[name].append(value)
            progress(step, config.steps)
    found = {name: np.array(values) for name, values in seen.items()}
    half = len(found["step"]) // 2
    loss = np.array(losses)
    return Result(
        summary={
            "first_sharpness": found["sharpness"][0],
            "hovering": float(np.mean(found["sharpness"][half:]) * config.lr / 2),
            "highest": float(found["sharpness"].max() * config.lr / 2),
            "rising": float(np.mean(np.diff(loss[len(loss) // 2 :]) > 0)),
            "ratio": float(np.mean(found["ratio"][half:])),
            "loss": float(loss[-max(len(loss) // 20, 1) :].mean()),
            "at_late": at_loss(loss[found["step"].astype(int)], found["sharpness"], LATE),
        },
        series=dict(found),
        arrays={"losses": loss},
    )


def at_loss(loss: np.ndarray, sharpness: np.ndarray, level: float) -> float:
    """The sharpness where the loss first passes a level, between two looks in proportion; nan if it never does."""
    below = np.flatnonzero(loss < level)
    if not len(below) or below[0] == 0:
        return math.nan
    k = int(below[0])
    share = (loss[k - 1] - level) / (loss[k - 1] - loss[k])
    return float(sharpness[k - 1] + share * (sharpness[k] - sharpness[k - 1]))


# -- what it shows -----------------------------------------------------------------------------------------------------


def measure(records: Records) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for stage, own in records.by("stage").items():
        found[f"first/{stage}"] = own.where(lr=own[0].config.lr).values("first_sharpness")
        found[f"stable/{stage}"] = 2 / found[f"first/{stage}"]  # the highest rate at which a step does not diverge
        for lr, same in own.by("lr").items():
            for name in ("hovering", "highest", "rising", "ratio", "loss", "at_late"):
                found[f"{name}/{stage}/{lr:g}"] = same.values(name)
    return found


def tables(records: Records) -> list[Table]:
    rows = []
    for stage, own in records.by("stage").items():
        for lr, same in own.by("lr").items():
            name = f"{STAGES.get(stage, stage)}, rate {lr:g}"
            late = [f"{2 / lr:.2f}", spread(same.values("hovering") * 2 / lr, 2), f"{same.mean('rising'):.0%}"]
            rows.append([name, *cells(same, first_sharpness=2), *late, *cells(same, ratio=2, loss=3)])
    first = records[0].config
    note = (
        f"Gradient descent on {first.examples:,} examples at once, {first.steps:,} steps, {first.hidden} units. λ is "
        "the largest eigenvalue of the Hessian; late: over the second half of training, as are the next two columns; "
        "uphill: steps that raise the loss. Cohen et al. say that λ comes to stay at 2/lr, with cross-entropy a "
        "little above."
    )
    columns = ["Network", "λ at first", "2/lr", "λ late", "steps uphill", "log₁₀ update ratio", "loss"]
    return [Table("Sharpness and learning rate", columns, rows, note)]


# -- pictures ----------------------------------------------------------------------------------------------------------

HUES = ("blue", "green", "orange", "vermillion")


def plot(records: Records) -> Iterator[Picture]:
    if len(plain := records.where(stage="kaiming", seed=records[0].seed)):
        yield Picture("sharpness", *sharpness_by_rate(plain))
        yield Picture("losses", *losses_by_rate(plain))
    if len(records.by("stage")) > 1:
        yield Picture("landscape", *sharpness_by_loss(records))


def sharpness_by_rate(records: Records) -> style.Figure:
    """The largest eigenvalue of the Hessian along training by gradient descent. It rises until it meets the dashed line
    of its own learning rate, and goes on along it. A step overshoots the bottom of a valley from 1/λ on; beyond 2/λ it
    ends farther up the other side than it began.
    """
    figure, axes = style.figure(height=3.8)
    ends = []
    for (lr, own), hue in zip(records.by("lr").items(), HUES, strict=False):
        series = own[0].series
        axes.plot(series["step"], series["sharpness"], color=style.colour(hue))
        axes.axhline(2 / lr, color=style.colour(hue), linewidth=1.4, linestyle=style.DASHED)
        ends.append((series["step"][-1], series["sharpness"][-1], f"rate {lr:g}", style.colour(hue)))
    style.logarithmic(axes, (0.5, 1, 2, 4), along="y")
    axes.set_ylim(0.3, 8)
    axes.set_xlim(0)
    style.titled(axes, "Sharpness λ, and 2/lr (dashed)", "step")
    style.label_ends(axes, ends)
    return figure


def losses_by_rate(records: Records) -> style.Figure:
    """Loss over all examples. Below the edge it falls in every step; at the edge it rises in many single steps, and
    falls in the long run all the same, and sooner than below.
    """
    figure, axes = style.figure(height=3.5)
    ends = []
    for (lr, own), hue in zip(records.by("lr").items(), HUES, strict=False):
        loss = own[0].arrays["losses"]
        axes.plot(loss, color=style.colour(hue), linewidth=1.3)
        ends.append((len(loss), loss[-1], f"rate {lr:g}", style.colour(hue)))
    axes.set_ylim(0.7, 3.4)
    axes.set_xlim(0)
    style.titled(axes, "Training loss", "step")
    style.label_ends(axes, ends)
    return figure


def sharpness_by_loss(records: Records) -> style.Figure:
    """Three starts at the rate {!!slow:g}: how sharp the valley is by the time a loss is reached. Normalised, the
    network begins in the flattest one and ends in a sharper one than without; the original begins at the edge.
    """
    figure, axes = style.figure(height=3.6)
    slow = min(records.by("lr"))
    ends = []
    for stage, own in records.where(lr=slow, seed=records[0].seed).by("stage").items():
        series = own[0].series
        loss = own[0].arrays["losses"][series["step"].astype(int)]
        axes.plot(loss, series["sharpness"], color=style.colour(stage), marker="o", markersize=5)
        ends.append((loss[-1], series["sharpness"][-1], STAGES.get(stage, stage), style.colour(stage)))
    axes.axhline(2 / slow, color=style.muted(), linewidth=1.2, linestyle=style.DASHED)
    style.logarithmic(axes, (0.3, 1, 3, 10), along="y")
    style.reach(axes, 0.2, 12)
    style.reach(axes, min(end[0] for end in ends) - 0.05, 4, along="x")
    axes.invert_xaxis()
    style.titled(axes, "Sharpness λ on the way down, and 2/lr (dashed)", "loss, falling to the right")
    style.label_ends(axes, ends)
    return figure


NEXT = [
    "Narrower and wider: `--set hidden=10`, `--set hidden=200`; more data: `--set examples=4000`.",
    "A learning rate beyond what the valley can bear at the start: `--set stage=original --set lr=1,3`.",
    "Longer, until the loss has no more to give and λ falls again: `--set steps=5000 --set looks=60`.",
]
