"""Cases: for every Function, how to draw inputs that exercise it, and what torch calls the same thing.

The certificate, the test suite and the benchmarks all enumerate these, so a Function without a case is noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["CASES", "Case", "case"]


@dataclass(frozen=True)
class Case:
    """One call of a Function: `Function.apply(*inputs, **options)`.

    Floating-point arrays among `inputs` are differentiated; integer arrays, booleans and None are passed as they are.
    `torch(torch_module, *tensors)` computes the same value with PyTorch from the same inputs (options written into it).
    """

    inputs: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    torch: Callable[..., Any] | None = None


Builder = Callable[[np.random.Generator], Case]
CASES: dict[str, list[Builder]] = {}
"""Function name -> builders; a builder draws shapes, values and options from the generator it is given."""


def case(name: str) -> Callable[[Builder], Builder]:
    """Register a builder of cases for the Function called `name`."""

    def register(builder: Builder) -> Builder:
        CASES.setdefault(name, []).append(builder)
        return builder

    return register
