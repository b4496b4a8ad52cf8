"""Six layers and twenty: what batch normalisation does for a deep network.

The lecture ends by stacking six linear layers with batch normalisation in between and calls the result stable where
everything before was brittle. This lesson trains that network to the end, beside the same network without
normalisation and the shallow one; then it stacks twenty layers and turns the gain, to see what there is to repair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from experiments import style
from experiments.claims.deep_bn import CLAIMS as CLAIMS
from experiments.corpus import load
from experiments.curves import thinned
from experiments.experiment import Picture, Result, Table
from experiments.pictures import curves, pictures, where
from experiments.records import Records, paired
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, across, fraction, sampled, table
from experiments.training import training
from experiments.verdict import chosen_elsewhere
from models.deep_mlp import DeepMLP
from models.mlp import MLP
from models.training import TrainConfig, evaluate, fit, generators, sample
from npgrad import Tensor, data, nn, no_grad
from npgrad.functions import cross_entropy

ORDER = 11

QUESTION = (
    "Is batch normalisation what makes a deep network trainable? And what is gained by depth, once it can be trained?"
)
EXPECTATION = (
    "With normalisation the gain should hardly matter, and a higher learning rate should do. Without it a stack of "
    "twenty layers should be a pencil balanced on its tip: a gain a little too small and nothing is left of the input "
    "at the last layer, a little too large and every unit is saturated. Six well-scaled layers may not need it."
)

# -- configuration -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """The lecture's deep network, or, if `stack` is not 0, a deeper one trained briefly to see whether it can be."""

    norm: str = "batch"
    depth: int = 6
    """Linear layers."""
    shallow: bool = False
    """Instead: the lecture's network with one hidden layer of 200 units and batch normalisation."""
    hidden: int = 100
    gain: float = 5 / 3
    steps: int = 6_000
    lr: float = 0.1
    stack: int = 0
    """Linear layers of the stack; its other settings follow."""
    stack_gain: float = 5 / 3
    stack_lr: float = 0.1
    stack_steps: int = 700
    batch_size: int = 32
    context: int = 3
    embedding: int = 10
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        numbers = {1: ("steps", "stack_steps", "context", "embedding", "hidden", "depth"), 0: ("stack",)}
        check(self, one_of={"norm": ("none", "batch", "layer", "group")}, at_least=numbers)

    @property
    def training(self) -> TrainConfig:
        steps, lr = (self.stack_steps, self.stack_lr) if self.stack else (self.steps, self.lr)
        at = 0.5 if self.stack else 0.75  # the lecture lowers the rate of its deep network after 150,000 of 200,000
        return training(self, steps=steps, lr=lr, lr_decay_at=at)


NORMS = {"batch": "batch norm", "none": "no norm"}
GAINS = (0.5, 1.0, 5 / 3, 3.0, 10.0)
HIGH = 0.5
SWEEP = [
    {"depth": (6,), "norm": ("batch",), "gain": (1.0,)},  # as in the lecture: what is normalised needs no gain
    {"depth": (6,), "norm": ("none",), "gain": (5 / 3,)},
    {"shallow": (True,)},
    {"stack": (20,), "norm": tuple(NORMS), "stack_gain": GAINS},
    {"stack": (20,), "norm": tuple(NORMS), "stack_lr": (HIGH,)},
]
QUICK = {"steps": 1_500, "stack_steps": 100, "stack_gain": (0.5, 5 / 3)}
FULL = {"steps": 200_000, "stack_steps": 2_000}


def cost(config: Config) -> float:
    """In steps of the lecture's network, about: a layer costs a quarter of one, with normalisation almost the half."""
    steps = config.training.steps
    return steps * (1.4 if config.shallow else (config.stack or config.depth) * (0.4 if config.norm == "none" else 0.7))


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    corpus = load(config.data, config.context)
    rngs = generators(config.seed)
    shape: dict[str, Any] = {
        "vocab_size": len(corpus.vocabulary),
        "context": config.context,
        "rng": rngs.init,
        "embedding": config.embedding,
    }
    model: MLP | DeepMLP
    if config.shallow:
        model = MLP(stage="batchnorm", **shape)
    else:
        depth, gain = (config.stack, config.stack_gain) if config.stack else (config.depth, config.gain)
        model = DeepMLP(norm=config.norm, depth=depth, gain=gain, hidden=config.hidden, **shape)
    first = corpus.train.x[:256], corpus.train.y[:256]
    arrays = propagation(model, *first) if isinstance(model, DeepMLP) else {}
    steps = config.training.steps
    with np.errstate(all="ignore"):  # a network that blows up is a result
        losses = fit(model, *corpus.train, config.training, on_step=lambda step, loss: progress(step, steps))
        summary: dict[str, Any] = {"val_loss": evaluate(model, *corpus.val), "letters_loss": letters_loss(corpus)}
        if not config.stack:
            summary["train_loss"] = evaluate(model, *corpus.train)
            summary["names"] = sample(model, corpus.vocabulary, 12, rngs.sampling)
    summary["parameters"] = sum(p.size for p in model.parameters())
    step, loss = thinned(losses)
    return Result(summary, {"step": step, "loss": loss}, arrays)


def propagation(model: DeepMLP, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Before training, layer by layer: how much of the input is left, and how much gradient arrives.

    `signal` is the standard deviation over examples of a unit's output, averaged over units: what tells two inputs
    apart. `gradient` is the standard deviation of the gradient at those outputs.
    """
    before = model.state_dict()
    h: Tensor = model.embedding(x).reshape(len(x), -1)
    hidden: list[Tensor] = []
    for layer in model.layers:
        h = layer(h)
        if isinstance(layer, nn.Tanh):
            h.retain_grad()
            hidden.append(h)
    cross_entropy(h, y).backward()
    signal = [float(t.numpy().std(axis=0).mean()) for t in hidden]
    gradient = [float(np.std(t.grad)) for t in hidden if t.grad is not None]
    model.zero_grad()
    model.load_state_dict(before)
    return {"signal": np.array(signal), "gradient": np.array(gradient)}


def letters_loss(corpus: data.Corpus) -> float:
    """Validation loss of who knows only how frequent each character is: of a network whose input does not matter."""
    counts = np.bincount(corpus.train.y, minlength=len(corpus.vocabulary))
    with no_grad():
        logits = np.log(np.maximum(counts, 1e-9))
    return float(cross_entropy(np.broadcast_to(logits, (len(corpus.val.y), len(logits))).copy(), corpus.val.y).item())


# -- what it shows -----------------------------------------------------------------------------------------------------


def measure(records: Records) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name, own in networks(records).items():
        found[f"val/{name}"] = own.values("val_loss")
        found[f"gap/{name}"] = own.values("val_loss") - own.values("train_loss")
    for (depth, norm), own in records.where(stack=bool).by("stack", "norm").items():
        usual = own.where(stack_lr=0.1)
        by_gain = {gain: at.values("val_loss") for gain, at in usual.by("stack_gain").items()}
        fast = own.where(stack_lr=HIGH).values("val_loss")
        found |= {f"{depth}/{norm}/gain {fraction(gain)}": v for gain, v in by_gain.items()}
        found |= {f"{depth}/{norm}/letters": usual.where(stack_gain=0.5).values("letters_loss")}
        every = [*by_gain.values(), *([fast] if len(fast) else [])]
        if not (by_gain and paired(every)):
            continue
        found[f"{depth}/{norm}/range"] = np.ptp(list(by_gain.values()), axis=0)
        found[f"{depth}/{norm}/best"] = chosen_elsewhere(dict(enumerate(every)))[0]
        if len(fast) and 5 / 3 in by_gain:
            found[f"{depth}/{norm}/fast"] = fast
            found[f"{depth}/{norm}/rates"] = np.abs(fast - by_gain[5 / 3])
    return found


def networks(records: Records) -> dict[str, Records]:
    """The networks trained in full: "batch", "none" (six layers) and "shallow"."""
    full = records.where(stack=0)
    found = {"shallow": full.where(shallow=True)} | full.where(shallow=False).by("norm")
    return {name: own for name, own in found.items() if len(own)}


NAMES = {"batch": "six layers, batch norm", "none": "six layers, no norm", "shallow": "one hidden layer, batch norm"}


def tables(records: Records) -> Iterator[Table]:
    trained = networks(records)
    columns = [Column("parameters", "{parameters:,.0f}"), Column("training", "train_loss", 4)]
    columns += [Column("validation", "val_loss", 4)]
    short = any(own[0].config.steps < 200_000 for own in trained.values())
    note = "{steps:,} steps" + ("; the documents’ 2.10 is of 200,000." if short else ".")
    yield table("Trained in full: loss", "Network", trained, columns, note, NAMES)

    def weights(config: SimpleNamespace) -> str:
        return f"gain {config.stack_gain:.3g}" + (f", rate {config.stack_lr:g}" if config.stack_lr != 0.1 else "")

    for deep in records.where(stack=bool).by("stack").values():
        columns = across("val_loss", norm={norm: NORMS.get(norm, norm) for norm in deep.by("norm")})
        note = (
            "Validation loss after {stack_steps:,} steps, rate 0.1 unless another is named. Who knows only how "
            "frequent each letter is loses {letters_loss:.3f}."
        )
        yield table("A stack of {stack} layers", "Weights", deep.named(weights), columns, note)
    for name in [name for name in ("batch", "none") if name in trained][:1]:
        yield sampled(trained[name][0].summary["names"], NAMES[name])


# -- pictures ----------------------------------------------------------------------------------------------------------


def plot(records: Records) -> Iterator[Picture]:
    stacks = records.where(stack=bool).by("stack")
    for depth, deep in stacks.items():
        suffix = "" if len(stacks) == 1 else f"_{depth}"
        yield from pictures(**{f"gain{suffix}": loss_by_gain, f"layers{suffix}": by_layer})(deep)
    yield from pictures(losses=loss_curves)(records)


def loss_by_gain(deep: Records) -> style.Figure:
    """Normalised, the stack learns from any start. Left alone it learns as well or better at the right gain, and
    nothing at all below it: every input then looks the same to its last layer. The weights of size 1 with which the
    lecture begins are a gain of 10 here.
    """
    figure, axes = style.figure(height=3.6)
    ends = []
    usual = deep.where(stack_lr=0.1)
    for norm, own in usual.by("norm").items():
        values = sorted((gain, at.values("val_loss")) for gain, at in own.by("stack_gain").items())
        x, y = [gain for gain, _ in values], [losses for _, losses in values]
        ends.append((x[-1], style.means(axes, x, y, style.colour(norm))[-1], NORMS.get(norm, norm), style.colour(norm)))
    xlog = {gain: fraction(gain) for gain in sorted(usual.by("stack_gain"))}
    title = deep.fill("{stack} layers: validation loss after {stack_steps:,} steps")
    style.frame(axes, title, "gain of the weights, logarithmic", xlog=xlog)
    axes.margins(y=0.12)
    style.guide(axes, deep.mean("letters_loss"), "knows letter frequencies only", at=0.2)
    style.label_ends(axes, ends)
    return figure


def by_layer(deep: Records) -> style.Figure:
    """Before training. Forward: how much two different inputs still differ after each layer. Backward: the size of the
    gradient on its way from the last hidden layer (right) to the first (left). With gain 0.5 both die out.
    Normalisation holds the signal, and makes the gradient grow in every layer it passes.
    """
    figure, both = style.figure(1, 2, height=3.7, sharex=True)
    first = deep.where(seed=deep[0].seed, stack_lr=0.1)
    shown = [("none", 0.5, (0, (3, 2))), ("none", 5 / 3, "-"), ("batch", 5 / 3, "-")]
    for axes, name, title in zip(both, ("signal", "gradient"), ("Forward", "Backward"), strict=True):
        for norm, gain, dashes in shown:
            for record in first.where(norm=norm, stack_gain=gain):
                y = record.arrays[name]
                y = y / (y[0] if name == "signal" else y[-1])
                axes.plot(np.arange(1, len(y) + 1), y, color=style.colour(norm), linestyle=dashes)
        style.frame(axes, title, "hidden layer", ylog=())
    both[0].set_ylabel("signal, relative to layer 1")
    both[1].set_ylabel(f"gradient, relative to layer {deep[0].config.stack - 1}")
    low, high = zip(*(axes.get_ylim() for axes in both), strict=True)
    for axes in both:
        axes.set_ylim(max(min(low), 1e-12), max(high) * 3)
    handles = [
        both[0].plot([], [], color=style.colour(norm), ls=dashes, label=f"{NORMS[norm]}, gain {fraction(gain)}")[0]
        for norm, gain, dashes in shown
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=10.5, columnspacing=1.2)
    return figure


@where(stack=0)
def loss_curves(records: Records) -> style.Figure:
    """Loss of the minibatch, averaged over ever longer stretches: six layers of 100 units with and without batch
    normalisation, and the shallow network of 200 units.
    """
    figure, axes = style.figure(height=3.5)
    hues = {"shallow": "grey"}
    ends = curves(axes, networks(records), "step", "loss", NORMS, hues, linewidth=1.8)
    steps = records[0].config.steps
    style.over_steps(axes, steps, first=10)
    style.frame(axes, "Six layers and two: training loss", xlim=(10, steps))
    style.label_ends(axes, ends)
    return figure


NEXT = [
    "Less noise in the statistics: `--set batch_size=128 --set steps=5000`.",
    "A stack of another height, at other gains: `--set stack=30 --set stack_gain=1,5/3,2`.",
    "Layer normalisation in place of batch normalisation: `--set norm=layer`.",
    "The lecture's network wider, for longer: `--set hidden=200 --set steps=100000`.",
]
