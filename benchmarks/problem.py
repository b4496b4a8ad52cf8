"""A piece of work as arrays: the same initial parameters and the same batches for every peer, in plain NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

VOCABULARY, CONTEXT, EMBEDDING = 27, 3, 10


class Layer(NamedTuple):
    """The names of the parameters of one linear layer and what follows it."""

    W: str
    b: str | None
    gamma: str | None
    beta: str | None
    tanh: bool


@dataclass
class Problem:
    """What a peer gets: it turns this into a function `step(*feed)` that returns a number.

    In training, the number is the loss before the update. Batch normalisation is the same for everyone: the biased
    variance normalises, eps is 1e-5, and running statistics move by 0.1, the variance by its unbiased value.
    """

    parameters: dict[str, Array] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    feeds: list[tuple[Array, ...]] = field(default_factory=lambda: [()])
    options: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["options"][name]
        except KeyError:
            raise AttributeError(name) from None


def make(kind: str, options: dict[str, Any], directory: Path) -> Problem:
    """The problem of this kind; `directory` holds the data that `benchmarks.inputs` wrote."""
    return MAKERS[kind](directory=directory, **options)


def network(
    net: str, hidden: int, batch_norm: bool, depth: int = 6, seed: int = 0
) -> tuple[dict[str, Array], list[Layer]]:
    """Parameters of the lecture's MLP ("lecture") or of its deep network ("deep"), initialised as the lecture does."""
    rng = np.random.default_rng(seed)
    parameters = {"C": rng.standard_normal((VOCABULARY, EMBEDDING))}
    layers = []
    widths = [CONTEXT * EMBEDDING] + [hidden] * (1 if net == "lecture" else depth - 1) + [VOCABULARY]
    for k, (n_in, n_out) in enumerate(pairwise(widths), 1):
        last = k == len(widths) - 1
        norm = batch_norm and not (last and net == "lecture")
        gamma, beta = ("gamma", "beta") if net == "lecture" else (f"gamma{k}", f"beta{k}")
        layer = Layer(f"W{k}", None if norm else f"b{k}", gamma if norm else None, beta if norm else None, not last)
        gain = 5 / 3 if not last or norm else 0.1
        parameters[layer.W] = rng.standard_normal((n_in, n_out)) * gain / math.sqrt(n_in)
        if layer.b:
            parameters[layer.b] = np.zeros(n_out)
        if layer.gamma and layer.beta:
            parameters[layer.gamma] = np.full(n_out, 0.1 if last else 1.0)
            parameters[layer.beta] = np.zeros(n_out)
        layers.append(layer)
    return {name: value.astype(np.float32) for name, value in parameters.items()}, layers


def train(net: str, batch: int, hidden: int, batch_norm: bool, directory: Path) -> Problem:
    """Stochastic gradient descent on the names; wide networks get a learning rate at which they stay stable."""
    parameters, layers = network(net, hidden, batch_norm)
    with np.load(directory / "corpus.npz") as corpus:
        x, y = corpus["x"], corpus["y"]
    rng = np.random.default_rng(1)
    rows = rng.integers(len(x), size=(max(2, min(64, 65536 // batch)), batch))
    options = {
        "net": net,
        "hidden": hidden,
        "batch_norm": batch_norm,
        "lr": 0.1 * min(1.0, 200 / hidden),
        "batch": batch,
    }
    return Problem(parameters, layers, [(x[k], y[k]) for k in rows], options)


def instruments(every: int, directory: Path, **options: Any) -> Problem:
    """Training in which every `every`-th step is recorded."""
    problem = train(directory=directory, **options)
    problem.options["every"] = every
    return problem


def trained(directory: Path) -> tuple[dict[str, Array], list[Layer], dict[str, Any]]:
    """The lecture's MLP with batch normalisation after a little training."""
    parameters, layers = network("lecture", 200, True)
    with np.load(directory / "trained.npz") as saved:
        parameters = {name: saved[name] for name in parameters}
        running = {name: saved[name] for name in ("running_mean", "running_var")}
    return parameters, layers, {"net": "lecture", "hidden": 200, "batch_norm": True, "lr": 0.1, **running}


def evaluate(rows: int, directory: Path) -> Problem:
    """The mean loss over (at most) so many rows of the training split."""
    parameters, layers, options = trained(directory)
    with np.load(directory / "corpus.npz") as corpus:
        feed = corpus["x"][:rows], corpus["y"][:rows]
    return Problem(parameters, layers, [feed], options)


def sample(names: int, directory: Path) -> Problem:
    """Draw names; the number returned is their mean length."""
    parameters, layers, options = trained(directory)
    return Problem(parameters, layers, options=options | {"names": names})


def convolution(batch: int, size: int, directory: Path) -> Problem:
    """Two of (3×3 convolution, batch normalisation, relu), the mean of each channel, a linear layer to ten classes."""
    rng = np.random.default_rng(0)
    parameters: dict[str, Array] = {}
    for k, (n_in, n_out) in enumerate([(1, 8), (8, 16)], 1):
        parameters[f"K{k}"] = rng.standard_normal((n_out, n_in, 3, 3)) * math.sqrt(2 / (9 * n_in))
        parameters[f"gamma{k}"], parameters[f"beta{k}"] = np.ones(n_out), np.zeros(n_out)
    parameters["W"], parameters["b"] = rng.standard_normal((16, 10)) / 4, np.zeros(10)
    feeds: list[tuple[Array, ...]] = [
        (rng.standard_normal((batch, 1, size, size)).astype(np.float32), rng.integers(10, size=batch)) for _ in range(8)
    ]
    return Problem({k: v.astype(np.float32) for k, v in parameters.items()}, feeds=feeds, options={"lr": 0.05})


GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def shapes(net: str, hidden: int, embedding: int) -> dict[str, tuple[int, ...]]:
    """The parameters of a network of models/ in its order: a recurrent one, "wavenet" or "transformer" of 4 blocks."""
    body: dict[str, tuple[int, ...]]
    if net in GATES:
        columns = GATES[net] * hidden
        body = {"W_ih": (embedding, columns), "W_hh": (hidden, columns), "b_ih": (columns,), "b_hh": (columns,)}
    elif net == "wavenet":
        body = {"W0": (2 * embedding, hidden), "W1": (2 * hidden, hidden), "W2": (2 * hidden, hidden)}
        body |= {f"{name}{k}": (hidden,) for k in range(3) for name in ("gamma", "beta")}
    else:
        block = {
            "W_qkv": (embedding, 3 * embedding), "b_qkv": (3 * embedding,),
            "W_out": (embedding, embedding), "b_out": (embedding,),
            "W_up": (embedding, hidden), "b_up": (hidden,), "W_down": (hidden, embedding), "b_down": (embedding,),
            "gamma_1": (embedding,), "beta_1": (embedding,), "gamma_2": (embedding,), "beta_2": (embedding,),
        }  # fmt: skip
        body = {f"{name}{k}": shape for k in range(4) for name, shape in block.items()}
        body |= {"gamma": (embedding,), "beta": (embedding,)}
    return {"C": (VOCABULARY, embedding), **body,
            "W": (embedding if net == "transformer" else hidden, VOCABULARY), "b": (VOCABULARY,)}  # fmt: skip


def sequences(
    net: str, directory: Path, hidden: int = 64, embedding: int = 10, length: int = 16, batch: int = 32
) -> Problem:
    """Training on characters drawn at random: a target at each of `length` positions, or for "wavenet" one behind."""
    rng = np.random.default_rng(0)
    parameters = {}
    for name, shape in shapes(net, hidden, embedding).items():
        scale = 1.0 if name == "C" else 1 / math.sqrt(shape[0])
        parameters[name] = rng.standard_normal(shape) * scale if len(shape) == 2 else np.zeros(shape)
        if name.startswith("gamma"):
            parameters[name] += 1
    feeds: list[tuple[Array, ...]] = [
        (rng.integers(VOCABULARY, size=(batch, length)), rng.integers(VOCABULARY, size=(batch, length)))
        for _ in range(16)
    ]
    if net == "wavenet":
        feeds = [(x, y[:, 0]) for x, y in feeds]
    options = {"net": net, "hidden": hidden, "embedding": embedding, "length": length, "lr": 0.05}
    return Problem({k: v.astype(np.float32) for k, v in parameters.items()}, [], feeds, options)


def chain(nodes: int, directory: Path) -> Problem:
    """x ← 0.9999 x + 0.001, over and over, on a single number; the number returned is dx."""
    return Problem(feeds=[(np.array(0.5, np.float32),)], options={"nodes": nodes})


def node(operation: str, directory: Path) -> Problem:
    """A hundred times the same elementwise operation on 8×8 numbers, and back; dx is returned."""
    rng = np.random.default_rng(0)
    feed = tuple(rng.uniform(0.5, 1.0, (8, 8)).astype(np.float32) for _ in range(2))
    return Problem(feeds=[feed], options={"operation": operation, "nodes": 100})


def function(name: str, case: int, directory: Path) -> Problem:
    """One registered function on the case-th of its cases, forward and backward."""
    return Problem(options={"name": name, "case": case})


def large(operation: str, directory: Path, rows: int = 4096, width: int = 1024) -> Problem:
    """One function forward and backward on so many rows, or a convolution of as many numbers; returns Σy + Σdx."""
    rng = np.random.default_rng(0)
    if operation == "conv2d":
        images = (max(1, rows // 64), 16, 64, width // 16)
        parameters = {"x": rng.standard_normal(images), "w": rng.standard_normal((16, 16, 3, 3)) / 12}
        shape: tuple[int, ...] = images
    else:
        parameters = {"x": rng.standard_normal((rows, width))}
        shape = rows, width
        if operation.endswith("norm"):
            parameters |= {"w": rng.uniform(0.5, 1.5, width), "b": rng.standard_normal(width)}
    feeds: list[tuple[Array, ...]] = [(rng.standard_normal(shape).astype(np.float32),)]
    return Problem({k: v.astype(np.float32) for k, v in parameters.items()}, [], feeds, {"operation": operation})


MAKERS: dict[str, Any] = {
    "train": train,
    "instruments": instruments,
    "evaluate": evaluate,
    "sample": sample,
    "convolution": convolution,
    "chain": chain,
    "node": node,
    "function": function,
    "large": large,
    "program": train,
    "sequences": sequences,
    "sequences_program": sequences,
}
