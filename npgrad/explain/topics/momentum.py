"""Momentum: the step follows a sum of all gradients so far, older ones counting less.

Symbols
    g[t,i]          gradient of step t
    p0[i]           where it starts
    lr = 0.1        learning rate
    mu = 0.9        momentum: how much of the last direction is kept
    size(k) = size(t)   steps so far
Forward
    (1) b[t,i] = sum(k, (k <= t)*mu**(t - k)*g[k,i])
    (a) b[t,i] = mu*b[t-1,i] + g[t,i]              # the recursion that code runs; before the first step b is 0
    (2) p[t,i] = p0[i] - lr*sum(k, (k <= t)*b[k,i])
    (b) p[t,i] = where(t == 0, p0[i], p[t-1,i]) - lr*b[t,i]
    (3) d[t,i] = g[t,i] + mu*b[t,i]                # Nesterov's direction: as if b had gone one step further
    (c) d[t,i] = sum(k, (k <= t)*mu**(t - k + 1)*g[k,i]) + g[t,i]
    (4) weight[t] = sum(k, (k <= t)*mu**(t - k))
                  = (1 - mu**(t + 1))/(1 - mu)
Notes
    (4): under a constant gradient b grows to g/(1 - mu), ten times the gradient at mu = 0.9. So momentum raises the
    effective learning rate by that factor, and lr has to come down when mu goes up.

    Along a narrow valley the gradients across it change sign in each step and cancel in (1), those along it add up.

    Source: Polyak 1964, and in this form torch.optim.SGD. Sutskever et al. 2013, equations 1 to 4, have lr inside of
    the velocity: the same while lr is constant, and another where it changes, since (1) is rescaled by a new lr at
    once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["momentum"]

Array = NDArray[Any]


def momentum(g: Array, p0: Array, lr: float, mu: float) -> dict[str, Array]:
    """The path of SGD with momentum for given gradients g (steps, parameters): directions, parameters, Nesterov's."""
    velocity, position = np.zeros_like(p0), p0
    directions, positions = [], []
    for gradient in g:
        velocity = mu * velocity + gradient
        position = position - lr * velocity
        directions.append(velocity)
        positions.append(position)
    b = np.array(directions)  # (1)
    p = np.array(positions)  # (2)
    d = g + mu * b  # (3)
    weight = np.cumsum(mu ** np.arange(len(g)))  # (4)
    return {"b": b, "p": p, "d": d, "weight": weight}
