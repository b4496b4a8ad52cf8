"""Data and networks of the third part of the ward: nothing of either is in the other parts."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from npgrad import Tensor, data, nn
from npgrad import functions as F
from tests.ward.networks import ROOT2, Architectures, Block, Net, conv, dense

Array = np.ndarray


@functools.cache
def syllables() -> tuple[Array, Array]:
    """Windows of four characters over made-up words of two to four syllables, each chosen by the one before."""
    rng = np.random.default_rng(5)
    parts = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    after = rng.dirichlet(np.full(len(parts), 0.15), len(parts))
    words = []
    for _ in range(3000):
        k = int(rng.integers(len(parts)))
        word = parts[k]
        for _ in range(int(rng.integers(1, 4))):
            k = int(rng.choice(len(parts), p=after[k]))
            word += parts[k]
        words.append(word)
    windows = data.windows(words, data.Vocabulary(words), 4)
    return windows.x, windows.y


LETTERS = 18
"""Characters of `syllables`, the boundary among them."""


def waves(rng: np.random.Generator, n: int = 2500) -> tuple[Array, Array]:
    """Twenty samples of a sine, a square, a triangle or a saw-tooth, of some frequency and phase, under noise."""
    y = rng.integers(4, size=n)
    t = rng.uniform(0.8, 1.6, (n, 1)) * np.linspace(0, 2, 20) + rng.uniform(0, 1, (n, 1))
    saw = 2 * (t % 1) - 1
    shapes = np.stack([np.sin(2 * np.pi * t), np.sign(saw), 2 * np.abs(saw) - 1, saw])
    x = shapes[y, np.arange(n)] + 0.25 * rng.standard_normal((n, 20))
    return (x / x.std()).astype(np.float32), y


def spirals(rng: np.random.Generator, n: int = 2400) -> tuple[Array, Array]:
    """Two numbers, three arms."""
    y = rng.integers(3, size=n)
    radius = np.sqrt(rng.uniform(0.02, 1, n))
    angle = 2 * np.pi * y / 3 + 3.5 * radius + 0.15 * rng.standard_normal(n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).astype(np.float32) * 1.5, y


def shapes(rng: np.random.Generator, n: int = 1500) -> tuple[Array, Array]:
    """Bars, crosses, frames and blobs of 10 × 10, somewhere, under noise."""
    y = rng.integers(5, size=n)
    x = 0.5 * rng.standard_normal((n, 1, 10, 10))
    for k, what in enumerate(y):
        i, j = rng.integers(0, 5, 2)
        patch = x[k, 0, i : i + 5, j : j + 5]
        if what in (0, 2):
            patch[2] += 2
        if what in (1, 2):
            patch[:, 2] += 2
        if what == 3:
            patch[[0, 4]] += 2
            patch[1:4, [0, 4]] += 2
        if what == 4:
            patch[1:4, 1:4] += 2
    return ((x - x.mean()) / x.std()).astype(np.float32), y


def friedman(rng: np.random.Generator, n: int = 2600) -> tuple[Array, Array]:
    """Eight numbers, of which five count: the first function of Friedman 1991."""
    x = rng.uniform(size=(n, 8))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    y += rng.standard_normal(n)
    return (np.sqrt(12) * (x - 0.5)).astype(np.float32), ((y - y.mean()) / y.std()).astype(np.float32)[:, None]


def arm(rng: np.random.Generator, n: int = 2600) -> tuple[Array, Array]:
    """Nine angles, three numbers: where a jointed arm ends."""
    x = rng.standard_normal((n, 9))
    angle = np.cumsum(0.5 * x, axis=1)
    y = np.stack([np.cos(angle).sum(1), np.sin(angle).sum(1), np.sin(angle[:, :4]).sum(1)], 1)
    y += 0.1 * rng.standard_normal(y.shape)
    return x.astype(np.float32), ((y - y.mean(0)) / y.std(0)).astype(np.float32)


def huber(output: Tensor, y: Array) -> Tensor:
    return F.huber_loss(output, y)


class Channel(nn.Module):
    """(N, L) as one channel: (N, 1, L)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), 1, x.shape[1])


def groups(channels: int) -> nn.Module:
    return nn.GroupNorm(4, channels)


NORM: Any = nn.BatchNorm1d
THIRD: Architectures = {
    "syllables-silu": (
        "syllables",
        lambda r: Net(nn.Embedding(LETTERS, 12, rng=r), *dense(r, [48, 80, LETTERS], nn.SiLU, ROOT2)),
    ),
    "syllables-five-tanh-bn": (
        "syllables",
        lambda r: Net(nn.Embedding(LETTERS, 5, rng=r), *dense(r, [20, *[36] * 5, LETTERS], nn.Tanh, 5 / 3, NORM)),
    ),
    "syllables-tanh": (
        "syllables",
        lambda r: Net(nn.Embedding(LETTERS, 16, rng=r), *dense(r, [64, 150, LETTERS], nn.Tanh, 5 / 3)),
    ),
    "syllables-relu-ln": (
        "syllables",
        lambda r: Net(nn.Embedding(LETTERS, 10, rng=r), *dense(r, [40, 72, 72, LETTERS], nn.ReLU, ROOT2, nn.LayerNorm)),
    ),
    "waves-elu": ("waves", lambda r: Net(None, *dense(r, [20, 56, 40, 4], nn.ELU, 1.3))),
    "friedman-sigmoid": ("friedman", lambda r: Net(None, *dense(r, [8, 90, 1], nn.Sigmoid, 2.5, last=0.5))),
    "waves-conv1d": (
        "waves",
        lambda r: Net(
            None,
            Channel(),
            nn.Conv1d(1, 12, 5, padding=2, rng=r, gain=ROOT2),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(12, 16, 3, padding=1, rng=r, gain=ROOT2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(160, 4, rng=r, gain=0.1),
        ),
    ),
    "waves-residual-bn": (
        "waves",
        lambda r: Net(
            None,
            nn.Linear(20, 36, rng=r),
            *[Block(*dense(r, [36, 60, 36], nn.LeakyReLU, ROOT2, NORM, last=0.35)) for _ in range(6)],
            nn.Linear(36, 4, rng=r, gain=0.1),
        ),
    ),
    "spirals-eight-relu": ("spirals", lambda r: Net(None, *dense(r, [2, *[40] * 8, 3], nn.ReLU, ROOT2))),
    "spirals-seven-tanh": ("spirals", lambda r: Net(None, *dense(r, [2, *[40] * 7, 3], nn.Tanh, 1.3))),
    "spirals-elu-bn": ("spirals", lambda r: Net(None, *dense(r, [2, 64, 64, 3], nn.ELU, 1.3, NORM))),
    "shapes-leaky": (
        "shapes",
        lambda r: Net(
            None,
            *conv(r, 1, 14, nn.LeakyReLU, ROOT2),
            nn.MaxPool2d(2),
            *conv(r, 14, 14, nn.LeakyReLU, ROOT2),
            nn.Flatten(),
            nn.Linear(350, 5, rng=r, gain=0.1),
        ),
    ),
    "shapes-silu-bn": (
        "shapes",
        lambda r: Net(
            None,
            *conv(r, 1, 6, nn.SiLU, ROOT2, norm=True),
            *conv(r, 6, 10, nn.SiLU, ROOT2, norm=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(250, 40, rng=r, gain=ROOT2),
            nn.ReLU(),
            nn.Linear(40, 5, rng=r, gain=0.1),
        ),
    ),
    "friedman-gelu": ("friedman", lambda r: Net(None, *dense(r, [8, 80, 32, 1], nn.GELU, ROOT2))),
    "friedman-relu-gn": ("friedman", lambda r: Net(None, *dense(r, [8, 64, 64, 1], nn.ReLU, ROOT2, groups))),
    "arm-tanh": ("arm", lambda r: Net(None, *dense(r, [9, 72, 72, 3], nn.Tanh, 5 / 3))),
    "arm-relu-bn": ("arm", lambda r: Net(None, *dense(r, [9, 100, 50, 3], nn.ReLU, ROOT2, NORM))),
}
DATA = {
    "syllables": lambda rng: syllables(),
    "waves": waves,
    "spirals": spirals,
    "shapes": shapes,
    "friedman": friedman,
    "arm": arm,
}
