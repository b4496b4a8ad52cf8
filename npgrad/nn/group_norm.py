"""Group normalisation: each row, each group of channels by its own statistics."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from npgrad import functions as F
from npgrad.engine.tensor import Tensor
from npgrad.nn import init
from npgrad.nn.module import Module, Parameter

__all__ = ["GroupNorm"]


class GroupNorm(Module):
    """Normalise within `num_groups` groups of the `num_channels` channels, then scale and shift each channel.

    Input (N, C) or (N, C, L…), output the same shape; the same in training and evaluation. Source: Wu & He 2018
    (arXiv:1803.08494). Raises ValueError if the channels do not divide into the groups, or the input has others.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if num_groups < 1 or num_channels < 1 or num_channels % num_groups:
            raise ValueError(
                f"GroupNorm({num_groups}, {num_channels}): {num_channels} channels do not divide into {num_groups} "
                "equal groups. Choose a number of groups that divides the number of channels."
            )
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.weight = Parameter(init.ones(num_channels, dtype=dtype)) if affine else None
        self.bias = Parameter(init.zeros(num_channels, dtype=dtype)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        if len(x.shape) < 2 or x.shape[1] != self.num_channels:
            raise ValueError(
                f"GroupNorm({self.num_groups}, {self.num_channels}) got an input of shape {x.shape}: "
                f"its second axis must hold the {self.num_channels} channels."
            )
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        changed = ("" if self.eps == 1e-5 else f", eps={self.eps}") + ", affine=False" * (self.weight is None)
        return f"{self.num_groups}, {self.num_channels}{changed}"
