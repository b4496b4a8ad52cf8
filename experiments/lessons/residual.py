"""Residual blocks: the motif of ResNet-50, and who forgives bad first weights.

A small relative of ResNet-50 reads eight characters: convolution, batch norm, ReLU, with bottleneck blocks whose input
is added to their output. The lecture says that residual connections, normalisation and Adam have made careful
initialisation less important. Here is the table of all combinations, and what depth adds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

import npgrad
from experiments import style
from experiments.claims.residual import CLAIMS as CLAIMS
from experiments.corpus import load
from experiments.curves import frequency_loss
from experiments.experiment import Result, Table
from experiments.pictures import curves, pictures, where
from experiments.records import Records, paired
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, spread, table
from experiments.training import training, watch
from experiments.verdict import chosen_elsewhere
from models.conv_net import ConvNet
from models.training import TrainConfig, evaluate, fit, generators
from npgrad import nn
from npgrad.data import Corpus
from npgrad.diagnose.undisturbed import undisturbed
from npgrad.functions import cross_entropy

ORDER = 10

QUESTION = "Do residual connections, batch norm and Adam each forgive bad first weights, and which one allows depth?"
EXPECTATION = (
    "A residual network begins near the identity, so small weights should not harm it; large ones multiply from "
    "block to block. Batch norm should forgive both, Adam the size of gradients but not that of activations. Plain "
    "networks with batch norm have gradients that explode with depth, which the sums of residual networks should tame."
)

# -- configuration -----------------------------------------------------------------------------------------------------

INITS = {"kaiming": "Kaiming", "large": "no √fan-in", "small": "gain 0.3"}
NORMS = ("none", "batch")
RATES = {"sgd": 0.1, "adam": 0.003}


@dataclass(frozen=True)
class Config:
    study: str = "table"
    """"table": all combinations, four blocks; "depth": up to 16 blocks, which is 50 layers; "facts": no training."""
    norm: str = "batch"
    residual: bool = True
    optimizer: str = "sgd"
    init: str = "kaiming"
    blocks: int = 4
    rate: float | None = None
    """Learning rate; none: 0.1 for SGD, 0.003 for Adam."""
    steps: int = 80
    context: int = 8
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        known = {"study": ("table", "depth", "facts"), "norm": NORMS, "optimizer": RATES, "init": INITS}
        check(self, one_of=known, at_least={1: ("blocks", "steps", "context")})

    @property
    def training(self) -> TrainConfig:
        rate = RATES[self.optimizer] if self.rate is None else self.rate
        return training(self, lr=rate, lr_decay=1.0)


SWEEP = [
    {"study": ("facts",)},
    {"study": ("table",), "norm": NORMS, "residual": (False, True), "optimizer": tuple(RATES), "init": tuple(INITS)},
    {"study": ("depth",), "norm": NORMS, "residual": (False, True), "blocks": (1, 4, 16)},
    {"study": ("depth",), "norm": ("batch",), "residual": (False, True), "blocks": (16,), "rate": (0.3,)},
    {"study": ("depth",), "norm": ("none",), "residual": (False,), "blocks": (16,), "rate": (0.01,)},
]
QUICK = {"steps": 30, "optimizer": ("sgd",), "blocks": (1, 4), "rate": (0.3,)}
FULL = {"steps": 2_000}


def cost(config: Config) -> float:
    each = 0.6 if config.norm == "none" else 1.2
    return config.steps * (0.3 + config.blocks * each) if config.study != "facts" else 10


# -- one run -----------------------------------------------------------------------------------------------------------


def build(config: Config, vocab_size: int, rng: np.random.Generator) -> ConvNet:
    return ConvNet(
        vocab_size,
        config.context,
        rng=rng,
        blocks=config.blocks,
        gain=0.3 if config.init == "small" else math.sqrt(2),
        fan_in=config.init != "large",
        norm=config.norm,
        residual=config.residual,
    )


def run(config: Config, progress: Progress) -> Result:
    corpus = load(config.data, config.context)
    rngs = generators(config.seed)
    model = build(config, len(corpus.vocabulary), rngs.init)
    if config.study == "facts":
        progress(1, 1)
        return Result(facts(model, corpus, rngs.sampling))

    held = slice(0, 3_000)
    with np.errstate(all="ignore"):  # divergence is one of the things to see
        gradient = gradients(model, corpus)
        losses = fit(model, *corpus.train, config.training, on_step=watch(progress, config.steps))
        loss = evaluate(model, corpus.val.x[held], corpus.val.y[held])
    return Result(
        summary={
            "loss": loss,
            "first_loss": float(losses[0]),
            "train_loss": float(losses[-50:].mean()),
            "gradient_ratio": gradient[0] / gradient[-1],
            "frequencies": frequency_loss(corpus.train.y),
            "layers": sum(isinstance(m, (nn.Conv1d, nn.Linear)) for m in model.modules()),
        },
        series={"layer": np.arange(len(gradient)) + 1, "gradient": np.array(gradient) / gradient[-1]},
    )


def gradients(model: ConvNet, corpus: Corpus) -> list[float]:
    """Root mean square of the gradient at the output of every convolution, from the first on, before training."""
    found: list[float] = []
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv1d)]
    removers = [
        conv.register_backward_hook(lambda m, dy: found.append(float(np.sqrt((dy.astype(float) ** 2).mean()))))
        for conv in convolutions
    ]
    with undisturbed(model, training=True):
        cross_entropy(model(corpus.train.x[:128]), corpus.train.y[:128]).backward()
    for remove in removers:
        remove()
    return found[::-1]


def facts(model: ConvNet, corpus: Corpus, rng: np.random.Generator) -> dict[str, float]:
    """A convolution beside a linear layer on its patches, and a bias in front of a normalisation."""
    x, weight = rng.normal(size=(4, 10, 8)), rng.normal(size=(32, 10, 3))
    patches = np.lib.stride_tricks.sliding_window_view(x, 3, axis=2)  # (4, 10, 6, 3): channels and places of a patch
    rows = patches.transpose(0, 2, 1, 3).reshape(4, 6, 30)
    linear = npgrad.functions.linear(rows, weight.reshape(32, 30).T).data
    convolved = npgrad.functions.conv1d(x, weight).data

    first = model.stem[0]
    assert isinstance(first, nn.Conv1d)
    first.bias = nn.Parameter(np.zeros(first.weight.shape[0], np.float32))
    cross_entropy(model(corpus.train.x[:32]), corpus.train.y[:32]).backward()
    assert first.bias.grad is not None and first.weight.grad is not None
    return {
        "convolution": float(np.abs(convolved - linear.transpose(0, 2, 1)).max()),
        "bias_gradient": float(np.abs(first.bias.grad).max() / np.abs(first.weight.grad).max()),
    }


# -- what it shows -----------------------------------------------------------------------------------------------------


def measure(records: Records) -> dict[str, np.ndarray]:
    found = {name: records.values(name, study="facts") for name in ("convolution", "bias_gradient")}
    for (norm, residual, optimizer), own in table_of(records).items():
        name = label(norm, residual, optimizer)
        losses = {init: own.values("loss", init=init) for init in INITS}
        found |= {f"loss/{init}/{name}": values for init, values in losses.items()}
        found |= {f"finite/{init}/{name}": np.isfinite(values).astype(float) for init, values in losses.items()}
        if paired(losses.values()):
            found |= {f"{init}/{name}": losses[init] - losses["kaiming"] for init in ("large", "small")}
            found[f"other/{name}"] = np.fmin(losses["large"], losses["small"])
    deep = records.where(study="depth", blocks=16)
    for norm, residual in product(NORMS, (False, True)):
        own = deep.where(norm=norm, residual=residual)
        name = f"{norm}/{'residual' if residual else 'plain'}"
        losses = {rate: part.values("loss") for rate, part in own.by("rate").items()}
        if paired(losses.values()):
            found[f"deep/{name}"] = chosen_elsewhere(dict(enumerate(losses.values())))[0]
            found[f"frequencies/{name}"] = next(iter(own.by("rate").values())).values("frequencies")
    return found


def label(norm: str, residual: bool, optimizer: str) -> str:
    parts = ["residual" if residual else "plain", *(["batch norm"] if norm == "batch" else [])]
    return " + ".join([*parts, {"sgd": "SGD", "adam": "Adam"}[optimizer]])


def loss_of(own: Records) -> str:
    """As in other tables, but for losses that only just did not overflow."""
    return own.fill("{loss:,.0f}") if 100 < own.mean("loss") < math.inf else spread(own.values("loss"))


def table_of(records: Records) -> dict[tuple[str, bool, str], Records]:
    return records.where(study="table").by("norm", "residual", "optimizer")


def tables(records: Records) -> Iterator[Table]:
    columns = [Column(name, loss_of, init=init) for init, name in INITS.items()]
    note = (
        "Validation loss after {steps:,} steps, {blocks} blocks, {layers:.0f} layers. Knowing only how frequent each "
        "character is costs {frequencies:.3f}. Gain 0.3: weights almost five times too small for ReLU."
    )
    groups = {label(*key): own for key, own in table_of(records).items()}
    yield table("Who forgives bad first weights", "", groups, columns, note)

    groups = {}
    for own in records.where(study="depth").by("blocks").values():
        for norm in NORMS:
            for rate, part in own.where(norm=norm).by("rate").items():
                name = f"{own[0].summary['layers']} layers, {'batch norm' if norm == 'batch' else 'no norm'}"
                groups[name + (f", rate {rate:g}" if rate is not None else "")] = part
    columns = [Column("plain", loss_of, residual=False), Column("residual", loss_of, residual=True)]
    columns += [Column("gradients, plain", "{gradient_ratio:,.3g}", residual=False)]
    columns += [Column("gradients, residual", "{gradient_ratio:,.3g}", residual=True)]
    note = (
        "Validation loss after {steps:,} steps of SGD, rate 0.1 if no other is given; gradient at the first "
        "convolution over that at the last, before training."
    )
    yield table("Plain against residual depth", "", groups, columns, note)


# -- pictures ----------------------------------------------------------------------------------------------------------

MARKS = {"kaiming": ("o", "green"), "large": ("^", "vermillion"), "small": ("v", "blue")}


@where(study="table")
def table_picture(records: Records) -> style.Figure:
    """Loss after {steps:,} steps with good (●), too small (▼) and too large (▲) first weights; dashed: knowing only how
    frequent characters are ({frequencies:.2f}). Residual connections forgive weights that are too small, batch norm
    both kinds, Adam hardly either.
    """
    rows = {label(*key): own for key, own in table_of(records).items()}
    figure, axes = style.figure(height=0.42 * len(rows) + 1.4)
    high = 3.0
    low = min([2.4, *(own.mean("loss", init=init) - 0.03 for own in rows.values() for init in INITS)])
    for row, own in enumerate(rows.values()):
        means = {init: own.mean("loss", init=init) for init in INITS}
        shown = [v for v in means.values() if v < high]
        if shown:
            axes.plot([min(shown), max(shown)], [row, row], color=style.muted(), linewidth=1.2, zorder=1)
        beyond = 0
        for init, value in means.items():
            mark, hue = MARKS[init]
            if value < high:
                axes.plot(max(value, low), row, mark, color=style.colour(hue), markersize=9)
            else:
                text = (f"{value:.1f}" if value < 10 else f"{value:,.0f}") if np.isfinite(value) else "diverged"
                place = {"ha": "right", "va": "center", "fontsize": 11}
                style.note(axes, text, (high, row), (-78 * beyond, 0), color=style.colour(hue), **place)
                beyond += 1
    style.rows(axes, list(rows), room=1.2)
    axes.set(xlim=(low, high), xlabel="validation loss")
    style.guide(axes, records.mean("frequencies"), vertical=True)
    for x, init in ((0.02, "kaiming"), (0.27, "small"), (0.515, "large")):
        mark, hue = MARKS[init]
        axes.plot(x, 0.955, mark, color=style.colour(hue), markersize=9, transform=axes.transAxes)
        style.label(axes, x + 0.03, 0.955, INITS[init], style.colour(hue), va="center")
    return figure


@where(lambda own: own.where(blocks=max(own.by("blocks"))), study="depth", norm="batch", rate=None)
def gradient_picture(records: Records) -> style.Figure:
    """Gradient at each convolution of {layers:.0f} layers, relative to the last. Plain layers multiply it each time,
    because batch norm does; with residual sums most of it takes the direct way, and the growth is slow.
    """
    figure, axes = style.figure(height=3.6)
    curves(axes, records.by("residual"), "layer", "gradient", hues={False: "vermillion", True: "blue"}, geometric=True)
    for residual, name, x, y, hue in ((False, "plain", 0.5, 0.64, "vermillion"), (True, "residual", 0.1, 0.12, "blue")):
        if residual in records.by("residual"):
            style.label(axes, x, y, name, style.colour(hue))
    ylog = {times: f"× {times:,}" for times in (1, 10, 100, 1_000, 10_000)}
    title, below = "Gradients with batch norm, before training", "convolution, from input to output"
    style.frame(axes, title, below, ylog=ylog, ylim=(0.5, 5e4))
    return figure


plot = pictures(table=table_picture, gradients=gradient_picture)

NEXT = [
    "ResNet-50's depth with the better rate: `--set study=depth --set blocks=16 --set norm=batch --set rate=0.3`.",
    "Adam on too large weights at another rate: `--set study=table --set optimizer=adam --set rate=0.03`.",
    "A shorter context: `--set study=table --set context=3`.",
]
