"""Diagnoses of layers and their units: saturation, death, symmetry, signals over depth."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from npgrad.diagnose.doctor.capacity import anew, as_it_is, trained_on
from npgrad.diagnose.doctor.exam import Exam, Found, attribute, parameter, scale_rate, scaled, spreads
from npgrad.diagnose.doctor.finding import picture
from npgrad.diagnose.doctor.fresh import GAINS, fan_in, layers_before, redraw
from npgrad.diagnose.doctor.thresholds import limit
from npgrad.diagnose.doctor.vitals import Patient, Place

__all__ = ["saturated_units", "dead_units", "depth", "identical_units"]


def saturated_units(exam: Exam) -> Found:
    ill = [p for p in exam.early.activations if p.kind in ("Tanh", "Sigmoid") and p.saturated > limit("saturated")]
    if not ill:
        return
    # Few units that have learnt something may well be on or off: they are ill if fresh ones come further.
    if exam.trained_already() and not exam.better(trained_on(exam, anew(exam)), trained_on(exam, as_it_is)):
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
    shares = [float(p.flat.mean()) for p in exam.early.activations if p.kind == "Relu"]
    ill = [f for f in exam.flat if f.place.kind == "Relu" and f.ill]
    if ill:
        worst = max(f.excess for f in ill)
        flat = next(f for f in ill if f.excess >= 0.5 * worst)
        place, n = flat.place, len(flat.place.flat)
        layers = layers_before(exam.early, place)
        names = [n for p in layers for n in p.parameters]
        largest = {n: float(np.abs(parameter(exam.patient, n)._array).max()) for n in names if n.endswith("bias")}
        bias = max(largest, key=lambda n: largest[n], default="")
        yield exam.found(
            "dead units",
            "serious",
            f"{int(place.flat.sum())} of the {n} units of {place.layer or place.kind} are 0 for every example, so "
            f"that no gradient can bring them back; with weights drawn afresh {flat.fresh * n:.0f} would be.",
            "stuck",
            where=(place.layer, *[p.layer for p in layers if p.layer], *names),
            evidence={"dead": flat.share, "dead with fresh weights": flat.fresh, "chance": flat.chance},
            remedy=f"{attribute(bias)}.data[:] = 0" if largest.get(bias) else "weights by Kaiming's rule before it",
            effect="no more dead units than fresh weights give",
            picture=picture(shares),
            prescription=lambda patient: redraw(
                patient, layers, GAINS["Relu"], np.random.default_rng(0), only=place.flat
            ),
        )
        return
    for flat, lost in exam.knocked_out[:1]:
        place = flat.place
        yield exam.found(
            "units knocked out",
            "serious",
            f"{lost:.0%} of the units of {place.layer or place.kind} worked before the first step and are flat for "
            f"every example after the last; with weights drawn afresh {flat.fresh:.0%} would be: an update was too "
            "large for them.",
            "stuck",
            where=(place.layer,),
            evidence={"lost": lost, "flat": flat.share, "flat with fresh weights": flat.fresh, "chance": flat.chance},
            remedy="optimizer.lr /= 10",
            effect="units stay alive",
            prescription=lambda patient: scale_rate(patient, 0.1),
        )


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
