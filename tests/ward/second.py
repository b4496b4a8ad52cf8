"""The second part of the ward: other networks with the same illnesses; its first reading led to repairs."""

from __future__ import annotations

from npgrad import nn
from tests.ward import illnesses, variations
from tests.ward.case import A, M, Pairs, Part, S, Sick, Varied
from tests.ward.first import images, names, numbers, table
from tests.ward.networks import NORM, ROOT2, Architectures, Block, Net, conv, dense

SECOND: Architectures = {
    "names-relu": (names, lambda r: Net(nn.Embedding(27, 6, rng=r), *dense(r, [18, 96, 64, 27], nn.ReLU, ROOT2))),
    "names-wide-bn": (
        names,
        lambda r: Net(nn.Embedding(27, 10, rng=r), *dense(r, [30, 128, 27], nn.ReLU, ROOT2, NORM)),
    ),
    "six-tanh": (table, lambda r: Net(None, *dense(r, [12, *[32] * 6, 5], nn.Tanh, 1.4))),
    "six-relu": (table, lambda r: Net(None, *dense(r, [12, *[32] * 6, 5], nn.ReLU, ROOT2))),
    "gelu": (table, lambda r: Net(None, *dense(r, [12, 64, 64, 5], nn.GELU, ROOT2))),
    "leaky-bn": (table, lambda r: Net(None, *dense(r, [12, 40, 40, 40, 5], nn.LeakyReLU, ROOT2, NORM))),
    "tanh-ln": (
        names,
        lambda r: Net(nn.Embedding(27, 8, rng=r), *dense(r, [24, 64, 64, 27], nn.Tanh, 5 / 3, nn.LayerNorm)),
    ),
    "two-sigmoid": (table, lambda r: Net(None, *dense(r, [12, 64, 5], nn.Sigmoid, 2.0))),
    "regression-wide": (numbers, lambda r: Net(None, *dense(r, [10, 96, 1], nn.ReLU, ROOT2))),
    "regression-bn": (numbers, lambda r: Net(None, *dense(r, [10, 48, 48, 1], nn.Tanh, 5 / 3, NORM))),
    "conv-tanh": (
        images,
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
        images,
        lambda r: Net(
            None,
            *[m for a in (1, 8, 8) for m in conv(r, a, 8, nn.ReLU, ROOT2, norm=True)],
            nn.Flatten(),
            nn.Linear(512, 4, rng=r, gain=0.1),
        ),
    ),
    "residual-ln": (
        table,
        lambda r: Net(
            None,
            nn.Linear(12, 40, rng=r),
            *[Block(nn.LayerNorm(40), *dense(r, [40, 40, 40], nn.ReLU, ROOT2, last=0.4)) for _ in range(3)],
            nn.Linear(40, 5, rng=r, gain=0.1),
        ),
    ),
}
SICK: Sick = [
    (
        "overconfident output",
        illnesses.overconfident,
        [("names-relu", A), ("six-tanh", S), ("conv-tanh", S), ("regression-wide", M)],
    ),
    ("saturated units", illnesses.saturated, [("six-tanh", M), ("two-sigmoid", S), ("conv-tanh", A)]),
    ("saturated units", illnesses.all_saturated, [("six-tanh", A)]),
    ("dead units", illnesses.dead, [("names-relu", S), ("six-relu", M), ("regression-wide", A)]),
    (
        "learning rate too high",
        illnesses.too_high,
        [("names-relu", M), ("gelu", A), ("conv-tanh", A), ("regression-wide", S)],
    ),
    ("learning rate too high", illnesses.knocked_out, [("six-relu", S)]),
    (
        "learning rate too low",
        illnesses.too_low,
        [("names-relu", M), ("gelu", S), ("leaky-bn", A), ("conv-deep-bn", S)],
    ),
    ("signal shrinks with depth", illnesses.shrinking, [("six-tanh", A), ("six-relu", M), ("gelu", S)]),
    ("signal grows with depth", illnesses.growing, [("six-relu", S), ("six-relu", A), ("gelu", M)]),
    ("identical units", illnesses.symmetric, [("gelu", S), ("names-relu", M), ("regression-wide", A)]),
    ("bias useless before norm", illnesses.biased, [("names-wide-bn", M), ("leaky-bn", S), ("conv-deep-bn", A)]),
    (
        "running statistics too fast",
        illnesses.fast_statistics,
        [("names-wide-bn", A), ("leaky-bn", S), ("regression-bn", M)],
    ),
    (
        "running statistics not settled",
        illnesses.unsettled,
        [("names-wide-bn", S), ("conv-deep-bn", A), ("leaky-bn", M)],
    ),
    ("batch too small for norm", illnesses.tiny_batches, [("names-wide-bn", A), ("leaky-bn", S), ("regression-bn", M)]),
    ("training in evaluation mode", illnesses.eval_training, [("names-wide-bn", S), ("conv-deep-bn", M)]),
    ("evaluation in training mode", illnesses.train_evaluation, [("names-wide-bn", S), ("conv-deep-bn", M)]),
    ("schedule decays too early", illnesses.decaying, [("names-relu", S), ("gelu", A), ("conv-tanh", M)]),
    ("frozen parameter", illnesses.frozen, [("names-relu", A), ("six-tanh", S), ("residual-ln", M)]),
    ("not in the optimiser", illnesses.unlisted, [("gelu", S), ("conv-tanh", M)]),
    ("unused parameter", illnesses.unused, [("tanh-ln", A), ("regression-wide", S)]),
    ("detached parameter", illnesses.detached, [("six-relu", A), ("names-relu", S), ("conv-deep-bn", M)]),
    ("stale gradients", illnesses.stale, [("names-relu", M), ("residual-ln", A), ("regression-wide", S)]),
    ("summed loss", illnesses.summed, [("names-relu", A), ("leaky-bn", S), ("conv-tanh", M)]),
    ("weight decay too strong", illnesses.decayed, [("names-relu", A), ("gelu", S), ("regression-wide", M)]),
    (
        "shuffled labels",
        illnesses.shuffled,
        [("names-relu", M), ("leaky-bn", A), ("conv-tanh", S), ("regression-wide", M)],
    ),
    ("constant input", illnesses.constant_column, [("six-tanh", A), ("residual-ln", S), ("regression-bn", M)]),
    ("unscaled input", illnesses.unscaled_column, [("gelu", S), ("six-tanh", A), ("regression-wide", M)]),
    ("unscaled input", illnesses.pixels, [("conv-tanh", S), ("conv-deep-bn", A)]),
    ("duplicated batches", illnesses.repeated, [("names-relu", A), ("leaky-bn", M)]),
    ("shifted targets", illnesses.shifted, [("names-relu", A), ("gelu", M), ("conv-tanh", S)]),
    ("label leak", illnesses.leaked, [("residual-ln", S), ("regression-wide", A)]),
    ("overfitting", illnesses.few, [("gelu", A), ("names-relu", M), ("six-tanh", M)]),
    ("uneven updates", illnesses.uneven, [("tanh-ln", A), ("gelu", M), ("residual-ln", S)]),
    ("underfitting", illnesses.narrow, [("names-relu", A), ("gelu", S), ("regression-wide", M)]),
    ("context too short", illnesses.short, [("names-relu", A), ("tanh-ln", M)]),
]
PAIRS: Pairs = [
    (("overconfident output", illnesses.overconfident), ("saturated units", illnesses.saturated), "six-tanh", A),
    (("bias useless before norm", illnesses.biased), ("frozen parameter", illnesses.frozen), "leaky-bn", A),
    (("not in the optimiser", illnesses.unlisted), ("learning rate too low", illnesses.too_low), "gelu", M),
    (("summed loss", illnesses.summed), ("unused parameter", illnesses.unused), "names-relu", S),
    (("label leak", illnesses.leaked), ("constant input", illnesses.constant_column), "residual-ln", A),
    (("shuffled labels", illnesses.shuffled), ("bias useless before norm", illnesses.biased), "conv-deep-bn", S),
    (("stale gradients", illnesses.stale), ("dead units", illnesses.dead), "six-relu", S),
    (
        ("evaluation in training mode", illnesses.train_evaluation),
        ("running statistics too fast", illnesses.fast_statistics),
        "names-wide-bn",
        M,
    ),
]
VARIED: Varied = [
    ("imbalanced labels", variations.imbalanced, "gelu", A),
    ("zero output", variations.zero_output, "names-relu", S),
    ("gain 0.6 in the output", variations.ordinary_output, "leaky-bn", S),
    ("mild weight decay", variations.mild_decay, "six-tanh", M),
    ("late schedule", variations.late_schedule, "conv-tanh", S),
    ("own step", variations.own_step, "residual-ln", A),
    ("evaluation", variations.good_evaluation, "names-wide-bn", S),
    ("training behind it", variations.trained, "names-relu", S),
    ("training behind it", variations.trained, "leaky-bn", M),
]
PART = Part(SECOND, SICK, PAIRS, VARIED)
