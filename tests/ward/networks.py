"""Networks of the first two parts of the ward, healthy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad import Tensor, nn

Architectures = dict[str, tuple[str, Callable[[np.random.Generator], nn.Module]]]
"""By name, the data and what makes the network."""


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
    rng: np.random.Generator,
    widths: list[int],
    act: type[nn.Module],
    gain: float,
    norm: type[nn.Module] | None = None,
    last: float = 0.1,
) -> list[nn.Module]:
    """Linear layers with what follows each but the last, whose gain is `last`."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths[:-1]):
        layers.append(nn.Linear(a, b, norm is not nn.BatchNorm1d, rng=rng, gain=gain))
        layers += [norm(b)] if norm is not None else []
        layers.append(act())
    return [*layers, nn.Linear(widths[-2], widths[-1], rng=rng, gain=last)]


def conv(
    rng: np.random.Generator, a: int, b: int, act: type[nn.Module], gain: float, norm: bool = False
) -> list[nn.Module]:
    """A 3 × 3 convolution with what follows it."""
    layer = nn.Conv2d(a, b, 3, padding=1, bias=not norm, rng=rng, gain=gain)
    return [layer, *([nn.BatchNorm2d(b)] if norm else []), act()]


ROOT2 = 2**0.5
FIRST: Architectures = {
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
            *conv(r, 1, 8, nn.ReLU, ROOT2),
            nn.MaxPool2d(2),
            *conv(r, 8, 12, nn.ReLU, ROOT2),
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
            *conv(r, 1, 8, nn.ReLU, ROOT2, norm=True),
            nn.MaxPool2d(2),
            *conv(r, 8, 12, nn.ReLU, ROOT2, norm=True),
            nn.Flatten(),
            nn.Linear(192, 4, rng=r, gain=0.1),
        ),
    ),
    "residual": (
        "table",
        lambda r: Net(
            None,
            nn.Linear(12, 48, rng=r),
            *[Block(*dense(r, [48, 24, 48], nn.ReLU, ROOT2, nn.BatchNorm1d, last=0.5)) for _ in range(4)],
            nn.Linear(48, 5, rng=r, gain=0.1),
        ),
    ),
}
"""Networks of the first part, which thresholds were chosen with."""
SECOND: Architectures = {
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
            *conv(r, 1, 10, nn.Tanh, 5 / 3),
            nn.AvgPool2d(2),
            *conv(r, 10, 10, nn.Tanh, 5 / 3),
            nn.Flatten(),
            nn.Linear(160, 4, rng=r, gain=0.1),
        ),
    ),
    "conv-deep-bn": (
        "images",
        lambda r: Net(
            None,
            *[m for a in (1, 8, 8) for m in conv(r, a, 8, nn.ReLU, ROOT2, norm=True)],
            nn.Flatten(),
            nn.Linear(512, 4, rng=r, gain=0.1),
        ),
    ),
    "residual-ln": (
        "table",
        lambda r: Net(
            None,
            nn.Linear(12, 40, rng=r),
            *[Block(nn.LayerNorm(40), *dense(r, [40, 40, 40], nn.ReLU, ROOT2, last=0.4)) for _ in range(3)],
            nn.Linear(40, 5, rng=r, gain=0.1),
        ),
    ),
}
"""Networks of the second part, which no threshold was chosen with; diagnoses were repaired after its first reading."""
