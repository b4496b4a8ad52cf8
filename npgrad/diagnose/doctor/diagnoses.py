"""The diagnoses: each a function from an examination to what it found of one illness.

They are independent of each other; `CAUSES` says afterwards which finding explains which.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from npgrad.data import Batches
from npgrad.diagnose.doctor import data
from npgrad.diagnose.doctor.exam import Exam, fan_in, parameter, scale_rate, scaled, spreads
from npgrad.diagnose.doctor.finding import Finding, picture
from npgrad.diagnose.doctor.snapshot import examples
from npgrad.diagnose.doctor.thresholds import THRESHOLDS
from npgrad.diagnose.doctor.vitals import Patient, Place
from npgrad.diagnose.watching import Watching
from npgrad.engine.mode import no_grad
from npgrad.engine.tensor import Tensor
from npgrad.nn import BatchNorm1d, BatchNorm2d, Dropout

__all__ = ["CAUSES", "DIAGNOSES"]

GAINS = {"Tanh": 5 / 3, "Sigmoid": 1.0, "Relu": math.sqrt(2), "LeakyRelu": math.sqrt(2), "Gelu": math.sqrt(2),
         "GeluTanh": math.sqrt(2), "Silu": math.sqrt(2), "Elu": 1.0, "Softplus": 1.0}  # fmt: skip
"""What the weights before each function want: √fan_in times their standard deviation (He et al. 2015)."""

Found = Iterator[Finding]


def limit(key: str) -> float:
    return THRESHOLDS[key].value


# -- the loss and what reaches it --------------------------------------------------------------------------------------


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
    logits = np.concatenate([o.reshape(len(o), -1) for o in early.outputs]).astype(np.float64)
    centred = logits - logits.mean(1, keepdims=True) if exam.classes else logits
    spread = float(np.sqrt(np.mean(np.square(centred))))
    last = [p for p in early.places if p.order > output.order and p.kind in ("BatchNorm", "LayerNorm") and p.parameters]
    place = last[-1] if last and last[-1].order == early.places[-1].order else output
    names = [n for n in place.parameters]
    # A logit of 0.1 costs 0.005 nats; a prescription need not be perfect.
    factor = 0.1 / max(spread, 1e-12)
    yield exam.found(
        "overconfident output", "serious",
        f"before training the loss is {early.loss:.3g}, where knowing nothing costs {ignorant:.3g}: outputs are spread "
        f"by {spread:.3g}, and most of that is wrong.",
        key, where=(place.layer or "the output", *names),
        evidence={"first loss": early.loss, "ignorant loss": ignorant, "output spread": spread, "gain": exam.gain(output)},
        remedy=f"model.{names[0]}.data *= {factor:.2g}   # and the bias, if there is one" if names else "",
        effect=f"the loss begins at about {ignorant:.3g}; no steps are spent on making the outputs small",
        picture=picture(exam.course.losses.tolist()), prescription=scaled(dict.fromkeys(names, factor)),
    )  # fmt: skip


def summed_loss(exam: Exam) -> Found:
    """Two halves of a batch: a mean stays, a sum is halved."""
    y, output = exam.early.targets[0], exam.early.outputs[0]
    half = len(output) // 2
    if half < 1 or len(np.atleast_1d(y)) != len(output):
        return
    try:
        with no_grad():
            parts = [float(exam.patient.loss(Tensor(output[k : k + half]), y[k : k + half])._array.mean()) for k in (0, half)]
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
        "summed loss", "serious",
        f"the loss of {n} examples is the sum of theirs, not the mean: it and every gradient grow with the batch, as if "
        f"the learning rate were {n} times as high.",
        where=(), evidence={"whole batch over its halves": ratio, "batch": n}, threshold="1.5; a mean gives 1, a sum 2",
        source="derived", remedy=f"loss = loss / {n}   # or reduction by the mean",
        effect="gradients no longer depend on the size of the batch", prescription=mean,
    )  # fmt: skip


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
        "frozen parameter": ("is not trained: requires_grad is off, or its learning rate is 0", "p.requires_grad = True"),
        "unused parameter": ("plays no part in the forward pass", "call its module in forward, or remove it"),
        "detached parameter": ("is used, but no gradient comes back to it", "remove detach(), numpy() or no_grad() after it"),
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
            kind, "mild" if kind == "unused parameter" else "serious", f"{several} {what}.", where=names,
            evidence={"parameters": len(names), "share of all numbers": share},
            threshold="a gradient of exactly nothing over all minibatches", source="derived", remedy=remedy,
            effect="the parameter moves; if it was meant to stand still, there is nothing to do",
            prescription=cure if kind in ("frozen parameter", "not in the optimiser") else None,
        )  # fmt: skip


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
    triples = [(a, b, c) for a, b, c in zip(first, own, second, strict=True) if a is not None and b is not None and c is not None]
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
        "stale gradients", "critical", "the second step's gradient contains the first one's: gradients are never cleared "
        "and add up.", evidence={"share of the first gradient in the second": part}, threshold="0.5; 0 or 1 are the two cases",
        source="derived", remedy="optimizer.zero_grad()   # before loss.backward()",
        effect="each update follows the gradient of its own minibatch", prescription=cured,
    )  # fmt: skip


# -- units and layers --------------------------------------------------------------------------------------------------


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
        "saturated units", "serious",
        f"{place.saturated:.0%} of the outputs of {place.layer or place.kind} are beyond 0.97, where hardly any gradient "
        f"passes: {why}. {len(ill)} of {len(shares)} layers are so.",
        "saturated", where=(place.layer, *((feeding.layer,) if feeding is not None else ()), *names),
        evidence={"saturated": place.saturated, "stuck units": int(place.stuck.sum()), "pre-activation spread": width,
                  "gain": exam.gain(feeding) if feeding is not None else float("nan")},
        remedy=f"model.{names[0]}.data *= {factor:.2g}" if names else "smaller weights before it",
        effect=f"pre-activations spread by {target:g}, fewer than 5 % of the outputs saturated",
        picture=picture(shares), prescription=scaled(alike) if alike else None,
    )  # fmt: skip


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
            "dead units", "serious",
            f"{int(place.stuck.sum())} of the {len(place.stuck)} units of {place.layer or place.kind} are 0 for every example: "
            "no gradient can bring them back.",
            "stuck", where=(place.layer, *((feeding.layer,) if feeding is not None else ()), *names),
            evidence={"dead": float(place.stuck.mean()), "largest input": float(feeding.high.max()) if feeding else 0.0},
            remedy=f"model.{names[-1]}.data[:] = 0" if names else "a smaller bias before it",
            effect="about half of the units answer to each example", picture=picture([float(p.stuck.mean()) for p in relus]),
            prescription=revive(place, feeding) if feeding is not None else None,
        )  # fmt: skip
        return
    for place in exam.early.activations:
        after = late.get((place.layer, place.kind))
        if after is None or place.kind not in ("Relu", "Tanh", "Sigmoid") or len(after.stuck) != len(place.stuck):
            continue
        lost = float(after.stuck.mean() - place.stuck.mean())
        if lost > limit("knocked out"):
            yield exam.found(
                "units knocked out", "serious",
                f"{lost:.0%} of the units of {place.layer or place.kind} worked before the first step and are flat for every "
                "example after the last: an update was too large for them.",
                "knocked out", where=(place.layer,), evidence={"lost": lost, "before": float(place.stuck.mean())},
                remedy="optimizer.lr /= 10", effect="units stay alive",
                prescription=lambda patient: scale_rate(patient, 0.1),
            )  # fmt: skip
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
                p._array[...] = np.where(place.stuck if feeding.kind != "Conv" else place.stuck.reshape(-1, *[1] * (p.ndim - 1)), fresh, p._array)
            elif name.endswith("bias"):
                p._array[...] = 0
            p._leaf().storage.touch()

    return apply


def depth(exam: Exam) -> Found:
    """Signals and gradients over the layers."""
    acts, hidden = exam.early.activations, exam.hidden()
    if len(acts) < 3:
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
    grows = signal > limit("grow") or gradient > 1 / limit("gradient") or not np.all(np.isfinite(sizes))
    small = sorted(g for _, g in wanted[:-1])[: len(wanted) // 2]
    weak = bool(small) and not normalised and small[-1] < 0.5 and signal < 5 * limit("shrink")
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
        name, "serious",
        f"from the first to the last of {len(acts)} hidden layers the signal changes by a factor of {signal:.2g}, and the "
        f"gradient, coming back, by {gradient:.2g}: the weights are {extreme:.2g} times what these activations want.",
        "gradient" if limit("shrink") < signal < limit("grow") else ("grow" if grows else "shrink"),
        where=[*where, *[n for p in off for n in p.parameters]], evidence=evidence,
        remedy="nn.init.kaiming_normal_ for " + ", ".join(where[:2]) + ", or a normalisation after each layer",
        effect="signals and gradients of the same size in every layer", picture=picture(sizes.tolist()),
        prescription=scaled(names) if names else None,
    )  # fmt: skip


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
                "identical units", "critical",
                f"{max(share, float(constant)):.0%} of the units of {place.layer or names[0]} compute the same as another one, "
                "and still do after training: equal weights get equal gradients.",
                "twins", where=(place.layer, *names), evidence={"equal before": place.twins, "equal after": after.twins},
                remedy=f"model.{names[0]}.data[:] = rng.normal(size=shape) / fan_in**0.5" if names else "random weights",
                effect="units become different, and the layer uses its width",
                prescription=randomised(exam),
            )  # fmt: skip
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


# -- updates -----------------------------------------------------------------------------------------------------------


def learning_rate(exam: Exam) -> Found:
    course = exam.course
    ratios = [course.ratio(n) for n in exam.matrices()]
    ratios = [r for r in ratios if np.isfinite(r)]
    middle = float(np.median(ratios)) if ratios else float("nan")
    top = max(ratios, default=float("nan"))
    diverged = not np.isfinite(course.settled)
    learnt = exam.learnt
    killed = any(late_stuck(exam, p) > p.stuck.mean() + limit("knocked out") for p in exam.early.activations)
    worse = diverged or learnt < limit("learns") * (-1 if not killed else 5)
    swings = float(np.std(np.diff(course.losses[-max(len(course.losses) // 2, 4) :]))) if not diverged else float("inf")
    evidence = {"log10 update/weight": middle, "loss at the end": course.settled, "swings": swings, "rate": float(course.rates[0])}
    if worse or top > limit("high ratio"):
        for factor in (0.1, 0.01, 0.001) if worse or killed else (0.1,):
            lower = exam.rate(factor)
            # A rate so low that nothing moves is better than divergence, and no remedy: the loss must fall.
            if exam.better(lower, course, 2) and lower.settled < exam.early.loss - limit("learns") * exam.scale:
                how = "the loss diverges" if diverged else "the loss rises" if worse else "the loss swings and stays above"
                names = sorted(exam.matrices(), key=lambda n: -np.nan_to_num(course.ratio(n), nan=-99.0))
                yield exam.found(
                    "learning rate too high", "critical" if worse else "serious",
                    f"{how} what a rate {factor:g} times as high reaches in as many steps ({lower.settled:.3g} instead of "
                    f"{course.settled:.3g})." if not worse else f"{how}: {course.settled:.3g} at the end, {lower.settled:.3g} with "
                    f"a rate {factor:g} times as high.",
                    "high ratio", where=names[:1] if not worse else (), evidence={**evidence, "with less": lower.settled},
                    remedy=f"optimizer.lr *= {factor:g}", effect=f"a loss of about {lower.settled:.3g} after {len(course.losses)} steps",
                    picture=picture(np.minimum(course.losses, 1e6).tolist()),
                    prescription=lambda patient, factor=factor: scale_rate(patient, factor),
                )  # fmt: skip
                return
        return
    if np.isfinite(middle) and middle < limit("low ratio"):
        factor = 10.0 ** max(1, round(-2.7 - middle))
        higher = exam.rate(factor)
        fell = max(exam.early.loss - course.after, 0.0)
        if exam.better(higher, course) and exam.early.loss - higher.after > 3 * fell:
            yield exam.found(
                "learning rate too low", "serious",
                f"updates are 10^{middle:.1f} of the weights: {len(course.losses)} steps take the loss from {exam.early.loss:.3g} "
                f"to {course.settled:.3g}, and with {factor:g} times the rate to {higher.settled:.3g}.",
                "low ratio", evidence={**evidence, "with more": higher.settled}, remedy=f"optimizer.lr *= {factor:g}",
                effect=f"a loss of about {higher.settled:.3g} after as many steps",
                picture=picture(course.losses.tolist()), prescription=lambda patient: scale_rate(patient, factor),
            )  # fmt: skip


def late_stuck(exam: Exam, place: Place) -> float:
    """The share of a layer's units that are flat for every example at the end."""
    for p in exam.late.activations if exam.late is not None else []:
        if (p.layer, p.kind) == (place.layer, place.kind):
            return float(p.stuck.mean())
    return 0.0


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
            "uneven updates", "serious",
            f"{odd} is updated by 10^{known[odd]:.1f} of its size a step, the others by 10^{middle:.1f}"
            + (": its group has another learning rate." if apart else "."),
            "uneven", where=(odd, odd.rpartition(".")[0]), evidence={n: r for n, r in list(known.items())[:4]},
            remedy="one learning rate for all groups" if apart else "a normalisation, or Adam",
            effect="all layers learn at the same pace", picture=picture([r + 10 for r in known.values()]),
            prescription=even if apart else None,
        )  # fmt: skip


def weight_decay(exam: Exam) -> Found:
    groups = exam.patient.optimizer.param_groups
    strength = max((float(g.get("weight_decay", 0)) for g in groups), default=0.0)
    if not strength:
        return

    def without(patient: Patient) -> None:
        for group in patient.optimizer.param_groups:
            group["weight_decay"] = 0.0

    free = exam.other(without)
    shrunk = {n: exam.course.sizes[n][1] / max(exam.course.sizes[n][0], 1e-30) for n in exam.matrices() if n in exam.course.sizes}
    smallest = min(shrunk, key=lambda n: shrunk[n]) if shrunk else None
    kept = {n: free.sizes[n][1] / max(free.sizes[n][0], 1e-30) for n in shrunk}
    if smallest is None or shrunk[smallest] > 0.8 * kept[smallest] or not exam.better(free, exam.course):
        return
    yield exam.found(
        "weight decay too strong", "serious",
        f"weight decay takes {smallest} down to {shrunk[smallest]:.0%} of its size, faster than the gradient builds it up; "
        f"without it the loss ends at {free.settled:.3g} instead of {exam.course.settled:.3g}.",
        "better", where=(), evidence={"weight decay": strength, "size left": shrunk[smallest], "loss": exam.course.settled,
        "loss without": free.settled}, remedy="optimizer.param_groups[0]['weight_decay'] = 0",
        effect=f"a loss of about {free.settled:.3g} after as many steps", prescription=without,
    )  # fmt: skip


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
        "schedule decays too early", "serious",
        f"the learning rate is down to a third by step {at}, while the loss was still falling: kept as it was, it reaches "
        f"{steady.settled:.3g} instead of {course.settled:.3g} in as many steps.",
        "better", evidence={"step": at, "loss": course.settled, "loss at a constant rate": steady.settled},
        remedy="decay later: a larger step_size or T_max", effect=f"a loss of about {steady.settled:.3g}",
        picture=picture(course.rates.tolist()), prescription=constant,
    )  # fmt: skip


# -- normalisation -----------------------------------------------------------------------------------------------------


def useless_bias(exam: Exam) -> Found:
    ill = [(p, n) for p in exam.early.places if p.kind == "BatchNorm" for n in p.before]
    feeding = {n: p for p in exam.early.weights for n in p.parameters}
    useless = [n for _, n in ill if n in feeding and feeding[n].cancelled < limit("cancelled") * 10]
    useless = useless or [n for p, n in ill if exam.early.noise.get(n, 1.0) < 1e-3 * max(p.gradient, 1e-30) * p.rows]
    useless = list(dict.fromkeys(n for n in useless if parameter(exam.patient, n).requires_grad))
    if not useless:
        return
    yield exam.found(
        "bias useless before norm", "mild",
        f"batch normalisation subtracts {useless[0]} again, as part of the mean: its gradient is 0, it never learns.",
        "cancelled", where=[*useless, useless[0].rpartition(".")[0]], evidence={"biases": len(useless)},
        remedy="bias=False in the layer before a batch normalisation", effect="the same network with fewer numbers",
    )  # fmt: skip


def norm_modes(exam: Exam) -> Found:
    patient = exam.patient
    frozen = [(n, m) for n, m in patient.model.named_modules()
              if isinstance(m, BatchNorm1d | BatchNorm2d | Dropout) and not m.training and getattr(m, "p", 1) > 0]  # fmt: skip
    seen: list[str] = []
    if patient.step is not None:
        seen = kinds_seen(patient, lambda: patient.step(*next(iter(examples(patient.batches)))))  # type: ignore[misc]
        frozen = [(n, m) for n, m in exam.norms] if "BatchNormInference" in seen else []
    if frozen:
        yield exam.found(
            "training in evaluation mode", "serious",
            f"{frozen[0][0]} is in evaluation mode while it is trained: batch statistics and dropout are switched off.",
            where=[n for n, _ in frozen], evidence={"modules": len(frozen)}, threshold="any", source="derived",
            remedy="model.train()", effect="normalisation by the batch, running statistics that move",
            prescription=(lambda patient: patient.model.train() and None) if patient.step is None else None,
        )  # fmt: skip
    if patient.evaluate is not None:
        kinds = kinds_seen(patient, patient.evaluate)
        noisy = [k for k in kinds if k in ("BatchNorm", "Dropout")]
        if noisy:
            yield exam.found(
                "evaluation in training mode", "serious",
                f"the evaluation runs {noisy[0]} in training mode: what an example gets depends on its company or on chance, "
                "and the running statistics move.",
                where=[n for n, _ in exam.norms], evidence={"calls": len(noisy)}, threshold="any", source="derived",
                remedy="model.eval()   # before evaluating, model.train() after",
                effect="the same answer for the same example",
            )  # fmt: skip


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
        place = min(places, key=lambda p: p.rows)
        yield exam.found(
            "batch too small for norm", "serious",
            f"{place.layer} takes mean and variance of {rows:g} rows: both are off by "
            f"{1 / math.sqrt(2 * max(rows - 1, 0.5)):.0%} from batch to batch.",
            "rows", where=[p.layer for p in places], evidence={"rows": rows}, remedy="batches of 32, or nn.LayerNorm",
            effect="statistics within 13 % of those of the data",
        )  # fmt: skip
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
            for n, module in patient.model.named_modules():
                if n in {k for k, _, _ in noisy}:
                    module.momentum = 0.05  # type: ignore[assignment]

        yield exam.found(
            "running statistics too fast", "mild",
            f"with momentum {m:g} the running means of {name} follow the last few batches: they are {noise:.2g} standard "
            "deviations off at any moment.",
            "running noise", where=[n for n, _, _ in noisy], evidence={"momentum": m, "noise": noise, "rows": rows},
            remedy=f"model.{name}.momentum = 0.05", effect="an evaluation that does not hang on the last batches",
            prescription=slower,
        )  # fmt: skip
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
    if running - exam.early.loss > limit("settled") * exam.scale:
        yield exam.found(
            "running statistics not settled", "serious",
            f"the trained network has a loss of {exam.early.loss:.3g} with the batches' own statistics and {running:.3g} with "
            "the running ones, which are those it is evaluated with.",
            "settled", where=[n for n, _ in exam.norms], evidence={"own": exam.early.loss, "running": running,
            "momentum": float(exam.norms[0][1].momentum)}, remedy="npgrad.diagnose.calibrate(model, x), or a momentum of 0.1",  # type: ignore[arg-type]
            effect=f"an evaluation loss of about {exam.early.loss:.3g}",
        )  # fmt: skip


# -- data --------------------------------------------------------------------------------------------------------------


def columns(exam: Exam) -> Found:
    x = exam.inputs
    if x.ndim != 2 or x.dtype.kind not in "fiu" or x.shape[1] < 2 or len(x) < 32:
        return
    constant = np.flatnonzero(np.ptp(x, axis=0) == 0)
    if len(constant) and len(constant) < x.shape[1]:
        yield exam.found(
            "constant input", "mild", f"input column {constant[0]} has the same value in all of {len(x)} examples: it can tell "
            "nothing.", where=tuple(f"column {k}" for k in constant), evidence={"columns": len(constant)},
            threshold="no variation at all", source="derived", remedy=f"look at how column {constant[0]} is made",
            effect="nothing to learn is lost; something was perhaps meant to be there",
        )  # fmt: skip


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
    odd = [int(k) for k in np.flatnonzero(moving) if std[k] > limit("column") * middle or mean[k] > limit("column") / 2 * std[k]]
    whole = float(np.sqrt(np.mean(rows * rows)))
    if x.ndim > 2:  # pixels: one scale for all of them
        odd = list(range(rows.shape[1])) if whole > limit("column") / 2 else []
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
        "unscaled input", "serious", f"{which} is on another scale: spread {std[odd[0]]:.3g} around {rows[:, odd[0]].mean():.3g}, "
        f"the median column {middle:.3g}.", "column", where=tuple(f"column {k}" for k in odd) if len(odd) < rows.shape[1] else ("input",),
        evidence={"spread": float(std[odd[0]]), "median spread": middle}, remedy="x = (x - x.mean(0)) / x.std(0)",
        effect="one learning rate fits all weights of the first layer", picture=picture(std.tolist()),
        prescription=standardised,
    )  # fmt: skip


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
            "duplicated batches", "serious", f"{share:.0%} of {len(looked)} minibatches are equal to an earlier one: part of the "
            "data is seen again and again, and the rest is not.", "duplicates", evidence={"seen before": share},
            remedy="draw new rows for every batch, from a generator made once", effect="all of the data is used",
        )  # fmt: skip


def targets(exam: Exam) -> Found:
    """Labels that do not belong to the inputs, or are among them."""
    x, y = exam.whole
    if len(x) < 200 or len(x) != len(y):
        return
    x, y = x[:20_000], y[:20_000]
    moved = data.shift(x, y, np.random.default_rng(0))
    if moved:
        yield exam.found(
            "shifted targets", "critical", f"the targets belong to other rows: they are off by {moved:+d}.",
            evidence={"rows": moved}, threshold="best agreement at another offset than 0", source="derived, over offsets −1, 0, 1",
            remedy=f"y = np.roll(y, {moved})   # or repair the window", effect="inputs and targets belong together",
        )  # fmt: skip
        return
    column, share = data.leaking_column(x, y)
    if share >= limit("leak"):
        same = x.reshape(len(x), -1).dtype.kind in "iu" and bool(np.mean(x.reshape(len(x), -1)[:, column] == y) > 0.99)
        yield exam.found(
            "label leak", "critical", f"input column {column} " + ("is the target" if same else "determines the target") +
            f" in {share:.1%} of the examples: the network will learn to copy it.", "leak", where=(f"column {column}",),
            evidence={"agreement": share}, remedy=f"leave column {column} out of x", effect="a loss that means something",
        )  # fmt: skip
        return
    if exam.association < limit("association"):
        course = exam.course
        fell = np.isfinite(course.settled) and course.settled < 0.9 * exam.ignorance and not exam.patient.batches_are_few()
        if not fell:
            yield exam.found(
                "shuffled labels", "critical", "the inputs tell nothing of the targets: nearest neighbours, a linear map and "
                "mutual information all do as well with shuffled ones.", "association",
                evidence={"standard deviations above chance": exam.association, "loss": course.settled, "ignorant loss": exam.ignorance},
                remedy="look at where x and y are put together", effect="a loss below that of ignorance",
            )  # fmt: skip


# -- fit ---------------------------------------------------------------------------------------------------------------


def fit(exam: Exam) -> Found:
    course = exam.course  # measures what is read below
    if exam.patient.validation is None or not np.isfinite(course.settled) or not np.isfinite(exam.validated):
        return
    gap = exam.validated - exam.trained
    if gap > limit("gap") * exam.scale and exam.trained < 0.9 * exam.scale:
        yield exam.found(
            "overfitting", "serious", f"after {len(course.losses)} steps the loss is {exam.trained:.3g} on training and "
            f"{exam.validated:.3g} on validation data: the network learns its {len(exam.whole[0])} examples by heart.",
            "gap", evidence={"training": exam.trained, "validation": exam.validated, "ignorant loss": exam.ignorance},
            remedy="more data, weight decay, dropout, or a smaller network", effect="a smaller gap",
        )  # fmt: skip


DIAGNOSES: list[Callable[[Exam], Found]] = [
    summed_loss, overconfident_output, saturated_units, dead_units, depth, identical_units, gradients_that_never_arrive,
    stale_gradients, useless_bias, norm_modes, batch_norm_statistics, columns, scales, repeated_batches, targets,
    weight_decay, early_decay, learning_rate, uneven_updates, fit,
]  # fmt: skip

_UNITS = {"saturated units", "dead units", "units knocked out"}
_RATE = {"learning rate too high", "units knocked out", "uneven updates"}
CAUSES: list[tuple[str, set[str]]] = [
    ("unscaled input", {"overconfident output", "saturated units", "dead units", "learning rate too low", "signal grows with depth",
                        "signal shrinks with depth", "weight decay too strong"} | _RATE),
    ("summed loss", _RATE | {"overconfident output"}),
    ("stale gradients", _RATE),
    ("identical units", {"signal shrinks with depth", "signal grows with depth", "uneven updates", "learning rate too low",
                         "detached parameter", "learning rate too high"} | _UNITS),
    ("signal grows with depth", {"saturated units", "overconfident output", "dead units", "weight decay too strong"} | _RATE),
    ("saturated units", {"signal grows with depth", "signal shrinks with depth"} | _RATE),
    ("dead units", {"signal shrinks with depth", "uneven updates", "learning rate too low", "units knocked out"}),
    ("signal shrinks with depth", {"uneven updates", "learning rate too low", "learning rate too high", "units knocked out"}),
    ("overconfident output", {"learning rate too high", "uneven updates", "units knocked out", "learning rate too low"}),
    ("weight decay too strong", {"learning rate too low", "uneven updates", "learning rate too high", "units knocked out"}),
    ("learning rate too high", {"units knocked out", "uneven updates"}),
    ("learning rate too low", {"uneven updates"}),
    ("schedule decays too early", {"learning rate too low", "uneven updates"}),
    ("shuffled labels", {"overfitting", "learning rate too low", "learning rate too high"}),
    ("label leak", {"overfitting"}),
    ("shifted targets", {"overfitting", "shuffled labels", "label leak"}),
    ("duplicated batches", {"overfitting", "shuffled labels", "label leak"}),
    ("batch too small for norm", {"learning rate too high", "running statistics too fast", "overfitting", "units knocked out"}),
    ("training in evaluation mode", {"bias useless before norm"}),
]  # fmt: skip
"""(cause, what it explains): of findings present together, the explained ones are told as part of their cause."""
