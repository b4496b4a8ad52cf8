"""Diagnoses of the loss and of the gradients that come from it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from npgrad.diagnose.doctor.exam import Exam, Found, attribute, parameter, scaled
from npgrad.diagnose.doctor.finding import picture
from npgrad.diagnose.doctor.snapshot import examples
from npgrad.diagnose.doctor.thresholds import limit
from npgrad.diagnose.doctor.vitals import Patient, Place
from npgrad.engine.mode import no_grad
from npgrad.engine.tensor import Tensor

__all__ = ["overconfident_output", "summed_loss", "gradients_that_never_arrive", "stale_gradients"]


def overconfident_output(exam: Exam) -> Found:
    output, early = exam.output, exam.early
    if output is None or not np.isfinite(exam.ignorance):
        return
    if exam.classes:
        ignorant = max(exam.ignorance, math.log(early.outputs[0].shape[1]))
        ill = not early.loss <= ignorant + limit("excess")
        key = "excess"
    else:
        ignorant = exam.ignorance
        ill = bool(ignorant > 0 and not early.loss <= limit("regression excess") * ignorant)
        key = "regression excess"
    if not ill:
        return
    logits = np.concatenate([o.reshape(len(o) if o.ndim else 1, -1) for o in early.outputs]).astype(np.float64)
    centred = logits - logits.mean(1, keepdims=True) if exam.classes else logits
    spread = float(np.sqrt(np.mean(np.square(centred))))
    last = [p for p in early.places if p.order > output.order and p.kind in ("BatchNorm", "LayerNorm") and p.parameters]
    place = last[-1] if last and last[-1].order == early.places[-1].order else output
    names = list(place.parameters)
    # A logit of 0.1 costs 0.005 nats; a prescription need not be perfect.
    factor = 0.1 / max(spread, 1e-12)
    yield exam.found(
        "overconfident output",
        "serious",
        f"before training the loss is {early.loss:.3g}, where knowing nothing gives {ignorant:.3g}: the outputs "
        f"have a spread of {spread:.3g}, which is mostly error.",
        key,
        where=(place.layer or "the output", *names),
        evidence={
            "first loss": early.loss,
            "ignorant loss": ignorant,
            "output spread": spread,
            "gain": exam.gain(output),
        },
        remedy=f"{attribute(names[0])}.data *= {factor:.2g}   # and the bias, if there is one" if names else "",
        effect=f"the loss begins at about {ignorant:.3g}; no steps are spent on making the outputs small",
        picture=picture(exam.course.losses.tolist()),
        prescription=scaled(dict.fromkeys(names, factor)),
    )


def summed_loss(exam: Exam) -> Found:
    """Two halves of a batch: a mean stays, a sum is halved."""
    y, output = exam.early.targets[0], exam.early.outputs[0]
    half = len(output) // 2 if output.ndim else 0
    if half < 1 or len(np.atleast_1d(y)) != len(output):
        return
    try:
        with no_grad():
            parts = [
                float(exam.patient.loss(Tensor(output[k : k + half]), y[k : k + half])._array.mean()) for k in (0, half)
            ]
            both = float(exam.patient.loss(Tensor(output[: 2 * half]), y[: 2 * half])._array.mean())
    except Exception:  # a loss that wants its batches whole
        return
    if both == 0 or not np.isfinite(both):
        return
    ratio = both / (sum(parts) / 2)
    if not ratio > 1.5:
        return
    n = len(output)
    inner = exam.patient.loss

    def mean(patient: Patient) -> None:
        patient.loss = lambda o, t: inner(o, t) * (1 / len(o._array))

    yield exam.found(
        "summed loss",
        "serious",
        f"the loss of {n} examples is the sum of theirs, not the mean: it and every gradient grow with "
        "the batch, as if "
        f"the learning rate were {n} times as high.",
        where=(),
        evidence={"whole batch over its halves": ratio, "batch": n},
        threshold="1.5; a mean gives 1, a sum 2",
        source="derived",
        remedy=f"loss = loss / {n}   # or reduction by the mean",
        effect="gradients no longer depend on the size of the batch",
        prescription=mean,
    )


def gradients_that_never_arrive(exam: Exam) -> Found:
    patient, early = exam.patient, exam.early
    cases: dict[str, list[str]] = {}
    rates = {id(p): group["lr"] for group in patient.optimizer.param_groups for p in group["params"]}
    for name, p in patient.model.named_parameters():
        if not p.requires_grad:
            cases.setdefault("frozen parameter", []).append(name)
        elif name not in early.used:
            cases.setdefault("unused parameter", []).append(name)
        elif early.gradient[name] is None:
            cases.setdefault("detached parameter", []).append(name)
        elif id(p) not in exam.optimised:
            cases.setdefault("not in the optimiser", []).append(name)
        elif rates[id(p)] == 0 and patient.schedule is None:
            cases.setdefault("frozen parameter", []).append(name)
        elif not np.any(early.gradient[name]) and exam.late is not None and exam.late.gradient[name] is not None:
            silent = not np.any(exam.late.gradient[name]) and early.noise[name] == 0 == exam.late.noise[name]
            dead = {n for place in early.activations if place.stuck.all() for n in before_it(exam, place)}
            if silent and name not in dead:
                cases.setdefault("detached parameter", []).append(name)
    said = {
        "frozen parameter": (
            "is not trained: requires_grad is off, or its learning rate is 0",
            "p.requires_grad = True",
        ),
        "unused parameter": ("plays no part in the forward pass", "call its module in forward, or remove it"),
        "detached parameter": (
            "is used, but no gradient comes back to it",
            "remove detach(), numpy() or no_grad() after it",
        ),
        "not in the optimiser": ("gets gradients that nobody uses", "optimizer.add_param_group({'params': [p]})"),
    }
    total = sum(p.size for p in patient.model.parameters())
    for kind, names in cases.items():
        share = sum(parameter(patient, n).size for n in names) / total
        what, remedy = said[kind]
        several = f"{names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")

        def cure(patient: Patient, kind: str = kind, names: list[str] = names) -> None:
            for n in names:
                p = parameter(patient, n)
                p.requires_grad = True
                if id(p) not in {id(q) for group in patient.optimizer.param_groups for q in group["params"]}:
                    patient.optimizer.param_groups[0]["params"].append(p)

        yield exam.found(
            kind,
            "mild" if kind == "unused parameter" else "serious",
            f"{several} {what}.",
            where=names,
            evidence={"parameters": len(names), "share of all numbers": share},
            threshold="a gradient of exactly nothing over all minibatches",
            source="derived",
            remedy=remedy,
            effect="the parameter moves; if it was meant to stand still, there is nothing to do",
            prescription=cure if kind in ("frozen parameter", "not in the optimiser") else None,
        )


def before_it(exam: Exam, place: Place) -> list[str]:
    return [n for p in exam.early.places if p.order < place.order for n in p.parameters]


def stale_gradients(exam: Exam) -> Found:
    """Two of the user's own steps: is the second one's gradient its own, or are both in it?"""
    patient = exam.patient
    if patient.step is None:
        return
    before = patient.snapshot()
    (x0, y0), (x1, y1) = itertools.islice(examples(patient.batches), 2)
    parameters = [p for p in patient.model.parameters() if id(p) in exam.optimised and p.requires_grad]
    try:
        for p in parameters:
            p.grad = None
        patient.step(x0, y0)
        first = [None if p.grad is None else p.grad.astype(np.float64) for p in parameters]
        inner = patient.snapshot()
        for p in parameters:
            p.grad = None
        patient.loss(patient.model(x1), y1).backward()
        own = [None if p.grad is None else p.grad.astype(np.float64) for p in parameters]
        inner.restore()
        patient.step(x1, y1)
        second = [None if p.grad is None else p.grad.astype(np.float64) for p in parameters]
    finally:
        before.restore()
    triples = [
        (a, b, c)
        for a, b, c in zip(first, own, second, strict=True)
        if a is not None and b is not None and c is not None
    ]
    norm = sum(float((a * a).sum()) for a, _, _ in triples)
    if not triples or norm == 0:
        return
    part = sum(float(((c - b) * a).sum()) for a, b, c in triples) / norm
    if not part > 0.5:
        return
    step, optimizer = patient.step, patient.optimizer

    def cured(patient: Patient) -> None:
        def cleared(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            return step(x, y)

        patient.step = cleared

    yield exam.found(
        "stale gradients",
        "critical",
        "the second step's gradient contains the first one's: gradients are never cleared and add up.",
        evidence={"share of the first gradient in the second": part},
        threshold="0.5; 0 or 1 are the two cases",
        source="derived",
        remedy="optimizer.zero_grad()   # before loss.backward()",
        effect="each update follows the gradient of its own minibatch",
        prescription=cured,
    )
