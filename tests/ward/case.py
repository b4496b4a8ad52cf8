"""What the doctor is given in the ward, and the handles that illnesses need on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npgrad import Tensor, nn, optim
from npgrad.data import Batches

STEPS = 80
BATCH = 32
Array = np.ndarray


@dataclass
class Case:
    """What `doctor.examine` is given."""

    model: nn.Module
    loss: Callable[[Any, Any], Tensor]
    batches: Any
    optimizer: optim.Optimizer
    steps: int = STEPS
    options: dict[str, Any] = field(default_factory=dict)
    layers: dict[str, set[str]] = field(default_factory=dict)
    """For an illness, the layers or parameters that may be named first."""


@dataclass(frozen=True)
class Setup:
    """One bed of the ward."""

    name: str
    illnesses: tuple[str, ...]
    """The findings that are right; empty if healthy."""
    build: Callable[[int], Case]


Illness = Callable[[Case, np.random.Generator], None]
"""Spoils a healthy case, or varies it."""
S, M, A, N, W = "sgd", "momentum", "adam", "nesterov", "adamw"
Sick = list[tuple[str, Illness, list[tuple[str, str]]]]
"""The right finding, the illness, and the (network, optimiser) that have it."""
Pairs = list[tuple[tuple[str, Illness], tuple[str, Illness], str, str]]
Varied = list[tuple[str, Illness, str, str]]
"""What a healthy network has about it, and the (network, optimiser) that have it."""


Data = Callable[[np.random.Generator], tuple[Array, Array]]


@dataclass(frozen=True)
class Part:
    """A part of the ward."""

    networks: Mapping[str, tuple[Data, Callable[[np.random.Generator], nn.Module]]]
    sick: Sick
    pairs: Pairs
    varied: Varied
    optimisers: tuple[str, ...] = (S, M, A)
    """Of the healthy."""
    losses: Mapping[Data, Callable[[Any, Any], Tensor]] = field(default_factory=dict)
    """Where it is not cross-entropy."""


def weighted(case: Case) -> list[tuple[str, Any]]:
    return [(n, m) for n, m in case.model.named_modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d)]


def multiply(module: Any, factor: float) -> None:
    module.weight.data = module.weight.data * np.float32(factor)


def rebatch(case: Case, x: Array, y: Array, size: int | None = None) -> None:
    case.batches = Batches(x, y, size or case.batches.size, case.batches.rng)


def hold_back(case: Case) -> None:
    """The last fifth of the examples becomes validation data."""
    x, y = case.batches.x, case.batches.y
    cut = 4 * len(x) // 5
    rebatch(case, x[:cut], y[:cut])
    case.options["validation"] = (x[cut:], y[cut:])


def train(case: Case, steps: int) -> list[float]:
    """Steps of the usual kind, by the schedule if there is one, and their losses."""
    losses = []
    schedule = case.options.get("schedule")
    for _ in range(steps):
        x, y = next(case.batches)
        loss = case.loss(case.model(x), y)
        case.optimizer.zero_grad()
        loss.backward()
        case.optimizer.step()
        if schedule is not None:
            schedule.step()
        losses.append(loss.item())
    return losses
