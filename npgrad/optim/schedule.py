"""Learning-rate schedules: call `schedule.step()` after every `optimizer.step()`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from npgrad.optim.optimizer import Optimizer

__all__ = ["CosineAnnealingLR", "Schedule", "StepLR"]


class Schedule:
    """Base of the schedules: a subclass defines `rate(initial, t)`, the learning rate after t steps.

    The rate is always computed from the initial one, so a resumed run has the very rates of one never interrupted.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__} schedules an optimiser and got {type(optimizer).__name__}.")
        self.optimizer = optimizer
        self.initial: list[float] = [float(group["lr"]) for group in optimizer.param_groups]
        self.steps = 0
        self._set()

    def rate(self, initial: float, t: int) -> float:
        raise NotImplementedError(f"{type(self).__name__} has no rate method: define rate(self, initial, t).")

    def step(self) -> None:
        """Count one step and set the learning rate of every group."""
        self.steps += 1
        self._set()

    def _set(self) -> None:
        for group, initial in zip(self.optimizer.param_groups, self.initial, strict=True):
            group["lr"] = self.rate(initial, self.steps)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "initial": list(self.initial)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict()` was taken. Raises ValueError if the number of groups differs."""
        if len(state["initial"]) != len(self.initial):
            raise ValueError(
                f"this state is of {len(state['initial'])} parameter groups and the optimiser has {len(self.initial)}."
            )
        self.steps, self.initial = int(state["steps"]), [float(x) for x in state["initial"]]
        self._set()


class StepLR(Schedule):
    """The learning rate times `gamma` every `step_size` steps: initial·gamma^⌊t/step_size⌋.

    The lecture's 0.1, then 0.01 after 100,000 steps: `StepLR(optimizer, 100_000)`.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        if step_size < 1:
            raise ValueError(f"StepLR: step_size must be at least 1, got {step_size}.")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, initial: float, t: int) -> float:
        return float(initial * self.gamma ** (t // self.step_size))


class CosineAnnealingLR(Schedule):
    """Half a cosine from the initial learning rate down to `eta_min` in `T_max` steps, and `eta_min` from then on.

    Source: Loshchilov & Hutter 2017 (arXiv:1608.03983), equation 5. (torch's goes up again after T_max.)
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR: T_max must be at least 1, got {T_max}.")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, initial: float, t: int) -> float:
        t = min(t, self.T_max)
        return self.eta_min + (initial - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2
