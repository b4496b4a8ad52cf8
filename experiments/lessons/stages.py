"""Five ways to begin: one network, five initialisations, five losses.

The lecture trains the same network five times, each time repairing one more thing about its first random numbers, and
keeps a record of the losses. This lesson trains it five times the same way and puts the two records side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments import style
from experiments.claims.stages import CLAIMS as CLAIMS
from experiments.claims.stages import LECTURE
from experiments.corpus import load
from experiments.curves import steps_until, thinned
from experiments.experiment import Picture, Result, Table
from experiments.pictures import curves, pictures
from experiments.records import Record, Records, mean_curve, measured, paired
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, sampled, table
from experiments.training import training
from models.mlp import MLP
from models.training import TrainConfig, evaluate, fit, generators, sample
from npgrad import no_grad
from npgrad.diagnose.undisturbed import undisturbed
from npgrad.functions import cross_entropy

ORDER = 1

QUESTION = (
    "How much does a network gain from better first random numbers, if everything else (the data, their order, the "
    "steps, the learning rate) stays the same?"
)
EXPECTATION = (
    "A network that knows nothing should begin at a loss of ln 27 = 3.30, which is what equal probabilities for 27 "
    "characters cost. The original one begins near 27 and spends its first steps on shrinking its last layer. "
    "Repairing that, then the saturated hidden units, lowers the final loss a little each time; Kaiming's rule and "
    "batch normalisation reach the same without numbers found by trial."
)

# -- configuration -----------------------------------------------------------------------------------------------------

STAGES = {
    "original": "original",
    "output": "output × 0.01",
    "hidden": "hidden × 0.2",
    "kaiming": "Kaiming",
    "batchnorm": "batch norm",
}


@dataclass(frozen=True)
class Config:
    """The lecture's settings; it trains for 200,000 steps."""

    stage: str = "original"
    steps: int = 30_000
    batch_size: int = 32
    lr: float = 0.1
    lr_decay_at: float = 0.5
    lr_decay: float = 0.1
    context: int = 3
    embedding: int = 10
    hidden: int = 200
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        check(self, one_of={"stage": STAGES}, at_least={1: ("steps", "context", "embedding", "hidden")})

    @property
    def training(self) -> TrainConfig:
        return training(self)


SWEEP = {"stage": tuple(STAGES)}
QUICK = {"steps": 15_000}
FULL = {"steps": 200_000}


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    corpus = load(config.data, config.context)
    rngs = generators(config.seed)
    model = MLP(
        vocab_size=len(corpus.vocabulary),
        context=config.context,
        rng=rngs.init,
        stage=config.stage,
        embedding=config.embedding,
        hidden=config.hidden,
    )
    with undisturbed(model, training=True), no_grad():
        initial = cross_entropy(model(corpus.train.x[:5_000]), corpus.train.y[:5_000]).item()

    losses = fit(model, *corpus.train, config.training, on_step=lambda step, loss: progress(step, config.steps))
    step, loss = thinned(losses)
    uniform = float(np.log(len(corpus.vocabulary)))
    return Result(
        summary={
            "uniform_loss": uniform,
            "initial_loss": initial,
            "train_loss": evaluate(model, *corpus.train),
            "val_loss": evaluate(model, *corpus.val),
            "wasted_steps": min(steps_until(losses, uniform), config.steps),
            "names": sample(model, corpus.vocabulary, 20, rngs.sampling),
        },
        series={"step": step, "loss": loss},
        arrays={"first_losses": losses[:1_000]},
    )


# -- what it shows -----------------------------------------------------------------------------------------------------


def measure(records: Records) -> dict[str, np.ndarray]:
    found = measured(records.by("stage"))
    found["uniform_loss"] = records.values("uniform_loss")[:1]  # of the data alone, the same in every run
    ends = [found.get(f"val_loss/{stage}", np.empty(0)) for stage in ("hidden", "kaiming", "batchnorm")]
    if paired(ends):
        found["repaired_range"] = np.ptp(ends, axis=0)
    return found


def tables(records: Records) -> Iterator[Table]:
    def stated(part: int) -> Callable[[Records], str]:
        """What the lecture measured, with its digits: nothing of other words than its names."""
        return lambda own: "–" if own.own_corpus else f"{LECTURE[own[0].config.stage][part]:.4f}".removesuffix("00")

    stages = records.by("stage")
    columns = [Column("train: lecture", stated(0)), Column("measured", "train_loss", 4)]
    columns += [Column("validation: lecture", stated(1)), Column("measured", "val_loss", 4)]
    steps, count = records[0].config.steps, max(map(len, stages.values()))
    note = f"{steps:,} steps; mean{' ± sd' if count > 1 else ''} over {count} seed{'s' * (count > 1)}."
    if steps < 200_000:
        note += f" The lecture trains for 200,000 steps: after {steps:,} the losses are not yet comparable with it."
    yield table("Loss at the end", "Stage", stages, columns, note, STAGES)

    first = {} if records.own_corpus else {"original": "27", "output": "3.3"}
    columns = [Column("lecture", lambda own: first.get(own[0].config.stage, "–"))]
    columns += [Column("measured", "initial_loss", 2), Column("steps wasted", "wasted_steps", 0)]
    note = (
        "Before the first step, over 5,000 examples. Equal probabilities for every character cost {uniform_loss:.4f}; "
        "wasted are the steps until the loss (mean of 100) is below that."
    )
    yield table("Loss at the beginning", "Stage", stages, columns, note, STAGES)
    yield sampled(records[-1].summary["names"], STAGES[records[-1].config.stage])


# -- pictures ----------------------------------------------------------------------------------------------------------


def hockey_stick(records: Records) -> style.Figure:
    """Loss of the minibatch (mean of 20 steps). The original network first unlearns what its random last layer was so
    sure of: the blade of the hockey stick. The others begin where ignorance puts them.
    """
    figure, axes = style.figure(height=3.5)
    ends, width = {}, 20
    for stage, own in records.by("stage").items():
        first = mean_curve(own, "first_losses")
        if len(first) >= width:
            loss = np.append(own.mean("initial_loss"), np.convolve(first, np.ones(width) / width, "valid"))
            step = np.append(0, np.arange(len(loss) - 1) + width / 2)
            (ends[stage],) = style.lines(axes, [(step, loss, STAGES[stage], style.colour(stage))])
    style.frame(axes, "The first thousand steps: loss", "step", ylog=(2, 3, 5, 10, 20), ylim=(2, 32))
    axes.set(xlim=(0, None), xticks=range(0, 1_001, 250))
    uniform = records.mean("uniform_loss")
    style.guide(axes, uniform, f"equal probabilities: {uniform:.2f}", at=0.02)
    names = [ends.pop("original")] if "original" in ends else []
    if len(ends) > 1:  # they lie on one another: one name for all
        names.append((step[-1], float(np.mean([end[1] for end in ends.values()])), "all others", style.ink()))
    style.label_ends(axes, names if len(ends) > 1 else [*names, *ends.values()])
    return figure


def loss_curves(records: Records) -> style.Figure:
    """Loss of the minibatch, averaged over ever longer stretches. The original network comes close in the end, but
    never catches up; lowering the learning rate (dashed) helps all of them.
    """
    figure, axes = style.figure(height=3.8)
    ends = curves(axes, records.by("stage"), "step", "loss", STAGES, linewidth=1.8)
    config = records[0].config
    style.over_steps(axes, config.steps, first=10)
    style.frame(axes, "The whole training: loss", xlim=(10, config.steps), ylim=(1.98, 3.5))
    decay = config.lr_decay_at * config.steps
    style.guide(axes, decay, vertical=True)
    place: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "ha": "right", "va": "top"}
    style.note(axes, f"rate × {config.lr_decay:g}", (decay, 0.98), (-6, 0), **place)
    style.label_ends(axes, ends)
    return figure


def final_losses(records: Records) -> tuple[style.Figure, str]:
    stages = list(records.by("stage"))
    figure, both = style.figure(1, 2, height=0.55 * len(stages) + 1.5, sharey=True)
    for axes, name, kind, k in zip(both, ("train_loss", "val_loss"), ("Training", "Validation"), (0, 1), strict=True):
        for row, stage in enumerate(stages):
            values = records.values(name, stage=stage)
            hue = style.colour(stage)
            stated = LECTURE[stage][k] if not records.own_corpus else float(values.mean())
            axes.plot([stated, values.mean()], [row, row], color=hue, linewidth=1.4, alpha=0.5)
            if not records.own_corpus:
                axes.plot(stated, row, "D", markersize=8, mfc=style.paper(), color=style.colour("stated"), mew=1.8)
            if len(values) > 1:
                axes.errorbar(values.mean(), row, xerr=values.std(ddof=1), color=hue, capsize=4, linewidth=1.6)
            axes.plot(values.mean(), row, "o", markersize=9, color=hue)
        style.rows(axes)
        axes.locator_params(axis="x", nbins=4)
        axes.margins(x=0.15)
        style.frame(axes, kind, "loss")
    style.rows(both[0], [STAGES[stage] for stage in stages])
    lecture = "" if records.own_corpus else "◇ the lecture's, "
    return figure, (
        f"Loss at the end over all training and all validation names: {lecture}● measured here"
        + (", with its standard deviation over seeds." if len(records) > len(stages) else ".")
    )


plot = pictures(hockey_stick=hockey_stick, losses=loss_curves, final=final_losses)


def portrait(record: Record) -> Iterator[Picture]:
    figure, axes = style.figure(height=3.2)
    axes.plot(record.series["step"], record.series["loss"], color=style.colour(record.config.stage), linewidth=1.6)
    axes.set_xscale("log")
    style.frame(axes, f"{STAGES[record.config.stage]}, seed {record.seed}: loss", "step, logarithmic")
    yield Picture("loss", figure, "Loss of the minibatch, averaged over ever longer stretches.")


NEXT = [
    "Only two stages, and a learning rate too high for one of them: `--set stage=original,batchnorm --set lr=1`.",
    "A longer context, which the lecture suspects to be the bottleneck: `--set context=8`.",
    "Your own list of words, one per line: `--set data=words.txt`. The lecture's numbers no longer apply.",
    "How much of the differences is chance: `--seeds 5`.",
]
