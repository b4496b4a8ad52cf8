"""The fourth part of the ward: other data, networks and doses again; its reading led to repairs.

`springs-silu` and `patches-gelu-bn` learn as well at eighty times their rate, by the measure of `harm.py`: theirs is
raised further.
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
    return text(words, 5)


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


FOURTH: Architectures = {
    "rings-four-relu": (rings, lambda r: Net(None, *dense(r, [2, *[24] * 4, 3], nn.ReLU, ROOT2))),
    "rings-nine-relu": (rings, lambda r: Net(None, *dense(r, [2, *[56] * 9, 3], nn.ReLU, ROOT2))),
    "twisted-six-relu": (twisted, lambda r: Net(None, *dense(r, [3, *[30] * 6, 4], nn.ReLU, ROOT2))),
    "twisted-five-tanh": (twisted, lambda r: Net(None, *dense(r, [3, *[28] * 5, 4], nn.Tanh, 1.4))),
    "blobs-narrow-relu": (blobs, lambda r: Net(None, *dense(r, [5, 12, 12, 12, 6], nn.ReLU, ROOT2))),
    "blobs-five-leaky": (blobs, lambda r: Net(None, *dense(r, [5, *[26] * 5, 6], nn.LeakyReLU, ROOT2))),
    "noisy-three-relu": (noisy, lambda r: Net(None, *dense(r, [4, 44, 44, 44, 1], nn.ReLU, ROOT2))),
    "sensors-tanh-bn": (sensors, lambda r: Net(None, *dense(r, [16, 52, 52, 3], nn.Tanh, 5 / 3, NORM))),
    "sensors-relu-ln": (sensors, lambda r: Net(None, *dense(r, [16, 44, 44, 44, 3], nn.ReLU, ROOT2, nn.LayerNorm))),
    "sensors-residual": (
        sensors,
        lambda r: Net(
            None,
            nn.Linear(16, 34, rng=r),
            *[Block(nn.LayerNorm(34), *dense(r, [34, 50, 34], nn.ReLU, ROOT2, last=0.4)) for _ in range(5)],
            nn.Linear(34, 3, rng=r, gain=0.1),
        ),
    ),
    "springs-silu": (springs, lambda r: Net(None, *dense(r, [14, 68, 30, 2], nn.SiLU, ROOT2))),
    "springs-sigmoid": (springs, lambda r: Net(None, *dense(r, [14, 76, 2], nn.Sigmoid, 2.0, last=0.4))),
    "patches-relu": (
        patches,
        lambda r: Net(
            None,
            *conv(r, 3, 9, nn.ReLU, ROOT2),
            *conv(r, 9, 9, nn.ReLU, ROOT2),
            nn.Flatten(),
            nn.Linear(441, 4, rng=r, gain=0.1),
        ),
    ),
    "patches-gelu-bn": (
        patches,
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
        signals,
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
        calls,
        lambda r: Net(nn.Embedding(LETTERS, 6, rng=r), *dense(r, [30, 58, 58, LETTERS], nn.ReLU, ROOT2)),
    ),
    "calls-tanh-bn": (
        calls,
        lambda r: Net(nn.Embedding(LETTERS, 9, rng=r), *dense(r, [45, 84, 42, LETTERS], nn.Tanh, 5 / 3, NORM)),
    ),
}
SICK: Sick = [
    (
        "overconfident output",
        partial(illnesses.overconfident, factor=80),
        [("rings-four-relu", M), ("signals-conv1d", A), ("springs-silu", S), ("calls-tanh-bn", N)],
    ),
    (
        "saturated units",
        partial(illnesses.saturated, factor=7),
        [("twisted-five-tanh", M), ("springs-sigmoid", A)],
    ),
    ("saturated units", partial(illnesses.all_saturated, factor=4.5), [("twisted-five-tanh", A)]),
    (
        "dead units",
        partial(illnesses.dead, share=0.6),
        [
            ("rings-four-relu", A),
            ("blobs-narrow-relu", M),
            ("patches-relu", S),
            ("calls-two-relu", W),
            ("sensors-relu-ln", M),
        ],
    ),
    (
        "learning rate too high",
        partial(illnesses.too_high, factor=80),
        [("calls-two-relu", A)],
    ),
    ("learning rate too high", partial(illnesses.too_high, factor=150), [("springs-silu", M)]),
    ("learning rate too high", partial(illnesses.too_high, factor=1000), [("patches-gelu-bn", A)]),
    ("learning rate too high", illnesses.knocked_out, [("rings-nine-relu", M), ("patches-relu", N)]),
    (
        "learning rate too low",
        partial(illnesses.too_low, factor=3000),
        [("sensors-residual", M), ("calls-tanh-bn", A), ("noisy-three-relu", S)],
    ),
    (
        "signal shrinks with depth",
        partial(illnesses.shrinking, factor=0.25),
        [("twisted-six-relu", M), ("twisted-five-tanh", S), ("blobs-five-leaky", A)],
    ),
    (
        "signal grows with depth",
        partial(illnesses.growing, factor=4.5),
        [("twisted-six-relu", A), ("rings-nine-relu", S), ("blobs-five-leaky", M)],
    ),
    ("identical units", illnesses.symmetric, [("springs-silu", M), ("calls-two-relu", S)]),
    ("identical units", illnesses.zero, [("twisted-five-tanh", N)]),
    (
        "bias useless before norm",
        illnesses.biased,
        [("sensors-tanh-bn", M), ("patches-gelu-bn", A), ("calls-tanh-bn", S)],
    ),
    ("running statistics too fast", illnesses.fast_statistics, [("sensors-tanh-bn", A), ("calls-tanh-bn", M)]),
    ("running statistics not settled", illnesses.unsettled, [("sensors-tanh-bn", M), ("patches-gelu-bn", A)]),
    ("batch too small for norm", illnesses.tiny_batches, [("sensors-tanh-bn", S), ("calls-tanh-bn", A)]),
    ("training in evaluation mode", illnesses.eval_training, [("patches-gelu-bn", M), ("calls-tanh-bn", S)]),
    ("evaluation in training mode", illnesses.train_evaluation, [("sensors-tanh-bn", N), ("patches-gelu-bn", A)]),
    (
        "schedule decays too early",
        partial(illnesses.decaying, every=5, factor=0.3),
        [("signals-conv1d", M), ("springs-silu", A), ("blobs-five-leaky", W), ("calls-tanh-bn", S)],
    ),
    ("frozen parameter", illnesses.frozen, [("twisted-six-relu", A), ("patches-relu", M)]),
    ("not in the optimiser", illnesses.unlisted, [("noisy-three-relu", A), ("calls-tanh-bn", M)]),
    ("unused parameter", illnesses.unused, [("rings-nine-relu", A), ("sensors-residual", S)]),
    ("detached parameter", illnesses.detached, [("twisted-five-tanh", A), ("signals-conv1d", S)]),
    ("stale gradients", illnesses.stale, [("blobs-narrow-relu", S), ("sensors-residual", A)]),
    ("summed loss", illnesses.summed, [("noisy-three-relu", M), ("rings-four-relu", W)]),
    (
        "weight decay too strong",
        partial(illnesses.decayed, share=0.12),
        [("signals-conv1d", A), ("springs-silu", M), ("calls-two-relu", S)],
    ),
    ("shuffled labels", illnesses.shuffled, [("blobs-narrow-relu", A), ("patches-relu", M), ("springs-silu", S)]),
    ("constant input", illnesses.constant_column, [("sensors-residual", A), ("blobs-five-leaky", S)]),
    (
        "unscaled input",
        partial(illnesses.unscaled_column, factor=150),
        [("springs-silu", A), ("sensors-relu-ln", M)],
    ),
    ("unscaled input", illnesses.pixels, [("patches-relu", A), ("signals-conv1d", S)]),
    ("duplicated batches", illnesses.repeated, [("calls-two-relu", M), ("rings-four-relu", A)]),
    ("shifted targets", illnesses.shifted, [("calls-tanh-bn", A), ("blobs-narrow-relu", S)]),
    ("label leak", illnesses.leaked, [("sensors-relu-ln", A), ("calls-two-relu", N)]),
    ("overfitting", partial(illnesses.few, examples=40), [("sensors-relu-ln", A), ("calls-two-relu", A)]),
    ("uneven updates", illnesses.uneven, [("twisted-five-tanh", M), ("sensors-relu-ln", W)]),
    ("underfitting", illnesses.narrow, [("rings-four-relu", A), ("calls-two-relu", M)]),
    ("context too short", illnesses.short, [("calls-two-relu", A), ("calls-tanh-bn", M)]),
]
PAIRS: Pairs = [
    (
        ("overconfident output", illnesses.overconfident),
        ("saturated units", illnesses.saturated),
        "twisted-five-tanh",
        S,
    ),
    (("dead units", illnesses.dead), ("unused parameter", illnesses.unused), "blobs-narrow-relu", A),
    (
        ("bias useless before norm", illnesses.biased),
        ("learning rate too low", illnesses.too_low),
        "patches-gelu-bn",
        M,
    ),
    (("stale gradients", illnesses.stale), ("constant input", illnesses.constant_column), "springs-silu", S),
    (("summed loss", illnesses.summed), ("frozen parameter", illnesses.frozen), "signals-conv1d", M),
    (("label leak", illnesses.leaked), ("unused parameter", illnesses.unused), "sensors-tanh-bn", A),
    (("shuffled labels", illnesses.shuffled), ("constant input", illnesses.constant_column), "sensors-relu-ln", S),
    (
        ("running statistics too fast", illnesses.fast_statistics),
        ("not in the optimiser", illnesses.unlisted),
        "calls-tanh-bn",
        W,
    ),
    (
        ("unused parameter", illnesses.unused),
        ("schedule decays too early", partial(illnesses.decaying, every=5, factor=0.3)),
        "patches-relu",
        S,
    ),
]
VARIED: Varied = [
    ("imbalanced labels", variations.imbalanced, "rings-four-relu", A),
    ("imbalanced labels", variations.imbalanced, "twisted-six-relu", M),
    ("a fifth of the labels wrong", variations.wrong_labels, "blobs-five-leaky", A),
    ("a fifth of the labels wrong", variations.wrong_labels, "patches-relu", M),
    ("batches of eight", variations.small_batches, "twisted-six-relu", A),
    ("batches of eight", variations.small_batches, "noisy-three-relu", M),
    ("batches of eight", variations.small_batches, "calls-two-relu", S),
    ("batches in a list", variations.listed, "signals-conv1d", N),
    ("zero output", variations.zero_output, "springs-silu", A),
    ("gain 0.6 in the output", variations.ordinary_output, "rings-nine-relu", A),
    ("mild weight decay", variations.mild_decay, "blobs-narrow-relu", W),
    ("late schedule", variations.late_schedule, "sensors-residual", M),
    ("own step", variations.own_step, "patches-gelu-bn", A),
    ("evaluation", variations.good_evaluation, "sensors-tanh-bn", S),
    ("training behind it", variations.trained, "rings-nine-relu", M),
    ("training behind it", variations.trained, "twisted-six-relu", A),
    ("training behind it", variations.trained, "noisy-three-relu", S),
]
PART = Part(FOURTH, SICK, PAIRS, VARIED, (M, A), losses={noisy: mse, springs: huber})
