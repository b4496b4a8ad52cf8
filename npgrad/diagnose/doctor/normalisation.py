"""Diagnoses of batch normalisation and of the modes it is run in."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad.diagnose.doctor.exam import Exam, Found, attribute, parameter
from npgrad.diagnose.doctor.snapshot import examples
from npgrad.diagnose.doctor.thresholds import limit
from npgrad.diagnose.doctor.vitals import Patient
from npgrad.diagnose.watching import Watching
from npgrad.nn import BatchNorm1d, BatchNorm2d, Dropout

__all__ = ["useless_bias", "norm_modes", "batch_norm_statistics"]


def useless_bias(exam: Exam) -> Found:
    ill = [(p, n) for p in exam.early.places if p.kind == "BatchNorm" for n in p.before]
    feeding = {n: p for p in exam.early.weights for n in p.parameters}
    useless = [n for _, n in ill if n in feeding and feeding[n].cancelled < limit("cancelled") * 10]
    useless = useless or [n for p, n in ill if exam.early.noise.get(n, 1.0) < 1e-3 * max(p.gradient, 1e-30) * p.rows]
    useless = list(dict.fromkeys(n for n in useless if parameter(exam.patient, n).requires_grad))
    if not useless:
        return
    yield exam.found(
        "bias useless before norm",
        "mild",
        f"batch normalisation subtracts {useless[0]} again, as part of the mean: its gradient is 0, it never learns.",
        "cancelled",
        where=[*useless, useless[0].rpartition(".")[0]],
        evidence={"biases": len(useless)},
        remedy="bias=False in the layer before a batch normalisation",
        effect="the same network with fewer numbers",
    )


def norm_modes(exam: Exam) -> Found:
    patient = exam.patient
    frozen: list[tuple[str, Any]] = [
        (n, m)
        for n, m in patient.model.named_modules()
        if isinstance(m, BatchNorm1d | BatchNorm2d | Dropout) and not m.training and getattr(m, "p", 1) > 0
    ]
    seen: list[str] = []
    if patient.step is not None:
        seen = kinds_seen(patient, lambda: patient.step(*next(iter(examples(patient.batches)))))  # type: ignore[misc]
        frozen = list(exam.norms) if "BatchNormInference" in seen else []
    if frozen:
        yield exam.found(
            "training in evaluation mode",
            "serious",
            f"{frozen[0][0]} is in evaluation mode while it is trained: batch statistics and dropout are switched off.",
            where=[n for n, _ in frozen],
            evidence={"modules": len(frozen)},
            threshold="any",
            source="derived",
            remedy="model.train()",
            effect="normalisation by the batch, running statistics that move",
            prescription=(lambda patient: patient.model.train() and None) if patient.step is None else None,
        )
    if patient.evaluate is not None:
        kinds = kinds_seen(patient, patient.evaluate)
        noisy = [k for k in kinds if k in ("BatchNorm", "Dropout")]
        if noisy:
            yield exam.found(
                "evaluation in training mode",
                "serious",
                f"the evaluation runs {noisy[0]} in training mode: the output for an example depends on the "
                "others in its batch or on chance, "
                "and the running statistics move.",
                where=[n for n, _ in exam.norms],
                evidence={"calls": len(noisy)},
                threshold="any",
                source="derived",
                remedy="model.eval()   # before evaluating, model.train() after",
                effect="the same answer for the same example",
            )


def kinds_seen(patient: Patient, call: Callable[[], Any]) -> list[str]:
    """The Functions that run in a call, which is undone."""

    class Kinds(Watching):
        def forward_seen(self, node: Any, *rest: Any) -> None:
            kinds.append(type(node).__name__)

    kinds: list[str] = []
    before = patient.snapshot()
    try:
        with Kinds(patient.model).on(), np.errstate(all="ignore"):
            call()
    finally:
        before.restore()
    return kinds


def batch_norm_statistics(exam: Exam) -> Found:
    places = [p for p in exam.early.places if p.kind == "BatchNorm"]
    if not places:
        return
    count = len(exam.early.inputs)
    rows = min(p.rows / count for p in places)
    if rows < limit("rows"):
        least = min(places, key=lambda p: p.rows)
        yield exam.found(
            "batch too small for norm",
            "serious",
            f"{least.layer} takes mean and variance of {rows:g} rows: both are off by "
            f"{1 / math.sqrt(2 * max(rows - 1, 0.5)):.0%} from batch to batch.",
            "rows",
            where=[p.layer for p in places],
            evidence={"rows": rows},
            remedy="batches of 32, or nn.LayerNorm",
            effect="statistics within 13 % of those of the data",
        )
        return
    noisy = []
    for name, module in exam.norms:
        place = next((p for p in places if p.layer == name), None)
        m = float(module.momentum)
        if place is not None and m < 2:
            noise = math.sqrt(m / (2 - m) / (place.rows / count)) if m < 1 else math.sqrt(1 / (place.rows / count))
            if noise > limit("running noise"):
                noisy.append((name, noise, m))
    if noisy:
        name, noise, m = max(noisy, key=lambda item: item[1])

        def slower(patient: Patient) -> None:
            found: dict[str, Any] = dict(patient.model.named_modules())
            for n, _, _ in noisy:
                found[n].momentum = 0.05

        yield exam.found(
            "running statistics too fast",
            "mild",
            f"with momentum {m:g} the running means of {name} follow the last few batches: they are "
            f"{noise:.2g} standard "
            "deviations off at any moment.",
            "running noise",
            where=[n for n, _, _ in noisy],
            evidence={"momentum": m, "noise": noise, "rows": rows},
            remedy=f"{attribute(name)}.momentum = 0.05",
            effect="an evaluation that does not hang on the last batches",
            prescription=slower,
        )
        return
    if not (np.isfinite(exam.ignorance) and exam.early.loss < exam.ignorance - 0.03 * exam.scale):
        return  # running statistics matter once there is something to evaluate
    patient = exam.patient
    before = patient.snapshot()
    try:
        batches = patient.probe_batches()
        running = float(np.mean([patient.evaluated(x, y) for x, y in batches]))
    finally:
        before.restore()
    if running - exam.early.loss > limit("better") * exam.scale:
        yield exam.found(
            "running statistics not settled",
            "serious",
            f"the trained network has a loss of {exam.early.loss:.3g} with the batches' own statistics and "
            f"{running:.3g} with "
            "the running ones, which are those it is evaluated with.",
            "better",
            where=[n for n, _ in exam.norms],
            evidence={"own": exam.early.loss, "running": running, "momentum": float(exam.norms[0][1].momentum)},
            remedy="npgrad.diagnose.calibrate(model, x), or a momentum of 0.1",
            effect=f"an evaluation loss of about {exam.early.loss:.3g}",
        )
