"""Cases for npgrad.functions.reduction."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.case import Case, case
from npgrad.check.cases.arithmetic import shape_of


def axes_of(rng: np.random.Generator, ndim: int) -> int | tuple[int, ...] | None:
    """None, an axis, a negative axis, or several."""
    if ndim == 0 or rng.random() < 0.2:
        return None
    if rng.random() < 0.5:
        return int(rng.integers(-ndim, ndim))
    chosen = rng.permutation(ndim)[: int(rng.integers(1, ndim + 1))]
    return tuple(int(a) - ndim * int(rng.integers(2)) for a in chosen)


def options_of(rng: np.random.Generator, x: np.ndarray[Any, Any]) -> tuple[dict[str, Any], tuple[int, ...], bool]:
    """The options of a reduction of x, and torch's: every axis by number, and keepdim."""
    axis, keepdims = axes_of(rng, x.ndim), bool(rng.random() < 0.5)
    every = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return {"axis": axis, "keepdims": keepdims}, every, keepdims


def apart(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Numbers of which no two are closer than 0.01, so that no reduction is near a tie."""
    n = int(np.prod(shape))
    return (0.1 * rng.permutation(n) + rng.uniform(0, 0.09, size=n) - 0.05 * n).reshape(shape)


@case("Sum")
def sum_(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, most=4))
    options, axes, keep = options_of(rng, x)
    return Case((x,), options, lambda torch, x: x.sum(axes, keepdim=keep) if axes else x * 1.0)


@case("Mean")
def mean(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, most=4))
    options, axes, keep = options_of(rng, x)
    return Case((x,), options, lambda torch, x: x.mean(axes, keepdim=keep) if axes else x * 1.0)


def spread(rng: np.random.Generator) -> tuple[np.ndarray[Any, Any], dict[str, Any], tuple[int, ...], bool]:
    """Input and options for a variance: at least two numbers in each, with distinct values."""
    x = 3 + apart(rng, tuple(int(n) for n in rng.integers(2, 5, size=rng.integers(1, 4))))
    options, axes, keep = options_of(rng, x)
    options["ddof"] = int(rng.integers(2))
    return x, options, axes, keep


@case("Var")
def var(rng: np.random.Generator) -> Case:
    x, options, axes, keep = spread(rng)
    return Case((x,), options, lambda torch, x: x.var(axes, correction=options["ddof"], keepdim=keep))


@case("Std")
def std(rng: np.random.Generator) -> Case:
    x, options, axes, keep = spread(rng)
    return Case((x,), options, lambda torch, x: x.std(axes, correction=options["ddof"], keepdim=keep))


def torch_prod(torch: Any, x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    axes = tuple(sorted((a % x.ndim for a in axes), reverse=True))
    for axis in axes:
        x = x.prod(axis, keepdim=keep)
    return x * 1.0


@case("Prod")
def prod(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng))
    options, axes, keep = options_of(rng, x)
    return Case((x,), options, lambda torch, x: torch_prod(torch, x, axes, keep))


@case("Prod")
def prod_with_zeros(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, 1))
    x[rng.random(size=x.shape) < 0.3] = 0
    options, axes, keep = options_of(rng, x)
    return Case((x,), options, lambda torch, x: torch_prod(torch, x, axes, keep))


@case("CumSum")
def cumsum(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, 1))
    axis = None if rng.random() < 0.2 else int(rng.integers(-x.ndim, x.ndim))
    return Case((x,), {"axis": axis}, lambda torch, x: x.ravel().cumsum(0) if axis is None else x.cumsum(axis))


@case("CumProd")
def cumprod(rng: np.random.Generator) -> Case:
    x = rng.normal(size=shape_of(rng, 1))
    if rng.random() < 0.5:
        x[rng.random(size=x.shape) < 0.3] = 0
    axis = None if rng.random() < 0.2 else int(rng.integers(-x.ndim, x.ndim))
    return Case((x,), {"axis": axis}, lambda torch, x: x.ravel().cumprod(0) if axis is None else x.cumprod(axis))
