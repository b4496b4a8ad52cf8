"""Statistics put together from sums and sorting: average, cov, quantiles, and the reductions that leave nan out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from npgrad.engine.arrays import Array, Axis
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.along_axis import sort, take
from npgrad.functions.arithmetic import div, mul, square, sub
from npgrad.functions.elementwise import sqrt
from npgrad.functions.extreme import max, min
from npgrad.functions.indexing import getitem
from npgrad.functions.matrix_parts import diagonal
from npgrad.functions.reduction import cumprod, cumsum, divisor, mean, prod, sum
from npgrad.functions.selection import clip, where
from npgrad.functions.shape import (
    atleast_2d,
    broadcast_to,
    concatenate,
    expand_dims,
    moveaxis,
    ravel,
    reshape,
    squeeze,
    swapaxes,
)

__all__ = [
    "average", "corrcoef", "cov", "median", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmin", "nanprod",
    "nanstd", "nansum", "nanvar", "percentile", "ptp", "quantile", "trapezoid",
]  # fmt: skip


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


def cov(
    x: TensorLike,
    y: TensorLike | None = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: float | None = None,
    fweights: TensorLike | None = None,
    aweights: TensorLike | None = None,
) -> Tensor:
    """The covariances of the rows of x (variables, observations), and of y below it, as np.cov: a square matrix.

    A vector is one row; of a single row the result is its variance, a number. Without `rowvar` the columns are the
    variables. Sums are divided by n - ddof, of n observations; ddof is 1 by default, or 0 with `bias`. `fweights` says
    how often each observation counts, `aweights` how much. Raises ValueError if x or y has more than two axes, or
    weights are not a vector of n numbers, or negative; TypeError for weights that require a gradient, as there is none.
    """
    rows = concatenate([variables(getitem(each, ...), rowvar) for each in (x, y) if each is not None])
    n = rows.shape[1]
    often, much = (np.ones(n) if w is None else np.asarray(w, float) for w in (fweights, aweights))
    if any(w.shape != (n,) or w.min(initial=0) < 0 for w in (often, much)):
        raise ValueError(
            f"cov takes weights that are vectors of {n} numbers, one for each observation, none of them negative; "
            f"got fweights={fweights!r}, aweights={aweights!r}."
        )
    weights = often * much
    total = weights.sum()
    lost = (1 - bias if ddof is None else ddof) * ((weights * much).sum() / total if n else 1.0)
    if rows.dtype.kind in "fc":
        weights = weights.astype(rows.dtype)
    centred = sub(rows, div(sum(mul(rows, weights), 1, True), float(total)))
    products = mul(centred, weights) @ swapaxes(centred, 0, 1)
    return squeeze(div(products, float(divisor(total, lost))))


def variables(x: Tensor, rowvar: bool) -> Tensor:
    """The variables of `cov`, one per row."""
    if x.ndim > 2:
        raise ValueError(f"cov takes a vector or a matrix; got {x.ndim} axes.")
    y: Tensor = swapaxes(x, 0, 1) if x.ndim == 2 and not rowvar else atleast_2d(x)
    return y


def corrcoef(x: TensorLike, y: TensorLike | None = None, rowvar: bool = True) -> Tensor:
    """The correlations of the rows of x, and of y below it: `cov` divided by the deviations of both, within [-1, 1].

    That of a row that does not vary is nan, with a RuntimeWarning.
    """
    c = cov(x, y, rowvar)
    if c.ndim == 0:
        return div(c, c)
    deviations = sqrt(diagonal(c))
    return clip(div(div(c, expand_dims(deviations, 1)), deviations), -1.0, 1.0)


def without_nan(x: TensorLike, fill: float) -> Tensor:
    """x with `fill` where it is nan, which receives no gradient."""
    return where(np.isnan(raw(x)), fill, x)


def numbers(x: TensorLike, axis: Axis, keepdims: bool) -> Any:
    """How many entries of x over `axis` are not nan."""
    return np.sum(~np.isnan(raw(x)), axis, keepdims=keepdims)


def nansum(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum of x over `axis`, nan counting as 0 and receiving no gradient."""
    return sum(without_nan(x, 0.0), axis, keepdims)


def nanprod(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product of x over `axis`, nan counting as 1 and receiving no gradient."""
    return prod(without_nan(x, 1.0), axis, keepdims)


def nancumsum(x: TensorLike, axis: int | None = None) -> Tensor:
    """`cumsum`, nan counting as 0 and receiving no gradient."""
    return cumsum(without_nan(x, 0.0), axis)


def nancumprod(x: TensorLike, axis: int | None = None) -> Tensor:
    """`cumprod`, nan counting as 1 and receiving no gradient."""
    return cumprod(without_nan(x, 1.0), axis)


def nanmax(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The maximum over `axis` of what is a number in x, nan if nothing is; ties share the gradient equally."""
    return where(numbers(x, axis, keepdims) > 0, max(without_nan(x, -np.inf), axis, keepdims), np.nan)


def nanmin(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The minimum over `axis` of what is a number in x, nan if nothing is; ties share the gradient equally."""
    return where(numbers(x, axis, keepdims) > 0, min(without_nan(x, np.inf), axis, keepdims), np.nan)


def nanmean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis` of what is a number in x; nan receives no gradient."""
    total = nansum(x, axis, keepdims)
    return div(total, numbers(x, axis, keepdims).astype(total.dtype))


def nanvar(x: TensorLike, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
    """The variance over `axis` of what is a number in x: squared deviations summed and divided by their number - ddof.

    nan where there are not more than `ddof` numbers. nan receives no gradient.
    """
    squares = square(without_nan(sub(x, nanmean(x, axis, True)), 0.0))
    total = sum(squares, axis, keepdims)
    n = numbers(x, axis, keepdims) - ddof
    return div(total, np.where(n > 0, n, np.nan).astype(total.dtype))


def nanstd(x: TensorLike, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
    """The root of `nanvar`; its gradient is 0 where x is constant."""
    v = nanvar(x, axis, ddof, keepdims)
    varies = np.not_equal(raw(v), 0)
    return where(varies, sqrt(where(varies, v, 1.0)), 0.0)


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
    kept = tuple(range(ndim)) if axis is None else normalize_axis_index(axis, ndim)
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
