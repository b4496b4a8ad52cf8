"""Why weights are divided by the root of fan_in: variances of independent terms add up.

An expectation over random weights is a mean over all weights there could be. If each weight is +s or -s with equal
chance, there are 2**fan_in rows of weights, few enough to take that mean exactly; only the mean 0, the variance s**2
and the independence of the weights are used, so the result holds for normal weights too.

Symbols
    x[i,j]                    example i, input j
    s = 0.3                   standard deviation of a weight
    size(j) = 4
    fan_in = size(j)
    size(e) = 2**size(j)      every pattern of signs, all equally likely
Forward
    (1) w[e,j]   = s*(1 - 2*((e//2**j) % 2))       # bit j of the number e gives the sign
    (a) mean(e, w[e,j]) = 0
    (b) mean(e, w[e,j]*w[e,k]) = s**2*delta(j,k)   # different weights are uncorrelated
    (2) y[e,i]   = sum(j, x[i,j]*w[e,j])
    (c) mean(e, y[e,i]) = 0
    (3) var[i]   = mean(e, y[e,i]**2)
                 = sum(j, sum(k, x[i,j]*x[i,k]*mean(e, w[e,j]*w[e,k])))
                 = s**2*sum(j, x[i,j]**2)          # by (b) only j = k remains
                 = fan_in*s**2*mean(j, x[i,j]**2)
    (4) scaled[i] = mean(e, (y[e,i]/(s*sqrt(fan_in)))**2)
                 = mean(j, x[i,j]**2)              # with weights of standard deviation 1/sqrt(fan_in) nothing grows
Notes
    (3) says: a layer multiplies the mean square by fan_in*s**2. With 30 inputs and s = 1 a pre-activation is 5.5 times
    as large as an input, and of normal ones that size tanh puts 63 % beyond ±0.99: the saturated layer of the lecture.

    Ten layers with a factor of 2 each make 1000, with a factor of 1/2 each 1/1000. What may be left over is small on
    the scale of 1/depth: a factor of 1 + c/depth makes exp(c) in all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["linear_variance"]

Array = NDArray[Any]


def linear_variance(x: Array, s: float) -> dict[str, Array]:
    """The variance of each row's output over all patterns of signs of weights ±s, and with weights ±1/√fan_in."""
    fan_in = x.shape[1]
    e = np.arange(2**fan_in)
    w = s * (1 - 2 * (e[:, None] // 2 ** np.arange(fan_in) % 2))  # (1)
    y = w @ x.T  # (2)
    var = (y**2).mean(0)  # (3)
    scaled = (x**2).mean(1)  # (4)
    return {"var": var, "scaled": scaled}
