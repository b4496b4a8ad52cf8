"""Layer normalisation, and by the root mean square: each row by its own statistics, whatever the batch size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from npgrad import functions as F
from npgrad.engine.tensor import Tensor
from npgrad.nn import init
from npgrad.nn.module import Module, Parameter

__all__ = ["LayerNorm", "RMSNorm"]


class LayerNorm(Module):
    """Normalise over the last axes, whose lengths are `normalized_shape`, then scale by `weight` and shift by `bias`.

    Input (…, *normalized_shape), output the same shape; the same in training and evaluation. `bias=False` only scales,
    `elementwise_affine=False` does neither. Source: Ba, Kiros & Hinton 2016 (arXiv:1607.06450). Raises ValueError if
    `normalized_shape` has no positive size, or the input another shape.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        shape = self.normalized_shape = _lengths("LayerNorm", normalized_shape)
        self.eps = eps
        self.weight = Parameter(init.ones(shape, dtype=dtype)) if elementwise_affine else None
        self.bias = Parameter(init.zeros(shape, dtype=dtype)) if elementwise_affine and bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        changed = "" if self.eps == 1e-5 else f", eps={self.eps}"
        if self.weight is None:
            changed += ", elementwise_affine=False"
        elif self.bias is None:
            changed += ", bias=False"
        return _told(self.normalized_shape) + changed


class RMSNorm(Module):
    """Divide by the root mean square over the last axes, whose lengths are `normalized_shape`; scale by `weight`.

    Input (…, *normalized_shape), output the same shape; the same in training and evaluation. `eps` is added to the mean
    square; None is the resolution of the input's dtype. Source: Zhang & Sennrich 2019 (arXiv:1910.07467). Raises
    ValueError if `normalized_shape` has no positive size, or the input another shape.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.normalized_shape, self.eps = _lengths("RMSNorm", normalized_shape), eps
        self.weight = Parameter(init.ones(self.normalized_shape, dtype=dtype)) if elementwise_affine else None

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        changed = "" if self.eps is None else f", eps={self.eps}"
        return _told(self.normalized_shape) + changed + ", elementwise_affine=False" * (self.weight is None)


def _lengths(name: str, normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    shape = (normalized_shape,) if isinstance(normalized_shape, int | np.integer) else tuple(normalized_shape)
    if not shape or math.prod(shape) < 1:
        raise ValueError(f"{name}({normalized_shape}): give the positive lengths of the axes to normalise over.")
    return shape


def _told(shape: tuple[int, ...]) -> str:
    return str(shape[0] if len(shape) == 1 else shape)
