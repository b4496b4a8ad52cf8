"""The arguments and results of a compiled function: taken apart, told from one another, put together again."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from npgrad.engine.node import Leaf
from npgrad.engine.tensor import Tensor

__all__ = [
    "argument_names",
    "describe",
    "detached",
    "flattened",
    "has_graph",
    "layout",
    "rebuilt",
    "signature",
    "tensors",
]


def layout(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The nesting of the arguments, without what is in it."""

    def of(x: Any) -> Any:
        if type(x) in (tuple, list):
            return (type(x), *[of(item) for item in x])
        if type(x) is dict:
            return (dict, *[(key, of(item)) for key, item in x.items()])
        return None

    return (tuple(of(x) for x in args), tuple((key, of(x)) for key, x in kwargs.items()))


def flattened(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The arguments one by one, from inside tuples, lists and dictionaries too."""
    found: list[Any] = []

    def walk(x: Any) -> None:
        if type(x) in (tuple, list):
            for item in x:
                walk(item)
        elif type(x) is dict:
            for item in x.values():
                walk(item)
        else:
            found.append(x)

    for x in (*args, *kwargs.values()):
        walk(x)
    return found


def rebuilt(args: tuple[Any, ...], kwargs: dict[str, Any], flat: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with others in their places."""
    rest = iter(flat)

    def walk(x: Any) -> Any:
        if type(x) in (tuple, list):
            return type(x)([walk(item) for item in x])
        if type(x) is dict:
            return {key: walk(item) for key, item in x.items()}
        return next(rest)

    return tuple([walk(x) for x in args]), {key: walk(x) for key, x in kwargs.items()}


def signature(x: Any) -> Any:
    """What has to be the same for two calls to be of one variant."""
    array = x._array if isinstance(x, Tensor) else x
    if isinstance(array, np.ndarray | np.generic):
        return (type(x), array.shape, array.dtype.str, array.strides)
    return type(x)


def describe(x: Any) -> str:
    array = x._array if isinstance(x, Tensor) else x
    if isinstance(array, np.ndarray | np.generic):
        return f"{type(x).__name__} {array.dtype} {array.shape}"
    return type(x).__name__


def argument_names(function: Any) -> list[str]:
    code = getattr(function, "__code__", None)
    return list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]) if code is not None else []


def tensors(x: Any) -> list[Tensor]:
    """The tensors in a result."""
    if isinstance(x, Tensor):
        return [x]
    if isinstance(x, tuple | list):
        return [t for item in x for t in tensors(item)]
    if isinstance(x, dict):
        return [t for item in x.values() for t in tensors(item)]
    return []


def has_graph(t: Tensor) -> bool:
    """Whether `backward()` can be called on this result."""
    return t._node is not None and not isinstance(t._node, Leaf) and t._node.edges is not None


def detached(result: Any) -> Any:
    """`result` with copies in the place of tensors whose graph has been freed."""
    if isinstance(result, Tensor):
        return result.detach() if not result.is_leaf and not has_graph(result) else result
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*[detached(x) for x in result])
    if type(result) in (tuple, list):
        return type(result)([detached(x) for x in result])
    if isinstance(result, dict):
        new = copy.copy(result)
        new.update({key: detached(x) for key, x in result.items()})
        return new
    return result
