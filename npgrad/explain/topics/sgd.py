"""Gradient descent: why the step is minus the gradient, how long it may be, and what weight decay does.

Case: the step
Symbols
    p[i]          parameters
    g[i]          gradient of the loss at p
    lr = 0.1      learning rate
Forward
    (1) d[i]     = -lr*g[i]
    (2) pnew[i]  = p[i] + d[i]
    (3) model    = sum(i, g[i]*d[i]) + sum(i, d[i]**2)/(2*lr)   # the loss by its slope, and a price for leaving
                 = -lr*sum(i, g[i]**2)/2
Backward
    (4) dd[i]    = dmodel*(g[i] + d[i]/lr)
                 = 0                                            # no other step goes lower at this price

Case: how long a step may be
Symbols
    p0[i]                     where it starts
    h[i] in (0.5, 1.5)        curvature along each axis: the loss is sum(i, h[i]*p[i]**2)/2
    lr = 0.1
    size(t) = 6               steps
Forward
    (5) p[t,i]  = p0[i]*(1 - lr*h[i])**t
    (a) p[t+1,i]*(t < size(t)-1) = (p[t,i] - lr*h[i]*p[t,i])*(t < size(t)-1)    # each is the step (2) from the last

Case: weight decay
Symbols
    p[i]                      parameters
    g[i]                      gradient
    lr = 0.1
    weight_decay = 0.01
Forward
    (6) decayed[i] = p[i] - lr*(g[i] + weight_decay*p[i])
                   = (1 - lr*weight_decay)*p[i] - lr*g[i]       # shrink, then step

Notes
    (5): along an axis of curvature h the error is multiplied by 1 - lr*h in each step. It shrinks if lr < 2/h, most at
    lr = 1/h. One learning rate serves all axes, so the steepest decides how large it may be and the flattest how long
    it takes: the reason to normalise, and for methods that scale each axis by itself (`adam`).

    (4) is the derivative of (3) with respect to the step, by the same check as every adjoint here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["sgd"]

Array = NDArray[Any]


def sgd(
    lr: float,
    p: Array | None = None,
    g: Array | None = None,
    p0: Array | None = None,
    h: Array | None = None,
    weight_decay: float | None = None,
    steps: int = 6,
) -> dict[str, Any]:
    """One step from p along -g (with weight decay, if given); or `steps` steps on a bowl of curvatures h from p0."""
    if p is None or g is None:
        assert p0 is not None and h is not None
        path = [p0]
        for _ in range(steps - 1):
            path.append(path[-1] - lr * h * path[-1])
        p = np.array(path)  # (5)
        return {"p": p}
    if weight_decay is not None:
        decayed = p - lr * (g + weight_decay * p)  # (6)
        return {"decayed": decayed}
    d = -lr * g  # (1)
    pnew = p + d  # (2)
    model = g @ d + d @ d / (2 * lr)  # (3)
    dd = g + d / lr  # (4)
    return {"pnew": pnew, "model": model, "dd": dd}
