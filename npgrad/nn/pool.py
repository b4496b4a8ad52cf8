"""Pooling: one number for each window of a sequence or an image."""

from __future__ import annotations

from npgrad import functions as F
from npgrad.engine.tensor import Tensor
from npgrad.nn.module import Module

__all__ = ["AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d"]

Extent = int | tuple[int, int]


class _Pool(Module):
    """What windows have in common; `extra_repr` shows the options that are not at their defaults."""

    _defaults: dict[str, object]

    def extra_repr(self) -> str:
        values = {name: getattr(self, name) for name in self._defaults}
        changed = [f"{name}={value}" for name, value in values.items() if value != self._defaults[name]]
        return ", ".join([f"{self.kernel_size}", *changed])  # type: ignore[attr-defined]


class _MaxPool(_Pool):
    _defaults = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}

    def __init__(
        self,
        kernel_size: Extent,
        stride: Extent | None = None,
        padding: Extent = 0,
        dilation: Extent = 1,
        *,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.ceil_mode = dilation, ceil_mode


class MaxPool1d(_MaxPool):
    """The largest value of each window of (N, C, L) or (C, L). Options as `MaxPool2d`."""

    kernel_size: int
    stride: int | None
    padding: int
    dilation: int

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool1d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class MaxPool2d(_MaxPool):
    """The largest value of each window of (N, C, H, W) or (C, H, W); ties share its gradient.

    `stride` None is `kernel_size`; with `ceil_mode` a rest at the end is pooled too.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class _AvgPool(_Pool):
    _defaults = {"stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True}

    def __init__(
        self,
        kernel_size: Extent,
        stride: Extent | None = None,
        padding: Extent = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad


class AvgPool1d(_AvgPool):
    """The mean of each window of (N, C, L) or (C, L). Options as `AvgPool2d`."""

    kernel_size: int
    stride: int | None
    padding: int

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool1d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(_AvgPool):
    """The mean of each window of (N, C, H, W) or (C, H, W).

    `stride` None is `kernel_size`; with `ceil_mode` a rest at the end is pooled too; the zeros of the padding count
    unless `count_include_pad` is off.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AdaptiveAvgPool1d(Module):
    """The means of `output_size` windows that cover (N, C, L) or (C, L) evenly."""

    def __init__(self, output_size: int) -> None:
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(x, self.output_size)

    def extra_repr(self) -> str:
        return f"{self.output_size}"


class AdaptiveAvgPool2d(Module):
    """The means of windows that cover (N, C, H, W) or (C, H, W) evenly: `output_size` of them along each axis.

    One number stands for both axes, None for the axis's own length. `AdaptiveAvgPool2d(1)` is the mean of each channel.
    """

    def __init__(self, output_size: int | tuple[int | None, int | None]) -> None:
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        return f"{self.output_size}"
