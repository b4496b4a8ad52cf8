"""What a program needs while it runs, beyond NumPy."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from npgrad.compile.trace import CompileError
from npgrad.engine.arrays import Array, tick
from npgrad.engine.function import Function

__all__ = ["STALE", "Opaque", "late", "opaque_backward", "tick", "undrawn"]

STALE = object()
"""What a program returns if this call is not the one it was written for; nothing has been changed then."""


def undrawn(*generators: Any) -> object:
    """Give back what was drawn from generators, listed with their states before; then the run is stale."""
    for generator, state in zip(generators[::2], generators[1::2], strict=True):
        generator.bit_generator.state = state
    return STALE


def late(where: str) -> NoReturn:
    """A check that depends on what the run itself has changed came out differently."""
    raise CompileError(
        f"{where}: a decision that was taken one way while recording went the other way in a run that had already "
        "changed parameters or other state. Take the decision before anything is updated, or leave it out of the "
        "compiled function."
    )


class Opaque:
    """Calls `forward` of a Function that could not be recorded, on copies: it may keep what it is given."""

    def __init__(self, function: type[Function], needs: tuple[bool, ...], like: Array) -> None:
        self.function, self.needs = function, needs
        self.shape, self.dtype = like.shape, like.dtype

    def __call__(self, *arrays: Any, **options: Any) -> tuple[Function, Array]:
        node = self.function()
        node.needs = self.needs
        given = [a.copy() if isinstance(a, np.ndarray) else a for a in arrays]
        if node.check is not None:
            node.check(*given, **options)
        y = np.asarray(node.forward(*given, **options))
        if y.shape != self.shape or y.dtype != self.dtype:
            raise CompileError(
                f"{self.function.__name__} returned {y.dtype} {y.shape} in a run and {self.dtype} {self.shape} "
                "while recording, from inputs of the same shapes. Leave it out of the compiled function."
            )
        return node, y.copy()


def opaque_backward(node: Function, dy: Array, count: int) -> tuple[Any, ...]:
    """The gradients of a Function that could not be recorded."""
    gradients = node.backward(dy.copy())
    if not isinstance(gradients, tuple):
        gradients = (gradients,)
    if len(gradients) != count:
        raise CompileError(f"backward of {type(node).__name__} returned {len(gradients)} gradients instead of {count}.")
    return tuple([None if g is None else np.array(g) for g in gradients])
