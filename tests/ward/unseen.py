"""The part of the ward that the doctor is judged by: other data, networks, optimisers and doses of the same illnesses.

Written, and committed, before the doctor had been run on any of it; the table in `benchmarks/ward.md` is of the first
reading.
"""

from __future__ import annotations

from functools import partial

from tests.ward.case import A, M, Pairs, Part, S, Sick, Varied
from tests.ward.illnesses import (
    all_saturated,
    biased,
    constant_column,
    dead,
    decayed,
    decaying,
    detached,
    eval_training,
    fast_statistics,
    few,
    frozen,
    growing,
    knocked_out,
    leaked,
    narrow,
    overconfident,
    pixels,
    repeated,
    saturated,
    shifted,
    short,
    shrinking,
    shuffled,
    stale,
    summed,
    symmetric,
    tiny_batches,
    too_high,
    too_low,
    train_evaluation,
    uneven,
    unlisted,
    unscaled_column,
    unsettled,
    unused,
    zero,
)
from tests.ward.unseen_networks import UNSEEN
from tests.ward.variations import (
    good_evaluation,
    imbalanced,
    late_schedule,
    mild_decay,
    ordinary_output,
    own_step,
    trained,
    zero_output,
)

N, W = "nesterov", "adamw"
SICK: Sick = [
    (
        "overconfident output",
        partial(overconfident, factor=60),
        [("syllables-silu", S), ("waves-elu", A), ("waves-conv1d", M), ("shapes-leaky", W), ("arm-tanh", S)],
    ),
    (
        "saturated units",
        partial(saturated, factor=8),
        [("syllables-tanh", S), ("spirals-seven-tanh", A), ("friedman-sigmoid", N), ("arm-tanh", M)],
    ),
    ("saturated units", partial(all_saturated, factor=5), [("spirals-seven-tanh", S), ("syllables-tanh", W)]),
    (
        "dead units",
        partial(dead, share=0.5),
        [("spirals-eight-relu", A), ("waves-conv1d", S), ("syllables-relu-ln", M), ("friedman-relu-gn", W)],
    ),
    (
        "learning rate too high",
        partial(too_high, factor=100),
        [("syllables-tanh", M), ("waves-elu", W), ("shapes-leaky", A), ("friedman-gelu", N), ("arm-relu-bn", A)],
    ),
    ("learning rate too high", knocked_out, [("spirals-eight-relu", N), ("waves-conv1d", S)]),
    (
        "learning rate too low",
        partial(too_low, factor=2000),
        [("syllables-silu", A), ("waves-residual-bn", M), ("shapes-silu-bn", W), ("friedman-gelu", N), ("arm-tanh", S)],
    ),
    (
        "signal shrinks with depth",
        partial(shrinking, factor=0.3),
        [("spirals-eight-relu", A), ("spirals-seven-tanh", S), ("spirals-eight-relu", M)],
    ),
    (
        "signal grows with depth",
        partial(growing, factor=4),
        [("spirals-eight-relu", S), ("spirals-eight-relu", W), ("spirals-eight-relu", N)],
    ),
    ("identical units", symmetric, [("syllables-tanh", A), ("waves-elu", S), ("friedman-gelu", M)]),
    ("identical units", zero, [("arm-tanh", W), ("syllables-silu", N)]),
    (
        "bias useless before norm",
        biased,
        [("syllables-five-tanh-bn", A), ("waves-residual-bn", S), ("shapes-silu-bn", N), ("arm-relu-bn", W)],
    ),
    (
        "running statistics too fast",
        fast_statistics,
        [("syllables-five-tanh-bn", W), ("spirals-elu-bn", S), ("arm-relu-bn", M)],
    ),
    (
        "running statistics not settled",
        unsettled,
        [("syllables-five-tanh-bn", S), ("shapes-silu-bn", A), ("spirals-elu-bn", M)],
    ),
    (
        "batch too small for norm",
        tiny_batches,
        [("syllables-five-tanh-bn", M), ("waves-residual-bn", A), ("spirals-elu-bn", N)],
    ),
    (
        "training in evaluation mode",
        eval_training,
        [("syllables-five-tanh-bn", S), ("shapes-silu-bn", M), ("spirals-elu-bn", A)],
    ),
    (
        "evaluation in training mode",
        train_evaluation,
        [("syllables-five-tanh-bn", A), ("shapes-silu-bn", S), ("waves-residual-bn", M)],
    ),
    ("schedule decays too early", decaying, [("syllables-silu", S), ("arm-relu-bn", A), ("shapes-leaky", N)]),
    ("frozen parameter", frozen, [("syllables-relu-ln", S), ("waves-conv1d", A), ("arm-tanh", N)]),
    ("not in the optimiser", unlisted, [("spirals-seven-tanh", W), ("shapes-leaky", S), ("friedman-gelu", M)]),
    ("unused parameter", unused, [("syllables-silu", W), ("waves-residual-bn", S), ("arm-tanh", A)]),
    ("detached parameter", detached, [("waves-elu", S), ("shapes-silu-bn", A), ("syllables-relu-ln", N)]),
    ("stale gradients", stale, [("syllables-silu", M), ("waves-residual-bn", W), ("friedman-gelu", S)]),
    ("summed loss", summed, [("syllables-tanh", N), ("shapes-silu-bn", S), ("arm-tanh", A)]),
    (
        "weight decay too strong",
        partial(decayed, share=0.1),
        [("syllables-silu", A), ("waves-elu", S), ("arm-tanh", M), ("shapes-leaky", S)],
    ),
    (
        "shuffled labels",
        shuffled,
        [("syllables-relu-ln", A), ("waves-conv1d", S), ("spirals-elu-bn", M), ("arm-tanh", W)],
    ),
    ("constant input", constant_column, [("waves-elu", W), ("friedman-relu-gn", S), ("arm-relu-bn", N)]),
    (
        "unscaled input",
        partial(unscaled_column, factor=1000),
        [("waves-elu", A), ("friedman-gelu", S), ("waves-residual-bn", M)],
    ),
    ("unscaled input", pixels, [("shapes-leaky", S), ("shapes-silu-bn", A)]),
    ("duplicated batches", repeated, [("syllables-silu", A), ("shapes-leaky", M), ("friedman-gelu", S)]),
    ("shifted targets", shifted, [("syllables-silu", S), ("spirals-elu-bn", A), ("waves-residual-bn", W)]),
    ("label leak", leaked, [("syllables-five-tanh-bn", S), ("waves-elu", M), ("friedman-relu-gn", A)]),
    ("overfitting", partial(few, examples=64), [("waves-elu", A), ("shapes-leaky", A), ("syllables-tanh", W)]),
    ("uneven updates", uneven, [("waves-residual-bn", A), ("syllables-relu-ln", S), ("arm-tanh", M)]),
    ("underfitting", narrow, [("syllables-silu", A), ("friedman-gelu", S), ("arm-tanh", M)]),
    ("context too short", short, [("syllables-tanh", S), ("syllables-five-tanh-bn", A), ("syllables-relu-ln", N)]),
]
PAIRS: Pairs = [
    (("overconfident output", overconfident), ("saturated units", saturated), "syllables-tanh", S),
    (("overconfident output", overconfident), ("frozen parameter", frozen), "waves-conv1d", W),
    (("bias useless before norm", biased), ("learning rate too low", too_low), "arm-relu-bn", S),
    (("running statistics too fast", fast_statistics), ("unused parameter", unused), "spirals-elu-bn", A),
    (("stale gradients", stale), ("constant input", constant_column), "waves-elu", M),
    (("summed loss", summed), ("not in the optimiser", unlisted), "friedman-gelu", W),
    (("label leak", leaked), ("unused parameter", unused), "waves-residual-bn", A),
    (("shuffled labels", shuffled), ("constant input", constant_column), "friedman-relu-gn", N),
    (("dead units", dead), ("constant input", constant_column), "waves-conv1d", A),
    (("saturated units", saturated), ("unused parameter", unused), "spirals-seven-tanh", M),
    (("evaluation in training mode", train_evaluation), ("bias useless before norm", biased), "shapes-silu-bn", N),
    (("schedule decays too early", decaying), ("not in the optimiser", unlisted), "syllables-silu", W),
]
VARIED: Varied = [
    ("imbalanced labels", imbalanced, "waves-elu", A),
    ("imbalanced labels", imbalanced, "shapes-silu-bn", S),
    ("zero output", zero_output, "syllables-silu", N),
    ("zero output", zero_output, "arm-tanh", A),
    ("gain 0.6 in the output", ordinary_output, "spirals-elu-bn", S),
    ("gain 0.6 in the output", ordinary_output, "waves-conv1d", W),
    ("mild weight decay", mild_decay, "syllables-five-tanh-bn", M),
    ("mild weight decay", mild_decay, "friedman-gelu", A),
    ("late schedule", late_schedule, "waves-residual-bn", S),
    ("late schedule", late_schedule, "arm-relu-bn", W),
    ("own step", own_step, "syllables-relu-ln", M),
    ("own step", own_step, "shapes-leaky", A),
    ("evaluation", good_evaluation, "syllables-five-tanh-bn", S),
    ("evaluation", good_evaluation, "waves-conv1d", A),
    ("training behind it", trained, "syllables-tanh", S),
    ("training behind it", trained, "arm-relu-bn", A),
    ("training behind it", trained, "spirals-elu-bn", M),
]
PART = Part(UNSEEN, SICK, PAIRS, VARIED, (S, M, A, N, W))
