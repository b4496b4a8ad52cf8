"""Batch normalisation with running statistics (Ioffe & Szegedy 2015, arXiv:1502.03167)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from npgrad import functions as F
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor
from npgrad.nn import init
from npgrad.nn.module import Module, Parameter

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d"]


class _BatchNorm(Module):
    _layouts: ClassVar[dict[int, str]]
    running_mean: Array | None
    running_var: Array | None
    num_batches_tracked: Array | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        ddof: int = 0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if num_features < 1:
            raise ValueError(f"{type(self).__name__}({num_features}): the number of features must be at least 1.")
        self.num_features, self.eps, self.momentum, self.ddof = num_features, eps, momentum, ddof
        self.weight = Parameter(init.ones(num_features, dtype=dtype)) if affine else None
        self.bias = Parameter(init.zeros(num_features, dtype=dtype)) if affine else None
        self.running_mean = self.running_var = self.num_batches_tracked = None
        if track_running_stats:
            self.register_buffer("running_mean", init.zeros(num_features, dtype=dtype))
            self.register_buffer("running_var", init.ones(num_features, dtype=dtype))
            if momentum is None:
                self.register_buffer("num_batches_tracked", np.array(0))

    def forward(self, x: Tensor) -> Tensor:
        shape = x.shape
        if len(shape) not in self._layouts or shape[1] != self.num_features:
            self._refuse(shape)
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            self.momentum,
            self.eps,
            self.ddof,
            self.num_batches_tracked,
        )

    def _refuse(self, shape: tuple[int, ...]) -> None:
        name = type(self).__name__
        wanted = " or ".join(self._layouts.values())
        if len(shape) not in self._layouts:
            raise ValueError(
                f"{name} got an input of shape {shape} with {len(shape)} axes: reshape it to {wanted}, channels second."
            )
        raise ValueError(
            f"{name}({self.num_features}) got an input of shape {shape} with {shape[1]} channels: "
            f"give it {self.num_features} channels on the second axis, {wanted}, or build {name}({shape[1]})."
        )

    def extra_repr(self) -> str:
        defaults = {"eps": 1e-5, "momentum": 0.1, "ddof": 0}
        changed = [f"{name}={getattr(self, name)}" for name, value in defaults.items() if getattr(self, name) != value]
        changed += ["affine=False"] * (self.weight is None)
        changed += ["track_running_stats=False"] * (self.running_mean is None)
        return ", ".join([str(self.num_features), *changed])


class BatchNorm1d(_BatchNorm):
    """Normalise each of `num_features` channels over the batch; input (N, C) or (N, C, L), output the same shape.

    In training mode each channel is normalised by the batch's own mean and (biased) variance, and `running_mean` and
    `running_var` move towards the batch's mean and unbiased variance: new = (1 − momentum)·old + momentum·batch. In
    evaluation mode the running statistics are used instead. `weight` and `bias` (if `affine`) scale and shift the
    result. With `momentum=None` the running statistics are means over all batches so far; with
    `track_running_stats=False` there are none, and evaluation uses the batch's own as training does.

    The lecture divides the variance by n − 1 in both places and lets the running statistics move by 0.001:
    `BatchNorm1d(n, momentum=0.001, ddof=1)`.

    Raises ValueError if the input has another number of axes or channels, or one row only in training mode.
    """

    _layouts = {2: "(N, C)", 3: "(N, C, L)"}


class BatchNorm2d(_BatchNorm):
    """As `BatchNorm1d` for images: input (N, C, H, W), statistics over N, H and W."""

    _layouts = {4: "(N, C, H, W)"}


class BatchNorm3d(_BatchNorm):
    """As `BatchNorm1d` for volumes: input (N, C, D, H, W), statistics over N, D, H and W."""

    _layouts = {5: "(N, C, D, H, W)"}
