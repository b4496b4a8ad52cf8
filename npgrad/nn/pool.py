"""Pooling: one number for each window of an image."""

from __future__ import annotations

from npgrad import functions as F
from npgrad.engine.tensor import Tensor
from npgrad.nn.module import Module

__all__ = ["AvgPool2d", "MaxPool2d"]


class _Pool2d(Module):
    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def extra_repr(self) -> str:
        changed = "" if self.stride is None else f", stride={self.stride}"
        return f"{self.kernel_size}{changed}" + ("" if self.padding == 0 else f", padding={self.padding}")


class MaxPool2d(_Pool2d):
    """The largest value of each window of (N, C, H, W); ties share its gradient. `stride` None is `kernel_size`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(_Pool2d):
    """The mean of each window of (N, C, H, W); `stride` None is `kernel_size`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding)
