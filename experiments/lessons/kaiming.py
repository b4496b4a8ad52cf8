"""Kaiming's rule: how large random weights must be, for one layer and for fifty.

A sum of n independent terms is √n as large as one of them. This lesson measures that, measures what nonlinearities
take away, and sends signals forward and gradients backward through many layers, beside what theory predicts.

Whose rule it is: weights of standard deviation 1/√fan_in are those of LeCun et al. 1998 ("Efficient BackProp", section
4.6); Glorot & Bengio 2010 take the mean of fan_in and fan_out in its place, for the gradients' sake; He et al. 2015
(arXiv:1502.01852) add the factor √2 for ReLU and apply it to fan_in or fan_out alone. Documents 1 and 2 credit He et
al. with gain/√fan_in; document 3 credits Glorot & Bengio with √(1/fan_in) and He et al. with having justified it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType, SimpleNamespace

import numpy as np

from experiments import style
from experiments.claims.kaiming import CLAIMS as CLAIMS
from experiments.curves import rms
from experiments.experiment import Result, Table
from experiments.pictures import pictures, where
from experiments.records import Records, mean_curve, measured
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, spread, table
from models.deep_mlp import GAINS
from models.mlp import MLP
from npgrad import Tensor, nn
from npgrad.diagnose.propagation import Layer, predict
from npgrad.nn import ACTIVATIONS

ORDER = 4

QUESTION = (
    "How large must random weights be so that a signal keeps its size through many layers, and a gradient on its way "
    "back? Is one rule enough for both, and does the gain of a nonlinearity do what it is said to do?"
)
EXPECTATION = (
    "x @ W is √fan_in times as large as x, so weights are divided by √fan_in and multiplied by a gain that makes up "
    "for the nonlinearity: √2 for ReLU, which throws half away, 5/3 for tanh. Any other factor is raised to the power "
    "of the depth: signals explode or vanish. What is right going forward is about right going backward."
)

# -- configuration -----------------------------------------------------------------------------------------------------

KINDS = ("linear", "tanh", "relu", "leaky_relu", "elu", "sigmoid")
NAMES = {"relu": "ReLU", "leaky_relu": "leaky ReLU", "elu": "ELU"} | {k: k for k in ("linear", "tanh", "sigmoid")}
MODES = ("fan_in", "fan_out")
FANS = (10, 30, 100, 300, 1000)


@dataclass(frozen=True)
class Config:
    """Random numbers through random layers; nothing is trained."""

    activation: str = "linear"
    gain: float | None = None
    """None is what PyTorch recommends, 1/√E f(z)² where it recommends nothing."""
    mode: str = "fan_in"
    """What the weights' variance is divided by."""
    narrowing: float = 1.0
    """Width of the first layer over that of the last."""
    depth: int = 50
    width: int = 256
    examples: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        check(self, one_of={"activation": KINDS, "mode": MODES}, at_least={2: ("depth", "examples", "width")})
        if self.width / self.narrowing < 2:
            raise ValueError("the width of every layer must be 2 or more.")

    @property
    def gain_used(self) -> float:
        return recommended(self.activation) if self.gain is None else self.gain

    @property
    def widths(self) -> list[int]:
        return [round(w) for w in np.geomspace(self.width, self.width / self.narrowing, self.depth + 1)]


LARGE, SMALL = math.sqrt(10), math.sqrt(0.1)
"""Gains that multiply the variance by 10 and by 0.1 a layer, as in document 4's table."""
SWEEP = [
    {"activation": KINDS, "gain": (None,)},
    {"activation": ("tanh", "relu"), "gain": (1.0, 3.0)},
    {"activation": ("linear",), "gain": (SMALL, 1.0, LARGE), "depth": (100,)},
    {"activation": ("relu",), "mode": MODES, "narrowing": (4.0,), "depth": (8,), "width": (512,)},
]
SEEDS = {"full": 10}
FULL = {"examples": 1_000}


def recommended(activation: str) -> float:
    return GAINS.get(activation) or nn.init.calculate_gain(activation)


def cost(config: Config) -> float:
    return config.depth * config.width**2 * config.examples / 300_000


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    rng = np.random.default_rng([config.seed, 4])
    pre, post = propagate(config, rng)
    progress(1, 1)
    x, h = [a.numpy().astype(float) for a in pre], [a.numpy().astype(float) for a in post]
    with np.errstate(all="ignore"):
        arrays = {
            "preactivation": np.array([rms(a) for a in x]),
            "activation_std": np.array([a.std() for a in h]),
            "variance": np.array([a.var() for a in h]),
            "gradient": np.array([rms(np.asarray(a.grad, dtype=float)) for a in post]),
            "saturated": np.array([np.mean(np.abs(a) > 0.97) for a in h]),
        }
    widths = config.widths
    layers = [
        Layer(a, b, config.gain_used * math.sqrt(1.0 if config.mode == "fan_in" else a / b), config.activation)
        for a, b in pairwise(widths)
    ]
    theory = predict(layers)
    arrays |= {
        "predicted_preactivation": theory.preactivation_std,
        "predicted_gradient": theory.gradient_std,
    }
    infinite = [k + 1 for k, a in enumerate(h) if not np.isfinite(a).all()]
    zero = [k + 1 for k, a in enumerate(h) if not a.any()]
    summary = {
        "gain": config.gain_used,
        "first_infinite": infinite[0] if infinite else math.nan,
        "first_zero": zero[0] if zero else math.nan,
        "off": float(np.mean(h[0] == 0)),
        "gain_needed": gain_needed(config.activation, rng),
    } | ends(arrays)
    if config.activation == "linear":
        sums = [float((rng.standard_normal((500, n)) @ rng.standard_normal((n, 200))).std()) for n in FANS]
        arrays["sums"] = np.array(sums)
        uniform = rng.uniform(-1, 1, size=(256, 256)) / math.sqrt(256)  # what torch.nn.Linear draws
        summary["default_linear"] = float((rng.standard_normal((1_000, 256)) @ uniform).std())
        summary |= {"sum_of_100": sums[FANS.index(100)], "root_of_fan_in": float(np.mean(sums / np.sqrt(FANS)))}
    if config.activation == "tanh":
        summary |= brittle(rng)
        summary["first_weights"] = float(MLP(rng=rng, stage="kaiming").hidden.weight.numpy().std())
    return Result(summary=summary, arrays=arrays)


def ends(arrays: dict[str, np.ndarray]) -> dict[str, float]:
    """What the claims need of the curves: the factor from layer to layer, and last layers beside first ones."""
    std, gradient, variance = (arrays[name] for name in ("activation_std", "gradient", "variance"))
    with np.errstate(all="ignore"):
        return {
            "forward": factor(arrays["preactivation"]),
            "backward": 1 / factor(gradient),
            "first_std": std[0],
            "last_std": std[-1],
            "gradient_ratio": gradient[0] / gradient[-1],
            "forward_ratio": arrays["preactivation"][-1] / arrays["preactivation"][0],
            "last_saturated": 100 * arrays["saturated"][-1],
        } | {f"variance_{k + 1}": v for k, v in enumerate(variance[:3])}


def propagate(config: Config, rng: np.random.Generator) -> tuple[list[Tensor], list[Tensor]]:
    """Pre-activations and activations of every layer, with the gradients of a loss whose derivative is N(0, 1)."""
    kind = ACTIVATIONS[config.activation]
    activation = nn.Sequential() if kind is None else kind()
    h = Tensor(rng.standard_normal((config.examples, config.width)).astype(np.float32), requires_grad=True)
    pre, post = [], []
    with np.errstate(all="ignore"):  # running over is what some of these runs are for
        for n_in, n_out in pairwise(config.widths):
            fan = n_in if config.mode == "fan_in" else n_out
            W = nn.init.normal((n_in, n_out), std=config.gain_used / math.sqrt(fan), rng=rng)
            x = h @ W
            h = activation(x)
            h.retain_grad()
            pre.append(x)
            post.append(h)
        h.backward(rng.standard_normal(h.shape).astype(np.float32))
    return pre, post


def gain_needed(activation: str, rng: np.random.Generator) -> float:
    """The gain that keeps pre-activations of variance 1 at variance 1: one over the root mean square of f(z)."""
    z = Tensor(rng.standard_normal(200_000))
    kind = ACTIVATIONS[activation]
    return 1 / rms(z.numpy() if kind is None else kind()(z).numpy())


def brittle(rng: np.random.Generator) -> dict[str, float]:
    """Saturated units, in per cent, of the last tanh layer behind 30 inputs, with 0.2 found by hand or Kaiming's."""
    found = {}
    for width in (200, 500):
        for layers in (1, 4):
            for rule in ("0.2", "Kaiming"):
                h = rng.standard_normal((100, 30))
                for n_in, n_out in pairwise([30] + [width] * layers):
                    scale = 0.2 if rule == "0.2" else 5 / 3 / math.sqrt(n_in)
                    h = np.tanh(h @ (scale * rng.standard_normal((n_in, n_out))))
                found[f"brittle {rule} {width} {layers}"] = 100 * float(np.mean(np.abs(h) > 0.97))
    return found


# -- what it shows -----------------------------------------------------------------------------------------------------


def name_of(config: SimpleNamespace) -> str:
    if config.narrowing != 1:
        return f"{config.activation} {config.mode}"
    if config.gain is None:
        return str(config.activation)
    variance = {round(LARGE, 9): "×10", round(SMALL, 9): "×0.1"}.get(round(config.gain, 9))
    return f"{config.activation} {variance or f'{config.gain:g}'}"


def factor(curve: np.ndarray) -> float:
    """The mean factor from layer to layer, over the later nine tenths of the layers."""
    curve = curve[len(curve) // 10 :]
    return float((curve[-1] / curve[0]) ** (1 / (len(curve) - 1)))


def measure(records: Records) -> dict[str, np.ndarray]:
    tanh = records.named(name_of).get("tanh", Records([]))
    brittle = {name: values for name, values in tanh.numbers().items() if name.startswith("brittle")}
    return measured(records.named(name_of)) | brittle


NETS = ((1, 200), (1, 500), (4, 200), (4, 500))
"""Hidden layers, how many and how wide, on which a rule is tried that was found on the first."""


def tables(records: Records) -> Iterator[Table]:
    columns = [
        Column("gain", lambda own: f"{own[0].summary['gain']:.3f}"),
        Column("needed", "gain_needed"),
        Column("forward", "forward"),
        Column("predicted", lambda own: f"{factor(own[0].arrays['predicted_preactivation']):.3f}"),
        Column("backward", "backward"),
        Column("predicted", lambda own: f"{1 / factor(own[0].arrays['predicted_gradient']):.3f}"),
        Column("std in the end", "last_std"),
    ]
    note = (
        "Forward and backward: the factor from layer to layer, of pre-activations and of gradients. Needed: the gain "
        "that keeps pre-activations at variance 1."
    )
    usual = records.where(gain=None, narrowing=1.0).by("activation")
    yield table("{depth} layers with the recommended gain", "Nonlinearity", usual, columns, note, NAMES)

    tanh, rules = records.named(name_of).get("tanh", ()), ("0.2", "Kaiming")
    rows = [
        [f"{n} of {width}", *(spread(tanh.values(f"brittle {rule} {width} {n}"), 1) for rule in rules)]
        for n, width in NETS
        if tanh
    ]
    note = (
        "Saturated units of the last hidden layer, in per cent, behind 30 inputs. Kaiming's rule saturates more "
        "units in the first layer than behind it, because the inputs are larger than what tanh puts out."
    )
    yield Table("Does a rule survive a change of the network?", ["Hidden layers", "× 0.2", "Kaiming"], rows, note)


# -- pictures ----------------------------------------------------------------------------------------------------------


def two_ways(
    groups: dict[str, Records],
    limits: Sequence[tuple[float, float]],
    names: Mapping[str, str] = MappingProxyType({}),
    hues: Mapping[str, str] = MappingProxyType({}),
    ylog: style.Marks = (),
) -> style.Figure:
    """Pre-activations going forward and gradients going backward, measured over predicted."""
    figure, both = style.figure(1, 2, height=4.0)
    titles = ("Forward: pre-activation", "Backward: gradient")
    for axes, key, text, limit in zip(both, ("preactivation", "gradient"), titles, limits, strict=True):
        ends = []
        for name, own in groups.items():
            hue, curve = style.colour(hues.get(name, name)), mean_curve(own, key, geometric=True)
            layer = np.arange(1, len(curve) + 1)
            axes.plot(layer, own[0].arrays[f"predicted_{key}"], color=hue, linewidth=1.2, ls=style.DASHED, zorder=1)
            ends += style.lines(axes, [(layer, curve, names.get(name, name), hue)], linewidth=2.4, alpha=0.85)
        style.frame(axes, text, "layer", ylog=ylog, ylim=limit)
        if key == "preactivation":
            style.label_ends(axes, ends)
    return figure


@where(gain=None, narrowing=1.0, activation=lambda activation: activation != "leaky_relu")  # it lies on ReLU
def depth_picture(records: Records) -> style.Figure:
    """Root mean square by layer with the recommended gains: measured (solid), predicted from the gain alone (dashed).
    Forward all hold. Backward, towards layer 1, tanh gains a tenth in every layer; sigmoid's gradients vanish so fast
    that they leave the picture. Colours are the same on both sides.
    """
    groups = records.by("activation")
    forward = [mean_curve(own, "preactivation", geometric=True) for own in groups.values()]
    first = [mean_curve(own, "gradient", geometric=True)[0] for name, own in groups.items() if name != "sigmoid"]
    limits = (
        (min(0.2, *(c.min() / 1.5 for c in forward)), max(5.0, *(1.5 * c.max() for c in forward))),
        (min([0.05, *(f / 3 for f in first)]), max([1_000.0, *(3 * f for f in first)])),
    )
    return two_ways(groups, limits, NAMES)


def explosion(records: Records) -> style.Figure | None:
    """Linear layers that multiply the variance by 10, keep it, or divide it by 10. A factor per layer is a power of the
    depth: it ends where numbers end, at inf or at zero.
    """
    groups = records.named(name_of)
    factors = {"linear ×10": ("vermillion", "× 10"), "linear 1": ("blue", "kept"), "linear ×0.1": ("orange", "× 0.1")}
    if len(factors.keys() & groups.keys()) < 2:
        return None
    figure, axes = style.figure(height=3.8)
    ends = []
    for name in (name for name in factors if name in groups):
        hue, text = factors[name]
        curve = mean_curve(groups[name], "preactivation", geometric=True)
        good = np.isfinite(curve) & (curve > 0)
        ends += style.lines(axes, [(np.arange(1, len(curve) + 1)[good], curve[good], text, style.colour(hue))])
    marks = [1e-40, 1e-20, 1, 1e20, 1e40]
    style.frame(axes, "Size of the activations", "layer", ylog=(), ylim=(1e-50, 1e45), yticks=marks)
    style.guide(axes, float(np.finfo(np.float32).max), "largest float32", at=0.02)
    style.guide(axes, float(np.finfo(np.float32).smallest_subnormal), "smallest float32", at=0.02)
    style.label_ends(axes, ends)
    return figure


@where(activation=lambda activation: activation in ("linear", "tanh"), gain=None, narrowing=1.0)
def fan_in_picture(records: Records) -> style.Figure | None:
    """Left: sums of fan_in products of standard normal numbers. Right: what becomes of two rules when the network
    changes: hidden layers behind 30 inputs, how many and how wide. The number found by hand fits where it was found,
    and any width there; three more layers undo it.
    """
    linear, tanh = (records.where(activation=activation) for activation in ("linear", "tanh"))
    if not linear:
        return None
    figure, grid = style.figure(1, 2 if tanh else 1, height=3.4, squeeze=False)
    left, right = grid[0, 0], grid[0, -1]
    left.plot(FANS, np.sqrt(FANS), color=style.muted(), linewidth=1.4, ls=style.DASHED)
    left.plot(FANS, mean_curve(linear, "sums"), "o", color=style.colour("blue"), markersize=8)
    style.note(left, "√fan_in", (100, 10), (-8, 10), ha="right")
    style.frame(left, "Size of x @ W", "fan_in", xlog=(10, 100, 1000), ylog=(3, 10, 30))
    if tanh:
        for rule, text, hue in (("0.2", "× 0.2", style.colour("purple")), ("Kaiming", "Kaiming", style.colour("blue"))):
            values = [tanh.mean(f"brittle {rule} {width} {layers}") for layers, width in NETS]
            right.plot(values, range(4), "o", color=hue, markersize=9)
            style.note(right, text, (values[3], 3), (0, 9), ha="center", color=hue)
        style.rows(right, [f"{layers} of {width}" for layers, width in NETS], room=0.8)
        style.frame(right, "Saturated, last layer", "% of units", xlim=(-8, 70))
    return figure


@where(narrowing=lambda narrowing: narrowing != 1)
def fans_picture(records: Records) -> tuple[style.Figure, str]:
    hues = {"fan_in": "blue", "fan_out": "orange"}
    figure = two_ways(records.by("mode"), ((0.3, 4.0), (0.3, 4.0)), hues=hues, ylog=(0.5, 1, 2))
    config = records[0].config
    return figure, (
        f"ReLU layers that narrow from {config.width} to {config.width / config.narrowing:.0f} units. Dividing by "
        "fan_in keeps activations and lets gradients change by the root of the ratio of widths; dividing by fan_out "
        "does it the other way round. Either will do."
    )


plot = pictures(depth=depth_picture, explosion=explosion, fan_in=fan_in_picture, fans=fans_picture)

NEXT = [
    "A gain between: `--set activation=tanh --set gain=1.2,1.593`.",
    "A hundred layers: `--set depth=100`.",
    "Narrow layers, whose chance fluctuations pile up: `--set width=32`.",
]
