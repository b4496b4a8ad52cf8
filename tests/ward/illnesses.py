"""Illnesses: each a function that spoils a healthy case and says at which layers it may be named."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from npgrad import Tensor, nn, optim
from tests.ward.case import STEPS, Array, Case, hold_back, multiply, rebatch, train, weighted
from tests.ward.networks import Net, conv, dense


def overconfident(case: Case, rng: np.random.Generator, factor: float = 100) -> None:
    name, last = weighted(case)[-1]
    multiply(last, factor)
    case.layers["overconfident output"] = {name}


def saturated(case: Case, rng: np.random.Generator, factor: float = 6) -> None:
    kinds = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Tanh | nn.Sigmoid
    pairs = [(n, m) for n, m in case.model.named_modules() if isinstance(m, kinds)]
    name, first = pairs[0]
    multiply(first, factor * (1 if isinstance(pairs[1][1], nn.Tanh) else 5 / 3))
    case.layers["saturated units"] = {name, pairs[1][0]}


def all_saturated(case: Case, rng: np.random.Generator, factor: float = 4) -> None:
    for _, m in weighted(case)[:-1]:
        multiply(m, factor)
    saturated_names = {n for n, m in case.model.named_modules() if isinstance(m, nn.Tanh)}
    case.layers["saturated units"] = {n for n, _ in weighted(case)} | saturated_names


def dead(case: Case, rng: np.random.Generator, share: float = 0.7) -> None:
    """A large negative bias."""
    hidden = weighted(case)[:-1]
    name, m = hidden[len(hidden) // 2]
    m.bias.data = m.bias.data - np.float32(30) * (rng.random(m.bias.shape) < share)
    modules = list(case.model.named_modules())[[n for n, _ in case.model.named_modules()].index(name) :]
    last = next(k for k, (_, after) in enumerate(modules) if isinstance(after, nn.ReLU | nn.LeakyReLU))
    case.layers["dead units"] = {n for n, _ in modules[: last + 1]}  # a norm may stand before the activation


def knocked_out(case: Case, rng: np.random.Generator) -> None:
    for group in case.optimizer.param_groups:
        group["lr"] *= 300
    case.layers["learning rate too high"] = set()


def too_high(case: Case, rng: np.random.Generator, factor: float = 60) -> None:
    for group in case.optimizer.param_groups:
        group["lr"] *= factor


def too_low(case: Case, rng: np.random.Generator, factor: float = 1000) -> None:
    for group in case.optimizer.param_groups:
        group["lr"] /= factor


def shrinking(case: Case, rng: np.random.Generator, factor: float = 0.2) -> None:
    for _, m in weighted(case)[:-1]:
        multiply(m, factor)
    case.layers["signal shrinks with depth"] = {n for n, _ in weighted(case)[:-1]}


def growing(case: Case, rng: np.random.Generator, factor: float = 5) -> None:
    for _, m in weighted(case)[:-1]:
        multiply(m, factor)
    case.layers["signal grows with depth"] = {n for n, _ in weighted(case)[:-1]}


def symmetric(case: Case, rng: np.random.Generator) -> None:
    chain = weighted(case)
    for _, m in chain[:-1]:
        m.weight.data = np.full(m.weight.shape, 0.1, np.float32)
    chain[-1][1].weight.data = np.full(chain[-1][1].weight.shape, 0.1, np.float32)
    case.layers["identical units"] = {n for n, _ in chain[:-1]}


def zero(case: Case, rng: np.random.Generator) -> None:
    for _, m in weighted(case):
        m.weight.data = np.zeros(m.weight.shape, np.float32)
    case.layers["identical units"] = {n for n, _ in weighted(case)[:-1]}


def biased(case: Case, rng: np.random.Generator) -> None:
    """A bias before a batch normalisation."""
    named = list(case.model.named_modules())
    found = set()
    for (name, m), (_, after) in itertools.pairwise(named):
        if isinstance(m, nn.Linear | nn.Conv2d) and isinstance(after, nn.BatchNorm1d | nn.BatchNorm2d):
            m.bias = nn.Parameter(np.zeros(after.num_features, np.float32))
            found |= {name, name + ".bias"}
    case.optimizer = type(case.optimizer)(case.model.parameters(), **case.optimizer.defaults)
    case.layers["bias useless before norm"] = found


def fast_statistics(case: Case, rng: np.random.Generator) -> None:
    for m in case.model.modules():
        if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d):
            m.momentum = 0.9
    rebatch(case, case.batches.x, case.batches.y, 12)


def unsettled(case: Case, rng: np.random.Generator, momentum: float = 1e-4) -> None:
    """Trained for a while with a momentum that is much too slow."""
    for m in case.model.modules():
        if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d):
            m.momentum = momentum
    for (_, m), (_, after) in itertools.pairwise(case.model.named_modules()):
        if isinstance(m, nn.Linear | nn.Conv2d) and isinstance(after, nn.BatchNorm1d | nn.BatchNorm2d):
            multiply(m, 4)  # which the normalisation undoes in training
    train(case, 200)


def tiny_batches(case: Case, rng: np.random.Generator) -> None:
    rebatch(case, case.batches.x, case.batches.y, 3)


def eval_training(case: Case, rng: np.random.Generator) -> None:
    case.model.eval()


def train_evaluation(case: Case, rng: np.random.Generator) -> None:
    x, y = case.batches.x[:200], case.batches.y[:200]
    case.options["evaluate"] = lambda: case.loss(case.model(x), y).item()


def decaying(case: Case, rng: np.random.Generator, every: int = 4, factor: float = 0.4) -> None:
    case.options["schedule"] = optim.StepLR(case.optimizer, every, factor)


def frozen(case: Case, rng: np.random.Generator) -> None:
    name, m = weighted(case)[len(weighted(case)) // 2]
    m.weight.requires_grad = False
    case.layers["frozen parameter"] = {name + ".weight"}


def unlisted(case: Case, rng: np.random.Generator) -> None:
    name, m = weighted(case)[0]
    left = [p for p in case.model.parameters() if p is not m.weight]
    case.optimizer = type(case.optimizer)(left, **case.optimizer.defaults)
    case.layers["not in the optimiser"] = {name + ".weight"}


def unused(case: Case, rng: np.random.Generator) -> None:
    case.model.spare = nn.Linear(8, 8, rng=rng)
    case.optimizer = type(case.optimizer)(case.model.parameters(), **case.optimizer.defaults)
    case.layers["unused parameter"] = {"spare.weight"}


class Detached(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.detach()


def detached(case: Case, rng: np.random.Generator) -> None:
    layers = case.model.layers
    modules = list(layers)
    at = len(modules) // 2
    case.model.layers = nn.Sequential(*modules[:at], Detached(), *modules[at:])
    case.layers["detached parameter"] = {n for n, _ in case.model.named_parameters()}


def stale(case: Case, rng: np.random.Generator) -> None:
    model, loss_of = case.model, case.loss

    def step(x: Array, y: Array) -> Tensor:
        loss = loss_of(model(x), y)
        loss.backward()
        case.optimizer.step()
        return loss

    case.options["step"] = step


def summed(case: Case, rng: np.random.Generator) -> None:
    mean = case.loss
    case.loss = lambda output, y: mean(output, y) * float(len(y))


def decayed(case: Case, rng: np.random.Generator, share: float = 0.15) -> None:
    rate = case.optimizer.param_groups[0]["lr"]
    adam = isinstance(case.optimizer, optim.Adam)
    kind = optim.AdamW if adam else optim.SGD
    options = {} if adam else {"momentum": case.optimizer.param_groups[0]["momentum"]}
    effective = rate / (1 - options.get("momentum", 0.0))
    case.optimizer = kind(case.model.parameters(), lr=rate, weight_decay=share / effective, **options)


def shuffled(case: Case, rng: np.random.Generator) -> None:
    rebatch(case, case.batches.x, rng.permutation(case.batches.y))


def constant_column(case: Case, rng: np.random.Generator) -> None:
    x = case.batches.x.copy()
    x[:, 4] = 1
    rebatch(case, x, case.batches.y)
    case.layers["constant input"] = {"column 4"}


def unscaled_column(case: Case, rng: np.random.Generator, factor: float = 300) -> None:
    x = case.batches.x.copy()
    x[:, 7] *= factor
    rebatch(case, x, case.batches.y)
    case.layers["unscaled input"] = {"column 7"}


def pixels(case: Case, rng: np.random.Generator) -> None:
    x = case.batches.x
    rebatch(case, ((x - x.min()) / np.ptp(x) * 255).astype(np.float32), case.batches.y)
    case.layers["unscaled input"] = {"input"}


def repeated(case: Case, rng: np.random.Generator) -> None:
    fresh = [next(case.batches) for _ in range(30)]
    case.batches = [fresh[k % 7] for k in range(30)]


def shifted(case: Case, rng: np.random.Generator) -> None:
    rebatch(case, case.batches.x, np.roll(case.batches.y, -1, axis=0))


def leaked(case: Case, rng: np.random.Generator) -> None:
    x, y = case.batches.x.copy(), case.batches.y
    x[:, 2] = y.reshape(len(y))
    rebatch(case, x, y)
    case.layers["label leak"] = {"column 2"}


def few(case: Case, rng: np.random.Generator, examples: int = 48) -> None:
    x, y = case.batches.x, case.batches.y
    case.options["validation"] = (x[1000:2000], y[1000:2000])
    rebatch(case, x[:examples], y[:examples])
    case.steps = 4 * STEPS


def narrow(case: Case, rng: np.random.Generator, times: int = 1) -> None:
    """A hidden layer of one or two units, trained until it learns no more; `times` as many for comparison."""
    embedding = case.model.embedding
    width = case.batches.x.shape[1] * (embedding.weight.shape[1] if embedding is not None else 1)
    outputs = weighted(case)[-1][1].weight.shape[1]
    layers = [nn.Linear(width, times * (2 if embedding is not None else 1), rng=rng), nn.Tanh()]
    case.model = Net(embedding, *layers, nn.Linear(layers[0].weight.shape[1], outputs, rng=rng, gain=0.1))
    case.optimizer = optim.Adam(case.model.parameters(), lr=0.01)
    hold_back(case)
    train(case, 1500)
    case.layers["underfitting"] = {"layers.0"}


def fitted(
    case: Case,
    rng: np.random.Generator,
    widths: tuple[int, ...] = (2,),
    act: str = "Tanh",
    norm: str | None = None,
    times: int = 1,
) -> None:
    """Hidden layers of these widths, trained until they learn no more; `times` as many units for comparison.

    Whether it is ill depends on what the data ask for.
    """
    embedding = case.model.embedding
    first = case.batches.x.shape[1] * (embedding.weight.shape[1] if embedding is not None else 1)
    outputs = weighted(case)[-1][1].weight.shape[1]
    hidden = dense(
        rng,
        [first, *[times * width for width in widths], outputs],
        getattr(nn, act),
        1.5,
        getattr(nn, norm) if norm is not None else None,
    )
    case.model = Net(embedding, *hidden)
    train_out(case)
    least = np.argmin(widths)
    case.layers["underfitting"] = {weighted(case)[least][0]}


def channels(case: Case, rng: np.random.Generator, count: int = 1, times: int = 1) -> None:
    """As `fitted`: a convolution with so many channels."""
    outputs = weighted(case)[-1][1].weight.shape[1]
    kernels = conv(rng, case.batches.x.shape[1], times * count, nn.ReLU, 1.4)
    left = times * count * (case.batches.x.shape[2] // 4) ** 2
    last = nn.Linear(left, outputs, rng=rng, gain=0.1)
    case.model = Net(None, *kernels, nn.MaxPool2d(4), nn.Flatten(), last)
    train_out(case)
    case.layers["underfitting"] = {"layers.0"}


def train_out(case: Case) -> None:
    """Train until nothing is gained any more, by Adam; then the case's own optimiser, from its beginning."""
    hold_back(case)
    own = case.optimizer
    for rate, steps in ((0.01, 1200), (0.002, 400)):
        case.optimizer = optim.Adam(case.model.parameters(), lr=rate)
        train(case, steps)
    case.optimizer = type(own)(case.model.parameters(), **own.defaults)


def slowed(case: Case, rng: np.random.Generator, steps: int = 40, factor: float = 300) -> None:
    """A learning rate that is too low from some step on."""
    hold_back(case)
    train(case, steps)
    too_low(case, rng, factor)


def trained_shuffled(case: Case, rng: np.random.Generator, steps: int = 200) -> None:
    shuffled(case, rng)
    hold_back(case)
    train(case, steps)


def trained_unsettled(case: Case, rng: np.random.Generator, momentum: float = 1e-4) -> None:
    hold_back(case)
    unsettled(case, rng, momentum)


def short(case: Case, rng: np.random.Generator, context: int = 1) -> None:
    """Windows of one character, and a network that has learnt what they tell."""
    rebatch(case, case.batches.x[:, -context:], case.batches.y)
    hold_back(case)
    embedding = case.model.embedding
    columns = case.batches.x.shape[1] * embedding.weight.shape[1]
    case.model = Net(embedding, *dense(rng, [columns, 48, embedding.weight.shape[0]], nn.Tanh, 5 / 3))
    case.optimizer = optim.Adam(case.model.parameters(), lr=0.01)
    train(case, 600)
    case.optimizer = optim.Adam(case.model.parameters(), lr=0.002)
    train(case, 300)
    case.layers["context too short"] = {"input"}


def uneven(case: Case, rng: np.random.Generator) -> None:
    name, m = weighted(case)[1]
    rest = [p for p in case.model.parameters() if p is not m.weight]
    lr = case.optimizer.param_groups[0]["lr"]
    options = {k: v for k, v in case.optimizer.defaults.items() if k != "lr"}
    groups: list[Any] = [{"params": rest, "lr": lr}, {"params": [m.weight], "lr": lr * 1e-4}]
    case.optimizer = type(case.optimizer)(groups, lr=lr, **options)
    case.layers["uneven updates"] = {name, name + ".weight"}
