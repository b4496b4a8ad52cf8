"""Diagnoses of updates: rate, schedule, decay. Each is confirmed by running the steps again otherwise."""

from __future__ import annotations

import math

import numpy as np

from npgrad.diagnose.doctor.exam import Exam, Found, parameter, scale_rate
from npgrad.diagnose.doctor.finding import picture
from npgrad.diagnose.doctor.thresholds import limit
from npgrad.diagnose.doctor.vitals import Patient

__all__ = ["learning_rate", "uneven_updates", "weight_decay", "early_decay"]


def learning_rate(exam: Exam) -> Found:
    course = exam.course
    ratios = [course.ratio(n) for n in exam.matrices()]
    ratios = [r for r in ratios if np.isfinite(r)]
    middle = float(np.median(ratios)) if ratios else float("nan")
    top = max(ratios, default=float("nan"))
    diverged = not np.isfinite(course.settled)
    learnt = exam.learnt
    killed = bool(exam.knocked_out)
    worse = diverged or learnt < limit("learns") * (-1 if not killed else 5)
    swings = float(np.std(np.diff(course.losses[-max(len(course.losses) // 2, 4) :]))) if not diverged else float("inf")
    evidence = {
        "log10 update/weight": middle,
        "loss at the end": course.settled,
        "swings": swings,
        "rate": float(course.rates[0]),
    }
    if worse or killed or top > limit("high ratio"):
        for factor in (0.1, 0.01, 0.001) if worse or killed else (0.1,):
            lower = exam.rate(factor)
            # A rate so low that nothing moves is better than divergence, and no remedy: the loss must fall.
            if exam.better(lower, course, 2) and lower.settled < exam.early.loss - limit("learns") * exam.scale:
                how = (
                    "the loss diverges"
                    if diverged
                    else "the loss rises"
                    if worse
                    else "the loss swings and stays above"
                )
                names = sorted(exam.matrices(), key=lambda n: -np.nan_to_num(course.ratio(n), nan=-99.0))
                yield exam.found(
                    "learning rate too high",
                    "critical" if worse else "serious",
                    f"{how} what a rate {factor:g} times as high reaches in as many steps ({lower.settled:.3g} "
                    "instead of "
                    f"{course.settled:.3g})."
                    if not worse
                    else f"{how}: {course.settled:.3g} at the end, {lower.settled:.3g} with "
                    f"a rate {factor:g} times as high.",
                    "high ratio",
                    where=names[:1] if not worse else (),
                    evidence={**evidence, "with less": lower.settled},
                    remedy=f"optimizer.lr *= {factor:g}",
                    effect=f"a loss of about {lower.settled:.3g} after {len(course.losses)} steps",
                    picture=picture(np.minimum(course.losses, 1e6).tolist()),
                    prescription=lambda patient, factor=factor: scale_rate(patient, factor),
                )
                return
        return
    if np.isfinite(middle) and middle < limit("low ratio"):
        # Towards 10^-2.7, and a factor of ten to either side: layers differ, and few steps may show too little.
        usual = round(-2.7 - middle)
        factor = min((10.0**k for k in (usual - 1, usual, usual + 1) if k > 0), key=exam.reached)
        higher = exam.rate(factor)
        fell = max(exam.early.loss - course.after, 0.0)
        if exam.better(higher, course) and exam.early.loss - higher.after > 3 * fell:
            yield exam.found(
                "learning rate too low",
                "serious",
                f"updates are 10^{middle:.1f} of the weights: {len(course.losses)} steps take the loss from "
                f"{exam.early.loss:.3g} "
                f"to {course.settled:.3g}, and with {factor:g} times the rate to {higher.settled:.3g}.",
                "low ratio",
                evidence={**evidence, "with more": higher.settled},
                remedy=f"optimizer.lr *= {factor:g}",
                effect=f"a loss of about {higher.settled:.3g} after as many steps",
                picture=picture(course.losses.tolist()),
                prescription=lambda patient: scale_rate(patient, factor),
            )


def uneven_updates(exam: Exam) -> Found:
    rates = {id(p): float(group["lr"]) for group in exam.patient.optimizer.param_groups for p in group["params"]}
    known = {n: exam.course.late_ratio(n) for n in exam.matrices()}
    last = exam.output.parameters if exam.output is not None else ()
    known = {n: r for n, r in known.items() if np.isfinite(r)}
    # The last layer may begin with weights of almost 0, and then moves fast for its size.
    fastest = max(known, key=lambda n: known[n], default=None)
    known = {n: r for n, r in known.items() if n != fastest or n not in last}
    own = {n: rates[id(parameter(exam.patient, n))] for n in known}
    if len(known) < 2:
        return
    middle = float(np.median(list(known.values())))
    odd = max(known, key=lambda n: abs(known[n] - middle))
    span = max(known.values()) - min(known.values())
    usual = float(np.median(list(own.values())))
    if len(known) == 2:
        odd = max(known, key=lambda n: abs(math.log(max(own[n], 1e-30) / max(max(own.values()), 1e-30))))
    if span > limit("uneven"):
        apart = len(set(own.values())) > 1

        def even(patient: Patient) -> None:
            for group in patient.optimizer.param_groups:
                group["lr"] = max(own.values()) if len(known) == 2 else usual

        yield exam.found(
            "uneven updates",
            "serious",
            f"{odd} is updated by 10^{known[odd]:.1f} of its size a step, the others by 10^{middle:.1f}"
            + (": its group has another learning rate." if apart else "."),
            "uneven",
            where=(odd, odd.rpartition(".")[0]),
            evidence=dict(list(known.items())[:4]),
            remedy="one learning rate for all groups" if apart else "a normalisation, or Adam",
            effect="all layers learn at the same pace",
            picture=picture([r + 10 for r in known.values()]),
            prescription=even if apart else None,
        )


def weight_decay(exam: Exam) -> Found:
    groups = exam.patient.optimizer.param_groups
    strength = max((float(g.get("weight_decay", 0)) for g in groups), default=0.0)
    if not strength:
        return

    def without(patient: Patient) -> None:
        for group in patient.optimizer.param_groups:
            group["weight_decay"] = 0.0

    free = exam.other(without)
    shrunk = {
        n: exam.course.sizes[n][1] / max(exam.course.sizes[n][0], 1e-30)
        for n in exam.matrices()
        if n in exam.course.sizes
    }
    smallest = min(shrunk, key=lambda n: shrunk[n]) if shrunk else None
    kept = {n: free.sizes[n][1] / max(free.sizes[n][0], 1e-30) for n in shrunk}
    if smallest is None or shrunk[smallest] > 0.8 * kept[smallest] or not exam.better(free, exam.course):
        return
    yield exam.found(
        "weight decay too strong",
        "serious",
        f"weight decay takes {smallest} down to {shrunk[smallest]:.0%} of its size, faster than the "
        "gradient builds it up; "
        f"without it the loss ends at {free.settled:.3g} instead of {exam.course.settled:.3g}.",
        "better",
        where=(),
        evidence={
            "weight decay": strength,
            "size left": shrunk[smallest],
            "loss": exam.course.settled,
            "loss without": free.settled,
        },
        remedy="optimizer.param_groups[0]['weight_decay'] = 0",
        effect=f"a loss of about {free.settled:.3g} after as many steps",
        prescription=without,
    )


def early_decay(exam: Exam) -> Found:
    course = exam.course
    if exam.patient.schedule is None or not np.isfinite(course.settled) or not course.rates[-1] < course.rates[0] / 3:
        return

    def constant(patient: Patient) -> None:
        rate = float(course.rates[0])
        patient.schedule = lambda t: rate

    steady = exam.other(constant)
    if not exam.better(steady, course):
        return
    at = int(np.argmax(course.rates < course.rates[0] / 3))
    yield exam.found(
        "schedule decays too early",
        "serious",
        f"the learning rate is down to a third by step {at}, while the loss was still falling: kept as "
        "it was, it reaches "
        f"{steady.settled:.3g} instead of {course.settled:.3g} in as many steps.",
        "better",
        evidence={"step": at, "loss": course.settled, "loss at a constant rate": steady.settled},
        remedy="decay later: a larger step_size or T_max",
        effect=f"a loss of about {steady.settled:.3g}",
        picture=picture(course.rates.tolist()),
        prescription=constant,
    )
