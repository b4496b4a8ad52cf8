"""The part of the ward that the doctor is judged by: data and networks that no other part has.

Written, and committed, before the doctor had been run on any of it; after its first reading what tells networks that
are too small was changed, and `benchmarks/ward.md` has the second. Where an illness is a matter of degree, each network
has the smallest dose of a short ladder, such as 30, 100 and 300 times the learning rate, that does harm with each of
three seeds. What harm is, and the margin, is written in `harm.py`, and `python -m benchmarks.ward --harm` measures it.
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
def harmony() -> tuple[Array, Array]:
    """Windows of five over made-up words whose vowels are all of one of three kinds; consonants follow consonants."""
    rng = np.random.default_rng(21)
    consonants, vowels = "bdgklmrs", ("ae", "io", "uy")
    after = rng.dirichlet(np.full(len(consonants), 0.4), len(consonants))
    words = []
    for _ in range(3000):
        kind, k, word = vowels[rng.integers(3)], int(rng.integers(len(consonants))), ""
        for _ in range(int(rng.integers(2, 5))):
            word += consonants[k] + kind[rng.integers(2)]
            k = int(rng.choice(len(consonants), p=after[k]))
        words.append(word)
    return text(words, 5)


@fixed
def numerals() -> tuple[Array, Array]:
    """Windows of six over the Roman numerals of 1 to 2999, shuffled."""
    letters = ["m", "cdm", "xlc", "ivx"]
    forms = ["", "a", "aa", "aaa", "ab", "b", "ba", "baa", "baaa", "ac"]
    words = []
    for number in np.random.default_rng(22).permutation(np.arange(1, 3000)):
        digits = zip(letters, f"{number:04d}", strict=True)
        words.append("".join(one["abc".index(form)] for one, digit in digits for form in forms[int(digit)]))
    return text(words, 6)


@fixed
def melody() -> tuple[Array, Array]:
    """Windows of four over tunes of eleven notes that go on as they went: up, down or where they are."""
    rng = np.random.default_rng(23)
    words = []
    for _ in range(2500):
        note, step, word = int(rng.integers(11)), int(rng.integers(-1, 2)), ""
        for _ in range(int(rng.integers(5, 12))):
            word += "cdefgabhijk"[note]
            step = step if rng.random() < 0.9 else int(rng.integers(-1, 2))
            step = -step if not 0 <= note + step < 11 else step
            note += step
        words.append(word)
    return text(words, 4)


def moons(rng: np.random.Generator, n: int = 2400) -> tuple[Array, Array]:
    """Two numbers, four half-circles that reach into each other."""
    y = rng.integers(4, size=n)
    angle = np.pi * (rng.uniform(size=n) + y % 2)
    x = np.stack([np.cos(angle) + 1.0 * y, np.sin(angle) + 0.4 * (y % 2)], 1) + 0.12 * rng.standard_normal((n, 2))
    return ((x - x.mean(0)) / x.std(0)).astype(np.float32), y


def votes(rng: np.random.Generator, n: int = 2800) -> tuple[Array, Array]:
    """Fifteen answers of yes or no in three committees: how many of them have a majority, one answer in 20 misread."""
    x = np.where(rng.random((n, 15)) < 0.5, 1.0, -1.0)
    y = (x.reshape(n, 3, 5).sum(2) > 0).sum(1)
    return np.where(rng.random(x.shape) < 0.05, -x, x).astype(np.float32), y


def doses(rng: np.random.Generator, n: int = 2600) -> tuple[Array, Array]:
    """Ten log-normal numbers, five ordered classes of unequal size."""
    x = np.exp(0.5 * rng.standard_normal((n, 10)))
    score = np.log(x[:, 0] * x[:, 1] + x[:, 2]) - x[:, 3] / (1 + x[:, 4]) + 0.5 * np.sqrt(x[:, 5])
    score += 0.1 * rng.standard_normal(n)
    x = (x - x.mean(0)) / x.std(0)
    return x.astype(np.float32), np.searchsorted(np.quantile(score, [0.1, 0.35, 0.6, 0.85]), score)


def tides(rng: np.random.Generator, n: int = 2600) -> tuple[Array, Array]:
    """Regression from nine numbers to one."""
    x = rng.uniform(-1.7, 1.7, (n, 9))
    y = np.cos(2 * x[:, 0]) * x[:, 1] + np.maximum(x[:, 2], x[:, 3]) + 0.6 * x[:, 4] + 0.2 * rng.standard_normal(n)
    return x.astype(np.float32), ((y - y.mean()) / y.std()).astype(np.float32)[:, None]


def lenses(rng: np.random.Generator, n: int = 2600) -> tuple[Array, Array]:
    """Regression from twelve numbers to four."""
    x = rng.standard_normal((n, 12))
    hidden = np.maximum(x @ rng.standard_normal((12, 6)) / 3, -0.5)
    y = hidden[:, :4] * hidden[:, 2:] + hidden[:, :4] + 0.1 * rng.standard_normal((n, 4))
    return x.astype(np.float32), ((y - y.mean(0)) / y.std(0)).astype(np.float32)


def segments(rng: np.random.Generator, n: int = 1800) -> tuple[Array, Array]:
    """The ten digits of a display of seven segments, 9 × 8, moved about under noise."""
    lit = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgcde", "abc", "abcdefg", "abcdfg"]
    bars = {"a": (0, slice(1, 4)), "g": (3, slice(1, 4)), "d": (6, slice(1, 4))}
    bars |= {"f": (slice(1, 3), 0), "b": (slice(1, 3), 4), "e": (slice(4, 6), 0), "c": (slice(4, 6), 4)}
    y = rng.integers(10, size=n)
    x = 0.4 * rng.standard_normal((n, 1, 9, 8))
    for k, digit in enumerate(y):
        i, j = rng.integers(0, 3, 2)
        for bar in lit[digit]:
            x[k, 0, i : i + 7, j : j + 5][bars[bar]] += 2
    return ((x - x.mean()) / x.std()).astype(np.float32), y


def gratings(rng: np.random.Generator, n: int = 1800) -> tuple[Array, Array]:
    """Two colours of 8 × 8: stripes in six directions, of some width, place and strength in each colour."""
    y = rng.integers(6, size=n)
    angle, frequency = np.pi * y / 6 + 0.08 * rng.standard_normal(n), rng.uniform(1.1, 1.6, n)
    i, j = np.mgrid[:8, :8] - 3.5
    along = np.multiply.outer(np.cos(angle), i) + np.multiply.outer(np.sin(angle), j)
    wave = np.cos(frequency[:, None, None] * along + rng.uniform(0, 2 * np.pi, (n, 1, 1)))
    x = wave[:, None] * rng.uniform(0.4, 1.2, (n, 2, 1, 1)) + 0.3 * rng.standard_normal((n, 2, 8, 8))
    return (x / x.std()).astype(np.float32), y


def chirps(rng: np.random.Generator, n: int = 2000) -> tuple[Array, Array]:
    """One channel of 30 samples: a tone that rises, falls, rises and falls, or stays, under noise."""
    y = rng.integers(4, size=n)
    t = np.linspace(0, 1, 30)
    courses = np.stack([t, 1 - t, 1 - np.abs(2 * t - 1), np.full(30, 0.5)])
    phase = 2 * np.pi * (np.cumsum(2 + 7 * courses[y], axis=1) / 30 + rng.uniform(0, 1, (n, 1)))
    x = np.sin(phase) + 0.25 * rng.standard_normal((n, 30))
    return (x / x.std()).astype(np.float32)[:, None], y


HELD_OUT: Architectures = {
    "harmony-tanh": (harmony, lambda r: Net(nn.Embedding(15, 7, rng=r), *dense(r, [35, 66, 15], nn.Tanh, 5 / 3))),
    "harmony-relu-bn": (
        harmony,
        lambda r: Net(nn.Embedding(15, 11, rng=r), *dense(r, [55, 70, 34, 15], nn.ReLU, ROOT2, NORM)),
    ),
    "numerals-gelu": (numerals, lambda r: Net(nn.Embedding(8, 5, rng=r), *dense(r, [30, 62, 8], nn.GELU, ROOT2))),
    "numerals-tanh-bn": (
        numerals,
        lambda r: Net(nn.Embedding(8, 8, rng=r), *dense(r, [48, 46, 46, 8], nn.Tanh, 5 / 3, NORM)),
    ),
    "melody-relu-ln": (
        melody,
        lambda r: Net(nn.Embedding(12, 9, rng=r), *dense(r, [36, 58, 58, 12], nn.ReLU, ROOT2, nn.LayerNorm)),
    ),
    "melody-silu-bn": (
        melody,
        lambda r: Net(nn.Embedding(12, 6, rng=r), *dense(r, [24, 74, 12], nn.SiLU, ROOT2, NORM)),
    ),
    "moons-seven-relu": (moons, lambda r: Net(None, *dense(r, [2, *[34] * 7, 4], nn.ReLU, ROOT2))),
    "moons-six-tanh": (moons, lambda r: Net(None, *dense(r, [2, *[30] * 6, 4], nn.Tanh, 1.4))),
    "moons-leaky-bn": (moons, lambda r: Net(None, *dense(r, [2, 42, 42, 4], nn.LeakyReLU, ROOT2, NORM))),
    "votes-three-relu": (votes, lambda r: Net(None, *dense(r, [15, 52, 52, 52, 4], nn.ReLU, ROOT2))),
    "votes-elu-bn": (votes, lambda r: Net(None, *dense(r, [15, 60, 30, 4], nn.ELU, 1.3, NORM))),
    "votes-residual": (
        votes,
        lambda r: Net(
            None,
            nn.Linear(15, 38, rng=r),
            *[Block(nn.LayerNorm(38), *dense(r, [38, 46, 38], nn.GELU, ROOT2, last=0.45)) for _ in range(4)],
            nn.Linear(38, 4, rng=r, gain=0.1),
        ),
    ),
    "doses-five-relu": (doses, lambda r: Net(None, *dense(r, [10, *[36] * 5, 5], nn.ReLU, ROOT2))),
    "doses-four-tanh": (doses, lambda r: Net(None, *dense(r, [10, *[40] * 4, 5], nn.Tanh, 5 / 3))),
    "tides-sigmoid": (tides, lambda r: Net(None, *dense(r, [9, 84, 1], nn.Sigmoid, 2.2, last=0.4))),
    "tides-three-leaky": (tides, lambda r: Net(None, *dense(r, [9, 50, 50, 50, 1], nn.LeakyReLU, ROOT2))),
    "tides-tanh-bn": (tides, lambda r: Net(None, *dense(r, [9, 54, 54, 1], nn.Tanh, 5 / 3, NORM))),
    "lenses-silu": (lenses, lambda r: Net(None, *dense(r, [12, 76, 38, 4], nn.SiLU, ROOT2))),
    "lenses-relu": (lenses, lambda r: Net(None, *dense(r, [12, 90, 4], nn.ReLU, ROOT2))),
    "segments-relu": (
        segments,
        lambda r: Net(
            None,
            *conv(r, 1, 12, nn.ReLU, ROOT2),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(192, 48, rng=r, gain=ROOT2),
            nn.ReLU(),
            nn.Linear(48, 10, rng=r, gain=0.1),
        ),
    ),
    "gratings-elu-bn": (
        gratings,
        lambda r: Net(
            None,
            *conv(r, 2, 9, nn.ELU, 1.3, norm=True),
            nn.AvgPool2d(2),
            *conv(r, 9, 12, nn.ELU, 1.3, norm=True),
            nn.Flatten(),
            nn.Linear(192, 6, rng=r, gain=0.1),
        ),
    ),
    "chirps-conv1d": (
        chirps,
        lambda r: Net(
            None,
            nn.Conv1d(1, 11, 5, padding=2, rng=r, gain=ROOT2),
            nn.LeakyReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(11, 15, 3, padding=1, rng=r, gain=ROOT2),
            nn.LeakyReLU(),
            nn.Flatten(),
            nn.Linear(225, 4, rng=r, gain=0.1),
        ),
    ),
}
overconfident = partial(illnesses.overconfident, factor=80)
dead = partial(illnesses.dead, share=0.65)
too_low = partial(illnesses.too_low, factor=100)
decaying = partial(illnesses.decaying, every=8, factor=0.3)

SICK: Sick = [
    (
        "overconfident output",
        partial(illnesses.overconfident, factor=40),
        [("tides-three-leaky", A), ("lenses-silu", N)],
    ),
    ("overconfident output", overconfident, [("numerals-gelu", S), ("votes-three-relu", M)]),
    ("saturated units", partial(illnesses.saturated, factor=6), [("doses-four-tanh", M), ("doses-four-tanh", W)]),
    ("saturated units", partial(illnesses.all_saturated, factor=3), [("doses-four-tanh", S)]),
    ("saturated units", partial(illnesses.all_saturated, factor=5), [("moons-six-tanh", M)]),
    (
        "dead units",
        dead,
        [("votes-three-relu", A), ("doses-five-relu", M), ("segments-relu", S), ("melody-relu-ln", W)],
    ),
    (
        "learning rate too high",
        partial(illnesses.too_high, factor=30),
        [("harmony-tanh", A), ("lenses-silu", A), ("doses-four-tanh", M), ("votes-residual", W)],
    ),
    (
        "learning rate too high",
        partial(illnesses.too_high, factor=100),
        [("votes-elu-bn", A), ("tides-tanh-bn", A), ("melody-relu-ln", A)],
    ),
    ("learning rate too high", partial(illnesses.too_high, factor=300), [("numerals-gelu", W)]),
    ("learning rate too high", illnesses.knocked_out, [("moons-seven-relu", M), ("segments-relu", A)]),
    ("learning rate too low", too_low, [("votes-residual", S), ("melody-relu-ln", W), ("segments-relu", M)]),
    (
        "signal shrinks with depth",
        partial(illnesses.shrinking, factor=0.4),
        [("moons-seven-relu", A), ("doses-five-relu", M), ("moons-six-tanh", N)],
    ),
    ("signal shrinks with depth", partial(illnesses.shrinking, factor=0.3), [("doses-four-tanh", S)]),
    (
        "signal grows with depth",
        partial(illnesses.growing, factor=3),
        [("moons-seven-relu", S), ("doses-five-relu", A), ("tides-three-leaky", M)],
    ),
    ("identical units", illnesses.symmetric, [("votes-three-relu", A), ("lenses-silu", S)]),
    ("identical units", illnesses.zero, [("harmony-tanh", W)]),
    (
        "bias useless before norm",
        illnesses.biased,
        [("harmony-relu-bn", A), ("moons-leaky-bn", S), ("gratings-elu-bn", N)],
    ),
    (
        "running statistics too fast",
        illnesses.fast_statistics,
        [("melody-silu-bn", M), ("votes-elu-bn", S), ("tides-tanh-bn", A)],
    ),
    (
        "running statistics not settled",
        illnesses.unsettled,
        [
            ("harmony-relu-bn", S),
            ("melody-silu-bn", A),
            ("moons-leaky-bn", M),
            ("tides-tanh-bn", M),
            ("gratings-elu-bn", A),
        ],
    ),
    (
        "batch too small for norm",
        illnesses.tiny_batches,
        [("numerals-tanh-bn", S), ("moons-leaky-bn", A), ("votes-elu-bn", N)],
    ),
    (
        "training in evaluation mode",
        illnesses.eval_training,
        [("melody-silu-bn", S), ("tides-tanh-bn", M), ("gratings-elu-bn", A)],
    ),
    (
        "evaluation in training mode",
        illnesses.train_evaluation,
        [("harmony-relu-bn", N), ("moons-leaky-bn", A), ("gratings-elu-bn", S)],
    ),
    (
        "schedule decays too early",
        decaying,
        [("harmony-relu-bn", S), ("numerals-gelu", A), ("lenses-silu", M), ("gratings-elu-bn", W)],
    ),
    ("frozen parameter", illnesses.frozen, [("doses-five-relu", A), ("melody-relu-ln", S)]),
    ("not in the optimiser", illnesses.unlisted, [("harmony-tanh", A), ("votes-residual", M), ("chirps-conv1d", S)]),
    ("unused parameter", illnesses.unused, [("tides-sigmoid", A), ("gratings-elu-bn", S)]),
    ("detached parameter", illnesses.detached, [("moons-six-tanh", A), ("segments-relu", S), ("numerals-gelu", N)]),
    ("stale gradients", illnesses.stale, [("doses-four-tanh", S), ("melody-silu-bn", A)]),
    ("summed loss", illnesses.summed, [("tides-three-leaky", M), ("harmony-relu-bn", W)]),
    (
        "weight decay too strong",
        partial(illnesses.decayed, share=0.1),
        [("harmony-tanh", A), ("lenses-silu", S), ("chirps-conv1d", M)],
    ),
    ("shuffled labels", illnesses.shuffled, [("doses-five-relu", A), ("segments-relu", M), ("lenses-relu", S)]),
    ("constant input", illnesses.constant_column, [("votes-residual", A), ("tides-sigmoid", S)]),
    ("unscaled input", partial(illnesses.unscaled_column, factor=100), [("votes-three-relu", A), ("lenses-silu", S)]),
    ("unscaled input", illnesses.pixels, [("segments-relu", S)]),
    ("duplicated batches", illnesses.repeated, [("melody-relu-ln", A), ("chirps-conv1d", M), ("tides-sigmoid", S)]),
    ("shifted targets", illnesses.shifted, [("numerals-tanh-bn", A), ("moons-six-tanh", S), ("doses-four-tanh", M)]),
    ("label leak", illnesses.leaked, [("numerals-gelu", S), ("votes-elu-bn", A)]),
    (
        "overfitting",
        partial(illnesses.few, examples=48),
        [("votes-three-relu", A), ("segments-relu", W), ("melody-relu-ln", A)],
    ),
    ("uneven updates", illnesses.uneven, [("lenses-silu", W), ("segments-relu", S), ("numerals-gelu", A)]),
    ("underfitting", illnesses.narrow, [("lenses-silu", S), ("tides-tanh-bn", N), ("doses-four-tanh", A)]),
    (
        "context too short",
        illnesses.short,
        [
            ("harmony-tanh", A),
            ("harmony-relu-bn", M),
            ("numerals-gelu", W),
            ("numerals-tanh-bn", S),
            ("melody-relu-ln", N),
            ("melody-silu-bn", A),
        ],
    ),
]
PAIRS: Pairs = [
    (("overconfident output", overconfident), ("frozen parameter", illnesses.frozen), "chirps-conv1d", W),
    (("dead units", dead), ("constant input", illnesses.constant_column), "lenses-relu", S),
    (("bias useless before norm", illnesses.biased), ("learning rate too low", too_low), "tides-tanh-bn", N),
    (("stale gradients", illnesses.stale), ("unused parameter", illnesses.unused), "votes-residual", S),
    (("summed loss", illnesses.summed), ("not in the optimiser", illnesses.unlisted), "melody-relu-ln", M),
    (("label leak", illnesses.leaked), ("constant input", illnesses.constant_column), "doses-five-relu", A),
    (("shuffled labels", illnesses.shuffled), ("bias useless before norm", illnesses.biased), "harmony-relu-bn", S),
    (
        ("bias useless before norm", illnesses.biased),
        ("running statistics not settled", illnesses.unsettled),
        "votes-elu-bn",
        A,
    ),
    (("unused parameter", illnesses.unused), ("schedule decays too early", decaying), "segments-relu", N),
]
VARIED: Varied = [
    ("imbalanced labels", variations.imbalanced, "doses-five-relu", A),
    ("imbalanced labels", variations.imbalanced, "moons-six-tanh", M),
    ("a fifth of the labels wrong", variations.wrong_labels, "votes-three-relu", A),
    ("a fifth of the labels wrong", variations.wrong_labels, "segments-relu", S),
    ("batches of eight", variations.small_batches, "tides-three-leaky", A),
    ("batches of eight", variations.small_batches, "harmony-tanh", N),
    ("batches in a list", variations.listed, "gratings-elu-bn", M),
    ("zero output", variations.zero_output, "lenses-silu", W),
    ("zero output", variations.zero_output, "chirps-conv1d", S),
    ("gain 0.6 in the output", variations.ordinary_output, "numerals-tanh-bn", A),
    ("mild weight decay", variations.mild_decay, "votes-residual", M),
    ("late schedule", variations.late_schedule, "melody-silu-bn", S),
    ("own step", variations.own_step, "moons-leaky-bn", A),
    ("evaluation", variations.good_evaluation, "harmony-relu-bn", W),
    ("training behind it", variations.trained, "melody-relu-ln", A),
    ("training behind it", variations.trained, "lenses-relu", M),
    ("training behind it", variations.trained, "doses-four-tanh", S),
]
PART = Part(HELD_OUT, SICK, PAIRS, VARIED, (N, A), losses={tides: mse, lenses: huber})
