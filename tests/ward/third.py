"""The third part of the ward: other data, networks, optimisers and doses; its reading led to repairs."""

from __future__ import annotations

from functools import partial

import numpy as np

from npgrad import Tensor, nn
from tests.ward import illnesses, variations
from tests.ward.case import A, Array, M, N, Pairs, Part, S, Sick, Varied, W
from tests.ward.examples import fixed, huber, mse, text
from tests.ward.networks import NORM, ROOT2, Architectures, Block, Net, conv, dense


@fixed
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
    return text(words, 4)


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


class Channel(nn.Module):
    """(N, L) as one channel: (N, 1, L)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), 1, x.shape[1])


def groups(channels: int) -> nn.Module:
    return nn.GroupNorm(4, channels)


THIRD: Architectures = {
    "syllables-silu": (
        syllables,
        lambda r: Net(nn.Embedding(LETTERS, 12, rng=r), *dense(r, [48, 80, LETTERS], nn.SiLU, ROOT2)),
    ),
    "syllables-five-tanh-bn": (
        syllables,
        lambda r: Net(nn.Embedding(LETTERS, 5, rng=r), *dense(r, [20, *[36] * 5, LETTERS], nn.Tanh, 5 / 3, NORM)),
    ),
    "syllables-tanh": (
        syllables,
        lambda r: Net(nn.Embedding(LETTERS, 16, rng=r), *dense(r, [64, 150, LETTERS], nn.Tanh, 5 / 3)),
    ),
    "syllables-relu-ln": (
        syllables,
        lambda r: Net(nn.Embedding(LETTERS, 10, rng=r), *dense(r, [40, 72, 72, LETTERS], nn.ReLU, ROOT2, nn.LayerNorm)),
    ),
    "waves-elu": (waves, lambda r: Net(None, *dense(r, [20, 56, 40, 4], nn.ELU, 1.3))),
    "friedman-sigmoid": (friedman, lambda r: Net(None, *dense(r, [8, 90, 1], nn.Sigmoid, 2.5, last=0.5))),
    "waves-conv1d": (
        waves,
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
        waves,
        lambda r: Net(
            None,
            nn.Linear(20, 36, rng=r),
            *[Block(*dense(r, [36, 60, 36], nn.LeakyReLU, ROOT2, NORM, last=0.35)) for _ in range(6)],
            nn.Linear(36, 4, rng=r, gain=0.1),
        ),
    ),
    "spirals-eight-relu": (spirals, lambda r: Net(None, *dense(r, [2, *[40] * 8, 3], nn.ReLU, ROOT2))),
    "spirals-seven-tanh": (spirals, lambda r: Net(None, *dense(r, [2, *[40] * 7, 3], nn.Tanh, 1.3))),
    "spirals-elu-bn": (spirals, lambda r: Net(None, *dense(r, [2, 64, 64, 3], nn.ELU, 1.3, NORM))),
    "shapes-leaky": (
        shapes,
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
        shapes,
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
    "friedman-gelu": (friedman, lambda r: Net(None, *dense(r, [8, 80, 32, 1], nn.GELU, ROOT2))),
    "friedman-relu-gn": (friedman, lambda r: Net(None, *dense(r, [8, 64, 64, 1], nn.ReLU, ROOT2, groups))),
    "arm-tanh": (arm, lambda r: Net(None, *dense(r, [9, 72, 72, 3], nn.Tanh, 5 / 3))),
    "arm-relu-bn": (arm, lambda r: Net(None, *dense(r, [9, 100, 50, 3], nn.ReLU, ROOT2, NORM))),
}
SICK: Sick = [
    (
        "overconfident output",
        partial(illnesses.overconfident, factor=60),
        [("syllables-silu", S), ("waves-elu", A), ("waves-conv1d", M), ("shapes-leaky", W), ("arm-tanh", S)],
    ),
    (
        "saturated units",
        partial(illnesses.saturated, factor=8),
        [("syllables-tanh", S), ("spirals-seven-tanh", A), ("friedman-sigmoid", N), ("arm-tanh", M)],
    ),
    ("saturated units", partial(illnesses.all_saturated, factor=5), [("spirals-seven-tanh", S), ("syllables-tanh", W)]),
    (
        "dead units",
        partial(illnesses.dead, share=0.5),
        [("spirals-eight-relu", A), ("waves-conv1d", S), ("syllables-relu-ln", M), ("friedman-relu-gn", W)],
    ),
    (
        "learning rate too high",
        partial(illnesses.too_high, factor=100),
        [("syllables-tanh", M), ("waves-elu", W), ("shapes-leaky", A), ("friedman-gelu", N), ("arm-relu-bn", A)],
    ),
    ("learning rate too high", illnesses.knocked_out, [("spirals-eight-relu", N), ("waves-conv1d", S)]),
    (
        "learning rate too low",
        partial(illnesses.too_low, factor=2000),
        [("syllables-silu", A), ("waves-residual-bn", M), ("shapes-silu-bn", W), ("friedman-gelu", N), ("arm-tanh", S)],
    ),
    (
        "signal shrinks with depth",
        partial(illnesses.shrinking, factor=0.3),
        [("spirals-eight-relu", A), ("spirals-seven-tanh", S), ("spirals-eight-relu", M)],
    ),
    (
        "signal grows with depth",
        partial(illnesses.growing, factor=4),
        [("spirals-eight-relu", S), ("spirals-eight-relu", W), ("spirals-eight-relu", N)],
    ),
    ("identical units", illnesses.symmetric, [("syllables-tanh", A), ("waves-elu", S), ("friedman-gelu", M)]),
    ("identical units", illnesses.zero, [("arm-tanh", W), ("syllables-silu", N)]),
    (
        "bias useless before norm",
        illnesses.biased,
        [("syllables-five-tanh-bn", A), ("waves-residual-bn", S), ("shapes-silu-bn", N), ("arm-relu-bn", W)],
    ),
    (
        "running statistics too fast",
        illnesses.fast_statistics,
        [("syllables-five-tanh-bn", W), ("spirals-elu-bn", S), ("arm-relu-bn", M)],
    ),
    (
        "running statistics not settled",
        illnesses.unsettled,
        [("syllables-five-tanh-bn", S), ("shapes-silu-bn", A), ("spirals-elu-bn", M)],
    ),
    (
        "batch too small for norm",
        illnesses.tiny_batches,
        [("syllables-five-tanh-bn", M), ("waves-residual-bn", A), ("spirals-elu-bn", N)],
    ),
    (
        "training in evaluation mode",
        illnesses.eval_training,
        [("syllables-five-tanh-bn", S), ("shapes-silu-bn", M), ("spirals-elu-bn", A)],
    ),
    (
        "evaluation in training mode",
        illnesses.train_evaluation,
        [("syllables-five-tanh-bn", A), ("shapes-silu-bn", S), ("waves-residual-bn", M)],
    ),
    ("schedule decays too early", illnesses.decaying, [("syllables-silu", S), ("arm-relu-bn", A), ("shapes-leaky", N)]),
    ("frozen parameter", illnesses.frozen, [("syllables-relu-ln", S), ("waves-conv1d", A), ("arm-tanh", N)]),
    (
        "not in the optimiser",
        illnesses.unlisted,
        [("spirals-seven-tanh", W), ("shapes-leaky", S), ("friedman-gelu", M)],
    ),
    ("unused parameter", illnesses.unused, [("syllables-silu", W), ("waves-residual-bn", S), ("arm-tanh", A)]),
    ("detached parameter", illnesses.detached, [("waves-elu", S), ("shapes-silu-bn", A), ("syllables-relu-ln", N)]),
    ("stale gradients", illnesses.stale, [("syllables-silu", M), ("waves-residual-bn", W), ("friedman-gelu", S)]),
    ("summed loss", illnesses.summed, [("syllables-tanh", N), ("shapes-silu-bn", S), ("arm-tanh", A)]),
    (
        "weight decay too strong",
        partial(illnesses.decayed, share=0.1),
        [("syllables-silu", A), ("waves-elu", S), ("arm-tanh", M), ("shapes-leaky", S)],
    ),
    (
        "shuffled labels",
        illnesses.shuffled,
        [("syllables-relu-ln", A), ("waves-conv1d", S), ("spirals-elu-bn", M), ("arm-tanh", W)],
    ),
    ("constant input", illnesses.constant_column, [("waves-elu", W), ("friedman-relu-gn", S), ("arm-relu-bn", N)]),
    (
        "unscaled input",
        partial(illnesses.unscaled_column, factor=1000),
        [("waves-elu", A), ("friedman-gelu", S), ("waves-residual-bn", M)],
    ),
    ("unscaled input", illnesses.pixels, [("shapes-leaky", S), ("shapes-silu-bn", A)]),
    ("duplicated batches", illnesses.repeated, [("syllables-silu", A), ("shapes-leaky", M), ("friedman-gelu", S)]),
    ("shifted targets", illnesses.shifted, [("syllables-silu", S), ("spirals-elu-bn", A), ("waves-residual-bn", W)]),
    ("label leak", illnesses.leaked, [("syllables-five-tanh-bn", S), ("waves-elu", M), ("friedman-relu-gn", A)]),
    (
        "overfitting",
        partial(illnesses.few, examples=64),
        [("waves-elu", A), ("shapes-leaky", A), ("syllables-tanh", W)],
    ),
    ("uneven updates", illnesses.uneven, [("waves-residual-bn", A), ("syllables-relu-ln", S), ("arm-tanh", M)]),
    ("underfitting", illnesses.narrow, [("syllables-silu", A), ("friedman-gelu", S), ("arm-tanh", M)]),
    (
        "context too short",
        illnesses.short,
        [("syllables-tanh", S), ("syllables-five-tanh-bn", A), ("syllables-relu-ln", N)],
    ),
]
PAIRS: Pairs = [
    (("overconfident output", illnesses.overconfident), ("saturated units", illnesses.saturated), "syllables-tanh", S),
    (("overconfident output", illnesses.overconfident), ("frozen parameter", illnesses.frozen), "waves-conv1d", W),
    (("bias useless before norm", illnesses.biased), ("learning rate too low", illnesses.too_low), "arm-relu-bn", S),
    (
        ("running statistics too fast", illnesses.fast_statistics),
        ("unused parameter", illnesses.unused),
        "spirals-elu-bn",
        A,
    ),
    (("stale gradients", illnesses.stale), ("constant input", illnesses.constant_column), "waves-elu", M),
    (("summed loss", illnesses.summed), ("not in the optimiser", illnesses.unlisted), "friedman-gelu", W),
    (("label leak", illnesses.leaked), ("unused parameter", illnesses.unused), "waves-residual-bn", A),
    (("shuffled labels", illnesses.shuffled), ("constant input", illnesses.constant_column), "friedman-relu-gn", N),
    (("dead units", illnesses.dead), ("constant input", illnesses.constant_column), "waves-conv1d", A),
    (("saturated units", illnesses.saturated), ("unused parameter", illnesses.unused), "spirals-seven-tanh", M),
    (
        ("evaluation in training mode", illnesses.train_evaluation),
        ("bias useless before norm", illnesses.biased),
        "shapes-silu-bn",
        N,
    ),
    (
        ("not in the optimiser", illnesses.unlisted),
        ("schedule decays too early", illnesses.decaying),
        "syllables-silu",
        W,
    ),
]
VARIED: Varied = [
    ("imbalanced labels", variations.imbalanced, "waves-elu", A),
    ("imbalanced labels", variations.imbalanced, "shapes-silu-bn", S),
    ("zero output", variations.zero_output, "syllables-silu", N),
    ("zero output", variations.zero_output, "arm-tanh", A),
    ("gain 0.6 in the output", variations.ordinary_output, "spirals-elu-bn", S),
    ("gain 0.6 in the output", variations.ordinary_output, "waves-conv1d", W),
    ("mild weight decay", variations.mild_decay, "syllables-five-tanh-bn", M),
    ("mild weight decay", variations.mild_decay, "friedman-gelu", A),
    ("late schedule", variations.late_schedule, "waves-residual-bn", S),
    ("late schedule", variations.late_schedule, "arm-relu-bn", W),
    ("own step", variations.own_step, "syllables-relu-ln", M),
    ("own step", variations.own_step, "shapes-leaky", A),
    ("evaluation", variations.good_evaluation, "syllables-five-tanh-bn", S),
    ("evaluation", variations.good_evaluation, "waves-conv1d", A),
    ("training behind it", variations.trained, "syllables-tanh", S),
    ("training behind it", variations.trained, "arm-relu-bn", A),
    ("training behind it", variations.trained, "spirals-elu-bn", M),
]
PART = Part(THIRD, SICK, PAIRS, VARIED, (S, M, A, N, W), losses={friedman: mse, arm: huber})
