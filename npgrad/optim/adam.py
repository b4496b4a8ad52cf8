"""Adam, and AdamW with its weight decay decoupled from the gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from npgrad.optim.flat import Stretch
from npgrad.optim.optimizer import Optimizer, Parameters
from npgrad.engine.arrays import Array

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Kingma & Ba 2015 (arXiv:1412.6980), algorithm 1: steps of size about lr, whatever the scale of the gradient g.

        m ← β1·m + (1 − β1)·g            running mean of g
        v ← β2·v + (1 − β2)·g²           running mean of g²
        p ← p − lr·m̂/(√v̂ + eps)          with m̂ = m/(1 − β1ᵗ), v̂ = v/(1 − β2ᵗ) at the t-th update of p

    m and v start at 0 and are too small at first by the factors 1 − βᵗ, which is what m̂ and v̂ make up for.
    `weight_decay` λ adds λ·p to g (L2 regularisation), as in torch.optim.Adam.

    Raises as `Optimizer`; also ValueError if a beta is not in [0, 1).
    """

    state_names = ("exp_avg", "exp_avg_sq")
    decoupled = False

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        betas = group["betas"]
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{type(self).__name__}: betas must be two numbers in [0, 1), got {betas!r}.")

    def update(self, part: Stretch, g: Array, group: dict[str, Any]) -> None:
        beta1, beta2 = map(float, group["betas"])
        lr, eps, weight_decay = float(group["lr"]), float(group["eps"]), float(group["weight_decay"])
        p, work = part.data, part.scratch(0)
        m, v = part.state("exp_avg"), part.state("exp_avg_sq")
        t = part.steps
        if weight_decay and self.decoupled:
            p *= 1 - lr * weight_decay
        elif weight_decay:
            decay = np.multiply(p, weight_decay, out=part.scratch(1))
            g = np.add(g, decay, out=decay)
        np.subtract(g, m, out=work)
        work *= 1 - beta1
        m += work
        v *= beta2
        np.multiply(g, g, out=work)
        work *= 1 - beta2
        v += work
        # The corrections are numbers, not arrays: lr·m̂/(√v̂ + eps) = (lr·c/(1 − β1ᵗ))·m/(√v + eps·c), c = √(1 − β2ᵗ)
        # (section 2 of the paper).
        c = math.sqrt(1 - beta2**t)
        np.sqrt(v, out=work)
        work += eps * c
        np.divide(m, work, out=work)
        work *= lr * c / (1 - beta1**t)
        np.subtract(p, work, out=p)


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
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)
