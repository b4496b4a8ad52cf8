"""The third part of the ward: other data, networks, optimisers and doses; its reading led to repairs."""

from __future__ import annotations

from functools import partial

from tests.ward import illnesses, variations
from tests.ward.case import A, M, N, Pairs, Part, S, Sick, Varied, W
from tests.ward.third_networks import THIRD

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
PART = Part(THIRD, SICK, PAIRS, VARIED, (S, M, A, N, W))
