"""What the documents claim, as data. The verdicts are those of `experiments.verdict`.

A claim names a quantity that its lesson measures, what it is compared with (if it is), and the bar: how large the
effect has to be. The effect is the quantity itself, the quantity less its comparator, or, with `ratio`, the quantity
over its comparator. Both sides are measured with the same seeds, and so the effect is taken seed by seed.

A bar says why it is where it is: the document's own number and its rounding, or the smallest effect that deserves the
document's word. Bars belong to before measuring: `experiments/bars.md` has every change of one, with date and reason,
and a test holds the two together.

The claims that `experiments/lessons/stages.py` settles are in `experiments/claims/stages.py`, and so for each lesson
here; a lesson of one's own may hold them itself. `experiment.collection()` has them all, and
`python -m experiments claims` prints them with their verdicts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["DOCUMENTS", "OURS", "Claim"]

OURS = 6
DOCUMENTS = {
    0: "The lecture's own record of losses",
    1: "Chapter 3: Activations, Gradients, and Batch Normalization",
    2: "Building makemore Part 3: Activations & Gradients, BatchNorm (notes)",
    3: "Mastery Guide: Activations, Gradients, and Batch Normalization",
    4: "A Deep Dive into Neural Network Dynamics: Initialization, Normalization, and Diagnostics",
    5: "Chapter 4: Make More Part 3 - Activations, Gradients & BatchNorm",
    OURS: "What no document says and the data do",
}
"""The five documents about the lecture, by number, the lecture itself, and our own findings."""

Kind = Literal["chance", "fact", "identity"]
"""What a quantity is: a number that another seed would change; one that is the same for every seed; or one that is so
by construction, which is checked and not counted among what was reproduced."""


@dataclass(frozen=True)
class Claim:
    """One statement of a document, checkable.

    Raises ValueError if there is no bar, or a bar without a reason.
    """

    id: str
    text: str
    """What the document says, in our words; a full sentence."""
    source: int | tuple[int, ...]
    """The number of the document, or of all that say so."""
    quantity: str
    """Which of the quantities that the lesson measures it is about."""
    than: str = ""
    """The quantity it is compared with, if it is."""
    ratio: bool = False
    """Whether the effect is a factor rather than a difference; its interval is then that of its logarithm."""
    low: float = -math.inf
    high: float = math.inf
    """The bar: from where to where the effect has to be."""
    nothing: float | None = None
    """The effect that would be none. Beyond it, on the side of the bar, the direction is right. Without a number: 0 for
    differences and 1 for ratios, if something is compared; otherwise there is no direction."""
    why: str = ""
    """The reason for the bar."""
    kind: Kind = "chance"
    part_of: str = ""
    """The id of the claim whose sentence this is a part of."""
    format: str = ".3g"
    """How the measurement is written."""
    unit: str = ""
    says: str = ""
    """The document's own words or number."""
    budget: Literal["quick", "default", "full"] = "quick"
    """The smallest budget at which it can be judged."""
    corpus: bool = False
    """Whether it is about this list of names, and says nothing of another."""
    note: str = ""
    """What else to know: caveats, and why the measurement differs where the reason was found."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) or math.isfinite(self.high)) or self.low > self.high:
            raise ValueError(f"claim {self.id!r} has no bar: low, high or both must be numbers, low the smaller one.")
        if not self.why and self.kind != "identity":
            raise ValueError(f"claim {self.id!r} does not say why its bar is where it is.")
        if set(self.sources) - set(DOCUMENTS) or not self.sources:
            raise ValueError(f"claim {self.id!r} must name its documents, {min(DOCUMENTS)} to {max(DOCUMENTS)}.")

    @property
    def sources(self) -> tuple[int, ...]:
        return (self.source,) if isinstance(self.source, int) else tuple(self.source)

    @property
    def neutral(self) -> float | None:
        """The effect that would be none; None if the claim has no direction."""
        if self.nothing is None and self.than:
            return 1.0 if self.ratio else 0.0
        return self.nothing

    @property
    def bar(self) -> str:
        """In words: "at least 0.02"."""
        times = " times" if self.ratio and self.than else self.unit
        low, high = (f"{edge:,.5g}".replace("-", "−") for edge in (self.low, self.high))
        if low == high:
            return f"{low}{times}"
        if math.isinf(self.high):
            return f"at least {low}{times}"
        return f"at most {high}{times}" if math.isinf(self.low) else f"{low} to {high}{times}"

    def number(self, value: float) -> str:
        if not math.isfinite(value):
            return "diverged"
        text = f"{value:{self.format}}".replace("e-0", "e-").replace("e+0", "e").replace("-", "−")
        return text[1:] if text.startswith("−") and not text.strip("−0.%") else text
