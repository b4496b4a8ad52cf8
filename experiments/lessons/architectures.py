"""Architectures: the networks that come next, at the same size, on the same characters, tuned alike.

The lecture ends at a loss of 2.10 and names what would lower it: recurrent networks and Transformers, which see more of
the name. This lesson trains them beside the lecture's network and beside counting, on exactly the same targets: the
characters of whole names, 32 names a step, or as many windows as those have characters.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import models
from experiments import style
from experiments.claims.architectures import CLAIMS as CLAIMS
from experiments.experiment import Result, Table, locate
from experiments.pictures import pictures, where
from experiments.records import Records, mean_curve
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, table
from experiments.training import training
from models import CharacterModel
from models.training import TrainConfig, evaluate, fit, generators, make_optimizer, sample, targets
from npgrad import Tensor, data
from npgrad.diagnose import Monitor

ORDER = 16

QUESTION = "Which architecture predicts names best at a given size, and is it the longer context that does it?"
EXPECTATION = (
    "If three characters are the bottleneck, every network that sees more of the name should end lower than one that "
    "sees three, and a recurrent network that is shown three at a time should lose what it had gained."
)

# -- configuration -----------------------------------------------------------------------------------------------------


class Network(NamedTuple):
    model: str
    """Its name in `models`."""
    context: int
    """The characters it is shown; 0 for the whole name."""
    small: dict[str, Any]
    """Options with which it has about 12,000 parameters, as the lecture's network,"""
    large: dict[str, Any]
    """and about 46,000."""


KAIMING = {"stage": "kaiming", "embedding": 10}
NETWORKS = {
    "bigram": Network("bigram", 1, {}, {}),
    "mlp 3": Network("mlp", 3, {"hidden": 200, **KAIMING}, {"hidden": 800, **KAIMING}),
    "mlp 8": Network("mlp", 8, {"hidden": 108, **KAIMING}, {"hidden": 430, **KAIMING}),
    "rnn": Network("rnn", 0, {"hidden": 90}, {"hidden": 195}),
    "gru": Network("gru", 0, {"hidden": 52}, {"hidden": 114}),
    "gru 3": Network("gru", 3, {"hidden": 52}, {"hidden": 114}),
    "lstm": Network("lstm", 0, {"hidden": 45}, {"hidden": 98}),
    "wavenet": Network("wavenet", 8, {"embedding": 10, "hidden": 48}, {"embedding": 10, "hidden": 101}),
    "transformer": Network(
        "transformer",
        0,
        {"embedding": 20, "hidden": 80, "layers": 2, "heads": 2},
        {"embedding": 42, "hidden": 168, "layers": 2, "heads": 3},
    ),
}
NAMES = {
    "bigram": "counting pairs",
    "mlp 3": "MLP, 3 characters",
    "mlp 8": "MLP, 8 characters",
    "rnn": "RNN",
    "gru": "GRU",
    "gru 3": "GRU, 3 characters",
    "lstm": "LSTM",
    "wavenet": "WaveNet, 8 characters",
    "transformer": "Transformer",
}
HUES = {
    "mlp 3": "orange",
    "mlp 8": "vermillion",
    "rnn": "sky",
    "gru": "green",
    "gru 3": "grey",
    "lstm": "blue",
    "wavenet": "purple",
}


@dataclass(frozen=True)
class Config:
    network: str = "mlp 3"
    size: str = "small"
    lr: float = 0.01
    steps: int = 100
    batch_size: int = 32
    """Names a step."""
    held: int = 600
    """Names on which the learning rate is chosen, and as many others on which the network is scored."""
    optimizer: str = "adam"
    lr_decay_at: float = 0.75
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        sizes = ("steps", "batch_size", "held")
        check(self, one_of={"network": NETWORKS, "size": ("small", "large")}, at_least={1: sizes})

    @property
    def training(self) -> TrainConfig:
        return training(self)


TRAINED = tuple(name for name in NETWORKS if name != "bigram")
SWEEP = [{"network": ("bigram",)}, {"network": TRAINED, "size": ("small",), "lr": (0.003, 0.01)}]
QUICK = {"steps": 20, "lr": (0.01,), "held": 100}
FULL = {"steps": 1_200, "size": ("small", "large"), "lr": (0.003, 0.01, 0.03), "held": 4_000}


def cost(config: Config) -> float:
    steps = {"bigram": 5, "mlp": 20, "rnn": 50, "gru": 75, "lstm": 100, "wavenet": 50, "transformer": 150}
    return (config.steps + 20) * steps[NETWORKS[config.network].model] * (2 if config.size == "large" else 1)


# -- one run -----------------------------------------------------------------------------------------------------------


class Bigram(CharacterModel):
    """How often each character followed each, one more than was counted: no network, and nothing to train."""

    def __init__(self, train: data.Windows, vocab_size: int) -> None:
        self.vocab_size, self.context = vocab_size, 1
        self.counts = np.ones((vocab_size, vocab_size))
        np.add.at(self.counts, (train.x[:, -1], train.y), 1)

    def forward(self, x: NDArray[np.intp]) -> Tensor:
        return Tensor(np.log(self.counts[x[:, -1]]))


class Window(CharacterModel):
    """A network of whole words that is shown the last `context` characters and nothing else."""

    def __init__(self, network: CharacterModel, context: int) -> None:
        self.network, self.vocab_size, self.context = network, network.vocab_size, context

    def forward(self, x: NDArray[np.intp]) -> Tensor:
        return self.network.following(x)[0]


def run(config: Config, progress: Progress) -> Result:
    words = data.read_words(locate(config.data))
    vocabulary = data.Vocabulary(words)
    parts = data.split(words)
    network, rngs = NETWORKS[config.network], generators(config.seed)
    if network.model == "bigram":
        model: CharacterModel = Bigram(data.windows(parts[0], vocabulary, 1), len(vocabulary))
    else:
        options = network.small if config.size == "small" else network.large
        context = network.context or 1
        model = models.build(network.model, vocab_size=len(vocabulary), context=context, rng=rngs.init, **options)
        model = Window(model, context) if model.whole_words and network.context else model

    def examples(part: list[str]) -> data.Windows:
        if model.whole_words:
            return data.sequences(part, vocabulary)
        return data.windows(part, vocabulary, model.context)

    val, test = examples(parts[1][: config.held]), examples(parts[2][: config.held])
    found: dict[str, Any] = {}
    if model.parameters():
        found = trained(model, examples(parts[0]), len(parts[0]), examples(parts[1][:300]), config, progress)
    summary = found.pop("summary", {"parameters": model.vocab_size**2}) | {
        "val_loss": evaluate(model, *val),
        "test_loss": evaluate(model, *test),
        "names": sample(model, vocabulary, 6, rngs.sampling),
    }
    return Result(summary=summary, arrays=found)


def trained(
    model: CharacterModel, train: data.Windows, words: int, val: data.Windows, config: Config, progress: Progress
) -> dict[str, Any]:
    """Train it; its validation loss along the way, and the processor time it took to get there."""
    rows = config.batch_size if model.whole_words else round(config.batch_size * targets(train.y) / words)
    settings = training(config, batch_size=rows)
    optimizer = make_optimizer(model, settings)
    batches = data.Batches(*train, rows, generators(config.seed).batches)  # one length, one program
    marks = {int(k) for k in np.geomspace(max(config.steps / 16, 1), config.steps, 6).round()}
    monitor = Monitor(model, optimizer, every=max(config.steps // 8, 1))
    note = monitor.callback()
    curve: list[tuple[int, float, float]] = []
    looking, start = 0.0, time.process_time()

    def step(k: int, loss: float) -> bool:
        nonlocal looking
        note(k, loss)
        if k + 1 in marks:
            now = time.process_time()
            curve.append((k + 1, now - start - looking, evaluate(model, *val)))
            looking += time.process_time() - now
        progress(k, config.steps)
        return not np.isfinite(loss)

    with np.errstate(all="ignore"), monitor:  # a learning rate may be too large
        fit(model, *train, settings, optimizer=optimizer, batches=batches, on_step=step)
    seen = monitor.record
    with np.errstate(divide="ignore"):
        ratio = np.log10(seen.update_to_data[len(seen.step) // 2 :, seen.matrices()])
    steps, seconds, loss = map(np.array, zip(*curve, strict=True))
    summary = {
        "parameters": sum(p.size for p in model.parameters()),
        "seconds": float(seconds[-1]),
        "ratio": float(np.median(ratio)),
    }
    return {"summary": summary, "step": steps, "seconds": seconds, "loss": loss}


# -- what it shows -----------------------------------------------------------------------------------------------------


def tuned(records: Records) -> dict[tuple[str, str], Records]:
    """The runs of each network and size at the learning rate with the lowest mean loss on the names for choosing."""

    def loss(own: Records) -> float:
        return float(np.nan_to_num(own.mean("val_loss"), nan=np.inf))

    return {key: min(own.by("lr").values(), key=loss) for key, own in records.by("network", "size").items()}


def measure(records: Records) -> dict[str, np.ndarray]:
    return {f"{network}/{size}": own.values("test_loss") for (network, size), own in tuned(records).items()}


def tables(records: Records) -> Iterator[Table]:
    groups = tuned(records)
    columns = [
        Column("parameters", "{parameters:,.0f}"),
        Column("rate", "{lr:g}", network=lambda network: network != "bigram"),
        Column("update", "ratio", 1),
        Column("seconds", "seconds", 1),
        Column("chosen by", "val_loss"),
        Column("loss", "test_loss"),
    ]
    note = (
        "{steps:,} steps of {batch_size} names, Adam; the learning rate of each was chosen on some names (chosen by) "
        "and scored on others. Update: log10 of update to data, the median weight matrix. Seconds of "
        "one core."
    )
    yield table("Loss by architecture", "Network", groups, columns, note, NAMES)
    small = {network: own for (network, size), own in groups.items() if size == "small"}
    drawn = Column("", lambda own: ", ".join(own[0].summary["names"]))
    yield table("Names they draw", "Network", small, [drawn], names=NAMES)


def hue(network: str) -> str:
    return style.colour(HUES[network]) if network in HUES else style.ink()


def losses(records: Records) -> tuple[style.Figure, str]:
    groups = tuned(records)
    networks = list(dict.fromkeys(network for network, _ in groups))
    figure, axes = style.figure(height=0.8 + 0.4 * len(networks))
    for (network, size), own in groups.items():
        values, row = own.values("test_loss"), networks.index(network)
        full = {"markerfacecolor": style.paper()} if size == "large" else {}
        axes.plot(values, np.full(len(values), row), "o", color=hue(network), markersize=7, **full)
    style.rows(axes, [NAMES[network] for network in networks])
    axes.margins(x=0.06)
    style.title(axes, "Loss on new names")
    larger = ", open ones four times as many" if any(size == "large" for _, size in groups) else ""
    return figure, (
        "Each dot is a network from other first random numbers, at the learning rate that was best on other names. All "
        f"have about as many parameters as the lecture's{larger}."
    )


@where(size="small", network=lambda network: network != "bigram")
def progress_of(records: Records) -> style.Figure:
    """The same losses against steps, each of as many characters, and against processor time."""
    figure, panels = style.figure(1, 2, height=4.4, sharey=True)
    groups = {network: own for (network, _), own in tuned(records).items()}
    for axes, name, below in zip(panels, ("step", "seconds"), ("steps", "seconds of one core"), strict=True):
        for network, own in groups.items():
            x, loss = mean_curve(own, name), mean_curve(own, "loss")
            axes.plot(x, loss, color=hue(network), marker="o", markersize=4, label=NAMES[network])
        style.frame(axes, "Validation loss" if name == "step" else "", f"{below}, logarithmic", xlog=())
    style.legend_above(figure, *panels[0].get_legend_handles_labels(), 3)
    return figure


plot = pictures(losses=losses, progress=progress_of)

NEXT = [
    "A longer run of two of them: `--set network=gru,transformer --set steps=5000`.",
    "Your own list of words, one per line: `--set data=words.txt`.",
]
