"""Group and instance normalisation: each row, each group of channels or each channel by its own statistics."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from npgrad import functions as F
from npgrad.engine.tensor import Tensor
from npgrad.nn import init
from npgrad.nn.module import Module, Parameter

__all__ = ["GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"]


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


class _InstanceNorm(Module):
    _axes: ClassVar[int]
    _layout: ClassVar[str]

    def __init__(
        self, num_features: int, eps: float = 1e-5, *, affine: bool = False, dtype: DTypeLike = np.float32
    ) -> None:
        if num_features < 1:
            raise ValueError(f"{type(self).__name__}({num_features}): the number of features must be at least 1.")
        self.num_features, self.eps = num_features, eps
        self.weight = Parameter(init.ones(num_features, dtype=dtype)) if affine else None
        self.bias = Parameter(init.zeros(num_features, dtype=dtype)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        shape = x.shape
        if len(shape) not in (self._axes + 1, self._axes + 2) or shape[-self._axes - 1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}({self.num_features}) got an input of shape {shape}: "
                f"give it {self._layout} with {self.num_features} channels."
            )
        if len(shape) == self._axes + 1:
            return F.squeeze(self.forward(F.expand_dims(x, 0)), 0)
        return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)

    def extra_repr(self) -> str:
        changed = ("" if self.eps == 1e-5 else f", eps={self.eps}") + ", affine=True" * (self.weight is not None)
        return f"{self.num_features}{changed}"


class InstanceNorm1d(_InstanceNorm):
    """Normalise each channel of each item over its positions; input (N, C, L) or (C, L), output the same shape.

    The same in training and evaluation: there are no running statistics. `affine=True` scales and shifts each channel.
    Source: Ulyanov, Vedaldi & Lempitsky 2016 (arXiv:1607.08022). Raises ValueError if the input has other channels.
    """

    _axes, _layout = 1, "(N, C, L)"


class InstanceNorm2d(_InstanceNorm):
    """As `InstanceNorm1d` for images: input (N, C, H, W) or (C, H, W), statistics over H and W."""

    _axes, _layout = 2, "(N, C, H, W)"


class InstanceNorm3d(_InstanceNorm):
    """As `InstanceNorm1d` for volumes: input (N, C, D, H, W) or (C, D, H, W), statistics over D, H and W."""

    _axes, _layout = 3, "(N, C, D, H, W)"
