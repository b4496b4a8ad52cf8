"""Convolutions (strictly: cross-correlations) over sequences and images."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from npgrad import functions as F
from npgrad.engine.tensor import Tensor
from npgrad.nn import init
from npgrad.nn.module import Module, Parameter

__all__ = ["Conv1d", "Conv2d"]


class Conv1d(Module):
    """Convolve (N, C, L) with `weight` (F, C, k) and add `bias` (F,): output (N, F, (L + 2·padding − k)//stride + 1).

    Weights are drawn from N(0, (gain/√(C·k))²), biases start at 0. Raises TypeError without a generator, ValueError if
    a size is not positive or the input has other channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        gain: float = 1.0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        shape = (out_channels, in_channels, kernel_size)
        self.stride, self.padding = stride, padding
        self.weight = _weight("Conv1d", shape, rng, gain, dtype)
        self.bias = Parameter(init.zeros(out_channels, dtype=dtype)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.conv1d(x, self.weight, self.bias, self.stride, self.padding)

    def extra_repr(self) -> str:
        return _describe(self.weight.shape, self.stride, self.padding, self.bias)


class Conv2d(Module):
    """Convolve (N, C, H, W) with `weight` (F, C, kh, kw) and add `bias` (F,); sizes are one number or (height, width).

    Output (N, F, P, Q) with P = (H + 2·padding − kh)//stride + 1, Q alike. Weights are drawn from
    N(0, (gain/√(C·kh·kw))²), biases start at 0. Raises TypeError without a generator, ValueError if a size is not
    positive or the input has other channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        gain: float = 1.0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
        self.stride, self.padding = stride, padding
        self.weight = _weight("Conv2d", (out_channels, in_channels, *kernel), rng, gain, dtype)
        self.bias = Parameter(init.zeros(out_channels, dtype=dtype)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def extra_repr(self) -> str:
        return _describe(self.weight.shape, self.stride, self.padding, self.bias)


def _weight(
    name: str, shape: tuple[int, ...], rng: np.random.Generator | None, gain: float, dtype: DTypeLike
) -> Parameter:
    out, channels, *kernel = shape
    if min(shape) < 1:
        raise ValueError(
            f"{name} from {channels} to {out} channels with a window of {tuple(kernel)}: all must be at least 1."
        )
    rng = init.generator(rng, f"{name}({channels}, {out})")
    return Parameter(init.normal(shape, 0.0, gain / math.sqrt(math.prod(shape[1:])), rng=rng, dtype=dtype))


def _describe(shape: tuple[int, ...], stride: object, padding: object, bias: Parameter | None) -> str:
    out, channels, *kernel = shape
    parts = [f"{channels}, {out}, kernel_size={kernel[0] if len(set(kernel)) == 1 else tuple(kernel)}"]
    parts += [f"stride={stride}"] * (stride != 1) + [f"padding={padding}"] * (padding != 0)
    return ", ".join(parts + ["bias=False"] * (bias is None))
