"""One examination: the measurements all diagnoses share, each made when it is first asked for."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgrad.data import Batches
from npgrad.diagnose.doctor import data
from npgrad.diagnose.doctor.finding import Finding
from npgrad.diagnose.doctor.fresh import FlatUnits, fan_in, flat_units
from npgrad.diagnose.doctor.snapshot import examples
from npgrad.diagnose.doctor.thresholds import CERTAINTY, THRESHOLDS, limit
from npgrad.diagnose.doctor.vitals import Course, Patient, Place, Vitals, ignorance, is_classes
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor
from npgrad.nn import BatchNorm1d, BatchNorm2d

__all__ = ["Exam", "Floats", "Found", "attribute", "parameter", "scale_rate", "scaled", "spreads"]

Floats = NDArray[np.float64]
PIECES = 8
"""At least, of data that a loss is measured on, so that its error can be told."""
Found = Iterator[Finding]
"""What a diagnosis gives: findings, mostly none or one."""


class Exam:
    """The measurements of one patient. Everything random in it follows from a fixed seed."""

    def __init__(self, patient: Patient) -> None:
        self.patient = patient
        self.late: Vitals | None = None
        self.late_flat: list[FlatUnits] = []
        self.training = self.validation = np.array([np.nan])
        """Losses on pieces of the data, in evaluation mode, at the end of the course."""

    @functools.cached_property
    def early(self) -> Vitals:
        """Before the first step."""
        return self.patient.vitals()

    @functools.cached_property
    def flat(self) -> list[FlatUnits]:
        """Layers with flat units before the first step, beside what fresh weights would give."""
        return flat_units(self.patient, self.early)

    @functools.cached_property
    def knocked_out(self) -> list[tuple[FlatUnits, float]]:
        """Layers that are ill at the end and were not before, with the share of their units that the steps lost."""
        _ = self.course
        before = {(p.layer, p.order): p.flat for p in self.early.activations}
        was = {(f.place.layer, f.place.order) for f in self.flat if f.ill}
        found = []
        for f in self.late_flat:
            key = (f.place.layer, f.place.order)
            if f.ill and key not in was and key in before and len(before[key]) == len(f.place.flat):
                lost = float(np.mean(f.place.flat & ~before[key]))
                if lost > limit("stuck"):
                    found.append((f, lost))
        return found

    @functools.cached_property
    def course(self) -> Course:
        """The steps as they would be taken; what is seen at their end is in `late`."""

        def look() -> None:
            self.late = self.patient.vitals()
            self.late_flat = flat_units(self.patient, self.late)
            if self.patient.validation is not None:
                self.training, self.validation = self.pieces()

        return self.patient.train(self.patient.steps, look=look)

    def pieces(self) -> tuple[Floats, Floats]:
        """Losses on minibatches of the training and of the validation data, evenly drawn, with the present weights."""
        validation = self.patient.validation
        assert validation is not None
        example = self.patient.probe_batches()[0]
        size = max(len(self.early.targets[0]), 1)
        found = []
        for pair in (self.whole, validation):
            rows = np.linspace(0, len(pair[1]) - 1, min(len(pair[1]), data.LIMIT)).round().astype(int)
            losses = []
            for part in np.array_split(rows, max(len(rows) // size, min(PIECES, len(rows)))):
                x, y = (np.asarray(a)[part] for a in pair)
                x, y = (Tensor(a) if isinstance(e, Tensor) else a for a, e in zip((x, y), example, strict=True))
                losses.append(self.patient.evaluated(x, y))
            found.append(np.array(losses))
        return found[0], found[1]

    @property
    def trained(self) -> float:
        """The loss on training data at the end of the course."""
        return float(self.training.mean())

    @property
    def validated(self) -> float:
        """The loss on validation data at the end of the course."""
        return float(self.validation.mean())

    @property
    def overfits(self) -> bool:
        """Whether the loss is higher on validation data than on training data, by what counts and beyond chance."""
        gap = self.validated - self.trained
        chance = math.hypot(*(float(a.std()) / math.sqrt(len(a)) for a in (self.training, self.validation)))
        return gap > limit("gap") * self.scale and gap > limit("errors") * chance

    def other(self, change: Callable[[Patient], None]) -> Course:
        """The same steps on the same minibatches after `change`."""
        return self.patient.train(self.patient.steps, change)

    def rate(self, factor: float) -> Course:
        """The same steps at a multiple of the learning rate."""
        known = self.course if factor == 1 else self._rates.get(factor)
        if known is None:
            known = self._rates[factor] = self.other(lambda patient: scale_rate(patient, factor))
        return known

    def reached(self, factor: float) -> float:
        """The loss after the same steps at a multiple of the learning rate; infinite if it diverges."""
        course = self.rate(factor)
        return course.after if np.isfinite(course.settled) and np.isfinite(course.after) else float("inf")

    @functools.cached_property
    def _rates(self) -> dict[float, Course]:
        return {}

    @functools.cached_property
    def ignorance(self) -> float:
        """The loss of the best constant answer."""
        return ignorance(self.patient.loss, self.early.outputs, self.early.targets)

    @property
    def scale(self) -> float:
        """What differences of the loss are measured against."""
        here = self.ignorance if np.isfinite(self.ignorance) else self.early.loss
        return max(abs(here), 1e-12)

    @property
    def learnt(self) -> float:
        """How far the loss falls over the course, in parts of the ignorant loss; −1 if it stops being a number.

        The same minibatches before and after, or the last ones, whichever says more: either may be a spike.
        """
        course = self.course
        if not np.isfinite(course.settled):
            return -1.0
        return float(np.nanmax([self.early.loss - course.after, self.early.loss - course.settled]) / self.scale)

    def better(self, a: Course, b: Course, times: float = 1.0, sure: bool = False) -> bool:
        """Whether course `a` ends lower than `b` by what counts, and beyond chance unless that is `sure` otherwise.

        What counts is a share of the ignorant loss, `times` over, or half of what `a` gains where that is less: where
        the steps gain little, it is little that can be lost.
        """
        if not np.isfinite(a.settled):
            return False
        if not np.isfinite(b.settled):
            return True
        gained = limit("half") * (self.early.loss - a.settled)
        counts = min(times * limit("better") * self.scale, max(gained, limit("learns") * self.scale))
        # Losses of a rate that is too high have spikes, which no standard error can deal with: a minibatch counts at
        # most as it would before the first step.
        q, most = max(len(a.losses) // 4, 2), max(self.scale, self.early.loss)
        gap = np.minimum(b.losses[-q:], most) - np.minimum(a.losses[-q:], most)
        chance = limit("errors") * float(gap.std() / np.sqrt(q))
        return b.settled - a.settled > counts and (sure or float(gap.mean()) > chance)

    @functools.cached_property
    def classes(self) -> bool:
        return is_classes(self.early.outputs[0], self.early.targets[0])

    @functools.cached_property
    def inputs(self) -> Array:
        return np.concatenate([np.atleast_1d(x) for x in self.early.inputs])

    @functools.cached_property
    def targets(self) -> Array:
        return np.concatenate([np.atleast_1d(t) for t in self.early.targets])

    @functools.cached_property
    def whole(self) -> tuple[Array, Array]:
        """All the data there is at hand, in its own order where that is known: `ordered`."""
        batches = self.patient.batches
        if isinstance(batches, Batches):
            return np.asarray(batches.x), np.asarray(batches.y)
        listed = isinstance(batches, list | tuple)
        drawn = list(batches if listed else itertools.islice(examples(batches), 64))
        x, y = ([np.atleast_1d(np.asarray(pair[k])) for pair in drawn] for k in (0, 1))
        return np.concatenate(x), np.concatenate(y)

    @functools.cached_property
    def association(self) -> float:
        """How surely the inputs tell something of the targets, in standard deviations of chance."""
        x, y = self.whole
        rng = np.random.default_rng(0)
        if len(x) > data.LIMIT:
            rows = rng.choice(len(x), data.LIMIT, replace=False)
            x, y = x[rows], y[rows]
        return data.association(x, y, rng)

    @functools.cached_property
    def norms(self) -> list[tuple[str, Any]]:
        """The batch normalisations by name."""
        return [(n, m) for n, m in self.patient.model.named_modules() if isinstance(m, BatchNorm1d | BatchNorm2d)]

    @functools.cached_property
    def optimised(self) -> set[int]:
        return {id(p) for group in self.patient.optimizer.param_groups for p in group["params"]}

    def trained_already(self) -> bool:
        """Whether the model knows something before the first step, so that the loss need not fall."""
        return bool(np.isfinite(self.ignorance) and self.early.loss < self.ignorance - 0.03 * self.scale)

    @property
    def output(self) -> Place | None:
        """The last layer with weights."""
        return self.early.weights[-1] if self.early.weights else None

    def feeding(self, place: Place) -> Place | None:
        """The layer, weights or normalisation, whose output an activation is applied to."""
        before = [p for p in self.early.places if p.order < place.order and p.parameters]
        return before[-1] if before else None

    def hidden(self) -> list[Place]:
        """Places with weights but the last."""
        return self.early.weights[:-1]

    def matrices(self) -> list[str]:
        """The weights of two or more axes that are trained."""
        return [n for n, p in self.patient.model.named_parameters() if p.ndim > 1 and id(p) in self.optimised]

    def gain(self, place: Place) -> float:
        """Root mean square of the weights times √fan_in."""
        parameters = dict(self.patient.model.named_parameters())
        W = next((parameters[n]._array for n in place.parameters if parameters[n].ndim > 1), None)
        if W is None:
            return float("nan")
        return float(np.sqrt(np.mean(np.square(W, dtype=np.float64))) * np.sqrt(fan_in(place, W)))

    def found(self, name: str, severity: str, what: str, key: str | None = None, **details: Any) -> Finding:
        """A finding whose threshold is THRESHOLDS[key]."""
        line = THRESHOLDS[key] if key is not None else None
        return Finding(
            name,
            severity,
            tuple(details.pop("where", ())),
            what,
            details.pop("evidence", {}),
            line.text if line is not None else details.pop("threshold", ""),
            line.source if line is not None else details.pop("source", ""),
            CERTAINTY.get(name, 0.5),
            patient=self.patient,
            **details,
        )


def attribute(name: str) -> str:
    """A parameter or module as one writes it: "model[3].weight" for what is called "3.weight"."""
    return "model" + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in name.split("."))


def scale_rate(patient: Patient, factor: float) -> None:
    """Multiply every learning rate, that of the schedule too."""
    for group in patient.optimizer.param_groups:
        group["lr"] *= factor
    schedule = patient.schedule
    if schedule is None:
        return
    if hasattr(schedule, "step"):
        schedule._initial = [(group, lr * factor) for group, lr in schedule._initial]
    else:
        patient.schedule = lambda t: factor * schedule(t)


def parameter(patient: Patient, name: str) -> Any:
    return dict(patient.model.named_parameters())[name]


def scaled(names: dict[str, float]) -> Callable[[Patient], None]:
    """A prescription that multiplies parameters."""

    def apply(patient: Patient) -> None:
        found = dict(patient.model.named_parameters())
        for name, factor in names.items():
            found[name]._array[...] = found[name]._array * factor
            found[name]._leaf().storage.touch()

    return apply


def spreads(values: list[Place]) -> Floats:
    return np.array([p.spread for p in values])
