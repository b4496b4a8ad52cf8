"""The gain: what weights must exceed 1/sqrt(fan) by to make up for what the nonlinearity loses, forward and backward.

Expectations over random weights are means over all patterns of signs, as in `linear_variance`: exact, and using
nothing but the symmetry of the weights.

Case: relu, forward
Symbols
    x[j]                      an input
    size(j) = 4
    fan_in = size(j)
    gain = 2**(1/2)
    size(e) = 2**size(j)      every pattern of signs
Forward
    (1) w[e,j] = gain/sqrt(fan_in)*(1 - 2*((e//2**j) % 2))
    (2) y[e]   = sum(j, x[j]*w[e,j])
    (a) y[size(e)-1-e] = -y[e]                     # turning all signs turns y: it is as often positive as negative
    (3) h[e]   = maximum(y[e], 0)
    (4) square = mean(e, h[e]**2)
               = mean(e, y[e]**2)/2                # relu keeps half of the square
               = gain**2/2*mean(j, x[j]**2)
               = mean(j, x[j]**2)                  # the gain of relu is sqrt(2)

Case: relu, backward
Symbols
    x[j]                      an input
    g[k]                      sizes of the gradients that arrive
    size(j) = 2
    size(k) = 2
    fan_out = size(k)
    gain = 2**(1/2)
    size(e) = 2**(size(j)*size(k))      every pattern of signs of the weights
    size(r) = 2**size(k)                every pattern of signs of the arriving gradients
Forward
    (5) W[e,j,k] = gain/sqrt(fan_out)*(1 - 2*((e//2**(j*size(k)+k)) % 2))
    (6) dh[r,k]  = g[k]*(1 - 2*((r//2**k) % 2))
    (b) gate[e,k] = sum(j, x[j]*W[e,j,k]) > 0
    (7) dx[e,r,j] = sum(k, dh[r,k]*gate[e,k]*W[e,j,k])
    (8) dsquare[j] = mean((e,r), dx[e,r,j]**2)
                  = gain**2/(2*fan_out)*sum(k, g[k]**2)     # the gate is open for half of the weights
                  = mean(k, g[k]**2)                        # again sqrt(2), with fan_out in place of fan_in

Case: tanh, in depth
Symbols
    gain = 5/3
    q = 0.4242529765389269    mean square of the activations that many layers settle at
    size(i) = 401
    h = 1/20                  width of a step
Forward
    (9) u[i]    = (i - 200)*h
    (10) phi[i] = exp(-u[i]**2/2)/sqrt(2*pi)       # the normal density
    (c) sum(i, phi[i]*h) = 1
    (11) after  = sum(i, phi[i]*tanh(gain*sqrt(q)*u[i])**2*h)
                = q                                # what comes out of a layer is as large as what went in
    (12) growth = gain**2*sum(i, phi[i]*(1 - tanh(gain*sqrt(q)*u[i])**2)**2*h)   # of a gradient's mean square, a layer

Notes
    Source: He et al. 2015, arXiv:1502.01852, section 2.2 (forward: equation 10; backward: equation 14).
    Backward averages over the signs of the arriving gradients as well, which stands for their assumption that
    gradients are independent of the weights and have mean 0. The gain is theirs, 1/sqrt(fan_in) is older: LeCun et al.
    1998, "Efficient BackProp", section 4.6. Glorot & Bengio 2010, equation 12, take the mean of fan_in and fan_out.

    tanh is nearly linear at 0, so with a gain of 1 each layer shrinks what it gets a little, and the less the smaller
    it is: after many layers the root mean square is about 1/sqrt(2*depth), 0.1 after fifty. With 5/3 there is a size
    that reproduces itself (11), with a root mean square of 0.65: neither vanishing nor saturated. The price: the mean
    square of a gradient grows by 21 % from layer to layer on its way back (12). 5/3 is a choice, not a law; batch
    normalisation makes it nearly irrelevant.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["kaiming_gain"]

Array = NDArray[Any]


def kaiming_gain(
    gain: float, x: Array | None = None, g: Array | None = None, q: float = 1.0, size: int = 401
) -> dict[str, Any]:
    """Mean squares after a layer: of relu forward (x), of relu backward (x and g), of tanh after a mean square q."""
    if x is None:
        h = 20 / (size - 1)
        u = (np.arange(size) - size // 2) * h  # (9)
        phi = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)  # (10)
        t = np.tanh(gain * np.sqrt(q) * u)
        after = (phi * t**2 * h).sum()  # (11)
        growth = gain**2 * (phi * (1 - t**2) ** 2 * h).sum()  # (12)
        return {"after": after, "growth": growth}
    if g is None:
        fan_in = len(x)
        w = gain / np.sqrt(fan_in) * signs(fan_in)  # (1)
        y = w @ x  # (2)
        h = np.maximum(y, 0)  # (3)
        square = (h**2).mean()  # (4)
        return {"square": square}
    fan_out = len(g)
    W = gain / np.sqrt(fan_out) * signs(len(x) * fan_out).reshape(-1, len(x), fan_out)  # (5)
    dh = g * signs(fan_out)  # (6)
    gate = x @ W > 0
    dx = np.einsum("rk,ek,ejk->erj", dh, gate, W)  # (7)
    dsquare = (dx**2).mean((0, 1))  # (8)
    return {"dsquare": dsquare}


def signs(n: int) -> Array:
    """All patterns of n signs: (2**n, n)."""
    return np.asarray(1 - 2 * (np.arange(2**n)[:, None] // 2 ** np.arange(n) % 2))
