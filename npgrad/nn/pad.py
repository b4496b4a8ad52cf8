"""Padding: more entries around the last axes, constant or from the input itself."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from npgrad.engine.tensor import Tensor
from npgrad.nn import functional
from npgrad.nn.module import Module

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d",
    "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _Pad(Module):
    """One number for all sides, or before and after the last axis, before and after the one before it, …."""

    _axes: ClassVar[int]
    _mode: ClassVar[str]
    value: float = 0.0

    def __init__(self, padding: int | tuple[int, ...]) -> None:
        self.padding = (padding,) * (2 * self._axes) if isinstance(padding, int | np.integer) else tuple(padding)
        if len(self.padding) != 2 * self._axes:
            raise ValueError(f"{type(self).__name__}({padding}): give one number, or {2 * self._axes}.")

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, self.padding, self._mode, self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}" + (f", value={self.value}" if self.value else "")


class _ConstantPad(_Pad):
    def __init__(self, padding: int | tuple[int, ...], value: float) -> None:
        super().__init__(padding)
        self.value = value


def _of_each_number_of_axes(name: str, text: str, mode: str = "constant", base: type[_Pad] = _Pad) -> list[Any]:
    """The classes for one, two and three axes."""
    return [
        type(
            f"{name}{axes}d",
            (base,),
            {
                "__doc__": f"{text}; of the last {axes} axes. {_Pad.__doc__}",
                "__module__": __name__,
                "_axes": axes,
                "_mode": mode,
            },
        )
        for axes in (1, 2, 3)
    ]


ZeroPad1d, ZeroPad2d, ZeroPad3d = _of_each_number_of_axes("ZeroPad", "Zeros at both ends")
ConstantPad1d, ConstantPad2d, ConstantPad3d = _of_each_number_of_axes(
    "ConstantPad", "`value` at both ends", base=_ConstantPad
)
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = _of_each_number_of_axes(
    "ReflectionPad", "The mirror image at both ends", "reflect"
)
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = _of_each_number_of_axes(
    "ReplicationPad", "The last entry again at both ends", "replicate"
)
CircularPad1d, CircularPad2d, CircularPad3d = _of_each_number_of_axes(
    "CircularPad", "What is at the other end, at both ends", "circular"
)
