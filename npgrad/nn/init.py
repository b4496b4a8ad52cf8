"""Initial values of weights: each function takes a shape and a generator and returns an array.

Every draw comes from the `numpy.random.Generator` given as `rng`; there is no global random state, so a run can always
be repeated. Numbers are drawn in float64 and then rounded to `dtype`, so float32 and float64 runs start alike.

Fans. Two layouts are told apart by the number of axes:
    (fan_in, fan_out)             the weight of Linear, which computes x @ W
    (out, in, k1, k2, …)          the weight of a convolution: fan_in = in·k1·k2·…, fan_out = out·k1·k2·…

Why fans matter: a sum of fan_in independent terms of variance v has variance fan_in·v. A weight of standard deviation
gain/√fan_in therefore keeps the size of activations from layer to layer; gain makes up for what the nonlinearity loses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from npgrad.creation import generator
from npgrad.engine.arrays import Array
from npgrad.functions.activation import NEGATIVE_SLOPE

__all__ = [
    "calculate_gain", "constant", "fans", "generator", "kaiming_normal", "kaiming_uniform", "normal", "ones",
    "orthogonal", "uniform", "xavier_normal", "xavier_uniform", "zeros",
]  # fmt: skip

Shape = int | Sequence[int]
_UNIT_GAIN = (
    "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid",
)  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights must exceed 1/√fan for activations to keep their size through `nonlinearity`.

    linear, conv…, sigmoid 1; tanh 5/3; relu √2; leaky_relu √(2/(1 + slope²)) with slope = `param` (by default the one
    of `npgrad.leaky_relu`); selu 3/4: PyTorch's table. Raises ValueError for any other name, or a slope that is not a
    number.
    """
    if nonlinearity in _UNIT_GAIN:
        return 1.0
    if nonlinearity == "tanh":
        return 5 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        if param is None:
            param = NEGATIVE_SLOPE
        if isinstance(param, bool) or not isinstance(param, int | float):
            raise ValueError(f"the negative slope of leaky_relu must be a number, got {param!r}.")
        return math.sqrt(2.0 / (1 + param**2))
    if nonlinearity == "selu":
        return 3 / 4
    raise ValueError(
        f"no gain is known for the nonlinearity {nonlinearity!r}. Known are linear, conv1d, conv2d, conv3d, "
        "conv_transpose1d/2d/3d, sigmoid, tanh, relu, leaky_relu and selu; for others pass a gain yourself."
    )


def fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight of this shape: see the layouts above. Raises ValueError below two axes."""
    shape = _shape(shape)
    if len(shape) < 2:
        raise ValueError(
            f"a weight of shape {shape} has no fan_in and fan_out: two axes (fan_in, fan_out) for a linear layer or "
            "(out, in, k, …) for a convolution are needed. For biases use zeros, normal or uniform."
        )
    if len(shape) == 2:
        return shape[0], shape[1]
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def zeros(shape: Shape, *, dtype: DTypeLike = np.float32) -> Array:
    """All 0."""
    return np.zeros(shape, dtype)


def ones(shape: Shape, *, dtype: DTypeLike = np.float32) -> Array:
    """All 1."""
    return np.ones(shape, dtype)


def constant(shape: Shape, value: float, *, dtype: DTypeLike = np.float32) -> Array:
    """All `value`."""
    return np.full(shape, value, dtype)


def normal(
    shape: Shape,
    mean: float = 0.0,
    std: float = 1.0,
    *,
    rng: np.random.Generator | None = None,
    dtype: DTypeLike = np.float32,
) -> Array:
    """Normally distributed numbers. Raises ValueError if `std` is negative."""
    return generator(rng, "init.normal").normal(mean, std, _shape(shape)).astype(dtype)


def uniform(
    shape: Shape,
    low: float = 0.0,
    high: float = 1.0,
    *,
    rng: np.random.Generator | None = None,
    dtype: DTypeLike = np.float32,
) -> Array:
    """Uniformly distributed numbers in [low, high)."""
    return generator(rng, "init.uniform").uniform(low, high, _shape(shape)).astype(dtype)


def kaiming_normal(
    shape: Shape,
    *,
    rng: np.random.Generator | None = None,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    a: float = 0.0,
    dtype: DTypeLike = np.float32,
) -> Array:
    """N(0, std²) with std = gain/√fan: He et al. 2015 (arXiv:1502.01852), equation 10.

    `mode` "fan_in" keeps the size of activations going forward, "fan_out" that of gradients going back (equation 14).
    `a` is the negative slope if the nonlinearity is leaky_relu (0, the default, is relu).
    """
    std = _kaiming_std(shape, mode, nonlinearity, a)
    return normal(shape, 0.0, std, rng=generator(rng, "init.kaiming_normal"), dtype=dtype)


def kaiming_uniform(
    shape: Shape,
    *,
    rng: np.random.Generator | None = None,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    a: float = 0.0,
    dtype: DTypeLike = np.float32,
) -> Array:
    """As `kaiming_normal`, uniform on ±√3·std, which has the same standard deviation."""
    bound = math.sqrt(3.0) * _kaiming_std(shape, mode, nonlinearity, a)
    return uniform(shape, -bound, bound, rng=generator(rng, "init.kaiming_uniform"), dtype=dtype)


def xavier_normal(
    shape: Shape, *, rng: np.random.Generator | None = None, gain: float = 1.0, dtype: DTypeLike = np.float32
) -> Array:
    """N(0, std²) with std = gain·√(2/(fan_in + fan_out)): Glorot & Bengio 2010, equation 12.

    A compromise between the two modes of `kaiming_normal`.
    """
    std = gain * math.sqrt(2.0 / max(sum(fans(shape)), 1))
    return normal(shape, 0.0, std, rng=generator(rng, "init.xavier_normal"), dtype=dtype)


def xavier_uniform(
    shape: Shape, *, rng: np.random.Generator | None = None, gain: float = 1.0, dtype: DTypeLike = np.float32
) -> Array:
    """Uniform on ±gain·√(6/(fan_in + fan_out)): Glorot & Bengio 2010, equation 16."""
    bound = gain * math.sqrt(6.0 / max(sum(fans(shape)), 1))
    return uniform(shape, -bound, bound, rng=generator(rng, "init.xavier_uniform"), dtype=dtype)


def orthogonal(
    shape: Shape, *, rng: np.random.Generator | None = None, gain: float = 1.0, dtype: DTypeLike = np.float32
) -> Array:
    """gain times a random matrix with orthonormal rows or columns, whichever are fewer.

    More than two axes are treated as the matrix (shape[0], product of the others). The distribution is uniform over all
    such matrices (Mezzadri 2007: the QR decomposition of a normal matrix, with the signs of R's diagonal). Source:
    Saxe, McClelland & Ganguli 2014 (arXiv:1312.6120).

    Raises ValueError below two axes.
    """
    shape = _shape(shape)
    fans(shape)
    rows, columns = shape[0], math.prod(shape[1:])
    z = generator(rng, "init.orthogonal").normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(z)
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return np.ascontiguousarray(gain * (q if rows >= columns else q.T).reshape(shape), dtype)


def _kaiming_std(shape: Shape, mode: str, nonlinearity: str, a: float) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}.")
    fan = fans(shape)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def _shape(shape: Shape) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, int | np.integer) else tuple(shape)
