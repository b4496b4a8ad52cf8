"""WaveNet: characters that are fused with their neighbours, two by two, layer after layer.

The hierarchy reads a window of 8 characters, and halves their number in each layer:

    x (N, 8)    .   .   .   .   e   m   m   a       embedding: (N, 8, C)
                └─┬─┘   └─┬─┘   └─┬─┘   └─┬─┘
                  o       o       o       o         W0 on the two side by side, [norm], tanh: (N·4, H)
                  └───┬───┘       └───┬───┘
                      o               o             W1: (N·2, H)
                      └───────┬───────┘
                              o                     W2: (N, H)
                              └ W ── logits (N, 27)

Compared with one wide layer, which mixes all characters at once, each layer has only two things to combine.

The dilated causal form has the same weights and reads whole words. It computes the tree above every character at once:
layer k fuses each position with the one 2^k before it, and nothing that two trees share is computed twice.

    .   .   .   .   .   .   .   .   e   m   m   a       the word, boundaries before it
                                            └─┬─┘       dilation 1
                                      └───┬───┘         dilation 2
                              └───────┬───────┘         dilation 4
                                                logits (N, T, 27), one for each character

Sources: van den Oord et al. 2016, "WaveNet", arXiv:1609.03499, figures 2 and 3, without its gates and skip
connections; the hierarchy on names is that of makemore part 5 (https://www.youtube.com/watch?v=t3YJ5hKiMQ0).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from models.character_model import CharacterModel
from npgrad import Tensor, nn
from npgrad.functions import concatenate, tanh

__all__ = ["DilatedWaveNet", "WaveNet"]


class WaveNet(CharacterModel):
    """Logits of the next character, shape (N, vocab_size), for contexts of shape (N, context).

    `context` is a power of two, 2 or more, of which each layer takes one factor. The weights are N(0, 1)·(5/3)/√fan_in,
    those of the last layer a tenth of 1/√fan_in. `norm` after each of the fusing layers is "batch", "layer" or "none";
    with batch normalisation, whose statistics go over all positions of a layer, they have no bias.

    Raises ValueError for another context or norm, or a size that is not positive.
    """

    norms: ClassVar[tuple[str, ...]] = ("batch", "layer", "none")

    def __init__(
        self,
        vocab_size: int = 27,
        context: int = 8,
        *,
        rng: np.random.Generator,
        embedding: int = 24,
        hidden: int = 128,
        norm: str = "batch",
        dtype: DTypeLike = np.float32,
    ) -> None:
        if context < 2 or context & (context - 1):
            raise ValueError(f"characters are fused two by two: the context must be 2, 4, 8, 16, …; got {context}.")
        if norm not in self.norms:
            raise ValueError(f"there is no norm {norm!r} in {type(self).__name__}; there are {', '.join(self.norms)}.")
        self.vocab_size, self.context = vocab_size, context
        self.embedding = nn.Embedding(vocab_size, embedding, rng=rng, dtype=dtype)
        self.fuse: list[nn.Linear] = []
        self.norm: list[nn.Module] = []
        for layer in range(context.bit_length() - 1):
            n_in = 2 * (hidden if layer else embedding)
            self.fuse.append(nn.Linear(n_in, hidden, norm != "batch", rng=rng, gain=5 / 3, dtype=dtype))
            if norm != "none":
                kind = nn.BatchNorm1d if norm == "batch" else nn.LayerNorm
                self.norm.append(kind(hidden, dtype=dtype))
        self.output = nn.Linear(hidden, vocab_size, rng=rng, gain=0.1, dtype=dtype)

    def forward(self, x: NDArray[np.intp]) -> Tensor:
        h = self.embedding(x)
        for layer, fuse in enumerate(self.fuse):
            neighbours = h.reshape(-1, 2 * h.shape[-1])
            h = self.activated(layer, fuse(neighbours))
        logits: Tensor = self.output(h)
        return logits

    def activated(self, layer: int, z: Tensor) -> Tensor:
        return tanh(self.norm[layer](z) if self.norm else z)


class DilatedWaveNet(WaveNet):
    """Logits of each next character, shape (N, T, vocab_size), for words of shape (N, T) that begin with a boundary.

    Parameters and options are those of `WaveNet`, and so are the logits at each character, whose context are the
    `context` characters up to it. There is no batch normalisation, whose statistics would count the padding behind
    the words; layer normalisation takes each position for itself.
    """

    whole_words = True
    norms = ("layer", "none")

    def __init__(
        self,
        vocab_size: int = 27,
        context: int = 8,
        *,
        rng: np.random.Generator,
        embedding: int = 24,
        hidden: int = 128,
        norm: str = "layer",
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(vocab_size, context, rng=rng, embedding=embedding, hidden=hidden, norm=norm, dtype=dtype)

    def forward(self, x: NDArray[np.intp]) -> Tensor:
        h = self.embedding(np.pad(x, ((0, 0), (self.context - 1, 0))))
        for layer, fuse in enumerate(self.fuse):
            dilation = 2**layer
            neighbours = concatenate((h[:, :-dilation], h[:, dilation:]), axis=2)
            h = self.activated(layer, fuse(neighbours))
        logits: Tensor = self.output(h)
        return logits

    def following(self, words: NDArray[np.intp], state: object = None) -> tuple[Tensor, None]:
        """As in CharacterModel: one tree, that of the last character."""
        return WaveNet.forward(self, words[:, -self.context :]), None
