"""Six layers and twenty: what batch normalisation does for a deep network.

The lecture ends by stacking six linear layers with batch normalisation in between and calls the result stable where
everything before was brittle. This lesson trains that network to the end, beside the same network without
normalisation and the shallow one; then it stacks twenty layers and turns the gain, to see what there is to repair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import models
from experiments import style
from experiments.claims import Above, Below, Between, Claim
from experiments.experiment import Picture, Result, Table
from experiments.lessons.stages import spread, thinned
from experiments.records import Records
from experiments.runner import Progress
from experiments.tables import fraction
from models.deep_mlp import DeepMLP
from models.training import TrainConfig, evaluate, fit, generators, sample
from npgrad import Tensor, data, nn, no_grad
from npgrad.functions import cross_entropy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    steps: int = 12_000
    lr: float = 0.1
    stack: int = 0
    """Linear layers of the stack; its other settings follow."""
    stack_gain: float = 5 / 3
    stack_lr: float = 0.1
    stack_steps: int = 1_000
    batch_size: int = 32
    context: int = 3
    embedding: int = 10
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.norm not in ("none", "batch", "layer", "group"):
            raise ValueError(f"there is no norm {self.norm!r}; there are none, batch, layer, group.")
        if min(self.steps, self.stack_steps, self.context, self.embedding, self.hidden, self.depth) < 1:
            raise ValueError("steps, stack_steps, context, embedding, hidden and depth must be 1 or more.")
        if self.stack < 0:
            raise ValueError(f"stack must be 0 or a number of layers; got {self.stack}.")
        self.training  # noqa: B018 (raises for settings that make no sense)

    @property
    def training(self) -> TrainConfig:
        steps, lr = (self.stack_steps, self.stack_lr) if self.stack else (self.steps, self.lr)
        return TrainConfig(steps=steps, lr=lr, batch_size=self.batch_size, seed=self.seed)


NORMS = {"batch": "batch norm", "none": "no norm"}
GAINS = (0.5, 1.0, 5 / 3, 3.0, 10.0)
HIGH = 0.5
SWEEP = [
    {"depth": (6,), "norm": tuple(NORMS)},
    {"shallow": (True,)},
    {"stack": (20,), "norm": tuple(NORMS), "stack_gain": GAINS},
    {"stack": (20,), "norm": tuple(NORMS), "stack_lr": (HIGH,)},
]
QUICK = {"steps": 1_500, "stack_steps": 100, "stack_gain": (0.5, 5 / 3)}
FULL = {"steps": 200_000, "stack_steps": 2_000, "stack": (20, 50)}


def cost(config: Config) -> float:
    """In steps of the lecture's network, about: a layer costs a quarter of one, with normalisation almost the half."""
    steps = config.training.steps
    return steps * (1.4 if config.shallow else (config.stack or config.depth) * (0.4 if config.norm == "none" else 0.7))


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    corpus = data.load(config.data, config.context)
    rngs = generators(config.seed)
    shape: dict[str, Any] = {
        "vocab_size": len(corpus.vocabulary),
        "context": config.context,
        "rng": rngs.init,
        "embedding": config.embedding,
    }
    if config.shallow:
        model = models.build("mlp", stage="batchnorm", **shape)
    else:
        depth, gain = (config.stack, config.stack_gain) if config.stack else (config.depth, config.gain)
        model = models.build("deep_mlp", norm=config.norm, depth=depth, gain=gain, hidden=config.hidden, **shape)
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
    stacks = Records([r for r in records if r.config.stack])
    for depth, deep in stacks.by("stack").items():
        found[f"letters/{depth}"] = deep.values("letters_loss")[:1]
        for norm, own in deep.by("norm").items():
            usual = own.where(stack_lr=0.1)
            for gain, at in usual.by("stack_gain").items():
                found[f"{depth}/{norm}/gain {gain:.2g}"] = at.values("val_loss")
            fast = own.where(stack_lr=HIGH)
            found[f"{depth}/{norm}/fast"] = fast.values("val_loss")
            by_seed = [r.values("val_loss") for r in usual.by("seed").values() if len(r) > 1]
            found[f"{depth}/{norm}/range"] = np.array([np.ptp(v) for v in by_seed])
            # The best over gains and learning rates, chosen for each seed: what a search would find.
            found[f"{depth}/{norm}/best"] = np.array([r.values("val_loss").min() for r in own.by("seed").values()])
            slow = usual.where(stack_gain=5 / 3).values("val_loss")
            if len(slow) == len(fast):
                found[f"{depth}/{norm}/rates"] = np.abs(found[f"{depth}/{norm}/fast"] - slow)
    return found


def networks(records: Records) -> dict[str, Records]:
    """The networks trained in full: "batch", "none" (six layers) and "shallow"."""
    full = records.where(stack=0)
    found = {"shallow": full.where(shallow=True)} | full.where(shallow=False).by("norm")
    return {name: own for name, own in found.items() if len(own)}


NAMES = {"batch": "six layers, batch norm", "none": "six layers, no norm", "shallow": "one hidden layer, batch norm"}
HUES = {"batch": "batch", "none": "none", "shallow": "grey"}

CLAIMS = [
    Claim("essential",
          "Batch normalisation is essential for training deep networks effectively: without it, six layers end worse.",
          source=5, quantity="val/none", predicate=Above("val/batch"), format=".4f", says="worse", budget="default",
          note="Six tanh layers whose weights have Kaiming's scale conserve activations and gradients by themselves, "
               "and nothing is left for normalisation to repair, while the statistics of 32 examples add noise. Of "
               "128 they add less, and the difference shrinks to a third: `--set batch_size=128`."),
    Claim("small-gain",
          "A stack of twenty layers with weights too small learns nothing about its input without normalisation.",
          source=(1, 4), quantity="20/none/gain 0.5", predicate=Above(2.75), format=".3f", says="vanishes",
          budget="default"),
    Claim("small-gain-repaired", "Batch normalisation makes the same stack train.",
          source=(2, 4), quantity="20/batch/gain 0.5", predicate=Below("20/none/gain 0.5"), format=".3f", says="works",
          budget="default"),
    Claim("too-large", "Weights without the factor 1/√fan_in, harmless in a shallow network, are not so in a deep one.",
          source=2, quantity="20/none/gain 10", predicate=Above("20/none/gain 1.7"), format=".3f",
          says="would not work", budget="default"),
    Claim("pencil",
          "Without normalisation a very deep network is hypersensitive to the scale of its weights; with it, it is "
          "not: the losses over gains 0.5 to 10 differ less.",
          source=(2, 4), quantity="20/batch/range", predicate=Below("20/none/range"), format=".3f",
          says="less fragile", budget="default"),
    Claim("high-rate", "Batch normalisation allows a learning rate at which the plain stack fails.",
          source=4, quantity="20/batch/fast", predicate=Below("20/none/fast"), format=".3f", says="allowed",
          budget="default"),
    Claim("rates",
          "Training is more stable across learning rates: five times the rate changes the loss less with "
          "normalisation.",
          source=5, quantity="20/batch/rates", predicate=Below("20/none/rates"), format=".3f", says="more stable",
          budget="default"),
    Claim("accelerates",
          "Thanks to higher learning rates, normalisation drastically accelerates training: after as many steps its "
          "best stack of twenty layers is well ahead of the best without.",
          source=(4, 5), quantity="20/batch/best",
          predicate=lambda value, means: value < means.get("20/none/best", np.nan) - 0.1, format=".3f",
          says="drastically", budget="default",
          note="The best plain stack needs the right gain, 1 to 5/3, and then learns as fast. Normalisation widens "
               "the range of settings that work; it does not raise the speed of the best of them."),
    Claim("fifty",
          "Batch normalisation made it possible to train networks of fifty layers, which unstable activations "
          "prevented.",
          source=3, quantity="50/batch/best", predicate=Below("50/none/best"), format=".3f", says="enabled",
          budget="full",
          note="That was for convolutions with residual connections. In a plain stack the gradient grows by a factor "
               "of about 1.16 in every normalised tanh layer (Yang et al. 2019 say why), a thousandfold over fifty, "
               "and by 1.10 without normalisation."),
    Claim("not-depth",
          "After all repairs the loss stays at about 2.10, and not for want of optimisation: five hidden layers of "
          "100, well normalised and trained in full, end there too.",
          source=4, quantity="val/batch", value=2.10, tolerance=0.05, predicate=Between(2.0, 2.2), format=".4f",
          budget="full"),
    Claim("overfits-less",
          "The jitter of its batches keeps a normalised network from overfitting: its two losses are closer.",
          source=(1, 2, 4), quantity="gap/batch", predicate=Below("gap/none"), format=".4f", says="closer",
          budget="default"),
]  # fmt: skip


def tables(records: Records) -> list[Table]:
    made = []
    trained = networks(records)
    if trained:
        rows = [
            [
                NAMES.get(name, name),
                f"{own[0].summary['parameters']:,}",
                spread(own.values("train_loss"), 4),
                spread(own.values("val_loss"), 4),
            ]
            for name, own in trained.items()
        ]
        first = next(iter(trained.values()))
        steps = first[0].config.steps
        note = f"{steps:,} steps{'' if steps >= 200_000 else '; the documents’ 2.10 is of 200,000'}."
        made.append(Table("Trained in full: loss", ["Network", "parameters", "training", "validation"], rows, note))
    for depth, deep in Records([r for r in records if r.config.stack]).by("stack").items():
        norms = deep.by("norm")
        rows = [
            [
                f"gain {gain:.3g}",
                *(spread(own.values("val_loss", stack_gain=gain, stack_lr=0.1), 3) for own in norms.values()),
            ]
            for gain in deep.where(stack_lr=0.1).by("stack_gain")
        ]
        rows += [
            [f"gain 1.67, rate {rate:g}", *(spread(own.values("val_loss", stack_lr=rate), 3) for own in norms.values())]
            for rate in deep.by("stack_lr")
            if rate != 0.1
        ]
        note = (
            f"Validation loss after {deep[0].config.stack_steps:,} steps, rate 0.1 unless another is named. Who knows "
            f"only how frequent each letter is loses {deep.mean('letters_loss'):.3f}."
        )
        made.append(Table(f"A stack of {depth} layers", ["Weights", *(NORMS.get(n, n) for n in norms)], rows, note))
    deepest = trained.get("batch", trained.get("none"))
    if deepest:
        names = deepest[0].summary["names"]
        made.append(
            Table(
                f"{len(names)} names, sampled from the network with {NAMES[deepest[0].config.norm]}",
                [""] * 4,
                [names[k : k + 4] for k in range(0, len(names), 4)],
            )
        )
    return made


# -- pictures ----------------------------------------------------------------------------------------------------------


def plot(records: Records) -> Iterator[Picture]:
    stacks = Records([r for r in records if r.config.stack])
    for depth, deep in stacks.by("stack").items():
        suffix = "" if depth == next(iter(stacks.by("stack"))) else f"_{depth}"
        yield Picture(f"gain{suffix}", *loss_by_gain(deep, depth))
        yield Picture(f"layers{suffix}", *by_layer(deep, depth))
    if networks(records):
        yield Picture("losses", *loss_curves(records))


def loss_by_gain(deep: Records, depth: int) -> tuple[Figure, str]:
    figure, axes = style.figure(height=3.6)
    ends = []
    usual = deep.where(stack_lr=0.1)
    gains = sorted(usual.by("stack_gain"))
    for norm, own in usual.by("norm").items():
        values = [own.values("val_loss", stack_gain=gain) for gain in gains]
        known = [(gain, v) for gain, v in zip(gains, values, strict=True) if len(v)]
        x, y = [gain for gain, _ in known], [v.mean() for _, v in known]
        sd = [v.std(ddof=1) if len(v) > 1 else 0 for _, v in known]
        hue = style.colour(norm)
        axes.errorbar(x, y, yerr=sd if any(sd) else None, color=hue, marker="o", markersize=8, capsize=4)
        ends.append((x[-1], y[-1], NORMS.get(norm, norm), hue))
    style.logarithmic(axes, gains, [fraction(gain) for gain in gains])
    axes.set_xlabel("gain of the weights, logarithmic")
    axes.margins(y=0.12)
    style.title(axes, f"{depth} layers: validation loss after {deep[0].config.stack_steps:,} steps")
    style.guide(axes, deep.mean("letters_loss"), "knows letter frequencies only", at=0.2)
    style.label_ends(axes, ends)
    return figure, (
        "Normalised, the stack learns from any start. Left alone it learns as well or better at the right gain, and "
        "nothing at all below it: every input then looks the same to its last layer. The weights of size 1 with which "
        "the lecture begins are a gain of 10 here."
    )


def by_layer(deep: Records, depth: int) -> tuple[Figure, str]:
    figure, both = style.figure(1, 2, height=3.7, sharex=True)
    first = deep.where(seed=deep[0].seed, stack_lr=0.1)
    shown = [("none", 0.5), ("none", 5 / 3), ("batch", 5 / 3)]
    dashes = {0.5: (0, (3, 2)), 5 / 3: "solid"}
    for axes, name, what in zip(both, ("signal", "gradient"), ("Forward", "Backward"), strict=True):
        for norm, gain in shown:
            for record in first.where(norm=norm, stack_gain=gain):
                y = record.arrays[name]
                y = y / (y[0] if name == "signal" else y[-1])
                axes.plot(np.arange(1, len(y) + 1), y, color=style.colour(norm), linestyle=dashes[gain])
        style.logarithmic(axes, along="y")
        axes.set_xlabel("hidden layer")
        style.title(axes, what)
    both[0].set_ylabel("signal, relative to layer 1")
    both[1].set_ylabel(f"gradient, relative to layer {depth - 1}")
    low = min(axes.get_ylim()[0] for axes in both)
    high = max(axes.get_ylim()[1] for axes in both)
    for axes in both:
        axes.set_ylim(max(low, 1e-12), high * 3)
    styles = [(f"{NORMS[norm]}, gain {'5/3' if gain != 0.5 else '0.5'}", norm, gain) for norm, gain in shown]
    handles = [
        both[0].plot([], [], color=style.colour(norm), linestyle=dashes[gain], label=text)[0]
        for text, norm, gain in styles
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=10.5, columnspacing=1.2)
    return figure, (
        "Before training. Forward: how much two different inputs still differ after each layer. Backward: the size of "
        "the gradient on its way from the last hidden layer (right) to the first (left). With gain 0.5 both die out. "
        "Normalisation holds the signal, and makes the gradient grow in every layer it passes."
    )


def loss_curves(records: Records) -> tuple[Figure, str]:
    figure, axes = style.figure(height=3.5)
    ends = []
    for name, own in networks(records).items():
        step = own[0].series["step"]
        loss = np.mean([r.series["loss"] for r in own], axis=0)
        hue = style.colour(HUES.get(name, "blue"))
        axes.plot(step, loss, color=hue, linewidth=1.8, label=NAMES.get(name, name))
        ends.append((step[-1], loss[-1], {"shallow": "shallow"}.get(name, NORMS.get(name, name)), hue))
    steps = int(records.where(stack=0)[0].config.steps)
    style.over_steps(axes, steps, first=10)
    axes.set_xlim(10, steps)
    style.title(axes, "Six layers and two: training loss")
    style.label_ends(axes, ends)
    return figure, (
        "Loss of the minibatch, averaged over ever longer stretches: six layers of 100 units with and without batch "
        "normalisation, and the shallow network of 200 units."
    )


NEXT = [
    "Less noise in the statistics: `--set batch_size=128 --set steps=5000`.",
    "A stack of another height, at other gains: `--set stack=30 --set stack_gain=1,5/3,2`.",
    "Layer normalisation in place of batch normalisation: `--set norm=layer`.",
    "The lecture's network wider, for longer: `--set hidden=200 --set steps=100000`.",
]
