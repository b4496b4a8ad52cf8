"""Over- and underfitting, and which of data, capacity and context is the bottleneck."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from npgrad.data import Batches
from npgrad.diagnose.doctor import data
from npgrad.diagnose.doctor.capacity import LARGEST, UNITS, anew, as_it_is, trained_on, with_more_units
from npgrad.diagnose.doctor.exam import Exam, Floats, Found
from npgrad.diagnose.doctor.thresholds import limit
from npgrad.diagnose.doctor.vitals import Patient
from npgrad.engine.arrays import Array
from npgrad.engine.mode import no_grad
from npgrad.engine.tensor import Tensor

__all__ = ["overfitting", "short_context", "underfitting"]


def overfitting(exam: Exam) -> Found:
    """Training loss far below validation loss; what half of the examples do tells whether data are what is missing."""
    validation, course = exam.patient.validation, exam.course  # the course measures what is read below
    if validation is None or not np.isfinite(course.settled) or not np.isfinite(exam.validated):
        return
    if not exam.overfits or not exam.trained < 0.9 * exam.scale:
        return
    evidence = {"training": exam.trained, "validation": exam.validated, "ignorant loss": exam.ignorance}
    n = len(exam.whole[0])
    what = (
        f"after {len(course.losses)} steps the loss is {exam.trained:.3g} on training and {exam.validated:.3g} on "
        f"validation data: the network memorises its {n:,} examples."
    )
    remedy = "more data, weight decay, dropout, or a smaller network"
    if isinstance(exam.patient.batches, Batches) and n >= 4:
        best, half = stopped_early(exam), stopped_early(exam, halve)
        evidence |= {"best validation": best, "best with half the examples": half}
        if half - best > limit("better") * exam.scale:
            what += (
                f" Data are the bottleneck: stopped in time it gets to {best:.3g}, and with half of them to {half:.3g}."
            )
            remedy = "more data first; until then stop earlier, weight decay, dropout, or a smaller network"
        else:
            what += (
                f" Stopped in time it gets to {best:.3g}, and to {half:.3g} with half of them: the capacity is too "
                "large before the data are too few."
            )
            remedy = "stop earlier, weight decay, dropout, or a smaller network"
    yield exam.found("overfitting", "serious", what, "gap", evidence=evidence, remedy=remedy, effect="a smaller gap")


def stopped_early(exam: Exam, change: Callable[[Patient], None] | None = None) -> float:
    """The lowest validation loss after an eighth, a quarter, half and all of the steps."""
    validation = exam.patient.validation
    assert validation is not None
    ends: list[float] = []
    for share in (8, 4, 2, 1):
        steps = max(exam.patient.steps // share, 1)
        exam.patient.train(steps, change, lambda: ends.append(exam.patient.evaluated(*validation)))
    return min(ends, default=float("nan"))


def halve(patient: Patient) -> None:
    """Every second example, in another order."""
    batches: Batches = patient.batches
    patient.batches = Batches(batches.x[::2], batches.y[::2], batches.size, np.random.default_rng(0))


def settled(exam: Exam) -> bool:
    """Whether the network learns no more, and does as well on validation data."""
    course = exam.course
    return bool(
        exam.patient.validation is not None
        and np.isfinite(course.settled)
        and exam.early.outputs[0].ndim == 2
        and exam.early.loss - course.after <= limit("learns") * exam.scale
        and not exam.overfits
    )


def underfitting(exam: Exam) -> Found:
    """A network that gains by units beside it what it does not gain by itself, by more steps or other weights."""
    output, course = exam.early.outputs[0], exam.course
    if exam.patient.validation is None or not exam.trained_already() or not np.isfinite(course.settled):
        return
    inputs = exam.early.inputs[0]
    if output.shape[:-1] != inputs.shape[:1] or inputs.dtype.kind not in "fiu" or inputs[0].size > LARGEST:
        return
    if exam.overfits:
        return
    ends: list[tuple[Floats, Floats]] = []  # on training and validation data

    def look() -> None:
        ends.append(exam.pieces())

    here, more = (exam.training, exam.validation), with_more_units(exam)
    trained_on(exam, more, look)
    gap = exam.validation - ends.pop()[1]
    gain = float(gap.mean())
    if not gain > max(limit("better") * exam.scale, limit("errors") * float(gap.std()) / len(gap) ** 0.5):
        return
    # What can still fall on the training data is not at the end of what so many units can learn.
    trained_on(exam, as_it_is, look)
    trained_on(exam, anew(exam), look)
    exam.patient.train(4 * exam.patient.steps, look=look)
    gains = [(before - after).mean() for pair in ends for before, after in zip(here, pair, strict=True)]
    itself = max((float(value) for value in gains if np.isfinite(value)), default=0.0)
    if itself > limit("itself") * gain:
        return
    reached = exam.validated - gain
    hidden = exam.hidden()
    narrow = min(hidden, key=lambda p: len(p.mean)) if hidden else None
    width = len(narrow.mean) if narrow is not None else 0
    place = narrow or exam.output
    yield exam.found(
        "underfitting",
        "serious",
        f"the network is at {exam.trained:.3g} on its own data and {exam.validated:.3g} on validation data, and more "
        f"steps do not help. With {UNITS} units beside it, trained as long, it gets to {reached:.3g}: what is missing "
        "is capacity, not data or context. "
        + (f"The narrowest layer has {width} units." if narrow is not None else "There is no hidden layer."),
        "itself",
        where=(place.layer, *place.parameters) if place is not None else (),
        evidence={
            "training": exam.trained,
            "validation": exam.validated,
            f"with {UNITS} more units": reached,
            "best without": exam.validated - itself,
            "narrowest": width,
        },
        remedy=f"more units in {narrow.layer}" if narrow is not None else "a hidden layer",
        effect=f"a loss of {reached:.3g} or less",
        prescription=more,
    )


def short_context(exam: Exam) -> Found:
    """A network that knows all its windows tell, while counting with longer windows of the same text knows more.

    They may tell next to nothing: where each symbol hangs on the two before it, one alone is worth little.
    """
    if not exam.classes or not settled(exam):
        return
    x, y = exam.whole
    cut = 4 * len(x) // 5  # of a text in order, the end is what was not counted
    losses: dict[int, float] = {}
    longer: Array | None = x
    while longer is not None and longer.shape[1] <= data.COLUMNS:
        losses[longer.shape[1]] = lost(exam, longer[:cut], y[:cut], longer[cut:], y[cut:])
        longer = data.lengthened(longer, y)
    if len(losses) < 2:
        return
    here, best = losses[x.shape[1]], min(losses, key=lambda k: losses[k])
    there = losses[best]
    if not here - there > limit("longer") * exam.scale or exam.validated - here > limit("better") * exam.scale:
        return
    yield exam.found(
        "context too short",
        "serious",
        f"the network no longer learns and is at {exam.validated:.3g} on validation data, as counting is with the same "
        f"columns, {x.shape[1]} ({here:.3g}); with {best} of the same text counting gets to {there:.3g}: what is "
        "missing is context, not capacity or data.",
        "longer",
        where=("input",),
        evidence={
            "training": exam.trained,
            "validation": exam.validated,
            f"counting, context {x.shape[1]}": here,
            f"context {best}": there,
        },
        remedy=f"windows of {best} columns or more, and a first layer that takes them",
        effect=f"a loss of {there:.3g} or less",
    )


def lost(exam: Exam, x: Array, y: Array, asked: Array, answers: Array) -> float:
    """The loss of counting in (x, y), asked for `answers`."""
    output = exam.early.outputs[0]
    given = data.counted(x, y, asked, output.shape[1]).astype(output.dtype)
    with no_grad():
        return float(exam.patient.loss(Tensor(given), answers)._array.mean())
