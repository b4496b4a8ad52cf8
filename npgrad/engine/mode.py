"""What the current thread is doing: recording a graph or not, verifying, compiling.

The state is one immutable value in a `contextvars.ContextVar`, so every thread (and every asyncio task) has its own,
and an exception can never leave it half changed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from threading import get_ident
from typing import Any, NamedTuple, ParamSpec, TypeVar

from npgrad.engine.recording import Recorder

P = ParamSpec("P")
R = TypeVar("R")
__all__ = ["MODE", "Mode", "enable_grad", "holomorphic", "is_grad_enabled", "no_grad", "switch"]


class Mode(NamedTuple):
    """The switches an operation has to look at."""

    grad: bool = True
    """Operations on tensors that require a gradient are recorded."""
    holomorphic: bool = False
    """Complex tensors stand for real ones that move (verification by complex step)."""
    recorder: Recorder | None = None
    """The recording that arrays are to be taken from."""
    inlined: bool = False
    """Compiled functions run as they are written, as part of another one."""
    differentiating: tuple[frozenset[int], ...] = ()
    """For each `grad`, `jvp` or `hvp` that is under way, the outermost first, its leaves (their ids)."""


MODE: ContextVar[Mode] = ContextVar("npgrad_mode", default=Mode())  # noqa: B039 (it never changes)


class switch:
    """Changes of the mode, for the inside of a `with` or for the calls of a decorated function."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        # By thread: several may be inside one `with`.
        self.tokens: dict[int, list[Token[Mode]]] = {}

    # Each of these is one statement, so that an interrupt finds the mode either entered or not.

    def __enter__(self) -> None:
        self.tokens.setdefault(get_ident(), []).append(MODE.set(MODE.get()._replace(**self.changes)))

    def __exit__(self, *error: object) -> None:
        MODE.reset(self.tokens[get_ident()].pop())

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if isgeneratorfunction(function) or iscoroutinefunction(function) or isasyncgenfunction(function):
            raise TypeError(
                f"{function.__name__} is a generator or coroutine: decorated, it would be created in this mode "
                "and run in its caller's. Write the `with` inside it."
            )

        @wraps(function)
        def switched(*args: P.args, **kwargs: P.kwargs) -> R:
            with switch(**self.changes):
                return function(*args, **kwargs)

        return switched


def no_grad() -> switch:
    """Inside, nothing is recorded and results do not require a gradient; as a decorator, inside the function.

    >>> with no_grad():
    ...     loss = evaluate(model)
    """
    return switch(grad=False)


def enable_grad() -> switch:
    """Inside, recording is on again, even within `no_grad`; usable as a decorator too."""
    return switch(grad=True)


def holomorphic() -> switch:
    """Inside, complex tensors may require a gradient: for *verification* by complex step only.

    A complex number stands for a real one that moves: its imaginary part, divided by the step, is the derivative
    (Squire & Trapp 1998, "Using complex variables to estimate derivatives of real functions"). Rules are written for
    real numbers and know nothing of this; `npgrad.engine.holomorphic` makes NumPy carry the imaginary parts along,
    through backward too. So f'(z) is the holomorphic derivative, not the conjugated gradient that an optimiser of a
    real loss over complex parameters would need.

    What the graph does not record is constant, as for `grad`: inside, `numpy()`, `item()` and `detach()` give real
    values. After the `with`, `y.numpy()` and `.grad` are complex arrays. `jvp` and `hvp` do all of this for you.
    """
    return switch(holomorphic=True)


def is_grad_enabled() -> bool:
    """Whether operations in this thread are being recorded."""
    return MODE.get().grad
