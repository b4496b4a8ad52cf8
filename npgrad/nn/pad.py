"""Padding: more entries around the last axes, constant or from the input itself."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from npgrad.engine.tensor import Tensor
from npgrad.nn import functional
from npgrad.nn.module import Module

__all__ = [
    "CircularPad1d", "CircularPad2d", "ConstantPad1d", "ConstantPad2d", "ReflectionPad1d", "ReflectionPad2d",
    "ReplicationPad1d", "ReplicationPad2d", "ZeroPad1d", "ZeroPad2d",
]  # fmt: skip


class _Pad(Module):
    """One number for all sides, or before and after the last axis, before and after the one before it."""

    _axes: ClassVar[int]
    _mode: ClassVar[str] = "constant"
    value: float = 0.0

    def __init__(self, padding: int | tuple[int, ...]) -> None:
        self.padding = (padding,) * (2 * self._axes) if isinstance(padding, int | np.integer) else tuple(padding)
        if len(self.padding) != 2 * self._axes:
            raise ValueError(f"{type(self).__name__}({padding}): give one number, or {2 * self._axes}.")

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, self.padding, self._mode, self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}" + (f", value={self.value}" if self.value else "")


class ZeroPad1d(_Pad):
    """Zeros before and after the last axis."""

    _axes = 1


class ZeroPad2d(_Pad):
    """Zeros around the last two axes."""

    _axes = 2


class _ConstantPad(_Pad):
    def __init__(self, padding: int | tuple[int, ...], value: float) -> None:
        super().__init__(padding)
        self.value = value


class ConstantPad1d(_ConstantPad):
    """`value` before and after the last axis."""

    _axes = 1


class ConstantPad2d(_ConstantPad):
    """`value` around the last two axes."""

    _axes = 2


class ReflectionPad1d(_Pad):
    """What lies behind the end of the last axis is its mirror image."""

    _axes, _mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """As `ReflectionPad1d`, along the last two axes."""

    _axes, _mode = 2, "reflect"


class ReplicationPad1d(_Pad):
    """The last axis goes on with its last entry."""

    _axes, _mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """As `ReplicationPad1d`, along the last two axes."""

    _axes, _mode = 2, "replicate"


class CircularPad1d(_Pad):
    """The last axis goes on at its other end."""

    _axes, _mode = 1, "circular"


class CircularPad2d(_Pad):
    """As `CircularPad1d`, along the last two axes."""

    _axes, _mode = 2, "circular"
