"""Cases for npgrad.functions.pool."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.case import Case, case


def geometry(rng: np.random.Generator, axes: int, **more: bool) -> tuple[tuple[int, ...], dict[str, Any]]:
    """A shape, and kernel_size, stride and padding for it: overlapping windows, gaps between them, a rest left over."""
    kernel = tuple(int(n) for n in rng.integers(1, 4, size=axes))
    stride = tuple(int(n) for n in rng.integers(1, 4, size=axes)) if rng.random() < 0.7 else None
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    spatial = tuple(k + int(n) for k, n in zip(kernel, rng.integers(0, 4, size=axes), strict=True))
    shape = (int(rng.integers(1, 3)), int(rng.integers(1, 4)), *spatial)
    return shape, {"kernel_size": kernel, "stride": stride, "padding": padding, **more}


def apart(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Values that are all apart from each other: a tie is a kink."""
    return rng.permutation(int(np.prod(shape))).reshape(shape) * 0.1 - 0.5


@case("MaxPool")
def largest(rng: np.random.Generator) -> Case:
    shape, options = geometry(rng, 2)
    return Case((apart(rng, shape),), options, lambda torch, x: torch.nn.functional.max_pool2d(x, **options))


@case("MaxPool")
def largest_of_a_line(rng: np.random.Generator) -> Case:
    shape, options = geometry(rng, 1)
    return Case((apart(rng, shape),), options, lambda torch, x: torch.nn.functional.max_pool1d(x, **options))


@case("MaxPool")
def largest_with_gaps_and_rest(rng: np.random.Generator) -> Case:
    shape, options = geometry(rng, 2, ceil_mode=True)
    options["dilation"] = 2
    shape = (*shape[:2], *[n + k for n, k in zip(shape[2:], options["kernel_size"], strict=True)])
    return Case((apart(rng, shape),), options, lambda torch, x: torch.nn.functional.max_pool2d(x, **options))


@case("AvgPool")
def mean(rng: np.random.Generator) -> Case:
    shape, options = geometry(rng, 2)
    return Case((rng.normal(size=shape),), options, lambda torch, x: torch.nn.functional.avg_pool2d(x, **options))


@case("AvgPool")
def mean_of_a_line(rng: np.random.Generator) -> Case:
    shape, options = geometry(rng, 1)
    return Case((rng.normal(size=shape),), options, lambda torch, x: torch.nn.functional.avg_pool1d(x, **options))


@case("AvgPool")
def mean_with_rest(rng: np.random.Generator) -> Case:
    shape, options = geometry(rng, 2, ceil_mode=True, count_include_pad=bool(rng.integers(2)))
    return Case((rng.normal(size=shape),), options, lambda torch, x: torch.nn.functional.avg_pool2d(x, **options))
