"""Losses of probabilities: binary cross-entropy, of logits or probabilities, and the Kullback-Leibler divergence."""

from __future__ import annotations

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.activation import logistic, softplus
from npgrad.functions.elementwise import exp, log
from npgrad.functions.loss_reduction import fitting, pair, reduced
from npgrad.functions.selection import where

__all__ = ["BCELoss", "BCEWithLogits", "bce_with_logits", "binary_cross_entropy", "kl_div"]


class BCEWithLogits(Function):
    """Binary cross-entropy of the sigmoid of z against q, without ever forming the sigmoid's logarithm.

    Symbols
        z[i]    logits
        q[i]    target probabilities
    Forward
        (1) losses[i] = maximum(z[i], 0) - z[i]*q[i] + log1p(exp(-abs(z[i])))
                      = -q[i]*log(sigmoid(z[i])) - (1 - q[i])*log(sigmoid(-z[i]))
    Backward
        (2) dz[i] = dlosses[i]*(sigmoid(z[i]) - q[i])
        (3) dq[i] = -dlosses[i]*z[i]
    Notes
        The first form of (1) has only exponentials of negative numbers: nothing overflows at ±1e4.
    """

    def forward(self, z: Array, q: Array) -> Array:
        self.z, self.q = z, q
        losses: Array = np.maximum(z, 0) - z * q + np.log1p(np.exp(-np.abs(z)))  # (1)
        return losses

    def backward(self, dlosses: Array) -> tuple[Array | None, Array | None]:
        dz = dq = None
        if self.needs[0]:
            dz = dlosses * (logistic(self.z) - self.q)  # (2)
        if self.needs[1]:
            dq = -dlosses * self.z  # (3)
        return dz, dq


class BCELoss(Function):
    """Cross-entropy of a coin: the probabilities p against the probabilities q.

    Symbols
        p[i] in (0.01, 0.99)    predicted probabilities
        q[i]                    target probabilities
    Forward
        (1) logp[i]   = log(p[i])
        (2) lognot[i] = log1p(-p[i])
        (3) losses[i] = -q[i]*log(p[i]) - (1 - q[i])*log(1 - p[i])
                      = (q[i] - 1)*lognot[i] - q[i]*logp[i]
    Backward
        (4) dp[i] = dlosses[i]*((1 - q[i])/(1 - p[i]) - q[i]/p[i])
                  = dlosses[i]*(p[i] - q[i])/(p[i]*(1 - p[i]))
        (5) dq[i] = dlosses[i]*(lognot[i] - logp[i])
    Notes
        At p = 0 or 1 the loss of a wrong answer is infinite. As in PyTorch the logarithms are held above -100 and the
        denominator of (4) above 1e-12, which has no effect unless p is 0 or 1 to within the rounding of float32. With
        logits instead of probabilities (`BCEWithLogits`) nothing needs to be held.
    """

    @classmethod
    def check(cls, p: Array, q: Array) -> None:
        if (p < 0).any() or (p > 1).any():
            raise ValueError(
                "binary_cross_entropy got predictions outside [0, 1], which are no probabilities. "
                "Take their sigmoid, or give logits to bce_with_logits."
            )

    def forward(self, p: Array, q: Array) -> Array:
        self.p, self.q = p, q
        with np.errstate(divide="ignore"):
            self.logp = np.maximum(np.log(p), -100)  # (1)
            self.lognot = np.maximum(np.log1p(-p), -100)  # (2)
        return (q - 1) * self.lognot - q * self.logp  # (3)

    def backward(self, dlosses: Array) -> tuple[Array | None, Array | None]:
        p, dp, dq = self.p, None, None
        if self.needs[0]:
            dp = dlosses * (p - self.q) / np.maximum(p * (1 - p), 1e-12)  # (4)
        if self.needs[1]:
            dq = dlosses * (self.lognot - self.logp)  # (5)
        return dp, dq


def bce_with_logits(
    logits: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    reduction: str = "mean",
    pos_weight: TensorLike | None = None,
) -> Tensor:
    """Binary cross-entropy of sigmoid(logits) against probabilities `target` of the same shape, in nats.

    `weight` multiplies the losses and `pos_weight` the part of them that the target 1 has; both broadcast to the shape
    of the logits. The mean is over all entries, whatever their weight. Names as in PyTorch, where it is called
    `binary_cross_entropy_with_logits`.

    Raises ValueError for different shapes, an unknown reduction, or the mean of nothing.
    """
    logits, target = pair("bce_with_logits", logits, target, reduction)
    if pos_weight is None:
        losses = BCEWithLogits.apply(logits, target)
    else:
        p = fitting("bce_with_logits", "pos_weight", pos_weight, logits)
        losses = target * softplus(-logits) * p + (1 - target) * softplus(logits)
    return reduced("bce_with_logits", losses, reduction, weight)


def binary_cross_entropy(
    probabilities: TensorLike, target: TensorLike, weight: TensorLike | None = None, reduction: str = "mean"
) -> Tensor:
    """Binary cross-entropy of `probabilities` against probabilities `target` of the same shape, in nats.

    `bce_with_logits` computes the same from logits, more accurately. `weight` multiplies the losses; it broadcasts to
    their shape. The loss of a certainty that is wrong is 100, as in PyTorch, and not infinite.

    Raises ValueError for predictions outside [0, 1], different shapes, an unknown reduction, or the mean of nothing.
    """
    p, q = pair("binary_cross_entropy", probabilities, target, reduction)
    return reduced("binary_cross_entropy", BCELoss.apply(p, q), reduction, weight)


def kl_div(
    log_probabilities: TensorLike, target: TensorLike, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """The Kullback-Leibler divergence of exp(log_probabilities) from `target`: target·(log target − log_probabilities).

    A target of 0 contributes 0. `log_target` says that the target holds log-probabilities. `reduction` is "batchmean"
    (the sum divided by the length of the first axis: the divergence per item), "mean" (over all entries), "sum" or
    "none". Signature as in PyTorch.

    Raises ValueError for different shapes, an unknown reduction, or the mean of nothing.
    """
    logp, q = pair("kl_div", log_probabilities, target, "mean" if reduction == "batchmean" else reduction)
    some = raw(q) != (-np.inf if log_target else 0)
    logq = where(some, q, 0.0) if log_target else log(where(some, q, 1.0))
    losses = (exp(logq) if log_target else q) * where(some, logq - logp, 0.0)
    if reduction == "batchmean":
        return losses.sum() / (len(q) if q.ndim else 1)
    return reduced("kl_div", losses, reduction)
