"""NumPy's own functions on tensors: `np.tanh(t)`, `np.concatenate([t, u])`, `array * t` (NEP 13 and NEP 18).

A function of `npgrad.functions` answers for the NumPy function of the same name. What has no gradient by nature
(comparisons, argmax, shape) gives NumPy results. Everything else is an error that names the function: never a silent
zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import signature
from operator import attrgetter
from types import FunctionType
from typing import Any, NoReturn

import numpy as np

from npgrad import functions as F
from npgrad.bindings.spellings import spelling
from npgrad.engine.tensor import Tensor, raw

__all__ = ["dispatch_function", "dispatch_ufunc", "supported"]

_SPELLED_OTHERWISE = {
    np.subtract: "sub",
    np.multiply: "mul",
    np.divide: "div",
    np.negative: "neg",
    np.power: "pow",
    np.absolute: "abs",
    np.fabs: "abs",
    np.rint: "round",
    np.around: "round",
    np.positive: "copy",
    np.real: "copy",
    np.conjugate: "copy",
    np.real_if_close: "copy",
}
_WITHOUT_GRADIENT = frozenset((
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.isnan, np.isinf, np.isfinite, np.signbit,
    np.argmax, np.argmin, np.argsort, np.shape, np.ndim, np.size, np.array_equal, np.allclose, np.isclose,
    np.any, np.all, np.nonzero, np.flatnonzero, np.argwhere, np.isposinf, np.isneginf, np.array_equiv, np.argpartition,
    np.count_nonzero, np.zeros_like, np.ones_like, np.empty_like, np.full_like, np.array_repr, np.array_str,
    np.iscomplexobj, np.isrealobj, np.isreal, np.iscomplex, np.may_share_memory, np.shares_memory,
    np.logical_and, np.logical_or, np.logical_not, np.logical_xor, np.isin, np.searchsorted, np.digitize,
    np.nanargmax, np.nanargmin, np.lexsort, np.diag_indices_from, np.tril_indices_from, np.triu_indices_from,
    np.result_type, np.can_cast, np.min_scalar_type, np.common_type, np.array2string, np.linalg.matrix_rank,
    np.save, np.savetxt, np.savez, np.savez_compressed,
))  # fmt: skip
"""What gives truth values, places, names of dtypes, or nothing at all."""

_REFUSED = ("out", "dtype", "where", "initial", "casting")


def _table() -> dict[Any, str]:
    table = dict(_SPELLED_OTHERWISE)
    for ours, theirs, prefix in ((F, np, ""), (F.linalg, np.linalg, "linalg.")):
        for name in names_of(ours):
            namesake = getattr(theirs, name, None)
            if callable(namesake) and not isinstance(namesake, type):
                table.setdefault(namesake, prefix + name)
    return table


def names_of(module: Any) -> list[str]:
    """The public functions of a module, among them those it takes from others unless it says which are its own."""
    return [
        name for name in getattr(module, "__all__", vars(module)) if isinstance(getattr(module, name), FunctionType)
    ]


supported: dict[Any, str] = _table()
"""NumPy function or ufunc -> the name of the npgrad function that differentiates it."""
_rules: dict[Any, Callable[..., Any]] = {function: attrgetter(name)(F) for function, name in supported.items()}


def dispatch_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """NEP 13: called by NumPy when a ufunc meets a tensor. Raises TypeError for what has no rule."""
    if method == "__call__" and ufunc in _WITHOUT_GRADIENT:
        if any(isinstance(x, Tensor) for x in (*options.get("out", ()), options.get("where"))):
            refuse_options(ufunc.__name__, options)
        return ufunc(*[raw(x) for x in inputs], **options)
    rule = _rules.get(ufunc)
    if method != "__call__" or rule is None:
        refuse(ufunc.__name__ + ("" if method == "__call__" else f".{method}"))
    if options:
        refuse_options(ufunc.__name__, options)
    return rule(*inputs)


def dispatch_function(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """NEP 18: called by NumPy when one of its functions meets a tensor. Raises TypeError for what has no rule."""
    if function in _WITHOUT_GRADIENT:
        return function(*[plain(x) for x in args], **{name: plain(x) for name, x in kwargs.items()})
    rule = _rules.get(function)
    name = f"{function.__module__}.{function.__name__}".removeprefix("numpy.")
    if rule is None:
        refuse(name)
    if len(args) > 2:
        args, kwargs = by_name(function, args, kwargs)
    for option in _REFUSED:
        value = kwargs.get(option)
        if value is not None and not (option == "casting" and value == "same_kind"):  # which is what it is anyway
            refuse_options(name, {option: value})
    return rule(*args, **{option: x for option, x in kwargs.items() if option not in _REFUSED})


def plain(x: Any) -> Any:
    """`x` with the arrays of tensors in their place, also of those in a tuple or list."""
    return type(x)([plain(item) for item in x]) if type(x) in (tuple, list) else raw(x)


def by_name(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The third and later positional arguments by the names NumPy has for them: its order is not always npgrad's."""
    names = positional(function)
    if len(names) < len(args):
        return args, kwargs
    return args[:2], dict(zip(names[2:], args[2:], strict=False)) | kwargs


@cache
def positional(function: Any) -> list[str]:
    """The names of the positional arguments; none if the function does not tell, as some written in C."""
    try:
        return [p.name for p in signature(function).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    except ValueError:
        return []


def refuse(name: str) -> NoReturn:
    row = spelling("npgrad", name)
    if row is not None and row.ours:
        raise TypeError(f"np.{name} has no gradient rule in npgrad{row.advice}")
    raise TypeError(
        f"np.{name} has no gradient rule in npgrad. Compose it from supported functions (npgrad.functions), "
        "write an npgrad.Function for it, or leave the graph on purpose: np."
        f"{name}(t.numpy())."
    )


def refuse_options(name: str, options: dict[str, Any]) -> NoReturn:
    given = ", ".join(f"{key}=" for key in options)
    raise TypeError(f"np.{name} on a tensor does not take {given}; call it without, on tensors of the dtype you want.")


def _array_ufunc(self: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    return dispatch_ufunc(ufunc, method, inputs, options)


def _array_function(self: Tensor, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    return dispatch_function(function, args, kwargs)


Tensor.__array_ufunc__ = _array_ufunc
Tensor.__array_function__ = _array_function
