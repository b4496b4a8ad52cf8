"""Nonlinearities as modules, for use in `Sequential`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from npgrad import functions as F
from npgrad.engine.arrays import Axis
from npgrad.engine.tensor import Tensor
from npgrad.functions.activation import NEGATIVE_SLOPE
from npgrad.nn import init as initial
from npgrad.nn.module import Module, Parameter

__all__ = [
    "ACTIVATIONS", "CELU", "ELU", "GELU", "Identity", "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "PReLU",
    "ReLU", "SELU", "SiLU", "Sigmoid", "Softmax", "Softplus", "Softsign", "Tanh",
]  # fmt: skip


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


class SELU(Module):
    """ELU scaled such that mean 0 and variance 1 maintain themselves (Klambauer et al. 2017, arXiv:1706.02515)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.selu(x)


class CELU(Module):
    """x for x > 0, alpha·(exp(x/alpha) − 1) otherwise (Barron 2017, arXiv:1704.07483)."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        return F.celu(x, self.alpha)

    def extra_repr(self) -> str:
        return f"{self.alpha:g}"


class Mish(Module):
    """x·tanh(softplus(x)) (Misra 2019, arXiv:1908.08681)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.mish(x)


class Softsign(Module):
    """x/(1 + |x|)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.softsign(x)


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


class PReLU(Module):
    """x for x > 0, weight·x otherwise, with a `weight` that is trained: one for all, or one for each channel (axis 1).

    Source: He et al. 2015, arXiv:1502.01852. Raises ValueError for less than one parameter.
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike = np.float32) -> None:
        if num_parameters < 1:
            raise ValueError(f"PReLU({num_parameters}): the number of parameters must be at least 1.")
        self.weight = Parameter(initial.constant(num_parameters, init, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        return F.prelu(x, self.weight)

    def extra_repr(self) -> str:
        return f"{self.weight.size}"


class Softplus(Module):
    """log(1 + exp(beta·x))/beta, a smooth maximum of x and 0."""

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(x, self.beta)

    def extra_repr(self) -> str:
        return "" if self.beta == 1 else f"beta={self.beta:g}"


class LogSigmoid(Module):
    """log(sigmoid(x))."""

    def forward(self, x: Tensor) -> Tensor:
        return F.log_sigmoid(x)


class Softmax(Module):
    """Probabilities from scores: exp(x) scaled to sum to 1 along the axis `dim`.

    In front of a cross-entropy it is one too many: `CrossEntropyLoss` takes the scores.
    """

    def __init__(self, dim: Axis = -1) -> None:
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return F.softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """The logarithm of `Softmax`, computed without forming it."""

    def __init__(self, dim: Axis = -1) -> None:
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Identity(Module):
    """x itself: what stands in the place of a layer that is left out. Arguments are ignored."""

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        return x


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
