"""The lecture's deep network: `Linear`, `BatchNorm1d` and `Tanh` modules stacked, six linear layers by default.

    x (N, context) ── embedding ── Linear ── [norm] ── tanh ── … ── Linear ── [norm] ── logits (N, 27)

It is the network to see depth with: activations and gradients are multiplied by about the same factor in every layer:
whether they fade, hold or blow up depends on the gain, and with batch normalisation it hardly depends on it any more.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike, NDArray

from models.character_model import CharacterModel
from npgrad import Tensor, nn
from npgrad.nn import ACTIVATIONS

__all__ = ["NORMS", "DeepMLP"]

NORMS = ("none", "batch", "layer", "group")
GAINS = {"elu": 1.2452, "gelu": 1.5335, "silu": 1.6766, "softplus": 1.0419}
"""Gains for the nonlinearities f that PyTorch's table leaves out: 1/√E[f(z)²], z ~ N(0, 1)."""


class DeepMLP(CharacterModel):
    """Logits of the next character, shape (N, vocab_size), for contexts of shape (N, context).

    `depth` counts the linear layers. Their weights are N(0, 1)·gain/√fan_in (without the root if not `fan_in`);
    `gain` None takes what the activation asks for. The last layer is made less confident as in the lecture: its weights
    have gain `output_gain`, or with batch normalisation, which would undo that, the last normalisation has that scale.

    `norm` "batch" stands after every linear layer, which then has no bias; "layer" and "group" (of `groups` groups)
    only after the hidden ones. `momentum` and `ddof` belong to batch normalisation; the lecture's are the defaults.

    Raises ValueError for an unknown activation or norm, or a size that is not positive.
    """

    def __init__(
        self,
        vocab_size: int = 27,
        context: int = 3,
        *,
        rng: np.random.Generator,
        depth: int = 6,
        embedding: int = 10,
        hidden: int = 100,
        activation: str = "tanh",
        gain: float | None = None,
        fan_in: bool = True,
        output_gain: float = 0.1,
        norm: str = "batch",
        groups: int = 10,
        momentum: float = 0.1,
        eps: float = 1e-5,
        ddof: int = 1,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"there is no activation {activation!r}; there are {', '.join(ACTIVATIONS)}.")
        if norm not in NORMS:
            raise ValueError(f"there is no norm {norm!r}; there are {', '.join(NORMS)}.")
        if depth < 1:
            raise ValueError(f"a network needs a depth of 1 or more linear layers; got {depth}.")
        if gain is None:
            gain = GAINS[activation] if activation in GAINS else nn.init.calculate_gain(activation)
        self.vocab_size, self.context = vocab_size, context
        self.embedding = nn.Embedding(vocab_size, embedding, rng=rng, dtype=dtype)

        def linear(n_in: int, n_out: int, gain: float) -> nn.Linear:
            scale = gain if fan_in else gain * math.sqrt(n_in)
            return nn.Linear(n_in, n_out, norm != "batch", rng=rng, gain=scale, dtype=dtype)

        def normalisation(width: int) -> list[nn.Module]:
            if norm == "batch":
                return [nn.BatchNorm1d(width, eps, momentum, ddof=ddof, dtype=dtype)]
            if norm == "layer":
                return [nn.LayerNorm(width, eps, dtype=dtype)]
            return [nn.GroupNorm(groups, width, eps, dtype=dtype)] if norm == "group" else []

        nonlinearity = ACTIVATIONS[activation]
        widths = [context * embedding] + [hidden] * (depth - 1)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layers += [linear(n_in, n_out, gain), *normalisation(n_out)]
            layers += [nonlinearity()] if nonlinearity is not None else []
        if norm == "batch":
            last = nn.BatchNorm1d(vocab_size, eps, momentum, ddof=ddof, dtype=dtype)
            assert last.weight is not None
            last.weight.data = np.full(vocab_size, output_gain)
            layers += [linear(widths[-1], vocab_size, gain), last]
        else:
            layers += [linear(widths[-1], vocab_size, output_gain)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: NDArray[np.intp]) -> Tensor:
        emb = self.embedding(x)
        logits: Tensor = self.layers(emb.reshape(len(x), emb.shape[1] * emb.shape[2]))
        return logits
