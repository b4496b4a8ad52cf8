"""The whole backward pass of the lecture's network, one intermediate at a time.

Nineteen lines forward, and for each of them, from the last to the first, the adjoints of what it reads. Besides the
slopes of exp, log, tanh, max and powers, three rules suffice: a product hands each factor the other one; what was
copied is summed, and what was summed is copied; a second use adds.

Symbols
    C[v,d]             embedding table: character v
    x[n,p] in v        contexts: row n of the batch, position p
    y[n] in c          the next character
    W1[p,d,h]          first layer, its inputs numbered by position and embedding axis
    b1[h]              its bias
    bngain[h]          scale after normalisation
    bnbias[h]          shift after normalisation
    W2[h,c]            second layer
    b2[c]              its bias
    eps = 1e-5         keeps the division finite
    N = size(n)        rows
Forward
    (1) emb[n,p,d]          = C[x[n,p],d]
    (2) hprebn[n,h]         = sum((p,d), emb[n,p,d]*W1[p,d,h]) + b1[h]
    (3) bnmeani[h]          = sum(n, hprebn[n,h])/N
    (4) bndiff[n,h]         = hprebn[n,h] - bnmeani[h]
    (5) bndiff2[n,h]        = bndiff[n,h]**2
    (6) bnvar[h]            = sum(n, bndiff2[n,h])/(N - 1)
    (7) bnvar_inv[h]        = (bnvar[h] + eps)**(-1/2)
    (8) bnraw[n,h]          = bndiff[n,h]*bnvar_inv[h]
    (9) hpreact[n,h]        = bngain[h]*bnraw[n,h] + bnbias[h]
    (10) act[n,h]           = tanh(hpreact[n,h])
    (11) logits[n,c]        = sum(h, act[n,h]*W2[h,c]) + b2[c]
    (12) logit_maxes[n]     = max(c, logits[n,c])
    (13) norm_logits[n,c]   = logits[n,c] - logit_maxes[n]
    (14) counts[n,c]        = exp(norm_logits[n,c])
    (15) counts_sum[n]      = sum(c, counts[n,c])
    (16) counts_sum_inv[n]  = counts_sum[n]**(-1)
    (17) probs[n,c]         = counts[n,c]*counts_sum_inv[n]
    (18) logprobs[n,c]      = log(probs[n,c])
    (19) loss               = -sum(n, logprobs[n,y[n]])/N
Backward
    (20) dlogprobs[n,c]     = -delta(c, y[n])/N                       # only the right characters count
    (21) dprobs[n,c]        = dlogprobs[n,c]/probs[n,c]
    (22) dcounts_sum_inv[n] = sum(c, dprobs[n,c]*counts[n,c])         # was copied along the row
    (23) dcounts_sum[n]     = -dcounts_sum_inv[n]*counts_sum[n]**(-2)
    (24) dcounts[n,c]       = dprobs[n,c]*counts_sum_inv[n] + dcounts_sum[n]   # two uses: (17) and (15)
    (25) dnorm_logits[n,c]  = dcounts[n,c]*counts[n,c]
    (26) dlogit_maxes[n]    = -sum(c, dnorm_logits[n,c])
                            = 0                                       # probabilities ignore a shift of the row
    (27) dlogits[n,c]       = dnorm_logits[n,c] + dlogit_maxes[n]*(logits[n,c] == logit_maxes[n])
                            = (probs[n,c] - delta(c, y[n]))/N         # all of (12) to (19) at once
    (28) dact[n,h]          = sum(c, dlogits[n,c]*W2[h,c])
    (29) dW2[h,c]           = sum(n, act[n,h]*dlogits[n,c])
    (30) db2[c]             = sum(n, dlogits[n,c])
    (31) dhpreact[n,h]      = dact[n,h]*(1 - act[n,h]**2)             # where act is near ±1 nothing passes
    (32) dbngain[h]         = sum(n, dhpreact[n,h]*bnraw[n,h])
    (33) dbnbias[h]         = sum(n, dhpreact[n,h])
    (34) dbnraw[n,h]        = dhpreact[n,h]*bngain[h]
    (35) dbnvar_inv[h]      = sum(n, dbnraw[n,h]*bndiff[n,h])
    (36) dbnvar[h]          = -dbnvar_inv[h]*(bnvar[h] + eps)**(-3/2)/2
    (37) dbndiff2[n,h]      = dbnvar[h]/(N - 1)                       # was summed, is copied
    (38) dbndiff[n,h]       = dbnraw[n,h]*bnvar_inv[h] + dbndiff2[n,h]*2*bndiff[n,h]   # two uses: (8) and (5)
    (39) dbnmeani[h]        = -sum(n, dbndiff[n,h])
    (40) dhprebn[n,h]       = dbndiff[n,h] + dbnmeani[h]/N            # two uses: (4) and (3)
                            = bngain[h]*bnvar_inv[h]*(dhpreact[n,h] - dbnbias[h]/N - bnraw[n,h]*dbngain[h]/(N - 1))
    (41) demb[n,p,d]        = sum(h, dhprebn[n,h]*W1[p,d,h])
    (42) dW1[p,d,h]         = sum(n, emb[n,p,d]*dhprebn[n,h])
    (43) db1[h]             = sum(n, dhprebn[n,h])
                            = 0                                       # normalisation takes any bias out again
    (44) dC[v,d]            = sum((n,p), delta(v, x[n,p])*demb[n,p,d])   # a row is used wherever its character stands
Notes
    `models/manual_mlp.py` trains with these lines.

    Between (20) and (26) the numbers may be huge, since (21) divides by probabilities that may be tiny; in (27) all of
    that has cancelled. That is why cross-entropy is one Function.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["network"]

Array = NDArray[Any]


def network(
    C: Array, x: Array, y: Array, W1: Array, b1: Array, bngain: Array, bnbias: Array, W2: Array, b2: Array, eps: float
) -> dict[str, Array]:
    """Loss and gradients of one batch; W1 is (context, embedding, hidden)."""
    N, rows = len(x), np.arange(len(x))
    emb = C[x]  # (1)
    hprebn = np.einsum("npd,pdh->nh", emb, W1) + b1  # (2)
    bnmeani = hprebn.sum(0) / N  # (3)
    bndiff = hprebn - bnmeani  # (4)
    bndiff2 = bndiff**2  # (5)
    bnvar = bndiff2.sum(0) / (N - 1)  # (6)
    bnvar_inv = (bnvar + eps) ** -0.5  # (7)
    bnraw = bndiff * bnvar_inv  # (8)
    hpreact = bngain * bnraw + bnbias  # (9)
    act = np.tanh(hpreact)  # (10)
    logits = act @ W2 + b2  # (11)
    logit_maxes = logits.max(1, keepdims=True)  # (12)
    norm_logits = logits - logit_maxes  # (13)
    counts = np.exp(norm_logits)  # (14)
    counts_sum = counts.sum(1, keepdims=True)  # (15)
    counts_sum_inv = counts_sum**-1  # (16)
    probs = counts * counts_sum_inv  # (17)
    logprobs = np.log(probs)  # (18)
    loss = -logprobs[rows, y].mean()  # (19)

    dlogprobs = np.zeros_like(logprobs)
    dlogprobs[rows, y] = -1 / N  # (20)
    dprobs = dlogprobs / probs  # (21)
    dcounts_sum_inv = (dprobs * counts).sum(1, keepdims=True)  # (22)
    dcounts_sum = -dcounts_sum_inv * counts_sum**-2  # (23)
    dcounts = dprobs * counts_sum_inv + dcounts_sum  # (24)
    dnorm_logits = dcounts * counts  # (25)
    dlogit_maxes = -dnorm_logits.sum(1, keepdims=True)  # (26)
    dlogits = dnorm_logits + dlogit_maxes * (logits == logit_maxes)  # (27)
    dact = dlogits @ W2.T  # (28)
    dW2 = act.T @ dlogits  # (29)
    db2 = dlogits.sum(0)  # (30)
    dhpreact = dact * (1 - act**2)  # (31)
    dbngain = (dhpreact * bnraw).sum(0)  # (32)
    dbnbias = dhpreact.sum(0)  # (33)
    dbnraw = dhpreact * bngain  # (34)
    dbnvar_inv = (dbnraw * bndiff).sum(0)  # (35)
    dbnvar = -dbnvar_inv * (bnvar + eps) ** -1.5 / 2  # (36)
    dbndiff2 = np.broadcast_to(dbnvar / (N - 1), bndiff2.shape)  # (37)
    dbndiff = dbnraw * bnvar_inv + dbndiff2 * 2 * bndiff  # (38)
    dbnmeani = -dbndiff.sum(0)  # (39)
    dhprebn = dbndiff + dbnmeani / N  # (40)
    demb = np.einsum("nh,pdh->npd", dhprebn, W1)  # (41)
    dW1 = np.einsum("npd,nh->pdh", emb, dhprebn)  # (42)
    db1 = dhprebn.sum(0)  # (43)
    dC = np.zeros_like(C)
    np.add.at(dC, x, demb)  # (44)
    gradients = {"C": dC, "W1": dW1, "b1": db1, "bngain": dbngain, "bnbias": dbnbias, "W2": dW2, "b2": db2}
    return {"loss": loss, **{f"d{name}": g for name, g in gradients.items()}}
