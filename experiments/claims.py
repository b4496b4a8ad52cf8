"""What the documents claim, as data, and the verdict a measurement gives.

A claim names a quantity that its lesson measures. It is

    reproduced       the mean of the quantity lies within the tolerance of the value, and the predicate holds
    direction only   the number is another, but what the claim says about more and less (its predicate) is so
    not reproduced   neither

Claims that state no number are judged by their predicate alone. A claim that needs longer training than the budget
allowed is *not judged*, as is one whose runs are missing.

Each claim stands in the lesson that settles it, beside the code that measures it; `experiment.collection()` has them
all, and `python -m experiments claims` prints them with their verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["DOCUMENTS", "Above", "Below", "Between", "Claim", "Judged", "Verdict", "judge"]

DOCUMENTS = {
    0: "The lecture's own record of losses",
    1: "Chapter 3: Activations, Gradients, and Batch Normalization",
    2: "Building makemore Part 3: Activations & Gradients, BatchNorm (notes)",
    3: "Mastery Guide: Activations, Gradients, and Batch Normalization",
    4: "A Deep Dive into Neural Network Dynamics: Initialization, Normalization, and Diagnostics",
    5: "Chapter 4: Make More Part 3 - Activations, Gradients & BatchNorm",
}
"""The five documents about the lecture, by number, and the lecture itself."""

Verdict = Literal["reproduced", "direction only", "not reproduced", "not judged"]
Means = Mapping[str, float]
BUDGETS = ("quick", "default", "full")


def _of(than: float | str, means: Means) -> float:
    return means.get(than, math.nan) if isinstance(than, str) else float(than)


# A comparison with nan is False: a run that diverged, or is missing, supports no claim.


@dataclass(frozen=True)
class Below:
    """The quantity is smaller than a number or than another quantity."""

    than: float | str

    def __call__(self, value: float, means: Means) -> bool:
        return value < _of(self.than, means)


@dataclass(frozen=True)
class Above:
    """The quantity is larger than a number or than another quantity."""

    than: float | str

    def __call__(self, value: float, means: Means) -> bool:
        return value > _of(self.than, means)


@dataclass(frozen=True)
class Between:
    """The quantity lies between two numbers or quantities."""

    low: float | str
    high: float | str

    def __call__(self, value: float, means: Means) -> bool:
        return _of(self.low, means) < value < _of(self.high, means)


@dataclass(frozen=True)
class Claim:
    """One statement of a document, checkable.

    Raises ValueError if there is nothing to check, or a value without a tolerance.
    """

    id: str
    text: str
    """What the document says, in our words."""
    source: int | tuple[int, ...]
    """The number of the document, or of all that say so."""
    quantity: str
    """Which of the quantities that the lesson measures it is about."""
    value: float | None = None
    tolerance: float = 0.0
    predicate: Callable[[float, Means], bool] | None = None
    """Called with the mean of the quantity and the means of all."""
    format: str = ".4g"
    """How the value and the measurement are written."""
    unit: str = ""
    says: str = ""
    """What stands in the column *document says*; the value, if empty."""
    budget: Literal["quick", "default", "full"] = "quick"
    """The smallest budget at which it can be judged."""
    note: str = ""
    """Why the measurement differs, where the reason was found."""

    def __post_init__(self) -> None:
        if self.value is None and self.predicate is None:
            raise ValueError(f"claim {self.id!r} states neither a value nor a predicate: there is nothing to check.")
        if self.value is not None and not self.tolerance > 0:
            raise ValueError(f"claim {self.id!r} states the value {self.value} without a tolerance.")
        unknown = set(self.sources) - set(DOCUMENTS)
        if unknown or not self.sources:
            raise ValueError(f"claim {self.id!r} must name its documents, {min(DOCUMENTS)} to {max(DOCUMENTS)}.")

    @property
    def sources(self) -> tuple[int, ...]:
        return (self.source,) if isinstance(self.source, int) else tuple(self.source)

    @property
    def stated(self) -> str:
        return self.says or (self.write(self.value) if self.value is not None else "")

    def number(self, value: float) -> str:
        return f"{value:{self.format}}".replace("-", "−")

    def write(self, value: float) -> str:
        return f"{self.number(value)}{self.unit}" if math.isfinite(value) else "diverged"


@dataclass(frozen=True)
class Judged:
    """A claim with its measurement."""

    claim: Claim
    verdict: Verdict
    mean: float
    sd: float
    n: int
    reason: str = ""

    @property
    def measured(self) -> str:
        """Mean ± standard deviation over seeds, and how many there were."""
        if self.n == 0:
            return "–"
        claim = self.claim
        if self.n > 1 and math.isfinite(self.sd) and math.isfinite(self.mean):
            return f"{claim.number(self.mean)} ± {claim.number(self.sd)}{claim.unit} (n = {self.n})"
        return f"{claim.write(self.mean)} (n = {self.n})"


def judge(claims: Sequence[Claim], measured: Mapping[str, Any], budget: str = "default") -> list[Judged]:
    """The verdict on each claim; `measured` maps quantities to their values, one a seed."""
    values = {name: np.atleast_1d(np.asarray(v, dtype=float)) for name, v in measured.items()}
    with np.errstate(all="ignore"):  # diverged runs: inf - inf and the like mean nan, and nan supports nothing
        means = {name: float(v.mean()) for name, v in values.items() if v.size}
    judged = []
    for claim in claims:
        v = values.get(claim.quantity, np.empty(0))
        mean = means.get(claim.quantity, math.nan)
        sd = float(v.std(ddof=1)) if v.size > 1 and np.isfinite(v).all() else math.nan
        verdict: Verdict
        reason = ""
        if not v.size:
            verdict, reason = "not judged", "no run measured it"
        elif BUDGETS.index(budget) < BUDGETS.index(claim.budget):
            verdict, reason = "not judged", f"needs the {claim.budget} budget"
        else:
            verdict = _verdict(claim, mean, means)
        judged.append(Judged(claim, verdict, mean, sd, int(v.size), reason))
    return judged


def _verdict(claim: Claim, mean: float, means: Means) -> Verdict:
    holds = claim.predicate is None or bool(claim.predicate(mean, means))
    if claim.value is None:
        return "reproduced" if holds else "not reproduced"
    # The last term: a mean of floats that should lie exactly on the edge of the tolerance may miss it by a rounding.
    near = abs(mean - claim.value) <= claim.tolerance + 1e-12 * abs(claim.value)
    if near and holds:
        return "reproduced"
    return "direction only" if holds and claim.predicate is not None and math.isfinite(mean) else "not reproduced"
