"""Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1), and rotary positions for it."""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.arithmetic import add, mul
from npgrad.functions.dropout import dropout
from npgrad.functions.matmul import matmul
from npgrad.functions.matrix_sums import constant, row_max, row_sum
from npgrad.functions.selection import where
from npgrad.functions.shape import broadcast_to, swapaxes
from npgrad.functions.softmax import softmax

__all__ = ["Rotary", "ScaledDotProductAttention", "rotary", "scaled_dot_product_attention"]


class Rotary(Function):
    """Queries or keys turned by angles that grow with their position (Su et al. 2021, arXiv:2104.09864, equation 15).

    Features d and h + d of a head are the two coordinates of a point, which is turned about the origin. A position is
    one step of the angle, a step that is the smaller the larger d is.

    Symbols
        x[b,t,m]    feature m of the query or key at position start + t of item b, all heads side by side
        size(d) = 2    points of each head
        size(m) = 4*size(d)
        heads = 2
        start = 3
        base = 10
        h = size(d)
        D = 2*h
    Forward
        (a) angle[t,m] = (start + t)*base**(-(m%h)/h)
        (b) other[m] = m - m%D + (m + h)%D
        (1) c[t,m] = cos(angle[t,m])
        (2) s[t,m] = where(m%D < h, -1, 1)*sin(angle[t,m])
        (3) y[b,t,m] = x[b,t,m]*c[t,m] + x[b,t,other[m]]*s[t,m]
    Backward
        (4) dx[b,t,m] = dy[b,t,m]*c[t,m] + dy[b,t,other[m]]*s[t,other[m]]    # x[b,t,m] is in y twice
                      = dy[b,t,m]*c[t,m] - dy[b,t,other[m]]*s[t,m]           # its partner has the other sign
    Notes
        The transpose of a rotation is the rotation back, so (4) is (3) with the angles negated: no gradient grows or
        shrinks. The product of a query turned by a and a key turned by b is that of the query as it was and the key
        turned by b - a: it depends on how far apart they stand, and not on where.
    """

    @classmethod
    def check(cls, x: Array, heads: int = 1, start: int = 0, base: float = 10000.0) -> None:
        if x.ndim < 2 or heads < 1 or x.shape[-1] % (2 * heads):
            raise ValueError(
                f"rotary got an array of shape {x.shape} and heads={heads}; it takes (…, T, heads·D) with an even D."
            )

    def forward(self, x: Array, *, heads: int = 1, start: int = 0, base: float = 10000.0) -> Array:
        self.heads = heads
        self.c, self.s = c, s = turns(x.shape[-2], x.shape[-1], heads, start, base, x.real.dtype)  # (1) (2)
        return x * c + partners(x, heads) * s  # (3)

    def backward(self, dy: Array) -> Array:
        return dy * self.c - partners(dy, self.heads) * self.s  # (4)


@lru_cache(maxsize=256)
def turns(T: int, size: int, heads: int, start: int, base: float, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """c and s (T, size) of equations (1) and (2)."""
    m, D = np.arange(size), size // heads
    h = D // 2
    angle = (start + np.arange(T))[:, None] * base ** (-(m % h) / h)
    c, s = np.cos(angle).astype(dtype), (np.where(m % D < h, -1, 1) * np.sin(angle)).astype(dtype)
    c.flags.writeable = s.flags.writeable = False
    return c, s


def partners(x: Array, heads: int) -> Array:
    """The other coordinate of each point."""
    points = x.reshape((*x.shape[:-1], heads, 2, x.shape[-1] // heads // 2))
    return points[..., ::-1, :].reshape(x.shape)


def rotary(x: TensorLike, heads: int = 1, start: int = 0, base: float = 10000.0) -> Tensor:
    """Queries or keys (…, T, heads·D) of the positions start, …, start + T - 1, each turned by its angles.

    Features d and D/2 + d of a head are turned together by position·base^(-2d/D). Source: Su et al. 2021,
    arXiv:2104.09864. Raises ValueError if D is odd.
    """
    return Rotary.apply(x, heads=heads, start=start, base=base)


class ScaledDotProductAttention(Function):
    """Each query takes a mean of the values, weighted by the softmax of its products with the keys.

    Case: with a mask, and dropout on the weights
    Symbols
        q[b,i,d]    query i of item b
        k[b,j,d]    key j
        v[b,j,c]    value j
        mask[b,i,j] in {0, 1}    1 where query i may attend to key j
        keep[b,i,j] in {0, 1}    1 where dropout leaves the weight
        p = 0.3     probability of dropping a weight
        scale = 0.6
    Forward
        (1) s[b,i,j]  = scale*sum(d, q[b,i,d]*k[b,j,d])
        (t) n[b,i]    = sum(j, mask[b,i,j])
        (2) m[b,i] = where(n[b,i] > 0, max(j, where(mask[b,i,j], s[b,i,j], -inf)), 0)
        (3) e[b,i,j] = where(mask[b,i,j], exp(s[b,i,j] - m[b,i]), 0)
        (4) total[b,i] = sum(j, e[b,i,j])
        (5) w[b,i,j]  = e[b,i,j]/where(total[b,i] > 0, total[b,i], 1)
        (a) factor[b,i,j] = keep[b,i,j]/(1 - p)
        (6) kept[b,i,j] = w[b,i,j]*factor[b,i,j]
        (7) y[b,i,c]  = sum(j, kept[b,i,j]*v[b,j,c])
    Backward
        (8) dv[b,j,c]  = sum(i, kept[b,i,j]*dy[b,i,c])
        (b) dkept[b,i,j] = sum(c, dy[b,i,c]*v[b,j,c])
        (9) dw[b,i,j]  = dkept[b,i,j]*factor[b,i,j]
        (10) ds[b,i,j] = w[b,i,j]*(dw[b,i,j] - sum(h, dw[b,i,h]*w[b,i,h]))    # softmax, as derived there
        (11) dq[b,i,d] = scale*sum(j, ds[b,i,j]*k[b,j,d])
        (12) dk[b,j,d] = scale*sum(i, ds[b,i,j]*q[b,i,d])

    Case: causal
    Symbols
        q[b,i,d]    query i of item b
        k[b,j,d]    key j
        v[b,j,c]    value j
        is_causal = True
        scale = 1/sqrt(size(d))
        size(i) = size(j)
    Forward
        (1) s[b,i,j]  = scale*sum(d, q[b,i,d]*k[b,j,d])
        (2) m[b,i] = max(j, where(j <= i, s[b,i,j], -inf))
        (3) e[b,i,j]  = where(j <= i, exp(s[b,i,j] - m[b,i]), 0)
        (4) total[b,i] = sum(j, e[b,i,j])
        (5) w[b,i,j]  = e[b,i,j]/total[b,i]
                      = (j <= i)*exp(s[b,i,j])/sum(h, (h <= i)*exp(s[b,i,h]))
        (6) kept[b,i,j] = w[b,i,j]
        (7) y[b,i,c]  = sum(j, kept[b,i,j]*v[b,j,c])
    Backward
        (8) dv[b,j,c]  = sum(i, (j <= i)*w[b,i,j]*dy[b,i,c])    # value j was seen by itself and by what follows
        (a) dw[b,i,j]  = sum(c, dy[b,i,c]*v[b,j,c])
        (10) ds[b,i,j] = w[b,i,j]*(dw[b,i,j] - sum(h, dw[b,i,h]*w[b,i,h]))
        (11) dq[b,i,d] = scale*sum(j, ds[b,i,j]*k[b,j,d])
        (12) dk[b,j,d] = scale*sum(i, ds[b,i,j]*q[b,i,d])
    Notes
        With q and k of independent entries of variance 1, a product over D entries has variance D; the scale 1/sqrt(D)
        brings it back to 1, so that the softmax starts out soft and its slope w*(1 - w) away from 0.

        The best score that a query may see is subtracted before exp, as in softmax: nothing overflows. Where a query
        may see nothing at all, every e is 0, and so is the result, and so is every gradient: the sum of nothing.
    """

    @classmethod
    def check(
        cls,
        q: Array,
        k: Array,
        v: Array,
        mask: Array | None = None,
        keep: Array | None = None,
        scale: float | None = None,
        is_causal: bool = False,
        p: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> None:
        fit = min(q.ndim, k.ndim, v.ndim) >= 2 and q.shape[:-2] == k.shape[:-2] == v.shape[:-2]
        if not fit or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
            raise ValueError(
                f"scaled_dot_product_attention got queries {q.shape}, keys {k.shape} and values {v.shape}; it takes "
                "(…, T, D), (…, S, D) and (…, S, E)."
            )

    def forward(
        self,
        q: Array,
        k: Array,
        v: Array,
        mask: Array | None = None,
        keep: Array | None = None,
        *,
        scale: float | None = None,
        is_causal: bool = False,
        p: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> Array:
        """Without `keep`, a dropout mask is drawn from `rng` if p is above 0."""
        self.q, self.k, self.v = q, k, v
        self.scale = constant(1 / sqrt(q.shape[-1]) if scale is None else scale, q.dtype)
        s = np.matmul(q, k.swapaxes(-1, -2))
        s *= self.scale  # (1)
        if mask is not None:
            s = np.where(mask, s, -np.inf)
        if is_causal:
            s = np.where(before(s.shape[-2], s.shape[-1]), s, -np.inf)
        m = row_max(s.reshape((-1, s.shape[-1]))).reshape((*s.shape[:-1], 1))
        m = m if mask is None else np.where(m == -np.inf, 0, m)  # (2)
        s -= m
        e = np.exp(s)  # (3)
        total = last_sum(e)  # (4)
        if mask is not None:
            total = np.where(total > 0, total, 1)
        self.w = w = e / total  # (5)
        if keep is None and p > 0:
            assert rng is not None
            keep = rng.random(w.shape, dtype=np.float32) >= p
        self.factor = None if keep is None else keep * constant(1 / (1 - p) if p < 1 else 0.0, w.dtype)
        self.kept = kept = w if self.factor is None else w * self.factor  # (6)
        return np.matmul(kept, v)  # (7)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None, Array | None, None, None]:
        w = self.w
        dv = np.matmul(self.kept.swapaxes(-1, -2), dy) if self.needs[2] else None  # (8)
        if not (self.needs[0] or self.needs[1]):
            return None, None, dv, None, None
        dw = np.matmul(dy, self.v.swapaxes(-1, -2))
        if self.factor is not None:
            dw *= self.factor  # (9)
        ds = w * (dw - last_sum(dw * w))  # (10)
        scaled = ds * self.scale
        dq = np.matmul(scaled, self.k) if self.needs[0] else None  # (11)
        dk = np.matmul(scaled.swapaxes(-1, -2), self.q) if self.needs[1] else None  # (12)
        return dq, dk, dv, None, None


@lru_cache(maxsize=256)
def before(T: int, S: int) -> Array:
    """Whether a key is not behind a query."""
    array = np.tri(T, S, dtype=bool)
    array.flags.writeable = False
    return array


def last_sum(x: Array) -> Array:
    """The sum over the last axis, which stays with length 1; rows are short, and `np.add.reduce` is slow at those."""
    return row_sum(x.reshape((-1, x.shape[-1]))).reshape((*x.shape[:-1], 1))


def scaled_dot_product_attention(
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    attn_mask: TensorLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """softmax(scale·q kᵀ) v over the last two axes: queries (…, T, D), keys (…, S, D), values (…, S, E) give (…, T, E).

    `attn_mask` broadcasts to (…, T, S) and is True where a query may attend to a key, or is added to the scores; with
    `is_causal` query i attends to keys 0 to i only. Axes in front broadcast. A query that may attend to nothing gets 0.
    `scale` is 1/√D unless given. With `dropout_p` above 0 each weight is dropped with that probability, drawn from
    `rng`, and the others are divided by 1 − dropout_p. Names as in PyTorch. Source: Vaswani et al. 2017,
    arXiv:1706.03762, equation 1.

    Raises ValueError if shapes do not fit or `dropout_p` is not in [0, 1]; TypeError if the mask holds neither booleans
    nor, without `is_causal`, floating-point numbers, or if there is dropout and no generator.
    """
    if not 0 <= dropout_p <= 1:
        raise ValueError(f"dropout_p={dropout_p} is no probability. Choose it between 0 and 1.")
    if dropout_p > 0 and not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"dropout draws random numbers; got rng={rng!r}. Pass rng=np.random.default_rng(seed), or dropout_p=0."
        )
    fronts = [np.shape(raw(x))[:-2] for x in (query, key, value)]
    if len(set(fronts)) > 1:
        front = np.broadcast_shapes(*fronts)
        query, key, value = [broadcast_to(x, front + np.shape(raw(x))[-2:]) for x in (query, key, value)]
    if attn_mask is not None:
        mask = raw(attn_mask)
        kind = getattr(getattr(mask, "dtype", None), "kind", "")
        if kind == "f" and not is_causal:
            root = sqrt(np.shape(raw(query))[-1])
            products = mul(matmul(query, swapaxes(key, -1, -2)), 1 / root if scale is None else scale)
            added = attn_mask if isinstance(attn_mask, Tensor) else mask.astype(products.dtype)
            some = np.any(np.greater(mask, -np.inf), axis=-1, keepdims=True)
            weights = where(some, softmax(where(some, add(products, added), 0.0)), 0.0)
            return matmul(dropout(weights, dropout_p, rng=rng) if dropout_p else weights, value)
        if kind != "b":
            raise TypeError(
                "scaled_dot_product_attention takes a mask of booleans, True where a query may attend, or without "
                f"is_causal one of numbers to be added; got {getattr(mask, 'dtype', type(mask).__name__)}. "
                "Compare it with 0 first."
            )
        scores = (*np.shape(raw(query))[:-1], *np.shape(raw(key))[-2:-1])
        if np.broadcast_shapes(np.shape(mask), scores) != scores:
            raise ValueError(
                f"a mask of shape {np.shape(mask)} does not broadcast to the scores, which have the shape {scores}."
            )
    return ScaledDotProductAttention.apply(
        query, key, value, attn_mask, None, scale=scale, is_causal=is_causal, p=dropout_p, rng=rng
    )
