"""Cases for npgrad.functions.conv."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.case import Case, case


def drawn(rng: np.random.Generator, axes: int, bias: bool, plain: bool = False) -> Case:
    """A case over `axes` spatial axes; stride and padding are random, and integers instead of tuples if `plain`."""
    items, channels, filters = (int(n) for n in rng.integers(1, 4, size=3))
    kernel = tuple(int(n) for n in rng.integers(1, 4, size=axes))
    stride: Any = tuple(int(n) for n in rng.integers(1, 4, size=axes))
    padding: Any = tuple(int(n) for n in rng.integers(0, 3, size=axes))
    if plain:
        stride, padding = stride[0], padding[0]
    # Sizes at which the last window ends before the input does are among them.
    spatial = tuple(k + int(n) for k, n in zip(kernel, rng.integers(0, 4, size=axes), strict=True))

    def reference(torch: Any, x: Any, W: Any, b: Any) -> Any:
        convolve = torch.nn.functional.conv1d if axes == 1 else torch.nn.functional.conv2d
        return convolve(x, W, b, stride=stride, padding=padding)

    x, W = rng.normal(size=(items, channels, *spatial)), rng.normal(size=(filters, channels, *kernel))
    return Case((x, W, rng.normal(size=filters) if bias else None), {"stride": stride, "padding": padding}, reference)


@case("Conv")
def one_axis(rng: np.random.Generator) -> Case:
    return drawn(rng, 1, True, plain=True)


@case("Conv")
def two_axes(rng: np.random.Generator) -> Case:
    return drawn(rng, 2, True)


@case("Conv")
def without_bias(rng: np.random.Generator) -> Case:
    return drawn(rng, int(rng.integers(1, 3)), False, plain=True)


@case("Conv")
def groups_and_dilation(rng: np.random.Generator) -> Case:
    """Depthwise and other groups, kernels with gaps, and as many windows as entries."""
    axes, groups = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    options: dict[str, Any] = {"dilation": int(rng.integers(1, 3)), "groups": groups}
    same = rng.random() < 0.5
    options["padding"] = "same" if same else int(rng.integers(2, 4))
    # Where an odd number of zeros makes it the same, torch warns of a copy.
    kernel = tuple(int(rng.choice([1, 3] if same else [1, 2, 3])) for _ in range(axes))
    spatial = tuple(int(n) for n in rng.integers(1, 6, size=axes))
    channels, filters = (int(n) for n in rng.integers(1, 3, size=2))

    def reference(torch: Any, x: Any, W: Any, b: Any) -> Any:
        convolve = torch.nn.functional.conv1d if axes == 1 else torch.nn.functional.conv2d
        return convolve(x, W, b, **options)

    x, W = rng.normal(size=(2, groups * channels, *spatial)), rng.normal(size=(groups * filters, channels, *kernel))
    return Case((x, W, rng.normal(size=groups * filters)), options, reference)


@case("ConvTranspose")
def transposed(rng: np.random.Generator) -> Case:
    """Strides with every length they can lead to, gaps, groups, entries cut off."""
    axes, groups = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    stride = tuple(int(n) for n in rng.integers(1, 4, size=axes))
    dilation = tuple(int(n) for n in rng.integers(1, 3, size=axes))
    kernel = tuple(int(n) for n in rng.integers(1, 4, size=axes))
    spatial = tuple(int(n) for n in rng.integers(1, 4, size=axes))
    full = [(q - 1) * s + d * (k - 1) + 1 for q, s, d, k in zip(spatial, stride, dilation, kernel, strict=True)]
    options: dict[str, Any] = {
        "stride": stride,
        "padding": tuple(int(rng.integers(0, min(n - 1, 4) // 2 + 1)) for n in full),
        "output_padding": tuple(int(rng.integers(0, s)) for s in stride),
        "dilation": dilation,
        "groups": groups,
    }
    channels, filters = (int(n) for n in rng.integers(1, 4, size=2))

    def reference(torch: Any, x: Any, W: Any, b: Any = None) -> Any:
        name = "conv_transpose1d" if axes == 1 else "conv_transpose2d"
        return getattr(torch.nn.functional, name)(x, W, b, **options)

    x, W = rng.normal(size=(2, groups * channels, *spatial)), rng.normal(size=(groups * channels, filters, *kernel))
    return Case((x, W, rng.normal(size=groups * filters) if rng.random() < 0.7 else None), options, reference)
