"""First oracle: the complex step, exact to rounding.

Im f(x + i·h·v)/h is the derivative of f along v for a holomorphic f (Squire & Trapp 1998). The step is so small that
its square is 0, so there is no error of truncation, and nothing is subtracted that could cancel. What NumPy's functions
do with such a number is settled in `npgrad.engine.holomorphic`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.derivative import Point, tangent
from npgrad.engine.arrays import Array
from npgrad.engine.holomorphic import Holomorphic
from npgrad.engine.tensor import Tensor

__all__ = ["complex_step"]


def complex_step(point: Point, k: int, v: Array) -> list[Array]:
    """The derivative of each output of `point` when input k moves along v.

    Raises TypeError if an operation on the way loses the derivative.
    """
    values: list[Any] = list(point.values)
    values[k] = Holomorphic(values[k], v)
    with np.errstate(all="ignore"), point.at(values) as tensors:
        return [tangent(y) for y in outputs(point(tensors))]


def outputs(result: Any) -> list[Tensor]:
    """The tensors a function returned: one, or several in a tuple or list.

    Raises TypeError if there is anything else among them.
    """
    ys = list(result) if isinstance(result, tuple | list) else [result]
    for y in ys:
        if not isinstance(y, Tensor):
            raise TypeError(
                f"the function checked must return a tensor, or a tuple of tensors; it returned {type(y).__name__}. "
                "Compute with npgrad functions (or NumPy's on tensors) all the way."
            )
    return ys
