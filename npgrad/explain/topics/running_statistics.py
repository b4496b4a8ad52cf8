"""Running statistics: what batch normalisation remembers of its batches, and why the unbiased variance.

In evaluation an example must not depend on the others of its batch, so a mean and a variance are needed that belong to
no batch: averages over the batches of training, in which older ones count less, because the network was another then.

Case: what is remembered
Symbols
    mu[t,k]             mean of channel k in batch t
    start[k]            first value, usually 0
    momentum = 0.1      weight of the newest batch
    size(s) = size(t)   batches so far
Forward
    (1) running[t,k] = (1 - momentum)**(t + 1)*start[k] + momentum*sum(s, (s <= t)*(1 - momentum)**(t - s)*mu[s,k])
    (a) running[t,k] = (1 - momentum)*where(t == 0, start[k], running[t-1,k]) + momentum*mu[t,k]
    (2) weight[t]    = momentum*sum(s, (s <= t)*(1 - momentum)**(t - s))
                     = 1 - (1 - momentum)**(t + 1)         # the rest is still the first value's

Case: which variance is right in the mean
Symbols
    v[p]                the values of a channel over all data
    n = 3               rows of a batch
    size(p) = 4
    size(e) = size(p)**n    every batch that can be drawn, all equally likely
    size(r) = n
Forward
    (3) batch[e,r]   = v[(e//size(p)**r) % size(p)]        # row r of batch e
    (4) true         = mean(p, (v[p] - mean(q, v[q]))**2)
    (5) biased[e]    = mean(r, (batch[e,r] - mean(s, batch[e,s]))**2)
    (b) mean(e, mean(r, batch[e,r])) = mean(p, v[p])       # the mean of a batch is right on average
    (c) mean(e, biased[e]) = true*(n - 1)/n                # its variance is too small: its own mean fits it too well
    (6) unbiased[e]  = biased[e]*n/(n - 1)
    (d) mean(e, unbiased[e]) = true
Notes
    Training normalises with the biased variance, which makes the batch's variance 1 but for eps; the running variance
    collects the unbiased one, which on average is that of the data. PyTorch does the same; the lecture uses the
    unbiased one for both (`ddof=1`) and momentum 0.001.

    The running mean forgets with (1 - momentum)**t: at momentum 0.1 it remembers some 10 batches, at 0.001 some 1000,
    and as long is the start (2) in which it is not yet to be trusted.

    No gradient touches them: they are averages of the past, not functions of the parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["running_statistics"]

Array = NDArray[Any]


def running_statistics(
    mu: Array | None = None,
    start: Array | None = None,
    momentum: float = 0.1,
    v: Array | None = None,
    n: int = 3,
) -> dict[str, Any]:
    """Running means after each of the batches with means mu; or the variances of all batches of n drawn from v."""
    if v is None:
        assert mu is not None and start is not None
        value, path = start, []
        for mean in mu:
            value = (1 - momentum) * value + momentum * mean
            path.append(value)
        running = np.array(path)  # (1)
        weight = 1 - (1 - momentum) ** np.arange(1, len(mu) + 1)  # (2)
        return {"running": running, "weight": weight}
    which = np.arange(len(v) ** n)[:, None] // len(v) ** np.arange(n) % len(v)
    batch = v[which]  # (3)
    true = v.var()  # (4)
    biased = batch.var(1)  # (5)
    unbiased = biased * n / (n - 1)  # (6)
    return {"batch": batch, "true": true, "biased": biased, "unbiased": unbiased}
