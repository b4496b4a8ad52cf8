"""Pooling: the largest or the mean value of each window of one to three axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from inspect import cleandoc
from itertools import product
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array, as_array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.extreme import max
from npgrad.functions.reduction import mean
from npgrad.functions.shape import expand_dims, reshape, squeeze, stack
from npgrad.functions.windows import Extent, documented, per_axis, windows

__all__ = [
    "AvgPool", "MaxPool", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d",
    "max_pool3d",
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
        divisor: float | None = None,
    ) -> Array:
        stride = kernel_size if stride is None else stride
        at = self.at = windows("avg_pool", x.shape, kernel_size, stride, padding, 1, ceil_mode)
        self.n = at.entries(count_include_pad, x.dtype) if divisor is None else divisor
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


def max_pool(axes: int) -> Callable[..., Any]:
    """`max_pool1d` for one axis, and so on."""

    def pooling(
        x: TensorLike,
        kernel_size: Extent,
        stride: Extent | None = None,
        padding: Extent = 0,
        dilation: Extent = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Tensor | tuple[Tensor, Array]:
        options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
        y = pool(MaxPool, name, axes, x, kernel_size, **options)
        if not return_indices:
            return y
        stride = kernel_size if stride is None else stride
        return y, places(axes, raw(x), raw(y), kernel_size, stride, padding, dilation, ceil_mode)

    name, shapes = f"max_pool{axes}d", _SHAPES[axes]
    return documented(
        pooling,
        name,
        f"""The largest value of each window of `x` {shapes[0]}: a tensor {shapes[1]}; N may be left out.

        Along each axis P = (L + 2·padding − dilation·(k − 1) − 1)//stride + 1, L and k being the lengths of the input
        and the kernel; with `ceil_mode` the division rounds up, as long as the last window begins inside. kernel_size,
        stride (by default the kernel size), padding and dilation are one integer or one per axis. Several largest
        entries of a window share its gradient equally (PyTorch: the first takes it). Signature as in PyTorch.
        {_RAISES}
        {_INDICES}""",
    )


def avg_pool(axes: int) -> Callable[..., Tensor]:
    """`avg_pool1d` for one axis, and so on."""

    def pooling(
        x: TensorLike,
        kernel_size: Extent,
        stride: Extent | None = None,
        padding: Extent = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: float | None = None,
    ) -> Tensor:
        if divisor_override == 0:
            raise ValueError(f"{name} got divisor_override=0: sums cannot be divided by it.")
        options: dict[str, Any] = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
        options |= {"count_include_pad": count_include_pad, "divisor": divisor_override}
        return pool(AvgPool, name, axes, x, kernel_size, **options)

    name, shapes = f"avg_pool{axes}d", _SHAPES[axes]
    return documented(
        pooling,
        name,
        f"""The mean of each window of `x` {shapes[0]}: a tensor {shapes[1]}; N may be left out.

        Along each axis P = (L + 2·padding − k)//stride + 1, L and k being the lengths of the input and the kernel; with
        `ceil_mode` the division rounds up, as long as the last window begins inside. kernel_size, stride (by default
        the kernel size) and padding are one integer or one per axis; the zeros of the padding count as entries unless
        `count_include_pad` is off. `divisor_override`, not 0, is what sums are divided by instead of the number of
        entries. Signature as in PyTorch.
        {_RAISES}""",
    )


def adaptive_pool(reduction: Callable[..., Tensor], kind: str, what: str, axes: int) -> Callable[..., Tensor]:
    """The public function for `axes` spatial axes, of windows reduced by `reduction`."""

    def pooling(x: TensorLike, output_size: int | Sequence[int | None] | None) -> Tensor:
        x = check_input(name, axes, x)
        sizes = tuple(output_size) if isinstance(output_size, Sequence) else (output_size,) * axes
        if len(sizes) != axes:
            raise ValueError(f"{name} got output_size={output_size!r}. Pass one number, or one for each axis.")
        for axis, size in enumerate(sizes, -axes):
            x = evenly(reduction, x, axis, name, x.shape[axis] if size is None else size)
        return x

    name, shapes = f"adaptive_{kind}_pool{axes}d", _SHAPES[axes]
    return documented(
        pooling,
        name,
        f"""The {what} of windows that cover `x` {shapes[0]} evenly: a tensor {shapes[1]}; N may be left out.

        `output_size` says how many windows there are along each axis: one number for all axes, or one for each, None
        being the axis's own length. Of P windows over the length L, window p begins at ⌊p·L/P⌋ and ends before
        ⌈(p + 1)·L/P⌉, as in PyTorch.

        Raises ValueError if `x` has other dimensions or no entries, or for less than one window; TypeError if `x` holds
        integers.
        """,
    )


_SHAPES = {
    1: ("(N, C, L)", "(N, C, P)"),
    2: ("(N, C, H, W)", "(N, C, P, Q)"),
    3: ("(N, C, D, H, W)", "(N, C, O, P, Q)"),
}
_RAISES = """
        Raises ValueError if `x` has other dimensions, the kernel is larger than the padded input, or padding exceeds
        half the kernel; TypeError if `x` holds integers.
        """

_INDICES = """With `return_indices` the result is a pair, the second an integer array of the same shape: where in the
        flattened spatial axes of `x` the largest value of each window is, the first of several."""

max_pool1d, max_pool2d, max_pool3d = map(max_pool, (1, 2, 3))
avg_pool1d, avg_pool2d, avg_pool3d = map(avg_pool, (1, 2, 3))
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = (
    adaptive_pool(mean, "avg", "means", axes) for axes in (1, 2, 3)
)


def adaptive_max_pool(axes: int) -> Callable[..., Any]:
    """`adaptive_max_pool1d` for one axis, and so on."""
    values = adaptive_pool(max, "max", "largest values", axes)

    def pooling(
        x: TensorLike, output_size: int | Sequence[int | None] | None, return_indices: bool = False
    ) -> Tensor | tuple[Tensor, Array]:
        y = values(x, output_size)
        return (y, adaptive_places(axes, as_array(raw(x)), y.shape)) if return_indices else y

    return documented(pooling, values.__name__, f"{values.__doc__}\n\n{cleandoc(_INDICES)}")


adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = map(adaptive_max_pool, (1, 2, 3))


def adaptive_places(axes: int, x: Array, shape: tuple[int, ...]) -> Array:
    """As `places`, of windows that cover the last `axes` of x evenly, `shape` being that of the result."""
    spatial = x.shape[-axes:]
    numbers = np.arange(math.prod(spatial)).reshape(spatial)
    along = [[slice(*e) for e in edges(n, count)] for n, count in zip(spatial, shape[-axes:], strict=True)]
    found = []
    for window in product(*along):
        key: Any = (..., *window)
        first = x[key].reshape(*x.shape[:-axes], -1).argmax(-1)
        found.append(numbers[key].reshape(-1)[first])
    return np.stack(found, -1).reshape(shape)


def edges(length: int, count: int) -> list[tuple[int, int]]:
    """Where `count` windows that cover an axis evenly begin and end."""
    return [(p * length // count, -(-(p + 1) * length // count)) for p in range(count)]


def evenly(reduction: Callable[..., Tensor], x: Tensor, axis: int, function: str, count: int) -> Tensor:
    """`reduction` of `count` windows that cover an axis evenly.

    Every window of several axes is a product of windows of one, so each axis can be pooled by itself.
    """
    length = x.shape[axis]
    if int(count) != count or count < 1 or length < 1:
        raise ValueError(
            f"{function} got {count} windows for an axis of length {length}: both must be integers of at least 1."
        )
    if count == 1:
        return reduction(x, axis, keepdims=True)
    if length % count == 0:
        shape = list(x.shape)
        shape[axis : x.ndim + axis + 1] = [count, length // count]
        return reduction(reshape(x, shape), axis)
    rest = (slice(None),) * (-axis - 1)
    parts = [x[(..., slice(begin, end), *rest)] for begin, end in edges(length, count)]
    return stack([reduction(part, axis) for part in parts], axis)


def places(axes: int, x: Array, y: Array, *extents: Any) -> Array:
    """For each entry of y, which `MaxPool` makes of x, the number of its place in the last `axes` of x, flattened."""
    at = windows("max_pool", (1, math.prod(x.shape[:-axes]), *x.shape[-axes:]), *extents)
    xp = at.frame(x.reshape(at.shape), -np.inf)
    numbers = at.frame(np.arange(math.prod(at.shape[2:])).reshape(1, 1, *at.shape[2:]), -1)
    best = y.reshape(at.shape[:2] + at.counts)
    found: Any = 0
    for window in at.slices[::-1]:
        largest = ((xp[window] == best) | np.isnan(xp[window])) & (numbers[window] >= 0)
        found = np.where(largest, numbers[window], found)
    indices: Array = found.reshape(y.shape)
    return indices


def check_input(function: str, axes: int, x: TensorLike) -> Tensor:
    """`x` as a tensor; raises ValueError or TypeError if it cannot be pooled."""
    x = x if isinstance(x, Tensor) else Tensor._of(as_array(x))
    if x.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"{function} takes an input of shape {_SHAPES[axes][0]}; got {x.shape}. Reshape it to {axes + 2} axes."
        )
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
    kernel = per_axis(function, "kernel_size", kernel_size, axes, 1)
    padding = per_axis(function, "padding", options["padding"], axes, 0)
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(
            f"{function} got padding={options['padding']} for kernel_size={kernel_size}: some windows would hold "
            "padding alone. Pad by at most half the kernel."
        )
    return rule.apply(x, kernel_size=kernel_size, **options)
