"""Whether a set-up is as sick as it is called, measured by training alone: the doctor has no part in it.

Some illnesses are there or they are not: a frozen parameter, a shifted target. Others are a matter of degree: eighty
times the learning rate may learn as well as one. For those, of `CRITERIA`, the sick network and a healthy one with the
same seed, weights, data and minibatches are run alike, and the sick one has to be worse by `MARGIN` of the ignorant
loss, which is that of the best constant answer. A small network that is called healthy is measured too, and one whose
rate was annealed: with more units, or at a higher rate, it may be better by no more than `SPARE`. `python -m
benchmarks.ward --harm` measures all of a part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from npgrad import Tensor, no_grad
from tests.ward.case import STEPS, Array, Case, Illness, Part, train
from tests.ward.setups import spoilt

MARGIN = 0.1
"""Of the ignorant loss. It was set before any set-up was chosen by it; the doctor's own line is 0.04."""
SPARE = MARGIN / 5
"""What more units, or a higher rate, may gain where there are said to be enough, or it is said to be right."""
GAP = MARGIN / 2
"""How much worse the healthy may do on validation data."""


def begun(case: Case) -> float:
    """The mean loss over the steps of an examination: what large outputs cost until they are small."""
    return float(np.mean(train(case, STEPS)))


def trained(case: Case) -> float:
    """The mean loss over as many steps once more."""
    train(case, STEPS)
    return float(np.mean(train(case, STEPS)))


def evaluated(case: Case) -> float:
    """The loss in evaluation mode, with running statistics, of the network as it is."""
    return lost(case, case.batches.x[:1000], case.batches.y[:1000])


def validated(case: Case) -> float:
    """The loss on validation data after the steps of an examination."""
    train(case, case.steps)
    return lost(case, *case.options["validation"])


def lost(case: Case, x: Array, y: Array) -> float:
    case.model.eval()
    with no_grad():
        found = case.loss(case.model(x), y).item()
    case.model.train()
    return found


@dataclass(frozen=True)
class Criterion:
    """What is compared, and what is done to the healthy network to make it comparable."""

    measure: Callable[[Case], float]
    healthy: Callable[[Illness], tuple[Illness, ...]] = lambda illness: ()


TRAINED = (
    "saturated units",
    "learning rate too high",
    "learning rate too low",
    "signal shrinks with depth",
    "signal grows with depth",
    "identical units",
    "schedule decays too early",
    "weight decay too strong",
    "unscaled input",
    "uneven updates",
)
CRITERIA = dict.fromkeys(TRAINED, Criterion(trained)) | {
    "overconfident output": Criterion(begun),
    "running statistics not settled": Criterion(evaluated, lambda illness: (partial(illness, momentum=0.1),)),
    "overfitting": Criterion(validated, lambda illness: (partial(illness, examples=1000),)),
    "underfitting": Criterion(validated, lambda illness: (partial(illness, times=16),)),
    "context too short": Criterion(validated, lambda illness: (partial(illness, context=4),)),
}


def harm(name: str, illness: Illness, arch: str, kind: str, seed: int) -> float:
    """How much worse the sick network does, in parts of the ignorant loss; infinite if its loss diverges."""
    criterion = CRITERIA[name]
    with np.errstate(all="ignore"):  # a loss may diverge
        sick, well = (spoilt(arch, kind, changes, seed) for changes in ((illness,), criterion.healthy(illness)))
        worse, better = criterion.measure(sick), criterion.measure(well)
    return (worse - better) / ignorant(well) if math.isfinite(worse) else math.inf


def spare(illness: Illness, arch: str, kind: str, seed: int) -> tuple[float, float]:
    """Of a healthy network, in parts of the ignorant loss: what sixteen times as much would gain, and its gap.

    `illness` is what would be one on data that ask for more: units, or rate. The gap is validation − training.
    """
    case, more = (spoilt(arch, kind, (change,), seed) for change in (illness, partial(illness, times=16)))
    here, best = validated(case), validated(more)
    own = lost(case, case.batches.x, case.batches.y)
    return (here - best) / ignorant(case), (here - own) / ignorant(case)


def spares(part: Part) -> Iterator[tuple[str, Illness, str, str]]:
    """The healthy networks whose number of units, or whose rate, is that of another set-up's illness."""
    for name, change, arch, kind in part.varied:
        if isinstance(change, partial) and {"widths", "end"} & change.keywords.keys():
            yield name, change, arch, kind


def ignorant(case: Case) -> float:
    """The loss of the best constant answer: the frequencies of the classes, or the mean."""
    y = case.batches.y
    answer = np.log(np.bincount(y) / len(y) + 1e-9) if y.dtype.kind in "iu" else y.mean(0)
    return case.loss(Tensor(np.broadcast_to(answer, (len(y), *answer.shape)).astype(np.float32)), y).item()


def doses(part: Part) -> Iterator[tuple[str, Illness, str, str]]:
    """(illness, what makes it, network, optimiser) wherever it is a matter of degree, in pairs too."""
    alone = [(name, illness, place) for name, illness, places in part.sick for place in places]
    paired = [(*one, (arch, kind)) for first, second, arch, kind in part.pairs for one in (first, second)]
    for name, illness, (arch, kind) in alone + paired:
        if name in CRITERIA:
            yield name, illness, arch, kind
