"""What a verification found: comparisons, and how they read."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["TOLERANCE", "Check", "Report"]

TOLERANCE = 1e-9
"""Two things that should be equal may differ by this, relative to their largest entry, beside what rounding does."""


@dataclass(frozen=True)
class Check:
    """One comparison: what was compared, where it stands, how far apart the two were."""

    kind: str
    """chain, adjoint, output, gradient, code, tag, symbol or error."""
    case: str
    label: str
    line: int
    error: float
    message: str
    allowed: float = TOLERANCE

    @property
    def ok(self) -> bool:
        return self.error <= self.allowed


@dataclass(frozen=True)
class Report:
    """What `verify` found for one subject."""

    name: str
    path: str
    checks: tuple[Check, ...]
    drawn: int
    """How many sets of random inputs each case was tried on."""

    @property
    def failures(self) -> tuple[Check, ...]:
        """One failure per kind and line: the worst."""
        worst: dict[tuple[str, str, str, int], Check] = {}
        for check in self.checks:
            key = check.kind, check.case, check.label, check.line
            if not check.ok and (key not in worst or not check.error <= worst[key].error):
                worst[key] = check
        return tuple(worst.values())

    @property
    def ok(self) -> bool:
        return not self.failures

    def worst(self, kind: str | None = None, label: str | None = None, case: str | None = None) -> float:
        """The largest error among the checks of a kind, of an equation; nan if there are none."""
        errors = [
            c.error
            for c in self.checks
            if kind in (None, c.kind) and label in (None, c.label) and case in (None, c.case)
        ]
        return max(errors, default=math.nan)

    def __str__(self) -> str:
        equations = len({(c.case, c.label) for c in self.checks if c.kind in ("chain", "define")})
        if self.ok:
            return f"{self.name}: OK, {equations} equations, largest difference {self.worst():.0e}"
        lines = [f"{self.name}: {len(self.failures)} of its checks failed"]
        for check in self.failures:
            # A docstring that cannot be read says itself where.
            where = f"{self.path}:{check.line} " if self.path else ""
            lines.append(f"  {where}" + (f"[{check.case}] " if check.case else "") + check.message)
        return "\n".join(lines)
