"""Four ways to normalise, or none: batch, layer and group, by batch size and depth.

Batch normalisation asks the other examples of the batch, layer and group normalisation the other units of the same
example. What follows from that for small batches, for deep networks and for evaluation?
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments import style
from experiments.claims.norms import CLAIMS as CLAIMS
from experiments.corpus import load
from experiments.curves import frequency_loss
from experiments.experiment import Result, Table
from experiments.pictures import pictures, where
from experiments.records import Records, measured, paired
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, across, fraction, spread, table
from experiments.training import training, watch
from experiments.verdict import chosen_elsewhere
from models.deep_mlp import DeepMLP
from models.training import TrainConfig, evaluate, fit, generators
from npgrad import data, no_grad
from npgrad.data import Corpus
from npgrad.functions import cross_entropy

ORDER = 9

QUESTION = "Which normalisation for which batch, and for which depth? And is any needed at all, if the gain is right?"
EXPECTATION = (
    "Layer and group normalisation should give an example the same output whatever its company, in training as in "
    "evaluation, and should not mind small batches. Deep networks without any should train with the right gain only."
)

# -- configuration -----------------------------------------------------------------------------------------------------

NORMS = {"none": "none", "batch": "batch", "layer": "layer", "group": "group"}


@dataclass(frozen=True)
class Config:
    study: str = "company"
    """"company": small and large batches, six layers; "depth": deep networks, and wrong gains in them."""
    norm: str = "batch"
    batch_size: int = 32
    lr: float = 0.1
    depth: int = 6
    gain: float = 5 / 3
    dtype: str = "float32"
    steps: int = 120
    """Of the study of depth; that of company takes twice as many."""
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        known = {"study": ("company", "depth"), "norm": NORMS, "dtype": ("float32", "float64")}
        check(self, one_of=known, at_least={2: ("batch_size", "depth"), 1: ("steps",)})

    @property
    def training(self) -> TrainConfig:
        return training(self, steps=self.steps * (2 if self.study == "company" else 1), lr_decay=1.0)


DEEP = ("none", "batch", "layer")
SWEEP = [
    {"study": ("company",), "norm": tuple(NORMS), "batch_size": (4, 32), "lr": (0.03, 0.1, 0.3, 1.0)},
    {"study": ("company",), "norm": tuple(NORMS), "batch_size": (2,), "lr": (0.03,)},
    {"study": ("company",), "norm": ("batch",), "batch_size": (2,), "lr": (0.03,), "dtype": ("float64",)},
    {"study": ("depth",), "norm": DEEP, "depth": (6, 20)},
    {"study": ("depth",), "norm": DEEP, "depth": (50,), "gain": (1.1, 5 / 3), "lr": (0.01, 0.03, 0.1, 0.3)},
    {"study": ("depth",), "norm": DEEP, "depth": (20,), "gain": (0.5, 1.0, 3.0), "lr": (0.01, 0.1)},
    {"study": ("depth",), "norm": DEEP, "depth": (20,), "lr": (0.01,)},
]
QUICK = {"steps": 40, "batch_size": (32,), "lr": (0.1,), "depth": (6, 20), "gain": (0.5, 3.0)}
FULL = {"steps": 3_000}


def cost(config: Config) -> float:
    return config.training.steps * config.depth * {"none": 0.6, "batch": 1.0, "layer": 1.2, "group": 1.4}[config.norm]


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    corpus = load(config.data)
    rngs = generators(config.seed)
    model = build(config, corpus, rngs.init, np.dtype(config.dtype))
    held = data.Windows(corpus.val.x[:4_000], corpus.val.y[:4_000])

    with np.errstate(all="ignore"):  # divergence is one of the things to see
        losses = fit(model, *corpus.train, config.training, on_step=watch(progress, config.training.steps))
        summary = {"loss": evaluate(model, *held), "train_loss": float(losses[-100:].mean()), "steps": len(losses)}
        summary["frequencies"] = frequency_loss(corpus.train.y)
        if config.study == "company":
            summary |= company(model, corpus, rngs.sampling, times=min(100, 10 * config.steps)) | twins(config, corpus)
    width = max(1, len(losses) // 40)
    thinned = [losses[k : k + width].mean() for k in range(0, len(losses) - width + 1, width)]
    return Result(summary, {"step": (np.arange(len(thinned)) + 0.5) * width, "loss": thinned})


def build(config: Config, corpus: Corpus, rng: np.random.Generator, dtype: Any) -> Any:
    return DeepMLP(
        vocab_size=len(corpus.vocabulary),
        context=3,
        rng=rng,
        depth=config.depth,
        gain=config.gain,
        norm=config.norm,
        dtype=dtype,
    )


def company(model: Any, corpus: Corpus, rng: np.random.Generator, times: int, size: int = 4) -> dict[str, float]:
    """How far an example's logits move with its company in training mode, and what forgetting eval() costs."""
    before = model.state_dict()
    one, moved, losses = 0, [], []
    with no_grad():
        for _ in range(times):
            rows = rng.integers(len(corpus.val.y), size=size)
            model.train()
            moved.append(model(np.vstack([corpus.val.x[one], corpus.val.x[rows[1:]]])).data[0])
            forgotten = cross_entropy(model(corpus.val.x[rows]), corpus.val.y[rows]).item()
            model.load_state_dict(before)
            model.eval()
            losses.append(forgotten - cross_entropy(model(corpus.val.x[rows]), corpus.val.y[rows]).item())
    return {"coupling": float(np.std(moved, axis=0).mean()), "forgotten": float(np.mean(losses))}


def twins(config: Config, corpus: Corpus) -> dict[str, float]:
    """Largest gradient of the embedding for a batch of one context, twice, with different next characters."""
    x, y = np.zeros((2, 3), dtype=np.intp), np.array([1, 2])
    found = {}
    for dtype in ("float32", "float64"):
        model = build(config, corpus, np.random.default_rng(config.seed), np.dtype(dtype))
        cross_entropy(model(x), y).backward()
        found[f"twins_{dtype}"] = float(np.abs(model.embedding.weight.grad).max())
    return found


# -- what it shows -----------------------------------------------------------------------------------------------------


def measure(records: Records) -> dict[str, np.ndarray]:
    small = records.where(study="company", dtype="float32")
    found = measured(small.where(batch_size=32, lr=0.1).by("norm"), "coupling", "forgotten")
    deep = records.where(study="depth")
    for norm in NORMS:
        for size in small.by("batch_size"):
            found[f"best/{norm}/{size}"] = best(small.where(norm=norm, batch_size=size))
        for depth, own in deep.where(norm=norm).by("depth").items():
            gains = own.by("gain")
            found[f"depth/{norm}/{depth}"] = best(own.where(gain=5 / 3))
            if 1.1 in gains:  # a plain network of 50 layers needs less than Kaiming's gain
                found[f"any gain/{norm}/{depth}"] = best(own, "lr", "gain")
            losses = [best(part) for part in gains.values()]
            if all(len(part.by("lr")) > 1 for part in gains.values()) and paired(losses):
                found[f"gain_range/{norm}/{depth}"] = np.ptp(losses, axis=0)
    for size in (4, 32):
        a, b = (found.get(f"best/{norm}/{size}", np.empty(0)) for norm in ("batch", "layer"))
        if len(a) == len(b):
            with np.errstate(invalid="ignore"):
                found[f"batch beside layer/{size}"] = a - b
    return found


def best(records: Records, *keys: str) -> np.ndarray:
    """The loss at the best learning rate (or whatever else `keys` names), one per seed, chosen on the other seeds."""
    losses = [own.values("loss") for own in records.by(*(keys or ("lr",))).values()]
    return chosen_elsewhere(dict(enumerate(losses)))[0] if paired(losses) else np.empty(0)


def tables(records: Records) -> Iterator[Table]:
    names = {norm: "none" if norm == "none" else f"{norm} norm" for norm in NORMS}
    small = records.where(study="company", dtype="float32")
    columns = [Column(name, best, 3, norm=norm) for norm, name in names.items()]
    rates = ", ".join(f"{rate:g}" for rate in small.where(batch_size=32).by("lr"))
    note = (
        f"Validation loss of six layers after {2 * records[0].config.steps:,} steps at the best of the rates {rates} "
        "(batches of 2: 0.03 only). Knowing only how frequent each character is costs {frequencies:.3f}."
    )
    sizes = {str(size): own for size, own in sorted(small.by("batch_size").items())}
    double = records.where(study="company", dtype="float64").by("batch_size")
    sizes |= {f"{size}, float64": own for size, own in double.items()}
    yield table("By batch size", "batch", sizes, columns, note)

    usual = small.where(lr=0.1, batch_size=32)
    whats = {
        "coupling": "logits move with company",
        "forgotten": "loss added without eval()",
        "twins_float32": "twins, float32",
        "twins_float64": "twins, float64",
    }
    rows = []
    for what, text in whats.items():
        each = [usual.where(norm=norm) for norm in NORMS]
        rows.append([text, *(f"{e.mean(what):.1e}" if "twins" in what else spread(e.values(what)) for e in each)])
    note = (
        "Logits: standard deviation with changing company in batches of 4, in training mode. Twins: the largest "
        "gradient of the embedding, before training, for a batch of two equal contexts. With batch norm their variance "
        "is 0, each layer multiplies the gradients by 1/√ε = 316, and the two cancel except for rounding: what is left "
        "in float32 destroys the network. In float64 it survives batches of two and learns little: of two numbers, "
        "normalisation leaves only which is larger."
    )
    yield Table("What it means to ask the batch", ["", *names.values()], rows if usual else [], note)

    groups: dict[str, Records] = {}
    for (depth, gain), own in sorted(records.where(study="depth").by("depth", "gain").items()):
        name = f"{depth} layers, gain {fraction(gain)}"
        groups |= {name + (f", rate {rate:g}" if rate != 0.1 else ""): few for rate, few in own.by("lr").items()}
    columns = across("loss", norm={norm: names[norm] for norm in DEEP})
    note = "Validation loss after {steps:,} steps at rate 0.1 if no other is given."
    yield table("By depth and gain", "", groups, columns, note)


# -- pictures ----------------------------------------------------------------------------------------------------------


def lines(axes: style.Axes, points: dict[str, list[tuple[float, float]]], ceiling: float) -> None:
    """One line a norm, named at its end; what lies above the picture or diverged is marked at its upper edge."""
    ends = []
    for norm, found in points.items():
        x, y = (np.array(v, dtype=float) for v in zip(*sorted(found), strict=True))
        style.capped(axes, x, y, style.colour(norm), ceiling)
        ends.append((x[-1], min(np.nan_to_num(y[-1], nan=np.inf), ceiling), NORMS[norm], style.colour(norm)))
    style.reach(axes, 2.35, ceiling + 0.05, capped=True)  # room for names beside the marks
    style.label_ends(axes, ends)


@where(study="company", dtype="float32")
def batch_picture(records: Records) -> tuple[style.Figure, str]:
    figure, axes = style.figure(height=3.6)
    sizes = sorted(records.by("batch_size"))
    style.frame(axes, "Validation loss by batch size", "batch size, logarithmic", xlog=sizes)
    points = {
        norm: [(size, best(own.where(norm=norm, batch_size=size)).mean()) for size in sizes]
        for norm, own in records.by("norm").items()
    }
    lines(axes, points, 3.0)
    return figure, (
        f"After {2 * records[0].config.steps:,} steps, each at its best learning rate; ▲ above the picture or "
        "diverged. With batches of two, batch norm ends in overflow: a batch of two equal contexts has no variance."
    )


@where(study="depth", gain=5 / 3)
def depth_picture(records: Records) -> style.Figure:
    """Tanh networks with Kaiming's gain after {steps:,} steps (50 layers: better of two rates). Depth costs all of
    them; with 50 layers the one without normalisation has learned how frequent characters are, and no more.
    """
    figure, axes = style.figure(height=3.6)
    style.frame(axes, "Validation loss by depth", "layers, logarithmic", xlog=sorted(records.by("depth")))
    style.guide(axes, records.mean("frequencies"), records.fill("frequencies alone: {frequencies:.2f}"), at=0.02)
    points = {
        norm: [(depth, best(part).mean()) for depth, part in own.by("depth").items()]
        for norm, own in records.by("norm").items()
    }
    lines(axes, points, 2.95)
    return figure


@where(study="depth", depth=20, lr=0.1)
def gain_picture(records: Records) -> style.Figure:
    """After {steps:,} steps. Without normalisation the gain has to be right within a factor of two. Layer norm forgives
    large weights and, at this learning rate, not small ones; batch norm forgives both.
    """
    figure, axes = style.figure(height=3.6)
    xlog = {gain: fraction(gain) for gain in sorted(records.by("gain"))}
    style.frame(axes, "Twenty layers: validation loss by gain", "gain of the first weights, logarithmic", xlog=xlog)
    style.guide(axes, records.mean("frequencies"), records.fill("frequencies alone: {frequencies:.2f}"), at=0.5)
    points = {
        norm: [(gain, part.mean("loss")) for gain, part in own.by("gain").items()]
        for norm, own in records.by("norm").items()
    }
    lines(axes, points, 2.95)
    return figure


plot = pictures(batch_size=batch_picture, depth=depth_picture, gain=gain_picture)

NEXT = [
    "Batches of three: `--set study=company --set batch_size=3`.",
    "Small weights at several rates: `--set study=depth --set depth=20 --set gain=0.5 --set lr=0.01,0.03`.",
    "A hundred layers: `--set study=depth --set depth=100 --set gain=1`.",
]
