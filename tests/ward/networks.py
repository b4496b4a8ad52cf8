"""What the networks of the ward are made of."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad import Tensor, nn
from tests.ward.case import Data

Architectures = dict[str, tuple[Data, Callable[[np.random.Generator], nn.Module]]]
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
NORM: Any = nn.BatchNorm1d
