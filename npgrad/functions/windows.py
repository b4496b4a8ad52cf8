"""Windows sliding over the last axes of an array: what convolution and pooling have in common.

A window is taken apart by its offsets. For the offset r of a kernel, the entries x[stride·p + dilation·r] of all
windows p together are one strided slice of x. Reading these slices one by one gathers the windows; adding to the same
slices scatters their gradients back, overlaps included: the loop over offsets is its own transpose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from inspect import cleandoc
from itertools import product
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array

__all__ = ["Extent", "Windows", "documented", "per_axis", "windows"]

Extent = int | Sequence[int]
"""One number for every axis, or one number per axis."""


class Windows:
    """Where the windows of one kernel lie on the padded spatial axes of an input of shape (N, C, …).

    `counts` is the number of windows along each axis. `along[k][r]` selects, on axis k, the entry with offset r of
    every window; `slices` are all combinations of these, one per offset of the kernel. `padding` is a number, one per
    axis, "valid" for none, or "same": as many windows as there are entries, one more of an odd number of zeros being at
    the end. With `ceil_mode` the last window may reach beyond the padding, but not begin there.

    Raises ValueError if a number is out of its range, or if the kernel is larger than the padded input.
    """

    def __init__(
        self,
        function: str,
        shape: tuple[int, ...],
        *,
        kernel: Extent,
        stride: Extent,
        padding: Extent | str,
        dilation: Extent,
        ceil_mode: bool,
    ) -> None:
        self.shape = shape
        spatial = shape[2:]
        self.kernel = per_axis(function, "kernel_size", kernel, len(spatial), 1)
        self.stride = per_axis(function, "stride", stride, len(spatial), 1)
        self.dilation = per_axis(function, "dilation", dilation, len(spatial), 1)
        extents = tuple([d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)])
        if padding == "valid":
            padding = 0
        if padding == "same":
            if any(s != 1 for s in self.stride):
                raise ValueError(f'{function} got padding="same" with stride={stride}. Use a stride of 1, or numbers.')
            self.padding = [((e - 1) // 2, e // 2) for e in extents]
        else:
            self.padding = [(p, p) for p in per_axis(function, "padding", padding, len(spatial), 0)]
        padded = [n + before + after for n, (before, after) in zip(spatial, self.padding, strict=True)]
        if any(e > n for e, n in zip(extents, padded, strict=True)):
            raise ValueError(
                f"{function} got a kernel of shape {self.kernel}, larger than its input of shape {shape} with "
                f"padding {tuple([before for before, _ in self.padding])}. Use a smaller kernel or more padding."
                + (f" (Dilation makes it extend over {extents}.)" if extents != self.kernel else "")
            )
        axes = list(zip(spatial, padded, extents, self.stride, self.padding, strict=True))
        counts = [(n - e) // s + 1 for _, n, e, s, _ in axes]
        if ceil_mode:
            counts = [min(-(-(m - e) // s), (n + p - 1) // s) + 1 for n, m, e, s, (p, _) in axes]
        self.counts = tuple(counts)
        # With ceil_mode the frame is as large as its last window needs.
        self.padded = tuple([max(n, s * (m - 1) + e) for m, (_, n, e, s, _) in zip(counts, axes, strict=True)])
        self.along = [
            [slice(d * r, d * r + s * (m - 1) + 1, s) for r in range(k)]
            for k, d, s, m in zip(self.kernel, self.dilation, self.stride, self.counts, strict=True)
        ]
        self.slices: list[tuple[Any, ...]] = [(..., *offset) for offset in product(*self.along)]
        self.interior: tuple[Any, ...] = (
            ...,
            *[slice(p, p + n) for n, (p, _) in zip(spatial, self.padding, strict=True)],
        )

    def first(self, counts: tuple[int, ...]) -> list[tuple[Any, ...]]:
        """`slices`, of only the first so many windows along each axis."""
        if counts == self.counts:
            return self.slices
        fewer = [
            [slice(at.start, at.start + at.step * (n - 1) + 1, at.step) for at in along]
            for along, n in zip(self.along, counts, strict=True)
        ]
        return [(..., *offset) for offset in product(*fewer)]

    def frame(self, x: Array, fill: float = 0.0) -> Array:
        """`x` with a frame of `fill` around it, if there is padding."""
        if self.padded == self.shape[2:]:
            return x
        xp = np.full_like(x, fill, shape=(*x.shape[:2], *self.padded))
        xp[self.interior] = x
        return xp

    def inside(self, xp: Array) -> Array:
        """What `frame` put a frame around."""
        x: Array = xp[self.interior]
        return x

    def entries(self, with_padding: bool, dtype: np.dtype[Any]) -> Array | int:
        """How many entries of the input each window has, or of the input with its padding; one number if all agree."""
        ends = tuple([n + p + q for n, (p, q) in zip(self.shape[2:], self.padding, strict=True)])
        if self.padded == (ends if with_padding else self.shape[2:]):
            return len(self.slices)
        inside = np.zeros(self.padded, dtype)
        inside[tuple([slice(n) for n in ends]) if with_padding else self.interior] = 1
        numbers: Array = np.add.reduce([inside[window] for window in self.slices])
        return numbers


def windows(
    function: str,
    shape: tuple[int, ...],
    kernel: Extent,
    stride: Extent,
    padding: Extent | str,
    dilation: Extent = 1,
    ceil_mode: bool = False,
) -> Windows:
    """The windows of a kernel on an input of `shape`; computed once for every combination."""
    numbers = (kernel, stride, padding, dilation)
    hashable = [tuple(v) if isinstance(v, Sequence | np.ndarray) and not isinstance(v, str) else v for v in numbers]
    return _cached(function, shape, *hashable, ceil_mode)


@lru_cache(maxsize=256)
def _cached(
    function: str,
    shape: tuple[int, ...],
    kernel: Extent,
    stride: Extent,
    padding: Extent | str,
    dilation: Extent,
    ceil_mode: bool,
) -> Windows:
    return Windows(
        function, shape, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )


def per_axis(function: str, name: str, value: Any, axes: int, least: int) -> tuple[int, ...]:
    """`value` as one integer per axis; raises ValueError if there are too many or too few, or one is below `least`."""
    values = tuple(value) if isinstance(value, Sequence | np.ndarray) else (value,) * axes
    if len(values) != axes or any(
        not isinstance(v, int | float | np.integer) or v != int(v) or v < least for v in values
    ):
        raise ValueError(
            f"{function} got {name}={value!r}. Pass an integer of at least {least}"
            + (f", or {axes} of them, one per spatial axis." if axes > 1 else ".")
        )
    return tuple(int(v) for v in values)


def documented(function: Callable[..., Any], name: str, text: str) -> Callable[..., Any]:
    """`function` under the name and with the documentation that it has for its number of axes."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = cleandoc(text)
    return function
