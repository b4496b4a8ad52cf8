"""The error function and its complement in NumPy alone.

Rational approximations from W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of
Computation 23 (1969), 631–637, with the coefficients of his routine CALERF. Relative error about 1e-15 in float64.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array

__all__ = ["erf", "erfc", "normal_cdf"]

# Numerator and denominator on each of three ranges of |x|, the highest power first.
_NEAR = 0.46875
_NEAR_P = (
    1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3,
)  # fmt: skip
_NEAR_Q = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)
_MIDDLE_P = (
    2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
    2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3,
)  # fmt: skip
_MIDDLE_Q = (
    1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
    3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
)  # fmt: skip
_FAR = 4.0
_FAR_P = (
    1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1,
    1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4,
)  # fmt: skip
_FAR_Q = (
    1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
    2.33520497626869185e-3,
)  # fmt: skip
# erfc underflows to 0 before 28: holding the argument here keeps infinity out of the formulas.
_END = 30.0

# Mills' ratio of the normal distribution, (1 - cdf(z))/pdf(z) at z ≥ 0, as a continued fraction of five levels,
# 1/(z + a + b/(z + a' + b'/(z + …))): the pairs a and b from the innermost level outwards, fitted to the formulas above
# on [0, 14.2] for the least relative error, which is 2e-8. Beyond, it tends to 1/z, as the ratio does.
_MILLS_INNERMOST = 5.60909792331
_MILLS = (
    (-1.50051896301, 36.5824282165), (5.41554894251, -12.4024040757),
    (-0.137560782800, 4.07693109473), (1.02330e-4, 0.994420692587),
)  # fmt: skip


def erf(x: Any) -> Array:
    """2/√π times the integral of exp(-s²) from 0 to x, elementwise, to full relative accuracy at small x."""
    x = x * 1.0
    return np.where(np.abs(x) <= _NEAR, _near(np.clip(x, -_NEAR, _NEAR)), 1.0 - erfc(x))


def erfc(x: Any) -> Array:
    """1 - erf(x), that is 2/√π times the integral of exp(-s²) from x to infinity, elementwise, without cancellation."""
    x = x * 1.0
    negative = x < 0
    z = np.minimum(np.where(negative, -x, x), _END)
    near, far = z <= _NEAR, z > _FAR
    middle = ~(near | far)
    y = np.empty_like(z)
    y[near] = 1.0 - _near(z[near])
    y[middle] = _gauss(z[middle]) * _middle(z[middle])
    y[far] = _gauss(z[far]) * _far(z[far])
    return np.where(negative, 2.0 - y, y)


def normal_cdf(x: Array, pdf: Array) -> Array:
    """The distribution function of the standard normal distribution at finite x, where its density is `pdf`.

    The left tail does not cancel. float32 takes a tenth of the time of the rest, by one formula instead of one for
    each range.
    """
    if x.dtype != np.float32:
        return 0.5 * erfc(-sqrt(0.5) * x)
    # In one array: a new one for each step would take three times as long at 4096 x 1024.
    z = np.abs(x)
    fraction = np.add(z, _MILLS_INNERMOST, out=np.empty_like(z))
    for a, b in _MILLS:
        np.divide(b, fraction, out=fraction)
        fraction += z
        fraction += a
    tail = np.divide(pdf, fraction, out=fraction)
    # The tail itself at negative x, and what it leaves of 1 at positive ones.
    np.subtract(x > 0, tail, out=tail)
    return np.abs(tail, out=tail)


def _near(x: Array) -> Array:
    """erf(x) at |x| ≤ 0.46875."""
    square = x * x
    return x * _polynomial(_NEAR_P, square) / _polynomial(_NEAR_Q, square)


def _middle(z: Array) -> Array:
    """erfc(z)·exp(z²) from 0.46875 to 4."""
    return _polynomial(_MIDDLE_P, z) / _polynomial(_MIDDLE_Q, z)


def _far(z: Array) -> Array:
    """erfc(z)·exp(z²) from 4 on."""
    w = 1.0 / (z * z)
    return (pi**-0.5 - w * _polynomial(_FAR_P, w) / _polynomial(_FAR_Q, w)) / z


def _gauss(z: Array) -> Array:
    """exp(-z²) at z ≥ 0 to full relative accuracy: z² is split into a part that is exact and a small rest."""
    head = np.floor(z * 16.0) / 16.0
    return np.exp(-head * head) * np.exp(-(z - head) * (z + head))


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's rule, the highest power first."""
    y = coefficients[0] * x + coefficients[1]
    for c in coefficients[2:]:
        y = y * x + c
    return y
