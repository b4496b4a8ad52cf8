"""The array of real numbers that know how they move, and how such numbers are taken apart and put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from npgrad.engine.arrays import Array

__all__ = ["BY_VALUE", "FUNCTIONS", "METHODS", "STEP", "Holomorphic", "State", "lift", "slopes", "values"]

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
        return np.mean(self, *args, **options)

    def var(self, *args: Any, **options: Any) -> Any:
        return np.var(self, *args, **options)

    def std(self, *args: Any, **options: Any) -> Any:
        return np.std(self, *args, **options)

    def round(self, decimals: Any = 0, out: Any = None) -> Any:
        return np.round(self, decimals, out=out)

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
        self[...] = np.sort(self, axis, **options)

    def partition(self, *args: Any, **options: Any) -> None:
        refuse("partition()")

    # -- NumPy's protocols ---------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        out = options.pop("out", None)
        for ignored in ("dtype", "casting", "subok", "order"):
            options.pop(ignored, None)
        if method == "at":
            return METHODS["at"](ufunc, *inputs)
        if method == "outer":
            a, b = inputs
            inputs = (np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b)
            method = "__call__"
        if method == "__call__":
            where = options.pop("where", True)
            with np.errstate(all=None if where is True else "ignore"):
                result = METHODS[method](ufunc, inputs, options)
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


def refuse(what: str) -> NoReturn:
    raise TypeError(
        f"the complex step cannot follow {what}: the derivative, which is the imaginary part, would be lost. Write it "
        "with functions of arrays that have a derivative (npgrad/engine/holomorphic/ lists them)."
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


def given(options: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in options.items() if v is not np._NoValue}


# -- what NumPy's protocols find here ----------------------------------------------------------------------------------

METHODS: dict[str, Callable[..., Any]] = {}
"""How the methods of ufuncs act on such numbers: "__call__", "reduce", …; ufuncs.py fills it."""
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""Array functions with a way of their own; functions.py fills it."""

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
