"""RMSprop; Adagrad, from whose ever smaller steps it came; Adadelta, which needs no rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.optim.optimizer import Optimizer, Parameters, at_least_zero, true_or_false

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


class Adagrad(Optimizer):
    """Duchi, Hazan & Singer 2011: steps divided by the root of the sum of all squared gradients so far.

        s ← s + g²
        p ← p − lr/(1 + (t − 1)·lr_decay)·g/(√s + eps)    at the t-th update of p

    s starts at 0. `weight_decay` λ adds λ·p to g, and `maximize` starts with g ← −g, as in torch.optim.Adagrad.

    Raises as `Optimizer`.
    """

    state_names = {"sum": None}

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps, maximize=maximize)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        at_least_zero("Adagrad", "lr_decay", group["lr_decay"])
        true_or_false("Adagrad", "maximize", group["maximize"])

    def numbers(self, group: dict[str, Any], t: int) -> dict[str, float]:
        return {
            "rate": float(group["lr"]) / (1 + (t - 1) * float(group["lr_decay"])),
            "weight_decay": float(group["weight_decay"]),
            "eps": float(group["eps"]),
            "maximize": bool(group["maximize"]),
        }

    def update(self, p: Array, g: Array, state: Mapping[str, Array], n: Mapping[str, float]) -> None:
        g = decayed(p, g, n)
        s = state["sum"]
        s += g * g
        p -= n["rate"] * g / (np.sqrt(s) + n["eps"])


class RMSprop(Optimizer):
    """Tieleman & Hinton 2012 ("Neural networks for machine learning", lecture 6e): a running mean in place of the sum.

        v ← α·v + (1 − α)·g²
        d = g/(√v + eps)                        centered: g/(√(v − m²) + eps) with m ← α·m + (1 − α)·g
        p ← p − lr·d                            momentum μ: b ← μ·b + d, p ← p − lr·b

    v, m and b start at 0. `weight_decay` λ adds λ·p to g, and `maximize` starts with g ← −g, as in torch.optim.RMSprop.

    Raises as `Optimizer`; also ValueError if alpha is not in [0, 1).
    """

    state_names = {"square_avg": None, "momentum_buffer": "momentum", "grad_avg": "centered"}

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        options = {"weight_decay": weight_decay, "momentum": momentum, "centered": centered, "maximize": maximize}
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, **options)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        for key in ("alpha", "momentum"):
            at_least_zero("RMSprop", key, group[key])
        if group["alpha"] >= 1:
            raise ValueError(f"RMSprop: alpha must be in [0, 1), got {group['alpha']}.")
        for key in ("centered", "maximize"):
            true_or_false("RMSprop", key, group[key])

    def numbers(self, group: dict[str, Any], t: int) -> dict[str, float]:
        floats = {key: float(group[key]) for key in ("lr", "alpha", "eps", "weight_decay", "momentum")}
        flags = {key: bool(group[key]) for key in ("centered", "maximize")}
        return {**floats, **flags, "one_minus_alpha": 1 - floats["alpha"]}

    def update(self, p: Array, g: Array, state: Mapping[str, Array], n: Mapping[str, float]) -> None:
        g = decayed(p, g, n)
        v = state["square_avg"]
        v *= n["alpha"]
        v += n["one_minus_alpha"] * g * g
        if n["centered"]:
            m = state["grad_avg"]
            m += n["one_minus_alpha"] * (g - m)
            v = np.maximum(v - m * m, 0)  # the difference of two equals may be rounded to below 0
        d = g / (np.sqrt(v) + n["eps"])
        if n["momentum"]:
            b = state["momentum_buffer"]
            b *= n["momentum"]
            b += d
            d = b
        p -= n["lr"] * d


class Adadelta(Optimizer):
    """Zeiler 2012 (arXiv:1212.5701), algorithm 1: steps as large as the last ones were, so that lr can be 1.

        v ← ρ·v + (1 − ρ)·g²
        d = √(a + eps)/√(v + eps)·g
        a ← ρ·a + (1 − ρ)·d²
        p ← p − lr·d

    v and a start at 0. `weight_decay` λ adds λ·p to g, and `maximize` starts with g ← −g, as in torch.optim.Adadelta.

    Raises as `Optimizer`; also ValueError if rho is not in [0, 1].
    """

    state_names = {"square_avg": None, "acc_delta": None}

    def __init__(
        self,
        params: Parameters,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        at_least_zero("Adadelta", "rho", group["rho"])
        if group["rho"] > 1:
            raise ValueError(f"Adadelta: rho must be in [0, 1], got {group['rho']}.")
        true_or_false("Adadelta", "maximize", group["maximize"])

    def numbers(self, group: dict[str, Any], t: int) -> dict[str, float]:
        floats = {key: float(group[key]) for key in ("lr", "rho", "eps", "weight_decay")}
        return {**floats, "one_minus_rho": 1 - floats["rho"], "maximize": bool(group["maximize"])}

    def update(self, p: Array, g: Array, state: Mapping[str, Array], n: Mapping[str, float]) -> None:
        g = decayed(p, g, n)
        v, a = state["square_avg"], state["acc_delta"]
        v *= n["rho"]
        v += n["one_minus_rho"] * g * g
        d = np.sqrt(a + n["eps"]) / np.sqrt(v + n["eps"]) * g
        a *= n["rho"]
        a += n["one_minus_rho"] * d * d
        p -= n["lr"] * d


def decayed(p: Array, g: Array, n: Mapping[str, float]) -> Array:
    """The gradient to go down, weight decay included."""
    g = -g if n["maximize"] else g
    return g + n["weight_decay"] * p if n["weight_decay"] else g
