"""Dropout: random zeros during training."""

from __future__ import annotations

import numpy as np

from npgrad import functions as F
from npgrad.engine.tensor import Tensor
from npgrad.nn import init
from npgrad.nn.module import Module

__all__ = ["Dropout"]


class Dropout(Module):
    """In training, set each entry to 0 with probability `p` and divide the others by 1 − p; in evaluation do nothing.

    The division keeps the expected value, so evaluation needs no correction. `rng` is kept and advanced by every
    training pass. Source: Srivastava et al. 2014.

    Raises TypeError without a generator, ValueError if p is not in [0, 1].
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | None = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout({p}): the probability of dropping an entry must be between 0 and 1.")
        self.p, self.rng = p, init.generator(rng, f"Dropout({p})")

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training, self.rng)

    def extra_repr(self) -> str:
        return f"{self.p:g}"
