"""Adam and its kin: AdamW, with decoupled weight decay; RAdam, with a warm-up; NAdam, which looks ahead; Adamax."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.optim.optimizer import Optimizer, Parameters, at_least_zero, true_or_false

__all__ = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam"]


class Adam(Optimizer):
    """Kingma & Ba 2015 (arXiv:1412.6980), algorithm 1: steps of size about lr, whatever the scale of the gradient g.

        m ← β1·m + (1 − β1)·g            running mean of g
        v ← β2·v + (1 − β2)·g²           running mean of g²
        p ← p − lr·m̂/(√v̂ + eps)          with m̂ = m/(1 − β1ᵗ), v̂ = v/(1 − β2ᵗ) at the t-th update of p

    m and v start at 0 and are too small at first by the factors 1 − βᵗ, which is what m̂ and v̂ make up for.
    `weight_decay` λ adds λ·p to g (L2 regularisation), as in torch.optim.Adam. `amsgrad` puts the largest v so far in
    the place of v in v̂, so that steps do not grow again after rare large gradients (Reddi, Kale & Kumar 2018,
    arXiv:1904.09237). `maximize` starts with g ← −g.

    Raises as `Optimizer`; also ValueError if a beta is not in [0, 1).
    """

    state_names = {"exp_avg": None, "exp_avg_sq": None, "max_exp_avg_sq": "amsgrad"}
    decoupled = False

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize
        )

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        name, betas = type(self).__name__, group["betas"]
        try:
            good = len(betas) == 2 and all(0 <= beta < 1 for beta in betas)
        except TypeError:
            good = False
        if not good:
            raise ValueError(f"{name}: betas must be two numbers in [0, 1), got {betas!r}.")
        for key in ("amsgrad", "maximize", "decoupled_weight_decay"):
            if key in group:
                true_or_false(name, key, group[key])

    def numbers(self, group: dict[str, Any], t: int) -> dict[str, float]:
        beta1, beta2 = map(float, group["betas"])
        lr, weight_decay = float(group["lr"]), float(group["weight_decay"])
        # The corrections are numbers, not arrays: lr·m̂/(√v̂ + eps) = (lr·c/(1 − β1ᵗ))·m/(√v + eps·c), c = √(1 − β2ᵗ)
        # (section 2 of the paper).
        c = math.sqrt(1 - beta2**t)
        return {
            "one_minus_beta1": 1 - beta1,
            "beta2": beta2,
            "one_minus_beta2": 1 - beta2,
            "rate": lr * c / (1 - beta1**t),
            "eps": float(group["eps"]) * c,
            "weight_decay": weight_decay,
            "shrink": 1 - lr * weight_decay,
            "amsgrad": bool(group["amsgrad"]),
            "maximize": bool(group["maximize"]),
        }

    def update(self, p: Array, g: Array, state: Mapping[str, Array], n: Mapping[str, float]) -> None:
        m, v = state["exp_avg"], state["exp_avg_sq"]
        if n["maximize"]:
            g = -g
        if n["weight_decay"]:
            if self.decoupled:
                p *= n["shrink"]
            else:
                g = g + n["weight_decay"] * p
        # In place on its own temporaries: at a few million numbers more than twice as fast as one expression.
        x = g - m
        x *= n["one_minus_beta1"]
        m += x
        x = g * g
        x *= n["one_minus_beta2"]
        v *= n["beta2"]
        v += x
        if n["amsgrad"]:
            largest = state["max_exp_avg_sq"]
            np.maximum(largest, v, out=largest)
            v = largest
        x = np.sqrt(v)
        x += n["eps"]
        x = m / x
        x *= n["rate"]
        p -= x


class AdamW(Adam):
    """Adam with decoupled weight decay: p ← (1 − lr·λ)·p before the step (Loshchilov & Hutter 2019, arXiv:1711.05101).

    Decay through the gradient would be divided by √v̂ as well, and so decay least where gradients are large.
    """

    decoupled = True

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


class RAdam(Adam):
    """Liu et al. 2020 (arXiv:1908.03265), algorithm 2: Adam without √v̂ while v̂ rests on too few gradients.

        p ← p − lr·m̂                           while ρ = ρ∞ − 2t·β2ᵗ/(1 − β2ᵗ) ≤ 5, with ρ∞ = 2/(1 − β2) − 1
        p ← p − lr·r·m̂/(√v + eps)·√(1 − β2ᵗ)   then, with r² = (ρ − 4)(ρ − 2)ρ∞/((ρ∞ − 4)(ρ∞ − 2)ρ)

    `weight_decay` as in `Adam`, or with `decoupled_weight_decay` as in `AdamW`, as in torch.optim.RAdam.

    Raises as `Adam`.
    """

    state_names = {"exp_avg": None, "exp_avg_sq": None}

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        options = {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
        Optimizer.__init__(self, params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, **options)

    def numbers(self, group: dict[str, Any], t: int) -> dict[str, float]:
        n = super().numbers({**group, "amsgrad": False}, t)
        beta1, beta2 = map(float, group["betas"])
        whole = 2 / (1 - beta2) - 1
        rho = whole - 2 * t * beta2**t / (1 - beta2**t)
        ready = rho > 5
        r = math.sqrt((rho - 4) * (rho - 2) * whole / ((whole - 4) * (whole - 2) * rho)) if ready else 1.0
        c = math.sqrt(1 - beta2**t) if ready else 1.0
        decoupled = bool(group["decoupled_weight_decay"])
        rate = float(group["lr"]) * r * c / (1 - beta1**t)
        return {**n, "rate": rate, "eps": float(group["eps"]), "ready": ready, "decoupled": decoupled}

    def update(self, p: Array, g: Array, state: Mapping[str, Array], n: Mapping[str, float]) -> None:
        g, m, root = moments(p, g, state, n)
        p -= n["rate"] * (m / root if n["ready"] else m)


class NAdam(RAdam):
    """Dozat 2016 ("Incorporating Nesterov momentum into Adam", algorithm 2): Adam that steps with the next momentum.

        μₜ = β1·(1 − 0.96^(t·momentum_decay)/2)
        p ← p − lr·((1 − μₜ)/(1 − Πₜ)·g + μₜ₊₁/(1 − Πₜ₊₁)·m)/(√v̂ + eps)    with Πₜ = μ₁·μ₂·…·μₜ

    `weight_decay` as in `RAdam`; options as in torch.optim.NAdam.

    Raises as `Adam`; also ValueError if momentum_decay is negative.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        more = {"momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay}
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        Optimizer.__init__(self, params, **options, **more)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        at_least_zero("NAdam", "momentum_decay", group["momentum_decay"])

    def numbers(self, group: dict[str, Any], t: int) -> dict[str, float]:
        n = Adam.numbers(self, {**group, "amsgrad": False}, t)
        beta1, beta2 = map(float, group["betas"])
        past = products(beta1, float(group["momentum_decay"]), t + 1)
        rate = float(group["lr"]) * math.sqrt(1 - beta2**t)
        # μₜ is Πₜ/Πₜ₋₁, but β1 may be 0.
        now, following = (momentum(beta1, float(group["momentum_decay"]), k) for k in (t, t + 1))
        factors = {"now": rate * (1 - now) / (1 - past[t]), "then": rate * following / (1 - past[t + 1])}
        return {**n, **factors, "decoupled": bool(group["decoupled_weight_decay"])}

    def update(self, p: Array, g: Array, state: Mapping[str, Array], n: Mapping[str, float]) -> None:
        g, m, root = moments(p, g, state, n)
        p -= (n["now"] * g + n["then"] * m) / root


class Adamax(Adam):
    """Kingma & Ba 2015 (arXiv:1412.6980), algorithm 2: the largest gradient, slowly forgotten, in the place of √v̂.

        u ← max(β2·u, |g| + eps)
        p ← p − lr/(1 − β1ᵗ)·m/u        with m ← β1·m + (1 − β1)·g

    m and u start at 0. `weight_decay` λ adds λ·p to g, and `maximize` starts with g ← −g, as in torch.optim.Adamax.

    Raises as `Adam`.
    """

    state_names = {"exp_avg": None, "exp_inf": None}

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        Optimizer.__init__(self, params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def numbers(self, group: dict[str, Any], t: int) -> dict[str, float]:
        n = super().numbers({**group, "amsgrad": False}, t)
        rate = float(group["lr"]) / (1 - float(group["betas"][0]) ** t)
        return {**n, "rate": rate, "eps": float(group["eps"])}

    def update(self, p: Array, g: Array, state: Mapping[str, Array], n: Mapping[str, float]) -> None:
        m, u = state["exp_avg"], state["exp_inf"]
        g = -g if n["maximize"] else g
        g = g + n["weight_decay"] * p if n["weight_decay"] else g
        m += n["one_minus_beta1"] * (g - m)
        u *= n["beta2"]
        np.maximum(u, np.abs(g) + n["eps"], out=u)
        p -= n["rate"] * m / u


def moments(p: Array, g: Array, state: Mapping[str, Array], n: Mapping[str, float]) -> tuple[Array, Array, Array]:
    """The gradient to go down, its running mean, and the root of that of its square, after the decay of p."""
    m, v = state["exp_avg"], state["exp_avg_sq"]
    g = -g if n["maximize"] else g
    if n["weight_decay"] and n["decoupled"]:
        p *= n["shrink"]
    elif n["weight_decay"]:
        g = g + n["weight_decay"] * p
    m += n["one_minus_beta1"] * (g - m)
    v += n["one_minus_beta2"] * (g * g - v)
    return g, m, np.sqrt(v) + n["eps"]


def momentum(beta1: float, decay: float, t: int) -> float:
    return beta1 * (1 - 0.5 * math.pow(0.96, t * decay))


def products(beta1: float, decay: float, t: int) -> list[float]:
    """The products Π of the momenta up to the t-th, and perhaps beyond; they are kept, and lengthened when needed."""
    found = _products(beta1, decay)
    while len(found) <= t:
        found.append(found[-1] * momentum(beta1, decay, len(found)))
    return found


@cache
def _products(beta1: float, decay: float) -> list[float]:
    return [1.0]
