"""Batch normalisation, with its whole derivation (Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.matrix_sums import column_mean, column_sum, constant
from npgrad.functions.shape import moveaxis, reshape

__all__ = ["BatchNorm", "BatchNormInference", "batch_norm"]


class BatchNorm(Function):
    """Normalise each channel over the batch, then scale by gamma and shift by beta.

    Every value of a channel depends on every other one, through the mean and the variance: the price is a backward pass
    with three paths from y to x. It is derived one intermediate at a time, last to first, then closed up; the code
    computes the closed form.

    Case: every intermediate, with the unbiased variance (ddof=1, as in the lecture)
    Symbols
        x[i,k]         input: row i of the batch, channel k
        gamma[k]       scale
        beta[k]        shift
        eps = 1e-3     keeps the division finite where a channel does not vary
        ddof = 1       0 divides the variance by n (biased), 1 by n - 1
        n = size(i)    rows
        m = n - ddof   divisor of the variance
    Forward
        (1) mu[k]     = sum(i, x[i,k])/n
                      = x[0,k] + sum(i, x[i,k] - x[0,k])/n
        (2) xc[i,k]   = x[i,k] - mu[k]
        (3) var[k]    = sum(i, xc[i,k]**2)/m
        (4) rstd[k]   = (var[k] + eps)**(-1/2)
        (a) xhat[i,k] = xc[i,k]*rstd[k]
        (5) scale[k]  = gamma[k]*rstd[k]
        (6) y[i,k]    = gamma[k]*xhat[i,k] + beta[k]
                      = xc[i,k]*scale[k] + beta[k]
    Backward
        (7) dbeta[k]   = sum(i, dy[i,k])                  # beta was copied to every row
        (8) dgamma[k]  = sum(i, dy[i,k]*xhat[i,k])
                       = rstd[k]*sum(i, dy[i,k]*xc[i,k])  # rstd is the same for every row
        (b) dxhat[i,k] = dy[i,k]*gamma[k]
        (c) drstd[k]   = sum(i, dxhat[i,k]*xc[i,k])       # (a) copied rstd to every row
        (d) dvar[k]    = drstd[k]*(-1/2)*(var[k] + eps)**(-3/2)
                       = -drstd[k]*rstd[k]**3/2           # by (4)
        (e) dxc[i,k]   = dxhat[i,k]*rstd[k] + dvar[k]*2*xc[i,k]/m
                       # xc is used twice, in (a) and in (3)
                       = rstd[k]*(dxhat[i,k] - xhat[i,k]*sum(j, dxhat[j,k]*xhat[j,k])/m)
                       # put in (d) and (c); three factors rstd turn two xc into xhat and leave one
        (f) dmu[k]     = -sum(i, dxc[i,k])
                       = -rstd[k]*sum(i, dxhat[i,k])      # the xhat of a channel sum to zero
        (9) dx[i,k]    = dxc[i,k] + dmu[k]/n
                       # x is used twice, in (2) and in (1)
                       = rstd[k]*(dxhat[i,k] - mean(j, dxhat[j,k]) - xhat[i,k]*sum(j, dxhat[j,k]*xhat[j,k])/m)
                       # the second forms of (e) and (f)
                       = gamma[k]*rstd[k]*(dy[i,k] - dbeta[k]/n - xhat[i,k]*dgamma[k]/m)
                       # gamma is the same for every row; the sums that are left are (7) and (8)
                       = scale[k]*(dy[i,k] - xc[i,k]*(rstd[k]*dgamma[k]/m) - dbeta[k]/n)
                       # grouped so that arrays of the batch's size are touched rarely: xhat is never formed

    Case: what the two subtracted terms mean, with the biased variance (ddof=0, the default)
    Symbols
        x[i,k]         input
        gamma[k]       scale
        beta[k]        shift
        eps = 0.0      so that xhat has variance 1 exactly
        ddof = 0
        n = size(i)
    Forward
        (1) mu[k]     = mean(i, x[i,k])
        (2) xc[i,k]   = x[i,k] - mu[k]
        (3) var[k]    = mean(i, xc[i,k]**2)
        (4) rstd[k]   = var[k]**(-1/2)
        (a) xhat[i,k] = xc[i,k]*rstd[k]
        (5) scale[k]  = gamma[k]*rstd[k]
        (6) y[i,k]    = gamma[k]*xhat[i,k] + beta[k]
        (b) mean(i, xhat[i,k]) = 0        # xhat is perpendicular to the constant vector
        (c) mean(i, xhat[i,k]**2) = 1     # and of the same length
    Backward
        (7) dbeta[k]  = sum(i, dy[i,k])
        (8) dgamma[k] = sum(i, dy[i,k]*xhat[i,k])
        (d) g[i,k]    = dy[i,k] - mean(j, dy[j,k])                # without what lies along the constant vector
        (e) h[i,k]    = g[i,k] - xhat[i,k]*mean(j, g[j,k]*xhat[j,k])    # and without what lies along xhat
        (9) dx[i,k]   = scale[k]*h[i,k]
                      = scale[k]*(dy[i,k] - dbeta[k]/n - xhat[i,k]*dgamma[k]/n)
        (f) sum(i, h[i,k]**2) = sum(i, dy[i,k]**2) - dbeta[k]**2/n - dgamma[k]**2/n    # Pythagoras
        (g) sum(i, dx[i,k]) = 0           # the gradient of a bias that was added to x: exactly none
        (h) sum(i, dx[i,k]*x[i,k]) = 0    # the gradient of a factor of x: none either

    Notes
        The closed form (9), geometrically: dy loses its component along the constant vector and its component along
        xhat. Moving x along either is undone by the normalisation, so y does not change and the gradient has nothing to
        say there. That is why a layer in front of batch normalisation needs no bias, and why the length of its weights
        has no gradient (see the lesson `update_ratio`). With eps > 0 a trace of the second component remains.

        The second form of (1) subtracts the first row before summing: the differences of nearby numbers are exact, so
        float32 data at offset 1e6 keeps its relative accuracy, which the plain sum loses.

        In evaluation the statistics are constants and both terms are gone: see `BatchNormInference`. How the running
        statistics come to be, and why they take the unbiased variance, is the lesson `running_statistics`.
    """

    @classmethod
    def check(
        cls,
        x: Array,
        gamma: Array | None = None,
        beta: Array | None = None,
        *,
        running_mean: Array | None = None,
        running_var: Array | None = None,
        ddof: int = 0,
        **options: Any,
    ) -> None:
        check_parameters(x.shape, gamma, beta, running_mean, running_var)
        if (n := len(x)) < 2:
            raise ValueError(
                f"batch_norm in training got {n} row{'s' * (n != 1)} per channel; the statistics of so few rows are "
                "useless: the result would always be beta. Use a larger batch, or eval() with running statistics."
            )
        if n <= ddof:
            raise ValueError(
                f"batch_norm got {n} rows per channel and ddof={ddof}: the variance would be divided by {n - ddof}. "
                "Use a larger batch, or ddof=0."
            )

    def forward(
        self,
        x: Array,
        gamma: Array | None = None,
        beta: Array | None = None,
        *,
        eps: float = 1e-5,
        ddof: int = 0,
        running_mean: Array | None = None,
        running_var: Array | None = None,
        momentum: float = 0.1,
        batches: Array | None = None,
    ) -> Array:
        n = len(x)
        m = self.m = n - ddof
        xc: Array = x - x[0]
        mu = column_mean(xc)
        xc -= mu  # (2)
        mu += x[0]  # (1)
        var = column_mean(xc * xc, m)  # (3)
        rstd = np.reciprocal(np.sqrt(var + constant(eps, x.dtype)))  # (4)
        scale = rstd if gamma is None else gamma * rstd  # (5)
        y: Array = xc * scale
        if beta is not None:
            y += beta  # (6)
        if batches is not None:
            average(batches, running_mean, mu, running_var, var * constant(m / (n - 1), x.dtype))
            running_mean = running_var = None
        if running_mean is not None:
            running_mean *= constant(1 - momentum, running_mean.dtype)
            running_mean += mu * constant(momentum, running_mean.dtype)
        if running_var is not None:
            # The running variance always takes the unbiased one.
            running_var *= constant(1 - momentum, running_var.dtype)
            running_var += var * constant(momentum * m / (n - 1), running_var.dtype)
        self.xc, self.rstd, self.scale = xc, rstd, scale
        return y

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        xc, rstd = self.xc, self.rstd
        dbeta = column_sum(dy)  # (7)
        dgamma = rstd * column_sum(dy * xc)  # (8)
        dx = dy - xc * (rstd * dgamma * constant(1 / self.m, dy.dtype))
        dx -= dbeta * constant(1 / len(dy), dy.dtype)
        dx *= self.scale  # (9)
        return dx, dgamma, dbeta


def average(batches: Array, running_mean: Array | None, mu: Array, running_var: Array | None, var: Array) -> None:
    """Count a batch, and move the running statistics to their mean over all batches counted so far."""
    batches += 1
    if running_mean is not None:
        running_mean += (mu - running_mean) / batches
    if running_var is not None:
        running_var += (var - running_var) / batches


class BatchNormInference(Function):
    """Normalise with given statistics: in evaluation, batch normalisation is a fixed affine map of each channel.

    Symbols
        x[i,k]        input
        gamma[k]      scale
        beta[k]       shift
        mu[k]         running mean, a constant here
        var[k] > 0    running variance, a constant here
        eps = 1e-3    as in training
    Forward
        (1) rstd[k]  = (var[k] + eps)**(-1/2)
        (2) scale[k] = gamma[k]*rstd[k]
        (3) xc[i,k]  = x[i,k] - mu[k]
        (4) y[i,k]   = xc[i,k]*scale[k] + beta[k]
    Backward
        (5) dbeta[k]  = sum(i, dy[i,k])
        (6) dgamma[k] = rstd[k]*sum(i, dy[i,k]*xc[i,k])
        (7) dx[i,k]   = dy[i,k]*scale[k]
    Notes
        Nothing is averaged over the batch, so the rows no longer know of each other: compare (7) with the two terms
        that training subtracts.
    """

    @classmethod
    def check(
        cls,
        x: Array,
        gamma: Array | None = None,
        beta: Array | None = None,
        *,
        mu: Array,
        var: Array,
        eps: float = 1e-5,
    ) -> None:
        check_parameters(x.shape, gamma, beta, mu, var)

    def forward(
        self,
        x: Array,
        gamma: Array | None = None,
        beta: Array | None = None,
        *,
        mu: Array,
        var: Array,
        eps: float = 1e-5,
    ) -> Array:
        rstd = self.rstd = (1 / np.sqrt(var + eps)).astype(x.dtype, copy=False)  # (1)
        self.scale = rstd if gamma is None else gamma * rstd  # (2)
        self.xc = x - mu.astype(x.dtype, copy=False)  # (3)
        y: Array = self.xc * self.scale
        if beta is not None:
            y += beta  # (4)
        return y

    def backward(self, dy: Array) -> tuple[Array, Array | None, Array | None]:
        dbeta = column_sum(dy) if self.needs[2] else None  # (5)
        dgamma = self.rstd * column_sum(dy * self.xc) if self.needs[1] else None  # (6)
        return dy * self.scale, dgamma, dbeta  # (7)


def batch_norm(
    x: TensorLike,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: TensorLike | None = None,
    bias: TensorLike | None = None,
    training: bool = False,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
    ddof: int = 0,
    num_batches_tracked: Array | None = None,
) -> Tensor:
    """Batch normalisation of x (N, C) or (N, C, L…), each channel over all its other axes.

    In training the batch's own statistics normalise, and the running ones (NumPy arrays of shape (C,), changed in
    place) move towards them: running = (1 - momentum)·running + momentum·batch. The biased variance normalises, the
    unbiased one enters running_var, as in PyTorch; `ddof=1` uses the unbiased one in both places, as the makemore
    lecture does. With `momentum=None` the running statistics become the mean over all batches so far, whose number
    `num_batches_tracked` (an integer array of shape ()) counts. In evaluation the running statistics normalise. No
    gradient touches them.

    Raises ValueError if x has no channel axis, a parameter does not have C entries, training has fewer than two rows
    per channel, evaluation has no running statistics, or nothing counts the batches where momentum is None; TypeError
    for running statistics that are tensors. Source: Ioffe & Szegedy 2015, algorithms 1 and 2.
    """
    if isinstance(running_mean, Tensor) or isinstance(running_var, Tensor):
        raise TypeError("batch_norm changes running_mean and running_var in place: pass arrays, such as t.data.")
    x = x if isinstance(x, Tensor) else Tensor(x)
    shape = x._array.shape
    if len(shape) != 2:
        check_parameters(shape, raw(weight), raw(bias), running_mean, running_var)
        rows = reshape(moveaxis(x, 1, -1), (-1, shape[1]))
        options = (training, momentum, eps, ddof, num_batches_tracked)
        y = batch_norm(rows, running_mean, running_var, weight, bias, *options)
        return moveaxis(reshape(y, (shape[0], *shape[2:], shape[1])), -1, 1)
    if training:
        given: dict[str, Any] = {"momentum": momentum}
        if momentum is None:
            given = {} if running_mean is None and running_var is None else {"batches": num_batches_tracked}
            if None in given.values():
                raise ValueError("batch_norm with momentum=None counts batches in num_batches_tracked: np.array(0).")
        return BatchNorm.apply(
            x,
            weight,
            bias,
            eps=eps,
            ddof=ddof,
            running_mean=running_mean,
            running_var=running_var,
            **given,
        )
    if running_mean is None or running_var is None:
        raise ValueError("batch_norm in evaluation needs running_mean and running_var; pass them, or training=True.")
    return BatchNormInference.apply(x, weight, bias, mu=running_mean, var=running_var, eps=eps)


def check_parameters(shape: tuple[int, ...], *parameters: Array | None) -> None:
    """Raise ValueError unless x of this shape has channels and every parameter (or statistic) one entry for each."""
    if len(shape) < 2:
        raise ValueError(f"batch_norm takes x of shape (N, C) or (N, C, L…); got {shape}. Add the missing axis.")
    channels = shape[1:2]
    for value in parameters:
        if value is not None and value.shape != channels:
            raise ValueError(
                f"batch_norm got a parameter or running statistic of shape {value.shape} for x of shape {shape}; "
                f"each needs one entry for each of the {shape[1]} channels: shape ({shape[1]},)."
            )
