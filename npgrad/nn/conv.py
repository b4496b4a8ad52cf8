"""Convolutions (strictly: cross-correlations) over sequences, images and volumes, and their transposes."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from npgrad import functions as F
from npgrad.engine.tensor import Tensor
from npgrad.nn import init
from npgrad.nn.module import Module, Parameter

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

Extent = int | tuple[int, ...]
_CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


class _Convolution(Module):
    """A kernel, a bias and the options; subclasses say over how many axes, and what they do with them."""

    _axes: ClassVar[int]
    stride: Any
    padding: Any
    output_padding: Any = 0
    dilation: Any
    groups: int
    weight: Parameter
    bias: Parameter | None

    def _prepare(
        self,
        channels: int,
        out: int,
        kernel_size: Extent,
        bias: bool,
        rng: np.random.Generator | None,
        gain: float,
        dtype: DTypeLike,
        **options: Any,
    ) -> None:
        """Draw the kernel, of standard deviation gain/√(terms of the sum that an output is), and keep the options."""
        name, groups = type(self).__name__, options["groups"]
        kernel = tuple(kernel_size) if not isinstance(kernel_size, int | np.integer) else (kernel_size,) * self._axes
        if min(channels, out, *kernel) < 1:
            raise ValueError(
                f"{name} from {channels} to {out} channels with a window of {kernel}: all must be at least 1."
            )
        if groups < 1 or channels % groups or out % groups:
            raise ValueError(f"{name} from {channels} to {out} channels: groups={groups} must divide both.")
        rng = init.generator(rng, f"{name}({channels}, {out})")
        terms = channels // groups * math.prod(kernel)
        shape = (out, channels // groups, *kernel)
        if "output_padding" in options:
            # Of the stamps that reach an entry of the output there are kernel/stride along each axis.
            stride = options["stride"]
            strides = (stride,) * self._axes if isinstance(stride, int | np.integer) else stride
            terms = max(terms // math.prod(strides), 1)
            shape = (channels, out // groups, *kernel)
        self.in_channels, self.out_channels, self.kernel_size = channels, out, kernel
        for option, value in options.items():
            setattr(self, option, value)
        self.weight = Parameter(init.normal(shape, 0.0, gain / math.sqrt(terms), rng=rng, dtype=dtype))
        self.bias = Parameter(init.zeros(out, dtype=dtype)) if bias else None

    def extra_repr(self) -> str:
        kernel = self.kernel_size[0] if len(set(self.kernel_size)) == 1 else self.kernel_size
        defaults = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}
        values = {name: getattr(self, name) for name in defaults}
        changed = [f"{name}={value!r}" for name, value in values.items() if value != defaults[name]]
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={kernel}", *changed]
        return ", ".join(parts + ["bias=False"] * (self.bias is None))


class _Conv(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Extent,
        stride: Extent = 1,
        padding: Extent | str = 0,
        dilation: Extent = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        gain: float = 1.0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        self._prepare(in_channels, out_channels, kernel_size, bias, rng, gain, dtype, **options)

    def forward(self, x: Tensor) -> Tensor:
        options = (self.stride, self.padding, self.dilation, self.groups)
        return _CONVOLUTIONS[self._axes](x, self.weight, self.bias, *options)


class Conv1d(_Conv):
    """Convolve (N, C, L) or (C, L) with `weight` (F, C/groups, k) and add `bias` (F,): output (N, F, P).

    P = (L + 2·padding − dilation·(k − 1) − 1)//stride + 1; `padding="same"` gives P = L at stride 1. With `groups`,
    each group of channels makes its own F/groups outputs. Weights are drawn from N(0, (gain/√(C/groups·k))²), biases
    start at 0. Raises TypeError without a generator, ValueError if a size is not positive, groups do not divide the
    channels, or the input has other channels.
    """

    _axes = 1


class Conv2d(_Conv):
    """As `Conv1d` for images: (N, C, H, W) with `weight` (F, C/groups, kh, kw) gives (N, F, P, Q).

    Sizes are one number or (height, width). Weights are drawn from N(0, (gain/√(C/groups·kh·kw))²).
    """

    _axes = 2


class Conv3d(_Conv):
    """As `Conv1d` for volumes: (N, C, D, H, W) with `weight` (F, C/groups, kd, kh, kw) gives (N, F, O, P, Q)."""

    _axes = 3


class _ConvTranspose(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Extent,
        stride: Extent = 1,
        padding: Extent = 0,
        output_padding: Extent = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Extent = 1,
        *,
        rng: np.random.Generator | None = None,
        gain: float = 1.0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        options = {"stride": stride, "padding": padding, "output_padding": output_padding}
        options |= {"groups": groups, "dilation": dilation}
        self._prepare(in_channels, out_channels, kernel_size, bias, rng, gain, dtype, **options)

    def forward(self, x: Tensor) -> Tensor:
        options = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return _TRANSPOSED[self._axes](x, self.weight, self.bias, *options)


class ConvTranspose1d(_ConvTranspose):
    """The transpose of `Conv1d`: (N, C, L) or (C, L) with `weight` (C, F/groups, k) and `bias` (F,) gives (N, F, P).

    P = (L − 1)·stride − 2·padding + dilation·(k − 1) + output_padding + 1: a stride makes it longer. Weights are drawn
    such that inputs of variance 1 give outputs of variance gain² on average, biases start at 0. Raises TypeError
    without a generator, ValueError if a size is not positive, groups do not divide the channels, or the input has other
    channels.
    """

    _axes = 1


class ConvTranspose2d(_ConvTranspose):
    """As `ConvTranspose1d` for images: (N, C, H, W) with `weight` (C, F/groups, kh, kw) gives (N, F, P, Q)."""

    _axes = 2


class ConvTranspose3d(_ConvTranspose):
    """As `ConvTranspose1d` for volumes: (N, C, D, H, W) with (C, F/groups, kd, kh, kw) gives (N, F, O, P, Q)."""

    _axes = 3
