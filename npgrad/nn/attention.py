"""Attention: several heads of it, the Transformer's block, and the causal convolution that it competes with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from npgrad import functions as F
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.reduction import array
from npgrad.nn import init
from npgrad.nn.dropout import Dropout
from npgrad.nn.layer_norm import LayerNorm
from npgrad.nn.linear import Linear
from npgrad.nn.module import Module, Parameter

__all__ = ["CausalConv1d", "MultiHeadAttention", "TransformerBlock"]


class MultiHeadAttention(Module):
    """Attention in `num_heads` heads, each in embed_dim/num_heads of the features (Vaswani et al. 2017, section 3.2.2).

    Parameters as in PyTorch's MultiheadAttention: `in_proj_weight` (E, 3E) with the columns of queries, keys and values
    side by side, `in_proj_bias` (3E,), `out_proj`, a Linear. Weights are drawn from N(0, 1/E), biases start at 0;
    without `bias` there are none. `dropout` is for the attention weights, in training. With `rotary`, which PyTorch
    does not have, queries and keys are turned by their positions (`npgrad.rotary`); else attention knows no order.

    Raises TypeError without a generator, ValueError if `num_heads` does not divide `embed_dim`, or leaves each head an
    odd number of features to turn in pairs.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        rotary: bool = False,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.rng = rng = init.generator(rng, f"MultiHeadAttention({embed_dim}, {num_heads})")
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise ValueError(
                f"MultiHeadAttention({embed_dim}, {num_heads}): each head gets embed_dim/num_heads features, which "
                "must be a whole number of at least 1."
            )
        if not 0 <= dropout <= 1:
            raise ValueError(f"MultiHeadAttention got dropout={dropout}: it must be between 0 and 1.")
        if rotary and embed_dim // num_heads % 2:
            raise ValueError(
                f"MultiHeadAttention({embed_dim}, {num_heads}, rotary=True): features are turned in pairs, and each "
                f"head gets {embed_dim // num_heads}, which is odd."
            )
        self.embed_dim, self.num_heads, self.dropout, self.rotary = embed_dim, num_heads, dropout, rotary
        weight = init.normal((embed_dim, 3 * embed_dim), 0.0, 1 / math.sqrt(embed_dim), rng=rng, dtype=dtype)
        self.in_proj_weight = Parameter(weight)
        self.in_proj_bias = Parameter(init.zeros(3 * embed_dim, dtype=dtype)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, rng=rng, dtype=dtype)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        key_padding_mask: TensorLike | None = None,
        attn_mask: TensorLike | None = None,
        is_causal: bool = False,
        need_weights: bool = False,
    ) -> Any:
        """(N, T, E) attends to `key` and `value` (N, S, E), or to itself: (N, T, E).

        In both masks True excludes, as in PyTorch: `key_padding_mask` (N, S) keys that are padding, `attn_mask` (T, S)
        or (N·heads, T, S) pairs. With `is_causal` position i attends to 0 … i only. A query that is left with no key at
        all gets the bias of `out_proj`. With `need_weights` the result is a pair: output, and attention weights
        (N, heads, T, S) before dropout.

        Raises ValueError if the shapes do not fit, TypeError for a mask that does not hold booleans.
        """
        key = query if key is None else key
        value = key if value is None else value
        for name, x in (("query", query), ("key", key), ("value", value)):
            if len(x.shape) != 3 or x.shape[2] != self.embed_dim:
                raise ValueError(
                    f"MultiHeadAttention({self.embed_dim}, {self.num_heads}) got a {name} of shape {x.shape}; "
                    f"it takes (N, T, {self.embed_dim})."
                )
        q, k, v = (self._heads(x, part) for part, x in enumerate((query, key, value)))
        mask = self._mask(key_padding_mask, attn_mask, len(query))
        out = self._mixed(q, k, v, mask, is_causal)
        if not need_weights:
            return out
        # The mean of the rows of the unit matrix, by the same weights, are the weights.
        unit = np.broadcast_to(np.eye(k.shape[2], dtype=k.dtype), (*k.shape[:3], k.shape[2]))
        return out, F.scaled_dot_product_attention(q, k, unit, mask, is_causal=is_causal)

    def following(self, x: Tensor, past: Any = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Causal self-attention over x (N, T, E), the continuation of a sequence of which `past` holds the keys and
        values, each (N, heads, S, E/heads), or None at its beginning. Returns the output (N, T, E), and the past of
        what follows x.

        The output is that of the whole sequence with `is_causal`, at the positions of x.
        """
        start = 0 if past is None else past[0].shape[2]
        q, k, v = (self._heads(x, part, start) for part in range(3))
        if past is not None:
            k, v = F.concatenate((past[0], k), axis=2), F.concatenate((past[1], v), axis=2)
        mask = np.tri(x.shape[1], k.shape[2], start, dtype=bool)
        return self._mixed(q, k, v, mask), (k, v)

    def _mixed(self, q: Tensor, k: Tensor, v: Tensor, mask: Array | None, is_causal: bool = False) -> Tensor:
        """What the heads found, (N, heads, T, E/heads), side by side and through `out_proj`: (N, T, E)."""
        p = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, mask, p, is_causal, rng=self.rng)
        side_by_side = F.transpose(mixed, (0, 2, 1, 3)).reshape(q.shape[0], q.shape[2], self.embed_dim)
        out: Tensor = self.out_proj(side_by_side)
        return out

    def _heads(self, x: Tensor, part: int, start: int = 0) -> Tensor:
        """Queries, keys or values of all heads, the first of position `start`: (N, heads, T, E/heads)."""
        E = self.embed_dim
        columns = slice(part * E, (part + 1) * E)
        # Parts of the weights, not of the product: their gradients are the smaller ones to put together.
        b = None if self.in_proj_bias is None else self.in_proj_bias[columns]
        y = F.linear(x, self.in_proj_weight[:, columns], b)
        if self.rotary and part < 2:
            y = F.rotary(y, self.num_heads, start)
        return F.transpose(y.reshape(*x.shape[:2], self.num_heads, E // self.num_heads), (0, 2, 1, 3))

    def _mask(self, padding: TensorLike | None, pairs: TensorLike | None, items: int) -> Array | None:
        """Where attending is allowed, in a shape that broadcasts to (N, heads, T, S); None for everywhere."""
        allowed: Array | None = None
        if padding is not None:
            allowed = _allowed("key_padding_mask", padding)[:, None, None, :]
        if pairs is not None:
            free = _allowed("attn_mask", pairs)
            if free.ndim == 3:
                free = free.reshape(items, self.num_heads, *free.shape[1:])
            allowed = free if allowed is None else np.logical_and(allowed, free)
        return allowed

    def extra_repr(self) -> str:
        text = f"{self.embed_dim}, {self.num_heads}" + f", dropout={self.dropout:g}" * (self.dropout > 0)
        return text + ", rotary=True" * self.rotary


def _allowed(name: str, excluded: TensorLike) -> Array:
    """The opposite of a mask in which True excludes."""
    mask = array(raw(excluded))
    if mask.dtype.kind != "b":
        raise TypeError(f"{name} holds booleans, True where attending is excluded; got {mask.dtype}.")
    free: Array = np.logical_not(mask)
    return free


class TransformerBlock(Module):
    """Attention, then a network of one hidden layer at each position; both are added to what they got.

        x = x + self_attn(norm1(x))
        x = x + linear2(gelu(linear1(norm2(x))))

    In this form, "pre-norm", the sum goes through the blocks untouched (Xiong et al. 2020, arXiv:2002.04745);
    `norm_first=False` normalises the sums instead, as the first Transformer did. Dropout falls on the attention
    weights, the hidden layer and what is added. Names and options as in PyTorch's TransformerEncoderLayer;
    dim_feedforward is 4·d_model unless given, `activation` "gelu" or "relu"; `rotary` as for `MultiHeadAttention`.

    Raises TypeError without a generator, ValueError if `nhead` does not divide `d_model` or the activation is unknown.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int | None = None,
        dropout: float = 0.0,
        activation: str = "gelu",
        norm_first: bool = True,
        bias: bool = True,
        *,
        rotary: bool = False,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rng = init.generator(rng, f"TransformerBlock({d_model}, {nhead})")
        if activation not in ("gelu", "relu"):
            raise ValueError(f'TransformerBlock got activation={activation!r}. Say "gelu" or "relu".')
        hidden = 4 * d_model if dim_feedforward is None else dim_feedforward
        self.activation, self.norm_first = activation, norm_first
        self.self_attn = MultiHeadAttention(d_model, nhead, dropout, bias, rotary=rotary, rng=rng, dtype=dtype)
        self.linear1 = Linear(d_model, hidden, bias, rng=rng, dtype=dtype)
        self.linear2 = Linear(hidden, d_model, bias, rng=rng, dtype=dtype)
        self.norm1 = LayerNorm(d_model, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, bias=bias, dtype=dtype)
        self.dropout = Dropout(dropout, rng=rng)

    def forward(
        self,
        x: Tensor,
        attn_mask: TensorLike | None = None,
        key_padding_mask: TensorLike | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """(N, T, d_model) gives the same shape; masks as for `MultiHeadAttention`: True excludes."""
        return self._sums(x, lambda x: self.self_attn(x, None, None, key_padding_mask, attn_mask, is_causal))

    def following(self, x: Tensor, past: Any = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As `MultiHeadAttention.following`: causal, over a continuation of what `past` holds."""
        after: Any = None

        def attend(x: Tensor) -> Tensor:
            nonlocal after
            y, after = self.self_attn.following(x, past)
            return y

        return self._sums(x, attend), after

    def _sums(self, x: Tensor, attend: Callable[[Tensor], Tensor]) -> Tensor:
        def think(x: Tensor) -> Tensor:
            h = self.linear1(x)
            h = F.gelu(h) if self.activation == "gelu" else F.relu(h)
            y: Tensor = self.linear2(self.dropout(h))
            return y

        if self.norm_first:
            x = x + self.dropout(attend(self.norm1(x)))
            x = x + self.dropout(think(self.norm2(x)))
        else:
            x = self.norm1(x + self.dropout(attend(x)))
            x = self.norm2(x + self.dropout(think(x)))
        return x

    def extra_repr(self) -> str:
        return f"activation={self.activation!r}" + ", norm_first=False" * (not self.norm_first)


class CausalConv1d(Module):
    """A convolution over (N, C, L) in which position t sees positions t, t − dilation, … only: output (N, F, L).

    `weight` (F, C, k) and `bias` (F,) as in `Conv1d`; the zeros stand in front of the sequence alone. Blocks with
    dilation 1, 2, 4, … see 2, 4, 8, … positions with a window of two (van den Oord et al. 2016, WaveNet,
    arXiv:1609.03499).

    Raises TypeError without a generator, ValueError if a size is not positive or the input has other channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        dilation: int = 1,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        gain: float = 1.0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rng = init.generator(rng, f"CausalConv1d({in_channels}, {out_channels})")
        shape = (out_channels, in_channels, kernel_size)
        if min(*shape, dilation) < 1:
            raise ValueError(
                f"CausalConv1d from {in_channels} to {out_channels} channels with a window of {kernel_size} and "
                f"dilation {dilation}: all must be at least 1."
            )
        std = gain / math.sqrt(in_channels * kernel_size)
        self.dilation = dilation
        self.weight = Parameter(init.normal(shape, 0.0, std, rng=rng, dtype=dtype))
        self.bias = Parameter(init.zeros(out_channels, dtype=dtype)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        before = (self.weight.shape[2] - 1) * self.dilation
        width = [(0, 0)] * (len(x.shape) - 1) + [(before, 0)]
        return F.conv1d(F.pad(x, width), self.weight, self.bias, dilation=self.dilation)

    def extra_repr(self) -> str:
        out, channels, kernel = self.weight.shape
        text = f"{channels}, {out}, kernel_size={kernel}" + f", dilation={self.dilation}" * (self.dilation > 1)
        return text + ", bias=False" * (self.bias is None)
