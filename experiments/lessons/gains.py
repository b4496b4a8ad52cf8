"""Gains: six layers, one number, and whether a signal survives them.

A deep network multiplies its activations by about the same factor in every layer, and its gradients by another. This
lesson turns the number that sets both, the gain of the weights, and looks at every layer before training and after it.
It also finds out under which conditions the tables of document 5 hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace

import numpy as np

from experiments import style
from experiments.claims.gains import CLAIMS as CLAIMS
from experiments.claims.gains import DOCUMENT, TABLED
from experiments.corpus import load
from experiments.experiment import Picture, Result, Table
from experiments.pictures import pictures, where
from experiments.records import Record, Records, mean_curve, measured, paired
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, fraction, number, spread, table
from experiments.training import training
from models.deep_mlp import NORMS, DeepMLP
from models.training import TrainConfig, fit, generators
from npgrad import nn
from npgrad.data import Batches
from npgrad.diagnose.propagation import Layer, Propagation, gradient_of_ignorance, predict
from npgrad.diagnose.undisturbed import undisturbed
from npgrad.functions import cross_entropy
from npgrad.nn import ACTIVATIONS

ORDER = 5

QUESTION = (
    "What does the gain of the initial weights do to the activations and gradients of a six-layer network, and to its "
    "weights' gradients? Under which settings, and after how many steps, do the numbers of document 5 hold?"
)
EXPECTATION = (
    "Tanh squashes, so gain 1 lets the activations fade from layer to layer; 5/3 holds them near a standard deviation "
    "of 0.65 with some 5 % of the units saturated; 3 drives them to ±1. Without tanh the right gain is exactly 1. The "
    "last layer, made unsure of itself by a factor of 0.1, receives far larger gradients than the others."
)

# -- configuration -----------------------------------------------------------------------------------------------------

SATURATED = 0.97
"""Where the lecture's table begins to call a tanh saturated."""


@dataclass(frozen=True)
class Config:
    """The lecture's deep network: 100 units a layer, batches of 32, weights N(0, 1)·gain/√fan_in, no bias at first."""

    activation: str = "tanh"
    gain: float = 5 / 3
    norm: str = "none"
    draws: int = 60
    """Networks looked at before training; the last of them is trained."""
    steps: int = 1_000
    batch_size: int = 32
    lr: float = 0.1
    depth: int = 6
    hidden: int = 100
    context: int = 3
    embedding: int = 10
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        numbers = {1: ("draws", "steps", "hidden", "context", "embedding"), 2: ("depth",)}
        check(self, one_of={"activation": ACTIVATIONS, "norm": NORMS}, at_least=numbers)

    @property
    def training(self) -> TrainConfig:
        return training(self, lr_decay=1.0)


GAINS = (0.5, 1.0, 5 / 3, 3.0)
SWEEP = [
    {"activation": ("tanh",), "gain": GAINS},
    {"activation": ("linear",), "gain": GAINS},
    {"norm": ("batch",), "gain": (5 / 3,)},
]
QUICK = {"steps": 200}


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    corpus = load(config.data, config.context)
    rngs = generators(config.seed)
    batches = Batches(*corpus.train, config.batch_size, rngs.batches)
    before = []
    with np.errstate(all="ignore"):  # a gain may be so large that numbers overflow: that is a result too
        for _ in range(config.draws):
            model = DeepMLP(
                vocab_size=len(corpus.vocabulary),
                context=config.context,
                rng=rngs.init,
                depth=config.depth,
                hidden=config.hidden,
                embedding=config.embedding,
                activation=config.activation,
                gain=config.gain,
                norm=config.norm,
            )
            before.append(look(model, *next(batches)))

        weights = [p for p in model.parameters() if p.ndim == 2]
        every = max(config.steps // 100, 1)
        times, ratios = [], []

        def record(step: int, loss: float) -> bool:
            if step % every == 0:
                times.append(step)
                ratios.append([config.lr * ratio(np.asarray(p.grad), p.numpy()) for p in weights])
                progress(step, config.steps)
            return not math.isfinite(loss)

        losses = fit(model, *corpus.train, config.training, batches=batches, on_step=record)
        after = look(model, *next(batches))
    stacked = {name: np.stack([one[name] for one in before]) for name in before[0]}
    arrays = {f"before_{name}": stacked[name] for name in STATISTICS} | {f"after_{n}": after[n] for n in STATISTICS}
    for name in ("activation", "gradient"):
        arrays[f"{name}_edges"], arrays[f"{name}_density"] = histogram(
            stacked[f"{name}_values"], bounded=name == "activation" and config.activation == "tanh"
        )
    arrays |= {"ratio": np.array(ratios).reshape(-1, len(weights)), "ratio_step": np.array(times)}
    last = losses[-100:].astype(float)
    summary = {"loss": float(last.mean()), "steps_done": len(losses)}
    for time, seen in (("before", stacked), ("after", {name: after[name][None] for name in STATISTICS})):
        summary |= {f"{time}/{name}": float(values.mean()) for name, values in described(seen).items()}
    return Result(summary, arrays=arrays)


LAYERED = ("activation_mean", "activation_std", "saturated", "gradient_mean", "gradient_std")
STATISTICS = (*LAYERED, "weight_gradient_mean", "weight_gradient_std", "gradient_to_data")


def look(model: DeepMLP, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """One forward and one backward pass: every hidden layer's output and gradient, every weight matrix's gradient."""
    stack = list(model.layers)
    # What a hidden layer hands on: the output of the last module before the next linear one.
    hidden = [one for one, after in pairwise(stack) if isinstance(after, nn.Linear)]
    t: list[np.ndarray] = []
    dt: list[np.ndarray] = []
    removers = []
    for module in hidden:
        removers.append(module.register_forward_hook(lambda _, __, out: t.append(out.numpy().copy())))
        removers.append(module.register_backward_hook(lambda _, grad: dt.insert(0, grad.astype(float))))
    weights = [p for p in model.parameters() if p.ndim == 2]
    with undisturbed(model, training=True):
        cross_entropy(model(x), y).backward()
        seen = {
            "weight_gradient_mean": np.array([np.mean(np.asarray(p.grad)) for p in weights]),
            "weight_gradient_std": np.array([np.std(np.asarray(p.grad), ddof=1) for p in weights]),
            "gradient_to_data": np.array([ratio(np.asarray(p.grad), p.numpy()) for p in weights]),
        }
    for remove in removers:
        remove()
    return seen | {
        "activation_mean": np.array([a.mean() for a in t]),
        "activation_std": np.array([a.std(ddof=1) for a in t]),
        "saturated": np.array([(np.abs(a) > SATURATED).mean() for a in t]),
        "gradient_mean": np.array([g.mean() for g in dt]),
        "gradient_std": np.array([g.std(ddof=1) for g in dt]),
        "activation_values": np.stack(t),
        "gradient_values": np.stack(dt),
    }


def described(seen: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What tables and claims speak of, one number a network, from statistics of shape (networks, layers)."""
    found: dict[str, np.ndarray] = {}
    with np.errstate(all="ignore"):
        for quantity in LAYERED:
            percent = 100 if quantity == "saturated" else 1
            found |= {f"{quantity}/{k + 1}": percent * column for k, column in enumerate(seen[quantity].T)}
        std, gradient, weight = (seen[n] for n in ("activation_std", "gradient_std", "weight_gradient_std"))
        found["held"], found["gradient_held"] = std[:, -1] / std[:, 0], gradient[:, 0] / gradient[:, -1]
        found["uneven"] = np.exp(np.maximum(*(abs(np.log(found[name])) for name in ("held", "gradient_held"))))
        found["embedding"], found["output"] = weight[:, 0], weight[:, -1]
        found["embedding_mean"], found["output_mean"] = (seen["weight_gradient_mean"][:, k] for k in (0, -1))
        found["hidden_fall"] = weight[:, -2] / weight[:, 1]
        found["output_lead"] = weight[:, -1] / weight[:, 1:-1].mean(axis=1)
    return found


def ratio(part: np.ndarray, whole: np.ndarray) -> float:
    return float(part.std(ddof=1) / whole.std(ddof=1))


def histogram(values: np.ndarray, bounded: bool, bins: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """(edges, density) of each layer's values over all networks; four deviations of the last layer if unbounded."""
    layers = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    reach = 1.0 if bounded else 4 * float(layers[-1].std())
    if not (math.isfinite(reach) and reach > 0):
        reach = 1.0
    edges = np.linspace(-reach, reach, bins + 1)
    counts = np.stack([np.histogram(layer, edges)[0] for layer in layers])
    return edges, counts / (layers.shape[1] * (edges[1] - edges[0]))


# -- what it shows -----------------------------------------------------------------------------------------------------


def name_of(config: SimpleNamespace) -> str:
    """The network in words: what distinguishes it from the lecture's tanh network without normalisation."""
    norm = "" if config.norm == "none" else f", {config.norm} norm"
    return f"{config.activation} {fraction(config.gain)}{norm}"


def stacked(own: Records, name: str) -> np.ndarray:
    """A quantity of every network before training, (networks, layers)."""
    return np.concatenate([r.arrays[f"before_{name}"] for r in own])


def ended(own: Records, name: str) -> np.ndarray:
    return np.stack([r.arrays[f"after_{name}"] for r in own])


def measure(records: Records) -> dict[str, np.ndarray]:
    found = measured(records.named(name_of))
    uneven = [found.get(f"before/uneven/tanh {gain}", np.empty(0)) for gain in ("0.5", "1", "3")]
    if paired(uneven):
        found["uneven/least"] = np.min(uneven, axis=0)
    return found


def tables(records: Records) -> Iterator[Table]:
    plain, batch = (records.where(activation="tanh", gain=5 / 3, norm=norm) for norm in ("none", "batch"))
    if plain:
        yield document_table(plain, batch)

    def untrained(quantity: str) -> Callable[[Records], np.ndarray]:
        return lambda own: described({name: stacked(own, name) for name in STATISTICS})[quantity]

    last = len(records[0].arrays["after_activation_std"])
    columns = [
        Column("std, first", untrained("activation_std/1"), ".2g"),
        Column("std, last", untrained(f"activation_std/{last}"), ".2g"),
        Column("saturated, last (%)", untrained(f"saturated/{last}"), 1, activation="tanh"),
        Column("gradient, first/last", untrained("gradient_held"), ".2g"),
        Column("loss", "loss"),
    ]
    note = "Activations and gradients of hidden layers before training; loss of the last 100 of {steps:,} steps."
    yield table("What the gain does", "Network", records.named(name_of), columns, note)

    seen = [take(plain, w) for take in (stacked, ended) for w in ("weight_gradient_std", "gradient_to_data") if plain]
    rows = [[name, *(spread(values[:, k], ".2e") for values in seen)] for k, name in enumerate(weight_names(plain))]
    heads = ["Weights", "gradient std", "to data", "after: gradient std", "to data"]
    note = (
        "To data: divided by the standard deviation of the weights. After {steps:,} steps the last layer has come down "
        "and the others have come up."
    )
    yield Table("Gradients of the weights, tanh, gain 5/3", heads, rows, plain.fill(note))


def document_table(plain: Records, batch: Records) -> Table:
    listed = [
        (f"{what}, layer {layer}", f"{quantity}/{k + 1}", values[k], form, unit)
        for what, (quantity, values, _, form, unit) in DOCUMENT.items()
        if not quantity.endswith("mean")
        for k, layer in enumerate(TABLED)
    ]
    listed += [("gradient std, embedding", "embedding", 1.54e-3, ".2e", "")]
    listed += [("gradient std, last weights", "output", 2.32e-2, ".2e", "")]
    cases = ((stacked, plain), (stacked, batch), (ended, plain))
    seen = [described({name: take(own, name) for name in STATISTICS}) if own else {} for take, own in cases]
    rows = []
    for what, quantity, value, form, unit in listed:
        first, normalised, after = (found.get(quantity, np.empty(0)) for found in seen)
        beyond = np.mean(np.abs(first - first.mean()) >= abs(value - first.mean()))
        said = [what + (f" ({unit.strip()})" if unit else ""), number(value, form)]
        shares = [spread(first, form), f"{100 * beyond:.0f} %", spread(normalised, form), spread(after, form)]
        rows.append(said + shares)
    heads = ["Tanh, gain 5/3", "document says", "before training", "as far out", "with batch norm", "after training"]
    note = (
        f"Mean ± sd over {len(first)} networks before training and {len(after)} after {{steps:,}} steps. The "
        "document's numbers are those of one network before its first step, without batch normalisation: with it, "
        "fewer units are saturated; after training, the gradients are several times as large. As far out: how many of "
        "the networks lie as far from the mean as the document's."
    )
    return Table("Document 5's tables: where they hold", heads, rows, plain.fill(note))


def weight_names(own: Sequence[Record]) -> list[str]:
    count = len(own[0].arrays["after_weight_gradient_std"]) if own else 0
    return ["embedding", *(f"layer {k}" for k in range(1, count - 1)), "output"] if count else []


# -- pictures ----------------------------------------------------------------------------------------------------------

HUES = {0.5: "orange", 1.0: "purple", 5 / 3: "blue", 3.0: "vermillion"}


def distributions(records: Records, what: str, reach: float, top: float) -> style.Figure:
    """A panel for each gain: how often each value of `what` occurs, in every layer."""
    gains = records.by("gain")
    rows = math.ceil(len(gains) / 2)
    options = {"sharex": what == "activation", "sharey": True, "squeeze": False}
    figure, grid = style.figure(rows, min(len(gains), 2), height=1.1 + 1.9 * rows, **options)
    for axes, (gain, own) in zip(grid.flat, gains.items(), strict=False):
        edges, density = own[0].arrays[f"{what}_edges"], mean_curve(own, f"{what}_density")
        std = stacked(own, f"{what}_std").mean(axis=0)
        unit = 1.0 if what == "activation" else float(std[-1]) or 1.0
        for k, layer in enumerate(density):
            axes.plot((edges[1:] + edges[:-1]) / 2 / unit, unit * layer, color=style.layer(k, len(density)), lw=1.8)
        # The highest peaks leave the picture.
        style.frame(axes, f"gain {fraction(gain)}", yticks=[], xlim=(-reach, reach), ylim=(0, top))
        first, last = std[0], std[-1]
        style.corner(axes, f"std {first:.2f} → {last:.2g}" if unit == 1.0 else f"first/last {first / last:.2g}")
        axes.grid(visible=False)
    for axes in grid.flat[len(gains) :]:
        axes.set_visible(False)
    style.legend_above(figure, grid[0, 0].lines[: len(density)], [f"layer {k + 1}" for k in range(len(density))], 5)
    return figure


@where(activation="tanh", norm="none")
def activations(records: Records) -> style.Figure:
    """What the tanh layers put out before training: how often each value occurs. Small gains fade to a spike at 0,
    large ones are thrown against the walls at −1 and 1; with 5/3 the later layers lie on one another.
    """
    figure = distributions(records, "activation", 1.0, 2.6)
    figure.supxlabel("activation, −1 to 1", color=style.muted(), fontsize=12.5)
    return figure


@where(activation="tanh", norm="none")
def gradients(records: Records) -> style.Figure:
    """Gradients that arrive at the tanh layers before training, in units of the last layer's standard deviation. Where
    the curves part, the layers learn at different speeds; first/last compares their deviations.
    """
    figure = distributions(records, "gradient", 4.0, 1.0)
    figure.supxlabel("gradient, in standard deviations of layer 5", color=style.muted(), fontsize=12.5)
    return figure


def by_layer(records: Records) -> style.Figure:
    """Before training, {activation}: the size of activations on their way forward and of gradients on their way back
    (●, named by gain), and what theory predicts without running anything (dashed). A level line means that every layer
    sees a signal of the same size.
    """
    figure, (left, right) = style.figure(1, 2, height=3.6)
    names = ("Activations: std", "Gradients: std")
    for axes, quantity, title in zip((left, right), ("activation_std", "gradient_std"), names, strict=True):
        ends = []
        for gain, own in records.by("gain").items():
            mean, hue = stacked(own, quantity).mean(axis=0), style.colour(HUES.get(gain, "grey"))
            layers = np.arange(1, len(mean) + 1)
            theory = getattr(predicted(own[0].config), quantity)[:-1]
            axes.plot(layers, theory, color=hue, linewidth=1.4, ls=style.DASHED)
            ends += style.lines(axes, [(layers, mean, fraction(gain), hue)], marker="o", linestyle="none", markersize=6)
            if (
                axes is right
            ):  # gradients begin at the same size behind the last layer: the names belong to the other end
                place = {"ha": "right", "va": "center", "color": hue, "fontsize": 12}
                style.note(axes, fraction(gain), (layers[0], mean[0]), (-9, 0), **place)
        limits = (0.5 if axes is left else -0.2, layers[-1] + 0.4)
        style.frame(axes, title, "hidden layer", ylog=(), xticks=layers, xlim=limits)
        style.label_ends(axes, ends if axes is left else [])
    return figure


def predicted(config: SimpleNamespace) -> Propagation:
    """Mean field: from gains and widths alone."""
    widths = [config.context * config.embedding] + [config.hidden] * (config.depth - 1)
    layers = [Layer(n_in, n_out, config.gain, config.activation) for n_in, n_out in pairwise(widths)]
    classes = 27
    layers.append(Layer(widths[-1], classes, 0.1, "linear"))
    return predict(layers, output_gradient=gradient_of_ignorance(classes, config.batch_size))


@where(activation="tanh", gain=5 / 3)
def document_picture(records: Records) -> style.Figure | None:
    """Document 5's tables (◇) beside what is measured: mean and two standard deviations between networks. They hold
    before training and without normalisation, and in neither of the other two cases.
    """
    plain, batch = (records.where(norm=norm) for norm in ("none", "batch"))
    if not plain:
        return None
    figure, (left, right) = style.figure(1, 2, height=3.4, sharey=True)
    marks = left.plot([], [], "D", mfc="none", color=style.ink(), mew=1.6, label="document 5")
    for shift, hue, text, take, own in (
        (-0.2, "blue", "before training", stacked, plain),
        (0.0, "green", "with batch norm", stacked, batch),
        (0.2, "orange", "after training", ended, plain),
    ):
        if not own:
            continue
        hue = style.colour(hue)
        marks += left.plot([], [], "o", color=hue, label=text)
        for axes, quantity, factor in ((left, "saturated", 100), (right, "gradient_std", 1e4)):
            values = factor * take(own, quantity)[:, : len(TABLED)]
            mean, error = values.mean(axis=0), np.zeros(len(TABLED))
            if len(values) > 1:
                error = 2 * values.std(axis=0, ddof=1)
            below = np.minimum(error, 0.99 * mean)  # none of them can be negative
            at = np.arange(len(TABLED)) + shift
            axes.errorbar(mean, at, xerr=[below, error], fmt="o", color=hue, markersize=7, capsize=3)
    for axes, what, factor, title in (
        (left, "saturated units", 1, "Saturated units (%)"),
        (right, "gradient std", 1e4, "Gradient: std × 10⁴"),
    ):
        stated = factor * np.array(DOCUMENT[what][1])
        axes.plot(stated, np.arange(3) - 0.2, "D", markersize=8, mfc="none", color=style.ink(), mew=1.6, zorder=5)
        style.title(axes, title)
        style.rows(axes)
    style.rows(left, [f"layer {k}" for k in TABLED])
    left.set_xlim(0)
    style.logarithmic(right, [3, 10, 30])
    figure.legend(handles=marks, loc="outside upper left", ncols=4, fontsize=11, handletextpad=0.2, columnspacing=1.0)
    return figure


@where(activation="tanh", norm="none", gain=5 / 3)
def weight_picture(records: Records) -> style.Figure:
    """Tanh, gain 5/3, from before training (●) to after {steps:,} steps (arrowhead). The output layer begins hundreds
    of times ahead of the others and comes back towards them within the first steps.
    """
    figure, axes = style.figure(height=3.3)
    first, after = (take(records, "gradient_to_data").mean(axis=0) for take in (stacked, ended))
    depth = len(first)
    for row in range(depth):
        hue = style.layer(row, depth)
        arrow = {"arrowstyle": "-|>", "color": hue, "linewidth": 2, "shrinkA": 5, "shrinkB": 0}
        axes.annotate("", (after[row], row), (first[row], row), arrowprops=arrow)
        axes.plot(first[row], row, "o", color=hue, markersize=9)
        axes.plot(after[row], row, "o", color=hue, markersize=3)
    axes.set_xscale("log")
    style.rows(axes, weight_names(records), room=0.6)
    style.frame(axes, "Gradient relative to the weights it moves", "gradient std / weight std, logarithmic")
    return figure


plot = pictures(
    activations=activations,
    gradients=gradients,
    by_layer=where(activation="tanh", norm="none")(by_layer),
    linear=where(activation="linear", norm="none")(by_layer),
    document=document_picture,
    weights=weight_picture,
)


def portrait(record: Record) -> Iterator[Picture]:
    figure, axes = style.figure(height=3.6)
    names, step = weight_names([record]), record.arrays["ratio_step"]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.log10(record.arrays["ratio"]).T
    each = (
        (step, own, name, style.layer(k, len(names))) for k, (own, name) in enumerate(zip(ratios, names, strict=True))
    )
    ends = style.lines(axes, each, linewidth=1.6)
    style.guide(axes, -3.0, "−3")
    style.frame(axes, "log10 of update to data", "step")
    style.label_ends(axes, ends)
    which = f"{name_of(record.config)}, seed {record.seed}"
    yield Picture("updates", figure, f"{which}: learning rate times gradient, relative to the weights.")


NEXT = [
    "A gain of your own: `--set gain=1.2,2`.",
    "Another nonlinearity, with the gain it asks for: `--set activation=relu --set gain=1.41421356`.",
    "A deeper network, where small factors add up: `--set depth=20`.",
]
