"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npgrad.engine.arrays import Array
from npgrad.optim.optimizer import Optimizer, Parameters, at_least_zero, true_or_false

__all__ = ["SGD"]


class SGD(Optimizer):
    """p ← p − lr·d with the direction d made of the gradient g in four optional steps, in this order:

        maximize          g ← −g
        weight_decay λ    g ← g + λ·p
        momentum μ        b ← μ·b + (1 − τ)·g  with dampening τ  (b = g at the first update),  d = b
        nesterov          d = g + μ·b  instead

    The same arithmetic as torch.optim.SGD. Momentum: Polyak 1964. Nesterov momentum: Sutskever et al. 2013, "On the
    importance of initialization and momentum in deep learning", whose velocity contains the learning rate
    (v ← μ·v − lr·g, p ← p + v) where b does not. The two agree while lr is constant. When lr changes, here the whole
    of b is scaled by the new one, there the steps taken so far keep theirs.

    Raises as `Optimizer`; also ValueError if `nesterov` is asked for without momentum or with dampening.
    """

    state_names = {"momentum_buffer": "momentum"}

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
        )

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        for key in ("momentum", "dampening"):
            at_least_zero("SGD", key, group[key])
        for key in ("nesterov", "maximize"):
            true_or_false("SGD", key, group[key])
        if group["nesterov"] and not group["momentum"]:
            raise ValueError("SGD: nesterov changes how momentum is used, and momentum is 0. Set momentum, e.g. 0.9.")
        if group["nesterov"] and group["dampening"]:
            raise ValueError(f"SGD: nesterov is defined without dampening, and dampening is {group['dampening']}.")

    def numbers(self, group: dict[str, Any], t: int) -> dict[str, float]:
        dampening = float(group["dampening"])
        return {
            "lr": float(group["lr"]),
            "momentum": float(group["momentum"]),
            "dampening": dampening,
            "gain": 1 - dampening if t > 1 else 1.0,
            "weight_decay": float(group["weight_decay"]),
            "nesterov": bool(group["nesterov"]),
            "maximize": bool(group["maximize"]),
        }

    def update(self, p: Array, g: Array, state: Mapping[str, Array], n: Mapping[str, float]) -> None:
        if n["maximize"]:
            g = -g
        if n["weight_decay"]:
            g = g + n["weight_decay"] * p
        if n["momentum"]:
            b = state["momentum_buffer"]
            b *= n["momentum"]
            b += n["gain"] * g if n["dampening"] else g
            g = g + n["momentum"] * b if n["nesterov"] else b
        p -= n["lr"] * g
