"""Attention: do the lecture's rules carry over to a Transformer?

The lecture's rules (small output weights, gradients alike in all layers, updates of a thousandth) were found on an MLP
with tanh. A Transformer has no tanh; it has sums that pass through all of its blocks, a norm in each, and attention.
This lesson puts the same instruments to it, and looks at what its heads look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from experiments import style
from experiments.claims.attention import CLAIMS as CLAIMS
from experiments.experiment import Result, Table, locate
from experiments.pictures import pictures
from experiments.records import Record, Records, mean_curve, measured
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, spread, table
from experiments.training import training, watch
from models.training import TrainConfig, evaluate, fit, generators, make_optimizer, mean_loss
from models.transformer import Transformer
from npgrad import data, nn, no_grad
from npgrad.data import BOUNDARY, PADDING
from npgrad.diagnose import Monitor

ORDER = 17

QUESTION = "Do the lecture's rules hold in a Transformer, and what do its heads look at?"
EXPECTATION = (
    "The first loss is a matter of the last layer, and should begin at ln 27 with small weights there. Where the norm "
    "stands decides how gradients pass: with the sum untouched they should be alike in all blocks; with the sum "
    "normalised, and without a norm, deep networks should need more care, such as learning rates that begin small."
)

# -- configuration -----------------------------------------------------------------------------------------------------

NORMS = {"pre": "pre-norm", "post": "post-norm", "none": "no norm"}
"""A norm before each branch, after each sum, or nowhere."""
HUES = {"pre": "blue", "post": "orange", "none": "none"}
STACK = 12
"""Blocks of the networks whose gradients are looked at before training."""


@dataclass(frozen=True)
class Config:
    norm: str = "pre"
    layers: int = 2
    warmup: float = 0.0
    """The share of the steps over which the learning rate rises to `lr`."""
    output: float = 0.1
    """The weights of the last layer are N(0, 1)·output/√embedding."""
    lr: float = 0.01
    steps: int = 30
    batch_size: int = 32
    embedding: int = 24
    heads: int = 3
    held: int = 600
    """Names on which the loss is measured."""
    optimizer: str = "adam"
    lr_decay_at: float = 0.75
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        check(self, one_of={"norm": NORMS}, at_least={1: ("layers", "steps", "heads", "held"), 0: ("warmup", "output")})

    @property
    def training(self) -> TrainConfig:
        return WarmUp(**vars(training(self)), warmup=round(self.warmup * self.steps))


@dataclass(frozen=True)
class WarmUp(TrainConfig):
    """A learning rate that rises over the first `warmup` steps."""

    warmup: int = 0

    def lr_at(self, step: int) -> float:
        return super().lr_at(step) * min((step + 1) / max(self.warmup, 1), 1.0)


LARGE, WARM = 5.0, 0.2
SWEEP = [
    {"norm": tuple(NORMS), "layers": (2,)},
    {"norm": ("pre", "post"), "layers": (2,), "warmup": (WARM,)},
    {"output": (LARGE,)},
    {"lr": (0.003,)},
]
QUICK = {"steps": 8, "held": 100}
FULL = {"steps": 600, "layers": (2, 8), "lr": (0.001, 0.003, 0.03), "held": 4_000}
SEEDS = {"full": 3}


def cost(config: Config) -> float:
    return 100 * config.layers * (config.steps + 5)


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    words = data.read_words(locate(config.data))
    vocabulary = data.Vocabulary(words)
    train, val = (data.sequences(part, vocabulary) for part in data.split(words)[:2])
    held = data.Windows(val.x[: config.held], val.y[: config.held])
    model, stack = (network(config, len(vocabulary), layers) for layers in (config.layers, STACK))
    with no_grad():
        initial = mean_loss(model, *held).item()
    signal, gradient = flow(stack, train)

    optimizer = make_optimizer(model, config.training)
    batches = data.Batches(*train, config.batch_size, generators(config.seed).batches)  # one length, one program
    monitor = Monitor(model, optimizer, every=max(config.steps // 6, 1))
    note, go_on = monitor.callback(), watch(progress, config.steps)

    def step(k: int, loss: float) -> bool:
        note(k, loss)
        return go_on(k, loss)

    with monitor:
        losses = fit(model, *train, config.training, optimizer=optimizer, batches=batches, on_step=step)
    seen = monitor.record
    matrices = seen.matrices()
    with np.errstate(divide="ignore"):
        ratio = np.log10(np.median(seen.update_to_data[len(seen.step) // 2 :, matrices], axis=0))
    weights = looked_at(model, held.x)
    back, first = distances(weights, held.y)
    shown = int(np.argmin(np.abs((held.y != PADDING).sum(axis=1) - 8)))
    length = int((held.y[shown] != PADDING).sum())
    return Result(
        summary={
            "initial_loss": initial,
            "val_loss": evaluate(model, *held),
            "ratio": float(np.median(ratio)),
            "spread": float(gradient.max() / gradient.min()),
            "previous": float(back[:, :, 1].max()),
            "first": float(first.max()),
            "word": BOUNDARY + vocabulary.decode(held.y[shown, : length - 1]),
        },
        series={"step": np.arange(len(losses)), "loss": losses},
        arrays={
            "signal": signal,
            "gradient": gradient,
            "ratios": ratio,
            "back": back,
            "first": first,
            "map": weights[:, shown, :, :length, :length],
        },
    )


def network(config: Config, characters: int, layers: int) -> Transformer:
    model = Transformer(
        characters,
        rng=generators(config.seed).init,
        embedding=config.embedding,
        hidden=4 * config.embedding,
        layers=layers,
        heads=config.heads,
        norm="none" if config.norm == "none" else "layer",
        norm_first=config.norm != "post",
    )
    model.output.weight.data = model.output.weight.numpy() * (config.output / 0.1)
    return model


def flow(model: Transformer, train: data.Windows) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation of what each block returns, and of its gradient, before training."""
    monitor = Monitor(model, layers=lambda name, module: isinstance(module, nn.TransformerBlock))
    with monitor.watch(0):
        mean_loss(model, train.x[:100], train.y[:100]).backward()
    return monitor.record.activation_std[0], monitor.record.gradient_std[0]


def looked_at(model: Transformer, x: np.ndarray) -> np.ndarray:
    """The weights of all heads, (layers, N, heads, T, T): what each position looks at."""
    found = []
    with no_grad():
        h = model.embedding(x)
        for block in model.blocks:
            seen = block.norm1(h) if block.norm_first else h
            found.append(block.self_attn(seen, is_causal=True, need_weights=True)[1].numpy())
            h = block(h, is_causal=True)
    return np.array(found)


def distances(weights: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean weight each head gives to what stands 0 to 4 characters back, (layers, heads, 5), and to the beginning
    of the word, (layers, heads): over all positions with four characters before them, none of them the beginning."""
    n, t = np.nonzero((y != PADDING) & (np.arange(y.shape[1]) > 4))
    at = np.stack([weights[:, n, :, t, t - k].mean(axis=0) for k in range(5)], axis=-1)
    return at, weights[:, n, :, t, 0].mean(axis=0)


# -- what it shows -----------------------------------------------------------------------------------------------------


def name_of(config: SimpleNamespace) -> str:
    name = f"{config.norm} {config.layers}"
    if config.warmup:
        return f"{name} warm-up"
    if config.output != Config.output:
        return f"{name} output {config.output:g}"
    return name if config.lr == Config.lr else f"{name} lr {config.lr:g}"


def measure(records: Records) -> dict[str, np.ndarray]:
    found = measured(records.named(name_of), "initial_loss", "val_loss", "previous")
    ignorance = found.get("initial_loss/pre 2", np.empty(0))
    for name, values in found.items():
        if name.startswith("val_loss") and values.size == ignorance.size:  # how much worse than nothing says nothing
            found[name] = np.fmin(values, ignorance)
    for norm, own in records.where(warmup=0.0, output=Config.output, lr=Config.lr).by("norm").items():
        found[f"spread/{norm}"] = own.where(layers=own[0].config.layers).values("spread")  # before any training
    rates = records.where(norm="pre", layers=2, warmup=0.0, output=Config.output).by("lr")
    if rates:
        best = min(rates.values(), key=lambda same: np.nan_to_num(same.mean("val_loss"), nan=np.inf))
        found["best_ratio"] = best.values("ratio")
    return found


def label(name: str) -> str:
    norm, layers, *rest = name.split(" ", 2)
    return ", ".join([NORMS[norm], f"{layers} blocks", *(part.replace("lr", "rate") for part in rest)])


def tables(records: Records) -> Iterator[Table]:
    def loss(name: str) -> Callable[[Records], str]:
        return lambda own: spread(own.values(name), 3 if own.mean(name) < 100 else ".0e")

    columns = [
        Column("first loss", loss("initial_loss")),
        Column("last", loss("val_loss")),
        Column("update", "ratio", 1),
    ]
    columns += [Column("previous", "previous", 2), Column("beginning", "first", 2)]
    note = (
        f"{{steps:,}} steps of {{batch_size}} names, Adam at {Config.lr} where nothing else is said. Update: log10 of "
        "update to data, the median weight matrix. The largest mean weight that a head gives to the character before, "
        "and to the beginning of the name."
    )
    yield table("Transformers", "Network", records.named(lambda config: label(name_of(config))), columns, note)

    back, first = records[0].arrays["back"], records[0].arrays["first"]
    looks = [(k, j, [*back[k, j], first[k, j], 1 - back[k, j].sum() - first[k, j]]) for k, j in np.ndindex(first.shape)]
    rows = [[f"block {k + 1}, head {j + 1}", *(f"{weight:.0%}" for weight in own)] for k, j, own in looks]
    heads = ["Head", "itself", "1 back", "2", "3", "4", "beginning", "elsewhere"]
    network = label(name_of(records[0].config))
    note = f"Mean weights in a trained network ({network}), at characters with four or more before them."
    yield Table("What heads look at", heads, rows, note)


def flows(records: Records) -> tuple[style.Figure, str]:
    figure, panels = style.figure(1, 2, height=3.6)
    groups = records.by("norm")
    titles = ("What blocks return", "Gradient, last block 1")
    for axes, name, title in zip(panels, ("signal", "gradient"), titles, strict=True):
        for norm, own in groups.items():
            value = mean_curve(own.where(output=own[0].config.output), name, geometric=True)
            value = value / value[-1] if name == "gradient" else value
            axes.plot(np.arange(1, STACK + 1), value, "o-", markersize=5, color=style.colour(HUES[norm]))
        style.frame(axes, title, "block", ylog=(), xticks=range(2, STACK + 1, 2))
    style.legend_above(figure, panels[0].lines, [NORMS[norm] for norm in groups], 3)
    return figure, (
        f"Standard deviation of what each of {STACK} blocks returns, and of its gradient, before training. What is "
        "added to an untouched sum makes it grow, and with it shrinks what one more block changes."
    )


def heads(record: Record) -> tuple[style.Figure, str]:
    weights, word = record.arrays["map"], record.summary["word"]
    layers, count = weights.shape[:2]
    figure, panels = style.figure(layers, count, height=0.4 + 2.4 * layers, squeeze=False)
    for layer, head in np.ndindex(layers, count):
        axes = panels[layer, head]
        axes.imshow(weights[layer, head], cmap="viridis", vmin=0, vmax=1)
        axes.set_xticks(range(len(word)), list(word))
        axes.set_yticks(range(len(word)), list(word))
        axes.tick_params(length=0)
        axes.grid(visible=False)
        style.title(axes, f"block {layer + 1}, head {head + 1}")
    return figure, (
        f"What each character of {word!r} (rows) looks at (columns) in a trained network: dark 0, bright 1. Nothing "
        "looks at what comes after it."
    )


def losses(records: Records) -> tuple[style.Figure, str]:
    groups = records.named(name_of)
    figure, axes = style.figure(height=0.8 + 0.36 * len(groups))
    ends = {name: np.nan_to_num(own.values("val_loss"), nan=np.inf) for name, own in groups.items()}
    edge = min(values.min() for values in ends.values()) + 0.15
    for row, (name, own) in enumerate(groups.items()):
        values, hue = ends[name], style.colour(HUES[own[0].config.norm])
        inside = values[values <= edge]
        axes.plot(inside, np.full(len(inside), row), "o", color=hue, markersize=7)
        if len(inside) < len(values):
            axes.plot(edge, row, ">", color=hue, markersize=8, clip_on=False)
            beyond = values[values > edge].mean()
            text = f"{beyond:.2f}" if beyond < 100 else f"{beyond:,.0f}"
            style.note(axes, text, (edge, row), (-10, 0), ha="right", va="center")
    style.rows(axes, [label(name) for name in groups])
    axes.margins(x=0.06)
    style.title(axes, "Loss on new names")
    return figure, "Each dot is a network from other first random numbers; arrows, with their mean, lie further right."


plot = pictures(flow=flows, heads=lambda records: heads(records[0]), losses=losses)

NEXT = [
    "Deeper: `--set layers=16 --set norm=pre,post --set steps=300`.",
    "Heads of another width: `--set embedding=32 --set heads=8`.",
]
