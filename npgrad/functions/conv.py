"""Convolution over one or two axes, as a matrix product with the unfolded windows (im2col)."""

from __future__ import annotations

from math import prod

import numpy as np

from npgrad.engine.function import Function
from npgrad.functions.windows import Extent, windows
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor, TensorLike, raw

__all__ = ["Conv", "conv1d", "conv2d"]


class Conv(Function):
    """Slide a kernel over the spatial axes: each output is the product of one window of the input with the kernel.

    Copying the windows side by side (cols) turns the whole into one matrix product, and then the backward pass is that
    of a matrix product, followed by the transpose of the copying: an entry of x that lies in several windows receives
    the gradient of each of them.

    Case: one spatial axis
    Symbols
        x[i,c,t]       input: item i, channel c, position t
        W[f,c,r]       kernel: output channel f, input channel c, offset r
        b[f]           bias
        stride = 2     distance between neighbouring windows
        padding = 1    zeros on either side of x
        size(t) = 6    positions
        size(p) = (size(t) + 2*padding - size(r))//stride + 1
                       windows, as many as fit
    Forward
        (1) cols[i,c,r,p] = x[i,c,stride*p+r-padding]
        (2) y[i,f,p]      = sum((c,r), W[f,c,r]*cols[i,c,r,p]) + b[f]
    Backward
        (3) db[f]          = sum((i,p), dy[i,f,p])                  # b was copied to every window
        (4) dW[f,c,r]      = sum((i,p), dy[i,f,p]*cols[i,c,r,p])    # and the kernel was used by every window
        (5) dcols[i,c,r,p] = sum(f, W[f,c,r]*dy[i,f,p])             # a window is read by every output channel
        (6) dx[i,c,t]      = sum((r,p), delta(t, stride*p+r-padding)*dcols[i,c,r,p])
                           # (1) copied position t to offset r of every window p with t = stride*p + r - padding

    Case: two spatial axes
    Symbols
        x[i,c,t,u]          input: item i, channel c, row t, column u
        W[f,c,r,s]          kernel: output channel f, input channel c, offsets r and s
        b[f]                bias
        stride = (2, 1)     distance between neighbouring windows along each axis
        padding = (1, 0)    zeros above and below x, and left and right of it
        size(t) = 4         rows
        size(u) = 3         columns
        size(r) = 3         rows of the kernel
        size(s) = 2         columns of the kernel
        size(p) = 2         windows along the rows: (4 + 2 - 3)//2 + 1
        size(q) = 2         windows along the columns: 3 - 2 + 1
    Forward
        (1) cols[i,c,r,s,p,q] = x[i,c,2*p+r-1,q+s]
        (2) y[i,f,p,q]        = sum((c,r,s), W[f,c,r,s]*cols[i,c,r,s,p,q]) + b[f]
    Backward
        (3) db[f]              = sum((i,p,q), dy[i,f,p,q])
        (4) dW[f,c,r,s]        = sum((i,p,q), dy[i,f,p,q]*cols[i,c,r,s,p,q])
        (5) dcols[i,c,r,s,p,q] = sum(f, W[f,c,r,s]*dy[i,f,p,q])
        (6) dx[i,c,t,u]        = sum((r,s,p,q), delta(t, 2*p+r-1)*delta(u, q+s)*dcols[i,c,r,s,p,q])
    Notes
        Like every library that calls it convolution, this is a cross-correlation: the kernel is not flipped.

        For a fixed offset r, (1) reads one strided slice of x and (6) adds to the same slice. Offsets overlap each
        other, windows at one offset do not, so the loop over the offsets is all it takes to add up overlaps correctly.

        A place outside x reads as 0 in (1), which is what padding is: the code copies x into a frame of zeros, and cuts
        the frame off after (6).

        Each item has its own product in (2), (4) and (5), so that y and dy keep their layout: rearranging them for one
        product over the batch costs more than it gains. (4) is taken transposed, cols times the transposed dy, because
        dy is the smaller one to read against the grain.

        Source of the layout: Chellapilla, Puri & Simard 2006, "High performance convolutional neural networks for
        document processing", section 4.
    """

    xp: Array
    cols: Array
    y: Array
    dxp: Array
    dcols: Array
    dWs: Array
    dW: Array
    db: Array

    def forward(self, x: Array, W: Array, b: Array | None = None, stride: Extent = 1, padding: Extent = 0) -> Array:
        at = self.at = windows("conv", x.shape, W.shape[2:], stride, padding)
        items, channels, filters = x.shape[0], x.shape[1], W.shape[0]
        self.W = W
        if self.y is None:
            self.cols = np.empty((items, channels, len(at.slices), *at.counts), x.dtype)
            # Of the dtype that NumPy gives inputs of different ones together, which that of x may be too narrow for.
            dtype = np.result_type(*[a for a in (x, W, b) if a is not None])
            self.y = np.empty((items, filters, prod(at.counts)), dtype)
        if any(at.padding):
            x = self.xp = at.pad(x, self.xp)
        cols = self.cols
        for r, window in enumerate(at.slices):
            cols[:, :, r] = x[window]  # (1)
        y = np.matmul(W.reshape(filters, prod(W.shape[1:])), self.matrices(cols), out=self.y)
        if b is not None:
            y += b[:, None]  # (2)
        return y.reshape(items, filters, *at.counts)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None, Array | None]:
        W, cols, at = self.W, self.cols, self.at
        items, channels, filters = cols.shape[0], cols.shape[1], W.shape[0]
        dy = dy.reshape(self.y.shape)
        if self.needs[2]:
            self.db = np.add.reduce(dy, axis=(0, 2), out=self.db)  # (3)
        if self.needs[1]:
            if self.dW is None:
                self.dW = np.empty(W.shape, dy.dtype)
            self.dWs = np.matmul(self.matrices(cols), dy.transpose(0, 2, 1), out=self.dWs)
            np.add.reduce(self.dWs, axis=0, out=self.dW.reshape(filters, prod(W.shape[1:])).T)  # (4)
        if not self.needs[0]:
            return None, self.dW, self.db
        if self.dxp is None:
            self.dcols = np.empty(cols.shape, dy.dtype)
            self.dxp = np.empty((items, channels, *at.padded), dy.dtype)
        dcols, dx = self.dcols, self.dxp
        np.matmul(W.reshape(filters, prod(W.shape[1:])).T, dy, out=self.matrices(dcols))  # (5)
        dx.fill(0.0)
        for r, window in enumerate(at.slices):
            dx[window] += dcols[:, :, r]  # (6)
        return (dx[at.interior] if any(at.padding) else dx), self.dW, self.db

    @staticmethod
    def matrices(cols: Array) -> Array:
        """cols as one matrix per item: a row per input channel and offset, a column per window."""
        return cols.reshape(cols.shape[0], cols.shape[1] * cols.shape[2], prod(cols.shape[3:]))


def conv1d(
    x: TensorLike, weight: TensorLike, bias: TensorLike | None = None, stride: int = 1, padding: int = 0
) -> Tensor:
    """Convolve `x` (N, C, L) with `weight` (F, C, k): a tensor (N, F, (L + 2·padding − k)//stride + 1).

    `bias` has shape (F,). Layout and signature as in PyTorch, without dilation and groups.

    Raises ValueError if shapes do not fit each other or the kernel is larger than the padded input.
    """
    return Conv.apply(*checked("conv1d", 1, x, weight, bias), stride=stride, padding=padding)


def conv2d(
    x: TensorLike, weight: TensorLike, bias: TensorLike | None = None, stride: Extent = 1, padding: Extent = 0
) -> Tensor:
    """Convolve `x` (N, C, H, W) with `weight` (F, C, kh, kw): a tensor (N, F, P, Q).

    Along the rows P = (H + 2·padding − kh)//stride + 1, and Q likewise along the columns. `bias` has shape (F,); stride
    and padding are one integer or a pair. Layout and signature as in PyTorch, without dilation and groups.

    Raises ValueError if shapes do not fit each other or the kernel is larger than the padded input.
    """
    return Conv.apply(*checked("conv2d", 2, x, weight, bias), stride=stride, padding=padding)


def checked(
    function: str, axes: int, x: TensorLike, weight: TensorLike, bias: TensorLike | None
) -> tuple[TensorLike, TensorLike, TensorLike | None]:
    """The three inputs, if their shapes fit each other."""
    shape, kernel = np.shape(raw(x)), np.shape(raw(weight))
    layout = ("(N, C, L)", "(F, C, k)") if axes == 1 else ("(N, C, H, W)", "(F, C, kh, kw)")
    if len(shape) != 2 + axes or len(kernel) != 2 + axes:
        raise ValueError(
            f"{function} takes an input of shape {layout[0]} and a weight of shape {layout[1]}; "
            f"got {shape} and {kernel}. Reshape them, or use the convolution for that many axes."
        )
    if shape[1] != kernel[1]:
        raise ValueError(
            f"{function} got an input with {shape[1]} channels (shape {shape}) and a weight for {kernel[1]} "
            f"(shape {kernel}). Axis 1 of both must agree."
        )
    if bias is not None and np.shape(raw(bias)) != kernel[:1]:
        raise ValueError(
            f"{function} got a bias of shape {np.shape(raw(bias))} for {kernel[0]} output channels. "
            f"Give it the shape ({kernel[0]},), or leave it out."
        )
    return x, weight, bias
