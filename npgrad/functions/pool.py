"""Pooling: the largest or the mean value of each window."""

from __future__ import annotations

import numpy as np

from npgrad.engine.function import Function
from npgrad.functions.windows import Extent, windows
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor, TensorLike

__all__ = ["AvgPool", "MaxPool", "avg_pool2d", "max_pool2d"]


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

        The code asks for (2) as "not less than": the two differ for nan alone. A window that holds a nan has the value
        nan, and shares its gradient among all its entries. Padding has the value -inf, which never wins against a
        number.
    """

    xp: Array
    y: Array
    mask: Array
    share: Array
    t: Array
    dxp: Array

    def forward(self, x: Array, kernel_size: Extent, stride: Extent | None = None, padding: Extent = 0) -> Array:
        at = self.at = windows("max_pool", x.shape, kernel_size, kernel_size if stride is None else stride, padding)
        if any(at.padding):
            x = self.xp = at.pad(x, self.xp, fill=-np.inf)
        if self.y is None:
            self.y = np.empty((*x.shape[:2], *at.counts), x.dtype)
        self.x, y = x, self.y
        y[...] = x[at.slices[0]]
        for window in at.slices[1:]:
            np.maximum(y, x[window], out=y)  # (1)
        return y

    def backward(self, dy: Array) -> Array:
        # Real parts, for the verification in complex numbers; of a real array this is the array itself.
        at, x, y = self.at, self.x.real, self.y.real
        if self.dxp is None:
            self.mask = np.empty((len(at.slices), *y.shape), bool)
            self.dxp = np.empty(x.shape, dy.dtype)
        mask, dx = self.mask, self.dxp
        for r, window in enumerate(at.slices):
            np.less(x[window], y, out=mask[r])
        np.logical_not(mask, out=mask)  # (2)
        self.t = np.add.reduce(mask, axis=0, dtype=y.dtype, out=self.t)
        share = self.share = np.divide(dy, self.t, out=self.share)  # (3)
        dx.fill(0.0)
        for r, window in enumerate(at.slices):
            dx[window] += share * mask[r]  # (4)
        return dx[at.interior] if any(at.padding) else dx


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
        the kernel. Padding is zeros, which count as entries of their windows (PyTorch's count_include_pad=True).
    """

    xp: Array
    y: Array
    share: Array
    dxp: Array

    def forward(self, x: Array, kernel_size: Extent, stride: Extent | None = None, padding: Extent = 0) -> Array:
        at = self.at = windows("avg_pool", x.shape, kernel_size, kernel_size if stride is None else stride, padding)
        if any(at.padding):
            x = self.xp = at.pad(x, self.xp)
        if self.y is None:
            self.y = np.empty((*x.shape[:2], *at.counts), x.dtype)
        self.n, y = len(at.slices), self.y
        y[...] = x[at.slices[0]]
        for window in at.slices[1:]:
            y += x[window]
        y /= self.n  # (1)
        return y

    def backward(self, dy: Array) -> Array:
        at = self.at
        if self.dxp is None:
            self.dxp = np.empty((*dy.shape[:2], *at.padded), dy.dtype)
        dx = self.dxp
        share = self.share = np.divide(dy, self.n, out=self.share)  # (2)
        dx.fill(0.0)
        for window in at.slices:
            dx[window] += share  # (3)
        return dx[at.interior] if any(at.padding) else dx


def max_pool2d(x: TensorLike, kernel_size: Extent, stride: Extent | None = None, padding: Extent = 0) -> Tensor:
    """The largest value of each window of `x` (N, C, H, W): a tensor (N, C, P, Q).

    Along the rows P = (H + 2·padding − kh)//stride + 1, and Q likewise along the columns. kernel_size, stride (by
    default the kernel size) and padding are one integer or a pair. Several largest entries of a window share its
    gradient equally (PyTorch: the first takes it). Signature as in PyTorch, without dilation.

    Raises ValueError if `x` is not 4-dimensional, the kernel is larger than the padded input, or padding exceeds half
    the kernel; TypeError if `x` holds integers.
    """
    return MaxPool.apply(
        checked("max_pool2d", x, kernel_size, padding), kernel_size=kernel_size, stride=stride, padding=padding
    )


def avg_pool2d(x: TensorLike, kernel_size: Extent, stride: Extent | None = None, padding: Extent = 0) -> Tensor:
    """The mean of each window of `x` (N, C, H, W): a tensor (N, C, P, Q).

    Along the rows P = (H + 2·padding − kh)//stride + 1, and Q likewise along the columns. kernel_size, stride (by
    default the kernel size) and padding are one integer or a pair; the zeros of the padding count as entries. Signature
    as in PyTorch.

    Raises ValueError if `x` is not 4-dimensional, the kernel is larger than the padded input, or padding exceeds half
    the kernel; TypeError if `x` holds integers.
    """
    return AvgPool.apply(
        checked("avg_pool2d", x, kernel_size, padding), kernel_size=kernel_size, stride=stride, padding=padding
    )


def checked(function: str, x: TensorLike, kernel_size: Extent, padding: Extent) -> Tensor | Array:
    """`x` as a tensor or an array, if it can be pooled."""
    x = x if isinstance(x, Tensor) else np.asarray(x)
    if x.ndim != 4:
        raise ValueError(f"{function} takes an input of shape (N, C, H, W); got {x.shape}. Reshape it to four axes.")
    if x.dtype.kind in "biu":
        raise TypeError(
            f"{function} pools floating-point numbers; got {x.dtype}. Convert with .astype(np.float32) first."
        )
    if np.any(np.multiply(padding, 2) > np.asarray(kernel_size)):
        raise ValueError(
            f"{function} got padding={padding} for kernel_size={kernel_size}: some windows would hold padding alone. "
            "Pad by at most half the kernel."
        )
    return x
