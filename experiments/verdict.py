"""The rule of judging: from values, one per seed, to a verdict.

The effect of a claim has a mean over the seeds and an interval that contains its true value in 95 of 100 cases, if it
is normally distributed over seeds (Student 1908, "The probable error of a mean"). The verdict is

    reproduced       the whole interval is beyond the bar
    direction only   the whole interval is short of the bar, and on its side of no effect
    not reproduced   the whole interval is short of the bar, and not so
    undecided        the bar is inside the interval: more seeds are needed, and how many is said
    seen once        there is one seed, and so no interval

Facts, which no seed changes, are compared with the bar as they are. Identities (true by construction) are "checked" or
"broken", and not counted with the others. A claim is not judged if its runs are missing or shorter than it needs, or if
it is about another corpus. A run that diverged has no value, and supports nothing: where divergence is what a claim is
about, its quantity is the share of the seeds that diverged.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from experiments.claim import Claim

__all__ = ["Judged", "Verdict", "chosen_elsewhere", "judge", "seeds_needed", "student"]

Verdict = Literal[
    "reproduced", "direction only", "not reproduced", "undecided", "seen once", "checked", "broken", "not judged"
]
BUDGETS = ("quick", "default", "full")
MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Judged:
    """A claim with what was measured."""

    claim: Claim
    verdict: Verdict
    n: int = 0
    """Seeds."""
    mean: float = math.nan
    sd: float = math.nan
    other_mean: float = math.nan
    """Of what it is compared with."""
    other_sd: float = math.nan
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    """The 95 % interval of the effect."""
    reason: str = ""
    """Why it is undecided, or not judged."""

    @property
    def measured(self) -> str:
        return self._side(self.mean, self.sd)

    @property
    def beside(self) -> str:
        """The other side, if there is one."""
        return self._side(self.other_mean, self.other_sd) if self.claim.than else ""

    def _side(self, mean: float, sd: float) -> str:
        if self.n == 0:
            return "–"
        spread = f" ± {self.claim.number(sd)}" if math.isfinite(sd) and self.claim.kind == "chance" else ""
        return f"{self.claim.number(mean)}{spread}{self.claim.unit if math.isfinite(mean) else ''}"

    @property
    def interval(self) -> str:
        """The effect with its interval; empty if it is the measurement itself and has none."""
        if not math.isfinite(self.effect) or (not self.claim.than and not math.isfinite(self.low)):
            return ""
        times = self.claim.ratio and self.claim.than
        write = (lambda v: f"{v:.3g}".replace("-", "−")) if times else self.claim.number
        mean = write(self.effect) if self.claim.than else ""
        ends = f"95 %: {write(self.low)} to {write(self.high)}" if math.isfinite(self.low) else ""
        unit = (" times" if times else self.claim.unit) if math.isfinite(self.effect) else ""
        return f"{mean}{unit if mean else ''}{' (' if mean and ends else ''}{ends}{')' if mean and ends else ''}"

    @property
    def evidence(self) -> str:
        """Everything in one line: both sides, the effect, the bar and n."""
        if self.n == 0:
            return self.reason
        sides = self.measured + (f" beside {self.beside}" if self.claim.than else "")
        seeds = f"n = {self.n}" if self.claim.kind == "chance" else ""
        return "; ".join(
            part for part in (sides, self.interval, f"asked: {self.claim.bar}", seeds, self.reason) if part
        )


def judge(
    claims: Sequence[Claim], measured: Mapping[str, Any], budget: str = "default", own_corpus: bool = False
) -> list[Judged]:
    """The verdict on each claim; `measured` maps quantities to their values, one per seed.

    `own_corpus` says that they were measured on another list of words than the documents'.
    """
    values = {name: np.atleast_1d(np.asarray(v, dtype=float)) for name, v in measured.items()}
    return [_judge(claim, values, budget, own_corpus) for claim in claims]


def _judge(claim: Claim, values: Mapping[str, np.ndarray], budget: str, own_corpus: bool) -> Judged:
    a = values.get(claim.quantity, np.empty(0))
    b = values.get(claim.than, np.empty(0)) if claim.than else np.empty(0)
    if own_corpus and claim.corpus:
        return Judged(claim, "not judged", reason="not applicable: it is about another list of words")
    if not a.size or (claim.than and not b.size):
        return Judged(claim, "not judged", reason="no run measured it")
    if claim.than and a.size != b.size:
        return Judged(claim, "not judged", reason="some of its runs are missing")
    if BUDGETS.index(budget) < BUDGETS.index(claim.budget):
        return Judged(claim, "not judged", reason=f"needs the {claim.budget} budget")
    n = a.size
    sides: dict[str, Any] = dict(zip(("mean", "sd"), _summary(a), strict=True))
    if claim.than:
        sides |= dict(zip(("other_mean", "other_sd"), _summary(b), strict=True))
    good = np.isfinite(a) & (np.isfinite(b) if claim.than else True)
    if not good.all():
        return Judged(claim, "undecided", n, **sides, reason=f"{n - good.sum()} of {n} seeds diverged")
    if claim.ratio and ((a <= 0).any() or (b <= 0).any()):
        raise ValueError(f"claim {claim.id!r} is about a ratio, and not all of its values are positive.")
    each = np.log(a) if claim.ratio else a
    if claim.than:
        each = each - (np.log(b) if claim.ratio else b)
    mean, sd = float(each.mean()), float(each.std(ddof=1)) if n > 1 else math.nan
    back = math.exp if claim.ratio else float
    if claim.kind != "chance":
        inside = claim.low <= back(mean) <= claim.high
        words: tuple[Verdict, Verdict] = ("checked", "broken")
        if claim.kind == "fact":
            words = ("reproduced", "direction only" if _right(claim, back(mean), back(mean)) else "not reproduced")
        return Judged(claim, words[0] if inside else words[1], n, **sides, effect=back(mean))
    if n == 1:
        return Judged(claim, "seen once", n, **sides, effect=back(mean), reason="one seed: no interval")
    reach = student(n - 1) * sd / math.sqrt(n)
    low, high = back(mean - reach), back(mean + reach)
    reason = ""
    verdict: Verdict
    if claim.low <= low and high <= claim.high:
        verdict = "reproduced"
    elif high < claim.low or low > claim.high:
        verdict = "direction only" if _right(claim, low, high) else "not reproduced"
    else:
        verdict = "undecided"
        edges = [math.log(e) if claim.ratio else e for e in (claim.low, claim.high) if math.isfinite(e)]
        need = seeds_needed(min(abs(mean - edge) for edge in edges), sd)
        sure = "the direction is right, its size open: " if _right(claim, low, high) else ""
        reason = f"{sure}{need:,} seeds would decide" if need else f"{sure}{MOST_SEEDS:,} seeds would not decide"
    return Judged(claim, verdict, n, **sides, effect=back(mean), low=low, high=high, reason=reason)


def _summary(v: np.ndarray) -> tuple[float, float]:
    if not np.isfinite(v).all():
        return math.inf, math.nan
    return float(v.mean()), float(v.std(ddof=1)) if v.size > 1 else math.nan


def _right(claim: Claim, low: float, high: float) -> bool:
    """Whether an interval is wholly on the bar's side of no effect."""
    nothing = claim.neutral
    if nothing is None:
        return False
    return low > nothing if claim.low >= nothing else high < nothing if claim.high <= nothing else False


# -- the statistics ----------------------------------------------------------------------------------------------------


@functools.cache
def student(freedom: int, share: float = 0.95) -> float:
    """How many standard errors around a mean contain `share` of Student's distribution.

    Abramowitz & Stegun 1964, 26.7.3 and 26.7.4: for whole degrees of freedom the distribution is a finite sum.
    """

    def inside(t: float) -> float:
        angle = math.atan(t / math.sqrt(freedom))
        sine, cosine = math.sin(angle), math.cos(angle)
        term = total = cosine if freedom % 2 else 1.0
        for k in range(2 + freedom % 2, freedom - 1, 2):
            term *= (k - 1) / k * cosine**2
            total += term
        if freedom == 1:
            total = 0.0
        return 2 / math.pi * (angle + sine * total) if freedom % 2 else sine * total

    low, high = 0.0, 1.0
    while inside(high) < share:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) < share else (low, middle)
    return high


def seeds_needed(distance: float, sd: float) -> int | None:
    """How many seeds make the interval shorter than the distance to the bar, should mean and deviation stay.

    None if it would take more than `MOST_SEEDS`.
    """
    n = 2
    while n <= MOST_SEEDS:
        t = student(n - 1) if n <= 200 else 1.96
        if t * sd / math.sqrt(n) < distance:
            return n
        n = n + 1 if n < 50 else int(n * 1.05) + 1
    return None


def chosen_elsewhere(losses: Mapping[float, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The loss at the best setting, and that setting, for every seed; chosen on the other seeds.

    `losses` maps settings, such as learning rates, to their losses, one per seed. What is best on the very runs it is
    scored on is best partly by luck. With one seed there are no others: it is then chosen on itself.
    """
    settings = np.array(list(losses))
    table = np.nan_to_num(np.array(list(losses.values()), dtype=float), nan=np.inf)  # (settings, seeds)
    if not table.size:
        return np.empty(0), np.empty(0)
    n = table.shape[1]
    others = [np.delete(table, k, axis=1).mean(axis=1) for k in range(n)] if n > 1 else [table[:, 0]]
    best = np.argmin(others, axis=1)
    return table[best, np.arange(n)], settings[best]
