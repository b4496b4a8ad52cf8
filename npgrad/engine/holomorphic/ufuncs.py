"""Ufuncs of numbers that know how they move: entry by entry, and along axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from npgrad.engine.holomorphic.number import (
    METHODS,
    Holomorphic,
    imaginary,
    join,
    plain,
    refuse,
    times,
    values,
    wrap,
    write,
)

__all__ = ["clip", "multilinear", "reduced", "where_"]

_ADD: Any = np.add
Partials = Callable[..., tuple[Any, ...]]
_LN2, _LN10 = np.log(2.0), np.log(10.0)


def power_partials(y: Any, a: Any, p: Any) -> tuple[Any, ...]:
    by_base = np.where(p == 0, 0.0, p * np.power(a, np.subtract(p, 1.0)))
    return by_base, np.where((a == 0) & (p >= 0), 0.0, y * np.log(a))


def logaddexp_partials(y: Any, a: Any, b: Any) -> tuple[Any, ...]:
    # Two infinities share as in logsumexp; of nothing but -inf the gradient is 0.
    tie = np.where(y == -np.inf, 0.0, 0.5)
    return np.where(a == b, tie, 1 / (1 + np.exp(b - a))), np.where(a == b, tie, 1 / (1 + np.exp(a - b)))


def logaddexp2_partials(y: Any, a: Any, b: Any) -> tuple[Any, ...]:
    return logaddexp_partials(y, a * _LN2, b * _LN2)


def arctan2_partials(y: Any, a: Any, b: Any) -> tuple[Any, ...]:
    r = np.hypot(a, b)
    return b / r / r, -a / r / r


def hypot_partials(y: Any, a: Any, b: Any) -> tuple[Any, ...]:
    return np.where(y == 0, 0.0, a / y), np.where(y == 0, 0.0, b / y)


PARTIALS: dict[np.ufunc, Partials] = {
    np.multiply: lambda y, a, b: (b, a),
    np.divide: lambda y, a, b: (1 / b, -y / b),
    np.power: power_partials,
    np.float_power: power_partials,
    np.remainder: lambda y, a, b: (1.0, -np.floor_divide(a, b)),
    np.fmod: lambda y, a, b: (1.0, -np.trunc(a / b)),
    np.reciprocal: lambda y, x: (-y * y,),
    np.square: lambda y, x: (2 * x,),
    np.sqrt: lambda y, x: (0.5 / np.abs(y),),
    np.cbrt: lambda y, x: (1 / (3 * y * y),),
    np.absolute: lambda y, x: (np.sign(x),),
    np.fabs: lambda y, x: (np.sign(x),),
    np.copysign: lambda y, a, b: (np.sign(a) * np.copysign(1.0, b), 0.0),
    np.heaviside: lambda y, x, h: (0.0, x == 0),
    np.ldexp: lambda y, x, n: (np.ldexp(1.0, n), 0.0),
    np.exp: lambda y, x: (y,),
    np.exp2: lambda y, x: (y * _LN2,),
    np.expm1: lambda y, x: (np.exp(x),),
    # Of |x|, for -0.0.
    np.log: lambda y, x: (1 / np.abs(x),),
    np.log2: lambda y, x: (1 / _LN2 / np.abs(x),),
    np.log10: lambda y, x: (1 / _LN10 / np.abs(x),),
    np.log1p: lambda y, x: (1 / (1 + x),),
    np.logaddexp: logaddexp_partials,
    np.logaddexp2: logaddexp2_partials,
    np.sin: lambda y, x: (np.cos(x),),
    np.cos: lambda y, x: (-np.sin(x),),
    np.tan: lambda y, x: (1 + y * y,),
    np.arcsin: lambda y, x: (1 / np.sqrt((1 - x) * (1 + x)),),
    np.arccos: lambda y, x: (-1 / np.sqrt((1 - x) * (1 + x)),),
    np.arctan: lambda y, x: (1 / (1 + x * x),),
    np.arctan2: arctan2_partials,
    np.hypot: hypot_partials,
    np.sinh: lambda y, x: (np.cosh(x),),
    np.cosh: lambda y, x: (np.sinh(x),),
    # 1 - y*y would cancel where tanh is close to 1.
    np.tanh: lambda y, x: (1 / np.cosh(x) ** 2,),
    np.arcsinh: lambda y, x: (1 / np.hypot(1, x),),
    np.arccosh: lambda y, x: (1 / (np.sqrt(x - 1) * np.sqrt(x + 1)),),
    np.arctanh: lambda y, x: (1 / ((1 - x) * (1 + x)),),
    np.deg2rad: lambda y, x: (np.pi / 180,),
    np.rad2deg: lambda y, x: (180 / np.pi,),
    np.radians: lambda y, x: (np.pi / 180,),
    np.degrees: lambda y, x: (180 / np.pi,),
}
"""For every differentiable ufunc: y and its inputs -> the derivative of y with respect to each of them."""

LINEAR: dict[np.ufunc, tuple[int, ...]] = {
    np.add: (1, 1),
    np.subtract: (1, -1),
    np.negative: (-1,),
    np.positive: (1,),
    np.conjugate: (1,),
}
"""Ufuncs with constant derivatives. Not even where the value is inf - inf do they become nan."""

DECIDING = frozenset(
    {
        np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, np.logical_and, np.logical_or,
        np.logical_xor, np.logical_not, np.isnan, np.isinf, np.isfinite, np.signbit,
    }
)  # fmt: skip
STEPS = frozenset({np.sign, np.floor, np.ceil, np.trunc, np.rint, np.floor_divide})
PRODUCTS = frozenset(getattr(np, name) for name in ("matmul", "vecdot", "matvec", "vecmat") if hasattr(np, name))
LARGER, SMALLER = frozenset({np.maximum, np.fmax}), frozenset({np.minimum, np.fmin})


def call(ufunc: Any, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    xs = [values(x) for x in inputs]
    if ufunc in DECIDING:
        return ufunc(*xs, **options)
    if ufunc in STEPS:
        return join(ufunc(*xs, **options), 0.0)
    if ufunc in PRODUCTS:
        return multilinear(lambda *xs: ufunc(*xs, **options), inputs)
    if ufunc in LARGER or ufunc in SMALLER:
        return larger_or_smaller(ufunc, inputs)
    if ufunc.__name__ == "clip":
        return clip(*inputs)
    if ufunc is np.divmod:
        return call(np.floor_divide, inputs, options), call(np.remainder, inputs, options)
    if ufunc is np.modf:
        fraction, whole = np.modf(xs[0])
        return join(fraction, imaginary(inputs[0])), join(whole, 0.0)
    if ufunc not in LINEAR and ufunc not in PARTIALS:
        refuse(f"np.{ufunc.__name__}")
    y = ufunc(*xs, **options)
    dy = np.zeros(np.shape(y))
    dxs = [imaginary(x) for x in inputs]
    with np.errstate(all="ignore"):
        if ufunc in LINEAR:
            for sign, dx in zip(LINEAR[ufunc], dxs, strict=True):
                dy = dy if dx is None else dy + sign * dx
            return join(y, dy)
        # Beyond the edge of a domain nothing can be said; a nan that came in speaks for itself.
        left = np.isnan(y) & ~np.isnan(sum(xs[1:], xs[0]))
        for partial, dx in zip(PARTIALS[ufunc](y, *xs), dxs, strict=True):
            if dx is not None:
                dy = dy + times(np.where(left, np.nan, partial), dx)
    return join(y, dy)


def is_number(x: Any) -> bool:
    return isinstance(x, int | float | np.generic)


def multilinear(f: Callable[..., Any], inputs: Sequence[Any]) -> Holomorphic:
    """f, linear in each input: the sum over the inputs of f with that input's derivative in its place."""
    xs = [values(x) for x in inputs]
    y = np.asarray(f(*xs))
    dy: Any = 0.0
    with np.errstate(all="ignore"):
        for k, x in enumerate(inputs):
            dx = imaginary(x)
            if dx is None or not dx.any():
                continue
            others = [o for j, o in enumerate(xs) if j != k]
            if all(np.isfinite(o).all() for o in others):
                dy = dy + f(*xs[:k], dx, *xs[k + 1 :])
                continue

            def along(change: Callable[[Any], Any], at: Any, k: int = k) -> Any:
                return f(*[at if j == k else change(o) for j, o in enumerate(xs)])

            # An infinity times a derivative that is not 0 is infinite, of the sign that all such terms agree on.
            finite = along(lambda o: np.where(np.isfinite(o), o, 0.0), dx)
            signs = along(lambda o: np.where(np.isinf(o), np.sign(o), 0.0), np.sign(dx))
            count = along(lambda o: np.where(np.isfinite(o), 0.0, 1.0), (dx != 0) * 1.0)
            dy = dy + np.where(count == 0, finite, np.where(np.abs(signs) == count, signs * np.inf, np.nan))
    return join(y, dy)


def where_(condition: Any, *choices: Any) -> Any:
    condition = values(condition)
    return wrap(np.where(condition, *[plain(x) for x in choices]))


def larger_or_smaller(ufunc: Any, inputs: Sequence[Any]) -> Holomorphic:
    """maximum, minimum, fmax and fmin: the one chosen moves the result, at a tie both halfway."""
    a, b = (values(x) for x in inputs)
    y = ufunc(a, b)
    tie = 0.0 if is_number(inputs[1]) else 1.0 if is_number(inputs[0]) else 0.5
    first = (a > b if ufunc in LARGER else a < b) | np.isnan(b)
    share = np.where(a == b, tie, np.where(first, 1.0, 0.0))
    share = np.where(np.isnan(y), np.nan, share)
    dy = np.zeros(np.shape(y))
    for part, x in zip((share, 1 - share), inputs, strict=True):
        dx = imaginary(x)
        dy = dy if dx is None else dy + times(part, dx)
    return join(y, dy)


def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **options: Any) -> Any:
    low, high = options.pop("min", a_min), options.pop("max", a_max)
    where = options.pop("where", True)
    z = a
    for bound, beyond, on in ((low, np.less, np.less_equal), (high, np.greater, np.greater_equal)):
        if bound is not None:
            z = where_(outside(z, bound, on if is_number(bound) else beyond), bound, z)
    z = z if isinstance(z, Holomorphic) else join(values(z), 0.0)
    z = z.copy() if z is a else z
    return z if out is None else write(z, out, where, "clip")


def outside(x: Any, bound: Any, beyond: Any) -> Any:
    x, bound = values(x), values(bound)
    return (beyond(x, bound) | np.isnan(bound)) & ~np.isnan(x)


# -- ufuncs along axes -------------------------------------------------------------------------------------------------


def reduced(ufunc: Any, x: Any, axis: Any = 0, keepdims: bool = False, where: Any = True, **options: Any) -> Any:
    """ufunc.reduce; `options` is nothing or initial=."""
    if "initial" in options and options["initial"] is None:
        del options["initial"]
    v, dx = values(x), imaginary(x)
    if dx is None:
        dx = np.zeros(np.shape(v))
    how: dict[str, Any] = {"axis": axis, "keepdims": keepdims, "where": values(where)}
    start = {k: values(v) for k, v in options.items()}
    y = ufunc.reduce(v, **how, **start) if where is not True else ufunc.reduce(v, axis=axis, keepdims=keepdims, **start)
    if ufunc in DECIDING:
        return y
    if ufunc is np.add:
        return join(y, _ADD.reduce(dx, **how) + start_slope(options))
    if ufunc in LARGER or ufunc in SMALLER:
        best = np.reshape(y, np.shape(_ADD.reduce(v, axis=axis, keepdims=True)))
        tied = ((v == best) | (np.isnan(v) & np.isnan(best))) & values(where)
        count = _ADD.reduce(tied, axis=axis, keepdims=keepdims)
        return join(y, _ADD.reduce(np.where(tied, dx, 0.0), axis=axis, keepdims=keepdims) / np.maximum(count, 1))
    if where is not True:
        if ufunc.identity is None:
            refuse(f"np.{ufunc.__name__}.reduce(where=…)")
        x = where_(where, x, ufunc.identity)
    axes = tuple(range(np.ndim(v))) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    rows = np.moveaxis(x, axes, range(len(axes)))
    rows = rows.reshape(-1, *rows.shape[len(axes) :])
    terms = [*([options["initial"]] if "initial" in options else []), *rows]
    dy = imaginary(reduce(ufunc, terms)) if terms else None
    return join(y, 0.0 if dy is None else np.reshape(dy, np.shape(y)))


def start_slope(options: dict[str, Any]) -> Any:
    dx = imaginary(options.get("initial"))
    return 0.0 if dx is None else dx


def accumulated(ufunc: Any, x: Any, axis: int = 0, **options: Any) -> Any:
    v = values(x)
    y = ufunc.accumulate(v, axis)
    if ufunc in DECIDING:
        return y
    if ufunc is np.add:
        return join(y, _ADD.accumulate(imaginary(x), axis))
    rows = list(np.moveaxis(x, axis, 0))
    for k in range(1, len(rows)):
        rows[k] = ufunc(rows[k - 1], rows[k])
    return join(y, np.moveaxis(imaginary(np.stack(rows)), 0, axis) if rows else 0.0)


def at_slices(ufunc: Any, x: Any, indices: Any, axis: int = 0, **options: Any) -> Any:
    if ufunc is not np.add:
        refuse(f"np.{ufunc.__name__}.reduceat")
    return join(_ADD.reduceat(values(x), indices, axis), _ADD.reduceat(imaginary(x), indices, axis))


def add_at(ufunc: Any, target: Any, indices: Any, x: Any) -> None:
    if ufunc not in (np.add, np.subtract):
        refuse(f"np.{ufunc.__name__}.at")
    if target.dtype.kind != "c":
        refuse(f"np.{ufunc.__name__}.at into an array of {target.dtype} (np.zeros_like(x) makes one that holds x)")
    ufunc.at(plain(target), indices, plain(x))


METHODS.update(__call__=call, at=add_at, reduce=reduced, accumulate=accumulated, reduceat=at_slices)
