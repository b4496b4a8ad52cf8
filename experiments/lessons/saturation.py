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
from experiments.experiment import Picture, Result, Table
from experiments.records import Records
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import cells
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

MEASURES = (
    "preactivation_std", "preactivation_mean", "activation_std", "beyond_097", "saturated", "dead_before", "dead",
    "dead_at_once", "off", "ever_dead", "revived", "dead_gradient", "passed", "gate_error", "starved", "val_loss",
    "diverged", "unigram_loss",
)  # fmt: skip


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
    found = {f"{name}/{group}": own.values(name) for group, own in records.named(name_of).items() for name in MEASURES}
    for t in (0.0, 0.9, 0.99, 1.0):
        found[f"gate/{t:g}"] = gate(t)
    usual = records[0].config
    found["values"] = np.array([usual.batch_size * usual.hidden])
    found["linear"] = gate(math.tanh(2.0))
    found["clamped"] = tanh(Tensor(np.array([5.0]))).numpy()
    return found


def tables(records: Records) -> list[Table]:
    groups = records.named(name_of)
    steps = records[0].config.steps
    scaled = {name: own for name, own in groups.items() if not own[0].config.mishap}
    mishaps = {name: own for name, own in groups.items() if own[0].config.mishap}
    found = []
    if scaled:
        digits = {"preactivation_std": 2, "saturated": 1, "dead_before": 0, "passed": 2, "val_loss": 4}
        rows = [[name.replace(" scale", ", weights ×"), *cells(own, **digits)] for name, own in scaled.items()]
        columns = ["Hidden layer", "pre-activation std", "saturated (%)", "dead", "gradient passed", "validation"]
        note = (
            f"Saturated and dead before training, over all training examples; validation loss after "
            f"{records[0].config.warmup + steps:,} steps. Sigmoid counts as saturated where |2y − 1| > 0.99."
        )
        found.append(Table("The scale of the hidden weights", columns, rows, note))
    if mishaps:
        rows = []
        for own in mishaps.values():
            gone = own.mean("diverged") > 0.5
            ends = ["diverged"] * 4 if gone else cells(own, dead=0, off=0, revived=0, val_loss=3)
            ends[2] = ends[2] if own.mean("ever_dead") else "–"
            config = own[0].config
            rows.append([NAMES[config.activation], f"{config.mishap:g}", *cells(own, ever_dead=0), *ends])
        columns = ["Nonlinearity", "its rate", "ever dead"]
        columns += ["dead in the end", "nearly dead", "revived (%)", "validation"]
        note = (
            f"{records[0].config.warmup:,} ordinary steps at rate {records[0].config.lr:g}, one at the rate given, "
            f"{steps:,} ordinary ones. Dead: saturated for every example (tanh and ELU: less than 2 % of the gradient)."
        )
        found.append(Table("One step that goes wrong", columns, rows, note))
    return found


# -- pictures ----------------------------------------------------------------------------------------------------------


def plot(records: Records) -> Iterator[Picture]:
    groups = records.named(name_of)
    scaled = {name: own for name, own in groups.items() if not own[0].config.mishap and name.startswith("tanh")}
    mishaps = {name: own for name, own in groups.items() if own[0].config.mishap}
    if scaled:
        yield Picture("histograms", *histograms(scaled))
        yield Picture("map", *maps(scaled))
        yield Picture("gate", *gate_picture(scaled))
    if mishaps:
        yield Picture("damage", *damage(mishaps))


def shown(scaled: dict[str, Records]) -> dict[str, Records]:
    """The widest and the lecture's repaired one, or whatever there is."""
    wanted = [name for name in ("tanh scale 1", "tanh scale 0.2") if name in scaled]
    return {name: scaled[name] for name in wanted} or dict(list(scaled.items())[:2])


def histograms(scaled: dict[str, Records]) -> style.Figure:
    """One batch before training, 32 examples × 200 units. Wide pre-activations end up in the corners; with weights ×
    0.2 the same tanh uses all of its range.
    """
    chosen = shown(scaled)
    figure, grid = style.figure(len(chosen), 2, height=0.7 + 1.9 * len(chosen), squeeze=False, sharex="col")
    widest = max(np.abs(own[0].arrays["x"]).max() for own in chosen.values())
    for k, (row, (name, own)) in enumerate(zip(grid, chosen.items(), strict=True)):
        hue = style.colour("vermillion" if k == 0 and len(chosen) > 1 else "blue")
        for axes, key, reach in ((row[0], "x", widest), (row[1], "t", 1.0)):
            axes.hist(own[0].arrays[key].ravel(), np.linspace(-reach, reach, 51), color=hue)
            axes.set_yticks([])
            axes.grid(visible=False)
            axes.spines["left"].set_visible(False)
            axes.set_xlim(-reach, reach)
        style.title(row[0], f"× {name.split(' ')[-1]}: before tanh")
        style.title(row[1], "after tanh")
        row[0].axvspan(-2, 2, color=style.muted(), alpha=0.15, zorder=0, linewidth=0)
    grid[-1, 0].set_xlabel("x; shaded: −2 to 2")
    grid[-1, 1].set_xlabel("tanh x")
    return figure


def maps(scaled: dict[str, Records]) -> style.Figure:
    """White where |tanh x| > 0.99: hardly any gradient gets through there. A unit would be dead if its column were
    white for every example there is; none is.
    """
    from matplotlib.colors import ListedColormap

    chosen = shown(scaled)
    figure, grid = style.figure(len(chosen), 1, height=0.5 + 1.5 * len(chosen), squeeze=False)
    for axes, (name, own) in zip(grid[:, 0], chosen.items(), strict=True):
        flat = own[0].arrays["flat"]
        axes.imshow(flat, cmap=ListedColormap(["#1b1f24", "#f4f6f8"]), aspect="auto", interpolation="nearest", vmax=1)
        axes.grid(visible=False)
        axes.set_yticks([0, len(flat) - 1], ["1", str(len(flat))])
        axes.set_xticks([0, flat.shape[1] - 1], ["1", str(flat.shape[1])])
        axes.set_ylabel("example")
        style.title(axes, f"weights × {name.split(' ')[-1]}: {100 * flat.mean():.0f} % of the gates shut")
    grid[-1, 0].set_xlabel("hidden unit")
    return figure


def gate_picture(scaled: dict[str, Records]) -> style.Figure:
    """Left: single activations in one batch (●), and what the gradient behind tanh is of that before it. Right: the
    part of the gradient that gets through the layer (root mean square), and the share of saturated activations.
    """
    figure, (left, right) = style.figure(1, 2, height=3.4)
    t = np.linspace(-1, 1, 201)
    left.plot(t, 1 - t**2, color=style.muted(), linewidth=1.4, ls=style.DASHED)
    own = scaled.get("tanh scale 0.5") or next(iter(scaled.values()))
    arrays = own[0].arrays
    few = slice(None, None, max(arrays["t"].size // 250, 1))
    left.plot(arrays["t"].ravel()[few], arrays["passed"].ravel()[few], "o", color=style.colour("blue"), ms=4, alpha=0.6)
    style.note(left, "1 − t²", (0.0, 1.0), (0, 5), ha="center")
    left.set_ylim(0, 1.15)
    style.titled(left, "Gradient out / in", "activation t")
    known = [own for own in scaled.values() if own[0].config.hidden_scale]
    if known:
        scales = [own[0].config.hidden_scale for own in known]
        through, shut = [own.mean("passed") for own in known], [own.mean("saturated") / 100 for own in known]
        right.plot(scales, through, "o-", color=style.colour("blue"))
        right.plot(scales, shut, "o-", color=style.colour("vermillion"))
        style.logarithmic(right, scales)
        right.set_ylim(-0.03, 1.1)
        style.titled(right, "Layer as a whole", "scale of the hidden weights")
        most = int(np.argmax(scales))
        names = ((through, "passed", "blue"), (shut, "saturated", "vermillion"))
        style.label_ends(right, [(scales[most], v[most], text, style.colour(hue)) for v, text, hue in names])
    return figure


def damage(mishaps: dict[str, Records]) -> style.Figure:
    """One step at a rate far too high, then ordinary training. Left: units saturated for every example. They do not die
    in that step, but in the ordinary ones after it. Right, in the same colours: what it costs in validation loss; a
    line that ends early diverged.
    """
    rates = sorted({own[0].config.mishap for own in mishaps.values()})
    # The largest step that all of them survived in one piece.
    failed = {own[0].config.mishap for own in mishaps.values() if own.mean("diverged") > 0}
    worst = max([rate for rate in rates if rate not in failed] or rates)
    figure, (left, right) = style.figure(1, 2, height=3.8, gridspec_kw={"width_ratios": [1.15, 1]})
    ends: list[tuple[float, float, str, str]] = []
    kinds: dict[str, list[tuple[float, float]]] = {}
    for own in mishaps.values():
        config = own[0].config
        hue = style.colour(config.activation)
        kinds.setdefault(config.activation, []).append((config.mishap, own.mean("val_loss")))
        if config.mishap == worst:
            long = max((r.arrays["dead"] for r in own), key=len)
            curve = np.mean([r.arrays["dead"] for r in own if len(r.arrays["dead"]) == len(long)], axis=0)
            time = max((r.arrays["time"] for r in own), key=len)
            left.plot(np.maximum(time, 0.7), curve, color=hue)
            ends.append((max(time[-1], 0.7), curve[-1], NAMES[config.activation], hue))
    style.over_steps(left, max(end[0] for end in ends))
    most = max((float(max(r.arrays["dead"])) for own in mishaps.values() for r in own), default=1.0)
    left.set_ylim(-0.03 * max(most, 10), 1.05 * max(most, 10))
    style.titled(left, "Dead units", f"steps after one at rate {worst:g}")
    top = 0.0
    for kind, points in kinds.items():
        points.sort()
        rate, loss = np.array(points).T
        right.plot(rate, loss, "o-", color=style.colour(kind))
        top = max(top, float(np.nanmax(np.where(np.isfinite(loss), loss, np.nan), initial=0.0)))
    style.logarithmic(right, [rate for rate in (0.1, 1, 10, 100) if rates[0] <= rate <= rates[-1]])
    style.logarithmic(right, [t for t in (2, 3, 5, 10, 20, 50, 100) if t < 1.5 * max(top, 3)], along="y")
    style.reach(right, 2, max(1.1 * top, 3.3))
    style.titled(right, "Loss in the end", "rate of the one step")
    style.label_ends(left, ends)
    return figure


NEXT = [
    "Other scales of the hidden weights: `--set hidden_scale=2,0.3`.",
    "A gentler mishap, for other nonlinearities: `--set activation=relu,sigmoid --set mishap=3,5`.",
    "A longer convalescence: `--set steps=50000`. Do dead units come back?",
]
