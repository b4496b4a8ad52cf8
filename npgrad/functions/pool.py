"""Pooling: the largest or the mean value of each window of one or two axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array, as_array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike
from npgrad.functions.reduction import mean
from npgrad.functions.shape import expand_dims, reshape, squeeze, stack
from npgrad.functions.windows import Extent, windows

__all__ = [
    "AvgPool", "MaxPool",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d",
]  # fmt: skip


class MaxPool(Function):
    """The largest value of each window; the gradient goes to where it came from.

    Where several entries of a window are the largest, they share the gradient equally, as for `npgrad.max`.

    Symbols
        x[i,c,stride*p+r]        input: item i, channel c, position
        kernel_size = size(r)    length of a window
        stride = 2               distance between neighbouring windows
    Forward
        (1) y[i,c,p] = max(r, x[i,c,stride*p+r])
    Backward
        (2) mask[r,i,c,p] = (x[i,c,stride*p+r] >= y[i,c,p])
        (3) share[i,c,p]  = dy[i,c,p]/sum(r, mask[r,i,c,p])
        (4) dx[i,c,t]     = sum((r,p), delta(t, stride*p+r)*mask[r,i,c,p]*share[i,c,p])
    Notes
        The derivation shows one spatial axis; the code takes any number of them, r then running over all offsets of
        the kernel. One strided slice of x per offset, so (1) is a running maximum over slices and (4) adds to them.
        Dilation multiplies the offset wherever it is added to a position.

        The code asks for (2) as "not less than": the two differ for nan alone. A window that holds a nan has the value
        nan, and shares its gradient among all its entries. Padding has the value -inf, which never wins against a
        number.
    """

    def forward(
        self,
        x: Array,
        kernel_size: Extent,
        stride: Extent | None = None,
        padding: Extent = 0,
        dilation: Extent = 1,
        ceil_mode: bool = False,
    ) -> Array:
        stride = kernel_size if stride is None else stride
        at = self.at = windows("max_pool", x.shape, kernel_size, stride, padding, dilation, ceil_mode)
        x = self.x = at.frame(x, -np.inf)
        y: Array = x[at.slices[0]]
        for window in at.slices[1:]:
            y = np.maximum(y, x[window])  # (1)
        self.y = y
        return y

    def backward(self, dy: Array) -> Array:
        at, x, y = self.at, self.x, self.y
        mask = ~np.stack([x[window] < y for window in at.slices])  # (2)
        share = dy / np.add.reduce(mask, 0, y.dtype)  # (3)
        dx = np.zeros_like(dy, shape=x.shape)
        for r, window in enumerate(at.slices):
            dx[window] += mask[r] * share
        return at.inside(dx)  # (4)


class AvgPool(Function):
    """The mean of each window; each of its entries receives the same part of the gradient.

    Symbols
        x[i,c,t]           input: item i, channel c, position t
        kernel_size = 3    length of a window
        stride = 2         distance between neighbouring windows
        padding = 1        zeros on either side of x
        size(t) = 7        positions
        size(r) = kernel_size
        size(p) = (size(t) + 2*padding - kernel_size)//stride + 1
                           windows, as many as fit
        n = size(r)        numbers in a window
    Forward
        (1) y[i,c,p] = sum(r, x[i,c,stride*p+r-padding])/n
    Backward
        (2) share[i,c,p] = dy[i,c,p]/n
        (3) dx[i,c,t]    = sum((r,p), delta(t, stride*p+r-padding)*share[i,c,p])
    Notes
        The derivation shows one spatial axis; the code takes any number of them, r then running over all offsets of
        the kernel. Padding is zeros, which count as entries of their windows unless `count_include_pad` is off; what a
        window of `ceil_mode` has beyond them never counts. Where windows differ in that, n is an array, with the number
        of each window.
    """

    def forward(
        self,
        x: Array,
        kernel_size: Extent,
        stride: Extent | None = None,
        padding: Extent = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> Array:
        stride = kernel_size if stride is None else stride
        at = self.at = windows("avg_pool", x.shape, kernel_size, stride, padding, 1, ceil_mode)
        self.n = at.entries(count_include_pad, x.dtype)
        xp = at.frame(x)
        total: Array = xp[at.slices[0]]
        for window in at.slices[1:]:
            total = total + xp[window]
        y: Array = total / self.n  # (1)
        return y

    def backward(self, dy: Array) -> Array:
        at = self.at
        share = dy / self.n  # (2)
        dx = np.zeros_like(dy, shape=(*dy.shape[:2], *at.padded))
        for window in at.slices:
            dx[window] += share
        return at.inside(dx)  # (3)


def max_pool1d(
    x: TensorLike,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest value of each window of `x` (N, C, L): a tensor (N, C, P); of (C, L), a tensor (C, P).

    P, options and errors are those of `max_pool2d`, along one axis.
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    return pool(MaxPool, "max_pool1d", 1, x, kernel_size, **options)


def max_pool2d(
    x: TensorLike,
    kernel_size: Extent,
    stride: Extent | None = None,
    padding: Extent = 0,
    dilation: Extent = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest value of each window of `x` (N, C, H, W): a tensor (N, C, P, Q); of (C, H, W), a tensor (C, P, Q).

    Along the rows P = (H + 2·padding − dilation·(kh − 1) − 1)//stride + 1, and Q likewise along the columns; with
    `ceil_mode` the division rounds up, as long as the last window begins inside. kernel_size, stride (by default the
    kernel size), padding and dilation are one integer or a pair. Several largest entries of a window share its gradient
    equally (PyTorch: the first takes it). Signature as in PyTorch.

    Raises ValueError if `x` has other dimensions, the kernel is larger than the padded input, or padding exceeds half
    the kernel; TypeError if `x` holds integers.
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    return pool(MaxPool, "max_pool2d", 2, x, kernel_size, **options)


def avg_pool1d(
    x: TensorLike,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of `x` (N, C, L): a tensor (N, C, P); of (C, L), a tensor (C, P).

    P, options and errors are those of `avg_pool2d`, along one axis.
    """
    options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    return pool(AvgPool, "avg_pool1d", 1, x, kernel_size, **options)


def avg_pool2d(
    x: TensorLike,
    kernel_size: Extent,
    stride: Extent | None = None,
    padding: Extent = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of `x` (N, C, H, W): a tensor (N, C, P, Q); of (C, H, W), a tensor (C, P, Q).

    Along the rows P = (H + 2·padding − kh)//stride + 1, and Q likewise along the columns; with `ceil_mode` the division
    rounds up, as long as the last window begins inside. kernel_size, stride (by default the kernel size) and padding
    are one integer or a pair; the zeros of the padding count as entries unless `count_include_pad` is off. Signature as
    in PyTorch.

    Raises ValueError if `x` has other dimensions, the kernel is larger than the padded input, or padding exceeds half
    the kernel; TypeError if `x` holds integers.
    """
    options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    return pool(AvgPool, "avg_pool2d", 2, x, kernel_size, **options)


def adaptive_avg_pool1d(x: TensorLike, output_size: int) -> Tensor:
    """The means of `output_size` windows that cover `x` (N, C, L) evenly: a tensor (N, C, output_size).

    Window p begins at ⌊p·L/output_size⌋ and ends before ⌈(p + 1)·L/output_size⌉, as in PyTorch. An input (C, L) without
    a batch axis gives (C, output_size).

    Raises ValueError if `x` has other dimensions or no entries to take the mean of, or for less than one window;
    TypeError if `x` holds integers.
    """
    return evenly(check_input("adaptive_avg_pool1d", 1, x), -1, "adaptive_avg_pool1d", output_size)


def adaptive_avg_pool2d(x: TensorLike, output_size: int | Sequence[int | None] | None) -> Tensor:
    """The means of windows that cover `x` (N, C, H, W) evenly: a tensor (N, C, P, Q), (P, Q) being `output_size`.

    One number stands for both axes, None for the axis's own length. Windows and errors are those of
    `adaptive_avg_pool1d`, along both axes; an input (C, H, W) without a batch axis gives (C, P, Q).
    """
    x = check_input("adaptive_avg_pool2d", 2, x)
    sizes = tuple(output_size) if isinstance(output_size, Sequence) else (output_size,) * 2
    if len(sizes) != 2:
        raise ValueError(f"adaptive_avg_pool2d got output_size={output_size!r}. Pass one number, or a pair.")
    for axis, size in zip((-2, -1), sizes, strict=True):
        x = evenly(x, axis, "adaptive_avg_pool2d", x.shape[axis] if size is None else size)
    return x


def evenly(x: Tensor, axis: int, function: str, count: int) -> Tensor:
    """The means of `count` windows that cover an axis evenly.

    Every window of several axes is a product of windows of one, so each axis can be pooled by itself.
    """
    length = x.shape[axis]
    if int(count) != count or count < 1 or length < 1:
        raise ValueError(
            f"{function} got {count} windows for an axis of length {length}: both must be integers of at least 1."
        )
    if count == 1:
        return mean(x, axis, keepdims=True)
    if length % count == 0:
        shape = list(x.shape)
        shape[axis : x.ndim + axis + 1] = [count, length // count]
        return mean(reshape(x, shape), axis)
    rest = (slice(None),) * (-axis - 1)
    edges = [(p * length // count, -(-(p + 1) * length // count)) for p in range(count)]
    return stack([mean(x[(..., slice(begin, end), *rest)], axis) for begin, end in edges], axis)


def check_input(function: str, axes: int, x: TensorLike) -> Tensor:
    """`x` as a tensor; raises ValueError or TypeError if it cannot be pooled."""
    x = x if isinstance(x, Tensor) else Tensor._of(as_array(x))
    if x.ndim not in (axes + 1, axes + 2):
        layout = "(N, C, L)" if axes == 1 else "(N, C, H, W)"
        number = "three" if axes == 1 else "four"
        raise ValueError(f"{function} takes an input of shape {layout}; got {x.shape}. Reshape it to {number} axes.")
    if x.dtype.kind in "biu":
        raise TypeError(
            f"{function} pools floating-point numbers; got {x.dtype}. Convert with .astype(np.float32) first."
        )
    return x


def pool(rule: type[Function], function: str, axes: int, x: TensorLike, kernel_size: Extent, **options: Any) -> Tensor:
    """Pool `x`, if it can be pooled."""
    x = check_input(function, axes, x)
    if x.ndim == axes + 1:
        return squeeze(pool(rule, function, axes, expand_dims(x, 0), kernel_size, **options), 0)
    padding = options["padding"]
    if np.any(np.multiply(padding, 2) > np.asarray(kernel_size)):
        raise ValueError(
            f"{function} got padding={padding} for kernel_size={kernel_size}: some windows would hold padding alone. "
            "Pad by at most half the kernel."
        )
    return rule.apply(x, kernel_size=kernel_size, **options)
