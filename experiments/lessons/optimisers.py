"""Three optimisers, three beginnings: what Adam forgives.

Careful first weights are said to matter less since Adam. So six plain tanh layers begin too small, well, or too large,
and are trained by gradient descent, with momentum and by Adam, each at four learning rates, so that every optimiser is
seen at its best.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments import style
from experiments.claims.optimisers import CLAIMS as CLAIMS
from experiments.corpus import load
from experiments.curves import thinned
from experiments.experiment import Result, Table
from experiments.pictures import pictures, trend, where
from experiments.records import Records, mean_curve, paired
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, spread, table
from experiments.training import training
from experiments.verdict import chosen_elsewhere
from models.deep_mlp import DeepMLP
from models.training import TrainConfig, evaluate, fit, generators
from npgrad import Tensor, data
from npgrad.functions import cross_entropy

ORDER = 13

QUESTION = "How much of the care for the first weights does a better optimiser save?"
EXPECTATION = (
    "A step of gradient descent is as large as the gradient, which vanishes in the lower layers of a network that "
    "begins too small. Adam divides by the gradient's size: every layer moves, whatever arrives. Neither should help "
    "where every unit is saturated and the gradient says little. And from a good start there should be little to gain."
)

# -- configuration -----------------------------------------------------------------------------------------------------

STARTS = {"small": 0.2, "kaiming": 5 / 3, "large": 10.0}
"""Gains: the weights are N(0, 1)·gain/√fan_in. Of 100 inputs, gain 10 is the N(0, 1) with which the lecture begins."""
START_NAMES = {"small": "too small (gain 0.2)", "kaiming": "Kaiming (gain 5/3)", "large": "too large (gain 10)"}
BASE = {"sgd": 0.1, "momentum": 0.01, "adam": 0.001}
"""The usual learning rates. Momentum 0.9 adds up ten gradients, and so takes a tenth of the rate."""
STEP: dict[str, dict[str, Any]] = {
    "sgd": {}, "momentum": {"optimizer": "sgd", "momentum": 0.9}, "adam": {"optimizer": "adam"},
}  # fmt: skip
OPTIMISERS = {"sgd": "SGD", "momentum": "momentum", "adam": "Adam"}


@dataclass(frozen=True)
class Config:
    """The lecture's deep network without normalisation."""

    start: str = "kaiming"
    optimizer: str = "sgd"
    rate: float = 1.0
    """The learning rate, relative to the usual one of this optimiser."""
    steps: int = 900
    batch_size: int = 32
    depth: int = 6
    hidden: int = 100
    norm: str = "none"
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        check(self, one_of={"start": STARTS, "optimizer": BASE}, at_least={1: ("steps", "depth", "hidden")})

    @property
    def training(self) -> TrainConfig:
        rate = self.rate * BASE[self.optimizer]
        return training(self, lr=rate, **STEP[self.optimizer])


SWEEP = {"start": tuple(STARTS), "optimizer": tuple(BASE), "rate": (0.3, 1.0, 3.0, 10.0)}
QUICK = {"steps": 250, "rate": (1.0, 3.0)}
FULL = {"steps": 10_000}


def cost(config: Config) -> float:
    return config.steps * (3.0 if config.optimizer == "adam" else 2.5)


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    corpus = load(config.data)
    model = network(config, len(corpus.vocabulary))
    weights = matrices(model)
    begin = [p.numpy().copy() for p in weights]
    first: list[float] = []

    def step(k: int, loss: float) -> bool:
        if k == 0:  # the change that was really made, whatever the optimiser does with the gradient
            first.extend(float(np.std(p.numpy() - b) / np.std(b)) for p, b in zip(weights, begin, strict=True))
        progress(k, config.steps)
        return not np.isfinite(loss)

    with np.errstate(all="ignore"):  # a network that blows up is a result
        losses = fit(model, *corpus.train, config.training, on_step=step)
        val = evaluate(model, *corpus.val)
    at, loss = thinned(losses)
    before = {norm: gradients(config, corpus, norm) for norm in ("none", "batch")}
    summary = {"val_loss": val, "lr": config.training.lr}
    for norm, g in ((norm, g[1:]) for norm, g in before.items() if len(g) > 2):
        summary |= {f"hidden_{norm}": g[:-1].max() / g[:-1].min(), f"last_{norm}": g[-1] / np.median(g[:-1])}
    return Result(
        summary=summary,
        series={"step": at, "loss": loss},
        arrays={
            "first": np.array(first),
        },
    )


def network(config: Config, characters: int, **changed: Any) -> DeepMLP:
    options: dict[str, Any] = {
        "norm": config.norm,
        "depth": config.depth,
        "hidden": config.hidden,
        "gain": STARTS[config.start],
    }
    rng = generators(config.seed).init
    return DeepMLP(vocab_size=characters, context=3, rng=rng, **(options | changed))


def matrices(model: DeepMLP) -> list[Tensor]:
    """The embedding and the weights of every linear layer."""
    return [p for p in model.parameters() if p.ndim == 2]


def gradients(config: Config, corpus: data.Corpus, norm: str) -> np.ndarray:
    """The standard deviation of the gradient of each of `matrices` before training, over 1,000 examples.

    In double precision: where it vanishes it is soon smaller than single precision can add to a weight.
    """
    model = network(config, len(corpus.vocabulary), norm=norm, dtype=np.float64)
    cross_entropy(model(corpus.train.x[:1_000]), corpus.train.y[:1_000]).backward()
    return np.array([float(np.std(p.grad)) for p in matrices(model) if p.grad is not None])


# -- what it shows -----------------------------------------------------------------------------------------------------


def measure(records: Records) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for start, own in records.by("start").items():
        for optimizer, some in own.by("optimizer").items():
            losses = {rate: same.values("val_loss") for rate, same in some.by("rate").items()}
            if paired(losses.values()):
                found[f"best/{optimizer}/{start}"] = chosen_elsewhere(losses)[0]
        one = own.where(optimizer=own[0].config.optimizer, rate=own[0].config.rate)  # the same before any training
        for name in ("hidden_none", "last_none", "hidden_batch", "last_batch"):
            found[f"{name}/{start}"] = one.values(name)
    for optimizer in BASE:
        ends = [found.get(f"best/{optimizer}/{start}", np.empty(0)) for start in ("kaiming", "small", "large")]
        if paired(ends):
            good, small, large = ends
            found |= {f"penalty/{optimizer}/small": small - good, f"penalty/{optimizer}/large": large - good}
            found[f"other/{optimizer}"] = np.minimum(small, large)
    return found


def tables(records: Records) -> Iterator[Table]:
    def at_best(own: Records) -> str:
        rates = own.by("rate")
        rate = min(rates, key=lambda rate: np.nan_to_num(rates[rate].mean("val_loss"), nan=np.inf))
        return f"{spread(rates[rate].values('val_loss'))} at {rate * BASE[own[0].config.optimizer]:g}"

    optimisers, starts = records.by("optimizer"), [start for start in STARTS if start in records.by("start")]
    columns = [Column(START_NAMES[start], at_best, start=start) for start in starts]
    note = (
        "Validation loss after {steps:,} steps, at the best of the learning rates tried. Momentum is 0.9; Adam has its "
        "usual constants."
    )
    groups = {name: optimisers[key] for key, name in OPTIMISERS.items() if key in optimisers}
    yield table("How far each gets", "Optimiser", groups, columns, note)

    found = measure(records)
    rows = [
        [f"{what}, {kind}", *(spread(found[f"{name}_{norm}/{start}"], 1) for start in starts)]
        for what, name in (("largest hidden over smallest", "hidden"), ("last over hidden", "last"))
        for kind, norm in (("no norm", "none"), ("batch norm", "batch"))
    ]
    heads = ["", *(START_NAMES[start] for start in starts)]
    yield Table("The gradient of the weights before training", heads, rows)


# -- pictures ----------------------------------------------------------------------------------------------------------


def loss_by_rate(records: Records) -> tuple[style.Figure, str]:
    starts = [s for s in STARTS if s in records.by("start")]
    kinds, rates = list(records.by("optimizer")), sorted(records.by("rate"))
    figure, panels = style.figure(1, len(starts), height=3.7, sharey=True, squeeze=False)
    for axes, start in zip(panels[0], starts, strict=True):
        for kind in kinds:
            trend(axes, records.where(start=start, optimizer=kind), "rate", "val_loss", style.colour(kind), 3.0)
        style.frame(axes, START_NAMES[start].split(" (")[0].capitalize(), xlog=rates)
        axes.margins(x=0.1)
    panels[0][len(starts) // 2].set_xlabel("learning rate, relative to the usual one")
    panels[0][0].set_ylabel("validation loss")
    style.reach_alike(panels[0], 2.2, 3.0)
    handles = [panels[0][0].plot([], [], "o-", color=style.colour(kind), label=OPTIMISERS[kind])[0] for kind in kinds]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(kinds))
    usual = ", ".join(f"{OPTIMISERS[o]} {lr:g}" for o, lr in BASE.items())
    return figure, (
        f"Six tanh layers after {records[0].config.steps:,} steps. Usual rates: {usual}. From good weights the three "
        "are as good as one another; from bad ones Adam gets further, but not to where good ones lead. "
        "(▲ above 3, or diverged.)"
    )


@where(start="small", rate=1.0, optimizer=lambda kind: kind != "momentum")  # its first step is that of gradient descent
def first_updates(records: Records) -> style.Figure:
    """Standard deviation of the change of each weight matrix in the first step, relative to that of the weights.
    Gradient descent hardly touches the hidden layers; Adam moves them all at once.
    """
    figure, axes = style.figure(height=3.5)
    layers = range(1, len(records[0].arrays["first"]))
    firsts = (
        (layers, mean_curve(own, "first")[1:], OPTIMISERS[kind], style.colour(kind))
        for kind, own in records.by("optimizer").items()
    )
    ends = style.lines(axes, firsts, marker="o", markersize=8)
    title, names = "Too small a start: the first update", [*map(str, layers[:-1]), "output"]
    style.frame(axes, title, "linear layer", ylog=(), xticks=layers, xticklabels=names, ylabel="change ÷ weights")
    style.guide(axes, 1e-3, "1/1000 of the weights", at=0.02)
    style.label_ends(axes, ends)
    return figure


plot = pictures(rates=loss_by_rate, layers=first_updates)

NEXT = [
    "With batch normalisation there is nothing left to forgive: `--set norm=batch`.",
    "Deeper, where it takes less to vanish: `--set depth=12 --set start=small,kaiming`.",
    "Higher rates for one of them: `--set optimizer=adam --set rate=1,3,10,30`.",
]
