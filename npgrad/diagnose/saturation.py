"""How far into the flat part of its activation function a unit is: 0 not at all, 1 where no gradient passes.

A unit counts as saturated beyond a threshold, 0.97 or 0.99. What is compared with it depends on the activation:

    Tanh        |y|             the derivative 1 − y² is 0.059 at 0.97 and 0.020 at 0.99
    Sigmoid     |2y − 1|        sigmoid is a tanh in disguise: σ(x) = (1 + tanh(x/2))/2
    ReLU        1 where y ≤ 0   off: the derivative is 0
    ELU         max(−y/α, 0)    the derivative left of 0 is α + y
    LeakyReLU   0               its derivative is never small enough to kill: such a unit can always come back

The saturation of other modules is not recorded (nan): their derivative comes near 0 where the output does not tell by
how much. A class of your own is added by
`SATURATION[MyActivation] = lambda module, y: …`, an array of y's shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad import nn
from npgrad.engine.arrays import Array

__all__ = ["SATURATION", "saturation"]

SATURATION: dict[type[nn.Module], Callable[[Any, Array], Array]] = {
    nn.Tanh: lambda module, y: np.abs(y),
    nn.Sigmoid: lambda module, y: np.abs(2 * y - 1),
    nn.ReLU: lambda module, y: (y <= 0).astype(y.dtype),
    nn.ELU: lambda module, y: np.maximum(-y / module.alpha, 0),
    nn.LeakyReLU: lambda module, y: np.zeros_like(y),
}
"""Module class → the function of (module, output) that says how saturated each output is, from 0 to 1."""

WITHOUT_MEASURE = (nn.GELU, nn.SiLU, nn.Softplus)
"""The activations whose output does not tell how saturated they are."""


def saturation(module: nn.Module, y: Array) -> Array | None:
    """How saturated each entry of the module's output `y` is, an array of y's shape; None if nobody knows."""
    for kind in type(module).__mro__:
        known = SATURATION.get(kind)
        if known is not None:
            return known(module, y)
    return None
