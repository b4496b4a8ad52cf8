"""The part of the ward that the doctor is judged by: data and networks that no other part has.

Written, and committed, before the doctor had been run on any of it; after its first reading what tells networks that
are too small was changed, and `benchmarks/ward.md` has the second. Where an illness is a matter of degree, each network
has the smallest dose of a short ladder, such as 30, 100 and 300 times the learning rate, that does harm with each of
three seeds. What harm is, and the margin, is written in `harm.py`, and `python -m benchmarks.ward --harm` measures it.
"""

from __future__ import annotations

from functools import partial

from tests.ward import illnesses, variations
from tests.ward.case import A, M, N, Pairs, Part, S, Sick, Varied, W
from tests.ward.held_out_networks import HELD_OUT

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
PART = Part(HELD_OUT, SICK, PAIRS, VARIED, (N, A))
