"""Batch normalisation: what it makes unimportant, and what it costs.

Seven statements the documents make about it, each with an experiment small enough to repeat: the scale of the first
weights, the learning rate, the running statistics, the noise of the company an example finds itself in, overfitting,
the bias that has nothing left to do, and a single example.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

import npgrad
from experiments import style
from experiments.batch_statistics import calibrate, compared, jitter, outputs, truth
from experiments.claims.batch_norm import CLAIMS as CLAIMS
from experiments.corpus import load
from experiments.curves import steps_until
from experiments.experiment import Result, Table
from experiments.pictures import curves, pictures, trend, where
from experiments.records import Records, by_setting, measured
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, across, fraction, table
from experiments.training import training, watch
from experiments.verdict import chosen_elsewhere
from models.deep_mlp import DeepMLP
from models.mlp import MLP
from models.training import Generators, TrainConfig, evaluate, fit, generators
from npgrad import data, nn, no_grad, optim
from npgrad.data import Corpus, Indices
from npgrad.diagnose.undisturbed import undisturbed
from npgrad.functions import cross_entropy

ORDER = 7

QUESTION = (
    "Normalising every unit over the batch is said to make a network forgive bad first weights and high learning "
    "rates, and to hold back overfitting. How much of each, and what does it cost to depend on the batch?"
)
EXPECTATION = (
    "Scaling the weights in front of a normalisation changes nothing that comes out of it, so the loss should hardly "
    "depend on the gain. The running statistics should end up near the true ones, with more noise the larger their "
    "momentum and the smaller the batch. The noise is said to be what keeps the network from overfitting: taking "
    "the noise away and keeping the normalisation should then bring the overfitting back."
)

# -- configuration -----------------------------------------------------------------------------------------------------

STUDIES = ("facts", "scale", "rate", "statistics", "overfitting")
NORMS = {"none": "no normalisation", "batch": "batch norm"}
GAINS = (0.2, 0.5, 1.0, 5 / 3, 2.0, 5.0)
RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
COMPANY = 224
"""Examples that take part in the statistics and in nothing else, in the quiet arm of the study of overfitting."""


@dataclass(frozen=True)
class Config:
    study: str = "scale"
    net: str = "deep"
    """"deep": six linear layers of 100; "shallow": the lecture's network with 200 hidden units."""
    norm: str = "batch"
    gain: float = 5 / 3
    fan_in: bool = True
    """Whether the first weights are divided by √fan_in."""
    lr: float = 0.1
    batch_size: int = 32
    momentum: float = 0.1
    company: int = 0
    steps: int = 450
    """Of the studies of scale and rate; the others take `long`."""
    long: int = 3_000
    names: int = 500
    """Names to overfit on."""
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        numbers = {1: ("steps", "long", "names"), 2: ("batch_size",), 0: ("company",)}
        check(self, one_of={"study": STUDIES, "net": ("deep", "shallow"), "norm": NORMS}, at_least=numbers)

    @property
    def training(self) -> TrainConfig:
        steps = self.steps if self.study in ("scale", "rate") else self.long
        return training(self, steps=steps, lr_decay=0.1 if self.study == "statistics" else 1.0)


SWEEP = [
    {"study": ("facts",), "net": ("shallow",)},
    {"study": ("scale",), "net": ("deep", "shallow"), "norm": tuple(NORMS), "gain": GAINS},
    {"study": ("rate",), "norm": tuple(NORMS), "lr": RATES},
    {"study": ("rate",), "norm": tuple(NORMS), "fan_in": (False,), "lr": (0.1, 1.0, 10.0)},
    {"study": ("statistics",), "net": ("shallow",), "momentum": (0.1, 0.001), "batch_size": (4, 32)},
    {"study": ("overfitting",), "net": ("shallow",), "norm": tuple(NORMS)},
    {"study": ("overfitting",), "net": ("shallow",), "company": (COMPANY,)},
    {"study": ("overfitting",), "net": ("shallow",), "norm": ("none",), "lr": (0.03,)},
]
QUICK = {"steps": 60, "long": 200, "gain": (0.2, 5 / 3, 2.0, 5.0), "lr": (0.1, 1.0)}
FULL = {"steps": 10_000, "long": 30_000}


def cost(config: Config) -> float:
    rows = 0.7 + (config.batch_size + config.company) / 100
    layers = 2.4 if config.net == "deep" else 1
    return config.training.steps * rows * layers


# -- one run -----------------------------------------------------------------------------------------------------------


def build(config: Config, vocab_size: int, rng: np.random.Generator) -> Any:
    sizes: dict[str, Any] = {"vocab_size": vocab_size, "context": 3, "rng": rng, "momentum": config.momentum}
    if config.net == "deep":
        return DeepMLP(norm=config.norm, gain=config.gain, fan_in=config.fan_in, **sizes)
    scale = config.gain / math.sqrt(30) if config.fan_in else config.gain
    stage = "batchnorm" if config.norm == "batch" else "kaiming"
    return MLP(stage=stage, hidden_scale=scale, **sizes)


def run(config: Config, progress: Progress) -> Result:
    corpus = load(config.data)
    rngs = generators(config.seed)
    model = build(config, len(corpus.vocabulary), rngs.init)
    study = {"facts": facts, "statistics": statistics, "overfitting": overfitting}.get(config.study, trained)
    with np.errstate(all="ignore"):  # divergence is one of the things to see
        return study(config, corpus, model, rngs, progress)


def trained(config: Config, corpus: Corpus, model: Any, rngs: Generators, progress: Progress) -> Result:
    """Studies of scale and rate: how layers look at the start, and the loss at the end."""
    probe = data.Windows(corpus.train.x[:4_000], corpus.train.y[:4_000])
    forward, backward = spreads(model, *(part[:1_000] for part in probe))

    losses = fit(model, *corpus.train, config.training, on_step=watch(progress, config.steps))
    return Result(
        summary={
            "loss": evaluate(model, *probe),
            "steps_to": steps_until(losses, 2.5, 50),
            "forward_ratio": max(forward) / min(forward),
            "backward_ratio": max(backward) / min(backward),
        },
        series={"layer": range(len(forward)), "forward": forward, "backward": backward},
    )


def spreads(model: Any, x: Indices, y: Indices) -> tuple[list[float], list[float]]:
    """Standard deviation of the output of each tanh, and of the gradient that arrives there."""
    forward: list[float] = []
    backward: list[float] = []
    layers = [module for module in model.modules() if isinstance(module, nn.Tanh)]
    removers = [m.register_forward_hook(lambda m, i, out: forward.append(float(out.data.std()))) for m in layers]
    removers += [m.register_backward_hook(lambda m, dy: backward.append(float(dy.std()))) for m in layers]
    with undisturbed(model, training=True):
        cross_entropy(model(x), y).backward()
    for remove in removers:
        remove()
    return forward, backward[::-1]


def statistics(config: Config, corpus: Corpus, model: Any, rngs: Generators, progress: Progress) -> Result:
    """Running statistics against the true ones while training."""
    x, held = corpus.train.x[::10], data.Windows(corpus.val.x[:6_000], corpus.val.y[:6_000])
    steps = config.training.steps
    marks = sorted({max(1, round(steps * f)) for f in (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)})
    window = min(400, steps)
    rows: list[tuple[float, ...]] = []
    path = []

    def watch(step: int, loss: float) -> None:
        progress(step, steps)
        if step >= steps - window:
            path.append(model.norm.running_mean[:8].copy())
        if step + 1 in marks:
            rows.append((step + 1, *compared(model, x, held)))

    fit(model, *corpus.train, config.training, on_step=watch)
    true_mean, true_sd = truth(model, x)
    columns: dict[str, Any] = dict(
        zip(("step", "running", "calibrated", "mean_error", "var_error"), zip(*rows, strict=True), strict=True)
    )
    last = rows[-1]
    return Result(
        summary={
            "running_loss": last[1],
            "calibrated_loss": last[2],
            "mean_error": last[3],
            "var_error": last[4],
            "expected": math.sqrt(config.momentum / (2 - config.momentum) / config.batch_size),
        },
        series=columns,
        arrays={"path": (np.array(path) - true_mean[:8]) / true_sd[:8]},
    )


def overfitting(config: Config, corpus: Corpus, model: Any, rngs: Generators, progress: Progress) -> Result:
    """Many steps on few names. With `company`, more examples enter the statistics than the loss."""
    few = data.windows(data.split(data.read_words(config.data))[0][: config.names], corpus.vocabulary, 3)
    held = data.Windows(corpus.val.x[:6_000], corpus.val.y[:6_000])
    steps, n = config.training.steps, config.batch_size
    optimizer = optim.SGD(model.parameters(), lr=config.lr)
    batches = data.Batches(*few, n + config.company, rngs.batches)

    @npgrad.compile
    def update(x: Indices, y: Indices) -> None:
        loss = cross_entropy(model(x)[:n], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    model.train()
    every = min(steps, max(50, steps // 20))
    rows = []
    for step in range(steps):
        x, y = next(batches)
        update(x, y[:n])
        if (step + 1) % every == 0:
            if config.norm == "batch":  # judged with true statistics, so that nothing but the training differs
                calibrate(model, few.x)
            rows.append((step + 1, evaluate(model, *few), evaluate(model, *held)))
            progress(step, steps)
    steps_seen, train, val = zip(*rows, strict=True)
    return Result(
        summary={"train_loss": train[-1], "val_loss": val[-1], "best_val_loss": min(val), "train": train, "val": val},
        series={"step": steps_seen, "train": train, "val": val},
    )


def facts(config: Config, corpus: Corpus, model: Any, rngs: Generators, progress: Progress) -> Result:
    """What holds by construction, measured: before training, and after."""
    rng = rngs.sampling
    x, y = corpus.train.x[:32], corpus.train.y[:32]
    found = at_start(model, corpus, x) | scaled(rng) | bias_in_front(model.vocab_size, config.seed, x, y)
    fit(model, *corpus.train, config.training, on_step=lambda step, loss: progress(step, config.long))

    normal = outputs(model, corpus.train.x[:8_000])
    found["trained_std"] = float(normal.std(axis=0).mean())
    found["trained_mean"] = float(np.abs(normal.mean(axis=0)).mean())
    found["gamma_change"] = float(np.abs(model.norm.weight.data - 1).mean())
    found["beta_change"] = float(np.abs(model.norm.bias.data).mean())
    sizes = (4, 8, 16, 32, 64, 128, 256)
    noise = [jitter(model, corpus, size, rng, times=max(2, min(60, config.long // 10))) for size in sizes]
    found["jitter"], found["probability_jitter"] = noise[sizes.index(32)]

    model.eval()
    with no_grad():
        together, alone = model(x).data, np.concatenate([model(one[None]).data for one in x])
    found["alone"] = float(np.abs(together - alone).max())
    model.train()
    try:
        model(x[:1])
        found["one_refused"] = 0.0
    except ValueError:
        found["one_refused"] = 1.0
    return Result(
        summary=found,
        series={"batch_size": sizes, "jitter": [a for a, _ in noise], "probability": [b for _, b in noise]},
    )


def at_start(model: Any, corpus: Corpus, x: Indices) -> dict[str, float]:
    normal = outputs(model, x).astype(float)
    constant = np.full((32, 200), 3.0, np.float32)
    flat = nn.BatchNorm1d(200)(npgrad.Tensor(constant)).data
    return {
        "start_std": float(normal.std(axis=0, ddof=1).mean()),
        "start_mean": float(np.abs(normal.mean(axis=0)).max()),
        "constant_input": float(np.abs(flat).max()) if np.isfinite(flat).all() else math.inf,
    }


def scaled(rng: np.random.Generator, c: float = 10.0) -> dict[str, float]:
    """By which factor output, gradient to the input and gradient of the weights change if the weights are c times."""
    x, dy, W = rng.normal(size=(32, 100)), rng.normal(size=(32, 100)), rng.normal(size=(100, 100)) / 10
    found = {}
    for name in ("linear", "linear_norm"):
        sizes = []
        for factor in (1.0, c):
            inputs, weight = npgrad.Tensor(x, requires_grad=True), npgrad.Tensor(W * factor, requires_grad=True)
            out = inputs @ weight
            if name == "linear_norm":
                out = nn.BatchNorm1d(100, dtype=np.float64)(out)
            out.backward(dy)
            assert inputs.grad is not None and weight.grad is not None
            sizes.append([np.abs(a).mean() for a in (out.data, inputs.grad, weight.grad)])
        for what, before, after in zip(("out", "dx", "dW"), *sizes, strict=True):
            found[f"{name}_{what}"] = float(after / before)
    return found


def bias_in_front(vocab_size: int, seed: int, x: Indices, y: Indices) -> dict[str, float]:
    """The deep network's first normalisation with a bias put in front of it: its gradient, and what it changes."""
    losses = []
    for shift in (0.0, 5.0):
        model = DeepMLP(vocab_size=vocab_size, context=3, rng=np.random.default_rng(seed))
        first = next(module for module in model.modules() if isinstance(module, nn.Linear))
        bias = first.bias = nn.Parameter(np.full(100, shift, np.float32))
        loss = cross_entropy(model(x), y)
        loss.backward()
        assert bias.grad is not None and first.weight.grad is not None
        losses.append(loss.item())
        relative = float(np.abs(bias.grad).max() / np.abs(first.weight.grad).max())
    return {"bias_gradient": relative, "bias_effect": abs(losses[1] - losses[0])}


# -- what it shows -----------------------------------------------------------------------------------------------------

ARMS = {
    "no normalisation": {"norm": "none", "lr": 0.1},
    "batch norm": {"norm": "batch", "company": 0},
    "batch norm, quiet": {"norm": "batch", "company": COMPANY},
    "rate 0.03 instead": {"norm": "none", "lr": 0.03},
}
"""Of the study of overfitting; the rate is 0.1 if nothing else is said."""
HUES = dict(zip(ARMS, ("none", "batch", "sky", "purple"), strict=True))


def measure(records: Records) -> dict[str, np.ndarray]:
    found = records.where(study="facts").numbers()
    for net, norm in product(("deep", "shallow"), NORMS):
        own = records.where(study="scale", net=net, norm=norm)
        losses = by_setting(own, "gain", "loss")
        if losses:
            found[f"loss_range/{net}/{norm}"] = np.ptp(np.array(list(losses.values())), axis=0)
            found |= {f"loss/{net}/{norm}/gain {fraction(gain)}": values for gain, values in losses.items()}
            for way in ("forward", "backward"):
                worst = np.array(list(by_setting(own, "gain", f"{way}_ratio").values()))
                found[f"{way}_ratio/{net}/{norm}"] = worst.max(axis=0)
    for norm in NORMS:
        own = records.where(study="rate", norm=norm, fan_in=True)
        losses, steps = by_setting(own, "lr", "loss"), by_setting(own, "lr", "steps_to")
        if losses:
            rates = np.array(list(losses))
            every = np.nan_to_num(np.array(list(losses.values())), nan=np.inf)  # (rates, seeds)
            usable = (every < every.min(axis=0) + 0.1).T
            found[f"highest_rate/{norm}"] = np.array([rates[ok].max() for ok in usable])
            found[f"decades/{norm}"] = np.array([np.log10(rates[ok].max() / rates[ok].min()) for ok in usable])
            found[f"best_loss/{norm}"] = chosen_elsewhere(losses)[0]
            found[f"steps_to/{norm}"] = chosen_elsewhere(steps)[0]
        wild = by_setting(records.where(study="rate", norm=norm, fan_in=False), "lr", "loss")
        if wild:
            found[f"no_fan_in/{norm}"], found[f"no_fan_in_rate/{norm}"] = chosen_elsewhere(wild)
    statistics = records.where(study="statistics").named(lambda config: f"{config.momentum:g}/{config.batch_size}")
    return found | measured(statistics, "mean_error", "running_loss", "calibrated_loss") | overfitted(records)


def arms(records: Records) -> dict[str, Records]:
    own = records.where(study="overfitting")
    picked = {label: own.where(**settings) for label, settings in ARMS.items()}
    return {label: found for label, found in picked.items() if found}


def overfitted(records: Records) -> dict[str, np.ndarray]:
    """Validation loss of each arm at equal training loss.

    Compared over the last stretch that all arms pass through: training losses up to 0.2 above what the slowest ends at.
    """
    groups = arms(records)
    if len(groups) < 2 or len({len(own) for own in groups.values()}) > 1:
        return {}
    found: dict[str, np.ndarray] = {}
    for k in range(min(map(len, groups.values()))):
        level = max(own[k].summary["train_loss"] for own in groups.values())
        for label, own in groups.items():
            train, val = (np.array(own[k].summary[part]) for part in ("train", "val"))
            order = np.argsort(train)
            there = np.interp(np.linspace(level, level + 0.2, 21), train[order], val[order]).mean()
            found[f"overfit/{label}"] = np.append(found.get(f"overfit/{label}", []), there)
    values = [found[f"overfit/{label}"] for label in ARMS if label in groups]
    if len(values) == len(ARMS):
        without, noisy, quiet, slow = values
        found["quiet_share"] = (without - quiet) / (without - noisy)
        found["slow_share"] = (without - slow) / (without - noisy)
    return found


def tables(records: Records) -> Iterator[Table]:
    norms = {"none": "no norm", "batch": "batch norm"}
    scale = records.where(study="scale").by("gain")
    columns = across("loss", net={"deep": "deep", "shallow": "shallow"}, norm=norms)
    yield table("The first weights", "gain", scale, columns, "Training loss after {steps:,} steps at rate {lr:g}.")

    columns = across("forward_ratio", 2, "forward", net={"deep": ""}, norm=norms)
    columns += across("backward_ratio", 2, "backward", net={"deep": ""}, norm=norms)
    note = (
        "Largest over smallest standard deviation among the five tanh layers, before the first step: of activations "
        "(forward) and of gradients (backward)."
    )
    yield table("How alike the layers begin", "gain", scale, columns, note)

    rate = dict(sorted(records.where(study="rate").by("lr").items()))
    columns = across("loss", fan_in={True: "", False: "no fan-in"}, norm=norms)
    note = "Deep network, gain 5/3, training loss after {steps:,} steps."
    yield table("The learning rate", "rate", rate, columns, note)

    statistics = records.where(study="statistics").by("momentum", "batch_size")
    columns = [Column("mean: distance", "mean_error", 4), Column("swing, theory", "expected", 4)]
    columns += [Column("loss, running", "running_loss", 4), Column("loss, true", "calibrated_loss", 4)]
    note = (
        "Distance of the running means from those of the training set, in standard deviations of the unit, and "
        "what batches of independent examples lead one to expect: √(m/(2 − m)/batch). The rest of the distance is "
        "delay: the weights move on, and a small momentum follows slowly."
    )
    yield table("Running and true statistics", ("momentum", "batch"), statistics, columns, note)

    facts = records.where(study="facts")
    whats = {"out": "output", "dx": "gradient to the input", "dW": "gradient of the weights"}
    layers = {"linear": "Linear", "linear_norm": "Linear, then batch norm"}
    rows = [[text, *(facts.fill(f"× {{{name}_{what}:.3g}}") for what in whats)] for name, text in layers.items()]
    note = (
        "Behind a normalisation the scale of the weights is invisible forward and backward, and the larger the "
        "weights, the smaller their gradient: too large weights learn slowly, which acts like a lower learning rate."
    )
    yield Table("What the scale of the weights changes", ["weights × 10", *whats.values()], rows if facts else [], note)

    noise = zip(*facts[0].series.values(), strict=True) if facts else ()
    rows = [[f"{n:.0f}", f"{moved:.3f}", f"{math.sqrt(1.5 / n):.3f}", f"{p:.3f}"] for n, moved, p in noise]
    heads = ["batch", "normalised unit", "theory", "probability of the right character"]
    note = (
        "Standard deviation over batches of what one example gets, after training. Theory: √(1.5/batch), for units "
        "that are Gaussian: 1/batch from the mean, half as much from the variance."
    )
    yield Table("How much an example jitters with its batch", heads, rows, note)

    equal = overfitted(records)
    columns = [Column("train", "train_loss"), Column("validation", "val_loss")]
    columns += [Column("at equal train", lambda own: equal.get(f"overfit/{arm_of(own)}", ()))]
    columns += [Column("best validation", "best_val_loss")]
    note = (
        "{names} names, {long:,} steps. Third column: validation loss when training loss was that of the slowest "
        f"(mean of its last stretch). Quiet: {COMPANY} more examples enter the statistics, but not the loss."
    )
    yield table("Overfitting on few names", "", arms(records), columns, note)


def arm_of(own: Records) -> str:
    return next(arm for arm, settings in ARMS.items() if own.where(**settings))


# -- pictures ----------------------------------------------------------------------------------------------------------


@where(study="scale")
def scale_picture(records: Records) -> style.Figure:
    """Training loss after {steps:,} steps, by the gain of the first weights. Six layers without normalisation need the
    right one. With batch norm the wrong ones cost less, large ones more than small ones: they make the steps relatively
    smaller. Two layers forgive either way.
    """
    figure, both = style.figure(1, 2, height=3.4, sharey=True)
    for axes, net, title in zip(both, ("deep", "shallow"), ("Six layers: loss", "Two layers: loss"), strict=True):
        style.frame(axes, title, "gain of the first weights", xlog=(0.2, 0.5, 1, 2, 5))
        for norm in NORMS:
            trend(axes, records.where(net=net, norm=norm), "gain", "loss", style.colour(norm), 3.0)
    style.reach_alike(both, 2.3, 3.0)
    style.label(both[0], 0.16, 0.78, "no normalisation", style.colour("none"))
    style.label(both[0], 0.97, 0.55, "batch norm", style.colour("batch"), ha="right")
    return figure


@where(study="rate", fan_in=True)
def rate_picture(records: Records) -> style.Figure:
    """Training loss after {steps:,} steps; ▲ far above the picture. Batch norm moves the useful rates up and stretches
    their range; the loss at the best of them is no better.
    """
    figure, axes = style.figure(height=3.5)
    style.frame(axes, "Six layers: loss by learning rate", "learning rate, logarithmic", xlog=sorted(records.by("lr")))
    for norm in NORMS:
        trend(axes, records.where(norm=norm), "lr", "loss", style.colour(norm), 3.0)
    style.reach(axes, 2.3, 3.0, capped=True)
    style.label(axes, 0.42, 0.75, "no normalisation", style.colour("none"), ha="right")
    style.label(axes, 0.8, 0.3, "batch norm", style.colour("batch"), ha="right")
    return figure


@where(study="statistics")
def running_picture(records: Records) -> style.Figure:
    """Left: the running mean of one unit in the last steps, as its distance from the mean over the training set
    (dashed). Right: by how much the validation loss with running statistics is above that with true ones. Momentum 0.1
    (orange) swings and costs next to nothing; 0.001 (blue) is smooth, but for its first thousands of steps it still
    remembers the zeros it began with. Batches of 32.
    """
    figure, (left, right) = style.figure(1, 2, height=3.4)
    last = 1.0
    for momentum, hue, width in ((0.1, "orange", 1.4), (0.001, "blue", 2.8)):
        for record in records.where(momentum=momentum, batch_size=32)[:1]:
            path, series, hue = record.arrays["path"][:, 0], record.series, style.colour(hue)
            left.plot(np.arange(len(path)) - len(path), path, color=hue, linewidth=width)
            right.plot(series["step"], series["running"] - series["calibrated"], "o-", color=hue, markersize=5)
            last = max(last, series["step"][-1])
    style.frame(left, "A running mean, in sd", "steps before the end", ylim=(-0.16, 0.16))
    style.guide(left, 0.0)
    style.over_steps(right, last, first=10)
    style.title(right, "Loss it adds")
    style.label(left, 0.05, 0.92, "momentum 0.1", style.colour("orange"))
    style.label(right, 0.97, 0.5, "momentum\n0.001", style.colour("blue"), ha="right")
    return figure


@where(study="overfitting")
def overfitting_picture(records: Records) -> style.Figure:
    """{names} names learned by heart in {long:,} steps: each point is later than the one before, and the lower a curve,
    the less is paid for the same training loss. Quiet: the same batches of 32, normalised with the statistics of 256
    examples. The last one has no normalisation and a smaller rate.
    """
    figure, axes = style.figure(height=3.7)
    title = records.fill("{names} names: validation loss")
    style.frame(axes, title, "training loss (falls from left to right)", xinverted=True)
    style.label_ends(axes, curves(axes, arms(records), "train", "val", hues=HUES, marker="o", markersize=4))
    return figure


plot = pictures(scale=scale_picture, rate=rate_picture, running=running_picture, overfitting=overfitting_picture)

NEXT = [
    "Deeper into the noise: batches of 8 instead of 32: `--set study=overfitting --set batch_size=8`.",
    "Weights a hundred times too large, with and without: `--set study=scale --set gain=0.01,100`.",
    "The statistics of a batch of two: `--set study=statistics --set batch_size=2,32`.",
]
