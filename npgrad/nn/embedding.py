"""Embedding: a learned vector for each index."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from npgrad import functions as F
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor
from npgrad.nn import init
from npgrad.nn.module import Module, Parameter

__all__ = ["Embedding"]


class Embedding(Module):
    """Row `index` of `weight`, shape (num_embeddings, embedding_dim), for each integer of the input; N(0, 1) at first.

    Input (…) of integers, output (…, embedding_dim). The row `padding_idx` is 0 at first and is not trained. Raises
    TypeError without a generator, ValueError if a size is not positive or there is no such row; IndexError from the
    forward pass if an index is negative or too large.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rng = init.generator(rng, f"Embedding({num_embeddings}, {embedding_dim})")
        if num_embeddings < 1 or embedding_dim < 1:
            raise ValueError(f"Embedding({num_embeddings}, {embedding_dim}): both sizes must be at least 1.")
        weight = init.normal((num_embeddings, embedding_dim), rng=rng, dtype=dtype)
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"Embedding({num_embeddings}, {embedding_dim}) has no row padding_idx={padding_idx}.")
            weight[padding_idx] = 0
        self.weight, self.padding_idx = Parameter(weight), padding_idx

    def forward(self, indices: Tensor | Array) -> Tensor:
        return F.embedding(self.weight, indices, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}{padding}"
