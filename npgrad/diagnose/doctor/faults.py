"""Diagnoses of the data: columns, copies, targets."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from npgrad.data import Batches
from npgrad.diagnose.doctor import data
from npgrad.diagnose.doctor.exam import Exam, Found
from npgrad.diagnose.doctor.finding import picture
from npgrad.diagnose.doctor.snapshot import examples
from npgrad.diagnose.doctor.thresholds import limit
from npgrad.diagnose.doctor.vitals import Patient

__all__ = ["columns", "repeated_batches", "scales", "targets"]


def columns(exam: Exam) -> Found:
    x = exam.inputs
    if x.ndim != 2 or x.dtype.kind not in "fiu" or x.shape[1] < 2 or len(x) < 32:
        return
    if x.dtype.kind in "iu" and exam.targets.shape == x.shape:
        return  # sequences: a column is a position, the first of which always says that one begins
    constant = np.flatnonzero(np.ptp(x, axis=0) == 0)
    if len(constant) and len(constant) < x.shape[1]:
        yield exam.found(
            "constant input",
            "mild",
            f"input column {constant[0]} has the same value in all of {len(x)} examples: it carries no information.",
            where=tuple(f"column {k}" for k in constant),
            evidence={"columns": len(constant)},
            threshold="no variation at all",
            source="derived",
            remedy=f"look at how column {constant[0]} is made",
            effect="nothing to learn is lost; something was perhaps meant to be there",
        )


def scales(exam: Exam) -> Found:
    x = exam.inputs
    if x.dtype.kind != "f" or len(x) < 32:
        return
    rows = x.reshape(len(x), -1).astype(np.float64)
    std, mean = rows.std(0), np.abs(rows.mean(0))
    moving = std > 0
    if not moving.any():
        return
    middle = float(np.median(std[moving]))
    odd = [
        int(k)
        for k in np.flatnonzero(moving)
        if std[k] > limit("column") * middle or mean[k] > limit("column") / 2 * std[k]
    ]
    whole = float(np.sqrt(np.mean(rows * rows)))
    if x.ndim > 2:  # pixels: one scale for all of them
        odd = list(range(rows.shape[1])) if whole > limit("column") / 2 or whole < 0.1 / limit("column") else []
    elif middle > limit("column") or middle < 1 / limit("column") / 10:
        odd = list(range(rows.shape[1]))
    if not odd:
        return
    if x.ndim > 2:
        shift, factor = np.full(x.shape[1:], rows.mean()), np.full(x.shape[1:], rows.std())
    else:
        shift, factor = rows.mean(0), np.where(moving, std, 1.0)

    def standardised(patient: Patient) -> None:
        inner = patient.batches
        patient.batches = Scaled(inner, shift, factor)

    which = f"input column {odd[0]}" if len(odd) < rows.shape[1] else "the whole input"
    yield exam.found(
        "unscaled input",
        "serious",
        f"{which} is on another scale: spread {std[odd[0]]:.3g} around {rows[:, odd[0]].mean():.3g}, "
        f"the median column {middle:.3g}.",
        "column",
        where=tuple(f"column {k}" for k in odd) if len(odd) < rows.shape[1] else ("input",),
        evidence={"spread": float(std[odd[0]]), "median spread": middle},
        remedy="x = (x - x.mean(0)) / x.std(0)",
        effect="one learning rate fits all weights of the first layer",
        picture=picture(std.tolist()),
        prescription=standardised,
    )


class Scaled:
    """Batches with standardised inputs."""

    def __init__(self, inner: Any, shift: Any, factor: Any) -> None:
        self.inner, self.shift, self.factor = inner, shift, factor

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Scaled:
        return Scaled(examples(self.inner), self.shift, self.factor)

    def __next__(self) -> tuple[Any, Any]:
        x, y = next(self.inner)
        return ((np.asarray(x) - self.shift) / self.factor).astype(np.asarray(x).dtype), y


def repeated_batches(exam: Exam) -> Found:
    batches = exam.patient.batches
    if isinstance(batches, list | tuple):
        looked = [(np.asarray(x), np.asarray(y)) for x, y in batches[:64]]
    else:
        looked = [(np.asarray(x), np.asarray(y)) for x, y in itertools.islice(examples(batches), 16)]
        if isinstance(batches, Batches) and len(batches.x) <= 2 * batches.size:
            return
    if len(looked) < 2:
        return
    share = data.duplicates(looked)
    if share >= limit("duplicates"):
        yield exam.found(
            "duplicated batches",
            "serious",
            f"{share:.0%} of {len(looked)} minibatches are equal to an earlier one: part of the "
            "data is seen again and again, and the rest is not.",
            "duplicates",
            evidence={"seen before": share},
            remedy="draw new rows for every batch, from a generator made once",
            effect="all of the data is used",
        )


def targets(exam: Exam) -> Found:
    """Labels that do not belong to the inputs, or are among them."""
    x, y = exam.whole
    if len(x) < 200 or len(x) != len(y):
        return
    x, y = x[:20_000], y[:20_000]
    moved = data.shift(x, y, np.random.default_rng(0))
    if moved:
        yield exam.found(
            "shifted targets",
            "critical",
            f"the targets belong to other rows: they are off by {moved:+d}.",
            evidence={"rows": moved},
            threshold="best agreement at another offset than 0",
            source="derived, over offsets −1, 0, 1",
            remedy=f"y = np.roll(y, {moved})   # or repair the window",
            effect="inputs and targets belong together",
        )
        return
    column, share = data.leaking_column(x, y)
    if share >= limit("leak"):
        same = x.reshape(len(x), -1).dtype.kind in "iu" and bool(np.mean(x.reshape(len(x), -1)[:, column] == y) > 0.99)
        yield exam.found(
            "label leak",
            "critical",
            f"input column {column} "
            + ("is the target" if same else "determines the target")
            + f" in {share:.1%} of the examples: the network will learn to copy it.",
            "leak",
            where=(f"column {column}",),
            evidence={"agreement": share},
            remedy=f"leave column {column} out of x",
            effect="a loss that means something",
        )
        return
    if exam.association < limit("association"):
        course = exam.course
        fell = (
            np.isfinite(course.settled) and course.settled < 0.9 * exam.ignorance and not exam.patient.batches_are_few()
        )
        if not fell:
            yield exam.found(
                "shuffled labels",
                "critical",
                "the inputs say nothing about the targets: nearest neighbours, a linear map and "
                "mutual information all do as well with shuffled ones.",
                "association",
                evidence={
                    "standard deviations above chance": exam.association,
                    "loss": course.settled,
                    "ignorant loss": exam.ignorance,
                },
                remedy="look at where x and y are put together",
                effect="a loss below that of ignorance",
            )
