"""Data of the ward: names, and what is made by code."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from npgrad import Tensor, data
from npgrad import functions as F

Array = np.ndarray


@functools.cache
def names() -> tuple[Array, Array]:
    corpus = data.load("data/names.txt", 3)
    return corpus.train.x[:20_000], corpus.train.y[:20_000]


def table(rng: np.random.Generator, n: int = 3000) -> tuple[Array, Array]:
    """Twelve numbers, five classes, a boundary that is not linear."""
    x = rng.standard_normal((n, 12)).astype(np.float32)
    h = np.tanh(x @ rng.standard_normal((12, 16)) * 0.6)
    return x, (h @ rng.standard_normal((16, 5)) + 0.2 * rng.standard_normal((n, 5))).argmax(1)


def images(rng: np.random.Generator, n: int = 2000) -> tuple[Array, Array]:
    """Four patterns of 8 × 8 under noise, moved about."""
    patterns = rng.standard_normal((4, 8, 8))
    y = rng.integers(4, size=n)
    x = np.stack([np.roll(patterns[k], tuple(rng.integers(-1, 2, 2)), (0, 1)) for k in y])
    x = x + 0.7 * rng.standard_normal(x.shape)
    return (x / x.std())[:, None].astype(np.float32), y


def numbers(rng: np.random.Generator, n: int = 3000) -> tuple[Array, Array]:
    """Regression: ten numbers to one."""
    x = rng.standard_normal((n, 10)).astype(np.float32)
    y = np.sin(x[:, 0] * 1.5) + x[:, 1] * x[:, 2] + 0.7 * x[:, 3] + 0.1 * rng.standard_normal(n)
    return x, (y / y.std()).astype(np.float32)[:, None]


def mse(output: Tensor, y: Array) -> Tensor:
    return F.mse_loss(output, y)


DATA: dict[str, Callable[[np.random.Generator], tuple[Array, Array]]] = {
    "names": lambda rng: names(),
    "table": table,
    "images": images,
    "numbers": numbers,
}
