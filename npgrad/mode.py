"""What the current thread is doing: recording a graph or not, replaying a step or not.

The state is one immutable value in a `contextvars.ContextVar`, so every thread (and every asyncio task) has its own,
and an exception can never leave it half changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from npgrad.replay import Tape

__all__ = ["enable_grad", "holomorphic", "is_grad_enabled", "no_grad"]


class Mode(NamedTuple):
    """The switches one operation has to look at."""

    grad: bool = True
    """Operations on tensors that require a gradient are recorded."""
    holomorphic: bool = False
    """Complex leaves may require a gradient (verification by complex step)."""
    tape: Tape | None = None
    """The recording that operations are matched against (`npgrad.replay`)."""


MODE: ContextVar[Mode] = ContextVar("npgrad_mode", default=Mode())  # noqa: B039 (a NamedTuple cannot change)


@contextmanager
def _switch(**changes: object) -> Iterator[None]:
    token = MODE.set(MODE.get()._replace(**changes))  # type: ignore[arg-type]
    try:
        yield
    finally:
        MODE.reset(token)


@contextmanager
def no_grad() -> Iterator[None]:
    """Inside, nothing is recorded and results do not require a gradient; as a decorator, inside the function.

    >>> with no_grad():
    ...     loss = evaluate(model)
    """
    with _switch(grad=False):
        yield


@contextmanager
def enable_grad() -> Iterator[None]:
    """Inside, recording is on again, even within `no_grad`; usable as a decorator too."""
    with _switch(grad=True):
        yield


@contextmanager
def holomorphic() -> Iterator[None]:
    """Inside, complex tensors may require a gradient: for *verification* by complex step only.

    Every rule of npgrad is written without conjugation, so on complex numbers it computes the holomorphic derivative
    f'(z), not the conjugated gradient that an optimiser of a real loss over complex parameters would need. That is what
    makes Im f(x + ih)/h and exact Hessian-vector products possible (Squire & Trapp 1998, "Using complex variables to
    estimate derivatives of real functions"). Where one floating operand of an operation is complex, the others are made
    complex too.
    """
    with _switch(holomorphic=True):
        yield


def is_grad_enabled() -> bool:
    """Whether operations in this thread are being recorded."""
    return MODE.get().grad
