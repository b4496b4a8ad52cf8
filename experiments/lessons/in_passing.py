"""Said in passing: small statements of the documents, each with an experiment as small.

Six of them: what γ and β are for, whether a little randomness in the first bias helps, whether linear layers in a row
are one linear layer, ReLUs with a large negative bias, what `no_grad` saves, and a class that a document prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np

from experiments import style
from experiments.claims.in_passing import CLAIMS as CLAIMS
from experiments.claims.in_passing import PRINTED
from experiments.corpus import load
from experiments.curves import thinned
from experiments.experiment import Result, Table
from experiments.pictures import curves, pictures, where
from experiments.records import Records, mean_curve
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, table
from experiments.training import training, watch
from models.mlp import MLP
from models.training import Generators, TrainConfig, evaluate, fit, generators
from npgrad import nn, no_grad
from npgrad.data import Corpus, Windows
from npgrad.functions import cross_entropy

ORDER = 17

QUESTION = "Which of the remarks that the documents make in half a sentence can be measured?"
EXPECTATION = (
    "Without γ and β the network can express less and should end higher. A random first bias should do no harm. Linear "
    "layers in a row compute what one matrix computes, but learn differently. A ReLU with a bias far below its inputs "
    "is dead from the start. Without a graph, a forward pass needs less time."
)

# -- configuration -----------------------------------------------------------------------------------------------------

STUDIES = ("affine", "bias", "linear", "relu", "time", "printed")
DEPTH = 6
"""Layers of the linear stack."""
ARMS: dict[str, Callable[[], AbstractContextManager[Any]]] = {"graph": nullcontext, "no_graph": no_grad}


@dataclass(frozen=True)
class Config:
    """The lecture's shallow network; `arm` is the side of the comparison: what the document speaks of, or not."""

    study: str = "affine"
    arm: bool = True
    steps: int = 6_000
    batch_size: int = 32
    lr: float = 0.1
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        check(self, one_of={"study": STUDIES}, at_least={1: ("steps",)})

    @property
    def training(self) -> TrainConfig:
        return training(self)


SWEEP = [
    {"study": ("affine", "bias", "linear"), "arm": (True, False)},
    {"study": ("relu", "time", "printed")},
]
QUICK = {"steps": 100}
FULL = {"steps": 60_000}


def cost(config: Config) -> float:
    return config.steps if config.study in ("affine", "bias", "linear") else 1_000


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    corpus, rngs = load(config.data), generators(config.seed)
    study = {"linear": linear, "relu": relu, "time": without_graph, "printed": printed}.get(config.study, trained)
    return study(config, corpus, rngs, progress)


def network(corpus: Corpus, rngs: Generators, stage: str) -> MLP:
    return MLP(vocab_size=len(corpus.vocabulary), context=3, rng=rngs.init, stage=stage)


def trained(config: Config, corpus: Corpus, rngs: Generators, progress: Progress) -> Result:
    """With γ and β or without; with a small random first bias or with zeros."""
    model = network(corpus, rngs, "batchnorm" if config.study == "affine" else "kaiming")
    gradients = 0
    if config.study == "affine":
        if not config.arm:
            model.norm = nn.BatchNorm1d(200, momentum=0.001, ddof=1, affine=False)
        cross_entropy(model(corpus.train.x[:32]), corpus.train.y[:32]).backward()
        gradients = sum(p.grad is not None for p in model.norm.parameters()) if model.norm is not None else 0
        model.zero_grad()
    elif not config.arm and model.hidden.bias is not None:
        model.hidden.bias.data[:] = 0
    fit(model, *corpus.train, config.training, on_step=watch(progress, config.steps))
    buffers = [name for name, _ in model.named_buffers()]
    return Result(
        summary={
            "train_loss": evaluate(model, *corpus.train),
            "val_loss": evaluate(model, *corpus.val),
            "gradients": gradients,
            "trained_buffers": sum(name in dict(model.named_parameters()) for name in buffers),
        }
    )


def linear(config: Config, corpus: Corpus, rngs: Generators, progress: Progress) -> Result:
    """Six linear layers, or the one that computes the same: its weights are the product of theirs."""
    classes, rng = len(corpus.vocabulary), rngs.init
    embedding = nn.Embedding(classes, 10, rng=rng)
    sizes = [30, *[100] * (DEPTH - 1), classes]
    layers = [nn.Linear(*pair, bias=False, rng=rng) for pair in pairwise(sizes)]
    product = nn.Linear(30, classes, bias=False, rng=rng)
    product.weight.data = np.linalg.multi_dot([layer.weight.numpy() for layer in layers])
    stack, single = (nn.Sequential(embedding, nn.Flatten(), *own) for own in (layers, [product]))
    with no_grad():
        one, other = (model(corpus.train.x[:1_000]).numpy() for model in (stack, single))
    losses = fit(stack if config.arm else single, *corpus.train, config.training, on_step=watch(progress, config.steps))
    step, loss = thinned(losses)
    return Result(
        summary={
            "train_loss": evaluate(stack if config.arm else single, *corpus.train),
            "val_loss": evaluate(stack if config.arm else single, *corpus.val),
            "difference": float(np.abs(one - other).max() / np.abs(other).max()),
        },
        series={"step": step, "loss": loss},
    )


def relu(config: Config, corpus: Corpus, rngs: Generators, progress: Progress) -> Result:
    """The part of the hidden ReLUs that are 0 for every one of 5,000 examples, by the size of a negative bias."""
    model = network(corpus, rngs, "kaiming")
    x = corpus.train.x[:5_000]
    with no_grad():
        before = model.hidden(model.C(x).reshape(len(x), -1)).numpy()
    sizes = np.arange(0.0, 5.5, 0.5)
    dead = [float((before - size * before.std() <= 0).all(axis=0).mean()) for size in sizes]
    return Result(summary={"dead": dead[-1]}, series={"bias": -sizes, "dead": dead})


def without_graph(config: Config, corpus: Corpus, rngs: Generators, progress: Progress) -> Result:
    """Processor time of a hundred forward passes, with and without a graph: the median of eleven turns."""
    model = network(corpus, rngs, "batchnorm")
    model.eval()
    seconds: dict[str, list[float]] = {name: [] for name in ARMS}
    for _ in range(11):
        for name, context in ARMS.items():
            with context():
                seconds[name].append(timed(model, corpus.train))
    return Result(summary={f"seconds_{name}": float(np.median(own)) for name, own in seconds.items()})


def timed(model: MLP, windows: Windows) -> float:
    start = time.process_time()
    for k in range(0, min(3_200, len(windows.y)), 32):
        cross_entropy(model(windows.x[k : k + 32]), windows.y[k : k + 32])
    return time.process_time() - start


def printed(config: Config, corpus: Corpus, rngs: Generators, progress: Progress) -> Result:
    """Whether document 5's class, executed as printed, gets as far as the statistics of a batch."""
    rows = rngs.sampling.normal(size=(32, 200))
    x = SimpleNamespace(  # a batch with PyTorch's names
        mean=lambda axis, keepdim: rows.mean(axis, keepdims=keepdim),
        var=lambda axis, keepdim: rows.var(axis, ddof=1, keepdims=keepdim),
    )
    names: dict[str, Any] = {"torch": SimpleNamespace(ones=np.ones, zeros=np.zeros)}
    exec(PRINTED, names)
    try:
        names["BatchNorm1d"](200)(x)
    except AttributeError as error:
        return Result({"printed_runs": 0, "missing": error.name})
    return Result({"printed_runs": 1})


# -- what it shows -----------------------------------------------------------------------------------------------------


def measure(records: Records) -> dict[str, np.ndarray]:
    found = {}
    for study in ("affine", "bias", "linear"):
        for arm, name in ((True, "with"), (False, "without")):
            for quantity in ("train_loss", "val_loss"):
                found[f"{study}/{quantity}/{name}"] = records.values(quantity, study=study, arm=arm)
    found |= records.where(study="affine", arm=True).numbers("gradients", "trained_buffers")
    found |= records.where(study="linear", arm=True).numbers("difference")
    stack, single = (found[f"linear/train_loss/{name}"] for name in ("with", "without"))
    found["apart"] = np.abs(stack - single) if len(stack) == len(single) else stack[:0]
    found |= records.where(study="relu").numbers("dead") | records.where(study="printed").numbers("printed_runs")
    for name in ARMS:
        found[f"seconds/{name}"] = records.values(f"seconds_{name}", study="time")
    return found


def tables(records: Records) -> Iterator[Table]:
    arms = {"affine": ("none", "γ and β"), "bias": ("zeros", "random × 0.01"), "linear": ("one", f"{DEPTH} layers")}
    groups = records.where(study=lambda study: study in arms).by("study", "arm")
    named = {(study, arms[study][arm]): own for (study, arm), own in groups.items()}
    columns = [Column("training", "train_loss", 4), Column("validation", "val_loss", 4)]
    yield table("With and without", ("study", "arm"), named, columns, "{steps:,} steps.")


# -- pictures ----------------------------------------------------------------------------------------------------------


@where(study="linear")
def linear_picture(records: Records) -> style.Figure:
    """Both networks compute the same function at the start, and both can only become linear ones. What a step of
    gradient descent does to that function depends on how many matrices it is written with.
    """
    figure, axes = style.figure(height=3.6)
    names, hues = {True: f"{DEPTH} linear layers", False: "their product"}, {True: "blue", False: "orange"}
    ends = curves(axes, records.by("arm"), "step", "loss", names, hues)
    style.over_steps(axes, records[0].config.steps)
    style.title(axes, "Training loss, minibatches")
    style.label_ends(axes, ends)
    return figure


@where(study="relu")
def relu_picture(records: Records) -> style.Figure:
    """Before training, so nothing but the bias is to blame. A dead unit gets no gradient."""
    figure, axes = style.figure(height=3.4)
    axes.plot(-records[0].series["bias"], mean_curve(records, "dead"), "o-", color=style.colour("blue"))
    title, below = "Part of the ReLUs that are 0 for all of 5,000 examples", "negative bias, in standard deviations"
    style.frame(axes, title, f"{below} of the input", ylim=(-0.03, 1.03))
    return figure


plot = pictures(linear=linear_picture, relu=relu_picture)

NEXT = [
    "Deeper linear stacks at a smaller rate: `--set study=linear --set lr=0.03`.",
    "Is the harm of leaving out γ and β undone by longer training? `--set study=affine --set steps=200000`.",
]
