"""The ward: healthy and sick training set-ups, built by code from (data, network, optimiser, illness).

A set-up is a recipe: `build(seed)` makes the patient. Illnesses are functions that spoil a healthy patient, so each
meets every architecture it makes sense for, alone and in pairs.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npgrad import Tensor, data, nn, optim
from npgrad import functions as F
from npgrad.data import Batches

STEPS = 80
BATCH = 32
Array = np.ndarray


@dataclass
class Case:
    """What `doctor.examine` is given."""

    model: nn.Module
    loss: Callable[[Any, Any], Tensor]
    batches: Any
    optimizer: optim.Optimizer
    steps: int = STEPS
    options: dict[str, Any] = field(default_factory=dict)
    layers: dict[str, set[str]] = field(default_factory=dict)
    """For an illness, the layers or parameters that may be named first."""


@dataclass(frozen=True)
class Setup:
    """One bed of the ward."""

    name: str
    illnesses: tuple[str, ...]
    """The findings that are right; empty if healthy."""
    build: Callable[[int], Case]


# -- data --------------------------------------------------------------------------------------------------------------


@functools.cache
def names() -> tuple[Array, Array]:
    corpus = data.load("data/names.txt", 3)
    return corpus.train.x[:20_000], corpus.train.y[:20_000]


def table(rng: np.random.Generator, n: int = 3000) -> tuple[Array, Array]:
    """Twelve numbers, five classes, a boundary that is not linear."""
    x = rng.standard_normal((n, 12)).astype(np.float32)
    h = np.tanh(x @ rng.standard_normal((12, 16)) * 0.6)
    return x, (h @ rng.standard_normal((16, 5)) + 0.2 * rng.standard_normal((n, 5))).argmax(1)


def images(rng: np.random.Generator, n: int = 2000) -> tuple[Array, Array]:
    """Four patterns of 8 × 8 under noise, moved about."""
    patterns = rng.standard_normal((4, 8, 8))
    y = rng.integers(4, size=n)
    x = np.stack([np.roll(patterns[k], tuple(rng.integers(-1, 2, 2)), (0, 1)) for k in y])
    x = x + 0.7 * rng.standard_normal(x.shape)
    return (x / x.std())[:, None].astype(np.float32), y


def numbers(rng: np.random.Generator, n: int = 3000) -> tuple[Array, Array]:
    """Regression: ten numbers to one."""
    x = rng.standard_normal((n, 10)).astype(np.float32)
    y = np.sin(x[:, 0] * 1.5) + x[:, 1] * x[:, 2] + 0.7 * x[:, 3] + 0.1 * rng.standard_normal(n)
    return x, (y / y.std()).astype(np.float32)[:, None]


def mse(output: Tensor, y: Array) -> Tensor:
    return F.mse_loss(output, y)


# -- networks ----------------------------------------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self, embedding: nn.Module | None, *layers: nn.Module) -> None:
        self.embedding, self.layers = embedding, nn.Sequential(*layers)

    def forward(self, x: Any) -> Tensor:
        if self.embedding is not None:
            x = self.embedding(x)
            x = x.reshape(len(x), x.shape[1] * x.shape[2])
        elif not isinstance(x, Tensor):
            x = Tensor(x)
        return self.layers(x)


class Block(nn.Module):
    """x + f(x)."""

    def __init__(self, *layers: nn.Module) -> None:
        self.f = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.f(x)


def dense(
    rng: np.random.Generator, widths: list[int], act: type[nn.Module], gain: float, norm: type[nn.Module] | None = None
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths[:-1]):
        layers.append(nn.Linear(a, b, norm is not nn.BatchNorm1d, rng=rng, gain=gain))
        layers += [norm(b)] if norm is not None else []
        layers.append(act())
    return [*layers, nn.Linear(widths[-2], widths[-1], rng=rng, gain=0.1)]


ROOT2 = 2**0.5
ARCHITECTURES: dict[str, tuple[str, Callable[[np.random.Generator], nn.Module]]] = {
    "names-tanh": ("names", lambda r: Net(nn.Embedding(27, 8, rng=r), *dense(r, [24, 64, 27], nn.Tanh, 5 / 3))),
    "names-bn": (
        "names",
        lambda r: Net(nn.Embedding(27, 8, rng=r), *dense(r, [24, 64, 27], nn.Tanh, 5 / 3, nn.BatchNorm1d)),
    ),
    "deep-tanh": ("table", lambda r: Net(None, *dense(r, [12, 48, 48, 48, 48, 5], nn.Tanh, 5 / 3))),
    "deep-relu": ("table", lambda r: Net(None, *dense(r, [12, 48, 48, 48, 48, 5], nn.ReLU, ROOT2))),
    "deep-tanh-bn": (
        "names",
        lambda r: Net(nn.Embedding(27, 8, rng=r), *dense(r, [24, 48, 48, 48, 48, 27], nn.Tanh, 5 / 3, nn.BatchNorm1d)),
    ),
    "deep-relu-ln": ("table", lambda r: Net(None, *dense(r, [12, 48, 48, 48, 48, 5], nn.ReLU, ROOT2, nn.LayerNorm))),
    "sigmoid": ("table", lambda r: Net(None, *dense(r, [12, 48, 5], nn.Sigmoid, 1.5))),
    "regression": ("numbers", lambda r: Net(None, *dense(r, [10, 48, 48, 1], nn.ReLU, ROOT2))),
    "regression-tanh": ("numbers", lambda r: Net(None, *dense(r, [10, 48, 1], nn.Tanh, 5 / 3))),
    "conv": (
        "images",
        lambda r: Net(
            None,
            nn.Conv2d(1, 8, 3, padding=1, rng=r, gain=ROOT2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 12, 3, padding=1, rng=r, gain=ROOT2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(192, 32, rng=r, gain=ROOT2),
            nn.ReLU(),
            nn.Linear(32, 4, rng=r, gain=0.1),
        ),
    ),
    "conv-bn": (
        "images",
        lambda r: Net(
            None,
            nn.Conv2d(1, 8, 3, padding=1, bias=False, rng=r, gain=ROOT2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 12, 3, padding=1, bias=False, rng=r, gain=ROOT2),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(192, 4, rng=r, gain=0.1),
        ),
    ),
    "residual": (
        "table",
        lambda r: Net(
            None,
            nn.Linear(12, 48, rng=r),
            *[
                Block(
                    nn.Linear(48, 24, False, rng=r, gain=ROOT2),
                    nn.BatchNorm1d(24),
                    nn.ReLU(),
                    nn.Linear(24, 48, rng=r, gain=0.5),
                )
                for _ in range(4)
            ],
            nn.Linear(48, 5, rng=r, gain=0.1),
        ),
    ),
}
SECOND: dict[str, tuple[str, Callable[[np.random.Generator], nn.Module]]] = {
    "names-relu": ("names", lambda r: Net(nn.Embedding(27, 6, rng=r), *dense(r, [18, 96, 64, 27], nn.ReLU, ROOT2))),
    "names-wide-bn": (
        "names",
        lambda r: Net(nn.Embedding(27, 10, rng=r), *dense(r, [30, 128, 27], nn.ReLU, ROOT2, nn.BatchNorm1d)),
    ),
    "six-tanh": ("table", lambda r: Net(None, *dense(r, [12, *[32] * 6, 5], nn.Tanh, 1.4))),
    "six-relu": ("table", lambda r: Net(None, *dense(r, [12, *[32] * 6, 5], nn.ReLU, ROOT2))),
    "gelu": ("table", lambda r: Net(None, *dense(r, [12, 64, 64, 5], nn.GELU, ROOT2))),
    "leaky-bn": ("table", lambda r: Net(None, *dense(r, [12, 40, 40, 40, 5], nn.LeakyReLU, ROOT2, nn.BatchNorm1d))),
    "tanh-ln": (
        "names",
        lambda r: Net(nn.Embedding(27, 8, rng=r), *dense(r, [24, 64, 64, 27], nn.Tanh, 5 / 3, nn.LayerNorm)),
    ),
    "two-sigmoid": ("table", lambda r: Net(None, *dense(r, [12, 64, 5], nn.Sigmoid, 2.0))),
    "regression-wide": ("numbers", lambda r: Net(None, *dense(r, [10, 96, 1], nn.ReLU, ROOT2))),
    "regression-bn": ("numbers", lambda r: Net(None, *dense(r, [10, 48, 48, 1], nn.Tanh, 5 / 3, nn.BatchNorm1d))),
    "conv-tanh": (
        "images",
        lambda r: Net(
            None,
            nn.Conv2d(1, 10, 3, padding=1, rng=r, gain=5 / 3),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(10, 10, 3, padding=1, rng=r, gain=5 / 3),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(160, 4, rng=r, gain=0.1),
        ),
    ),
    "conv-deep-bn": (
        "images",
        lambda r: Net(
            None,
            *[
                m
                for a, b in ((1, 8), (8, 8), (8, 8))
                for m in (nn.Conv2d(a, b, 3, padding=1, bias=False, rng=r, gain=ROOT2), nn.BatchNorm2d(b), nn.ReLU())
            ],
            nn.Flatten(),
            nn.Linear(512, 4, rng=r, gain=0.1),
        ),
    ),
    "residual-ln": (
        "table",
        lambda r: Net(
            None,
            nn.Linear(12, 40, rng=r),
            *[
                Block(
                    nn.LayerNorm(40),
                    nn.Linear(40, 40, rng=r, gain=ROOT2),
                    nn.ReLU(),
                    nn.Linear(40, 40, rng=r, gain=0.4),
                )
                for _ in range(3)
            ],
            nn.Linear(40, 5, rng=r, gain=0.1),
        ),
    ),
}
"""Networks of the second half, which no threshold was chosen with."""
RATES = {"sgd": 0.1, "momentum": 0.02, "adam": 0.003}
NORMED = {"names-bn", "deep-tanh-bn", "conv-bn", "residual"}
DATA: dict[str, Callable[[np.random.Generator], tuple[Array, Array]]] = {
    "names": lambda rng: names(),
    "table": table,
    "images": images,
    "numbers": numbers,
}


def optimiser(model: nn.Module, kind: str, lr: float | None = None, **options: Any) -> optim.Optimizer:
    lr = RATES[kind] if lr is None else lr
    if kind == "adam":
        return optim.Adam(model.parameters(), lr=lr, **options)
    return optim.SGD(model.parameters(), lr=lr, momentum=0.9 if kind == "momentum" else 0.0, **options)


def healthy(arch: str, kind: str, seed: int) -> Case:
    rng = np.random.default_rng([seed, sum(map(ord, arch + kind))])
    what, build = (ARCHITECTURES | SECOND)[arch]
    x, y = DATA[what](rng)
    model = build(rng)
    regression = what == "numbers"
    # A squared error is steeper than a cross-entropy: what is healthy for one oscillates for the other.
    lr = RATES[kind] * (0.3 if regression and kind != "adam" else 1.0)
    return Case(model, mse if regression else F.cross_entropy, Batches(x, y, BATCH, rng), optimiser(model, kind, lr))


# -- illnesses ---------------------------------------------------------------------------------------------------------

Illness = Callable[[Case, np.random.Generator], None]


def weighted(case: Case) -> list[tuple[str, Any]]:
    return [(n, m) for n, m in case.model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]


def multiply(module: Any, factor: float) -> None:
    module.weight.data = module.weight.data * np.float32(factor)


def rebatch(case: Case, x: Array, y: Array, size: int | None = None) -> None:
    case.batches = Batches(x, y, size or case.batches.size, case.batches.rng)


def overconfident(case: Case, rng: np.random.Generator) -> None:
    name, last = weighted(case)[-1]
    multiply(last, 100)
    case.layers["overconfident output"] = {name}


def saturated(case: Case, rng: np.random.Generator) -> None:
    pairs = [
        (n, m) for n, m in case.model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.Tanh | nn.Sigmoid)
    ]
    name, first = pairs[0]
    multiply(first, 6 if isinstance(pairs[1][1], nn.Tanh) else 10)
    case.layers["saturated units"] = {name, pairs[1][0]}


def all_saturated(case: Case, rng: np.random.Generator) -> None:
    for _, m in weighted(case)[:-1]:
        multiply(m, 4)
    saturated_names = {n for n, m in case.model.named_modules() if isinstance(m, nn.Tanh)}
    case.layers["saturated units"] = {n for n, _ in weighted(case)} | saturated_names


def dead(case: Case, rng: np.random.Generator) -> None:
    """A large negative bias."""
    hidden = weighted(case)[:-1]
    name, m = hidden[len(hidden) // 2]
    m.bias.data = m.bias.data - np.float32(30) * (rng.random(m.bias.shape) < 0.7)
    after = list(dict(case.model.named_modules()))
    case.layers["dead units"] = {name, after[after.index(name) + 1]}


def knocked_out(case: Case, rng: np.random.Generator) -> None:
    for group in case.optimizer.param_groups:
        group["lr"] *= 300
    case.layers["learning rate too high"] = set()


def too_high(case: Case, rng: np.random.Generator) -> None:
    for group in case.optimizer.param_groups:
        group["lr"] *= 60


def too_low(case: Case, rng: np.random.Generator) -> None:
    for group in case.optimizer.param_groups:
        group["lr"] /= 1000


def shrinking(case: Case, rng: np.random.Generator) -> None:
    for _, m in weighted(case)[:-1]:
        multiply(m, 0.2)
    case.layers["signal shrinks with depth"] = {n for n, _ in weighted(case)[:-1]}


def growing(case: Case, rng: np.random.Generator) -> None:
    for _, m in weighted(case)[:-1]:
        multiply(m, 5)
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
    small_batches(case, 12)


def small_batches(case: Case, size: int) -> None:
    case.batches = Batches(case.batches.x, case.batches.y, size, case.batches.rng)


def unsettled(case: Case, rng: np.random.Generator) -> None:
    """Trained for a while with a momentum that is much too slow."""
    for m in case.model.modules():
        if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d):
            m.momentum = 1e-4
    for (_, m), (_, after) in itertools.pairwise(case.model.named_modules()):
        if isinstance(m, nn.Linear | nn.Conv2d) and isinstance(after, nn.BatchNorm1d | nn.BatchNorm2d):
            multiply(m, 4)  # which the normalisation undoes in training
    for _ in range(200):
        x, y = next(case.batches)
        loss = case.loss(case.model(x), y)
        case.optimizer.zero_grad()
        loss.backward()
        case.optimizer.step()


def tiny_batches(case: Case, rng: np.random.Generator) -> None:
    small_batches(case, 3)


def eval_training(case: Case, rng: np.random.Generator) -> None:
    case.model.eval()


def train_evaluation(case: Case, rng: np.random.Generator) -> None:
    x, y = case.batches.x[:200], case.batches.y[:200]
    case.options["evaluate"] = lambda: case.loss(case.model(x), y).item()


def decaying(case: Case, rng: np.random.Generator) -> None:
    case.options["schedule"] = optim.StepLR(case.optimizer, 4, 0.4)


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


def decayed(case: Case, rng: np.random.Generator) -> None:
    rate = case.optimizer.param_groups[0]["lr"]
    adam = isinstance(case.optimizer, optim.Adam)
    kind = optim.AdamW if adam else optim.SGD
    options = {} if adam else {"momentum": case.optimizer.param_groups[0]["momentum"]}
    effective = rate / (1 - options.get("momentum", 0.0))
    case.optimizer = kind(case.model.parameters(), lr=rate, weight_decay=0.15 / effective, **options)


def shuffled(case: Case, rng: np.random.Generator) -> None:
    rebatch(case, case.batches.x, rng.permutation(case.batches.y))


def constant_column(case: Case, rng: np.random.Generator) -> None:
    x = case.batches.x.copy()
    x[:, 4] = 1
    rebatch(case, x, case.batches.y)
    case.layers["constant input"] = {"column 4"}


def unscaled_column(case: Case, rng: np.random.Generator) -> None:
    x = case.batches.x.copy()
    x[:, 7] *= 300
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


def few(case: Case, rng: np.random.Generator) -> None:
    x, y = case.batches.x, case.batches.y
    case.options["validation"] = (x[1000:2000], y[1000:2000])
    rebatch(case, x[:48], y[:48])
    case.steps = 4 * STEPS


def narrow(case: Case, rng: np.random.Generator) -> None:
    """A hidden layer of one or two units, trained until it learns no more."""
    x, y = case.batches.x, case.batches.y
    cut = 4 * len(x) // 5
    embedding = case.model.embedding
    width = (
        24 if embedding is not None and embedding.weight.shape[1] == 8 else 18 if embedding is not None else x.shape[1]
    )
    outputs = weighted(case)[-1][1].weight.shape[1]
    layers = [nn.Linear(width, 2 if embedding is not None else 1, rng=rng), nn.Tanh()]
    case.model = Net(embedding, *layers, nn.Linear(layers[0].weight.shape[1], outputs, rng=rng, gain=0.1))
    case.optimizer = optim.Adam(case.model.parameters(), lr=0.01)
    rebatch(case, x[:cut], y[:cut])
    for _ in range(1500):
        a, b = next(case.batches)
        loss = case.loss(case.model(a), b)
        case.optimizer.zero_grad()
        loss.backward()
        case.optimizer.step()
    case.options["validation"] = (x[cut:], y[cut:])
    case.layers["underfitting"] = {"layers.0"}


def trained(case: Case, rng: np.random.Generator) -> None:
    """Healthy, and already trained."""
    x, y = case.batches.x, case.batches.y
    cut = 4 * len(x) // 5
    rebatch(case, x[:cut], y[:cut])
    for _ in range(200):
        a, b = next(case.batches)
        loss = case.loss(case.model(a), b)
        case.optimizer.zero_grad()
        loss.backward()
        case.optimizer.step()
    case.options["validation"] = (x[cut:], y[cut:])


def uneven(case: Case, rng: np.random.Generator) -> None:
    name, m = weighted(case)[1]
    rest = [p for p in case.model.parameters() if p is not m.weight]
    lr = case.optimizer.param_groups[0]["lr"]
    options = {k: v for k, v in case.optimizer.defaults.items() if k != "lr"}
    groups: list[Any] = [{"params": rest, "lr": lr}, {"params": [m.weight], "lr": lr * 1e-4}]
    case.optimizer = type(case.optimizer)(groups, lr=lr, **options)
    case.layers["uneven updates"] = {name, name + ".weight"}


S, M, A = "sgd", "momentum", "adam"
SICK: list[tuple[str, Illness, list[tuple[str, str]]]] = [
    (
        "overconfident output",
        overconfident,
        [("names-tanh", S), ("deep-relu", A), ("conv", M), ("regression", S), ("names-bn", A), ("deep-tanh", M)],
    ),
    ("saturated units", saturated, [("names-tanh", S), ("deep-tanh", A), ("sigmoid", M), ("regression-tanh", S)]),
    ("saturated units", all_saturated, [("deep-tanh", S), ("deep-tanh", M)]),
    ("dead units", dead, [("deep-relu", S), ("conv", A), ("regression", M), ("deep-relu", A)]),
    ("learning rate too high", knocked_out, [("deep-relu", M), ("conv", S), ("regression", A)]),
    (
        "learning rate too high",
        too_high,
        [("names-tanh", A), ("deep-tanh", M), ("conv-bn", A), ("residual", A), ("regression-tanh", M)],
    ),
    (
        "learning rate too low",
        too_low,
        [("names-tanh", S), ("deep-relu-ln", A), ("conv-bn", M), ("regression", S), ("sigmoid", A), ("names-bn", S)],
    ),
    ("signal shrinks with depth", shrinking, [("deep-tanh", S), ("deep-relu", A), ("deep-relu", S), ("deep-tanh", M)]),
    ("signal grows with depth", growing, [("deep-relu", S), ("deep-relu", A), ("deep-relu", M)]),
    ("identical units", symmetric, [("names-tanh", S), ("deep-relu", A), ("regression-tanh", M), ("deep-tanh", S)]),
    ("identical units", zero, [("deep-tanh", A), ("names-tanh", M)]),
    ("bias useless before norm", biased, [("names-bn", S), ("deep-tanh-bn", A), ("conv-bn", M), ("residual", S)]),
    ("running statistics too fast", fast_statistics, [("names-bn", S), ("deep-tanh-bn", M), ("residual", A)]),
    ("running statistics not settled", unsettled, [("names-bn", A), ("residual", S), ("conv-bn", M)]),
    ("batch too small for norm", tiny_batches, [("names-bn", S), ("deep-tanh-bn", A), ("residual", M)]),
    ("training in evaluation mode", eval_training, [("names-bn", S), ("conv-bn", A), ("residual", M)]),
    ("evaluation in training mode", train_evaluation, [("names-bn", A), ("conv-bn", S), ("deep-tanh-bn", M)]),
    (
        "schedule decays too early",
        decaying,
        [("names-tanh", S), ("regression", A), ("conv-bn", S), ("deep-tanh-bn", M)],
    ),
    ("frozen parameter", frozen, [("names-tanh", S), ("conv", A), ("deep-relu-ln", M)]),
    ("not in the optimiser", unlisted, [("names-bn", S), ("deep-relu", A), ("regression", M)]),
    ("unused parameter", unused, [("names-tanh", A), ("conv-bn", S), ("residual", M)]),
    ("detached parameter", detached, [("deep-tanh", S), ("conv", A), ("deep-relu-ln", M)]),
    ("stale gradients", stale, [("names-tanh", S), ("conv-bn", A), ("deep-relu", S), ("regression-tanh", M)]),
    ("summed loss", summed, [("names-tanh", S), ("deep-relu", A), ("regression", M), ("conv-bn", S)]),
    ("weight decay too strong", decayed, [("names-tanh", S), ("deep-relu", A), ("regression", M), ("conv", S)]),
    ("shuffled labels", shuffled, [("names-tanh", S), ("deep-relu", A), ("conv-bn", M), ("regression", S)]),
    ("constant input", constant_column, [("deep-relu", S), ("regression", A), ("deep-tanh", M)]),
    ("unscaled input", unscaled_column, [("deep-relu", A), ("regression", S), ("deep-tanh", M), ("residual", S)]),
    ("unscaled input", pixels, [("conv", A), ("conv", S), ("conv-bn", M)]),
    ("duplicated batches", repeated, [("names-tanh", S), ("conv", A), ("regression", M)]),
    ("shifted targets", shifted, [("names-tanh", S), ("deep-relu", A), ("conv-bn", M), ("regression", S)]),
    ("label leak", leaked, [("names-bn", S), ("deep-relu", A), ("regression-tanh", M)]),
    ("overfitting", few, [("deep-tanh", A), ("deep-relu", A), ("conv", M), ("names-tanh", A)]),
    ("uneven updates", uneven, [("deep-relu-ln", S), ("deep-tanh", A), ("deep-tanh-bn", M)]),
    ("underfitting", narrow, [("names-tanh", S), ("deep-relu", A), ("regression", M)]),
]
SICK_SECOND: list[tuple[str, Illness, list[tuple[str, str]]]] = [
    (
        "overconfident output",
        overconfident,
        [("names-relu", A), ("six-tanh", S), ("conv-tanh", S), ("regression-wide", M)],
    ),
    ("saturated units", saturated, [("six-tanh", M), ("two-sigmoid", S), ("conv-tanh", A)]),
    ("saturated units", all_saturated, [("six-tanh", A)]),
    ("dead units", dead, [("names-relu", S), ("six-relu", M), ("regression-wide", A)]),
    ("learning rate too high", too_high, [("names-relu", M), ("gelu", A), ("conv-tanh", A), ("regression-wide", S)]),
    ("learning rate too high", knocked_out, [("six-relu", S)]),
    ("learning rate too low", too_low, [("names-relu", M), ("gelu", S), ("leaky-bn", A), ("conv-deep-bn", S)]),
    ("signal shrinks with depth", shrinking, [("six-tanh", A), ("six-relu", M), ("gelu", S)]),
    ("signal grows with depth", growing, [("six-relu", S), ("six-relu", A), ("gelu", M)]),
    ("identical units", symmetric, [("gelu", S), ("names-relu", M), ("regression-wide", A)]),
    ("bias useless before norm", biased, [("names-wide-bn", M), ("leaky-bn", S), ("conv-deep-bn", A)]),
    ("running statistics too fast", fast_statistics, [("names-wide-bn", A), ("leaky-bn", S), ("regression-bn", M)]),
    ("running statistics not settled", unsettled, [("names-wide-bn", S), ("conv-deep-bn", A), ("leaky-bn", M)]),
    ("batch too small for norm", tiny_batches, [("names-wide-bn", A), ("leaky-bn", S), ("regression-bn", M)]),
    ("training in evaluation mode", eval_training, [("names-wide-bn", S), ("conv-deep-bn", M)]),
    ("evaluation in training mode", train_evaluation, [("names-wide-bn", S), ("conv-deep-bn", M)]),
    ("schedule decays too early", decaying, [("names-relu", S), ("gelu", A), ("conv-tanh", M)]),
    ("frozen parameter", frozen, [("names-relu", A), ("six-tanh", S), ("residual-ln", M)]),
    ("not in the optimiser", unlisted, [("gelu", S), ("conv-tanh", M)]),
    ("unused parameter", unused, [("tanh-ln", A), ("regression-wide", S)]),
    ("detached parameter", detached, [("six-relu", A), ("names-relu", S), ("conv-deep-bn", M)]),
    ("stale gradients", stale, [("names-relu", M), ("residual-ln", A), ("regression-wide", S)]),
    ("summed loss", summed, [("names-relu", A), ("leaky-bn", S), ("conv-tanh", M)]),
    ("weight decay too strong", decayed, [("names-relu", A), ("gelu", S), ("regression-wide", M)]),
    ("shuffled labels", shuffled, [("names-relu", M), ("leaky-bn", A), ("conv-tanh", S), ("regression-wide", M)]),
    ("constant input", constant_column, [("six-tanh", A), ("residual-ln", S), ("regression-bn", M)]),
    ("unscaled input", unscaled_column, [("gelu", S), ("six-tanh", A), ("regression-wide", M)]),
    ("unscaled input", pixels, [("conv-tanh", S), ("conv-deep-bn", A)]),
    ("duplicated batches", repeated, [("names-relu", A), ("leaky-bn", M)]),
    ("shifted targets", shifted, [("names-relu", A), ("gelu", M), ("conv-tanh", S)]),
    ("label leak", leaked, [("residual-ln", S), ("regression-wide", A)]),
    ("overfitting", few, [("gelu", A), ("names-relu", M), ("six-tanh", M)]),
    ("uneven updates", uneven, [("tanh-ln", A), ("gelu", M), ("residual-ln", S)]),
    ("underfitting", narrow, [("names-relu", A), ("gelu", S), ("regression-wide", M)]),
]
PAIRS_SECOND: list[tuple[tuple[str, Illness], tuple[str, Illness], str, str]] = [
    (("overconfident output", overconfident), ("saturated units", saturated), "six-tanh", A),
    (("bias useless before norm", biased), ("frozen parameter", frozen), "leaky-bn", A),
    (("not in the optimiser", unlisted), ("learning rate too low", too_low), "gelu", M),
    (("summed loss", summed), ("unused parameter", unused), "names-relu", S),
    (("label leak", leaked), ("constant input", constant_column), "residual-ln", A),
    (("shuffled labels", shuffled), ("bias useless before norm", biased), "conv-deep-bn", S),
    (("stale gradients", stale), ("dead units", dead), "six-relu", S),
    (
        ("evaluation in training mode", train_evaluation),
        ("running statistics too fast", fast_statistics),
        "names-wide-bn",
        M,
    ),
]
PAIRS: list[tuple[tuple[str, Illness], tuple[str, Illness], str, str]] = [
    (("overconfident output", overconfident), ("saturated units", saturated), "names-tanh", S),
    (("overconfident output", overconfident), ("constant input", constant_column), "deep-relu", A),
    (("bias useless before norm", biased), ("learning rate too low", too_low), "names-bn", S),
    (("frozen parameter", frozen), ("learning rate too low", too_low), "conv", S),
    (("shuffled labels", shuffled), ("unused parameter", unused), "deep-relu", M),
    (("saturated units", saturated), ("not in the optimiser", unlisted), "names-tanh", M),
    (("stale gradients", stale), ("overconfident output", overconfident), "regression", S),
    (("summed loss", summed), ("constant input", constant_column), "deep-relu", A),
    (("dead units", dead), ("unused parameter", unused), "conv", S),
    (("duplicated batches", repeated), ("overconfident output", overconfident), "deep-relu", S),
    (("running statistics too fast", fast_statistics), ("frozen parameter", frozen), "residual", A),
    (("label leak", leaked), ("bias useless before norm", biased), "names-bn", A),
]


def imbalanced(case: Case, rng: np.random.Generator) -> None:
    x, y = case.batches.x, case.batches.y
    keep = (y == 0) | (rng.random(len(y)) < 0.1)
    rebatch(case, x[keep], y[keep])


def zero_output(case: Case, rng: np.random.Generator) -> None:
    multiply(weighted(case)[-1][1], 0.0)


def ordinary_output(case: Case, rng: np.random.Generator) -> None:
    multiply(weighted(case)[-1][1], 6.0)


def mild_decay(case: Case, rng: np.random.Generator) -> None:
    for group in case.optimizer.param_groups:
        group["weight_decay"] = 1e-4


def late_schedule(case: Case, rng: np.random.Generator) -> None:
    case.options["schedule"] = optim.CosineAnnealingLR(case.optimizer, 20 * STEPS)


def own_step(case: Case, rng: np.random.Generator) -> None:
    model, loss_of, optimizer = case.model, case.loss, case.optimizer

    def step(x: Array, y: Array) -> Tensor:
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    case.options["step"] = step


def good_evaluation(case: Case, rng: np.random.Generator) -> None:
    x, y = case.batches.x, case.batches.y

    def evaluate() -> float:
        case.model.eval()
        found = case.loss(case.model(x[:200]), y[:200]).item()
        case.model.train()
        return found

    case.options["evaluate"] = evaluate
    case.options["validation"] = (x[-500:], y[-500:])


VARIED: list[tuple[str, Illness, str, str]] = [
    ("imbalanced labels", imbalanced, "deep-relu", S),
    ("zero output", zero_output, "names-tanh", A),
    ("zero output", zero_output, "conv", S),
    ("gain 0.6 in the output", ordinary_output, "deep-tanh", M),
    ("gain 0.6 in the output", ordinary_output, "names-bn", S),
    ("mild weight decay", mild_decay, "conv-bn", A),
    ("late schedule", late_schedule, "regression", A),
    ("own step", own_step, "names-tanh", S),
    ("own step", own_step, "conv-bn", M),
    ("evaluation", good_evaluation, "deep-tanh-bn", A),
    ("training behind it", trained, "names-bn", S),
    ("training behind it", trained, "deep-tanh", S),
]


def spoilt(arch: str, kind: str, illnesses: tuple[Illness, ...], seed: int) -> Case:
    case = healthy(arch, kind, seed)
    for illness in illnesses:
        illness(case, np.random.default_rng(seed + 1000))
    return case


VARIED_SECOND: list[tuple[str, Illness, str, str]] = [
    ("imbalanced labels", imbalanced, "gelu", A),
    ("zero output", zero_output, "names-relu", S),
    ("gain 0.6 in the output", ordinary_output, "leaky-bn", S),
    ("mild weight decay", mild_decay, "six-tanh", M),
    ("late schedule", late_schedule, "conv-tanh", S),
    ("own step", own_step, "residual-ln", A),
    ("evaluation", good_evaluation, "names-wide-bn", S),
    ("training behind it", trained, "names-relu", S),
    ("training behind it", trained, "leaky-bn", M),
]


def first_half() -> list[Setup]:
    """The set-ups that thresholds were chosen on."""
    return _beds(SICK, PAIRS, ARCHITECTURES, VARIED)


def second_half() -> list[Setup]:
    """Other networks with the same illnesses, which are reported and took no part in choosing."""
    return _beds(SICK_SECOND, PAIRS_SECOND, SECOND, VARIED_SECOND)


def _beds(sick: Any, pairs: Any, architectures: Any, varied: Any) -> list[Setup]:
    beds = []
    for name, illness, places in sick:
        for arch, kind in places:
            label = f"{name} ({illness.__name__}), {arch}, {kind}"
            beds.append(Setup(label, (name,), functools.partial(spoilt, arch, kind, (illness,))))
    for (a, f), (b, g), arch, kind in pairs:
        beds.append(Setup(f"{a} and {b}, {arch}, {kind}", (a, b), functools.partial(spoilt, arch, kind, (f, g))))
    for arch in architectures:
        for kind in RATES:
            beds.append(Setup(f"healthy, {arch}, {kind}", (), functools.partial(spoilt, arch, kind, ())))
    for name, variation, arch, kind in varied:
        beds.append(
            Setup(f"healthy with {name}, {arch}, {kind}", (), functools.partial(spoilt, arch, kind, (variation,)))
        )
    return beds
