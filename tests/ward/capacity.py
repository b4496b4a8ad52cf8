"""The part of the ward that is about capacity: too small, as large as it should be, and what is confused with either.

Written, and committed, before the doctor was changed for it or had been run on any of it. A network that is called
underfitting does worse than one with sixteen times as many units by the margin of `harm.py`; one that is called
healthy, however few units it has, does worse by less than a fifth of that margin, and no worse on validation data than
on its own. `python -m benchmarks.ward --part capacity --harm` measures both, without the doctor, with three seeds.
"""

from __future__ import annotations

from functools import partial

from tests.ward import illnesses, variations
from tests.ward.capacity_networks import CAPACITY
from tests.ward.case import A, M, N, Pairs, Part, S, Sick, Varied, W

fitted = illnesses.fitted

SICK: Sick = [
    (
        "underfitting",
        illnesses.narrow,
        [("orchard-relu", S), ("pulse-relu", A), ("orbits-gelu", M), ("beats-elu", N), ("codes-gelu", A)],
    ),
    ("underfitting", partial(fitted, widths=(1,), act="Tanh"), [("lattice-three-tanh", S), ("valves-leaky", A)]),
    (
        "underfitting",
        partial(fitted, widths=(2,), act="ReLU"),
        [("orbits-gelu", A), ("orchard-relu", M), ("beats-elu", S), ("verses-tanh", W)],
    ),
    (
        "underfitting",
        partial(fitted, widths=(2, 2), act="Tanh"),
        [("pulse-relu", S), ("lattice-three-tanh", A), ("codes-gelu", M)],
    ),
    ("underfitting", partial(fitted, widths=(8, 1, 8), act="GELU"), [("orbits-gelu", W), ("lattice-three-tanh", M)]),
    ("underfitting", partial(fitted, widths=(2,), act="Sigmoid"), [("valves-leaky", S), ("pulse-relu", M)]),
    ("underfitting", partial(fitted, widths=(3,), act="Tanh"), [("beats-elu", A), ("verses-tanh", M)]),
    ("underfitting", partial(fitted, widths=(4,), act="ReLU"), [("codes-gelu", S), ("lattice-three-tanh", W)]),
    ("underfitting", partial(fitted, widths=(8,), act="Tanh"), [("codes-gelu", W)]),
    ("underfitting", partial(fitted, widths=(2, 2), act="Tanh", norm="BatchNorm1d"), [("orbits-gelu", S)]),
    ("underfitting", partial(illnesses.channels, count=1), [("glyphs-relu", A), ("glyphs-relu", M)]),
    ("context too short", illnesses.short, [("verses-tanh", A), ("verses-relu-bn", S), ("codes-gelu", M)]),
    (
        "overfitting",
        illnesses.few,
        [("orchard-relu", A), ("valves-leaky", W), ("beats-elu", A), ("market-tanh", A), ("babble-relu", W)],
    ),
    (
        "shuffled labels",
        illnesses.trained_shuffled,
        [("survey-relu", A), ("orchard-silu-ln", M), ("pulse-residual", A), ("codes-gelu", S)],
    ),
    (
        "learning rate too low",
        illnesses.slowed,
        [("orchard-silu-ln", A), ("pulse-residual", M), ("lattice-three-tanh", A), ("beats-elu", S)],
    ),
    (
        "running statistics not settled",
        illnesses.trained_unsettled,
        [("weather-silu-bn", A), ("valves-bn", M), ("verses-relu-bn", A)],
    ),
]
PAIRS: Pairs = []
HALFWAY = partial(variations.trained, steps=60)
VARIED: Varied = [
    *(
        ("as few units as it takes", partial(fitted, widths=widths, act=act), arch, kind)
        for widths, act, arch, kind in (
            ((1,), "Tanh", "market-tanh", S),
            ((2,), "ReLU", "market-tanh", A),
            ((2, 2), "Tanh", "market-tanh", M),
            ((1,), "Tanh", "survey-relu", A),
            ((2,), "Sigmoid", "survey-relu", S),
            ((3,), "ReLU", "survey-relu", N),
            ((2,), "Tanh", "babble-relu", A),
            ((3,), "Tanh", "babble-relu", S),
            ((4,), "GELU", "babble-relu", M),
            ((8,), "Tanh", "weather-silu-bn", A),
            ((6,), "Tanh", "weather-silu-bn", M),
            ((8, 8), "ReLU", "weather-silu-bn", S),
            ((12,), "Tanh", "pulse-relu", A),
            ((16,), "ReLU", "pulse-relu", S),
        )
    ),
    *(
        ("more units than it takes", partial(fitted, widths=widths, act=act), arch, kind)
        for widths, act, arch, kind in (
            ((6,), "ReLU", "market-tanh", N),
            ((12,), "ReLU", "survey-relu", S),
            ((32,), "ReLU", "babble-relu", W),
            ((24,), "Tanh", "weather-silu-bn", N),
        )
    ),
    *(
        ("training behind it", variations.trained, arch, kind)
        for arch, kind in (
            ("orchard-relu", A),
            ("lattice-three-tanh", A),
            ("valves-bn", S),
            ("orbits-gelu", M),
            ("pulse-residual", A),
            ("verses-relu-bn", A),
            ("glyphs-relu", W),
        )
    ),
    *(
        ("little training behind it", HALFWAY, arch, kind)
        for arch, kind in (
            ("orchard-silu-ln", S),
            ("valves-leaky", A),
            ("beats-elu", A),
            ("pulse-relu", M),
            ("codes-gelu", A),
            ("verses-tanh", A),
            ("weather-silu-bn", N),
        )
    ),
    *(("evaluation", variations.good_evaluation, arch, A) for arch in ("orbits-gelu", "valves-bn", "survey-relu")),
]
PART = Part(CAPACITY, SICK, PAIRS, VARIED, (A,))
