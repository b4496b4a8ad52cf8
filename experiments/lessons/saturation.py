"""Saturated, dead, damaged: hidden units that learn nothing, and how they got there.

A tanh unit that is always near −1 or 1 passes almost no gradient; a ReLU that is always off passes none. This lesson
turns the scale of the hidden weights to see the first, and lets one step of training go wrong to see the second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from experiments import style
from experiments.claims.saturation import CLAIMS as CLAIMS
from experiments.corpus import load
from experiments.curves import frequency_loss, rms
from experiments.experiment import Result, Table
from experiments.pictures import pictures, where
from experiments.records import Records, measured
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, table
from experiments.training import training
from models.deep_mlp import GAINS
from models.mlp import MLP
from models.training import TrainConfig, evaluate, fit, generators
from npgrad import Tensor, nn, tanh
from npgrad.data import Batches
from npgrad.diagnose.census import activations
from npgrad.diagnose.saturation import saturation
from npgrad.diagnose.undisturbed import undisturbed
from npgrad.functions import cross_entropy
from npgrad.nn import ACTIVATIONS

ORDER = 3

QUESTION = (
    "How much gradient gets through a saturated layer? Can such a network learn at all? And can a single step that is "
    "far too large kill units for good, in which nonlinearities?"
)
EXPECTATION = (
    "The gate of tanh is 1 − t²: nearly shut where the pre-activations are large. Scaling the hidden weights by 0.2 "
    "opens it. A unit is dead only if it is saturated for every example, which is rare before training; an oversized "
    "step leaves many ReLUs dead for ever, the documents say, and leaky ReLU or ELU none."
)

# -- configuration -----------------------------------------------------------------------------------------------------

FLAT = 0.99
"""A tanh beyond this passes less than 2 % of the gradient: the lecture's white spots."""
NEARLY = 0.999
"""The share of examples from which on a unit is as good as dead."""
KINDS = ("tanh", "sigmoid", "relu", "leaky_relu", "elu")
NAMES = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "ReLU", "leaky_relu": "leaky ReLU", "elu": "ELU"}


@dataclass(frozen=True)
class Config:
    """The lecture's first network with its last layer repaired."""

    activation: str = "tanh"
    hidden_scale: float | None = None
    """Of the hidden weights; None is Kaiming's rule, gain/√fan_in. At 1 the hidden biases are standard normal too."""
    mishap: float = 0.0
    """The learning rate of the one step that goes wrong; 0 for none."""
    warmup: int = 500
    """Ordinary steps before it."""
    steps: int = 2_000
    """Ordinary steps after it."""
    batch_size: int = 32
    lr: float = 0.1
    context: int = 3
    embedding: int = 10
    hidden: int = 200
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        numbers = {1: ("steps", "context", "embedding", "hidden"), 0: ("warmup", "mishap")}
        check(self, one_of={"activation": KINDS}, at_least=numbers)
        self.training(self.steps, self.lr)

    def training(self, steps: int, lr: float) -> TrainConfig:
        return training(self, steps=steps, lr=lr, lr_decay=1.0)


MISHAPS = (0.1, 10.0, 30.0, 60.0, 100.0)
SWEEP = [
    {"activation": ("tanh",), "hidden_scale": (1.0, 0.5, 0.2, 0.05)},
    {"activation": ("sigmoid",), "hidden_scale": (1.0, 0.2)},
    {"activation": ("relu", "leaky_relu", "elu", "tanh"), "mishap": MISHAPS},
]
QUICK = {"steps": 500, "warmup": 100, "mishap": (0.1, 60.0)}
FULL = {"steps": 20_000}


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    corpus = load(config.data, config.context)
    rngs = generators(config.seed)
    model = build(config, len(corpus.vocabulary), rngs.init)
    batches = Batches(*corpus.train, config.batch_size, rngs.batches)
    seen = look(model, *next(batches))
    # A unit that is shut in all contexts there are is shut in every example.
    contexts, often = np.unique(corpus.train.x, axis=0, return_counts=True)
    before = shut(model, contexts)
    due = set(np.unique(np.geomspace(1, config.steps, 20).astype(int)))
    times, dead = [], []

    def count(step: int) -> None:
        times.append(step)
        dead.append(shut(model, contexts).all(axis=0))

    def record(step: int, loss: float) -> bool:
        if step + 1 in due:
            count(step + 1)
        if step % 100 == 0:
            progress(config.warmup + step, config.warmup + config.steps)
        return not math.isfinite(loss)

    with np.errstate(all="ignore"):  # after a mishap numbers may overflow
        losses = [fit(model, *corpus.train, config.training(config.warmup, config.lr), batches=batches)]
        if config.mishap:
            losses.append(fit(model, *corpus.train, config.training(1, config.mishap), batches=batches))
        count(0)
        losses.append(
            fit(model, *corpus.train, config.training(config.steps, config.lr), batches=batches, on_step=record)
        )
        after = shut(model, contexts)
        val_loss = evaluate(model, *corpus.val)
        dead_gradient = gradient_of_dead(model, np.all(after, axis=0), *next(batches))
    once = np.array(dead)
    fell = once.any(axis=0)
    finite = math.isfinite(val_loss)
    return Result(
        summary={
            "unigram_loss": frequency_loss(corpus.train.y),
            "preactivation_std": float(seen["x"].std()),
            "preactivation_mean": float(np.abs(seen["x"].mean(axis=0)).mean()),
            "activation_std": float(seen["t"].std()),
            "beyond_097": 100 * float(np.mean(np.abs(seen["t"]) > 0.97)),
            "saturated": 100 * float(np.average(before, axis=0, weights=often).mean()),
            "dead_before": int(before.all(axis=0).sum()),
            "dead": int(after.all(axis=0).sum()) if finite else math.nan,
            "off": int((np.average(after, axis=0, weights=often) > NEARLY).sum()) if finite else math.nan,
            "dead_at_once": int(once[0].sum()),
            "ever_dead": int(fell.sum()),
            "revived": 100 * float((fell & ~once[-1]).sum() / fell.sum()) if fell.any() and finite else math.nan,
            "dead_gradient": dead_gradient,
            "passed": rms(seen["dx"]) / rms(seen["dt"]),
            "gate_error": float(np.abs(seen["dx"] - seen["dt"] * seen["gate"]).max() / np.abs(seen["dx"]).max()),
            "starved": starved(seen),
            "val_loss": val_loss,
            "diverged": int(not finite),
        },
        arrays={
            "x": seen["x"],
            "t": seen["t"],
            "flat": seen["flat"],
            "passed": np.where(seen["dt"] != 0, seen["dx"] / np.where(seen["dt"] != 0, seen["dt"], 1), np.nan),
            "time": np.array(times),
            "dead": once.sum(axis=1),
            "losses": np.concatenate(losses)[-config.steps - 20 :],
        },
    )


def build(config: Config, classes: int, rng: np.random.Generator) -> MLP:
    fan_in = config.context * config.embedding
    scale = config.hidden_scale
    if scale is None:
        gain = GAINS.get(config.activation) or nn.init.calculate_gain(config.activation)
        scale = gain / math.sqrt(fan_in)
    model = MLP(
        vocab_size=classes,
        context=config.context,
        rng=rng,
        stage="output" if config.hidden_scale == 1.0 else "hidden",
        embedding=config.embedding,
        hidden=config.hidden,
        hidden_scale=scale,
    )
    kind = ACTIVATIONS[config.activation]
    assert kind is not None
    model.tanh = kind()  # type: ignore[assignment]  # whatever it is now: the place between the layers
    return model


def look(model: MLP, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """The hidden layer in one batch: pre-activations x, activations t, their gradients dx and dt, the gate 1 − t²."""
    seen: dict[str, np.ndarray] = {}
    removers = [
        model.hidden.register_forward_hook(lambda _, __, out: seen.update(x=out.numpy().astype(float))),
        model.hidden.register_backward_hook(lambda _, grad: seen.update(dx=grad.astype(float))),
        model.tanh.register_forward_hook(lambda _, __, out: seen.update(t=out.numpy().astype(float))),
        model.tanh.register_backward_hook(lambda _, grad: seen.update(dt=grad.astype(float))),
    ]
    with undisturbed(model, training=True):
        cross_entropy(model(x), y).backward()
    for remove in removers:
        remove()
    pre = Tensor(seen["x"], requires_grad=True)
    model.tanh(pre).backward(np.ones_like(seen["x"]))
    seen["gate"] = 1 - seen["t"] ** 2 if isinstance(model.tanh, nn.Tanh) else pre.grad
    seen["flat"] = beyond(model.tanh, seen["t"])
    return seen


def shut(model: MLP, contexts: np.ndarray) -> np.ndarray:
    """Whether a unit passes hardly any gradient, (contexts, units)."""
    return beyond(model.tanh, activations(model, contexts)["tanh"])


def beyond(module: nn.Module, t: np.ndarray) -> np.ndarray:
    flatness = saturation(module, t)
    assert flatness is not None
    return np.asarray(flatness > FLAT)


def starved(seen: dict[str, np.ndarray]) -> float:
    """The gradient that reaches the most saturated quarter of the units, relative to that of the least saturated."""
    order = np.argsort(np.abs(seen["t"]).mean(axis=0))
    quarter = max(len(order) // 4, 1)
    # Per unit of what arrives from above: the last layer's weights favour some units.
    least, most = order[:quarter], order[-quarter:]
    through = [rms(seen["dx"][:, units]) / rms(seen["dt"][:, units]) for units in (most, least)]
    return through[0] / through[1]


def gradient_of_dead(model: MLP, dead: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """The largest gradient that any weight or bias of a dead unit gets."""
    if not dead.any():
        return math.nan
    with undisturbed(model, training=True):
        cross_entropy(model(x), y).backward()
        return float(max(np.abs(np.asarray(p.grad)[..., dead]).max() for p in model.hidden.parameters()))


# -- what it shows -----------------------------------------------------------------------------------------------------


def name_of(config: SimpleNamespace) -> str:
    if config.mishap:
        return f"{config.activation} {config.mishap:g}"
    scale = "Kaiming" if config.hidden_scale is None else f"{config.hidden_scale:g}"
    return f"{config.activation} scale {scale}"


def gate(t: float) -> np.ndarray:
    """What a gradient of 1 becomes on its way back through a tanh whose output is t."""
    x = Tensor(np.array([math.atanh(t) if abs(t) < 1 else math.copysign(20.0, t)]), requires_grad=True)
    tanh(x).backward(np.ones(1))
    return np.asarray(x.grad)


def measure(records: Records) -> dict[str, np.ndarray]:
    found = measured(records.named(name_of))
    for t in (0.0, 0.9, 0.99, 1.0):
        found[f"gate/{t:g}"] = gate(t)
    usual = records[0].config
    found["values"] = np.array([usual.batch_size * usual.hidden])
    found["linear"] = gate(math.tanh(2.0))
    found["clamped"] = tanh(Tensor(np.array([5.0]))).numpy()
    return found


def tables(records: Records) -> Iterator[Table]:
    usual = records[0].config
    columns = [Column("pre-activation std", "preactivation_std", 2), Column("saturated (%)", "saturated", 1)]
    columns += [Column("dead", "dead_before", 0), Column("gradient passed", "passed", 2)]
    columns += [Column("validation", "val_loss", 4)]
    note = (
        "Saturated and dead before training, over all training examples; validation loss after "
        f"{usual.warmup + usual.steps:,} steps. Sigmoid counts as saturated where |2y − 1| > 0.99."
    )
    scaled = records.where(mishap=0.0).named(lambda config: name_of(config).replace(" scale", ", weights ×"))
    yield table("The scale of the hidden weights", "Hidden layer", scaled, columns, note)

    columns = [Column("ever dead", "ever_dead", 0), Column("dead in the end", "dead", 0)]
    columns += [Column("nearly dead", "off", 0)]
    columns += [Column("revived (%)", lambda own: own.values("revived") if own.mean("ever_dead") else "–", 0)]
    columns += [Column("validation", "val_loss")]
    note = (
        "{warmup:,} ordinary steps at rate {lr:g}, one at the rate given, {steps:,} ordinary ones. Dead: saturated for "
        "every example (tanh and ELU: less than 2 % of the gradient)."
    )
    mishaps = records.where(mishap=happened).by("activation", "mishap")
    yield table("One step that goes wrong", ("Nonlinearity", "its rate"), mishaps, columns, note, NAMES)


def happened(mishap: float) -> bool:
    return mishap > 0


# -- pictures ----------------------------------------------------------------------------------------------------------


def shown(records: Records) -> dict[str, Records]:
    """The widest and the lecture's repaired one, or whatever there is."""
    scaled = records.named(name_of)
    wanted = [name for name in ("tanh scale 1", "tanh scale 0.2") if name in scaled]
    return {name.split(" ")[-1]: scaled[name] for name in wanted or list(scaled)[:2]}


@where(activation="tanh", mishap=0.0)
def histograms(records: Records) -> style.Figure:
    """One batch before training, 32 examples × 200 units. Wide pre-activations end up in the corners; with weights ×
    0.2 the same tanh uses all of its range.
    """
    chosen = shown(records)
    figure, grid = style.figure(len(chosen), 2, height=0.7 + 1.9 * len(chosen), squeeze=False, sharex="col")
    widest = max(np.abs(own[0].arrays["x"]).max() for own in chosen.values())
    for row, (scale, own), hue in zip(grid, chosen.items(), ("vermillion", "blue")[-len(chosen) :], strict=True):
        for axes, key, reach, text in (
            (row[0], "x", widest, f"× {scale}: before tanh"),
            (row[1], "t", 1.0, "after tanh"),
        ):
            axes.hist(own[0].arrays[key].ravel(), np.linspace(-reach, reach, 51), color=style.colour(hue))
            style.frame(axes, text, yticks=[], xlim=(-reach, reach))
            axes.grid(visible=False)
            axes.spines["left"].set_visible(False)
        row[0].axvspan(-2, 2, color=style.muted(), alpha=0.15, zorder=0, linewidth=0)
    grid[-1, 0].set_xlabel("x; shaded: −2 to 2")
    grid[-1, 1].set_xlabel("tanh x")
    return figure


@where(activation="tanh", mishap=0.0)
def gate_map(records: Records) -> style.Figure:
    """White where |tanh x| > 0.99: hardly any gradient gets through there. A unit would be dead if its column were
    white for every example there is; none is.
    """
    from matplotlib.colors import ListedColormap

    chosen = shown(records)
    figure, grid = style.figure(len(chosen), 1, height=0.5 + 1.5 * len(chosen), squeeze=False)
    for axes, (scale, own) in zip(grid[:, 0], chosen.items(), strict=True):
        flat = own[0].arrays["flat"]
        axes.imshow(flat, cmap=ListedColormap(["#1b1f24", "#f4f6f8"]), aspect="auto", interpolation="nearest", vmax=1)
        axes.grid(visible=False)
        for mark, count in ((axes.set_yticks, len(flat)), (axes.set_xticks, flat.shape[1])):
            mark([0, count - 1], ["1", str(count)])
        style.frame(axes, f"weights × {scale}: {100 * flat.mean():.0f} % of the gates shut", ylabel="example")
    grid[-1, 0].set_xlabel("hidden unit")
    return figure


@where(activation="tanh", mishap=0.0)
def gate_picture(records: Records) -> style.Figure:
    """Left: single activations in one batch (●), and what the gradient behind tanh is of that before it. Right: the
    part of the gradient that gets through the layer (root mean square), and the share of saturated activations.
    """
    figure, (left, right) = style.figure(1, 2, height=3.4)
    t = np.linspace(-1, 1, 201)
    left.plot(t, 1 - t**2, color=style.muted(), linewidth=1.4, ls=style.DASHED)
    arrays = (records.where(hidden_scale=0.5) or records)[0].arrays
    few = slice(None, None, max(arrays["t"].size // 250, 1))
    left.plot(arrays["t"].ravel()[few], arrays["passed"].ravel()[few], "o", color=style.colour("blue"), ms=4, alpha=0.6)
    style.note(left, "1 − t²", (0.0, 1.0), (0, 5), ha="center")
    style.frame(left, "Gradient out / in", "activation t", ylim=(0, 1.15))
    if scaled := records.where(hidden_scale=bool).by("hidden_scale"):
        most, ends = max(scaled), []
        for name, share, text, hue in (("passed", 1, "passed", "blue"), ("saturated", 100, "saturated", "vermillion")):
            values = {scale: own.mean(name) / share for scale, own in scaled.items()}
            right.plot(list(values), list(values.values()), "o-", color=style.colour(hue))
            ends.append((most, values[most], text, style.colour(hue)))
        title, below = "Layer as a whole", "scale of the hidden weights"
        style.frame(right, title, below, xlog=list(scaled), ylim=(-0.03, 1.1))
        style.label_ends(right, ends)
    return figure


@where(mishap=happened)
def damage(records: Records) -> style.Figure:
    """One step at a rate far too high, then ordinary training. Left: units saturated for every example. They do not die
    in that step, but in the ordinary ones after it. Right, in the same colours: what it costs in validation loss; a
    line that ends early diverged.
    """
    figure, (left, right) = style.figure(1, 2, height=3.8, gridspec_kw={"width_ratios": [1.15, 1]})
    rates = sorted(records.by("mishap"))
    # The largest step that all of them survived in one piece.
    whole = [rate for rate in rates if not records.where(mishap=rate).mean("diverged")]
    worst = max(whole or rates)
    ends: list[style.End] = []
    for kind, own in records.where(mishap=worst).by("activation").items():
        longest = max((r.arrays for r in own), key=lambda arrays: len(arrays["dead"]))
        time = np.maximum(longest["time"], 0.7)
        curve = np.mean([r.arrays["dead"] for r in own if len(r.arrays["dead"]) == len(time)], axis=0)
        ends += style.lines(left, [(time, curve, NAMES[kind], style.colour(kind))])
    style.over_steps(left, max(end[0] for end in ends))
    most = max(10.0, *(float(max(r.arrays["dead"])) for r in records))
    style.frame(left, "Dead units", f"steps after one at rate {worst:g}", ylim=(-0.03 * most, 1.05 * most))
    top = 3.0
    for kind, own in records.by("activation").items():
        rate, loss = np.array([(at, some.mean("val_loss")) for at, some in sorted(own.by("mishap").items())]).T
        right.plot(rate, loss, "o-", color=style.colour(kind))
        top = max([top, *loss[np.isfinite(loss)]])
    xlog = [rate for rate in (0.1, 1, 10, 100) if rates[0] <= rate <= rates[-1]]
    ylog = [loss for loss in (2, 3, 5, 10, 20, 50, 100) if loss < 1.5 * top]
    style.frame(right, "Loss in the end", "rate of the one step", xlog=xlog, ylog=ylog)
    style.reach(right, 2, max(1.1 * top, 3.3))
    style.label_ends(left, ends)
    return figure


plot = pictures(histograms=histograms, map=gate_map, gate=gate_picture, damage=damage)

NEXT = [
    "Other scales of the hidden weights: `--set hidden_scale=2,0.3`.",
    "A gentler mishap, for other nonlinearities: `--set activation=relu,sigmoid --set mishap=3,5`.",
    "A longer convalescence: `--set steps=50000`. Do dead units come back?",
]
