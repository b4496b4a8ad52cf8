"""Statistics put together from sums and sorting: average, quantiles, sums and means that leave nan out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array, Axis
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.along_axis import sort, take
from npgrad.functions.arithmetic import div, mul, sub
from npgrad.functions.extreme import max, min
from npgrad.functions.indexing import getitem
from npgrad.functions.reduction import mean, sum
from npgrad.functions.selection import where
from npgrad.functions.shape import broadcast_to, expand_dims, moveaxis, ravel, reshape

__all__ = ["average", "median", "nanmean", "nansum", "percentile", "ptp", "quantile", "trapezoid"]


def average(x: TensorLike, axis: Axis = None, weights: TensorLike | None = None, *, keepdims: bool = False) -> Tensor:
    """The mean of x over `axis`, each entry counting as `weights` says: in the shape of x, or along one axis.

    Raises ValueError if the weights have another shape.
    """
    if weights is None:
        return mean(x, axis, keepdims)
    shape, given = np.shape(raw(x)), np.shape(raw(weights))
    if given != shape:
        if not isinstance(axis, int | np.integer) or given != (shape[axis],):
            raise ValueError(f"average got weights of shape {given} for x of shape {shape} over axis {axis}.")
        weights = broadcast_to(
            reshape(weights, [-1 if k == axis % len(shape) else 1 for k in range(len(shape))]), shape
        )
    return div(sum(mul(x, weights), axis, keepdims), sum(weights, axis, keepdims))


def ptp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest value of x over `axis` minus the smallest."""
    return sub(max(x, axis, keepdims), min(x, axis, keepdims))


def nansum(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum of x over `axis`, nan counting as 0 and receiving no gradient."""
    return sum(where(np.isnan(raw(x)), 0.0, x), axis, keepdims)


def nanmean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis` of what is a number in x; nan receives no gradient."""
    total = nansum(x, axis, keepdims)
    return div(total, np.sum(~np.isnan(raw(x)), axis, keepdims=keepdims).astype(total.dtype))


def quantile(
    x: TensorLike,
    q: float | Sequence[float] | Array,
    axis: int | None = None,
    *,
    method: str = "linear",
    keepdims: bool = False,
) -> Tensor:
    """The value below which the share q of x lies along `axis` (None: all values); several q give a first axis.

    Between two values `method` takes "linear" interpolation, the "lower", the "higher" or the "nearest" one, or their
    "midpoint". Of values with a nan among them the result is nan. Raises ValueError for another method, if a q is not
    in [0, 1], or if there are no values.
    """
    ndim = np.ndim(raw(x))
    kept = tuple(range(ndim)) if axis is None else axis % ndim
    x, axis = (ravel(x), 0) if axis is None else (x, axis)
    shares = np.asarray(q, float)
    n = np.shape(raw(x))[axis]
    if n == 0 or not np.all((shares >= 0) & (shares <= 1)) or method not in _BETWEEN:
        raise ValueError(
            f"quantile takes shares in [0, 1] of at least one value, and method {', '.join(_BETWEEN)}; "
            f"got q={q!r} of {n} values, method={method!r}."
        )
    places = shares * (n - 1)
    below = np.floor(places).astype(int)
    ordered = moveaxis(sort(x, axis), axis, 0)
    low, high = take(ordered, below, 0), take(ordered, np.minimum(below + 1, n - 1), 0)
    part = _BETWEEN[method](places - below, below).reshape(shares.shape + (1,) * (ordered.ndim - 1))
    if ordered.dtype.kind in "fc":
        part = part.astype(ordered.dtype)
    # Sorted, nan is last. An end is taken as it is: infinity times 0 would be nan.
    y = where(part == 0, low, where(part == 1, high, low + (high - low) * part))
    y = where(np.isnan(raw(getitem(ordered, -1))), np.nan, y)
    return expand_dims(y, tuple(np.add(kept, shares.ndim).reshape(-1).tolist())) if keepdims else y


_BETWEEN: dict[str, Callable[[Any, Any], Any]] = {
    "linear": lambda part, below: part,
    "lower": lambda part, below: np.zeros_like(part),
    "higher": lambda part, below: np.ceil(part),
    # Halves go to the even place, as in NumPy.
    "nearest": lambda part, below: np.round(below + part) - below,
    "midpoint": lambda part, below: np.ceil(part) / 2,
}
"""The methods: how far it is from the value below a place to the one above, from 0 to 1."""


def percentile(x: TensorLike, q: float | Sequence[float] | Array, axis: int | None = None, **options: Any) -> Tensor:
    """`quantile` with shares in per cent, and with its options."""
    return quantile(x, np.true_divide(q, 100), axis, **options)


def median(x: TensorLike, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
    """The value in the middle of x along `axis`, or the mean of the two in the middle (PyTorch: the smaller)."""
    return quantile(x, 0.5, axis, keepdims=keepdims)


def trapezoid(y: TensorLike, x: TensorLike | None = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """The area below the lines from value to value of y along `axis`, at the places x or at distances `dx`."""
    y = moveaxis(y, axis, -1)
    if x is None:
        width: TensorLike = dx
    else:
        places = moveaxis(x, axis, -1) if np.ndim(raw(x)) > 1 else getitem(x, ...)
        width = places[..., 1:] - places[..., :-1]
    return sum((y[..., 1:] + y[..., :-1]) * 0.5 * width, -1)
