"""A Transformer that reads whole words: each character looks at those before it, and takes what it needs of them.

    x (N, T) ── embedding ── (N, T, C) ── block ── block ── … ── norm ── W ── logits (N, T, 27)

A block adds to what passes through it, twice:

    ──────┬───────────────────────────────(+)──┬──────────────────────────────(+)────►
          └─ norm ─ attention ─ out_proj ──┘   └─ norm ─ linear1 ─ gelu ─ linear2 ─┘
                    characters exchange            each character for itself,
                    what they know                 through `hidden` units

Attention is causal: position t takes a mean of the values at positions 0 … t, weighted by the softmax of its query's
products with their keys, in several heads at once:

    looks at     .   e   m   m   a
      .          o                        nothing is carried from step to step, and nothing is out of sight:
      e          o   o                    from any character to any later one the way is one layer long
      m          o   o   o
      m          o   o   o   o
      a          o   o   o   o   o

Queries and keys are turned by angles that grow with their positions, so that their products depend on how far apart two
characters stand; there is no table of positions, and words may have any length.

Sources: Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762; normalisation first as in Xiong et al.
2020, arXiv:2002.04745, and GPT-2 (Radford et al. 2019); positions as in Su et al. 2021, arXiv:2104.09864.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from models.character_model import CharacterModel
from npgrad import Tensor, nn
from npgrad.functions import stack

__all__ = ["Transformer"]


class Transformer(CharacterModel):
    """Logits of each next character, shape (N, T, vocab_size), for words of shape (N, T) that begin with a boundary.

    `embedding` numbers per character go through `layers` blocks, of `heads` heads and `hidden` units each. Weights are
    N(0, 1/fan_in), those of the last layer a tenth of 1/√fan_in, so that the first loss is near ln 27. `norm` is
    "layer" or "none"; with `norm_first` False each sum is normalised instead of what enters a branch, as in the paper
    of 2017. `dropout` falls on the attention weights, the hidden units and what is added. `context` belongs to the
    models that see windows, and changes nothing here.

    Raises ValueError for another norm, heads that do not get an even number of features each, or a size that is not
    positive.
    """

    whole_words = True

    def __init__(
        self,
        vocab_size: int = 27,
        context: int = 1,
        *,
        rng: np.random.Generator,
        embedding: int = 64,
        hidden: int = 256,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.0,
        norm: str = "layer",
        norm_first: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if norm not in ("layer", "none"):
            raise ValueError(f"there is no norm {norm!r} in Transformer; there are layer, none.")
        if layers < 1:
            raise ValueError(f"a Transformer needs 1 or more layers; got {layers}.")
        self.vocab_size, self.context = vocab_size, 1
        self.embedding = nn.Embedding(vocab_size, embedding, rng=rng, dtype=dtype)
        self.blocks = [
            nn.TransformerBlock(
                embedding, heads, hidden, dropout, norm_first=norm_first, rotary=True, rng=rng, dtype=dtype
            )
            for _ in range(layers)
        ]
        self.norm: nn.Module = nn.LayerNorm(embedding, dtype=dtype) if norm_first else nn.Identity()
        if norm == "none":
            self.norm = nn.Identity()
            for block in self.blocks:
                block.norm1 = block.norm2 = nn.Identity()
        self.output = nn.Linear(embedding, vocab_size, rng=rng, gain=0.1, dtype=dtype)

    def forward(self, x: NDArray[np.intp]) -> Tensor:
        h = self.embedding(x)
        for block in self.blocks:
            h = block(h, is_causal=True)
        logits: Tensor = self.output(self.norm(h))
        return logits

    def following(self, words: NDArray[np.intp], state: Any = None) -> tuple[Tensor, Any]:
        """As in CharacterModel; the state are the keys and the values of all blocks, each (layers, N, heads, T, D)."""
        h = self.embedding(words if state is None else words[:, -1:])
        pasts = []
        for k, block in enumerate(self.blocks):
            h, past = block.following(h, None if state is None else (state[0][k], state[1][k]))
            pasts.append(past)
        keys, values = zip(*pasts, strict=True)
        return self.output(self.norm(h)[:, -1]), (stack(keys), stack(values))
