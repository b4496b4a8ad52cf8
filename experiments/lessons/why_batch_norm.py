"""Why batch normalisation helps: not for the reason it was made for.

It was introduced against "internal covariate shift": inputs of a layer that move while the layer learns. Santurkar et
al. 2018 (arXiv:1805.11604) tested that by giving a normalised network its shift back, as noise, and looked at the
smoothness of the loss instead. Yang et al. 2019 (arXiv:1902.08129) found what it costs: gradients that explode with
depth. This lesson repeats the three measurements on the lecture's deep network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

import npgrad
from experiments import style
from experiments.claims.why_batch_norm import CLAIMS as CLAIMS
from experiments.corpus import load
from experiments.experiment import Result, Table
from experiments.pictures import curves, pictures, where
from experiments.records import Records, measured, paired
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, across, table
from experiments.training import training
from models.deep_mlp import DeepMLP
from models.training import TrainConfig, evaluate, fit, generators
from npgrad import Tensor, data, nn
from npgrad.data import Corpus, Indices, Windows
from npgrad.diagnose.undisturbed import undisturbed
from npgrad.functions import cross_entropy

ORDER = 8

QUESTION = (
    "Does batch normalisation help because each layer's inputs keep still while it learns, or because it makes the "
    "loss smoother? And does it keep gradients alive in networks of any depth?"
)
EXPECTATION = (
    "If still inputs were the reason, a normalised network whose layers get a new random shift and stretch at every "
    "step should train no better than one without normalisation. If smoothness is, the gradient after a step should "
    "resemble the one before it more closely than without."
)

# -- configuration -----------------------------------------------------------------------------------------------------

ARMS = {"none": "no normalisation", "batch": "batch norm", "noisy": "batch norm + shift"}
STRIDES = (0.5, 1.0, 2.0, 4.0)
"""How far along the gradient the loss is looked at, in steps of the training (Santurkar et al., figure 4)."""


@dataclass(frozen=True)
class Config:
    study: str = "shift"
    """"shift": train and probe; "depth": only look at gradients before the first step."""
    norm: str = "batch"
    lr: float = 0.1
    activation: str = "tanh"
    gain: float | None = None
    """Of the first weights; none: what the activation asks for."""
    depth: int = 50
    """Of the study of depth, in hidden layers."""
    shift: float = 0.5
    """The noisy arm: each unit is shifted by up to this and stretched by up to half of it, anew at every step."""
    steps: int = 700
    probes: int = 20
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        numbers = {1: ("steps", "probes", "depth"), 0: ("shift",)}
        check(self, one_of={"study": ("shift", "depth"), "norm": ARMS}, at_least=numbers)

    @property
    def training(self) -> TrainConfig:
        return training(self, lr_decay=1.0)


SWEEP = [
    {"study": ("shift",), "norm": tuple(ARMS), "lr": (0.1, 0.3, 1.0)},
    {"study": ("depth",), "norm": ("none", "batch"), "activation": ("tanh", "relu", "linear")},
    {"study": ("depth",), "norm": ("none", "batch"), "activation": ("relu",), "gain": (3.0,)},
]
QUICK = {"steps": 100, "probes": 4, "lr": (0.1, 1.0)}
FULL = {"steps": 20_000, "probes": 60}


def cost(config: Config) -> float:
    return config.steps + 40 * config.probes if config.study == "shift" else 500


# -- one run -----------------------------------------------------------------------------------------------------------


class RandomShift(npgrad.Function):
    """y = s·x + m with one random m and s for each unit. A Function draws anew in each run of a compiled step."""

    def forward(self, x: np.ndarray, *, amount: float, rng: np.random.Generator) -> np.ndarray:
        width = x.shape[1]
        m = rng.uniform(-amount, amount, width).astype(x.dtype)
        self.s = rng.uniform(1 - amount / 2, 1 + amount / 2, width).astype(x.dtype)
        return x * self.s + m

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy * self.s


class Shift(nn.Module):
    """Covariate shift on purpose, in training."""

    def __init__(self, amount: float, rng: np.random.Generator) -> None:
        self.amount, self.rng = amount, rng

    def forward(self, x: Tensor) -> Tensor:
        return RandomShift.apply(x, amount=self.amount, rng=self.rng) if self.training else x


def build(config: Config, vocab_size: int, rng: np.random.Generator, noise: np.random.Generator, **options: Any) -> Any:
    norm = "batch" if config.norm == "noisy" else config.norm
    model: Any = DeepMLP(
        vocab_size=vocab_size,
        context=3,
        rng=rng,
        norm=norm,
        activation=config.activation,
        gain=config.gain,
        **options,
    )
    if config.norm == "noisy":
        layers = list(model.layers)
        for k, layer in enumerate(layers[:-1]):  # not the last: the loss itself is not shifted
            if isinstance(layer, nn.BatchNorm1d):
                layers[k] = nn.Sequential(layer, Shift(config.shift, noise))
        model.layers = nn.Sequential(*layers)
    return model


def run(config: Config, progress: Progress) -> Result:
    corpus = load(config.data)
    with np.errstate(all="ignore"):  # divergence is one of the things to see
        return {"shift": shifting, "depth": deep}[config.study](config, corpus, progress)


def deep(config: Config, corpus: Corpus, progress: Progress) -> Result:
    """Gradients at every linear layer of an untrained deep network, and what goes into every nonlinearity."""
    rng = np.random.default_rng(config.seed)
    model = build(config, len(corpus.vocabulary), rng, rng, depth=config.depth + 1, dtype=np.float64)
    squares: list[float] = []
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)][:-1]
    forward: list[float] = []
    for layer in layers:
        layer.register_backward_hook(lambda m, dy: squares.append(float((dy**2).mean())))
    kind: type[nn.Module] = nn.BatchNorm1d if config.norm == "batch" else nn.Linear
    for last in [module for module in model.modules() if isinstance(module, kind)][:-1]:
        last.register_forward_hook(lambda m, inputs, out: forward.append(float(out.data.std())))
    x, y = corpus.train.x[:512], corpus.train.y[:512]
    cross_entropy(model(x), y).backward()
    square = np.array(squares[::-1])
    middle = slice(len(square) // 5, len(square) - len(square) // 10)  # the ends differ in width
    slope = np.polyfit(np.arange(len(square))[middle], np.log(square[middle]), 1)[0] if len(square) > 9 else math.nan
    progress(1, 1)
    return Result(
        summary={
            "growth": float(np.exp(-slope)),
            "ratio": float(np.sqrt(square[0] / square[-1])),
            "forward": forward[-1] / forward[0],
        },
        series={"layer": np.arange(len(square)) + 1, "gradient": np.sqrt(square / square[-1]), "forward": forward},
    )


def shifting(config: Config, corpus: Corpus, progress: Progress) -> Result:
    rngs = generators(config.seed)
    model = build(config, len(corpus.vocabulary), rngs.init, rngs.sampling)
    probe = data.Windows(corpus.train.x[:512], corpus.train.y[:512])
    every = max(1, config.steps // config.probes)
    rows: list[dict[str, float]] = []
    waiting: list[np.ndarray] = []
    first = moments(model, probe.x)
    start = spread_of(first)

    def watch(step: int, loss: float) -> bool:
        progress(step, config.steps)
        if waiting:  # the step after a probe: how far did it move the inputs of the layers?
            moved = moments(model, probe.x) - waiting.pop()
            rows[-1]["shift"] = float(np.sqrt((moved**2).sum(axis=0).mean()))
        if step % every == 0:
            now = moments(model, probe.x)
            rows.append(
                {"step": step + 1, "shift": math.nan, "drift": drift(now, first), **along(model, probe, config)}
            )
            waiting.append(now)
        return not np.isfinite(loss)

    losses = fit(model, *corpus.train, config.training, on_step=watch)
    now = moments(model, probe.x)
    series: dict[str, Any] = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    thinned = [losses[k : k + every].mean() for k in range(0, len(losses), every)]
    series["loss"] = np.append(thinned, np.full(len(rows), math.nan))[: len(rows)]
    later = {name: float(np.nanmean(column[len(column) // 5 :])) for name, column in series.items() if name != "step"}
    return Result(
        summary={
            "loss": evaluate(model, corpus.train.x[:4_000], corpus.train.y[:4_000]),
            "shift": later["shift"],
            "drift": drift(now, first),
            "gradient_shift": later["gradient_shift"],
            "variation": later["variation"],
            "roughness": later["roughness"],
            "stretched": spread_of(now) / start,
        },
        series=series,
    )


def moments(model: Any, x: Indices) -> np.ndarray:
    """Mean and standard deviation of every hidden unit over these examples, as the next layer gets them: (2, units)."""
    seen: list[np.ndarray] = []
    remove = [
        module.register_forward_hook(lambda m, inputs, out: seen.append(out.data.copy()))
        for module in model.modules()
        if isinstance(module, nn.Tanh)
    ]
    with undisturbed(model, training=True), npgrad.no_grad():
        model(x)
    for one in remove:
        one()
    return np.concatenate([np.stack([h.mean(axis=0), h.std(axis=0)]) for h in seen], axis=1)


def drift(now: np.ndarray, then: np.ndarray) -> float:
    return float(np.sqrt(((now - then) ** 2).sum(axis=0).mean()))


def spread_of(found: np.ndarray) -> float:
    """Root mean square of the activations."""
    return float(np.sqrt((found**2).sum(axis=0).mean()))


def along(model: Any, probe: Windows, config: Config) -> dict[str, float]:
    """The loss and the gradient along the gradient, and the shift of each layer's gradient by the layers before it.

    variation         largest minus smallest loss within the strides
    roughness         largest change of the gradient, by the length of the stride: the effective smoothness constant β
    gradient_shift    ‖G' − G‖/‖G‖, mean over layers, where G' is a layer's gradient after a step of all layers before
                      it: internal covariate shift as Santurkar et al. define it (definition 2.1)
    """
    parameters = model.parameters()
    kept = [(p, p.data.copy(), p.grad) for p in parameters]
    buffers = [(array, array.copy()) for array in model.buffers()]
    noise = [module.rng.bit_generator.state for module in model.modules() if isinstance(module, Shift)]

    def gradient() -> tuple[float, list[np.ndarray]]:
        for p in parameters:
            p.grad = None
        for module in model.modules():
            if isinstance(module, Shift):  # one loss, not a new one at every look
                module.rng.bit_generator.state = noise[0]
        loss = cross_entropy(model(probe.x), probe.y)
        loss.backward()
        return loss.item(), [p.grad.copy() for p in parameters]

    def move(stride: float, count: int | None = None) -> None:
        for p, (_, value, _), g in list(zip(parameters, kept, here, strict=True))[:count]:
            p.data = value - stride * config.lr * g

    loss, here = gradient()
    length = math.sqrt(sum(float((g**2).sum()) for g in here))
    losses, rough = [loss], []
    for stride in STRIDES:
        move(stride)
        there, gradients = gradient()
        losses.append(there)
        change = math.sqrt(sum(float(((a - b) ** 2).sum()) for a, b in zip(gradients, here, strict=True)))
        rough.append(change / (stride * config.lr * length))
    weights = [k for k, p in enumerate(parameters) if p.data.ndim == 2][2:]  # those with hidden layers before them
    shifts = []
    for k in weights:
        move(0.0)
        move(1.0, k)
        _, gradients = gradient()
        shifts.append(float(np.linalg.norm(gradients[k] - here[k]) / np.linalg.norm(here[k])))
    for p, value, g in kept:
        p.data, p.grad = value, g
    for array, value in buffers:
        array[...] = value
    return {
        "variation": max(losses) - min(losses),
        "roughness": max(rough),
        "gradient_shift": float(np.mean(shifts)),
        "length": length,
    }


# -- what it shows -----------------------------------------------------------------------------------------------------

YANG = math.pi / (math.pi - 1)
"""By how much batch norm multiplies the mean square of the gradient in each layer of a wide ReLU network."""


def measure(records: Records) -> dict[str, np.ndarray]:
    shift = records.where(study="shift")
    found = measured(shift.named(lambda config: f"{config.norm}/{config.lr:g}"))
    for rate, own in shift.by("lr").items():
        none, batch, noisy = (own.values("loss", norm=norm) for norm in ARMS)
        if paired([none, batch, noisy]):
            found[f"advantage lost/{rate:g}"] = (noisy - batch) / (none - batch)
    return found | measured(records.where(study="depth").named(name_of))


def name_of(config: SimpleNamespace) -> str:
    return f"{config.activation}/{config.norm}" + (f"/gain {config.gain:g}" if config.gain else "")


def tables(records: Records) -> Iterator[Table]:
    columns = [Column("loss", "loss"), Column("shift a step", "shift"), Column("gradient shift", "gradient_shift")]
    columns += [Column("variation", "variation"), Column("roughness", "roughness")]
    note = (
        "Loss: at the end, over training examples. The rest: means over the run without its first fifth. Shift: change "
        "of mean and std of each hidden unit in one step. Gradient shift: relative change of a layer's gradient by a "
        "step of the layers before it. Variation: range of the loss from 0 to 4 steps along the gradient. Roughness: "
        "change of the gradient there by the length of the stride."
    )
    trained = records.where(study="shift").by("lr", "norm")
    yield table("Shift, smoothness and loss", ("rate", ""), trained, columns, note, ARMS)

    columns = [Column("{depth} layers, none", "{ratio:,.3g}", norm="none")]
    columns += [Column("batch norm", "{ratio:,.3g}", norm="batch")]
    columns += across("growth", norm={"none": "a layer, none", "batch": "batch norm"})
    columns += [Column("theory", lambda own: f"{YANG:.3f}", activation="relu")]
    note = (
        "Before training: gradient at layer 1 over that at layer {depth} (root mean squares), and by what the mean "
        "square grows in each layer towards the input. Theory: π/(π − 1), Yang et al. 2019, for wide ReLU networks "
        "with batch norm. Batches of 512, width 100."
    )
    deep = records.where(study="depth", gain=None).by("activation")
    yield table("Gradients through many layers", "", deep, columns, note)


# -- pictures ----------------------------------------------------------------------------------------------------------

HUES = {"none": "none", "batch": "batch", "noisy": "purple"}


@where(lambda own: own.where(lr=max(own.by("lr"))), study="shift")
def shift_picture(records: Records) -> style.Figure:
    """Learning rate {lr:g}. Left: how far one step moves mean and spread of the hidden units. Right: the loss of
    the minibatches. The network whose units are shifted and stretched at random in every step (purple, dashed) has by
    far the least quiet inputs and trains like its quiet twin; the one without normalisation diverges.
    """
    figure, (left, right) = style.figure(1, 2, height=3.8)
    groups = records.by("norm")
    curves(left, groups, "step", "shift", hues=HUES)
    for norm, own in groups.items():
        curves(right, {norm: own}, "step", "loss", hues=HUES, linestyle="--" if norm == "noisy" else "-")
    style.frame(left, "Shift in one step", "step", ylog=(1e-3, 1e-2, 1e-1, 1), ylim=(1e-3, 1))
    style.frame(right, "Loss", "step", ylog=(2, 3, 5, 10), ylim=(2, 16))
    for axes in (left, right):
        axes.locator_params(axis="x", nbins=4)
    for x, y, norm in ((0.08, 0.84, "noisy"), (0.4, 0.39, "none"), (0.08, 0.12, "batch")):
        style.label(left, x, y, ARMS[norm], style.colour(HUES[norm]))
    style.label(right, 0.96, 0.82, ARMS["none"], style.colour(HUES["none"]), ha="right")
    style.label(right, 0.96, 0.3, "both with batch norm", style.ink(), ha="right")
    return figure


@where(lambda own: own.where(lr=min(own.by("lr"))), study="shift")
def smoothness_picture(records: Records) -> style.Figure:
    """The largest change of the gradient within four steps along it, divided by their length (an estimate of the
    smoothness constant β), at rate {lr:g}, where all three train. With normalisation the gradient a step was computed
    from still holds at its end; the added shift does not take that away.
    """
    figure, axes = style.figure(height=3.5)
    ends = curves(axes, records.by("norm"), "step", "roughness", ARMS, HUES)
    style.frame(axes, "Change of the gradient along a step", "step", ylim=(0, None))
    style.label_ends(axes, ends)
    return figure


PLACES = {
    ("none", "tanh"): (0.42, 0.48), ("none", "relu"): (0.25, 0.26), ("none", "linear"): (0.25, 0.08),
    ("batch", "tanh"): (0.08, 0.48), ("batch", "relu"): (0.42, 0.7), ("batch", "linear"): (0.25, 0.14),
}  # fmt: skip


@where(study="depth", gain=None)
def depth_picture(records: Records) -> style.Figure:
    """Gradient at each layer of an untrained network of {depth} layers, relative to its last hidden layer: it travels
    from right to left. Kaiming's rule conserves it for ReLU and linear layers, and lets it grow for tanh. Batch norm
    makes it grow for every nonlinearity: activations are safe, gradients are not.
    """
    figure, both = style.figure(1, 2, height=3.6, sharey=True)
    for axes, norm, title in zip(both, ("none", "batch"), ("Kaiming alone", "With batch norm"), strict=True):
        groups = records.where(norm=norm).by("activation")
        curves(axes, groups, "layer", "gradient", geometric=True)
        for activation in groups:
            name, hue = activation.replace("relu", "ReLU"), style.colour(activation)
            style.label(axes, *PLACES[norm, activation], name, hue)
        marks = {1: "× 1", 100: "× 100", 10_000: "× 10,000"}
        style.frame(axes, title, "layer", ylog=marks, ylim=(0.1, 2e4))
    return figure


plot = pictures(shift=shift_picture, smoothness=smoothness_picture, depth=depth_picture)

NEXT = [
    "A shift so large that it does hurt: `--set study=shift --set norm=batch,noisy --set shift=2`.",
    "The rate at which the plain network is best: `--set study=shift --set lr=0.1,0.3`.",
    "Gradients through 10 or 200 layers: `--set study=depth --set depth=200`.",
]
