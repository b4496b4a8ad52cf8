"""What the doctor says: findings, and the report they are printed in."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Finding", "Report", "picture"]

SEVERITIES = ("critical", "serious", "mild", "unknown", "healthy")
WIDTH = 80
MARKS = {"critical": "✗✗", "serious": "✗", "mild": "!", "unknown": "?", "healthy": "✓"}


@dataclass(frozen=True, eq=False)
class Finding:
    """One illness, its evidence and its remedy."""

    name: str
    severity: str
    """One of critical, serious, mild, unknown, healthy."""
    where: tuple[str, ...]
    """Layers or parameters by name, the one that matters first; empty if it concerns the whole."""
    what: str
    """One sentence."""
    evidence: dict[str, float]
    """Measured numbers by what they are."""
    threshold: str
    source: str
    """Where the threshold comes from: a document, a paper, or how it was derived or chosen."""
    certainty: float
    """From 0 to 1: how often a finding of this name was right in the part of the ward that chose the thresholds."""
    remedy: str = ""
    """One line of code."""
    effect: str = ""
    """What to expect of the remedy."""
    picture: str = ""
    also: tuple[str, ...] = ()
    """Findings that this one explains."""
    prescription: Callable[[Any], None] | None = field(default=None, repr=False)
    """Applies the remedy to a patient; None if it takes a human."""
    patient: Any = field(default=None, repr=False)

    def lines(self) -> Iterator[str]:
        """The finding as text, at most 80 columns."""
        where = f" at {', '.join(self.where[:3])}" if self.where else ""
        more = f" and {len(self.where) - 3} more" if len(self.where) > 3 else ""
        grade = f" ({self.severity})" if self.severity != self.name else ""
        yield from _wrap(f"{MARKS[self.severity]} {self.name}{where}{more}{grade}", "", "   ")
        yield from _wrap(self.what)
        numbers = ", ".join(f"{key} {_number(value)}" for key, value in self.evidence.items())
        if numbers:
            yield from _wrap(f"measured: {numbers}")
        if self.picture:
            yield f"   {self.picture}"
        if self.threshold:
            yield from _wrap(f"threshold: {self.threshold} ({self.source})")
        if self.also:
            yield from _wrap(f"explains: {', '.join(self.also)}")
        if self.remedy:
            yield from _wrap(f"remedy: {self.remedy}")
        if self.effect:
            yield from _wrap(f"expect: {self.effect}")
        if self.severity not in ("healthy", "unknown"):
            yield f"   certainty: {self.certainty:.0%}"

    def __str__(self) -> str:
        return "\n".join(self.lines())


@dataclass(frozen=True, eq=False)
class Report(Sequence[Finding]):
    """The findings of one examination, the worst first; exactly one, "healthy" or "unknown", if there is no illness."""

    findings: tuple[Finding, ...]
    steps: int
    seconds: float

    def __getitem__(self, k: Any) -> Any:
        return self.findings[k]

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return all(f.severity == "healthy" for f in self.findings)

    @property
    def names(self) -> list[str]:
        return [f.name for f in self.findings]

    def __str__(self) -> str:
        head = f"examined over {self.steps} steps in {self.seconds:.1f} s"
        return "\n\n".join([head, *map(str, self.findings)])


def picture(values: Sequence[float], width: int = 60) -> str:
    """A row of bars, the largest full, at most `width` of them; means of neighbours where there are more."""
    finite = [v if v == v and abs(v) != float("inf") else 0.0 for v in values]
    if len(finite) > width:
        parts = [finite[len(finite) * k // width : len(finite) * (k + 1) // width] for k in range(width)]
        finite = [sum(part) / len(part) for part in parts]
    top = max(finite, default=0.0)
    return "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * max(v, 0.0) / top))] if top > 0 else "▁" for v in finite)


def _number(value: float) -> str:
    return f"{value:.3g}" if isinstance(value, float) else f"{value}"


def _wrap(text: str, first: str = "   ", rest: str = "   ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
