"""Data and networks of the fourth part of the ward: nothing of either is in the other parts."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from npgrad import data, nn
from tests.ward.networks import ROOT2, Architectures, Block, Net, conv, dense

Array = np.ndarray


@functools.cache
def calls() -> tuple[Array, Array]:
    """Windows of five letters over made-up words of four to nine, each letter chosen by the two before it."""
    rng = np.random.default_rng(11)
    letters = "adeghkmsz"
    after = rng.dirichlet(np.full(len(letters), 0.3), (len(letters), len(letters)))
    words = []
    for _ in range(3000):
        word = list(rng.integers(len(letters), size=2))
        for _ in range(int(rng.integers(2, 8))):
            word.append(rng.choice(len(letters), p=after[word[-2], word[-1]]))
        words.append("".join(letters[k] for k in word))
    windows = data.windows(words, data.Vocabulary(words), 5)
    return windows.x, windows.y


LETTERS = 10
"""Characters of `calls`, the boundary among them."""


def rings(rng: np.random.Generator, n: int = 2600) -> tuple[Array, Array]:
    """Two numbers, three rings that do not quite share a centre."""
    y = rng.integers(3, size=n)
    radius, angle = 0.5 + y + 0.15 * rng.standard_normal(n), rng.uniform(0, 2 * np.pi, n)
    x = np.stack([radius * np.cos(angle) + 0.4 * y, radius * np.sin(angle) - 0.2 * y], 1)
    return ((x - x.mean(0)) / x.std(0)).astype(np.float32), y


def twisted(rng: np.random.Generator, n: int = 2400) -> tuple[Array, Array]:
    """Three numbers, the four corners of a tetrahedron, twisted around an axis."""
    x = rng.standard_normal((n, 3))
    angle = 1.2 * x[:, 2]
    turned = np.stack(
        [
            np.cos(angle) * x[:, 0] - np.sin(angle) * x[:, 1],
            np.sin(angle) * x[:, 0] + np.cos(angle) * x[:, 1],
            x[:, 2],
        ],
        1,
    )
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    return x.astype(np.float32), (turned @ corners.T).argmax(1)


def blobs(rng: np.random.Generator, n: int = 2600) -> tuple[Array, Array]:
    """Five numbers, six normal distributions, each stretched its own way."""
    y = rng.integers(6, size=n)
    centres, stretch = 1.3 * rng.standard_normal((6, 5)), 0.4 * rng.standard_normal((6, 5, 5))
    x = centres[y] + np.einsum("nij,nj->ni", stretch[y], rng.standard_normal((n, 5)))
    return ((x - x.mean(0)) / x.std(0)).astype(np.float32), y


def noisy(rng: np.random.Generator, n: int = 3000) -> tuple[Array, Array]:
    """Regression from four numbers, half of whose variance is noise."""
    x = rng.uniform(-1.7, 1.7, (n, 4))
    y = x[:, 0] * np.abs(x[:, 1]) + x[:, 2] + 0.5 * np.cos(2 * x[:, 3])
    y = y / y.std() + rng.standard_normal(n)
    return x.astype(np.float32), ((y - y.mean()) / y.std()).astype(np.float32)[:, None]


def sensors(rng: np.random.Generator, n: int = 2800) -> tuple[Array, Array]:
    """Sixteen correlated numbers that follow four causes, three classes of 60, 30 and 10 %."""
    causes = rng.standard_normal((n, 4))
    x = causes @ rng.standard_normal((4, 16)) + 0.5 * rng.standard_normal((n, 16))
    score = causes[:, 0] + causes[:, 1] * causes[:, 2] + 0.3 * rng.standard_normal(n)
    return (x / x.std(0)).astype(np.float32), np.searchsorted(np.quantile(score, [0.6, 0.9]), score)


def springs(rng: np.random.Generator, n: int = 2600) -> tuple[Array, Array]:
    """Regression from fourteen numbers to two."""
    x = rng.standard_normal((n, 14))
    y = np.stack([x[:, 0] * x[:, 1] + 0.8 * x[:, 2] + np.sin(2 * x[:, 3]), np.abs(x[:, 4]) + x[:, 5] - x[:, 6]], 1)
    y += 0.2 * rng.standard_normal(y.shape)
    return x.astype(np.float32), ((y - y.mean(0)) / y.std(0)).astype(np.float32)


def patches(rng: np.random.Generator, n: int = 2000) -> tuple[Array, Array]:
    """Three colours of 7 × 7: a shade of one of four kinds that grows in one of four directions, under noise."""
    y = rng.integers(4, size=n)
    ramp = np.linspace(-1, 1, 7)
    ramps = np.stack([np.add.outer(a * ramp, b * ramp) for a, b in ((1, 0), (0, 1), (1, 1), (1, -1))])
    shades = rng.standard_normal((4, 3))
    x = np.einsum("nc,nij->ncij", shades[y], ramps[y]) * rng.uniform(0.5, 1.5, (n, 1, 1, 1))
    x += 0.8 * rng.standard_normal(x.shape)
    return (x / x.std()).astype(np.float32), y


def signals(rng: np.random.Generator, n: int = 2200) -> tuple[Array, Array]:
    """Two channels of 24 samples: oscillations of five frequencies, the second one fading, under noise."""
    y = rng.integers(5, size=n)
    t = np.linspace(0, 1, 24)
    phase = 2 * np.pi * ((1 + 0.6 * y[:, None]) * t + rng.uniform(0, 0.3, (n, 1)))
    x = np.stack([np.sin(phase), np.cos(phase) * np.exp(-2 * t)], 1)
    x += 0.4 * rng.standard_normal(x.shape)
    return ((x - x.mean()) / x.std()).astype(np.float32), y


NORM: Any = nn.BatchNorm1d
FOURTH: Architectures = {
    "rings-four-relu": ("rings", lambda r: Net(None, *dense(r, [2, *[24] * 4, 3], nn.ReLU, ROOT2))),
    "rings-nine-relu": ("rings", lambda r: Net(None, *dense(r, [2, *[56] * 9, 3], nn.ReLU, ROOT2))),
    "twisted-six-relu": ("twisted", lambda r: Net(None, *dense(r, [3, *[30] * 6, 4], nn.ReLU, ROOT2))),
    "twisted-five-tanh": ("twisted", lambda r: Net(None, *dense(r, [3, *[28] * 5, 4], nn.Tanh, 1.4))),
    "blobs-narrow-relu": ("blobs", lambda r: Net(None, *dense(r, [5, 12, 12, 12, 6], nn.ReLU, ROOT2))),
    "blobs-five-leaky": ("blobs", lambda r: Net(None, *dense(r, [5, *[26] * 5, 6], nn.LeakyReLU, ROOT2))),
    "noisy-three-relu": ("noisy", lambda r: Net(None, *dense(r, [4, 44, 44, 44, 1], nn.ReLU, ROOT2))),
    "sensors-tanh-bn": ("sensors", lambda r: Net(None, *dense(r, [16, 52, 52, 3], nn.Tanh, 5 / 3, NORM))),
    "sensors-relu-ln": ("sensors", lambda r: Net(None, *dense(r, [16, 44, 44, 44, 3], nn.ReLU, ROOT2, nn.LayerNorm))),
    "sensors-residual": (
        "sensors",
        lambda r: Net(
            None,
            nn.Linear(16, 34, rng=r),
            *[Block(nn.LayerNorm(34), *dense(r, [34, 50, 34], nn.ReLU, ROOT2, last=0.4)) for _ in range(5)],
            nn.Linear(34, 3, rng=r, gain=0.1),
        ),
    ),
    "springs-silu": ("springs", lambda r: Net(None, *dense(r, [14, 68, 30, 2], nn.SiLU, ROOT2))),
    "springs-sigmoid": ("springs", lambda r: Net(None, *dense(r, [14, 76, 2], nn.Sigmoid, 2.0, last=0.4))),
    "patches-relu": (
        "patches",
        lambda r: Net(
            None,
            *conv(r, 3, 9, nn.ReLU, ROOT2),
            *conv(r, 9, 9, nn.ReLU, ROOT2),
            nn.Flatten(),
            nn.Linear(441, 4, rng=r, gain=0.1),
        ),
    ),
    "patches-gelu-bn": (
        "patches",
        lambda r: Net(
            None,
            *conv(r, 3, 8, nn.GELU, ROOT2, norm=True),
            nn.MaxPool2d(2),
            *conv(r, 8, 14, nn.GELU, ROOT2, norm=True),
            nn.Flatten(),
            nn.Linear(126, 4, rng=r, gain=0.1),
        ),
    ),
    "signals-conv1d": (
        "signals",
        lambda r: Net(
            None,
            nn.Conv1d(2, 10, 5, padding=2, rng=r, gain=ROOT2),
            nn.ReLU(),
            nn.AvgPool1d(2),
            nn.Conv1d(10, 14, 3, padding=1, rng=r, gain=ROOT2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(168, 5, rng=r, gain=0.1),
        ),
    ),
    "calls-two-relu": (
        "calls",
        lambda r: Net(nn.Embedding(LETTERS, 6, rng=r), *dense(r, [30, 58, 58, LETTERS], nn.ReLU, ROOT2)),
    ),
    "calls-tanh-bn": (
        "calls",
        lambda r: Net(nn.Embedding(LETTERS, 9, rng=r), *dense(r, [45, 84, 42, LETTERS], nn.Tanh, 5 / 3, NORM)),
    ),
}
DATA = {
    "calls": lambda rng: calls(),
    "rings": rings,
    "twisted": twisted,
    "blobs": blobs,
    "noisy": noisy,
    "sensors": sensors,
    "springs": springs,
    "patches": patches,
    "signals": signals,
}
