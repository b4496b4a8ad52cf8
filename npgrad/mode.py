"""What the current thread is doing: recording a graph or not, replaying a step or not.

The state is one immutable value in a `contextvars.ContextVar`, so every thread (and every asyncio task) has its own,
and an exception can never leave it half changed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from npgrad.replay import Tape

P = ParamSpec("P")
R = TypeVar("R")
__all__ = ["enable_grad", "holomorphic", "is_grad_enabled", "no_grad"]


class Mode:
    """The switches one operation has to look at; in slots, because every operation looks at them.

    Never changed: a context in another mode has another one.
    """

    # Not a dataclass, whose making would take as long as importing the rest of the engine's small files.
    __slots__ = ("grad", "holomorphic", "tape")

    def __init__(self, grad: bool = True, holomorphic: bool = False, tape: Tape | None = None) -> None:
        self.grad = grad
        """Operations on tensors that require a gradient are recorded."""
        self.holomorphic = holomorphic
        """Complex tensors stand for real ones that move (verification by complex step)."""
        self.tape = tape
        """The recording that operations are matched against (`npgrad.replay`)."""

    def but(self, **changes: Any) -> Mode:
        """The same with some of the switches set otherwise."""
        return Mode(**{name: getattr(self, name) for name in Mode.__slots__} | changes)


MODE: ContextVar[Mode] = ContextVar("npgrad_mode", default=Mode())  # noqa: B039 (it never changes)


class _switch:
    """Changes of the mode, for the inside of a `with` or for the calls of a decorated function."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.tokens: list[Token[Mode]] = []

    def __enter__(self) -> None:
        self.tokens.append(MODE.set(MODE.get().but(**self.changes)))

    def __exit__(self, *error: object) -> None:
        MODE.reset(self.tokens.pop())

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if isgeneratorfunction(function) or iscoroutinefunction(function) or isasyncgenfunction(function):
            raise TypeError(
                f"{function.__name__} is a generator or coroutine: decorated, it would be created in this mode "
                "and run in its caller's. Write the `with` inside it."
            )

        @wraps(function)
        def switched(*args: P.args, **kwargs: P.kwargs) -> R:
            with _switch(**self.changes):
                return function(*args, **kwargs)

        return switched


def no_grad() -> _switch:
    """Inside, nothing is recorded and results do not require a gradient; as a decorator, inside the function.

    >>> with no_grad():
    ...     loss = evaluate(model)
    """
    return _switch(grad=False)


def enable_grad() -> _switch:
    """Inside, recording is on again, even within `no_grad`; usable as a decorator too."""
    return _switch(grad=True)


def holomorphic() -> _switch:
    """Inside, complex tensors may require a gradient: for *verification* by complex step only.

    A complex number stands for a real one that moves: its imaginary part, divided by the step, is the derivative
    (Squire & Trapp 1998, "Using complex variables to estimate derivatives of real functions"). Rules are written for
    real numbers and know nothing of this; `npgrad.holomorphic` makes NumPy carry the imaginary parts along, through
    backward too. So f'(z) is the holomorphic derivative, not the conjugated gradient that an optimiser of a real loss
    over complex parameters would need.

    What the graph does not record is constant, as for `grad`: inside, `numpy()`, `item()` and `detach()` give real
    values. After the `with`, `y.numpy()` and `.grad` are complex arrays. `jvp` and `hvp` do all of this for you.
    """
    return _switch(holomorphic=True)


def is_grad_enabled() -> bool:
    """Whether operations in this thread are being recorded."""
    return MODE.get().grad
