"""Windows sliding over the last axes of an array: what convolution and pooling have in common.

A window is taken apart by its offsets. For the offset r of a kernel, the entries x[stride·p + r] of all windows p
together are one strided slice of x. Reading these slices one by one gathers the windows; adding to the same slices
scatters their gradients back, overlaps included: the loop over offsets is its own transpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array

__all__ = ["Extent", "Windows", "windows"]

Extent = int | Sequence[int]
"""One number for every axis, or one number per axis."""


class Windows:
    """Where the windows of one kernel lie on the (padded) spatial axes of an input of shape (N, C, …).

    `counts` is the number of windows along each axis; `slices[r]` selects the entry with offset r of every window.
    Raises ValueError if a number is out of its range, or if the kernel is larger than the padded input.
    """

    def __init__(
        self, function: str, shape: tuple[int, ...], *, kernel: Extent, stride: Extent, padding: Extent
    ) -> None:
        spatial = shape[2:]
        self.kernel = per_axis(function, "kernel_size", kernel, len(spatial), 1)
        self.stride = per_axis(function, "stride", stride, len(spatial), 1)
        self.padding = per_axis(function, "padding", padding, len(spatial), 0)
        self.padded = tuple(n + 2 * p for n, p in zip(spatial, self.padding, strict=True))
        if any(k > n for k, n in zip(self.kernel, self.padded, strict=True)):
            raise ValueError(
                f"{function} got a kernel of shape {self.kernel}, larger than its input of shape {shape} with "
                f"padding {self.padding}. Use a smaller kernel or more padding."
            )
        steps = zip(self.padded, self.kernel, self.stride, strict=True)
        self.counts = tuple((n - k) // s + 1 for n, k, s in steps)
        extents = [s * (n - 1) + 1 for n, s in zip(self.counts, self.stride, strict=True)]
        self.slices: list[tuple[Any, ...]] = [
            (..., *[slice(r, r + e, s) for r, e, s in zip(offset, extents, self.stride, strict=True)])
            for offset in product(*[range(k) for k in self.kernel])
        ]
        self.interior: tuple[Any, ...] = (..., *[slice(p, p + n) for p, n in zip(self.padding, spatial, strict=True)])

    def pad(self, x: Array, out: Array | None, fill: float = 0.0) -> Array:
        """`x` with a frame of `fill`; written into `out`, an earlier result, if there is one."""
        if out is None:
            out = np.full((*x.shape[:2], *self.padded), fill, x.dtype)
        out[self.interior] = x
        return out


def windows(function: str, shape: tuple[int, ...], kernel: Extent, stride: Extent, padding: Extent) -> Windows:
    """The windows of a kernel on an input of `shape`; computed once for every combination."""
    hashable = [tuple(value) if isinstance(value, Sequence) else value for value in (kernel, stride, padding)]
    return _cached(function, shape, *hashable)


@lru_cache(maxsize=256)
def _cached(function: str, shape: tuple[int, ...], kernel: Extent, stride: Extent, padding: Extent) -> Windows:
    return Windows(function, shape, kernel=kernel, stride=stride, padding=padding)


def per_axis(function: str, name: str, value: Extent, axes: int, least: int) -> tuple[int, ...]:
    """`value` as one integer per axis; raises ValueError if there are too many or too few, or one is below `least`."""
    values = tuple(value) if isinstance(value, Sequence) else (value,) * axes
    if len(values) != axes or any(int(v) != v or v < least for v in values):
        raise ValueError(
            f"{function} got {name}={value}. Pass an integer of at least {least}"
            + (f", or {axes} of them, one per spatial axis." if axes > 1 else ".")
        )
    return tuple(int(v) for v in values)
