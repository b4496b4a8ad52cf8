"""The update-to-data ratio: how large a step is, measured in units of what it changes.

A gradient says nothing by itself: what matters is lr times gradient beside the parameter. In the lecture each layer's
ratio, on a logarithmic scale, should settle near -3: a thousandth of the weights per step.

Case: the ratio
Symbols
    p[i,j]        a weight matrix
    g[i,j]        its gradient
    lr = 0.1      learning rate
Forward
    (1) u[i,j]    = lr*g[i,j]
    (2) ratio     = sqrt(mean((i,j), (u[i,j] - mean((k,l), u[k,l]))**2)/mean((i,j), (p[i,j] - mean((k,l), p[k,l]))**2))
                  = lr*sqrt(sum((i,j), (g[i,j] - mean((k,l), g[k,l]))**2)/sum((i,j), (p[i,j] - mean((k,l), p[k,l]))**2))
    (3) logratio  = log(ratio)/log(10)
    (4) plain     = sqrt(sum((i,j), u[i,j]**2)/sum((i,j), p[i,j]**2))
    (5) pnew[i,j] = p[i,j] - u[i,j]
    (a) sqrt(sum((i,j), (pnew[i,j] - p[i,j])**2)/sum((i,j), p[i,j]**2)) = plain

Case: weights before a normalisation
Symbols
    p[j]          weights into one unit
    dy[i]         gradient that arrives at the unit's normalised output
    x[i,j]        inputs of the layer
    lr = 0.1
    n = size(i)
Forward
    (b) y[i]      = sum(j, (x[i,j] - mean(k, x[k,j]))*p[j])
    (c) std       = sqrt(mean(i, y[i]**2))
    (d) yhat[i]   = y[i]/std
    (e) loss      = sum(i, dy[i]*yhat[i])
Backward
    (6) dp[j]     = dloss*sum(i, (dy[i] - yhat[i]*mean(k, dy[k]*yhat[k]))*(x[i,j] - mean(k, x[k,j])))/std
    (f) sum(j, p[j]*dp[j]) = 0                                      # longer weights give the same output
    (7) growth    = sum(j, (p[j] - lr*dp[j])**2)/sum(j, p[j]**2)
                  = 1 + lr**2*sum(j, dp[j]**2)/sum(j, p[j]**2)      # Pythagoras: a step can only make them longer

Notes
    (2) uses standard deviations, as the lecture does; where means are near 0 it is (4), the length of the step over
    the length of the weights (a).

    (7): before batch normalisation the gradient is perpendicular to the weights (f), so that every step of plain SGD,
    without decay and momentum, makes them longer, and the gradient, which is divided by their length in (6), smaller.
    The ratio falls by itself: a learning rate schedule nobody set.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["update_ratio"]

Array = NDArray[Any]


def update_ratio(
    p: Array, lr: float, g: Array | None = None, x: Array | None = None, dy: Array | None = None
) -> dict[str, Any]:
    """The ratio of an update lr·g to p; or, for weights p before a normalisation, their gradient and how they grow."""
    if g is not None:
        u = lr * g  # (1)
        ratio = u.std() / p.std()  # (2)
        logratio = np.log10(ratio)  # (3)
        plain = np.linalg.norm(u) / np.linalg.norm(p)  # (4)
        pnew = p - u  # (5)
        return {"ratio": ratio, "logratio": logratio, "plain": plain, "pnew": pnew}
    assert x is not None and dy is not None
    centred = x - x.mean(0)
    y = centred @ p
    std = np.sqrt((y**2).mean())
    yhat = y / std
    dp = (dy - yhat * (dy * yhat).mean()) @ centred / std  # (6)
    growth = np.sum((p - lr * dp) ** 2) / np.sum(p**2)  # (7)
    return {"dp": dp, "growth": growth}
