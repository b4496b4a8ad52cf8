"""The ward: healthy and sick training set-ups, built by code from (network, optimiser, illness).

A set-up is a recipe: `build(seed)` makes the patient. Each illness meets every architecture that it makes sense for,
alone and in pairs. Thresholds were chosen on the `first` part, and diagnoses repaired with the `second`, the `third`
and the `fourth`; the `held-out` part and those about `capacity` and learning `rates` were committed before the doctor
had been run on any of their set-ups.
"""

from __future__ import annotations

import functools

import numpy as np

from npgrad import functions as F
from npgrad import nn, optim
from npgrad.data import Batches
from tests.ward import capacity, first, fourth, held_out, rates, second, third
from tests.ward.case import BATCH, Case, Illness, Part, Setup

RATES = {"sgd": 0.1, "momentum": 0.02, "adam": 0.003, "nesterov": 0.015, "adamw": 0.002}
PARTS = {
    "first": first.PART,
    "second": second.PART,
    "third": third.PART,
    "fourth": fourth.PART,
    "held-out": held_out.PART,
    "capacity": capacity.PART,
    "rates": rates.PART,
}
LOSSES = {make: loss for part in PARTS.values() for make, loss in part.losses.items()}
NETWORKS = {name: made for part in PARTS.values() for name, made in part.networks.items()}


def optimiser(model: nn.Module, kind: str, lr: float) -> optim.Optimizer:
    if kind in ("adam", "adamw"):
        return (optim.Adam if kind == "adam" else optim.AdamW)(model.parameters(), lr=lr)
    momentum = {"sgd": 0.0, "momentum": 0.9, "nesterov": 0.9}[kind]
    return optim.SGD(model.parameters(), lr=lr, momentum=momentum, nesterov=kind == "nesterov")


def healthy(arch: str, kind: str, seed: int) -> Case:
    rng = np.random.default_rng([seed, sum(map(ord, arch + kind))])
    draw, build = NETWORKS[arch]
    x, y = draw(rng)
    model = build(rng)
    # A squared error is steeper than a cross-entropy: what is healthy for one oscillates for the other.
    lr = RATES[kind] * (0.3 if draw in LOSSES and "adam" not in kind else 1.0)
    return Case(model, LOSSES.get(draw, F.cross_entropy), Batches(x, y, BATCH, rng), optimiser(model, kind, lr))


def spoilt(arch: str, kind: str, illnesses: tuple[Illness, ...], seed: int) -> Case:
    case = healthy(arch, kind, seed)
    for illness in illnesses:
        illness(case, np.random.default_rng(seed + 1000))
    return case


def setups(part: Part) -> list[Setup]:
    """The beds of a part: each illness alone, the pairs, the healthy, and the healthy with something about them."""

    def bed(what: str, ill: tuple[str, ...], arch: str, kind: str, *changes: Illness) -> Setup:
        return Setup(f"{what}, {arch}, {kind}", ill, functools.partial(spoilt, arch, kind, changes))

    return [
        *(bed(dosed(n, f), (n,), arch, kind, f) for n, f, places in part.sick for arch, kind in places),
        *(bed(f"{a} and {b}", (a, b), arch, kind, f, g) for (a, f), (b, g), arch, kind in part.pairs),
        *(bed("healthy", (), arch, kind) for arch in part.networks for kind in part.optimisers),
        *(bed(f"healthy with {name}", (), arch, kind, f) for name, f, arch, kind in part.varied),
    ]


def dosed(name: str, illness: Illness) -> str:
    """An illness with the function that makes it, and its dose."""
    if isinstance(illness, functools.partial):
        return f"{name} ({' '.join([illness.func.__name__, *map(str, illness.keywords.values())])})"
    return f"{name} ({illness.__name__})"
