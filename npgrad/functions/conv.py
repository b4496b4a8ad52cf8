"""Convolution over one to three axes, by windows unfolded along the last and matrix products; and its transpose."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.shape import expand_dims, squeeze
from npgrad.functions.windows import Extent, documented, per_axis, windows

__all__ = [
    "Conv", "ConvTranspose", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
]  # fmt: skip


class Conv(Function):
    """Slide a kernel over the spatial axes: each output is the product of one window of the input with the kernel.

    The kernel's columns are unfolded: copies of x, one for each offset along the last axis, are laid side by side
    (cols). For each row of the kernel the products with all windows are then one matrix product, whose operand is a
    contiguous piece of cols. The backward pass is that of matrix products, followed by the transpose of the copying: an
    entry of x that lies in several windows receives the gradient of each of them.

    Case: one spatial axis
    Symbols
        x[i,c,t]       input: item i, channel c, position t
        W[f,c,s]       kernel: output channel f, input channel c, offset s
        b[f]           bias
        stride = 2     distance between neighbouring windows
        padding = 1    zeros on either side of x
        size(t) = 6    positions
        size(q) = (size(t) + 2*padding - size(s))//stride + 1
                       windows, as many as fit
    Forward
        (1) cols[i,c,s,q] = x[i,c,stride*q+s-padding]
        (2) y[i,f,q]      = sum((c,s), W[f,c,s]*cols[i,c,s,q]) + b[f]
    Backward
        (3) db[f]          = sum((i,q), dy[i,f,q])                  # b was copied to every window
        (4) dW[f,c,s]      = sum((i,q), dy[i,f,q]*cols[i,c,s,q])    # and the kernel was used by every window
        (5) dcols[i,c,s,q] = sum(f, W[f,c,s]*dy[i,f,q])             # a window is read by every output channel
        (6) dx[i,c,t]      = sum((s,q), delta(t, stride*q+s-padding)*dcols[i,c,s,q])
                           # (1) copied position t to offset s of every window q with t = stride*q + s - padding

    Case: two spatial axes
    Symbols
        x[i,c,t,u]          input: item i, channel c, row t, column u
        W[f,c,r,s]          kernel: output channel f, input channel c, offsets r and s
        b[f]                bias
        stride = (2, 1)     distance between neighbouring windows along each axis
        padding = (1, 0)    zeros above and below x, and left and right of it
        size(t) = 4         rows
        size(u) = 3         columns
        size(h) = 6         rows with the padding: 4 + 2
        size(r) = 3         rows of the kernel
        size(s) = 2         columns of the kernel
        size(p) = 2         windows along the rows: (6 - 3)//2 + 1
        size(q) = 2         windows along the columns: 3 - 2 + 1
    Forward
        (1) cols[i,c,s,h,q] = x[i,c,h-1,q+s]
        (2) y[i,f,p,q]      = sum((c,r,s), W[f,c,r,s]*cols[i,c,s,2*p+r,q]) + b[f]
    Backward
        (3) db[f]            = sum((i,p,q), dy[i,f,p,q])
        (4) dW[f,c,r,s]      = sum((i,p,q), dy[i,f,p,q]*cols[i,c,s,2*p+r,q])
        (5) dcols[i,c,s,h,q] = sum((f,r,p), delta(h, 2*p+r)*W[f,c,r,s]*dy[i,f,p,q])
        (6) dx[i,c,t,u]      = sum((s,h,q), delta(t, h-1)*delta(u, q+s)*dcols[i,c,s,h,q])
    Notes
        Like every library that calls it convolution, this is a cross-correlation: the kernel is not flipped.

        A place outside x reads as 0 in (1), which is what padding is: the code copies x into a frame of zeros, and cuts
        the frame off after (6).

        At stride 1 the rows p+r of cols for a fixed r follow one another, so that all windows are one matrix as they
        lie; the sums over r in (2) and (5) are a loop. Unfolding the rows too (im2col) makes one larger product of it,
        at the price of a copy of x for every offset instead of one for every column: for 16 channels of 32×32 that
        takes 1.7 to 3 times as long, for a single channel four fifths.

        For a fixed offset, (1) reads one strided slice of x and (6) adds to the same slice. Offsets overlap each other,
        windows at one offset do not, so the loop over the offsets is all it takes to add up overlaps correctly.

        Each item has its own products, so that y and dy keep their layout: rearranging them for one product over the
        batch costs more than it gains. (4) is taken transposed, cols times the transposed dy, because dy is the smaller
        one to read against the grain. With `groups` each group of channels has products of its own as well. Dilation
        multiplies the offsets r and s wherever they are added to a position.

        Source of the layout: Chellapilla, Puri & Simard 2006, "High performance convolutional neural networks for
        document processing", section 4; of unfolding one axis alone: Cho & Brand 2017, "MEC: memory-efficient
        convolution for deep neural network", arXiv:1706.06873.
    """

    def forward(
        self,
        x: Array,
        W: Array,
        b: Array | None = None,
        stride: Extent = 1,
        padding: Extent | str = 0,
        dilation: Extent = 1,
        groups: int = 1,
    ) -> Array:
        at = self.at = windows("conv", x.shape, W.shape[2:], stride, padding, dilation)
        items, filters, channels, width = len(x), len(W), W.shape[1], at.kernel[-1]
        xp = at.frame(x)
        cols = np.empty_like(x, shape=(*x.shape[:2], width, *at.padded[:-1], at.counts[-1]))
        for s, column in enumerate(at.along[-1]):
            cols[:, :, s] = xp[..., column]  # (1)
        # One matrix for each row of the kernel, with a row per channel and column, and a column per window.
        self.rows: list[Any] = [(..., *offset, slice(None)) for offset in product(*at.along[:-1])]
        self.matrices = [cols[row].reshape(items, groups, channels * width, prod(at.counts)) for row in self.rows]
        kernels = W.reshape(groups, filters // groups, channels, len(self.rows), width).transpose(3, 0, 1, 2, 4)
        self.kernels = kernels.reshape(len(self.rows), groups, filters // groups, channels * width)
        y: Array = self.kernels[0] @ self.matrices[0]
        for r in range(1, len(self.rows)):
            y += self.kernels[r] @ self.matrices[r]
        y = y.reshape(items, filters, prod(at.counts))
        if b is not None:
            y = y + b[:, None]  # (2)
        self.cols_shape, self.W_shape = cols.shape, W.shape
        return y.reshape(items, filters, *at.counts)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None, Array | None]:
        at, kernels, matrices = self.at, self.kernels, self.matrices
        dx: Array | None = None
        dW: Array | None = None
        db: Array | None = None
        items, channels, width = self.cols_shape[:3]
        rows, groups, filters, _ = kernels.shape
        dy = dy.reshape(items, groups, filters, prod(at.counts))
        if self.needs[2]:
            db = np.add.reduce(dy, axis=(0, 3)).reshape(groups * filters)  # (3)
        if self.needs[1]:
            dyT = dy.transpose(0, 1, 3, 2)
            sums = [np.add.reduce(matrix @ dyT, axis=0) for matrix in matrices]
            dW = sums[0] if rows == 1 else np.stack(sums)
            dW = dW.reshape(rows, groups, channels // groups, width, filters).transpose(1, 4, 2, 0, 3)
            dW = dW.reshape(self.W_shape)  # (4)
        if self.needs[0]:
            parts = (items, channels, width, *at.counts)
            if parts == self.cols_shape:
                dcols = (kernels[0].transpose(0, 2, 1) @ dy).reshape(parts)  # (5)
            else:
                dcols = np.zeros_like(dy, shape=self.cols_shape)
                for r, row in enumerate(self.rows):
                    dcols[row] += (kernels[r].transpose(0, 2, 1) @ dy).reshape(parts)  # (5)
            dx = np.zeros_like(dy, shape=(items, channels, *at.padded))
            for s, column in enumerate(at.along[-1]):
                dx[..., column] += dcols[:, :, s]
            dx = at.inside(dx)  # (6)
        return dx, dW, db


class ConvTranspose(Function):
    """The transpose of a convolution: each entry of x stamps the kernel, times itself, onto the output.

    What the backward pass of `Conv` does to its dy, this does to x, and the other way round: (2) is equation (6) there,
    and (4) is equation (1). So a stride, which makes a convolution's output smaller, makes this one's larger.

    Symbols
        x[i,c,q]                input: item i, channel c, place q
        W[c,f,s]                kernel: input channel c, output channel f, offset s
        b[f]                    bias
        stride = 2              distance between neighbouring stamps
        padding = 1             entries cut off at either end
        output_padding = 1      entries added at the end, to choose among the lengths that would give x
        size(q) = 3             places
        size(t) = (size(q) - 1)*stride + size(s) - 2*padding + output_padding
                                positions of the output
    Forward
        (1) parts[i,f,s,q] = sum(c, W[c,f,s]*x[i,c,q])
        (2) y[i,f,t]       = sum((s,q), delta(t, stride*q+s-padding)*parts[i,f,s,q]) + b[f]
    Backward
        (3) db[f]            = sum((i,t), dy[i,f,t])                     # b was copied to every position
        (4) dparts[i,f,s,q]  = dy[i,f,stride*q+s-padding]                # a stamp's entry went to one position
        (5) dW[c,f,s]        = sum((i,q), x[i,c,q]*dparts[i,f,s,q])
        (6) dx[i,c,q]        = sum((f,s), W[c,f,s]*dparts[i,f,s,q])
    Notes
        The derivation shows one spatial axis; the code takes any number of them, s then running over all offsets of the
        kernel. With `groups` each group of channels has a product of its own; dilation multiplies the offsets.

        Also called deconvolution (Zeiler et al. 2010), which it is not: it undoes the change of shape and no more.
    """

    def forward(
        self,
        x: Array,
        W: Array,
        b: Array | None = None,
        stride: Extent = 1,
        padding: Extent = 0,
        output_padding: Extent = 0,
        dilation: Extent = 1,
        groups: int = 1,
    ) -> Array:
        items, channels, *places = x.shape
        filters = W.shape[1]
        shape = transposed(x.shape, W.shape, stride, padding, output_padding, dilation, groups)
        at = self.at = windows("conv_transpose", shape, W.shape[2:], stride, padding, dilation)
        self.stamps = at.first(tuple(places))  # more would fit where output_padding reaches beyond the stride
        offsets = len(self.stamps)
        self.x = x.reshape(items, groups, channels // groups, prod(places))
        self.W = W.reshape(groups, channels // groups, filters * offsets)
        self.parts_shape = (items, groups * filters, offsets, *places)
        parts = (self.W.transpose(0, 2, 1) @ self.x).reshape(self.parts_shape)  # (1)
        yp = np.zeros_like(parts, shape=(*shape[:2], *at.padded))
        for s, window in enumerate(self.stamps):
            yp[window] += parts[:, :, s]
        y = at.inside(yp)
        if b is not None:
            y = y + b.reshape(-1, *[1] * len(places))  # (2)
        self.x_shape, self.W_shape = x.shape, W.shape
        return y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None, Array | None]:
        at, x, W = self.at, self.x, self.W
        dx = dW = db = None
        if self.needs[2]:
            db = np.add.reduce(dy, axis=(0, *range(2, dy.ndim)))  # (3)
        if self.needs[0] or self.needs[1]:
            dyp = at.frame(dy)
            dparts = np.empty_like(dy, shape=self.parts_shape)
            for s, window in enumerate(self.stamps):
                dparts[:, :, s] = dyp[window]  # (4)
            dstamps = dparts.reshape(len(dy), len(W), W.shape[2], x.shape[3])
            if self.needs[1]:
                dW = np.add.reduce(x @ dstamps.transpose(0, 1, 3, 2), axis=0).reshape(self.W_shape)  # (5)
            if self.needs[0]:
                dx = (W @ dstamps).reshape(self.x_shape)  # (6)
        return dx, dW, db


def transposed(
    x: tuple[int, ...],
    W: tuple[int, ...],
    stride: Extent,
    padding: Extent,
    output_padding: Extent,
    dilation: Extent,
    groups: int,
) -> tuple[int, ...]:
    """The shape of the result. Raises ValueError if a number is out of its range, or if nothing is left."""
    function, axes = "conv_transpose", len(x) - 2
    strides = per_axis(function, "stride", stride, axes, 1)
    paddings = per_axis(function, "padding", padding, axes, 0)
    more = per_axis(function, "output_padding", output_padding, axes, 0)
    gaps = per_axis(function, "dilation", dilation, axes, 1)
    if any(o >= max(s, d) for o, s, d in zip(more, strides, gaps, strict=True)):
        raise ValueError(
            f"{function} got output_padding={output_padding} for stride={stride} and dilation={dilation}: it must be "
            "smaller than one of them. It chooses among the lengths that a convolution maps to the same one."
        )
    spatial = [
        (q - 1) * s + d * (k - 1) + 1 - 2 * p + o
        for q, k, s, p, o, d in zip(x[2:], W[2:], strides, paddings, more, gaps, strict=True)
    ]
    if min(spatial) < 1:
        raise ValueError(
            f"{function} of an input of shape {x} with a kernel of shape {W[2:]} and padding={padding} leaves nothing: "
            f"shape {tuple(spatial)}. Use less padding."
        )
    return (x[0], W[1] * groups, *spatial)


_LENGTHS = {1: "L", 2: "H, W", 3: "D, H, W"}
_KERNELS = {1: "k", 2: "kh, kw", 3: "kd, kh, kw"}
_OUTPUTS = {1: "P", 2: "P, Q", 3: "O, P, Q"}
_CONVOLUTION = """
    Convolve `x` (N, C, {L}) with `weight` (F, C/groups, {k}): a tensor (N, F, {P}).

    Each output axis has P = (L + 2·padding − dilation·(k − 1) − 1)//stride + 1 places, L and k being the lengths of the
    input and the kernel along it; stride, padding and dilation are one integer or one per axis, and padding="same"
    gives P = L at stride 1. `bias` has shape (F,). With `groups`, the channels are cut into so many groups, and each
    F/groups of the outputs read one of them. An input without a batch axis gives (F, {P}). Layout and signature as in
    PyTorch.

    Raises ValueError if shapes do not fit each other or the kernel is larger than the padded input.
    """
_TRANSPOSED = """
    The transpose of `conv{axes}d`: `x` (N, C, {L}) with `weight` (C, F/groups, {k}) gives a tensor (N, F, {P}).

    Each output axis has P = (L − 1)·stride − 2·padding + dilation·(k − 1) + output_padding + 1 places, L and k being
    the lengths of the input and the kernel along it; options are one integer or one per axis, and output_padding must
    be less than the stride or the dilation. `bias` has shape (F,). An input without a batch axis gives (F, {P}). Layout
    and signature as in PyTorch.

    Raises ValueError if shapes do not fit each other, or nothing is left of the output.
    """


def convolution(axes: int) -> Callable[..., Tensor]:
    """`conv1d` for one axis, and so on."""

    def conv(
        x: TensorLike,
        weight: TensorLike,
        bias: TensorLike | None = None,
        stride: Extent = 1,
        padding: Extent | str = 0,
        dilation: Extent = 1,
        groups: int = 1,
    ) -> Tensor:
        return convolve(name, axes, x, weight, bias, groups, stride=stride, padding=padding, dilation=dilation)

    name = f"conv{axes}d"
    return documented(conv, name, _CONVOLUTION.format(L=_LENGTHS[axes], k=_KERNELS[axes], P=_OUTPUTS[axes]))


def transposed_convolution(axes: int) -> Callable[..., Tensor]:
    """`conv_transpose1d` for one axis, and so on."""

    def conv(
        x: TensorLike,
        weight: TensorLike,
        bias: TensorLike | None = None,
        stride: Extent = 1,
        padding: Extent = 0,
        output_padding: Extent = 0,
        groups: int = 1,
        dilation: Extent = 1,
    ) -> Tensor:
        options = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        return convolve(name, axes, x, weight, bias, groups, **options)

    name, letters = f"conv_transpose{axes}d", {"L": _LENGTHS[axes], "k": _KERNELS[axes], "P": _OUTPUTS[axes]}
    return documented(conv, name, _TRANSPOSED.format(axes=axes, **letters))


conv1d, conv2d, conv3d = map(convolution, (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = map(transposed_convolution, (1, 2, 3))


def convolve(
    function: str,
    axes: int,
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None,
    groups: int,
    **options: Any,
) -> Tensor:
    """The convolution, or the transposed one, if the shapes of its inputs fit each other."""
    shape, kernel = np.shape(raw(x)), np.shape(raw(weight))
    turned = function.startswith("conv_transpose")
    layout = f"(N, C, {_LENGTHS[axes]})", f"({'C, F' if turned else 'F, C'}, {_KERNELS[axes]})"
    if len(shape) not in (1 + axes, 2 + axes) or len(kernel) != 2 + axes:
        raise ValueError(
            f"{function} takes an input of shape {layout[0]} and a weight of shape {layout[1]}; "
            f"got {shape} and {kernel}. Reshape them, or use the convolution for that many axes."
        )
    if len(shape) == 1 + axes:
        return squeeze(convolve(function, axes, expand_dims(x, 0), weight, bias, groups, **options), 0)
    outputs = kernel[1] * groups if turned else kernel[0]
    if groups < 1 or outputs % groups or shape[1] % groups:
        raise ValueError(
            f"{function} got groups={groups} for {shape[1]} input and {outputs} output channels. "
            "It must be at least 1 and divide both."
        )
    if turned and shape[1] != kernel[0]:
        raise ValueError(
            f"{function} got an input with {shape[1]} channels (shape {shape}) and a weight for {kernel[0]} "
            f"(shape {kernel}). Axis 1 of the input and axis 0 of the weight must agree."
        )
    if not turned and shape[1] != kernel[1] * groups:
        raise ValueError(
            f"{function} got an input with {shape[1]} channels (shape {shape}) and a weight for {kernel[1]} "
            f"(shape {kernel})"
            + (". Axis 1 of both must agree." if groups == 1 else f" in each of {groups} groups. They must multiply.")
        )
    if bias is not None and np.shape(raw(bias)) != (outputs,):
        raise ValueError(
            f"{function} got a bias of shape {np.shape(raw(bias))} for {outputs} output channels. "
            f"Give it the shape ({outputs},), or leave it out."
        )
    if turned:
        return ConvTranspose.apply(x, weight, bias, groups=groups, **options)
    return Conv.apply(x, weight, bias, groups=groups, **options)
