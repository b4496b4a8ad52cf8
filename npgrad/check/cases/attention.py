"""Cases for npgrad.functions.attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.case import Case, case


def drawn(rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """Queries, keys and values: up to two axes in front."""
    front = tuple(int(n) for n in rng.integers(1, 4, size=rng.integers(0, 3)))
    T, S, D, E = (int(n) for n in rng.integers(1, 5, size=4))
    return rng.normal(size=(*front, T, D)), rng.normal(size=(*front, S, D)), rng.normal(size=(*front, S, E))


@case("ScaledDotProductAttention")
def attention(rng: np.random.Generator) -> Case:
    causal = bool(rng.random() < 0.5)

    def reference(torch: Any, q: Any, k: Any, v: Any, *_: Any) -> Any:
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

    return Case((*drawn(rng), None, None), {"is_causal": causal}, reference)


@case("ScaledDotProductAttention")
def masked(rng: np.random.Generator) -> Case:
    q, k, v = drawn(rng)
    mask = rng.random((*q.shape[:-1], k.shape[-2])) < 0.6
    mask[..., 0] |= ~mask.any(-1)
    scale = float(rng.uniform(0.2, 2))

    def reference(torch: Any, q: Any, k: Any, v: Any, mask: Any, *_: Any) -> Any:
        mask = torch.as_tensor(mask)
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)

    return Case((q, k, v, mask, None), {"scale": scale}, reference)


@case("ScaledDotProductAttention")
def dropped_and_fully_masked(rng: np.random.Generator) -> Case:
    q, k, v = drawn(rng)
    mask = rng.random((*q.shape[:-1], k.shape[-2])) < 0.5
    mask[..., 0, :] = False
    keep = rng.random(mask.shape) < 0.7

    def reference(torch: Any, q: Any, k: Any, v: Any, mask: Any, keep: Any) -> Any:
        mask, keep = torch.as_tensor(mask), torch.as_tensor(keep)
        scores = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).masked_fill(~mask, -1e9)
        return (torch.softmax(scores, -1) * mask * keep / 0.7) @ v

    return Case((q, k, v, mask, keep), {"p": 0.3}, reference)


@case("Rotary")
def rotary(rng: np.random.Generator) -> Case:
    *front, T, h = (int(n) for n in rng.integers(1, 5, size=rng.integers(2, 5)))
    heads = int(rng.integers(1, 4))
    start, base = int(rng.integers(0, 9)), float(rng.uniform(2, 100))

    def reference(torch: Any, x: Any) -> Any:
        angle = torch.as_tensor((start + np.arange(T))[:, None] * base ** (-np.arange(h) / h))
        turned = []
        for own in x.chunk(heads, -1):
            point = torch.complex(own[..., :h], own[..., h:]) * torch.exp(1j * angle)
            turned += [point.real, point.imag]
        return torch.cat(turned, -1)

    x = rng.normal(size=(*front, T, heads * 2 * h))
    return Case((x,), {"heads": heads, "start": start, "base": base}, reference)
