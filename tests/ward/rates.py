"""The part of the ward that is about the learning rate: too low, from the start or later on, and small but right.

Written, and committed, before the doctor was changed for it or had been run on any of it. Where the rate is called too
low, the network does worse than at its usual rate by the margin of `harm.py`; a network that was trained to the end and
is called healthy gains less than a fifth of that margin by sixteen times the rate, or by sixteen times as many units.
`python -m benchmarks.ward --part rates --harm` measures both, without the doctor, with three seeds.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from npgrad import nn
from tests.ward import illnesses, variations
from tests.ward.case import A, Array, M, N, Part, S, Sick, Varied, W
from tests.ward.examples import fixed, huber, mse, text
from tests.ward.networks import NORM, ROOT2, Architectures, Net, conv, dense


@fixed
def rivers() -> tuple[Array, Array]:
    """Windows of three over made-up words of ten letters: four syllables in five end as the one before them begins."""
    rng = np.random.default_rng(41)
    words = []
    for _ in range(2600):
        word, last = "", int(rng.integers(5))
        for _ in range(int(rng.integers(2, 5))):
            onset = last if rng.random() < 0.8 else int(rng.integers(5))
            last = int(rng.integers(5)) if rng.random() < 0.3 else (2 * onset + 1) % 5
            word += "mnrlv"[onset] + "aeiou"[last]
        words.append(word)
    return text(words, 3)


def ferries(rng: np.random.Generator, n: int = 3000) -> tuple[Array, Array]:
    """Regression from seven numbers to one: a bend, a product and a wave."""
    x = rng.standard_normal((n, 7))
    y = np.abs(x[:, 0] - x[:, 1]) + x[:, 2] * x[:, 3] + np.sin(1.5 * x[:, 4]) + 0.3 * x[:, 5]
    y += 0.2 * rng.standard_normal(n)
    return x.astype(np.float32), ((y - y.mean()) / y.std()).astype(np.float32)[:, None]


def rotors(rng: np.random.Generator, n: int = 3000) -> tuple[Array, Array]:
    """Regression from four numbers to three: a vector, turned by an angle and stretched."""
    x = rng.uniform(-1.7, 1.7, (n, 4))
    c, s = np.cos(x[:, 2]), np.sin(x[:, 2])
    y = np.stack([c * x[:, 0] - s * x[:, 1], s * x[:, 0] + c * x[:, 1], x[:, 3] * x[:, 0]], 1)
    y += 0.05 * rng.standard_normal(y.shape)
    return x.astype(np.float32), ((y - y.mean(0)) / y.std(0)).astype(np.float32)


def kilns(rng: np.random.Generator, n: int = 3000) -> tuple[Array, Array]:
    """Nine numbers, four classes: the nearest of twelve centres, three a class."""
    centres = 1.1 * rng.standard_normal((12, 9))
    which = rng.integers(12, size=n)
    return (centres[which] + 0.7 * rng.standard_normal((n, 9))).astype(np.float32), which % 4


def quilts(rng: np.random.Generator, n: int = 3000) -> tuple[Array, Array]:
    """Images of 8 × 8: stripes, checks, rings or dots, moved and faint."""
    i, j = np.mgrid[:8, :8]
    y = rng.integers(4, size=n)
    a, b = rng.integers(0, 4, (2, n, 1, 1))
    i, j = i + a, j + b
    kinds = np.stack([i // 2 % 2, (i // 2 + j // 2) % 2, j // 2 % 2, (i % 4 == 0) & (j % 4 == 0)], 1)
    x = 1.4 * kinds[np.arange(n), y] + 0.8 * rng.standard_normal((n, 8, 8))
    return ((x - x.mean()) / x.std()).astype(np.float32)[:, None], y


def gates(rng: np.random.Generator, n: int = 8000) -> tuple[Array, Array]:
    """Six numbers, three classes: on how many of two planes' upper sides, with a sharp edge; 5 % drawn at random."""
    x = rng.standard_normal((n, 6))
    along = np.linalg.qr(rng.standard_normal((6, 2)))[0]
    y = (x @ along > 0).sum(1)
    return x.astype(np.float32), np.where(rng.random(n) < 0.05, rng.integers(3, size=n), y)


def terraces(rng: np.random.Generator, n: int = 8000) -> tuple[Array, Array]:
    """Regression from five numbers to one: two stairs of one step each, and noise."""
    x = rng.standard_normal((n, 5))
    y = 1.0 * (x[:, 0] + x[:, 1] > 0.3) + 0.7 * (x[:, 2] - x[:, 3] > -0.5) + 0.25 * rng.standard_normal(n)
    return x.astype(np.float32), ((y - y.mean()) / y.std()).astype(np.float32)[:, None]


def ballots(rng: np.random.Generator, n: int = 12_000) -> tuple[Array, Array]:
    """Eight numbers, four classes: drawn with the odds that four weighted sums give."""
    x = rng.standard_normal((n, 8))
    score = 0.7 * x @ rng.standard_normal((8, 4))
    return x.astype(np.float32), (score + rng.gumbel(size=score.shape)).argmax(1)


def tides(rng: np.random.Generator, n: int = 12_000) -> tuple[Array, Array]:
    """Regression from six numbers to one, half of whose variance they tell."""
    x = rng.standard_normal((n, 6))
    y = np.tanh(x[:, 0]) + 0.6 * x[:, 1] - 0.5 * np.abs(x[:, 2])
    y += y.std() * rng.standard_normal(n)
    return x.astype(np.float32), ((y - y.mean()) / y.std()).astype(np.float32)[:, None]


RATES: Architectures = {
    "rivers-tanh": (rivers, lambda r: Net(nn.Embedding(11, 7, rng=r), *dense(r, [21, 60, 11], nn.Tanh, 5 / 3))),
    "rivers-gelu-ln": (
        rivers,
        lambda r: Net(nn.Embedding(11, 6, rng=r), *dense(r, [18, 48, 48, 11], nn.GELU, ROOT2, nn.LayerNorm)),
    ),
    "ferries-relu": (ferries, lambda r: Net(None, *dense(r, [7, 72, 36, 1], nn.ReLU, ROOT2))),
    "rotors-silu": (rotors, lambda r: Net(None, *dense(r, [4, 52, 52, 3], nn.SiLU, ROOT2))),
    "kilns-elu": (kilns, lambda r: Net(None, *dense(r, [9, 58, 29, 4], nn.ELU, 1.3))),
    "kilns-three-relu": (kilns, lambda r: Net(None, *dense(r, [9, 38, 38, 38, 4], nn.ReLU, ROOT2))),
    "quilts-relu": (
        quilts,
        lambda r: Net(
            None, *conv(r, 1, 12, nn.ReLU, ROOT2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(192, 4, rng=r, gain=0.1)
        ),
    ),
    "gates-tanh": (gates, lambda r: Net(None, *dense(r, [6, 34, 34, 3], nn.Tanh, 1.5))),
    "terraces-tanh": (terraces, lambda r: Net(None, *dense(r, [5, 62, 1], nn.Tanh, 1.5))),
    "ballots-relu": (ballots, lambda r: Net(None, *dense(r, [8, 46, 4], nn.ReLU, ROOT2))),
    "tides-silu-bn": (tides, lambda r: Net(None, *dense(r, [6, 44, 44, 1], nn.SiLU, ROOT2, NORM))),
}
slowed, fitted, annealed = illnesses.slowed, illnesses.fitted, variations.annealed

SICK: Sick = [
    (
        "learning rate too low",
        slowed,
        [("kilns-elu", S), ("ferries-relu", A), ("rivers-tanh", A)],
    ),
    (
        "learning rate too low",
        partial(slowed, steps=25, factor=100),
        [
            ("kilns-three-relu", A),
            ("kilns-elu", M),
            ("rotors-silu", A),
            ("ferries-relu", M),
            ("quilts-relu", A),
            ("rivers-gelu-ln", S),
        ],
    ),
    (
        "learning rate too low",
        partial(slowed, steps=30, factor=50),
        [("rotors-silu", M), ("ferries-relu", S), ("rivers-tanh", N), ("kilns-three-relu", W), ("quilts-relu", S)],
    ),
    (
        "learning rate too low",
        illnesses.too_low,
        [("gates-tanh", A), ("rotors-silu", S), ("quilts-relu", M), ("tides-silu-bn", A)],
    ),
    (
        "schedule decays too early",
        illnesses.decaying,
        [("kilns-elu", A), ("rotors-silu", A), ("rivers-tanh", S), ("quilts-relu", M)],
    ),
]
VARIED: Varied = [
    *(
        (f"saturated {act} units, {widths[0]}", partial(fitted, widths=widths, act=act), "terraces-tanh", kind)
        for widths, act in (((4,), "Tanh"), ((3,), "Tanh"), ((3,), "Sigmoid"))
        for kind in (S, M, A)
    ),
    *(
        (f"saturated units, {widths}", partial(fitted, widths=widths, act="Tanh"), "gates-tanh", kind)
        for widths, kind in (((8, 8), A), ((12, 12), M), ((12, 6), S), ((16, 16), N))
    ),
    *(
        ("its rate annealed", partial(annealed, end=end), arch, kind)
        for arch, kind, end in (
            ("ballots-relu", A, 0.05),
            ("ballots-relu", S, 0.05),
            ("ballots-relu", M, 0.02),
            ("tides-silu-bn", A, 0.05),
            ("tides-silu-bn", M, 0.02),
            ("tides-silu-bn", S, 0.05),
            ("terraces-tanh", W, 0.05),
            ("gates-tanh", N, 0.02),
        )
    ),
    *(
        ("wrong labels", variations.wrong_labels, arch, kind)
        for arch, kind in (("kilns-elu", A), ("quilts-relu", A), ("rivers-tanh", S), ("gates-tanh", M))
    ),
    *(
        ("training behind it", variations.trained, arch, kind)
        for arch, kind in (("rivers-gelu-ln", A), ("rotors-silu", M), ("quilts-relu", W), ("kilns-three-relu", S))
    ),
    *(
        ("little training behind it", partial(variations.trained, steps=60), arch, kind)
        for arch, kind in (("kilns-elu", M), ("ferries-relu", A), ("rivers-tanh", A), ("tides-silu-bn", S))
    ),
]
PART = Part(RATES, SICK, [], VARIED, (A,), losses={ferries: huber, rotors: mse, terraces: mse, tides: mse})
