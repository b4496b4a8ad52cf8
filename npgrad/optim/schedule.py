"""Learning-rate schedules: call `schedule.step()` after every `optimizer.step()`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from npgrad.engine.mode import MODE
from npgrad.optim.optimizer import Optimizer, at_least_zero

__all__ = ["CosineAnnealingLR", "Schedule", "StepLR"]


class Schedule:
    """Base of the schedules: a subclass defines `rate(initial, t)`, the learning rate after t steps.

    The rate is always computed from the initial one, so a resumed run has the very rates of one never interrupted. The
    initial rate of a group that is new in `optimizer.param_groups` is the one it has at the next step.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__} schedules an optimiser and got {type(optimizer).__name__}.")
        self.optimizer = optimizer
        self.steps = 0
        self._initial: list[tuple[dict[str, Any], float]] = []
        self._set(0)

    def rate(self, initial: float, t: int) -> float:
        raise NotImplementedError(f"{type(self).__name__} has no rate method: define rate(self, initial, t).")

    @property
    def initial(self) -> list[float]:
        """The initial learning rate of every group."""
        return [initial for _, initial in self._initial]

    def step(self) -> None:
        """Count one step and set the learning rate of every group."""
        recorder = MODE.get().recorder
        if recorder is None:
            self._next()
        else:
            recorder.host(self._next)

    def _next(self) -> None:
        self._set(self.steps + 1)

    def _set(self, t: int) -> None:
        known = {id(group): initial for group, initial in self._initial}
        groups = self.optimizer._groups()
        self._initial = [(group, known.get(id(group), float(group["lr"]))) for group in groups]
        rates = [self.rate(initial, t) for initial in self.initial]
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
        self.steps = t

    def _snapshot(self) -> Callable[[], None]:
        """A function that sets the step count and all learning rates back to what they are now."""
        steps, initial = self.steps, self._initial
        rates = [(group, group["lr"]) for group in self.optimizer.param_groups]

        def restore() -> None:
            self.steps, self._initial = steps, initial
            for group, lr in rates:
                group["lr"] = lr

        return restore

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "initial": self.initial}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict()` was taken.

        Raises ValueError, and changes nothing, if it is not such a state or the number of groups differs.
        """
        groups = self.optimizer._groups()
        try:
            steps, initial = state["steps"], list(state["initial"])
        except (KeyError, TypeError):
            raise ValueError("this is not the state_dict() of a schedule, which has 'steps' and 'initial'.") from None
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
            raise ValueError(f"the steps of a schedule are a whole number of at least 0; this state has {steps!r}.")
        if len(initial) != len(groups):
            raise ValueError(f"this state is of {len(initial)} parameter groups and the optimiser has {len(groups)}.")
        for lr in initial:
            at_least_zero("this state of a schedule", "initial", lr)
        self._initial = [(group, float(lr)) for group, lr in zip(groups, initial, strict=True)]
        self._set(steps)


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
