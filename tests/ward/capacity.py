"""The part of the ward that is about capacity: too small, as large as it should be, and what is confused with either.

Written, and committed, before the doctor was changed for it or had been run on any of it. A network that is called
underfitting does worse than one with sixteen times as many units by the margin of `harm.py`; one that is called
healthy, however few units it has, does worse by less than a fifth of that margin, and no worse on validation data than
on its own. `python -m benchmarks.ward --part capacity --harm` measures both, without the doctor, with three seeds.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from npgrad import nn
from tests.ward import illnesses, variations
from tests.ward.case import A, Array, M, N, Pairs, Part, S, Sick, Varied, W
from tests.ward.examples import fixed, huber, mse, text
from tests.ward.networks import NORM, ROOT2, Architectures, Block, Net, conv, dense


@fixed
def verses() -> tuple[Array, Array]:
    """Windows of three over made-up words of four to nine of twelve letters, each chosen by the two before it."""
    rng = np.random.default_rng(31)
    letters = "aeioubdgklns"
    after = rng.dirichlet(np.full(12, 0.12), (12, 12))
    words = []
    for _ in range(3000):
        word = list(rng.integers(12, size=2))
        for _ in range(int(rng.integers(2, 8))):
            word.append(rng.choice(12, p=after[word[-2], word[-1]]))
        words.append("".join(letters[k] for k in word))
    return text(words, 3)


@fixed
def codes() -> tuple[Array, Array]:
    """Windows of four over codes of seven of nine letters: each is mostly the sum of the two before it, modulo nine."""
    rng = np.random.default_rng(32)
    words = []
    for _ in range(2600):
        word = list(rng.integers(9, size=2))
        for _ in range(5):
            word.append(int(rng.integers(9)) if rng.random() < 0.15 else (word[-1] + word[-2]) % 9)
        words.append("".join("abcdefghi"[k] for k in word))
    return text(words, 4)


@fixed
def babble() -> tuple[Array, Array]:
    """Windows of two over words in which vowels and consonants tend to take turns: nothing else follows from them."""
    rng = np.random.default_rng(33)
    words = []
    for _ in range(3000):
        vowel, word = bool(rng.integers(2)), ""
        for _ in range(int(rng.integers(4, 9))):
            word += rng.choice(list("aeiou" if vowel else "bdgkm"))
            vowel = bool(vowel) != (rng.random() < 0.85)
        words.append(word)
    return text(words, 2)


def orchard(rng: np.random.Generator, n: int = 3000) -> tuple[Array, Array]:
    """Eleven skewed numbers, four ordered classes: products and quotients decide."""
    x = rng.gamma(3.0, size=(n, 11))
    score = np.log(x[:, 0] * x[:, 1]) - 2 * np.abs(np.log(x[:, 2] / x[:, 3])) + 0.4 * x[:, 4] * (x[:, 5] > 2.5)
    score += 0.15 * rng.standard_normal(n)
    x = (x - x.mean(0)) / x.std(0)
    return x.astype(np.float32), np.searchsorted(np.quantile(score, [0.2, 0.5, 0.8]), score)


def lattice(rng: np.random.Generator, n: int = 2800) -> tuple[Array, Array]:
    """Three numbers, five classes: which wave of five directions is highest."""
    x = rng.uniform(-1.7, 1.7, (n, 3))
    along = rng.standard_normal((3, 5))
    wave = np.cos(1.6 * x @ (along / np.linalg.norm(along, axis=0)) + np.arange(5))
    return x.astype(np.float32), (wave + 0.1 * rng.standard_normal((n, 5))).argmax(1)


def valves(rng: np.random.Generator, n: int = 3200) -> tuple[Array, Array]:
    """Twelve valves, open or shut: how many of four lines of three have an odd number open, 3 % of valves misread."""
    x = np.where(rng.random((n, 12)) < 0.5, 1.0, -1.0)
    lines = x.reshape(n, 4, 3)
    y = (lines[:, :2].prod(2) > 0).sum(1) + (lines[:, 2:].sum((1, 2)) > 0)
    return np.where(rng.random(x.shape) < 0.03, -x, x).astype(np.float32), y


def orbits(rng: np.random.Generator, n: int = 2800) -> tuple[Array, Array]:
    """Regression from five numbers to two: where something is after some time, on an ellipse."""
    x = rng.standard_normal((n, 5))
    phase = 1.2 * x[:, 0] + 0.5 * x[:, 1] * x[:, 2]
    y = np.stack([np.cos(phase) * (1 + 0.3 * x[:, 3]), np.sin(phase) + 0.3 * x[:, 4]], 1)
    y += 0.1 * rng.standard_normal(y.shape)
    return x.astype(np.float32), ((y - y.mean(0)) / y.std(0)).astype(np.float32)


def pulse(rng: np.random.Generator, n: int = 3000) -> tuple[Array, Array]:
    """Regression from ten numbers to one."""
    x = rng.uniform(-1.7, 1.7, (n, 10))
    y = x[:, 0] * x[:, 1] - np.abs(x[:, 2]) + 0.7 * np.maximum(x[:, 3] + x[:, 4], 0) + 0.5 * x[:, 5]
    y += 0.3 * rng.standard_normal(n)
    return x.astype(np.float32), ((y - y.mean()) / y.std()).astype(np.float32)[:, None]


def beats(rng: np.random.Generator, n: int = 3000) -> tuple[Array, Array]:
    """Sixteen samples of noise that swings at one of four rates: autoregressive, of the second order."""
    y = rng.integers(4, size=n)
    a, b = 1.8 * np.cos(np.pi * np.array([0.08, 0.3, 0.55, 0.85]))[y], 0.81
    x = rng.standard_normal((n, 46))
    for t in range(2, 46):
        x[:, t] += a * x[:, t - 1] - b * x[:, t - 2]
    x = x[:, 30:] / x[:, 30:].std(1, keepdims=True)
    return x.astype(np.float32), y


def glyphs(rng: np.random.Generator, n: int = 3000) -> tuple[Array, Array]:
    """Two colours of 8 × 8: one of five strokes of 3 × 3 somewhere in each, of which the first one's counts."""
    strokes = np.zeros((5, 3, 3))
    strokes[0, 1], strokes[1, :, 1], strokes[2], strokes[3] = 1, 1, np.eye(3), np.eye(3)[::-1]
    strokes[4, ::2, ::2] = 1
    y, other = rng.integers(5, size=(2, n))
    x = 0.3 * rng.standard_normal((n, 2, 8, 8))
    for k in range(n):
        for colour, which in enumerate((y[k], other[k])):
            i, j = rng.integers(0, 6, 2)
            x[k, colour, i : i + 3, j : j + 3] += 1.6 * strokes[which]
    return (x / x.std()).astype(np.float32), y


def market(rng: np.random.Generator, n: int = 20_000) -> tuple[Array, Array]:
    """Regression from eight numbers to one: a sum, a quarter of whose variance the numbers tell."""
    x = rng.standard_normal((n, 8))
    y = x @ np.linspace(-1, 1, 8)
    y = y / y.std() + np.sqrt(3) * rng.standard_normal(n)
    return x.astype(np.float32), (y / y.std()).astype(np.float32)[:, None]


def survey(rng: np.random.Generator, n: int = 8000) -> tuple[Array, Array]:
    """Nine answers of yes or no, three classes: drawn with the odds that one weighted sum of the answers gives."""
    x = np.where(rng.random((n, 9)) < 0.5, 1.0, -1.0)
    score = x @ np.linspace(0.2, 1.0, 9)
    p = np.exp(np.stack([-0.6 * score, np.zeros(n), 0.6 * score], 1))
    draw = rng.random(n)[:, None] * p.sum(1, keepdims=True)
    return x.astype(np.float32), (draw > p.cumsum(1)).sum(1)


def weather(rng: np.random.Generator, n: int = 8000) -> tuple[Array, Array]:
    """Six numbers, two classes on either side of a bend; three labels in ten are drawn at random."""
    x = rng.standard_normal((n, 6))
    y = (x[:, 0] + 0.8 * np.abs(x[:, 1]) - 0.5 * x[:, 2] > 0.4).astype(np.int64)
    return x.astype(np.float32), np.where(rng.random(n) < 0.3, rng.integers(2, size=n), y)


CAPACITY: Architectures = {
    "verses-tanh": (verses, lambda r: Net(nn.Embedding(13, 8, rng=r), *dense(r, [24, 68, 13], nn.Tanh, 5 / 3))),
    "verses-relu-bn": (
        verses,
        lambda r: Net(nn.Embedding(13, 6, rng=r), *dense(r, [18, 56, 40, 13], nn.ReLU, ROOT2, NORM)),
    ),
    "codes-gelu": (codes, lambda r: Net(nn.Embedding(10, 7, rng=r), *dense(r, [28, 72, 10], nn.GELU, ROOT2))),
    "babble-relu": (babble, lambda r: Net(nn.Embedding(11, 5, rng=r), *dense(r, [10, 40, 11], nn.ReLU, ROOT2))),
    "orchard-relu": (orchard, lambda r: Net(None, *dense(r, [11, 54, 54, 4], nn.ReLU, ROOT2))),
    "orchard-silu-ln": (
        orchard,
        lambda r: Net(None, *dense(r, [11, 48, 48, 4], nn.SiLU, ROOT2, nn.LayerNorm)),
    ),
    "lattice-three-tanh": (lattice, lambda r: Net(None, *dense(r, [3, 36, 36, 36, 5], nn.Tanh, 1.5))),
    "valves-leaky": (valves, lambda r: Net(None, *dense(r, [12, 64, 32, 4], nn.LeakyReLU, ROOT2))),
    "valves-bn": (valves, lambda r: Net(None, *dense(r, [12, 50, 50, 4], nn.ELU, 1.3, NORM))),
    "orbits-gelu": (orbits, lambda r: Net(None, *dense(r, [5, 60, 60, 2], nn.GELU, ROOT2))),
    "pulse-relu": (pulse, lambda r: Net(None, *dense(r, [10, 88, 44, 1], nn.ReLU, ROOT2))),
    "pulse-residual": (
        pulse,
        lambda r: Net(
            None,
            nn.Linear(10, 36, rng=r),
            *[Block(nn.LayerNorm(36), *dense(r, [36, 44, 36], nn.SiLU, ROOT2, last=0.4)) for _ in range(3)],
            nn.Linear(36, 1, rng=r, gain=0.1),
        ),
    ),
    "beats-elu": (beats, lambda r: Net(None, *dense(r, [16, 70, 35, 4], nn.ELU, 1.3))),
    "glyphs-relu": (
        glyphs,
        lambda r: Net(
            None,
            *conv(r, 2, 16, nn.ReLU, ROOT2),
            nn.MaxPool2d(4),
            nn.Flatten(),
            nn.Linear(64, 32, rng=r, gain=ROOT2),
            nn.ReLU(),
            nn.Linear(32, 5, rng=r, gain=0.1),
        ),
    ),
    "market-tanh": (market, lambda r: Net(None, *dense(r, [8, 40, 1], nn.Tanh, 5 / 3))),
    "survey-relu": (survey, lambda r: Net(None, *dense(r, [9, 42, 42, 3], nn.ReLU, ROOT2))),
    "weather-silu-bn": (weather, lambda r: Net(None, *dense(r, [6, 46, 46, 2], nn.SiLU, ROOT2, NORM))),
}
fitted = illnesses.fitted

SICK: Sick = [
    (
        "underfitting",
        illnesses.narrow,
        [("orchard-relu", S), ("pulse-relu", A), ("orbits-gelu", M), ("beats-elu", N), ("codes-gelu", A)],
    ),
    ("underfitting", partial(fitted, widths=(1,), act="Tanh"), [("lattice-three-tanh", S), ("valves-leaky", A)]),
    (
        "underfitting",
        partial(fitted, widths=(2,), act="ReLU"),
        [("orbits-gelu", A), ("orchard-relu", M), ("beats-elu", S), ("verses-tanh", W)],
    ),
    (
        "underfitting",
        partial(fitted, widths=(2, 2), act="Tanh"),
        [("pulse-relu", S), ("lattice-three-tanh", A), ("codes-gelu", M)],
    ),
    ("underfitting", partial(fitted, widths=(8, 1, 8), act="GELU"), [("orbits-gelu", W), ("lattice-three-tanh", M)]),
    ("underfitting", partial(fitted, widths=(2,), act="Sigmoid"), [("valves-leaky", S), ("pulse-relu", M)]),
    ("underfitting", partial(fitted, widths=(3,), act="Tanh"), [("beats-elu", A), ("verses-tanh", M)]),
    ("underfitting", partial(fitted, widths=(4,), act="ReLU"), [("codes-gelu", S), ("lattice-three-tanh", W)]),
    ("underfitting", partial(fitted, widths=(8,), act="Tanh"), [("codes-gelu", W)]),
    ("underfitting", partial(fitted, widths=(2, 2), act="Tanh", norm="BatchNorm1d"), [("orbits-gelu", S)]),
    ("underfitting", partial(illnesses.channels, count=1), [("glyphs-relu", A), ("glyphs-relu", M)]),
    ("context too short", illnesses.short, [("verses-tanh", A), ("verses-relu-bn", S), ("codes-gelu", M)]),
    (
        "overfitting",
        illnesses.few,
        [("orchard-relu", A), ("valves-leaky", W), ("beats-elu", A), ("market-tanh", A), ("babble-relu", W)],
    ),
    (
        "shuffled labels",
        illnesses.trained_shuffled,
        [("survey-relu", A), ("orchard-silu-ln", M), ("pulse-residual", A), ("codes-gelu", S)],
    ),
    (
        "learning rate too low",
        illnesses.slowed,
        [("orchard-silu-ln", A), ("pulse-residual", M), ("lattice-three-tanh", A), ("beats-elu", S)],
    ),
    (
        "running statistics not settled",
        illnesses.trained_unsettled,
        [("weather-silu-bn", A), ("valves-bn", M), ("verses-relu-bn", A)],
    ),
]
PAIRS: Pairs = []
HALFWAY = partial(variations.trained, steps=60)
VARIED: Varied = [
    *(
        ("as few units as it takes", partial(fitted, widths=widths, act=act), arch, kind)
        for widths, act, arch, kind in (
            ((1,), "Tanh", "market-tanh", S),
            ((2,), "ReLU", "market-tanh", A),
            ((2, 2), "Tanh", "market-tanh", M),
            ((1,), "Tanh", "survey-relu", A),
            ((2,), "Sigmoid", "survey-relu", S),
            ((3,), "ReLU", "survey-relu", N),
            ((2,), "Tanh", "babble-relu", A),
            ((3,), "Tanh", "babble-relu", S),
            ((4,), "GELU", "babble-relu", M),
            ((8,), "Tanh", "weather-silu-bn", A),
            ((6,), "Tanh", "weather-silu-bn", M),
            ((8, 8), "ReLU", "weather-silu-bn", S),
            ((12,), "Tanh", "pulse-relu", A),
            ((16,), "ReLU", "pulse-relu", S),
        )
    ),
    *(
        ("more units than it takes", partial(fitted, widths=widths, act=act), arch, kind)
        for widths, act, arch, kind in (
            ((6,), "ReLU", "market-tanh", N),
            ((12,), "ReLU", "survey-relu", S),
            ((32,), "ReLU", "babble-relu", W),
            ((24,), "Tanh", "weather-silu-bn", N),
        )
    ),
    *(
        ("training behind it", variations.trained, arch, kind)
        for arch, kind in (
            ("orchard-relu", A),
            ("lattice-three-tanh", A),
            ("valves-bn", S),
            ("orbits-gelu", M),
            ("pulse-residual", A),
            ("verses-relu-bn", A),
            ("glyphs-relu", W),
        )
    ),
    *(
        ("little training behind it", HALFWAY, arch, kind)
        for arch, kind in (
            ("orchard-silu-ln", S),
            ("valves-leaky", A),
            ("beats-elu", A),
            ("pulse-relu", M),
            ("codes-gelu", A),
            ("verses-tanh", A),
            ("weather-silu-bn", N),
        )
    ),
    *(("evaluation", variations.good_evaluation, arch, A) for arch in ("orbits-gelu", "valves-bn", "survey-relu")),
]
PART = Part(CAPACITY, SICK, PAIRS, VARIED, (A,), losses={orbits: mse, pulse: huber, market: mse})
