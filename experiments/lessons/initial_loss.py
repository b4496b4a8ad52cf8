"""Confidently wrong: where a first loss of 27 comes from, and what it costs.

Before training, a network knows nothing, and the honest loss is ln 27. This lesson turns one number, the scale of the
last layer's weights, from 10 to exactly 0; takes the first loss apart; and looks at what happens if not only the last
layer begins at zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments import style
from experiments.claims.initial_loss import CLAIMS as CLAIMS
from experiments.claims.initial_loss import PRINTED
from experiments.corpus import load
from experiments.curves import frequency_loss, rms, steps_until, thinned
from experiments.experiment import Result, Table
from experiments.pictures import pictures, where
from experiments.records import Records, mean_curve, measured
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, table
from experiments.training import training
from models.mlp import MLP
from models.training import TrainConfig, evaluate, fit, generators
from npgrad import no_grad
from npgrad.functions import cross_entropy, softmax

ORDER = 2

QUESTION = (
    "Where does a first loss of 27 come from, what does a network lose by beginning there, and is there anything wrong "
    "with weights that begin at exactly zero?"
)
EXPECTATION = (
    "Logits are sums of 200 terms, so weights of size 1 make them about 13 large, and a softmax of such numbers is "
    "sure of a random character. Scaling the weights down brings the loss to ln 27 = 3.2958, exactly there at zero. "
    "Zero in the last layer alone is harmless; zero everywhere leaves all hidden units the same."
)

# -- configuration -----------------------------------------------------------------------------------------------------

STARTS = {
    "random": "random",
    "zero hidden": "hidden layer zero",
    "all equal": "all equal, not zero",
    "all zero": "both layers zero",
}


@dataclass(frozen=True)
class Config:
    """The lecture's first network: 200 tanh units, all numbers standard normal but for the last layer's."""

    output_scale: float = 0.01
    """Of the last layer's weights."""
    output_bias: float = 0.0
    """Of the last layer's biases."""
    start: str = "random"
    """What happens to the weights then: a key of STARTS."""
    steps: int = 7_500
    batch_size: int = 32
    lr: float = 0.1
    context: int = 3
    embedding: int = 10
    hidden: int = 200
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        check(self, one_of={"start": STARTS}, at_least={1: ("steps", "context", "embedding", "hidden")})

    @property
    def training(self) -> TrainConfig:
        return training(self)


SCALES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.0)
SWEEP = [
    {"output_scale": (1.0,), "output_bias": (1.0,)},
    {"output_scale": SCALES},
    {"start": ("zero hidden", "all equal", "all zero")},
]
QUICK = {"steps": 2_000}
FULL = {"steps": 50_000}


COUNTED_AT = 100
"""The step after which different units are counted: later, rounding may have grown to differences of its own."""

# -- one run -----------------------------------------------------------------------------------------------------------


def distinct(units: NDArray[Any]) -> int:
    """How many columns of `units` (numbers, units) differ by more than a thousandth of the largest number.

    Rounding, which depends on the processor, is a few thousand times smaller than that after `COUNTED_AT` steps.
    """
    kept: list[NDArray[Any]] = []
    for unit in units.T:
        if all(np.max(np.abs(unit - other)) > 1e-3 * np.max(np.abs(units)) for other in kept):
            kept.append(unit)
    return len(kept)


def run(config: Config, progress: Progress) -> Result:
    corpus = load(config.data, config.context)
    rngs = generators(config.seed)
    classes = len(corpus.vocabulary)
    model = MLP(
        vocab_size=classes,
        context=config.context,
        rng=rngs.init,
        stage="original",
        embedding=config.embedding,
        hidden=config.hidden,
        output_scale=config.output_scale,
    )
    assert model.output.bias is not None
    model.output.bias.data = config.output_bias * model.output.bias.numpy()
    begin(model, config.start)

    x, y = corpus.train.x[:5_000], corpus.train.y[:5_000]
    with no_grad():
        logits = model(x).numpy().astype(float)
    # The same bias in every example: what is left after taking it away comes from the weights.
    bias = model.output.bias.numpy().astype(float)
    size = rms(logits)

    looked, sizes, weights = [], [], []
    due = set(np.unique(np.geomspace(1, config.steps, 60).astype(int)) - 1)
    different = 0

    def record(step: int, loss: float) -> bool:
        nonlocal different
        if step in due:
            with no_grad():
                sizes.append(rms(model(x[:500]).numpy()))
            weights.append(rms(model.output.weight.numpy()))
            looked.append(step + 1)
        if step + 1 == min(COUNTED_AT, config.steps):
            different = distinct(np.vstack([p.numpy() for p in model.hidden.parameters()]))
        if step % 100 == 0:
            progress(step, config.steps)
        return not math.isfinite(loss)

    before = rms(model.output.weight.numpy())
    with np.errstate(all="ignore"):
        losses = fit(model, *corpus.train, config.training, on_step=record)
    step, loss = thinned(losses)
    early = max(config.steps // 20, 1)
    wasted = min(steps_until(losses, math.log(classes)), config.steps)
    down = min(int(np.searchsorted(looked, wasted)), len(weights) - 1)  # the blade of the hockey stick is over
    first = -np.log(softmax(logits, axis=1).numpy()[np.arange(len(y)), y].clip(1e-300)).mean()
    return Result(
        summary={
            "uniform_loss": math.log(classes),
            "unigram_loss": frequency_loss(corpus.train.y),
            "initial_loss": float(cross_entropy(logits, y).item()),
            "initial_check": float(first),
            "normal_loss": normal_loss(size, classes),
            "logit_size": size,
            "bias_share": float(np.mean(bias**2) / max(size**2, 1e-300)),
            "confidence": float(softmax(logits, axis=1).numpy().max(axis=1).mean()),
            "early_fall": float((losses[0] - losses[early : 2 * early].mean()) / (losses[0] - losses[-early:].mean())),
            "wasted_steps": wasted,
            "output_size": before,
            "output_shrinks": weights[down] / before if before else math.nan,
            "distinct_units": different,
            "train_loss": evaluate(model, *corpus.train),
            "val_loss": evaluate(model, *corpus.val),
            "test_loss": evaluate(model, *corpus.test),
        },
        series={"step": step, "loss": loss},
        arrays={
            "first_probabilities": softmax(logits[:200], axis=1).numpy(),
            "first_x": x[:200],
            "first_y": y[:200],
            "characters": np.array(list(corpus.vocabulary.characters)),
            "looked": np.array(looked),
            "logit_size": np.array(sizes),
            "output_size": np.array(weights),
        },
    )


def begin(model: MLP, start: str) -> None:
    """Replace the hidden layer's numbers, and for all but "zero hidden" the last layer's too."""
    if start == "random":
        return
    value = 0.05 if start == "all equal" else 0.0
    layers = [model.hidden] if start == "zero hidden" else [model.hidden, model.output]
    for layer in layers:
        for p in layer.parameters():
            p.data = np.full(p.shape, value if p.ndim == 2 else 0.0)


def normal_loss(size: float, classes: int) -> float:
    """The loss to expect of logits that are independent normal numbers: the mean of ln Σ exp, less a mean of 0."""
    logits = size * np.random.default_rng(0).standard_normal((20_000, classes))
    top = logits.max(axis=1, keepdims=True)
    return float(np.mean(top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))))


# -- what it shows -----------------------------------------------------------------------------------------------------


def name_of(config: SimpleNamespace) -> str:
    if config.start != "random":
        return str(config.start)
    return "original" if config.output_bias else f"{config.output_scale:g}"


def measure(records: Records) -> dict[str, np.ndarray]:
    groups = records.named(name_of)
    found = measured(groups)
    for name in ("uniform_loss", "unigram_loss"):
        found[name] = next(iter(groups.values())).values(name)
    for name, (logits, printed) in PRINTED.items():
        p = softmax(np.array(logits)).numpy()
        found[f"example/{name}"] = np.abs(np.log(p / printed)).max()
        found[f"example/{name}/most"] = 100 * p.max()
    found["example/eight"] = softmax(np.array([0.1, 0.2, 8.0, 0.1])).numpy()[2:3] * 100
    found["equal_logits"] = np.array([cross_entropy(np.full((4, 27), 5.0), np.arange(4)).item()])
    return {name: np.atleast_1d(values) for name, values in found.items()}


def tables(records: Records) -> Iterator[Table]:
    columns = [Column("logits", "logit_size", 2), Column("first loss", "initial_loss", 4)]
    columns += [Column("if logits were normal", "normal_loss", 2), Column("steps wasted", all_wasted, 0)]
    columns += [Column("validation", "val_loss", 4)]
    note = (
        "Logits: root mean square. Wasted are the steps until the loss is below ln 27 = {uniform_loss:.4f}. Validation "
        "loss after {steps:,} steps."
    )
    names = {"original": "1, bias too", "0": "exactly 0"}
    scales = records.where(start="random").named(name_of)
    yield table("The scale of the last weights", "Scale", scales, columns, note, names)

    columns = [Column("different units", "distinct_units", 0), Column("first loss", "initial_loss", 4)]
    columns += [Column("training", "train_loss", 4), Column("validation", "val_loss", 4)]
    note = (
        "After {steps:,} steps. Knowing nothing but how frequent each letter is costs {unigram_loss:.4f} on the "
        "training data."
    )
    yield table("Beginning at zero", "Start", starts(records), columns, note, STARTS)


def all_wasted(own: Records) -> np.ndarray | str:
    return "all" if own.mean("wasted_steps") >= own[0].config.steps else own.values("wasted_steps")


def starts(records: Records) -> dict[str, Records]:
    """The runs that begin at zero, with the repaired network for comparison; empty if there are none."""
    zero = records.where(start=lambda start: start != "random").by("start")
    random = records.named(name_of).get("0.01")
    return {"random": random} | zero if zero and random else zero


# -- pictures ----------------------------------------------------------------------------------------------------------


def sure(records: Records) -> style.Figure | None:
    """What the untrained network expects to come next in one example. The original one is sure, and wrong; the repaired
    one gives every character its chance.
    """
    groups = records.named(name_of)
    if "original" not in groups:
        return None
    pair = [("original", "vermillion", "Original"), ("0.01", "blue", "Last weights × 0.01")][: 1 + ("0.01" in groups)]
    figure, axes = style.figure(len(pair), 1, height=0.6 + 1.7 * len(pair), sharex=True, squeeze=False)
    first = groups["original"][0].arrays
    characters = first["characters"]
    # An example of the ordinary kind: three characters, and a favourite that is wrong.
    wrong = first["first_probabilities"].argmax(axis=1) != first["first_y"]
    within = (first["first_x"] > 0).all(axis=1) & (first["first_y"] > 0)
    k = int(np.argmax(2 * wrong + within))
    truth = int(first["first_y"][k])
    for one, (name, hue, text) in zip(axes[:, 0], pair, strict=True):
        p = groups[name][0].arrays["first_probabilities"][k]
        one.bar(range(len(p)), p, color=style.colour(hue), width=0.8)
        one.plot(truth, float(p[truth]) + 0.09, "v", color=style.ink(), markersize=9)
        title = f"{text}: loss {-math.log(max(float(p[truth]), 1e-300)):.1f}"
        style.frame(one, title, ylim=(0, 1), yticks=[0, 0.5, 1], yticklabels=["0", "0.5", "1"])
        style.corner(one, f"▼ {characters[truth]} is right: p = {p[truth]:.2g}".replace("e-", "e−"), 11.5)
    context = "".join(characters[i] for i in first["first_x"][k])
    axes[-1, 0].set_xticks(range(len(characters)), characters, fontsize=10)
    axes[-1, 0].set_xlabel(f"next character after “{context}”")
    figure.supylabel("probability", color=style.muted(), fontsize=12.5)
    return figure


@where(start="random", output_bias=0.0)
def scale_picture(records: Records) -> style.Figure | None:
    """Left: the first loss is that of normally distributed logits of the same size (dashed), as small as ln 27 once
    they are below 0.3. Right: what is left of the difference after {steps:,} steps of training; exactly 0 is as good as
    0.01.
    """
    scaled = records.by("output_scale")
    if len(scaled) < 2:
        return None
    figure, (left, right) = style.figure(1, 2, height=3.6)
    sizes, first, val = (
        np.array([own.mean(name) for own in scaled.values()]) for name in ("logit_size", "initial_loss", "val_loss")
    )
    at = np.geomspace(0.05, max(float(sizes.max()) * 1.3, 1.0), 60)
    classes = round(math.exp(records.mean("uniform_loss")))
    left.plot(at, [normal_loss(size, classes) for size in at], color=style.muted(), linewidth=1.4, ls=style.DASHED)
    left.plot(np.maximum(sizes, 0.05), first, "o", color=style.colour("orange"), markersize=8)
    style.guide(left, records.mean("uniform_loss"), "ln 27", at=0.02)
    style.note(left, "if logits were\nnormal numbers", (at[45], normal_loss(at[45], classes)), (-12, 12), ha="right")
    ylog = [t for t in (3, 10, 30, 100, 300) if t < 2 * first.max()]
    style.frame(left, "First loss", "size of the first logits", xlog=(), ylog=ylog)
    right.plot([max(scale, 0.003) for scale in scaled], val, "o-", color=style.colour("orange"), markersize=8)
    xlog = {scale or 0.003: f"{scale:g}" for scale in (10, 1, 0.1, 0.01, 0) if scale in scaled}
    style.frame(right, "Validation loss", "scale of the last weights", xlog=xlog)
    return figure


@where(start="random", output_bias=lambda bias: bias != 0)
def squashed(records: Records) -> style.Figure:
    """The original network in training. The blade of the hockey stick is the logits coming down; the weights that make
    them stay nearly as large: they turn, rather than shrink.
    """
    figure, axes = style.figure(height=3.4)
    step = records[0].arrays["looked"]
    both = (("logit_size", "logits", "vermillion"), ("output_size", "last weights", "blue"))
    sizes = (
        (step, mean_curve(records, name) / records.mean(name), text, style.colour(hue)) for name, text, hue in both
    )
    ends = style.lines(axes, sizes)
    style.over_steps(axes, step[-1])
    style.frame(axes, "Size relative to the beginning", ylim=(0, 1.2))
    style.label_ends(axes, ends)
    return figure


def symmetry(records: Records) -> style.Figure | None:
    """One random layer is enough to make 200 hidden units different. If both layers begin equal, all units do the same
    but for rounding, and if both begin at zero, only the last bias learns.
    """
    groups = starts(records)
    if not groups:
        return None
    figure, axes = style.figure(height=0.5 * len(groups) + 1.5)
    letters = records.mean("unigram_loss")
    for row, own in enumerate(groups.values()):
        loss, units = own.mean("val_loss"), own.mean("distinct_units")
        hue, text = ("blue", f"{units:.0f} different units") if units > 1.5 else ("vermillion", "all units the same")
        axes.plot(loss, row, "o", color=style.colour(hue), markersize=10)
        shift, side = ((-10, 0), "right") if letters - 0.3 < loss < letters else ((10, 0), "left")
        style.note(axes, text, (loss, row), shift, ha=side, va="center", color=style.colour(hue))
    style.rows(axes, [STARTS[start] for start in groups], room=0.9)
    style.guide(axes, letters, "letter\nfrequencies", vertical=True)
    style.reach(axes, axes.get_xlim()[0], 3.2, along="x")
    style.frame(axes, "Beginning at zero", records.fill("validation loss after {steps:,} steps"))
    return figure


plot = pictures(sure=sure, scale=scale_picture, squashed=squashed, symmetry=symmetry)

NEXT = [
    "Scales of your own: `--set output_scale=0.5,2`.",
    "As long as the lecture trains: `--set steps=200000`. Does the difference last?",
    "A wider hidden layer makes larger logits: `--set hidden=1000`.",
]
