"""Diagnoses of layers and their units: saturation, death, symmetry, signals over depth."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from npgrad.diagnose.doctor.exam import Exam, Found, attribute, fan_in, parameter, scale_rate, scaled, spreads
from npgrad.diagnose.doctor.finding import picture
from npgrad.diagnose.doctor.thresholds import limit
from npgrad.diagnose.doctor.vitals import Patient, Place

__all__ = ["saturated_units", "dead_units", "depth", "identical_units"]

GAINS = {
    "Tanh": 5 / 3,
    "Sigmoid": 1.0,
    "Relu": math.sqrt(2),
    "LeakyRelu": math.sqrt(2),
    "Gelu": math.sqrt(2),
    "GeluTanh": math.sqrt(2),
    "Silu": math.sqrt(2),
    "Elu": 1.0,
    "Softplus": 1.0,
}
"""What the weights before each function want: √fan_in times their standard deviation (He et al. 2015)."""


def saturated_units(exam: Exam) -> Found:
    ill = [p for p in exam.early.activations if p.kind in ("Tanh", "Sigmoid") and p.saturated > limit("saturated")]
    if not ill:
        return
    place = ill[0]
    feeding = exam.feeding(place)
    width = feeding.spread if feeding is not None else float("nan")
    names = feeding.parameters if feeding is not None else ()
    target = 1.0 if place.kind == "Tanh" else 2.0
    factor = target / width if width > 0 else 1.0
    alike = {}
    for other in ill:  # every layer with the same fault gets the same treatment
        source = exam.feeding(other)
        if source is not None and source.spread > 0:
            alike.update(dict.fromkeys(source.parameters, target / max(source.spread, target)))
    shares = [p.saturated for p in exam.early.activations]
    offset = float(np.sqrt(np.mean(np.square(feeding.mean)))) if feeding is not None else 0.0
    why = "its inputs' bias" if offset > 2 * width else "the weights before it are too large"
    if feeding is not None and offset > 2 * width:
        alike = {n: 0.0 for n in names if n.endswith("bias")}
    yield exam.found(
        "saturated units",
        "serious",
        f"{place.saturated:.0%} of the outputs of {place.layer or place.kind} are beyond 0.97, where "
        "hardly any gradient "
        f"passes: {why}. {len(ill)} of {len(shares)} layers are like this.",
        "saturated",
        where=(place.layer, *((feeding.layer,) if feeding is not None else ()), *names),
        evidence={
            "saturated": place.saturated,
            "stuck units": int(place.stuck.sum()),
            "pre-activation spread": width,
            "gain": exam.gain(feeding) if feeding is not None else float("nan"),
        },
        remedy=f"{attribute(names[0])}.data *= {factor:.2g}" if names else "smaller weights before it",
        effect=f"pre-activations spread by {target:g}, fewer than 5 % of the outputs saturated",
        picture=picture(shares),
        prescription=scaled(alike) if alike else None,
    )


def dead_units(exam: Exam) -> Found:
    relus = [p for p in exam.early.activations if p.kind == "Relu"]
    ill = [p for p in relus if p.rows >= 64 and p.stuck.mean() > limit("stuck")]
    late = {(p.layer, p.kind): p for p in exam.late.activations} if exam.late is not None else {}
    if ill:
        place = max(ill, key=lambda p: p.stuck.mean())
        place = next(p for p in ill if p.stuck.mean() >= 0.5 * place.stuck.mean())
        feeding = exam.feeding(place)
        names = feeding.parameters if feeding is not None else ()
        yield exam.found(
            "dead units",
            "serious",
            f"{int(place.stuck.sum())} of the {len(place.stuck)} units of {place.layer or place.kind} are 0 "
            "for every example: "
            "no gradient can bring them back.",
            "stuck",
            where=(place.layer, *((feeding.layer,) if feeding is not None else ()), *names),
            evidence={
                "dead": float(place.stuck.mean()),
                "largest input": float(feeding.high.max()) if feeding else 0.0,
            },
            remedy=f"{attribute(names[-1])}.data[:] = 0" if names else "a smaller bias before it",
            effect="about half of the units answer to each example",
            picture=picture([float(p.stuck.mean()) for p in relus]),
            prescription=revive(place, feeding) if feeding is not None else None,
        )
        return
    for place in exam.early.activations:
        after = late.get((place.layer, place.kind))
        if after is None or place.kind not in ("Relu", "Tanh", "Sigmoid") or len(after.stuck) != len(place.stuck):
            continue
        lost = float(after.stuck.mean() - place.stuck.mean())
        if lost > limit("knocked out"):
            yield exam.found(
                "units knocked out",
                "serious",
                f"{lost:.0%} of the units of {place.layer or place.kind} worked before the first step and are "
                "flat for every "
                "example after the last: an update was too large for them.",
                "knocked out",
                where=(place.layer,),
                evidence={"lost": lost, "before": float(place.stuck.mean())},
                remedy="optimizer.lr /= 10",
                effect="units stay alive",
                prescription=lambda patient: scale_rate(patient, 0.1),
            )
            return


def revive(place: Place, feeding: Place) -> Callable[[Patient], None]:
    """A prescription: biases 0, and weights of Kaiming's size where the units are dead."""

    def apply(patient: Patient) -> None:
        rng = np.random.default_rng(0)
        found = dict(patient.model.named_parameters())
        for name in feeding.parameters:
            p = found[name]
            if p.ndim > 1:
                fresh = rng.standard_normal(p.shape) * math.sqrt(2 / fan_in(feeding, p._array))
                p._array[...] = np.where(
                    place.stuck if feeding.kind != "Conv" else place.stuck.reshape(-1, *[1] * (p.ndim - 1)),
                    fresh,
                    p._array,
                )
            elif name.endswith("bias"):
                p._array[...] = 0
            p._leaf().storage.touch()

    return apply


def depth(exam: Exam) -> Found:
    """Signals and gradients over the layers."""
    acts, hidden = exam.early.activations, exam.hidden()
    if len(acts) < 2:
        return
    sizes = spreads(acts)
    slopes = np.array([p.gradient for p in acts])
    normalised = exam.early.normalised
    start = sizes[0] if sizes[0] > 0 else float("nan")
    # What the first layer does to its input counts too: a layer is judged by its own gain.
    wanted = [(p, exam.gain(p) / GAINS.get(act.kind, 1.0)) for p, act in paired(exam)]
    signal = float(sizes[-1] / start)
    gradient = float(slopes[0] / slopes[-1]) if slopes[-1] > 0 and slopes[0] > 0 else float("nan")
    evidence = {"signal, last over first": signal, "gradient, first over last": gradient}
    if normalised and signal > limit("shrink") and signal < limit("grow") and gradient < 1e5:
        return
    # Where half of the layers have weights of the wrong size, it takes less of a change of the signal to say so.
    middle = sorted(g for _, g in wanted)[(len(wanted) - 1) // 2] if wanted and not normalised else 1.0
    weak = middle < limit("weak gain") and signal < 5 * limit("shrink")
    strong = middle > 1 / limit("weak gain") and signal > limit("grow") / 10
    grows = signal > limit("grow") or gradient > 1 / limit("gradient") or not np.all(np.isfinite(sizes)) or strong
    shrinks = not grows and (signal < limit("shrink") or gradient < limit("gradient") or weak)
    if not grows and not shrinks:
        return
    name = "signal grows with depth" if grows else "signal shrinks with depth"
    order = sorted(wanted, key=lambda pair: pair[1], reverse=grows)
    extreme = order[0][1] if order else 1.0
    off = [p for p, g in wanted if abs(math.log(max(g, 1e-9)) - math.log(max(extreme, 1e-9))) < 0.3]
    names = {}
    for p, g in wanted:
        if g > 0 and ((g > 1.15) if grows else (g < 0.87)):
            names.update({n: 1 / g for n in p.parameters if parameter(exam.patient, n).ndim > 1})
    where = [p.layer for p in (off or hidden[:1])]
    evidence["gain over the recommended one"] = extreme
    yield exam.found(
        name,
        "serious",
        f"from the first to the last of {len(acts)} hidden layers the signal changes by a factor of "
        f"{signal:.2g}, and the "
        f"gradient, coming back, by {gradient:.2g}: the weights are {extreme:.2g} times what these activations need.",
        "gradient" if limit("shrink") < signal < limit("grow") else ("grow" if grows else "shrink"),
        where=[*where, *[n for p in off for n in p.parameters]],
        evidence=evidence,
        remedy="nn.init.kaiming_normal_ for " + ", ".join(where[:2]) + ", or a normalisation after each layer",
        effect="signals and gradients of the same size in every layer",
        picture=picture(sizes.tolist()),
        prescription=scaled(names) if names else None,
    )


def paired(exam: Exam) -> list[tuple[Place, Place]]:
    """Each layer with weights, and the activation that comes next."""
    pairs = []
    for p in exam.early.weights:
        after = next((q for q in exam.early.places if q.order > p.order), None)
        act = next((q for q in exam.early.activations if q.order > p.order), None)
        if after is not None and act is not None:
            pairs.append((p, act))
    return pairs


def identical_units(exam: Exam) -> Found:
    late = {(p.layer, p.kind, p.parameters): p for p in (exam.late or exam.early).places}
    last = exam.output
    for place in exam.early.weights:
        after = late.get((place.layer, place.kind, place.parameters))
        if place is last or after is None or len(place.mean) < 2:
            continue
        names = [n for n in place.parameters if parameter(exam.patient, n).ndim > 1]
        share = min(place.twins, after.twins)
        constant = not np.ptp(place.sample, axis=0).any() and not np.ptp(after.sample, axis=0).any()
        if constant and names and not equal_columns(exam, place, names[0]):
            constant = False
        if share > limit("twins") or constant:
            yield exam.found(
                "identical units",
                "critical",
                f"{max(share, float(constant)):.0%} of the units of {place.layer or names[0]} compute the same "
                "as another one, "
                "and still do after training: equal weights get equal gradients.",
                "twins",
                where=(place.layer, *names),
                evidence={"equal before": place.twins, "equal after": after.twins},
                remedy=f"{attribute(names[0])}.data[:] = rng.normal(size=shape) / fan_in**0.5"
                if names
                else "random weights",
                effect="units become different, and the layer uses its width",
                prescription=randomised(exam),
            )
            return


def equal_columns(exam: Exam, place: Place, name: str) -> bool:
    W = parameter(exam.patient, name)._array
    units = W.reshape(len(W), -1) if place.kind == "Conv" else W.T
    return len(np.unique(units, axis=0)) == 1


def randomised(exam: Exam) -> Callable[[Patient], None]:
    """A prescription: random numbers of Kaiming's size wherever all units of a layer have equal weights."""
    places = [(p, n) for p in exam.early.weights for n in p.parameters if parameter(exam.patient, n).ndim > 1]

    def apply(patient: Patient) -> None:
        rng = np.random.default_rng(0)
        for place, name in places:
            p = parameter(patient, name)
            if equal_columns(exam, place, name):
                p._array[...] = rng.standard_normal(p.shape) / math.sqrt(fan_in(place, p._array))
                p._leaf().storage.touch()

    return apply
