"""Linear: y = x W + b."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from npgrad import functions as F
from npgrad.engine.tensor import Tensor
from npgrad.nn import init
from npgrad.nn.module import Module, Parameter

__all__ = ["Linear"]


class Linear(Module):
    """y = x W + b with `weight` of shape (fan_in, fan_out) and `bias` of shape (fan_out,) or None.

    Weights are drawn from N(0, (gain/√fan_in)²), so that inputs of variance 1 give outputs of variance gain²
    (`init.calculate_gain` knows the gain a nonlinearity needs: 5/3 for tanh, √2 for relu); biases start at 0. The last
    axis of the input must be fan_in; leading axes are kept.

    In front of batch normalisation use `bias=False`: normalisation subtracts any bias again.

    Raises TypeError without a generator, ValueError if a size is not positive.
    """

    def __init__(
        self,
        fan_in: int,
        fan_out: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        gain: float = 1.0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rng = init.generator(rng, f"Linear({fan_in}, {fan_out})")
        if fan_in < 1 or fan_out < 1:
            raise ValueError(f"Linear({fan_in}, {fan_out}): both sizes must be at least 1.")
        self.weight = Parameter(init.normal((fan_in, fan_out), 0.0, gain / math.sqrt(fan_in), rng=rng, dtype=dtype))
        self.bias = Parameter(init.zeros(fan_out, dtype=dtype)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.Linear.apply(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        fan_in, fan_out = self.weight.shape
        return f"{fan_in}, {fan_out}" + (", bias=False" if self.bias is None else "")
