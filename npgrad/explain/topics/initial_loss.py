"""What the loss should be before anything is learned: ln C, and why a first loss far above it is wasted.

A network that knows nothing should spread its belief evenly over the C classes. If its first loss is much larger, as
27 is for the lecture's 27 characters where ln 27 = 3.3, then the logits are large by accident, and the first thousand
steps or two do little but make them small: the steep blade of the hockey stick.

Case: no opinion
Symbols
    a           the common value of all logits
    t in c      the true class
    size(c) = 5
    C = size(c)
Forward
    (1) z[c]  = a + 0*c
    (2) p[c]  = exp(z[c])/sum(j, exp(z[j]))
              = 1/C                                # the common factor exp(a) cancels
    (3) loss  = -log(p[t])
              = log(C)

Case: opinions by accident
Symbols
    z[i,c]      logits that have nothing to do with the classes
    C = size(c)
Forward
    (4) expected[i] = mean(t, log(sum(c, exp(z[i,c]))) - z[i,t])   # every class is the true one equally often
                    = log(sum(c, exp(z[i,c]))) - mean(c, z[i,c])
    (5) excess[i]   = expected[i] - log(C)
                    = log(mean(c, exp(z[i,c] - mean(j, z[i,j]))))
    (a) where(excess[i] > 0, 1, 0) = 1                             # Jensen: the mean of exp exceeds exp of the mean

Case: how much it costs
Symbols
    s = 0.7       standard deviation of the logits
    size(i) = 401
    h = 1/20      width of a step
Forward
    (6) u[i]   = (i - 200)*h                                       # from -10 to 10
    (7) phi[i] = exp(-u[i]**2/2)/sqrt(2*pi)                        # the normal density
    (8) cost   = log(sum(i, phi[i]*exp(s*u[i])*h))                 # the excess for many classes, logits normal
               = s**2/2

Notes
    The excess (5) is 0 only if all logits of a row are equal. For normally distributed logits of standard deviation s
    and many classes it is s**2/2 (8). "Many" is far more than exp(s**2): with 27 classes that holds up to about s = 1.
    Beyond, the largest logit decides, and the loss grows in proportion to s: the lecture's first network has logits of
    s = 13, and 27 classes then cost 26.

    The sum in (8) is an integral over the normal density; on an even grid that falls to 0 at both ends it is exact to
    the last digits.

    So: scale the last layer by 0.01 and set its bias to 0. Last weights of exactly 0 do as well, as long as the layers
    before them are random: the symmetry that must be broken is that of the hidden units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["initial_loss"]

Array = NDArray[Any]


def initial_loss(
    a: float = 0.0, t: int = 0, z: Array | None = None, C: int = 27, s: float = 1.0, size: int = 401
) -> dict[str, Any]:
    """The loss of equal logits, the expected loss of logits z (rows, classes), and what a spread s of logits costs."""
    if z is None:
        z = np.full(C, a)  # (1)
        p = np.exp(z) / np.exp(z).sum()  # (2)
        loss = -np.log(p[t])  # (3)
        h = 20 / (size - 1)
        u = (np.arange(size) - size // 2) * h  # (6)
        phi = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)  # (7)
        cost = np.log((phi * np.exp(s * u) * h).sum())  # (8)
        return {"loss": loss, "cost": cost}
    expected = np.log(np.exp(z).sum(1)) - z.mean(1)  # (4)
    excess = expected - np.log(C)  # (5)
    return {"expected": expected, "excess": excess}
