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
from experiments.experiment import Result, Table
from experiments.pictures import curves, pictures, where
from experiments.records import Records, measured
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, table
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
    found = measured(records.named(lambda config: f"{config.stage}/{config.lr:g}"))
    for stage, own in records.by("stage").items():
        found[f"first/{stage}"] = own.where(lr=own[0].config.lr).values("first_sharpness")
        found[f"stable/{stage}"] = 2 / found[f"first/{stage}"]  # the highest rate at which a step does not diverge
    return found


def tables(records: Records) -> Iterator[Table]:
    columns = [
        Column("λ at first", "first_sharpness", 2),
        Column("2/lr", lambda own: f"{2 / own[0].config.lr:.2f}"),
        Column("λ late", lambda own: own.values("hovering") * 2 / own[0].config.lr, 2),
        Column("steps uphill", "{rising:.0%}"),
        Column("log₁₀ update ratio", "ratio", 2),
        Column("loss", "loss"),
    ]
    note = (
        "Gradient descent on {examples:,} examples at once, {steps:,} steps, {hidden} units. λ is the largest "
        "eigenvalue of the Hessian; late: over the second half of training, as are the next two columns; uphill: steps "
        "that raise the loss. Cohen et al. say that λ comes to stay at 2/lr, with cross-entropy a little above."
    )
    groups = {f"{STAGES.get(stage, stage)}, rate {lr:g}": own for (stage, lr), own in records.by("stage", "lr").items()}
    yield table("Sharpness and learning rate", "Network", groups, columns, note)


# -- pictures ----------------------------------------------------------------------------------------------------------

HUES = ("blue", "green", "orange", "vermillion")


def first_seed(records: Records) -> Records:
    return records.where(seed=records[0].seed)


@where(first_seed, stage="kaiming")
def sharpness_by_rate(records: Records) -> style.Figure:
    """The largest eigenvalue of the Hessian along training by gradient descent. It rises until it meets the dashed line
    of its own learning rate, and goes on along it. A step overshoots the bottom of a valley from 1/λ on; beyond 2/λ it
    ends farther up the other side than it began.
    """
    figure, axes = style.figure(height=3.8)
    rates = records.by("lr")
    names, hues = {lr: f"rate {lr:g}" for lr in rates}, dict(zip(rates, HUES, strict=False))
    ends = curves(axes, rates, "step", "sharpness", names, hues)
    for lr in rates:
        axes.axhline(2 / lr, color=style.colour(hues[lr]), linewidth=1.4, linestyle=style.DASHED)
    style.frame(axes, "Sharpness λ, and 2/lr (dashed)", "step", ylog=(0.5, 1, 2, 4), ylim=(0.3, 8), xlim=(0, None))
    style.label_ends(axes, ends)
    return figure


@where(first_seed, stage="kaiming")
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
    style.frame(axes, "Training loss", "step", ylim=(0.7, 3.4), xlim=(0, None))
    style.label_ends(axes, ends)
    return figure


@where(lambda own: first_seed(own.where(lr=min(own.by("lr")))))
def sharpness_by_loss(records: Records) -> style.Figure | None:
    """Three starts at the rate {lr:g}: how sharp the valley is by the time a loss is reached. Normalised, the
    network begins in the flattest one and ends in a sharper one than without; the original begins at the edge.
    """
    if len(records) < 2:
        return None
    figure, axes = style.figure(height=3.6)
    ends = []
    for record in records:
        series, stage = record.series, record.config.stage
        loss = record.arrays["losses"][series["step"].astype(int)]
        line = (loss, series["sharpness"], STAGES.get(stage, stage), style.colour(stage))
        ends += style.lines(axes, [line], marker="o", markersize=5)
    axes.axhline(2 / records[0].config.lr, color=style.muted(), linewidth=1.2, linestyle=style.DASHED)
    title = "Sharpness λ on the way down, and 2/lr (dashed)"
    style.frame(axes, title, "loss, falling to the right", ylog=(0.3, 1, 3, 10))
    style.reach(axes, 0.2, 12)
    style.reach(axes, min(end[0] for end in ends) - 0.05, 4, along="x")
    axes.invert_xaxis()
    style.label_ends(axes, ends)
    return figure


plot = pictures(sharpness=sharpness_by_rate, losses=losses_by_rate, landscape=sharpness_by_loss)

NEXT = [
    "Narrower and wider: `--set hidden=10`, `--set hidden=200`; more data: `--set examples=4000`.",
    "A learning rate beyond what the valley can bear at the start: `--set stage=original --set lr=1,3`.",
    "Longer, until the loss has no more to give and λ falls again: `--set steps=5000 --set looks=60`.",
]
