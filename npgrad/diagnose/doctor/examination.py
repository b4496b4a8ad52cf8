"""`examine`: run the diagnoses, merge what has one cause, and say so if nothing, or nothing known, is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from npgrad.diagnose.doctor.diagnoses import CAUSES, DIAGNOSES
from npgrad.diagnose.doctor.exam import Exam
from npgrad.diagnose.doctor.finding import SEVERITIES, Finding, Report, picture
from npgrad.diagnose.doctor.thresholds import THRESHOLDS
from npgrad.diagnose.doctor.vitals import Patient
from npgrad.diagnose.nonfinite import NonFinite, nonfinite
from npgrad.engine.tensor import Tensor
from npgrad.nn import Module
from npgrad.optim import Optimizer

__all__ = ["examine"]


def examine(
    model: Module,
    loss: Callable[[Tensor, Any], Tensor],
    batches: Any,
    optimizer: Optimizer,
    steps: int = 200,
    *,
    step: Callable[[Any, Any], Any] | None = None,
    schedule: Any = None,
    validation: tuple[Any, Any] | None = None,
    evaluate: Callable[[], Any] | None = None,
) -> Report:
    """Train for `steps` steps, a few times, and report what is wrong; everything is put back to the byte.

    `loss(model(x), y)` is the loss of a minibatch; `batches` gives pairs (x, y): a sequence, which is gone through
    again and again, or an iterator that can be copied (`npgrad.data.Batches`). Optional, for what cannot be seen
    without: `step(x, y)`, your own training step if it is not the usual one, returning the loss; `schedule`, of
    `npgrad.optim` or a function from the step to the learning rate; `validation`, (x, y) arrays; `evaluate()`, your
    evaluation. The model is examined in the mode it is in. Hooks on it run as they do in training.

    Raises TypeError for batches that can be read only once, ValueError if there are none or `steps` < 8.
    """
    if steps < 8:
        raise ValueError(f"an examination takes at least 8 steps; got {steps}.")
    begin = time.perf_counter()
    patient = Patient(model, loss, batches, optimizer, steps, step, schedule, validation, evaluate)
    before = patient.snapshot()
    try:
        found = diagnose(Exam(patient))
    finally:
        before.restore()
    return Report(tuple(found), steps, time.perf_counter() - begin)


def diagnose(exam: Exam) -> list[Finding]:
    """All findings, the worst first, each cause once."""
    found: list[Finding] = []
    with np.errstate(all="ignore"):  # overflow on the way to an infinite loss is told by the loss
        _ = exam.early, exam.course
        if np.isfinite(exam.early.losses).all():
            found = merged([finding for diagnosis in DIAGNOSES for finding in diagnosis(exam)])
    if not any(f.severity in ("critical", "serious") for f in found):
        found += unexplained(exam, found)
    if not found:
        found = [healthy(exam)]
    return sorted(found, key=lambda f: SEVERITIES.index(f.severity))


def merged(found: list[Finding]) -> list[Finding]:
    """Findings that another one explains become part of it."""
    for cause, effects in CAUSES:
        index = next((k for k, f in enumerate(found) if f.name == cause), None)
        explained = [f for f in found if f.name in effects]
        if index is not None and explained:
            also = dict.fromkeys([*found[index].also, *[n for f in explained for n in (f.name, *f.also)]])
            found[index] = replace(found[index], also=tuple(also))
            found = [f for f in found if f not in explained]
    return found


def unexplained(exam: Exam, found: list[Finding]) -> list[Finding]:
    """What is wrong for no reason that is known here: an infinite loss, or a loss that does not fall."""
    course, early = exam.course, exam.early
    ratios = [r for r in (course.ratio(n) for n in exam.matrices()) if np.isfinite(r)]
    numbers = {
        "first loss": early.loss,
        "last loss": course.settled,
        "ignorant loss": exam.ignorance,
        "inputs against chance": exam.association if len(exam.whole[0]) >= 200 else float("nan"),
        "log10 update/weight": float(np.median(ratios)) if ratios else float("nan"),
    }
    if not np.isfinite(course.losses).all():
        report = first_bad_number(exam.patient)
        return [
            exam.found(
                "not finite",
                "critical",
                str(report) if report is not None else "the loss stops being a number.",
                evidence=numbers,
                threshold="any",
                source="derived",
                remedy="with npgrad.diagnose.nonfinite(model): …",
                effect="the line that makes the first NaN or infinity",
                picture="",
            )
        ]
    if exam.learnt < THRESHOLDS["learns"].value:
        if exam.trained_already():
            return []
        # Few steps prove little: one that falls later was slow, or had to get over a spike.
        later = exam.patient.train(4 * exam.patient.steps)
        if early.loss - min(later.after, later.settled) > THRESHOLDS["learns"].value * exam.scale:
            return []
        return [
            exam.found(
                "does not learn",
                "unknown",
                f"{len(course.losses)} steps leave the loss where it was, and none of the known illnesses "
                "explains it: I do not "
                "know why. What was measured is below.",
                "learns",
                evidence=numbers,
                picture=picture(course.losses.tolist()),
                where=(),
                remedy="npgrad.check.gradcheck for rules of your own; npgrad.diagnose.Monitor to see more",
            )
        ]
    return []


def first_bad_number(patient: Patient) -> NonFinite | None:
    """What `nonfinite` says of the steps."""

    def watched(patient: Patient) -> None:
        inner = patient.one_step

        def one_step(x: Any, y: Any, t: int) -> float:
            with nonfinite(patient.model, stop=False, start=t) as watch:
                value = inner(x, y, t)
            if watch.found is not None and not kept:
                kept.append(watch.found)
            return value

        patient.one_step = one_step  # type: ignore[method-assign]

    kept: list[NonFinite] = []
    patient.train(patient.steps, watched)
    return kept[0] if kept else None


def healthy(exam: Exam) -> Finding:
    """Nothing is wrong, and these are the numbers."""
    early, course = exam.early, exam.course
    ratios = [r for r in (course.ratio(n) for n in exam.matrices()) if np.isfinite(r)]
    evidence: dict[str, float] = {
        "first loss": early.loss,
        "ignorant loss": exam.ignorance,
        "last loss": course.settled,
    }
    saturated = [p.saturated for p in early.activations if p.kind in ("Tanh", "Sigmoid")]
    dead = [p for p in early.activations if p.kind == "Relu"]
    if saturated:
        evidence["most saturated layer"] = max(saturated)
    if dead:
        most = max(dead, key=lambda p: p.flat.mean())
        evidence["most dead layer"] = float(most.flat.mean())
        for flat in exam.flat:
            if flat.place is most:
                evidence["with fresh weights"] = flat.fresh
    if ratios:
        evidence["log10 update/weight, least"] = min(ratios)
        evidence["most"] = max(ratios)
    return exam.found(
        "healthy",
        "healthy",
        "none of the known problems was found.",
        evidence=evidence,
        picture=picture(course.losses.tolist()),
    )
