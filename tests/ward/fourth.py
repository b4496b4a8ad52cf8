"""The fourth part of the ward: other data, networks and doses again; its reading led to repairs.

`springs-silu` and `patches-gelu-bn` learn as well at eighty times their rate, by the measure of `harm.py`: theirs is
raised further.
"""

from __future__ import annotations

from functools import partial

from tests.ward import illnesses, variations
from tests.ward.case import A, M, N, Pairs, Part, S, Sick, Varied, W
from tests.ward.fourth_networks import FOURTH

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
PART = Part(FOURTH, SICK, PAIRS, VARIED, (M, A))
