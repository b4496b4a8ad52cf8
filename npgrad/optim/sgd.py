"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.optim.flat import Stretch
from npgrad.optim.optimizer import Optimizer, Parameters, at_least_zero
from npgrad.engine.arrays import Array

__all__ = ["SGD"]


class SGD(Optimizer):
    """p ← p − lr·d with the direction d made of the gradient g in three optional steps, in this order:

        weight_decay λ    g ← g + λ·p
        momentum μ        b ← μ·b + g  (b = 0 at first),  d = b
        nesterov          d = g + μ·b  instead

    The same arithmetic as torch.optim.SGD without dampening. Nesterov momentum in this form: Sutskever et al. 2013, "On
    the importance of initialization and momentum in deep learning".

    Raises as `Optimizer`; also ValueError if `nesterov` is asked for without momentum.
    """

    state_names = ("momentum_buffer",)

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        at_least_zero("SGD", "momentum", group["momentum"])
        if group["nesterov"] and not group["momentum"]:
            raise ValueError("SGD: nesterov changes how momentum is used, and momentum is 0. Set momentum, e.g. 0.9.")

    def update(self, part: Stretch, g: Array, group: dict[str, Any]) -> None:
        d, work = g, part.scratch(0)
        weight_decay = group["weight_decay"]
        momentum = group["momentum"]
        if weight_decay:
            np.multiply(part.data, float(weight_decay), out=work)
            d = np.add(d, work, out=work)
        if momentum:
            b = part.state("momentum_buffer")
            b *= float(momentum)
            b += d
            if group["nesterov"]:
                ahead = np.multiply(b, float(momentum), out=part.scratch(1))
                d = np.add(d, ahead, out=work)
            else:
                d = b
        np.multiply(d, float(group["lr"]), out=work)
        np.subtract(part.data, work, out=part.data)
