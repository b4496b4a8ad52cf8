"""`treat`: try a remedy on the same steps, and withdraw it if it does not help."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad.diagnose.doctor.exam import Exam
from npgrad.diagnose.doctor.examination import diagnose
from npgrad.diagnose.doctor.finding import Finding, picture
from npgrad.diagnose.doctor.vitals import Patient
from npgrad.engine.mode import no_grad

__all__ = ["Treatment", "treat"]


@dataclass(frozen=True, eq=False)
class Treatment:
    """The same steps on the same minibatches, without and with the remedy."""

    finding: Finding
    before: float
    """Mean loss over minibatches after the steps, untreated."""
    after: float
    before_spread: float
    """Standard deviation over minibatches."""
    after_spread: float
    difference: float
    """before − after, minibatch by minibatch."""
    error: float
    """Its standard error."""
    gone: bool
    """Whether the finding is no longer made."""
    left: tuple[str, ...]
    """What is found afterwards."""
    losses: tuple[list[float], list[float]]

    @property
    def helps(self) -> bool:
        """Whether the loss ends lower beyond chance, or the illness is gone and the loss no higher beyond chance."""
        if not math.isfinite(self.after):
            return False
        if not math.isfinite(self.before):
            return True
        return self.difference > 2 * self.error or (
            self.gone and self.difference > -2 * self.error - 0.02 * abs(self.before)
        )

    def __str__(self) -> str:
        verdict = "helps" if self.helps else "does not help, and is withdrawn"
        lines = [
            *textwrap.wrap(f"{self.finding.name}: {self.finding.remedy}", 80, subsequent_indent="   "),
            f"   before {self.before:.4g} ± {self.before_spread:.2g}   {picture(self.losses[0], 40)}",
            f"   after  {self.after:.4g} ± {self.after_spread:.2g}   {picture(self.losses[1], 40)}",
            f"   lower by {self.difference:.3g} ± {self.error:.2g}; the finding is "
            f"{'gone' if self.gone else 'still there'}",
            f"   the remedy {verdict}",
        ]
        if self.left and self.left != ("healthy",):
            lines += textwrap.wrap(f"left: {', '.join(self.left)}", 80, initial_indent="   ", subsequent_indent="   ")
        return "\n".join(lines)


def treat(finding: Finding) -> Treatment:
    """Apply the remedy, run the same steps, compare, and put everything back.

    Raises ValueError if the remedy takes a human: data to repair, code to change.
    """
    patient: Patient | None = finding.patient
    prescription = finding.prescription
    if patient is None or prescription is None:
        raise ValueError(
            f"there is no remedy for {finding.name!r} that a program could apply: {finding.remedy or 'see above'}."
        )
    loss = patient.loss
    measured: list[np.ndarray[Any, Any]] = []

    def look() -> None:
        with no_grad():
            measured.append(
                np.array([float(loss(patient.model(x), y)._array.mean()) for x, y in patient.probe_batches()])
            )

    first = patient.train(patient.steps, look=look)
    second = patient.train(patient.steps, prescription, look)
    snapshot, kept = patient.snapshot(), dict(vars(patient))
    try:
        prescription(patient)
        left = tuple(f.name for f in diagnose(Exam(patient)))
    finally:
        vars(patient).clear()
        vars(patient).update(kept)
        snapshot.restore()
    a, b = measured
    with np.errstate(invalid="ignore"):  # inf − inf, where one of them diverges
        gap = a - b
        error = float(gap.std() / math.sqrt(len(gap)))
        before, after = float(a.std()), float(b.std())
    return Treatment(
        finding,
        float(a.mean()),
        float(b.mean()),
        before,
        after,
        float(gap.mean()),
        error,
        finding.name not in left,
        left,
        (first.losses.tolist(), second.losses.tolist()),
    )
