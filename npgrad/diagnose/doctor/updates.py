"""Diagnoses of updates: rate, schedule, decay. Each is confirmed by running the steps again otherwise."""

from __future__ import annotations

import math

import numpy as np

from npgrad.diagnose.doctor.exam import Exam, Floats, Found, parameter, scale_rate
from npgrad.diagnose.doctor.finding import picture
from npgrad.diagnose.doctor.thresholds import limit
from npgrad.diagnose.doctor.vitals import Course, Patient

__all__ = ["learning_rate", "uneven_updates", "weight_decay", "early_decay"]

PATIENCE = 4
"""How many times as long a network is given at its own rate as at a higher one."""


def learning_rate(exam: Exam) -> Found:
    course = exam.course
    ratios = [course.ratio(n) for n in exam.matrices()]
    ratios = [r for r in ratios if np.isfinite(r)]
    middle = float(np.median(ratios)) if ratios else float("nan")
    top = max(ratios, default=float("nan"))
    diverged = not np.isfinite(course.settled)
    stuck = exam.learnt < limit("learns")
    swings = float(np.std(np.diff(course.losses[-max(len(course.losses) // 2, 4) :]))) if not diverged else float("inf")
    evidence = {
        "log10 update/weight": middle,
        "loss at the end": course.settled,
        "swings": swings,
        "rate": float(course.rates[0]),
    }
    if stuck or exam.knocked_out or top > limit("high ratio"):
        # A network that is stuck may be so at a tenth of the rate too, or diverge.
        factor = lower_rate(exam, all_of_them=stuck)
        lower = exam.rate(factor)
        # A rate so low that nothing moves is better than divergence, and no remedy: the loss must fall.
        falls = lower.settled < exam.early.loss - limit("learns") * exam.scale
        # Any rate ends a little lower when it is lowered, so that it takes twice what counts elsewhere; but not where
        # units were lost, which is beyond chance by a test of its own.
        killed = bool(exam.knocked_out)
        if falls and exam.better(lower, course, 1 if killed else 2, sure=killed) and enough(exam, lower):
            how = "diverges" if diverged else "does not fall" if stuck else "falls less than it could"
            names = sorted(exam.matrices(), key=lambda n: -np.nan_to_num(course.ratio(n), nan=-99.0))
            yield exam.found(
                "learning rate too high",
                "critical" if stuck else "serious",
                f"the loss {how}: {course.settled:.3g} at the end, and {lower.settled:.3g} after as many steps with "
                f"{factor:g} times the rate.",
                "high ratio",
                where=() if stuck else names[:1],
                evidence={**evidence, "with less": lower.settled},
                remedy=f"optimizer.lr *= {factor:g}",
                effect=f"a loss of about {lower.settled:.3g} after {len(course.losses)} steps",
                picture=picture(np.minimum(course.losses, 1e6).tolist()),
                prescription=lambda patient: scale_rate(patient, factor),
            )
            return
    # Where the groups' rates are far apart, it is first of all that which is to be mended.
    if np.isfinite(middle) and middle < limit("low ratio") and rates_apart(exam) <= limit("uneven"):
        # Towards 10^-2.7, and a factor of ten to either side: layers differ, and few steps may show too little.
        usual = round(-2.7 - middle)
        factor = min((10.0**k for k in (usual - 1, usual, usual + 1) if k > 0), key=exam.reached)
        higher = exam.rate(factor)
        fell = max(exam.early.loss - course.after, 0.0)
        if exam.better(higher, course) and exam.early.loss - higher.after > 3 * fell and slow(exam, factor):
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


def lower_rate(exam: Exam, all_of_them: bool) -> float:
    """What ends lowest of the rate and a tenth, a hundredth and a thousandth of it, tried for as long as it gains."""
    best, end = 1.0, exam.course.settled
    for factor in (0.1, 0.01, 0.001):
        found = exam.rate(factor).settled
        if found < end or not np.isfinite(end):
            best, end = factor, found
        elif not all_of_them:
            break
    return best


def enough(exam: Exam, other: Course) -> bool:
    """Whether a lower rate gains so much that it is no matter of the stage of training.

    A lower rate takes a trained network further down: of such a network it has to halve the loss.
    """
    trained = exam.early.loss < (1 - limit("trained")) * exam.ignorance
    return not trained or not other.settled > limit("half") * exam.course.settled


def slow(exam: Exam, factor: float) -> bool:
    """Whether the rate times `factor` gains what the network does not gain by itself in `PATIENCE` times the steps.

    A rate that was annealed is low, and at its end a higher one gains nothing; one that is low too early keeps from
    the network what it could still learn. On validation data if there are any: to memorise faster is no gain.
    """
    held: list[Floats] = []
    look = None if exam.patient.validation is None else lambda: held.append(exam.pieces()[1])
    longer = exam.patient.train(PATIENCE * exam.patient.steps, look=look)
    gain, itself = (exam.course.after - end for end in (exam.reached(factor), longer.after))
    if look is not None:
        exam.patient.train(exam.patient.steps, lambda patient: scale_rate(patient, factor), look)
        waiting, gap = (exam.validation - end for end in held)
        gain, itself = float(gap.mean()), float(waiting.mean())
        if not gain > max(limit("better") * exam.scale, limit("errors") * float(gap.std()) / len(gap) ** 0.5):
            return False
    return itself <= limit("half") * gain


def uneven_updates(exam: Exam) -> Found:
    rates = {id(p): float(group["lr"]) for group in exam.patient.optimizer.param_groups for p in group["params"]}
    ratios = {n: exam.course.late_ratio(n) for n in exam.matrices()}
    ratios = {n: r for n, r in ratios.items() if np.isfinite(r)}
    if len(ratios) < 2:
        return
    last = exam.output.parameters if exam.output is not None else ()
    # The last layer may begin with weights of almost 0, and then moves fast for its size.
    fastest = max(ratios, key=lambda n: ratios[n])
    known = {n: r for n, r in ratios.items() if n != fastest or n not in last}
    middle = float(np.median(list(known.values())))
    odd = max(known, key=lambda n: abs(known[n] - middle))
    slowest = min(known, key=lambda n: rates[id(parameter(exam.patient, n))])
    apart = rates_apart(exam)
    if apart and len(known) == 2:
        odd = slowest
    if len(known) < 2 or max(known.values()) - min(known.values()) <= limit("uneven"):
        # What a layer that hardly moves sends back may slow the others down with it.
        if not apart > limit("uneven") or not exam.better(exam.other(even), exam.course):
            return
        odd = slowest
    others = float(np.median([r for n, r in ratios.items() if n != odd]))
    yield exam.found(
        "uneven updates",
        "serious",
        f"{odd} is updated by 10^{ratios[odd]:.1f} of its size a step, the others by 10^{others:.1f}"
        + (": its group has another learning rate." if apart else "."),
        "uneven",
        where=(odd, odd.rpartition(".")[0]),
        evidence=dict(list(ratios.items())[:4]),
        remedy="one learning rate for all groups" if apart else "a normalisation, or Adam",
        effect="all layers learn at the same pace",
        picture=picture([r + 10 for r in ratios.values()]),
        prescription=even if apart else None,
    )


def even(patient: Patient) -> None:
    """One learning rate for all groups, that of most parameters."""
    groups = patient.optimizer.param_groups
    rate = float(np.median([group["lr"] for group in groups for _ in group["params"]]))
    for group in groups:
        group["lr"] = rate


def rates_apart(exam: Exam) -> float:
    """How many powers of ten lie between the groups' learning rates."""
    rates = [float(group["lr"]) for group in exam.patient.optimizer.param_groups if group["lr"] > 0]
    return math.log10(max(rates) / min(rates)) if rates else 0.0


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
