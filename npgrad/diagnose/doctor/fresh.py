"""Fresh weights: what share of a layer's units would be flat for every example if its weights were drawn again.

In a deep ReLU network over few inputs the activations of all examples become nearly collinear, so that a unit drawn at
random is off for nearly all of them or for nearly none (Lu et al. 2019, arXiv:1903.06733). No fixed share of dead units
is too many, then. What this layer would have with other weights of the usual kind, over the same inputs, is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from npgrad.diagnose.doctor.thresholds import limit
from npgrad.diagnose.doctor.vitals import SATURATED, Patient, Place, Vitals
from npgrad.engine.arrays import Array
from npgrad.engine.mode import no_grad

__all__ = ["GAINS", "FlatUnits", "fan_in", "flat_units", "layers_before", "redraw", "tail"]

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
DRAWS = 8


@dataclass(frozen=True, eq=False)
class FlatUnits:
    """Units of one activation that are flat for every example, beside what fresh weights would give."""

    place: Place
    fresh: float
    """The share that is flat with freshly drawn weights, over `DRAWS` draws."""
    chance: float
    """How likely a draw has as many as this layer has: Fisher's exact test, corrected for the number of layers."""

    @property
    def share(self) -> float:
        return float(self.place.flat.mean())

    @property
    def excess(self) -> float:
        """The share flat of those that fresh weights would leave alive: s if a share s of them was switched off."""
        return (self.share - self.fresh) / (1 - self.fresh) if self.fresh < 1 else 0.0

    @property
    def ill(self) -> bool:
        return self.excess > limit("stuck") and self.chance < limit("chance")


def flat_units(patient: Patient, vitals: Vitals) -> list[FlatUnits]:
    """Every layer with so many flat units that fresh weights are worth trying, in its present state."""
    places = [p for p in vitals.activations if p.kind in SATURATED and p.rows >= 64]
    found = []
    for place in places:
        layers = layers_before(vitals, place)
        if not place.flat.mean() > limit("stuck") or not any(p.parameters for p in layers):
            continue
        dead = redrawn(patient, layers, place)
        n, d = len(place.flat), int(place.flat.sum())
        found.append(FlatUnits(place, dead / (DRAWS * n), min(1.0, len(places) * tail(d, n, dead, DRAWS * n))))
    return found


def layers_before(vitals: Vitals, place: Place) -> list[Place]:
    """The layers between the activation before this one and this one: weights, and a normalisation if there is one."""
    start = max((p.order for p in vitals.activations if p.order < place.order), default=-1)
    return [p for p in vitals.places if start < p.order < place.order and p.kind != "Embedding"]


def redrawn(patient: Patient, layers: list[Place], place: Place) -> int:
    """How many units of this activation are flat in `DRAWS` draws of the weights before it, inputs as they are."""
    count = 0
    before = patient.snapshot()
    try:
        for draw in range(DRAWS):
            redraw(patient, layers, GAINS[place.kind], np.random.default_rng([draw, place.order]))
            with no_grad():
                seen = patient.vitals().activations
            count += sum(int(p.flat.sum()) for p in seen if (p.layer, p.order) == (place.layer, place.order))
    finally:
        before.restore()
    return count


def redraw(
    patient: Patient, layers: Iterable[Place], gain: float, rng: np.random.Generator, only: Array | None = None
) -> None:
    """Give layers weights by Kaiming's rule, biases of 0, factors of 1; with `only`, a mask of units, those alone."""
    parameters = dict(patient.model.named_parameters())
    for layer in layers:
        for name in layer.parameters:
            p = parameters[name]
            a = p._array
            if a.ndim > 1:
                drawn = gain / math.sqrt(fan_in(layer, a)) * rng.standard_normal(a.shape)
            else:
                drawn = np.zeros(a.shape) if name.endswith("bias") else np.ones(a.shape)
            units = a if layer.kind == "Conv" else np.moveaxis(a, -1, 0)
            chosen = slice(None) if only is None or len(only) != len(units) else only
            units[chosen] = (drawn if layer.kind == "Conv" else np.moveaxis(drawn, -1, 0))[chosen]
            p._leaf().storage.touch()


def fan_in(place: Place, W: Array) -> int:
    """How many numbers each unit adds up: rows of a matrix (in, out), all but the first axis of a kernel."""
    return int(np.prod(W.shape[1:])) if place.kind == "Conv" else W.shape[0]


def tail(d: int, n: int, dead: int, drawn: int) -> float:
    """Fisher's exact test: the probability that d or more of n units are dead if `dead` of `drawn` others are.

    Given how many are dead in all, every choice of which they are is equally likely (hypergeometric distribution).
    """
    both = dead + d
    ways = sum(math.comb(n, k) * math.comb(drawn, both - k) for k in range(d, min(n, both) + 1))
    return ways / math.comb(n + drawn, both)
