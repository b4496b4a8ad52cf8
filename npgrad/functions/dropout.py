"""Dropout (Srivastava et al. 2014, JMLR 15:1929), inverted so that evaluation needs no factor."""

from __future__ import annotations

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike
from npgrad.functions.matrix_sums import constant
from npgrad.functions.reduction import floating

__all__ = ["Dropout", "dropout"]


class Dropout(Function):
    """y = x·mask/(1 − p): what the mask drops becomes 0, what stays is enlarged so that the mean of y over masks is x.

    The randomness is in the mask, an input: given the mask, dropout is a product, and so is its derivative. The
    gradient passes where the value passed, enlarged by the same factor.

    Symbols
        x[i,k]       input
        mask[i,k] in {0, 1}    1 where the entry stays (probability 1 - p), 0 where it is dropped
        p = 0.3      probability of being dropped
    Forward
        (1) factor[i,k] = mask[i,k]/(1 - p)
        (2) y[i,k] = x[i,k]*factor[i,k]
    Backward
        (3) dx[i,k] = dy[i,k]*factor[i,k]
    Notes
        The mean over masks is x·(1 − p)/(1 − p) = x, and its variance x²·p/(1 − p): dropout is noise in proportion to
        the activation. The original paper multiplies the weights by 1 − p in evaluation instead; the two agree in the
        mean.

        With p = 1 the factor 1/(1 − p) has no value: everything is dropped, and y and dx are 0.
    """

    def forward(
        self, x: Array, mask: Array | None = None, p: float = 0.5, rng: np.random.Generator | None = None
    ) -> Array:
        """Without a mask one is drawn from `rng`."""
        x = floating(x)
        if mask is None:
            assert rng is not None
            mask = rng.random(x.shape, dtype=np.float32) >= p
        self.factor = mask * constant(1.0 / (1.0 - p) if p < 1 else 0.0, x.dtype)  # (1)
        return x * self.factor  # (2)

    def backward(self, dy: Array) -> tuple[Array, None]:
        return dy * self.factor, None  # (3)


def dropout(x: TensorLike, p: float = 0.5, training: bool = True, rng: np.random.Generator | None = None) -> Tensor:
    """Set each entry of `x` to 0 with probability `p` and divide the others by 1 − p; in evaluation, return `x` itself.

    The mask is drawn from `rng`, anew at every call; there is no global generator. The result has the shape of `x`.

    Raises ValueError if `p` is not in [0, 1]; TypeError if the training call is not given a generator.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout got p={p}: the probability of dropping an entry. Choose it between 0 and 1.")
    if not training or p == 0:
        return x if isinstance(x, Tensor) else Tensor(x)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"dropout in training draws random numbers; got rng={rng!r}. "
            "Pass rng=np.random.default_rng(seed), or training=False for evaluation."
        )
    return Dropout.apply(x, None, p=p, rng=rng)
