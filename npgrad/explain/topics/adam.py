"""Adam: each parameter's step is its mean gradient, measured in units of its root mean square.

Symbols
    g[t,i] != 0         gradient of step t
    p0[i]               where it starts
    lr = 0.01           learning rate
    beta1 = 0.9         memory of the mean
    beta2 = 0.99        memory of the mean square
    eps = 1e-8          keeps the division finite where a gradient is always 0
    size(k) = size(t)   steps so far
Forward
    (1) m[t,i]    = (1 - beta1)*sum(k, (k <= t)*beta1**(t - k)*g[k,i])
    (a) m[t,i]    = beta1*m[t-1,i] + (1 - beta1)*g[t,i]             # the recursion; before the first step m is 0
    (2) v[t,i]    = (1 - beta2)*sum(k, (k <= t)*beta2**(t - k)*g[k,i]**2)
    (b) v[t,i]    = beta2*v[t-1,i] + (1 - beta2)*g[t,i]**2
    (c) (1 - beta1)*sum(k, (k <= t)*beta1**(t - k)) = 1 - beta1**(t + 1)   # the weights of (1) add up to less than 1
    (3) mhat[t,i] = m[t,i]/(1 - beta1**(t + 1))
    (4) vhat[t,i] = v[t,i]/(1 - beta2**(t + 1))
    (5) d[t,i]    = -lr*mhat[t,i]/(sqrt(vhat[t,i]) + eps)
    (d) d[0,i]    = -lr*g[0,i]/(abs(g[0,i]) + eps)                  # the first step has length lr in each coordinate
    (6) p[t,i]    = p0[i] + sum(k, (k <= t)*d[k,i])
Notes
    m begins at 0, and so is too small at first; (3) divides by the weight that the gradients so far have had (c), so
    that mhat of a constant gradient is that gradient from the first step on.

    Multiplying all gradients by a number changes nothing in (5) but the effect of eps. So a step of Adam is at most
    about lr in each coordinate: that much while gradients agree, and less the more they are noise (of gradients that
    are independent with mean 0, sqrt((1 - beta1)/(1 + beta1)) = 0.23 of it at beta1 = 0.9). lr/rms(p) therefore bounds
    the update-to-data ratio of Adam; that of SGD depends on the size of the gradients (`update_ratio`).

    Source: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1. AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) decays
    weights outside of (5), so that the decay is not divided by sqrt(vhat).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["adam"]

Array = NDArray[Any]


def adam(g: Array, p0: Array, lr: float, beta1: float, beta2: float, eps: float) -> dict[str, Array]:
    """The path of Adam for given gradients g (steps, parameters): means, corrected means, steps, parameters."""
    mean, square = np.zeros_like(p0), np.zeros_like(p0)
    means, squares = [], []
    for gradient in g:
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        means.append(mean)
        squares.append(square)
    m = np.array(means)  # (1)
    v = np.array(squares)  # (2)
    step = np.arange(1, len(g) + 1)[:, None]
    mhat = m / (1 - beta1**step)  # (3)
    vhat = v / (1 - beta2**step)  # (4)
    d = -lr * mhat / (np.sqrt(vhat) + eps)  # (5)
    p = p0 + np.cumsum(d, axis=0)  # (6)
    return {"m": m, "v": v, "mhat": mhat, "vhat": vhat, "d": d, "p": p}
