"""Where the doctor draws its lines, and why there.

"chosen" means: chosen on the first part of the ward, in the middle of the gap between its sick and its healthy set-ups,
or corrected on the next three, for capacity on the held-out one too, and for low learning rates on the one about
capacity; how often it is right is reported on parts that were written before (`python -m benchmarks.ward`). Claims are
those of `python -m experiments`.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CERTAINTY", "THRESHOLDS", "Threshold", "limit"]


class Threshold(NamedTuple):
    value: float
    text: str
    source: str


THRESHOLDS = {
    "excess": Threshold(
        1.0,
        "first loss 1 nat above the larger of ln C and the labels' entropy",
        "chosen; weights of gain 1 in the last layer cost up to 0.6 and learn as well, the lecture's first network 22",
    ),
    "regression excess": Threshold(
        3.0,
        "first loss 3 times that of always answering the mean",
        "chosen; outputs of the targets' own size cost 2; from 3 on, 80 steps cost a tenth of the ignorant loss more",
    ),
    "saturated": Threshold(
        0.4,
        "40 % of a layer's outputs beyond 0.97",
        "chosen; Kaiming's gain 5/3 alone gives 21 %, claim gains/saturation-below-5 is refuted",
    ),
    "stuck": Threshold(
        0.25,
        "flat for every example: a quarter of the units that fresh weights leave alive, and more than by chance",
        "derived: units are compared with fresh weights over the same inputs (Lu et al. 2019); the quarter is chosen",
    ),
    "chance": Threshold(
        0.01,
        "so many flat units in fewer than 1 of 100 networks with fresh weights",
        "derived: Fisher's exact test over all layers, so that at most 1 % of healthy networks are called ill",
    ),
    "shrink": Threshold(
        0.03,
        "the last layer's signal under 3 % of the first's",
        "chosen; tanh with gain 1 loses 90 % in 50 layers and trains (claim kaiming/tanh-1-shrinks)",
    ),
    "grow": Threshold(30.0, "the last layer's signal over 30 times the first's", "chosen"),
    "weak gain": Threshold(
        0.5,
        "half of the layers' weights half, or twice, the recommended size, and the signal changes as that makes it",
        "chosen; tanh does well with gains from 1 to 5/3, a factor of 0.6",
    ),
    "gradient": Threshold(
        1e-3,
        "first and last layer's gradients a factor of 1000 apart",
        "chosen; factors of 30 to 100 are normal (claims kaiming/tanh-gradients, optimisers/calibrated refuted)",
    ),
    "high ratio": Threshold(
        -2.0,
        "update/weight above 1/100 or a loss that does not fall, and a lower rate does better",
        "claim update_ratio/minus-2-unstable; that 1/1000 is too high is refuted",
    ),
    "low ratio": Threshold(
        -3.5,
        "update/weight below 10^-3.5, and a higher rate falls 3 times as far, and twice as far as 4 times the steps",
        "claim update_ratio/minus-4-slow; 3 and the comparison with more steps are chosen",
    ),
    "uneven": Threshold(
        2.0,
        "layers' update/weight a factor of 100 apart throughout, or groups' rates, where one rate for all does better",
        "chosen; 2.6 powers of ten at the first step alone are normal (claim update_ratio/last-comes-back)",
    ),
    "twins": Threshold(
        0.5, "half of a layer's units equal another one, after training too", "derived: they get equal gradients"
    ),
    "cancelled": Threshold(
        1e-4, "the bias gradient cancels to 1e-4 of its terms", "derived: a normalisation removes the mean"
    ),
    "running noise": Threshold(
        0.12,
        "running means off by 0.12 standard deviations, √(m/(2 − m)/n)",
        "derived; 0.04, momentum 0.1 at 32 rows, costs nothing (claim batch_norm/swings refuted)",
    ),
    "rows": Threshold(
        8, "fewer than 8 rows for a batch's variance", "derived: its relative error is 1/√(2(n − 1)), 27 % at 8"
    ),
    "better": Threshold(
        0.04,
        "4 % of the ignorant loss lower, or half of what the better run gains where that is less, beyond chance",
        "chosen",
    ),
    "half": Threshold(
        0.5,
        "half of what the better run gains, if that is 2 % of the ignorant loss; half of a trained network's loss",
        "chosen; a text whose next letter hangs on the two before it yields 6 % in 80 steps, of which 4 % is most",
    ),
    "trained": Threshold(
        0.1, "10 % below the ignorant loss before the first step", "chosen; random outputs come to 6 % by luck"
    ),
    "errors": Threshold(2.0, "2 standard errors over the last quarter of the steps", "derived: 95 %, as in `treat`"),
    "longer": Threshold(
        0.025,
        "counting with longer windows does better by 2.5 % of the ignorant loss",
        "chosen; from one character to two gains 4 % on 16,000 examples of names, from three to four 1.4 % on all",
    ),
    "column": Threshold(20.0, "a column of 20 times the median spread, or a mean of 10 spreads", "chosen"),
    "duplicates": Threshold(0.25, "a quarter of 16 minibatches seen before", "derived: random ones never coincide"),
    "leak": Threshold(0.999, "a column tells the target in 99.9 % of examples", "derived"),
    "association": Threshold(
        4.0, "inputs tell less of the labels than 4 standard deviations of chance", "permutation test"
    ),
    "gap": Threshold(0.15, "validation loss 15 % of the ignorant loss above training loss", "chosen"),
    "itself": Threshold(
        0.5,
        "more units gain 4 % of the ignorant loss, and the network gains less than half of that without them",
        "chosen; networks that are too small gain at most 15 % of it, others 77 % or more",
    ),
    "learns": Threshold(0.02, "loss falls by less than 2 % of the ignorant one", "chosen"),
}

CERTAINTY = {
    "batch too small for norm": 0.91,
    "bias useless before norm": 0.95,
    "constant input": 0.94,
    "context too short": 0.88,
    "dead units": 0.94,
    "detached parameter": 0.91,
    "duplicated batches": 0.93,
    "evaluation in training mode": 0.91,
    "frozen parameter": 0.94,
    "identical units": 0.95,
    "label leak": 0.93,
    "learning rate too high": 0.96,
    "learning rate too low": 0.96,
    "not in the optimiser": 0.93,
    "overconfident output": 0.97,
    "overfitting": 0.93,
    "running statistics not settled": 0.91,
    "running statistics too fast": 0.93,
    "saturated units": 0.96,
    "schedule decays too early": 0.93,
    "shifted targets": 0.93,
    "shuffled labels": 0.94,
    "signal grows with depth": 0.91,
    "signal shrinks with depth": 0.93,
    "stale gradients": 0.94,
    "summed loss": 0.94,
    "training in evaluation mode": 0.91,
    "underfitting": 0.91,
    "uneven updates": 0.91,
    "unscaled input": 0.96,
    "unused parameter": 0.94,
    "weight decay too strong": 0.93,
}
"""For each name, the share of its findings that were right in the part of the ward that chose the thresholds, with one
more hit and one more miss (Laplace): `python -m benchmarks.ward --part first --certainty`."""


def limit(key: str) -> float:
    """The value of a threshold."""
    return THRESHOLDS[key].value
