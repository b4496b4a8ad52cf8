"""Where the complex step enters a Function's forward rule, and where it leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from npgrad.engine.holomorphic.number import Holomorphic, State, join, lift, values

__all__ = ["entering", "leaving"]

_BOOL = np.dtype(bool)


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
