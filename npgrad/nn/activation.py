"""Nonlinearities as modules, for use in `Sequential`, and by name in `ACTIVATIONS`."""

from __future__ import annotations

from typing import Any

from npgrad import functions as F
from npgrad.engine.tensor import Tensor
from npgrad.functions.activation import NEGATIVE_SLOPE
from npgrad.nn.module import Module

__all__ = ["ACTIVATIONS", "ELU", "GELU", "LeakyReLU", "ReLU", "SiLU", "Sigmoid", "Softplus", "Tanh"]


class Tanh(Module):
    """tanh x: gain 5/3."""

    def forward(self, x: Tensor) -> Tensor:
        return F.Tanh.apply(x)


class Sigmoid(Module):
    """1/(1 + exp(−x))."""

    def forward(self, x: Tensor) -> Tensor:
        return F.Sigmoid.apply(x)


class ReLU(Module):
    """max(x, 0): gain √2; the derivative at 0 is 0."""

    def forward(self, x: Tensor) -> Tensor:
        return F.Relu.apply(x)


class LeakyReLU(Module):
    """x for x > 0, negative_slope·x otherwise."""

    def __init__(self, negative_slope: float = NEGATIVE_SLOPE) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"{self.negative_slope:g}"


class ELU(Module):
    """x for x > 0, alpha·(exp(x) − 1) otherwise (Clevert et al. 2016, arXiv:1511.07289)."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(x, self.alpha)

    def extra_repr(self) -> str:
        return f"{self.alpha:g}"


class GELU(Module):
    """x·Φ(x), Φ the normal distribution function; `approximate="tanh"` for the approximation by tanh.

    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415.
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate: Any = approximate

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return "" if self.approximate == "none" else f"approximate={self.approximate!r}"


class SiLU(Module):
    """x·sigmoid(x) (Elfwing et al. 2017, arXiv:1702.03118)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.Silu.apply(x)


class Softplus(Module):
    """log(1 + exp(x)), a smooth relu."""

    def forward(self, x: Tensor) -> Tensor:
        return F.Softplus.apply(x)


ACTIVATIONS: dict[str, type[Module] | None] = {
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "gelu": GELU,
    "silu": SiLU,
    "softplus": Softplus,
    "linear": None,
}
"""The nonlinearities by the name of their function; "linear" has none."""
