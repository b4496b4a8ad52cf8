"""Holomorphic: arrays of real numbers that know how they move. All that a complex step asks of NumPy stands here.

A complex step (Squire & Trapp 1998, "Using complex variables to estimate derivatives of real functions") runs code that
was written for real numbers on x + i·h·v and reads the derivative along v from the imaginary part:

    f(x + i·h·v) = f(x) + i·h·(∂f/∂x)·v − h²/2·…

NumPy's complex numbers are not up to it. Comparisons and maximum look at the imaginary part too, abs is the modulus,
cbrt and floor do not exist, log and sqrt have values beyond the edge of their domain, and an infinite factor turns the
imaginary part into nan. `Holomorphic` is an ndarray of complex128 that answers as follows.

* The real part of every result is, to the bit, what NumPy computes for the real parts.
* The imaginary part is h times the derivative. h is so small that h·h is 0, so the products of imaginary parts that a
  complex multiplication would add do not exist, and a kink stays where it is.
* What decides (comparisons, conditions, isnan, argmax, sort order, bool) looks at the real part alone; sign, floor,
  round and the like have derivative 0.
* At a kink the conventions of the library hold: abs'(0) = 0; entries tied in maximum, minimum, max and min share
  equally; clip counts an entry on its bound as inside. But a *number* that the code compares with, as in
  np.maximum(x, 0) or x.clip(0, 1), wins its ties: relu'(0) = 0.
* At the edge of a domain the derivative is the limit (log'(0) = sqrt'(0) = inf), beyond it nan like the value.
* What does not move has no derivative to spoil: an imaginary part of 0 stays 0, whatever it is multiplied by.
* Anything else, such as float(z) or np.median(z), would lose the derivative and is a TypeError.

`z.real` and `np.conj(z)` are z itself, as for real arrays; `z.value` and `z.slope` take the number apart. The one way
to lose the class without an error is np.asarray(z), which NumPy does not let a subclass see: the result is a plain
complex array, right for analytic functions only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NoReturn

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

__all__ = ["STEP", "Holomorphic", "State", "entering", "leaving", "lift", "slopes", "values"]

STEP = 2.0**-600
"""The imaginary step h. Its square is 0 in float64; as a power of two it is multiplied and divided by exactly."""


class Holomorphic(np.ndarray[Any, np.dtype[Any]]):
    """An array of real numbers and their derivatives along one direction, as the two parts of complex128.

    `Holomorphic(value, slope)` has real part `value` and imaginary part STEP*slope; the two broadcast.
    """

    # Equality is by value, so these are as unhashable as other arrays.
    __hash__ = None
    # `plain.dot(z)` asks no protocol, but makes its result of the class that ranks higher.
    __array_priority__ = 1.0

    def __new__(cls, value: Any, slope: Any = 0.0) -> Holomorphic:
        z = np.empty(np.broadcast_shapes(np.shape(value), np.shape(slope)), np.complex128)
        z.real = value
        z.imag = STEP * np.asarray(slope)
        return z.view(cls)

    def __array_finalize__(self, other: Any) -> None:
        if self.dtype != np.complex128:
            refuse(f"an array of {self.dtype} made from it")

    @property
    def value(self) -> Array:
        """The numbers, float64: a view."""
        return np.asarray(self.view(np.ndarray).real)

    @property
    def slope(self) -> Array:
        """Their derivatives, float64: the imaginary part divided by STEP, exactly."""
        return np.asarray(self.view(np.ndarray).imag / STEP)

    @property  # type: ignore[misc]  # ndarray declares a writable attribute
    def real(self) -> Any:
        return self

    @property  # type: ignore[misc]  # ndarray declares a writable attribute
    def imag(self) -> Array:
        return np.asarray(self.view(np.ndarray).imag)

    @property
    def flat(self) -> Any:
        return Flat(self)

    def __repr__(self) -> str:
        return f"Holomorphic(value={self.value!r}, slope={self.slope!r})"

    __str__ = __repr__

    # -- what reads numbers: truth is by value, the rest would lose the derivative -----------------------------------

    def __bool__(self) -> bool:
        return bool(self.value)

    def __contains__(self, x: Any) -> bool:
        return values(x) in self.value

    def __float__(self) -> float:
        refuse("float()")

    def __int__(self) -> int:
        refuse("int()")

    def __complex__(self) -> complex:
        refuse("complex()")

    def item(self, *index: Any) -> Any:
        refuse("item()")

    def tolist(self) -> Any:
        refuse("tolist()")

    def __getitem__(self, key: Any) -> Any:
        # An entry is a NumPy scalar for NumPy: of no class of ours.
        return wrap(super().__getitem__(key))

    def __iter__(self) -> Any:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[k] for k in range(len(self)))

    def view(self, dtype: Any = None, type: Any = None) -> Any:
        """As ndarray's, without another dtype."""
        if dtype is not None and not (isinstance(dtype, _type) and issubclass(dtype, np.ndarray)):
            if np.dtype(dtype) != np.complex128:
                refuse(f"view({np.dtype(dtype)})")
            dtype = None
        kind = type if type is not None else dtype
        return super().view() if kind is None else super().view(kind)

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Any:
        """To a floating dtype: the same numbers, which stay complex128. To integers and booleans: of the values."""
        if np.dtype(dtype).kind in "fc":
            return self.copy() if options.get("copy", True) else self
        return self.value.astype(dtype, *args, **options)

    # -- methods that ask neither protocol -----------------------------------------------------------------------------

    def conj(self) -> Any:
        return self

    conjugate = conj

    def mean(self, *args: Any, **options: Any) -> Any:
        return mean(self, *args, **options)

    def var(self, *args: Any, **options: Any) -> Any:
        return var(self, *args, **options)

    def std(self, *args: Any, **options: Any) -> Any:
        return np.sqrt(var(self, *args, **options))

    def round(self, decimals: Any = 0, out: Any = None) -> Any:
        return step(np.round)(self, decimals, out=out)

    def cumsum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return np.cumsum(self, axis, out=out)

    def cumprod(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return np.cumprod(self, axis, out=out)

    def dot(self, other: Any, out: Any = None) -> Any:
        return np.dot(self, other, out=out)

    def argmax(self, *args: Any, **options: Any) -> Any:
        return self.value.argmax(*args, **options)

    def argmin(self, *args: Any, **options: Any) -> Any:
        return self.value.argmin(*args, **options)

    def argsort(self, *args: Any, **options: Any) -> Any:
        return self.value.argsort(*args, **options)

    def argpartition(self, *args: Any, **options: Any) -> Any:
        return self.value.argpartition(*args, **options)

    def searchsorted(self, v: Any, *args: Any, **options: Any) -> Any:
        return self.value.searchsorted(values(v), *args, **options)

    def nonzero(self) -> Any:
        return self.value.nonzero()

    def sort(self, axis: Any = -1, **options: Any) -> None:  # type: ignore[override]
        self[...] = sort(self, axis, **options)

    def partition(self, *args: Any, **options: Any) -> None:
        refuse("partition()")

    # -- NumPy's protocols ---------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        out = options.pop("out", None)
        for ignored in ("dtype", "casting", "subok", "order"):
            options.pop(ignored, None)
        if method == "at":
            return add_at(ufunc, *inputs)
        if method == "outer":
            a, b = inputs
            inputs = (np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b)
            method = "__call__"
        if method == "__call__":
            where = options.pop("where", True)
            with np.errstate(all=None if where is True else "ignore"):
                result = call(ufunc, inputs, options)
        else:
            where = True
            if method not in METHODS:
                refuse(f"np.{ufunc.__name__}.{method}")
            result = METHODS[method](ufunc, *inputs, **given(options))
        if out is None and where is True:
            return result
        results = result if isinstance(result, tuple) else (result,)
        outs = [
            np.empty_like(r) if o is None else o for o, r in zip(out or [None] * len(results), results, strict=True)
        ]
        written = tuple(write(r, o, where, ufunc.__name__) for r, o in zip(results, outs, strict=True))
        return written if isinstance(result, tuple) else written[0]

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        own = FUNCTIONS.get(func)
        if own is not None:
            return own(*args, **kwargs)
        if func in BY_VALUE:
            return func(*each(values, args), **each(values, kwargs))
        if func in ARRANGING:
            result = func(*each(plain, args), **each(plain, kwargs))
            return each(wrap, result)
        refuse(f"{func.__module__.replace('numpy', 'np')}.{func.__name__}")


class Flat:
    """What `.flat` of an array is, entry by entry and to be assigned to."""

    def __init__(self, z: Holomorphic) -> None:
        self.entries = z.view(np.ndarray).flat

    def __getitem__(self, k: Any) -> Any:
        return wrap(self.entries[k])

    def __setitem__(self, k: Any, x: Any) -> None:
        self.entries[k] = plain(x)

    def __iter__(self) -> Any:
        return (wrap(x) for x in self.entries)

    def __len__(self) -> int:
        return len(self.entries)


class State(np.ndarray[Any, np.dtype[Any]]):
    """A real array that a rule updates in passing, such as a running mean: what is written into it is the value."""


_type = type
_ADD: Any = np.add
_BOOL = np.dtype(bool)


def refuse(what: str) -> NoReturn:
    raise TypeError(
        f"the complex step cannot follow {what}: the derivative, which is the imaginary part, would be lost. Write it "
        "with functions of arrays that have a derivative (npgrad/engine/holomorphic.py lists them)."
    )


# -- taking numbers apart and putting them together --------------------------------------------------------------------


def values(x: Any) -> Any:
    """`x` without derivative: the real part of what is complex, anything else as it is."""
    if isinstance(x, np.ndarray | np.generic):
        return plain(x).real if x.dtype.kind == "c" else x
    return x.real if isinstance(x, complex) else x


def slopes(x: Array) -> Array:
    """The derivatives of `x`: zeros where it is real."""
    return wrap(x).slope if x.dtype.kind == "c" else np.zeros(x.shape)


def lift(x: Any) -> Any:
    """`x`, if it is a complex array, as a Holomorphic array on the same memory; anything else as it is."""
    return wrap(x.astype(np.complex128, copy=False)) if isinstance(x, np.ndarray) and x.dtype.kind == "c" else x


def entering(arrays: list[Any], tracked: Sequence[bool], options: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """What a forward rule is given instead of `arrays` and `options` when one of the arrays is complex.

    What is not tracked has no derivative. All floating arrays are made Holomorphic, so that a rule may work in place on
    any of them, and Python numbers too: where an operand was a number its ties are those of an operand.
    """
    if not any(isinstance(a, np.ndarray) and a.dtype.kind == "c" for a in arrays):
        return arrays, options
    arrays = [lift(a) if moves else values(a) for a, moves in zip(arrays, tracked, strict=True)]
    if any(tracked):
        arrays = [
            join(a, 0.0) if type(a) in (float, int) or getattr(a, "dtype", _BOOL).kind == "f" else a for a in arrays
        ]
    options = {k: v.view(State) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v for k, v in options.items()}
    return arrays, options


def leaving(y: Any, arrays: list[Any], name: str) -> Any:
    """The result `y` of the forward rule of `name`. Raises TypeError if it lost the derivative of `arrays`."""
    y = lift(np.asanyarray(y))
    if y.dtype.kind == "f" and any(isinstance(a, Holomorphic) for a in arrays):
        raise TypeError(
            f"forward of {name} gave {y.dtype} when the complex step went through it: the derivative is lost. "
            "NumPy functions of the inputs keep it; np.asarray, float and np.zeros(shape) do not (np.zeros_like does)."
        )
    return y


def plain(x: Any) -> Any:
    return x.view(np.ndarray) if isinstance(x, Holomorphic) else x


def wrap(x: Any) -> Any:
    if isinstance(x, np.ndarray | np.complexfloating) and x.dtype == np.complex128:
        return np.asarray(x).view(Holomorphic)
    return x


def each(f: Callable[[Any], Any], x: Any) -> Any:
    """f of everything in nested tuples, lists and dictionaries."""
    if isinstance(x, tuple | list):
        return type(x)([each(f, item) for item in x]) if type(x) in (tuple, list) else x
    return {k: each(f, v) for k, v in x.items()} if isinstance(x, dict) else f(x)


def imaginary(x: Any) -> Any:
    """The imaginary part of `x`; None if it is real."""
    if isinstance(x, np.ndarray | np.generic):
        return np.asarray(plain(x).imag) if x.dtype.kind == "c" else None
    return np.asarray(x.imag) if isinstance(x, complex) else None


def join(y: Any, dy: Any) -> Holomorphic:
    y = np.asarray(y)
    z = np.empty_like(y, dtype=np.complex128, subok=False)
    z.real = y
    z.imag = dy
    return z.view(Holomorphic)


def write(result: Any, out: Any, where: Any, name: str) -> Any:
    """`result` into `out`, which is returned; TypeError if the derivative does not fit in."""
    if isinstance(result, Holomorphic) and out.dtype.kind != "c":
        if not isinstance(out, State):
            refuse(f"np.{name} into an array of {out.dtype} (np.empty_like(x) makes one that holds what x holds)")
        result = result.value
    np.copyto(plain(out), plain(result), where=values(where), casting="same_kind")
    return out


def times(partial: Any, dx: Array) -> Array:
    """partial*dx, where dx = 0 is stronger than any infinity or nan."""
    return np.where(dx == 0, 0.0, partial * dx)


# -- ufuncs, entry by entry --------------------------------------------------------------------------------------------

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


METHODS: dict[str, Callable[..., Any]] = {"reduce": reduced, "accumulate": accumulated, "reduceat": at_slices}


# -- array functions ---------------------------------------------------------------------------------------------------


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


def product(f: Any) -> Callable[..., Any]:
    """An array function that is linear in each of its first two arguments."""

    def linear_in_both(a: Any, b: Any, *args: Any, out: Any = None, **options: Any) -> Any:
        z = multilinear(lambda a, b: f(a, b, *args, **options), (np.asanyarray(a), np.asanyarray(b)))
        return z if out is None else write(z, out, True, f.__name__)

    return linear_in_both


def step(f: Any) -> Callable[..., Any]:
    """An array function with derivative 0."""

    def without_slope(x: Any, *args: Any, out: Any = None, **options: Any) -> Any:
        z = join(f(values(x), *args, **options), 0.0)
        return z if out is None else write(z, out, True, f.__name__)

    return without_slope


def einsum(*args: Any, out: Any = None, **options: Any) -> Any:
    for ignored in ("dtype", "casting", "order"):
        options.pop(ignored, None)
    at = [k for k, x in enumerate(args) if isinstance(x, np.ndarray | np.generic)]

    def contract(*xs: Any) -> Any:
        given = list(args)
        for k, x in zip(at, xs, strict=True):
            given[k] = x
        return np.einsum(*given, **options)

    z = multilinear(contract, [args[k] for k in at])
    return z if out is None else write(z, out, True, "einsum")


def where_(condition: Any, *choices: Any) -> Any:
    condition = values(condition)
    return wrap(np.where(condition, *[plain(x) for x in choices]))


def mean(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **options: Any) -> Any:
    if options.get("where", True) is not True:
        refuse("np.mean(where=…)")
    total = _ADD.reduce(x, axis=axis, keepdims=keepdims)
    with np.errstate(all="ignore"):
        return np.divide(total, np.size(x) / max(1, total.size) if total.size else 1.0, out=out)


def var(
    x: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = False, **options: Any
) -> Any:
    if set(options) - {"correction"}:
        refuse(f"np.var({', '.join(options)}=…)")
    centred = x - mean(x, axis, keepdims=True)
    total = _ADD.reduce(centred * centred, axis=axis, keepdims=keepdims)
    count = np.size(x) / max(1, total.size)
    return np.divide(total, max(count - options.get("correction", ddof), 0.0), out=out)


def std(*args: Any, out: Any = None, **options: Any) -> Any:
    return np.sqrt(var(*args, **options), out=out)


def sort(x: Any, axis: Any = -1, kind: Any = None, order: Any = None, stable: Any = None) -> Any:
    if axis is None:
        x, axis = np.ravel(x), -1
    order = np.argsort(values(x), axis=axis, kind="stable")
    return np.take_along_axis(x, order, axis)


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    v = values(x)
    z = where_(np.isfinite(v), x, np.nan_to_num(v, nan=nan, posinf=posinf, neginf=neginf))
    return z if copy else write(z, x, True, "nan_to_num")


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    if ord is not None:
        refuse("np.linalg.norm(ord=…)")
    return np.sqrt(_ADD.reduce(x * x, axis=axis, keepdims=keepdims))


def solve(A: Any, b: Any) -> Any:
    """x = A⁻¹b: from A·dx + dA·x = db."""
    column = np.ndim(b) == 1
    b = b[:, None] if column else b
    y = np.linalg.solve(values(A), values(b))
    dA, db = imaginary(A), imaginary(b)
    right = np.zeros(np.shape(y)) if db is None else np.broadcast_to(db, np.shape(y))
    right = right if dA is None else right - np.matmul(dA, y)
    z = join(y, np.linalg.solve(values(A), right))
    return z[..., 0] if column else z


def inv(A: Any) -> Any:
    y = np.linalg.inv(values(A))
    return join(y, -y @ np.asarray(imaginary(A)) @ y)


def det(A: Any) -> Any:
    """Jacobi's formula: d(det A) = det A · trace(A⁻¹ dA)."""
    y = np.linalg.det(values(A))
    return join(y, y * np.einsum("...ij,...ji->...", np.linalg.inv(values(A)), imaginary(A)))


def slogdet(A: Any) -> Any:
    sign, y = np.linalg.slogdet(values(A))
    return sign, join(y, np.einsum("...ij,...ji->...", np.linalg.inv(values(A)), imaginary(A)))


def reduction(ufunc: Any) -> Callable[..., Any]:
    def along(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **more: Any) -> Any:
        return ufunc.reduce(x, axis=axis, out=out, keepdims=keepdims, **given(more))

    return along


def extreme(ufunc: Any) -> Callable[..., Any]:
    def along(x: Any, axis: Any = None, out: Any = None, keepdims: Any = False, **more: Any) -> Any:
        return ufunc.reduce(x, axis=axis, out=out, keepdims=keepdims, **given(more))

    return along


def given(options: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in options.items() if v is not np._NoValue}


def accumulation(ufunc: Any) -> Callable[..., Any]:
    def along(x: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return ufunc.accumulate(np.ravel(x) if axis is None else x, 0 if axis is None else axis, out=out)

    return along


def ptp(x: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    high, low = (reduced(f, x, axis, keepdims) for f in (np.maximum, np.minimum))
    return np.subtract(high, low, out=out)


def pad(x: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap", "empty"):
        refuse(f"np.pad(mode={mode!r})")
    return wrap(np.pad(plain(x), pad_width, mode, **each(plain, options)))


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: where_, np.clip: clip, np.einsum: einsum, np.pad: pad, np.nan_to_num: nan_to_num, np.sort: sort,
    np.sum: reduction(np.add), np.prod: reduction(np.multiply), np.mean: mean, np.var: var, np.std: std, np.ptp: ptp,
    np.max: extreme(np.maximum), np.min: extreme(np.minimum), np.amax: extreme(np.maximum),
    np.amin: extreme(np.minimum), np.cumsum: accumulation(np.add), np.cumprod: accumulation(np.multiply),
    np.round: step(np.round), np.around: step(np.round), np.fix: step(np.fix),
    **{f: product(f) for f in (np.dot, np.vdot, np.inner, np.outer, np.tensordot, np.kron, np.convolve, np.correlate,
                               np.cross)},
    np.linalg.norm: norm, np.linalg.solve: solve, np.linalg.inv: inv,
    np.linalg.det: det, np.linalg.slogdet: slogdet,
    np.real: lambda x: x, np.imag: lambda x: x.imag, np.iscomplexobj: lambda x: False, np.isrealobj: lambda x: True,
    np.isreal: lambda x: np.ones(np.shape(x), bool), np.iscomplex: lambda x: np.zeros(np.shape(x), bool),
}  # fmt: skip
"""Array functions with a way of their own."""

BY_VALUE = frozenset(
    {
        np.argmax, np.argmin, np.argsort, np.argpartition, np.lexsort, np.searchsorted, np.digitize, np.nonzero,
        np.flatnonzero, np.argwhere, np.count_nonzero, np.any, np.all, np.array_equal, np.array_equiv, np.allclose,
        np.isclose, np.isposinf, np.isneginf, np.histogram,
    }
)  # fmt: skip
"""Array functions that decide or count: of the values."""

ARRANGING = frozenset(
    {
        np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack, np.block, np.append, np.insert,
        np.delete, np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.squeeze,
        np.expand_dims, np.broadcast_to, np.broadcast_arrays, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.split,
        np.array_split, np.hsplit, np.vsplit, np.dsplit, np.take, np.take_along_axis, np.repeat, np.tile, np.roll,
        np.rot90, np.flip, np.fliplr, np.flipud, np.diag, np.diagonal, np.diagflat, np.tril, np.triu, np.trace, np.diff,
        np.copy, np.zeros_like, np.ones_like, np.empty_like, np.full_like, np.copyto, np.put, np.putmask, np.place,
        np.put_along_axis, np.fill_diagonal, np.compress, np.extract, np.choose, np.select, np.shape, np.ndim, np.size,
        np.result_type, np.can_cast, np.min_scalar_type, np.shares_memory, np.may_share_memory, np.resize,
        np.lib.stride_tricks.as_strided, np.lib.stride_tricks.sliding_window_view,
    }
)  # fmt: skip
"""Array functions that move numbers about or add them, one part like the other: NumPy's own do."""
