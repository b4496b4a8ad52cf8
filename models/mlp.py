"""The character-level MLP of Bengio et al. 2003, in the five states the lecture takes it through.

    x (N, context) ── C ── (N, context, embedding) ── concatenated ── W1 ── [batch norm] ── tanh ── W2 ── logits (N, 27)

The stages differ in nothing but the scale of the first random numbers, and the last in the normalisation:

    stage       W1                b1      W2      b2     what it repairs
    original    1                 1       1       1      nothing: the first loss is about 27
    output      1                 1       0.01    0      confidently wrong logits: the first loss is ln 27 = 3.30
    hidden      0.2               0.01    0.01    0      saturated tanh units
    kaiming     (5/3)/√fan_in     0.01    0.01    0      the guess 0.2, by a rule that holds for every width
    batchnorm   (5/3)/√fan_in     none    0.01    0      the need to choose: batches are normalised, gain 1, shift 0

Source: Bengio, Ducharme, Vincent & Jauvin 2003, "A neural probabilistic language model", JMLR 3, with three characters
in place of words and without the direct connections.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from models.character_model import CharacterModel
from npgrad import Tensor, nn

__all__ = ["MLP", "STAGES"]


class Scales(NamedTuple):
    """What the standard normal numbers of each array are multiplied by; `b1` None means no such bias."""

    W1: Callable[[int], float]
    b1: float | None
    W2: float
    b2: float


def kaiming(fan_in: int) -> float:
    return nn.init.calculate_gain("tanh") / math.sqrt(fan_in)


STAGES = {
    "original": Scales(W1=lambda fan_in: 1.0, b1=1.0, W2=1.0, b2=1.0),
    "output": Scales(W1=lambda fan_in: 1.0, b1=1.0, W2=0.01, b2=0.0),
    "hidden": Scales(W1=lambda fan_in: 0.2, b1=0.01, W2=0.01, b2=0.0),
    "kaiming": Scales(W1=kaiming, b1=0.01, W2=0.01, b2=0.0),
    "batchnorm": Scales(W1=kaiming, b1=None, W2=0.01, b2=0.0),
}


class MLP(CharacterModel):
    """Logits of the next character, shape (N, vocab_size), for contexts of shape (N, context).

    `stage` is a key of STAGES; `hidden_scale` and `output_scale` replace the stage's factors of W1 and W2. The numbers
    drawn from `rng` are the same for every stage and every scale, so two networks differ only in what was varied.

    `momentum`, `eps` and `ddof` belong to the batch normalisation; the lecture's are the defaults.

    Raises ValueError for an unknown stage or a size that is not positive.
    """

    def __init__(
        self,
        vocab_size: int = 27,
        context: int = 3,
        *,
        rng: np.random.Generator,
        stage: str = "batchnorm",
        embedding: int = 10,
        hidden: int = 200,
        hidden_scale: float | None = None,
        output_scale: float | None = None,
        momentum: float = 0.001,
        eps: float = 1e-5,
        ddof: int = 1,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if stage not in STAGES:
            raise ValueError(f"there is no stage {stage!r}; the stages are {', '.join(STAGES)}.")
        scales = STAGES[stage]
        fan_in = context * embedding
        w1 = scales.W1(fan_in) if hidden_scale is None else hidden_scale
        w2 = scales.W2 if output_scale is None else output_scale
        self.vocab_size, self.context = vocab_size, context
        self.C = nn.Embedding(vocab_size, embedding, rng=rng, dtype=dtype)
        self.hidden = normal_linear(fan_in, hidden, w1, scales.b1, rng, dtype)
        self.norm = nn.BatchNorm1d(hidden, eps, momentum, ddof=ddof, dtype=dtype) if stage == "batchnorm" else None
        self.tanh = nn.Tanh()
        self.output = normal_linear(hidden, vocab_size, w2, scales.b2, rng, dtype)

    def forward(self, x: NDArray[np.intp]) -> Tensor:
        emb = self.C(x)
        hpreact = self.hidden(emb.reshape(len(x), emb.shape[1] * emb.shape[2]))
        if self.norm is not None:
            hpreact = self.norm(hpreact)
        h = self.tanh(hpreact)
        logits: Tensor = self.output(h)
        return logits


def normal_linear(
    fan_in: int, fan_out: int, weight_scale: float, bias_scale: float | None, rng: np.random.Generator, dtype: DTypeLike
) -> nn.Linear:
    """A linear layer with W ~ N(0, weight_scale²) and b ~ N(0, bias_scale²), or no bias.

    Both are drawn whatever the scales are, so that the generator always ends in the same state.
    """
    layer = nn.Linear(
        fan_in, fan_out, bias_scale is not None, rng=rng, gain=weight_scale * math.sqrt(fan_in), dtype=dtype
    )
    b = rng.standard_normal(fan_out)
    if layer.bias is not None and bias_scale is not None:
        layer.bias.data = bias_scale * b
    return layer
