"""Through time: gradients of recurrent networks, plain and gated.

The lecture looks at activations and gradients because recurrent networks come next: unrolled, they are as deep as a
text is long, with the same weights in every layer. This lesson sends a gradient back through fifty characters, before
training and after, and trains each network to say which character it read first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

import models
import npgrad
from experiments import style
from experiments.claims.through_time import CLAIMS as CLAIMS
from experiments.curves import frequency_loss, rms, thinned
from experiments.experiment import Result, Table, locate
from experiments.pictures import pictures, where
from experiments.records import Records, mean_curve, measured
from experiments.runner import Progress
from experiments.settings import check
from experiments.tables import Column, number, table
from models.training import generators
from npgrad import Tensor, data, no_grad, optim
from npgrad.diagnose import Monitor
from npgrad.functions import cross_entropy

ORDER = 15

QUESTION = "What is left of a gradient after fifty steps back through time, and what do gates and clipping change?"
EXPECTATION = (
    "Every step multiplies the gradient by the same recurrent weights and by a slope of tanh below 1: it should vanish "
    "where the weights are small and explode where they are large. A gate that mostly keeps the old state lets the "
    "gradient pass by, whatever the weights."
)

# -- configuration -----------------------------------------------------------------------------------------------------

CELLS = ("rnn", "gru", "lstm")


@dataclass(frozen=True)
class Config:
    """A network that reads the training names as one text, ".emma.olivia.ava…"."""

    cell: str = "rnn"
    gain: float = 1.0
    """The recurrent weights are orthogonal matrices times this: the singular values and |eigenvalues| of each."""
    forget_bias: float = 1.0
    """Of the LSTM alone."""
    length: int = 50
    """Steps that the gradient goes back."""
    delay: int = 20
    """Characters after which the first of them is to be said."""
    optimizer: str = "adam"
    lr: float = 0.003
    clip: float = 0.0
    """The largest norm of the gradient; 0 for no limit."""
    steps: int = 120
    batch_size: int = 32
    hidden: int = 64
    data: str = "data/names.txt"
    seed: int = 0

    def __post_init__(self) -> None:
        sizes = ("length", "delay", "steps", "batch_size", "hidden")
        check(self, one_of={"cell": CELLS, "optimizer": OPTIMIZERS}, at_least={1: sizes, 0: ("gain", "clip", "lr")})


OPTIMIZERS = {"sgd": optim.SGD, "adam": optim.Adam}
CLIPPED = {"cell": ("rnn",), "gain": (3.0,), "optimizer": ("sgd",), "lr": (0.1,), "clip": (0.0, 1.0)}
SWEEP = [
    {"cell": ("rnn",), "gain": (0.5, 1.0, 1.5, 3.0)},
    {"cell": ("gru",)},
    {"cell": ("lstm",), "forget_bias": (0.0, 1.0)},
    CLIPPED,
]
QUICK = {"steps": 60}
FULL = {"steps": 2_000}


def cost(config: Config) -> float:
    return (config.steps + 20) * config.delay * {"rnn": 1, "gru": 3, "lstm": 4}[config.cell]


# -- one run -----------------------------------------------------------------------------------------------------------


def run(config: Config, progress: Progress) -> Result:
    words = data.read_words(locate(config.data))
    vocabulary = data.Vocabulary(words)
    train, val, _ = (text(part, vocabulary) for part in data.split(words))
    rngs = generators(config.seed)
    model = network(config, len(vocabulary), rngs.init)
    passages = stretches(val, config.length)[:: max(len(val) // 64, 1)]
    before = gradients(model, passages, rngs.sampling)

    monitor = Monitor(model, every=max(config.steps // 12, 1))
    losses = recall(model, stretches(train, config.delay), config, rngs.batches, monitor, progress)
    after = gradients(model, passages, rngs.sampling)

    asked = stretches(val, config.delay)[:: max(len(val) // 1_000, 1)]
    nothing = frequency_loss(asked[:, 0])
    with no_grad():
        loss = cross_entropy(model.following(asked)[0], asked[:, 0]).item()
    seen = monitor.record
    ratio = seen.update_to_data[:, list(seen.parameter_name).index("recurrent.weight_hh_l0")]
    step, mean = thinned(losses)
    return Result(
        summary={
            "left": before["gradient"][-1],
            "left_after": after["gradient"][-1],
            "by_mean": before["by_mean"][-1],
            "by_mean_square": before["by_mean_square"][-1],
            "loss": loss,
            "remembered": 1 - loss / nothing,
            "largest_update": float(np.log10(ratio.max())),
        },
        series={"back": np.arange(config.length + 1), **before, "after": after["gradient"]},
        arrays={"step": step, "loss": mean / nothing, "watched": seen.step, "ratio": ratio},
    )


def text(words: list[str], vocabulary: data.Vocabulary) -> np.ndarray:
    return vocabulary.encode("".join(data.BOUNDARY + word for word in words))


def stretches(characters: np.ndarray, length: int) -> np.ndarray:
    """All stretches of `length` + 1 characters, one per row. Raises ValueError if there is none."""
    if len(characters) <= length:
        raise ValueError(f"{len(characters)} characters of text have no stretch of {length + 1}: take more words")
    return np.lib.stride_tricks.sliding_window_view(characters, length + 1)


def network(config: Config, characters: int, rng: np.random.Generator) -> Any:
    model: Any = models.build(config.cell, vocab_size=characters, context=1, rng=rng, hidden=config.hidden)
    recurrent = model.recurrent
    recurrent.weight_hh_l0.data = recurrent.weight_hh_l0.numpy() * config.gain
    if config.cell == "lstm":
        bias = recurrent.bias_ih_l0.numpy().copy()
        bias[config.hidden : 2 * config.hidden] = config.forget_bias
        recurrent.bias_ih_l0.data = bias
    return model


def gradients(model: Any, passages: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The gradient of the state 0, 1, 2, … steps back, its root mean square over that of the last hidden state.

    Of the LSTM the state is hidden state and cell together. And what two rules say of the plain network: each step back
    multiplies by the spectral radius of the recurrent weights, and by the mean slope of tanh, 1 − h², or by its root
    mean square.
    """
    emb = model.embedding(passages)
    state: Any = None
    states: list[tuple[Tensor, ...]] = []
    for t in range(passages.shape[1]):
        _, state = model.recurrent(emb[:, t : t + 1], state)
        states.append(state if isinstance(state, tuple) else (state,))
        for part in states[-1]:
            part.retain_grad()
    last = states[-1][0]
    last.backward(rng.normal(size=last.shape))
    parts = [[part.grad for part in step if part.grad is not None] for step in reversed(states)]
    size = np.array([np.sqrt(sum(rms(g) ** 2 for g in step)) for step in parts])
    model.zero_grad()

    W = model.recurrent.weight_hh_l0.numpy()
    radius = np.abs(np.linalg.eigvals(W[:, : len(W)])).max()
    slopes = [1 - step[0].numpy().astype(float) ** 2 for step in reversed(states[1:])]
    rules = {"by_mean": [s.mean() for s in slopes], "by_mean_square": [rms(s) for s in slopes]}
    return {"gradient": size / size[0]} | {
        name: np.concatenate([[1.0], np.cumprod(radius * np.array(values))]) for name, values in rules.items()
    }


def recall(
    model: Any, passages: np.ndarray, config: Config, rng: np.random.Generator, monitor: Monitor, progress: Progress
) -> np.ndarray:
    """Train to say the first character after reading them all; the loss of each step."""
    optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.lr)

    @npgrad.compile
    def update(x: np.ndarray, y: np.ndarray) -> Tensor:
        loss = cross_entropy(model.following(x)[0], y)
        optimizer.zero_grad()
        loss.backward()
        if config.clip:
            optim.clip_grad_norm(model.parameters(), config.clip)
        optimizer.step()
        return loss

    batches = data.Batches(passages, passages[:, 0], config.batch_size, rng)
    losses = np.empty(config.steps)
    for step in range(config.steps):
        with monitor.watch(step):
            losses[step] = update(*next(batches)).item()
        progress(step, config.steps)
    return losses


# -- what it shows -----------------------------------------------------------------------------------------------------


def name_of(config: SimpleNamespace) -> str:
    if config.optimizer == "sgd":
        return f"clip {config.clip:g}" if config.clip else "no clip"
    options = {"rnn": f" {config.gain:g}", "lstm": f" {config.forget_bias:g}"}
    return config.cell + options.get(config.cell, "")


def measure(records: Records) -> dict[str, np.ndarray]:
    groups = records.named(name_of)
    found = measured(groups, "left", "left_after", "remembered", "largest_update", "loss")
    for name, own in groups.items():
        for rule in ("by_mean", "by_mean_square"):
            with np.errstate(divide="ignore"):
                found[f"{rule}/{name}"] = np.log(own.values("left")) / np.log(own.values(rule))
    return found


def label(name: str) -> str:
    """What a reader calls it."""
    cell, _, number = name.partition(" ")
    plain = f"plain, gain {CLIPPED['gain'][0]:g}, SGD, {name}"
    return {"rnn": f"plain, gain {number}", "gru": "GRU", "lstm": f"LSTM, forget bias {number}"}.get(cell, plain)


def tables(records: Records) -> Iterator[Table]:
    def geometric(name: str) -> Callable[[Records], str]:
        return lambda own: number(float(np.exp(np.log(own.values(name)).mean())), ".1g")

    columns = [
        Column("left", geometric("left")),
        Column("by mean slope", lambda own: number(own.mean("by_mean"), ".1g"), cell="rnn"),
        Column("by its square", lambda own: number(own.mean("by_mean_square"), ".1g"), cell="rnn"),
        Column("left after training", geometric("left_after")),
        Column("remembered", "remembered", 2),
        Column("update", "largest_update", 1),
    ]
    note = (
        "Geometric means over seeds. By mean slope: spectral radius times the mean of 1 − h², step by step; by its "
        "square: times the root mean square. Remembered: after {steps:,} steps, the share of what there is to know of "
        "a character {delay} back: 1 − loss/entropy of the letters, 0 for one who knows how frequent they are. Update: "
        "log10 of update to data of the recurrent weights, the largest of those looked at."
    )
    groups = records.named(lambda config: label(name_of(config)))
    yield table("What is left of a gradient after {length} steps back", "Network", groups, columns, note)


def adaptive(optimizer: str) -> bool:
    return optimizer != "sgd"


def hue(name: str, names: list[str]) -> Any:
    """Plain networks in shades by gain, gated ones in colours of their own."""
    plain = [n for n in names if n.startswith("rnn")]
    if name in plain:
        return style.layer(plain.index(name), len(plain))
    return style.colour({"gru": "green", "lstm 0": "orange"}.get(name, "vermillion"))


@where(optimizer=adaptive)
def through_time(records: Records) -> style.Figure:
    """Size of the gradient of the state on its way back through time, relative to the last step. Dashed, what is
    predicted of the plain networks: spectral radius times the root mean square of the slopes of tanh, step by step.
    """
    figure, panels = style.figure(1, 2, height=4.2, sharey=True)
    groups = records.named(name_of)
    for axes, name, title in zip(panels, ("gradient", "after"), ("Before training", "After training"), strict=True):
        for one, own in groups.items():
            back = own[0].series["back"]
            axes.plot(back, mean_curve(own, name, geometric=True), color=hue(one, list(groups)), label=label(one))
            if name == "gradient" and one.startswith("rnn"):
                predicted = mean_curve(own, "by_mean_square", geometric=True)
                axes.plot(back, predicted, color=style.paper(), linestyle=style.DASHED, linewidth=1.2)
        style.frame(axes, title, "steps back", ylog=())
    style.legend_above(figure, *panels[1].get_legend_handles_labels(), 3)
    return figure


@where(optimizer=adaptive)
def learning(records: Records) -> style.Figure:
    """Each network learns, with Adam, to say the first character of a text after reading all; 1 is the entropy of the
    letters.
    """
    figure, axes = style.figure(height=3.6)
    groups = records.named(name_of)
    step = records[0].arrays["step"]
    ends = style.lines(
        axes, ((step, mean_curve(own, "loss"), label(name), hue(name, list(groups))) for name, own in groups.items())
    )
    style.guide(axes, 1.0, "letter frequencies")
    style.over_steps(axes, step[-1], 10)
    style.frame(axes, records.fill("Loss on the character {delay} back, relative"), ylim=(0, 1.2))
    style.label_ends(axes, ends)
    return figure


@where(optimizer="sgd")
def clipping(records: Records) -> style.Figure:
    """A plain network whose gradients explode (gain 3), trained with SGD: without a limit, and with gradients of norm 1
    at most.
    """
    figure, axes = style.figure(height=3.2)
    ends = []
    for (name, own), colour in zip(records.named(name_of).items(), ("vermillion", "blue"), strict=False):
        ratio = np.mean([np.log10(r.arrays["ratio"]) for r in own], axis=0)
        ends += style.lines(axes, [(own[0].arrays["watched"], ratio, name, style.colour(colour))])
    style.guide(axes, -3.0, "the lecture's −3", at=0.35)
    style.frame(axes, "Update to data of the recurrent weights, log10", "step")
    style.label_ends(axes, ends)
    return figure


plot = pictures(time=through_time, recall=learning, clipping=clipping)

NEXT = [
    "Between vanishing and exploding: `--set cell=rnn --set gain=1.8,2.2`.",
    "A memory for longer: `--set delay=40 --set steps=2000`.",
    "Other limits: `--set clip=0.1,10`.",
]
