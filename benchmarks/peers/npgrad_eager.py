"""npgrad as it comes: the models of this repository, and a training step in five lines."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import models
from benchmarks.cases import draw
from benchmarks.problem import CONTEXT, EMBEDDING, VOCABULARY, Array, Problem
from models.training import mean_loss
from npgrad import Tensor, nn
from npgrad import functions as F
from npgrad.data import Vocabulary
from npgrad.functions import registry
from npgrad.optim import SGD

convert = np.asarray

Step = Callable[..., Any]


def plainly(step: Step) -> Step:
    return step


def build(problem: Problem) -> models.CharacterModel:
    """The repository's own model with the problem's parameters."""
    norm = problem.batch_norm
    if problem.net == "lecture":
        options: dict[str, Any] = {"stage": "batchnorm" if norm else "kaiming"}
    else:
        options = {"norm": "batch" if norm else "none", "depth": len(problem.layers)}
    model = models.build(
        "mlp" if problem.net == "lecture" else "deep_mlp",
        vocab_size=VOCABULARY,
        context=CONTEXT,
        rng=np.random.default_rng(0),
        embedding=EMBEDDING,
        hidden=problem.hidden,
        momentum=0.1,
        ddof=0,
        **options,
    )
    for parameter, value in zip(model.parameters(), problem.parameters.values(), strict=True):
        parameter.data = value
    return model


def update(model: models.CharacterModel, lr: float) -> Step:
    """A training step in five lines."""
    optimizer = SGD(model.parameters(), lr=lr)

    def step(x: Array, y: Array) -> Tensor:
        loss = mean_loss(model, x, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def train(problem: Problem, mode: Callable[[Step], Step] = plainly) -> Step:
    step = mode(update(build(problem), problem.lr))
    return lambda x, y: step(x, y).item()


def instruments(problem: Problem, mode: Callable[[Step], Step] = plainly) -> Step:
    """Training watched by a `Monitor`: histograms of activations and gradients, saturation, gradients and updates."""
    from npgrad.diagnose import Monitor

    model = build(problem)
    optimizer = SGD(model.parameters(), lr=problem.lr)
    monitor = Monitor(model, optimizer, every=problem.every)
    count = itertools.count()

    @mode
    def step(x: Array, y: Array) -> Tensor:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    def watched(x: Array, y: Array) -> float:
        with monitor.watch(next(count)):
            return step(x, y).item()

    return watched


def trained(problem: Problem) -> models.CharacterModel:
    model = build(problem)
    assert isinstance(model, models.MODELS["mlp"])  # type: ignore[arg-type]
    model.norm.running_mean[:] = problem.running_mean
    model.norm.running_var[:] = problem.running_var
    return model


def evaluate(problem: Problem) -> Step:
    from models.training import evaluate

    model = trained(problem)
    return lambda x, y: evaluate(model, x, y)


def sample(problem: Problem) -> Step:
    from models.training import sample

    model, vocabulary = trained(problem), Vocabulary("abcdefghijklmnopqrstuvwxyz")
    rng = np.random.default_rng(0)
    return lambda: sum(map(len, sample(model, vocabulary, problem.names, rng))) / problem.names


class Convolutions(nn.Module):
    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1, bias=False, rng=rng)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1, bias=False, rng=rng)
        self.norm2 = nn.BatchNorm2d(16)
        self.output = nn.Linear(16, 10, rng=rng)

    def forward(self, x: Any) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        logits: Tensor = self.output(x.mean(axis=(2, 3)))
        return logits


def convolution(problem: Problem, mode: Callable[[Step], Step] = plainly) -> Step:
    model = Convolutions()
    for parameter, value in zip(model.parameters(), problem.parameters.values(), strict=True):
        parameter.data = value
    optimizer = SGD(model.parameters(), lr=problem.lr)

    @mode
    def step(x: Array, y: Array) -> Tensor:
        loss = F.cross_entropy(model(Tensor(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return lambda x, y: step(x, y).item()


def sequence_model(problem: Problem) -> models.CharacterModel:
    """The repository's own model of a sequence with the problem's parameters."""
    model = models.build(
        problem.net,
        vocab_size=VOCABULARY,
        context=problem.length,
        rng=np.random.default_rng(0),
        embedding=problem.embedding,
        hidden=problem.hidden,
    )
    for parameter, value in zip(model.parameters(), problem.parameters.values(), strict=True):
        parameter.data = value
    return model


def sequences(problem: Problem, mode: Callable[[Step], Step] = plainly) -> Step:
    step = mode(update(sequence_model(problem), problem.lr))
    return lambda x, y: step(x, y).item()


def chain(problem: Problem) -> Step:
    x = Tensor(problem.feeds[0][0], requires_grad=True)

    def step() -> None:
        y = x
        for _ in range(problem.nodes // 2):
            y = y * 0.9999 + 0.001
        y.backward()

    def once(start: Array) -> float:
        x.grad = None
        step()
        assert x.grad is not None
        return float(x.grad)

    return once


NODES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": F.tanh,
    "multiply": lambda x: x * 0.999,
    "negative": lambda x: -x,
}


def node(problem: Problem, mode: Callable[[Step], Step] = plainly) -> Step:
    operation, x = NODES[problem.operation], Tensor(problem.feeds[0][0], requires_grad=True)

    @mode
    def step(dy: Array) -> Tensor:
        y = x
        for _ in range(problem.nodes):
            y = operation(y)
        y.backward(dy)
        return y.detach()  # somebody has to read y, or a program leaves it out

    def once(start: Array, dy: Array) -> Array | None:
        x.grad = None
        step(dy)
        return x.grad

    return once


def function(problem: Problem, mode: Callable[[Step], Step] = plainly) -> Step:
    case = draw(problem)
    cls = registry[problem.name]
    inputs = [Tensor(x, requires_grad=True) if is_float(x) else x for x in case.inputs]
    leaves = [x for x in inputs if isinstance(x, Tensor)]
    dy = np.random.default_rng(0).standard_normal(cls.apply(*inputs, **case.options).shape)

    @mode
    def step() -> Tensor:
        for leaf in leaves:
            leaf.grad = None
        y = cls.apply(*inputs, **case.options)
        y.backward(dy)
        return y.detach()

    return step


LARGE: dict[str, Callable[..., Tensor]] = {
    "softmax": lambda x: F.softmax(x, axis=1),
    "layer_norm": lambda x, w, b: F.layer_norm(x, w.shape, w, b),
    "group_norm": lambda x, w, b: F.group_norm(x, 32, w, b),
    "gelu": lambda x: F.gelu(x),
    "conv2d": lambda x, w: F.conv2d(x, w, padding=1),
}


def large(problem: Problem, mode: Callable[[Step], Step] = plainly) -> Step:
    leaves = [Tensor(value, requires_grad=True) for value in problem.parameters.values()]
    operation = LARGE[problem.operation]

    @mode
    def step(dy: Array) -> Tensor:
        for leaf in leaves:
            leaf.grad = None
        y = operation(*leaves)
        y.backward(dy)
        return y.detach().sum()  # somebody has to read y, or a program leaves it out

    def once(dy: Array) -> Any:
        total = step(dy)
        return lambda: total.item() + np.sum(leaves[0].grad)

    return once


def is_float(x: object) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"
