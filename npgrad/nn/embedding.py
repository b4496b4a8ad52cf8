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

    Input (…) of integers, output (…, embedding_dim). Raises TypeError without a generator, ValueError if a size is not
    positive; IndexError from the forward pass if an index is negative or too large.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rng = init.generator(rng, f"Embedding({num_embeddings}, {embedding_dim})")
        if num_embeddings < 1 or embedding_dim < 1:
            raise ValueError(f"Embedding({num_embeddings}, {embedding_dim}): both sizes must be at least 1.")
        self.weight = Parameter(init.normal((num_embeddings, embedding_dim), rng=rng, dtype=dtype))

    def forward(self, indices: Tensor | Array) -> Tensor:
        return F.Embedding.apply(self.weight, indices)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"
