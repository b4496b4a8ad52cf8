"""A residual network in small: the motif and the blocks of ResNet-50, along a word instead of over an image.

    x (N, context) ── embedding ── (N, embedding, context) ── conv 3 ── [norm] ── relu ── block … block ── W ── logits

A block is the bottleneck of ResNet-50: a convolution of width 1 to a quarter of the channels, one of width 3 among
those, one of width 1 back to all; each followed by batch normalisation, the first two by relu as well. What the three
compute is *added* to the block's input, and relu comes after the sum. A convolution that a normalisation follows has no
bias. With 16 blocks there are 1 + 16·3 + 1 = 50 layers with weights, as many as in ResNet-50.

Source: He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", arXiv:1512.03385, figure 5 right.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike, NDArray

from models.character_model import CharacterModel
from npgrad import Tensor, nn
from npgrad.functions import moveaxis, relu

__all__ = ["Bottleneck", "ConvNet", "conv_norm"]


class ConvNet(CharacterModel):
    """Logits of the next character, shape (N, vocab_size), for contexts of shape (N, context).

    The convolutions' weights are N(0, 1)·gain/√fan_in (without the root if not `fan_in`), those of the last layer a
    tenth of 1/√fan_in. Without `residual` the blocks are stacked as they are: a plain network of the same weights.
    `norm` is "batch" or "none".

    Raises ValueError for another norm, channels that are no multiple of 4, or a size that is not positive.
    """

    def __init__(
        self,
        vocab_size: int = 27,
        context: int = 8,
        *,
        rng: np.random.Generator,
        blocks: int = 4,
        embedding: int = 10,
        channels: int = 32,
        gain: float = math.sqrt(2),
        fan_in: bool = True,
        norm: str = "batch",
        residual: bool = True,
        momentum: float = 0.1,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if norm not in ("none", "batch"):
            raise ValueError(f"there is no norm {norm!r}; there are none and batch.")
        if channels < 4 or channels % 4:
            raise ValueError(f"a bottleneck needs a multiple of 4 channels to narrow to a quarter; got {channels}.")
        if blocks < 0:
            raise ValueError(f"the number of blocks must be 0 or more; got {blocks}.")
        self.vocab_size, self.context = vocab_size, context

        def conv(n_in: int, n_out: int, width: int) -> list[nn.Module]:
            scale = gain if fan_in else gain * math.sqrt(n_in * width)
            return conv_norm(n_in, n_out, width, scale, norm, momentum, rng, dtype)

        def bottleneck() -> nn.Module:
            narrow = channels // 4
            layers = [
                *[*conv(channels, narrow, 1), nn.ReLU()],
                *[*conv(narrow, narrow, 3), nn.ReLU()],
                *conv(narrow, channels, 1),
            ]
            return Bottleneck(nn.Sequential(*layers), residual)

        self.embedding = nn.Embedding(vocab_size, embedding, rng=rng, dtype=dtype)
        self.stem = nn.Sequential(*conv(embedding, channels, 3), nn.ReLU())
        self.blocks = nn.Sequential(*[bottleneck() for _ in range(blocks)])
        self.output = nn.Linear(channels * context, vocab_size, rng=rng, gain=0.1, dtype=dtype)

    def forward(self, x: NDArray[np.intp]) -> Tensor:
        emb = moveaxis(self.embedding(x), 1, 2)
        h = self.blocks(self.stem(emb))
        logits: Tensor = self.output(h.reshape(len(x), h.shape[1] * h.shape[2]))
        return logits


class Bottleneck(nn.Module):
    """relu(x + f(x)), or relu(f(x)) if not `residual`; f must keep the shape."""

    def __init__(self, f: nn.Module, residual: bool = True) -> None:
        self.f, self.residual = f, residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.f(x)
        return relu(x + y if self.residual else y)


def conv_norm(
    n_in: int,
    n_out: int,
    width: int,
    gain: float,
    norm: str,
    momentum: float,
    rng: np.random.Generator,
    dtype: DTypeLike,
) -> list[nn.Module]:
    """A convolution that keeps the length (odd widths) and its normalisation, if any; the bias belongs to the last."""
    bias = norm == "none"
    layers: list[nn.Module] = [nn.Conv1d(n_in, n_out, width, 1, width // 2, bias=bias, rng=rng, gain=gain, dtype=dtype)]
    return layers + ([nn.BatchNorm1d(n_out, momentum=momentum, dtype=dtype)] if norm == "batch" else [])
