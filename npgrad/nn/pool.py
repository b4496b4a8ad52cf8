"""Pooling: one number for each window of a sequence or an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from npgrad import functions as F
from npgrad.engine.tensor import Tensor
from npgrad.nn.module import Module

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d",
]  # fmt: skip

Extent = int | tuple[int, ...]


class _Pool(Module):
    """What windows have in common; `extra_repr` shows the options that are not at their defaults."""

    _defaults: ClassVar[dict[str, object]]
    _function: ClassVar[Callable[..., Any]]
    kernel_size: Extent

    def extra_repr(self) -> str:
        values = {name: getattr(self, name) for name in self._defaults}
        changed = [f"{name}={value}" for name, value in values.items() if value != self._defaults[name]]
        return ", ".join([f"{self.kernel_size}", *changed])


class _MaxPool(_Pool):
    _defaults = {"stride": None, "padding": 0, "dilation": 1, "return_indices": False, "ceil_mode": False}

    def __init__(
        self,
        kernel_size: Extent,
        stride: Extent | None = None,
        padding: Extent = 0,
        dilation: Extent = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.return_indices, self.ceil_mode = dilation, return_indices, ceil_mode

    def forward(self, x: Tensor) -> Any:
        options = (self.dilation, self.ceil_mode, self.return_indices)
        return self._function(x, self.kernel_size, self.stride, self.padding, *options)


class MaxPool1d(_MaxPool):
    """The largest value of each window of (N, C, L) or (C, L). Options as `MaxPool2d`."""

    _function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest value of each window of (N, C, H, W) or (C, H, W); ties share its gradient.

    `stride` None is `kernel_size`; with `ceil_mode` a rest at the end is pooled too. With `return_indices` the result
    is a pair, as that of `npgrad.max_pool2d`.
    """

    _function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The largest value of each window of (N, C, D, H, W) or (C, D, H, W). Options as `MaxPool2d`."""

    _function = staticmethod(F.max_pool3d)


class _AvgPool(_Pool):
    _defaults = {
        "stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True, "divisor_override": None,
    }  # fmt: skip

    def __init__(
        self,
        kernel_size: Extent,
        stride: Extent | None = None,
        padding: Extent = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: float | None = None,
    ) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.ceil_mode, self.count_include_pad, self.divisor_override = ceil_mode, count_include_pad, divisor_override

    def forward(self, x: Tensor) -> Tensor:
        options = (self.ceil_mode, self.count_include_pad, self.divisor_override)
        y: Tensor = self._function(x, self.kernel_size, self.stride, self.padding, *options)
        return y


class AvgPool1d(_AvgPool):
    """The mean of each window of (N, C, L) or (C, L). Options as `AvgPool2d`."""

    _function = staticmethod(F.avg_pool1d)


class AvgPool2d(_AvgPool):
    """The mean of each window of (N, C, H, W) or (C, H, W).

    `stride` None is `kernel_size`; with `ceil_mode` a rest at the end is pooled too; the zeros of the padding count
    unless `count_include_pad` is off; `divisor_override` is divided by instead of the number of entries.
    """

    _function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean of each window of (N, C, D, H, W) or (C, D, H, W). Options as `AvgPool2d`."""

    _function = staticmethod(F.avg_pool3d)


class _AdaptivePool(Module):
    _function: ClassVar[Callable[..., Tensor]]

    def __init__(self, output_size: int | tuple[int | None, ...] | None) -> None:
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x, self.output_size)

    def extra_repr(self) -> str:
        return f"{self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """The means of `output_size` windows that cover (N, C, L) or (C, L) evenly."""

    _function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptivePool):
    """The means of windows that cover (N, C, H, W) or (C, H, W) evenly: `output_size` of them along each axis.

    One number stands for both axes, None for the axis's own length. `AdaptiveAvgPool2d(1)` is the mean of each channel.
    """

    _function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptivePool):
    """As `AdaptiveAvgPool2d` for (N, C, D, H, W) or (C, D, H, W)."""

    _function = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(Module):
    """Windows that cover the input evenly: how many there are along each axis, and whether places are returned too."""

    _function: ClassVar[Callable[..., Any]]

    def __init__(self, output_size: int | tuple[int | None, ...] | None, return_indices: bool = False) -> None:
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, x: Tensor) -> Any:
        return self._function(x, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"{self.output_size}" + (", return_indices=True" if self.return_indices else "")


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest values of `output_size` windows that cover (N, C, L) or (C, L) evenly."""

    _function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """As `AdaptiveAvgPool2d`, with the largest value of each window."""

    _function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """As `AdaptiveAvgPool3d`, with the largest value of each window."""

    _function = staticmethod(F.adaptive_max_pool3d)
