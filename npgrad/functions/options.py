"""Options by the names that they have in PyTorch: the error says what they are called here."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

__all__: list[str] = []

ELSEWHERE: dict[str, tuple[str, ...]] = {
    "dim": ("axis",),
    "dims": ("axis", "axes"),
    "dim1": ("axis1",),
    "dim2": ("axis2",),
    "keepdim": ("keepdims",),
    "unbiased": ("ddof",),
    "correction": ("ddof",),
    "start_dim": ("start",),
}
"""What PyTorch calls an option, and what it may be called here."""
OURS = frozenset(name for ours in ELSEWHERE.values() for name in ours)


@cache
def with_known_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, raising a TypeError that names the right option where PyTorch's was given; always the same one."""
    code = function.__code__
    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if OURS.isdisjoint(own):
        return function
    right = {theirs: name for theirs, ours in ELSEWHERE.items() for name in ours if name in own and theirs not in own}
    if not right:
        return function

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if not right.keys().isdisjoint(options):
            wrong = next(name for name in options if name in right)
            raise TypeError(f"{function.__qualname__} has no option {wrong!r}: as in NumPy, it is {right[wrong]!r}.")
        return function(*args, **options)

    return call
