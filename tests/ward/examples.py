"""What the data and losses of the ward are made of."""

from __future__ import annotations

import functools
from collections.abc import Callable

from npgrad import Tensor, data
from npgrad import functions as F
from tests.ward.case import Array, Data


def fixed(make: Callable[[], tuple[Array, Array]]) -> Data:
    """Data that are the same with every seed."""
    kept = functools.cache(make)
    return functools.update_wrapper(lambda rng: kept(), make)


def text(words: list[str], columns: int) -> tuple[Array, Array]:
    """Windows over words, and what follows each."""
    windows = data.windows(words, data.Vocabulary(words), columns)
    return windows.x, windows.y


def mse(output: Tensor, y: Array) -> Tensor:
    return F.mse_loss(output, y)


def huber(output: Tensor, y: Array) -> Tensor:
    return F.huber_loss(output, y)
