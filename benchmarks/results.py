"""What was measured, and the statistics taken from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any

__all__ = ["Measured", "PointResult", "Results", "WorkloadResult"]


@dataclass
class Measured:
    """One peer on one point. Times are seconds per unit, one for each round; rounds of all peers correspond."""

    status: str = "ok"
    """ok, missing (not installed), absent (does not do this), left out (by the user), failed, or disagrees."""
    why: str = ""
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    faults: list[float] = field(default_factory=list)
    """Page faults per step."""
    values: list[float] = field(default_factory=list)
    """The first results, by which peers are compared."""
    bytes: list[int] = field(default_factory=list)

    def samples(self, clock: str) -> list[float]:
        return [float(n) for n in self.bytes] if self.bytes else (self.cpu if clock == "cpu" else self.wall)

    def spread(self, clock: str) -> tuple[float, float, float]:
        """Median and quartiles."""
        samples = self.samples(clock)
        low, _, high = quantiles(samples, n=4, method="inclusive") if len(samples) > 1 else samples * 3
        return median(samples), low, high


@dataclass
class PointResult:
    label: str
    options: dict[str, Any]
    per: int
    peers: dict[str, Measured]
    reference: list[float] = field(default_factory=list)

    def ratio(self, a: str, b: str, clock: str) -> float | None:
        """How much longer `a` takes than `b`: the median over the rounds of the ratio within a round."""
        first, second = self.peers.get(a), self.peers.get(b)
        if first is None or second is None or first.status != "ok" or second.status != "ok":
            return None
        pairs = zip(first.samples(clock), second.samples(clock), strict=False)
        ratios = [x / y for x, y in pairs if y > 0]
        return median(ratios) if ratios else None


@dataclass
class WorkloadResult:
    name: str
    title: str
    unit: str
    measure: str
    cores: int
    tolerance: float
    points: list[PointResult]


@dataclass
class Results:
    machine: dict[str, Any]
    settings: dict[str, Any]
    workloads: dict[str, WorkloadResult] = field(default_factory=dict)
    goals: list[dict[str, Any]] = field(default_factory=list)

    @property
    def clock(self) -> str:
        return str(self.settings["clock"])

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
