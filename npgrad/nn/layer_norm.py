"""Layer normalisation: each row by its own statistics, so that batch size does not matter."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from npgrad import functions as F
from npgrad.engine.tensor import Tensor
from npgrad.nn import init
from npgrad.nn.module import Module, Parameter

__all__ = ["LayerNorm"]


class LayerNorm(Module):
    """Normalise over the last axes, whose lengths are `normalized_shape`, then scale by `weight` and shift by `bias`.

    Input (…, *normalized_shape), output the same shape; the same in training and evaluation. Source: Ba, Kiros & Hinton
    2016 (arXiv:1607.06450). Raises ValueError if `normalized_shape` has no positive size, or the input another shape.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, int | np.integer) else tuple(normalized_shape)
        if not shape or math.prod(shape) < 1:
            raise ValueError(f"LayerNorm({normalized_shape}): give the positive lengths of the axes to normalise over.")
        self.normalized_shape, self.eps = shape, eps
        self.weight = Parameter(init.ones(shape, dtype=dtype)) if affine else None
        self.bias = Parameter(init.zeros(shape, dtype=dtype)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        shape = self.normalized_shape[0] if len(self.normalized_shape) == 1 else self.normalized_shape
        return f"{shape}" + ("" if self.eps == 1e-5 else f", eps={self.eps}") + ", affine=False" * (self.weight is None)
