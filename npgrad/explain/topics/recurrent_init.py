"""Initial values of recurrent weights: what keeps a gradient's size over many steps back.

In a network of k layers each layer has weights of its own, and their factors average out. Over k steps the factor is
the same one k times: it must be 1, for every direction, to keep anything for long.

Case: an orthogonal matrix keeps the length of every gradient
Symbols
    v[i,q]        two vectors to reflect at; a product of reflections is orthogonal
    g[q]          the gradient at the last step
    gain = 1.1
    size(i) = 2
    size(p) = size(q)
    size(l) = size(q)
Forward
    (1) A[p,q]   = delta(p,q) - 2*v[0,p]*v[0,q]/sum(l, v[0,l]**2)
    (2) B[p,q]   = delta(p,q) - 2*v[1,p]*v[1,q]/sum(l, v[1,l]**2)
    (3) W[p,q]   = gain*sum(l, A[p,l]*B[l,q])
    (a) sum(q, W[p,q]*W[l,q]) = gain**2*delta(p,l)
    (4) one[p]   = sum(q, g[q]*W[p,q])           # a step back, through h = a + s W
    (5) two[p]   = sum(q, one[q]*W[p,q])         # and another: the same matrix
    (6) length   = sum(p, two[p]**2)
                 = sum((q,l), one[q]*one[l]*sum(p, W[p,q]*W[p,l]))
                 = gain**2*sum(q, one[q]**2)     # by (a): no direction grows faster than another
                 = gain**4*sum(q, g[q]**2)       # after k steps gain**(2*k)

Case: what a forget gate keeps
Symbols
    x[t]          what the input gate lets into the cell at step t
    c0            the cell before
    bias = 1      of the forget gate; the rest of its pre-activation is near 0 at first
    n = size(t)   steps
Forward
    (7) f    = sigmoid(bias)
    (b) sigmoid(0) = 1/2
    (8) half = -log(2)/log(f)                    # steps after which half is left: 1 with bias 0, 2.2 with bias 1
    (c) f**half = 1/2
    (9) c    = f**n*c0 + sum(t, f**(n - 1 - t)*x[t])    # c = f*c + x, n times
Backward
    (10) dx[t] = dc*f**(n - 1 - t)
    (11) dc0   = dc*f**n                         # the gate is the only factor
Notes
    Normal weights of the same mean square, N(0, gain**2/H), keep the length of a gradient in the mean as well, but
    stretch some directions up to twice and others not at all; after k steps of the same matrix only the few directions
    that it stretches are left. With an orthogonal matrix all of them stay. So `nn.RNN`, `nn.GRU` and `nn.LSTM` begin
    with an orthogonal matrix for each gate (`init.orthogonal`; Saxe, McClelland & Ganguli 2014, arXiv:1312.6120;
    Henaff, Szlam & LeCun 2016, arXiv:1602.06662). The slopes of tanh, below 1 all of them, then shrink what W would
    keep; a gain a little above 1 makes up for it on average.

    With a bias of 0 a forget gate is at 1/2: over 10 steps a thousandth is left of the cell and of its gradient, and
    the network does not find out what it could remember. With a bias of 1, 4 % are left (0.731**10), enough to
    learn more. Sources: Gers, Schmidhuber & Cummins 2000; Jozefowicz, Zaremba & Sutskever 2015, section 2.2.
    `nn.LSTM` has `forget_bias=1`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["recurrent_init"]

Array = NDArray[Any]


def recurrent_init(
    gain: float = 1.0,
    v: Array | None = None,
    g: Array | None = None,
    x: Array | None = None,
    c0: Any = 0.0,
    bias: float = 1.0,
) -> dict[str, Any]:
    """Two steps back through an orthogonal W (v and g), or what a forget gate keeps of the cell (x and c0)."""
    if v is not None and g is not None:
        unit = np.eye(len(g))
        A = unit - 2 * np.outer(v[0], v[0]) / (v[0] @ v[0])  # (1)
        B = unit - 2 * np.outer(v[1], v[1]) / (v[1] @ v[1])  # (2)
        W = gain * A @ B  # (3)
        one = g @ W.T  # (4)
        two = one @ W.T  # (5)
        length = two @ two  # (6)
        return {"one": one, "two": two, "length": length}
    assert x is not None
    f = 1 / (1 + np.exp(-bias))  # (7)
    half = -np.log(2) / np.log(f)  # (8)
    c = c0
    for entry in x:
        c = f * c + entry
    c = c * 1.0  # (9)
    dx = f ** np.arange(len(x))[::-1]  # (10)
    dc0 = f ** len(x)  # (11)
    return {"f": f, "half": half, "c": c, "dx": dx, "dc0": dc0}
