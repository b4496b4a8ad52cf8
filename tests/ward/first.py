"""The first part of the ward: thresholds were chosen on it."""

from __future__ import annotations

import numpy as np

from npgrad import data, nn
from tests.ward import illnesses, variations
from tests.ward.case import A, Array, M, Pairs, Part, S, Sick, Varied
from tests.ward.examples import fixed, mse
from tests.ward.networks import NORM, ROOT2, Architectures, Block, Net, conv, dense


@fixed
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


FIRST: Architectures = {
    "names-tanh": (names, lambda r: Net(nn.Embedding(27, 8, rng=r), *dense(r, [24, 64, 27], nn.Tanh, 5 / 3))),
    "names-bn": (
        names,
        lambda r: Net(nn.Embedding(27, 8, rng=r), *dense(r, [24, 64, 27], nn.Tanh, 5 / 3, NORM)),
    ),
    "deep-tanh": (table, lambda r: Net(None, *dense(r, [12, 48, 48, 48, 48, 5], nn.Tanh, 5 / 3))),
    "deep-relu": (table, lambda r: Net(None, *dense(r, [12, 48, 48, 48, 48, 5], nn.ReLU, ROOT2))),
    "deep-tanh-bn": (
        names,
        lambda r: Net(nn.Embedding(27, 8, rng=r), *dense(r, [24, 48, 48, 48, 48, 27], nn.Tanh, 5 / 3, NORM)),
    ),
    "deep-relu-ln": (table, lambda r: Net(None, *dense(r, [12, 48, 48, 48, 48, 5], nn.ReLU, ROOT2, nn.LayerNorm))),
    "sigmoid": (table, lambda r: Net(None, *dense(r, [12, 48, 5], nn.Sigmoid, 1.5))),
    "regression": (numbers, lambda r: Net(None, *dense(r, [10, 48, 48, 1], nn.ReLU, ROOT2))),
    "regression-tanh": (numbers, lambda r: Net(None, *dense(r, [10, 48, 1], nn.Tanh, 5 / 3))),
    "conv": (
        images,
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
        images,
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
        table,
        lambda r: Net(
            None,
            nn.Linear(12, 48, rng=r),
            *[Block(*dense(r, [48, 24, 48], nn.ReLU, ROOT2, nn.BatchNorm1d, last=0.5)) for _ in range(4)],
            nn.Linear(48, 5, rng=r, gain=0.1),
        ),
    ),
}
SICK: Sick = [
    (
        "overconfident output",
        illnesses.overconfident,
        [("names-tanh", S), ("deep-relu", A), ("conv", M), ("regression", S), ("names-bn", A), ("deep-tanh", M)],
    ),
    (
        "saturated units",
        illnesses.saturated,
        [("names-tanh", S), ("deep-tanh", A), ("sigmoid", M), ("regression-tanh", S)],
    ),
    ("saturated units", illnesses.all_saturated, [("deep-tanh", S), ("deep-tanh", M)]),
    ("dead units", illnesses.dead, [("deep-relu", S), ("conv", A), ("regression", M), ("deep-relu", A)]),
    ("learning rate too high", illnesses.knocked_out, [("deep-relu", M), ("conv", S), ("regression", A)]),
    (
        "learning rate too high",
        illnesses.too_high,
        [("names-tanh", A), ("deep-tanh", M), ("conv-bn", A), ("residual", A), ("regression-tanh", M)],
    ),
    (
        "learning rate too low",
        illnesses.too_low,
        [("names-tanh", S), ("deep-relu-ln", A), ("conv-bn", M), ("regression", S), ("sigmoid", A), ("names-bn", S)],
    ),
    (
        "signal shrinks with depth",
        illnesses.shrinking,
        [("deep-tanh", S), ("deep-relu", A), ("deep-relu", S), ("deep-tanh", M)],
    ),
    ("signal grows with depth", illnesses.growing, [("deep-relu", S), ("deep-relu", A), ("deep-relu", M)]),
    (
        "identical units",
        illnesses.symmetric,
        [("names-tanh", S), ("deep-relu", A), ("regression-tanh", M), ("deep-tanh", S)],
    ),
    ("identical units", illnesses.zero, [("deep-tanh", A), ("names-tanh", M)]),
    (
        "bias useless before norm",
        illnesses.biased,
        [("names-bn", S), ("deep-tanh-bn", A), ("conv-bn", M), ("residual", S)],
    ),
    ("running statistics too fast", illnesses.fast_statistics, [("names-bn", S), ("deep-tanh-bn", M), ("residual", A)]),
    ("running statistics not settled", illnesses.unsettled, [("names-bn", A), ("residual", S), ("conv-bn", M)]),
    ("batch too small for norm", illnesses.tiny_batches, [("names-bn", S), ("deep-tanh-bn", A), ("residual", M)]),
    ("training in evaluation mode", illnesses.eval_training, [("names-bn", S), ("conv-bn", A), ("residual", M)]),
    ("evaluation in training mode", illnesses.train_evaluation, [("names-bn", A), ("conv-bn", S), ("deep-tanh-bn", M)]),
    (
        "schedule decays too early",
        illnesses.decaying,
        [("names-tanh", S), ("regression", A), ("conv-bn", S), ("deep-tanh-bn", M)],
    ),
    ("frozen parameter", illnesses.frozen, [("names-tanh", S), ("conv", A), ("deep-relu-ln", M)]),
    ("not in the optimiser", illnesses.unlisted, [("names-bn", S), ("deep-relu", A), ("regression", M)]),
    ("unused parameter", illnesses.unused, [("names-tanh", A), ("conv-bn", S), ("residual", M)]),
    ("detached parameter", illnesses.detached, [("deep-tanh", S), ("conv", A), ("deep-relu-ln", M)]),
    ("stale gradients", illnesses.stale, [("names-tanh", S), ("conv-bn", A), ("deep-relu", S), ("regression-tanh", M)]),
    ("summed loss", illnesses.summed, [("names-tanh", S), ("deep-relu", A), ("regression", M), ("conv-bn", S)]),
    (
        "weight decay too strong",
        illnesses.decayed,
        [("names-tanh", S), ("deep-relu", A), ("regression", M), ("conv", S)],
    ),
    ("shuffled labels", illnesses.shuffled, [("names-tanh", S), ("deep-relu", A), ("conv-bn", M), ("regression", S)]),
    ("constant input", illnesses.constant_column, [("deep-relu", S), ("regression", A), ("deep-tanh", M)]),
    (
        "unscaled input",
        illnesses.unscaled_column,
        [("deep-relu", A), ("regression", S), ("deep-tanh", M), ("residual", S)],
    ),
    ("unscaled input", illnesses.pixels, [("conv", A), ("conv", S), ("conv-bn", M)]),
    ("duplicated batches", illnesses.repeated, [("names-tanh", S), ("conv", A), ("regression", M)]),
    ("shifted targets", illnesses.shifted, [("names-tanh", S), ("deep-relu", A), ("conv-bn", M), ("regression", S)]),
    ("label leak", illnesses.leaked, [("names-bn", S), ("deep-relu", A), ("regression-tanh", M)]),
    ("overfitting", illnesses.few, [("deep-tanh", A), ("deep-relu", A), ("conv", M), ("names-tanh", A)]),
    ("uneven updates", illnesses.uneven, [("deep-relu-ln", S), ("deep-tanh", A), ("deep-tanh-bn", M)]),
    ("underfitting", illnesses.narrow, [("names-tanh", S), ("deep-relu", A), ("regression", M)]),
    ("context too short", illnesses.short, [("names-tanh", S), ("names-bn", A)]),
]
PAIRS: Pairs = [
    (("overconfident output", illnesses.overconfident), ("saturated units", illnesses.saturated), "names-tanh", S),
    (("overconfident output", illnesses.overconfident), ("constant input", illnesses.constant_column), "deep-relu", A),
    (("bias useless before norm", illnesses.biased), ("learning rate too low", illnesses.too_low), "names-bn", S),
    (("frozen parameter", illnesses.frozen), ("learning rate too low", illnesses.too_low), "conv", S),
    (("shuffled labels", illnesses.shuffled), ("unused parameter", illnesses.unused), "deep-relu", M),
    (("saturated units", illnesses.saturated), ("not in the optimiser", illnesses.unlisted), "names-tanh", M),
    (("stale gradients", illnesses.stale), ("overconfident output", illnesses.overconfident), "regression", S),
    (("summed loss", illnesses.summed), ("constant input", illnesses.constant_column), "deep-relu", A),
    (("dead units", illnesses.dead), ("unused parameter", illnesses.unused), "conv", S),
    (("duplicated batches", illnesses.repeated), ("overconfident output", illnesses.overconfident), "deep-relu", S),
    (("running statistics too fast", illnesses.fast_statistics), ("frozen parameter", illnesses.frozen), "residual", A),
    (("label leak", illnesses.leaked), ("bias useless before norm", illnesses.biased), "names-bn", A),
]
VARIED: Varied = [
    ("imbalanced labels", variations.imbalanced, "deep-relu", S),
    ("zero output", variations.zero_output, "names-tanh", A),
    ("zero output", variations.zero_output, "conv", S),
    ("gain 0.6 in the output", variations.ordinary_output, "deep-tanh", M),
    ("gain 0.6 in the output", variations.ordinary_output, "names-bn", S),
    ("mild weight decay", variations.mild_decay, "conv-bn", A),
    ("late schedule", variations.late_schedule, "regression", A),
    ("own step", variations.own_step, "names-tanh", S),
    ("own step", variations.own_step, "conv-bn", M),
    ("evaluation", variations.good_evaluation, "deep-tanh-bn", A),
    ("training behind it", variations.trained, "names-bn", S),
    ("training behind it", variations.trained, "deep-tanh", S),
]
PART = Part(FIRST, SICK, PAIRS, VARIED, losses={numbers: mse})
