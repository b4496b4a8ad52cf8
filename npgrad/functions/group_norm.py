"""Group normalisation: statistics per item and group of channels (Wu & He 2018, arXiv:1803.08494, equations 1 to 7)."""

from __future__ import annotations

from math import prod

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.layer_norm import check_input
from npgrad.functions.matrix_sums import column_sum, constant, row_mean, row_sum

__all__ = ["GroupNorm", "group_norm", "instance_norm"]


class GroupNorm(Function):
    """Normalise each group of channels of each item over channels and positions; scale and shift channel by channel.

    A group is treated exactly as layer normalisation treats a row, and groups know nothing of each other: in memory
    they are the rows of a matrix. With as many groups as channels this becomes instance normalisation, with one group
    layer normalisation over channels and positions.

    gamma and beta are per channel, the same for all positions of it. So everything the backward pass has to sum can be
    summed over the positions first, once, and then over items (dgamma, dbeta) or over channels (the terms of dx).

    Symbols
        x[i,c,l]          input: item i, channel c, position l
        gamma[c]          scale
        beta[c]           shift
        eps = 1e-3        keeps the division finite where a group does not vary
        num_groups = 2    groups of channels
        size(c) = 6       channels: m neighbouring ones form a group, so channel c belongs to group c//m
        m = size(c)//num_groups
        size(g) = num_groups
        n = m*size(l)     numbers in a group
    Forward
        (1) mu[i,g]     = sum((c,l), (c//m == g)*x[i,c,l])/n
                        = x[i,g*m,0] + sum((c,l), (c//m == g)*(x[i,c,l] - x[i,g*m,0]))/n
        (2) xc[i,c,l]   = x[i,c,l] - mu[i,c//m]
        (3) var[i,g]    = sum((c,l), (c//m == g)*xc[i,c,l]**2)/n
        (4) rstd[i,g]   = (var[i,g] + eps)**(-1/2)
        (5) xhat[i,c,l] = xc[i,c,l]*rstd[i,c//m]
        (6) y[i,c,l]    = gamma[c]*xhat[i,c,l] + beta[c]
    Backward
        (7)  one_sum[i,c]  = sum(l, dy[i,c,l])
        (8)  xhat_sum[i,c] = sum(l, dy[i,c,l]*xhat[i,c,l])
        (9)  dbeta[c]      = sum(i, one_sum[i,c])
        (10) dgamma[c]     = sum(i, xhat_sum[i,c])
        (a) dxhat[i,c,l] = dy[i,c,l]*gamma[c]
        (b) drstd[i,g]   = sum((c,l), (c//m == g)*dxhat[i,c,l]*xc[i,c,l])
        (c) dvar[i,g]    = drstd[i,g]*(-1/2)*(var[i,g] + eps)**(-3/2)
                         = -drstd[i,g]*rstd[i,g]**3/2
        (d) dxc[i,c,l]   = dxhat[i,c,l]*rstd[i,c//m] + dvar[i,c//m]*2*xc[i,c,l]/n
        (e) dmu[i,g]     = -sum((c,l), (c//m == g)*dxc[i,c,l])
                         = -rstd[i,g]*sum((c,l), (c//m == g)*dxhat[i,c,l])
        (11) along_one[i,g]  = sum(c, (c//m == g)*gamma[c]*one_sum[i,c])/n
                             = sum((c,l), (c//m == g)*dxhat[i,c,l])/n
        (12) along_xhat[i,g] = sum(c, (c//m == g)*gamma[c]*xhat_sum[i,c])/n
                             = sum((c,l), (c//m == g)*dxhat[i,c,l]*xhat[i,c,l])/n
        (13) dx[i,c,l] = dxc[i,c,l] + dmu[i,c//m]/n
                       = rstd[i,c//m]*(dxhat[i,c,l] - along_one[i,c//m] - xhat[i,c,l]*along_xhat[i,c//m])
                       = rstd[i,c//m]*gamma[c]*dy[i,c,l]
                         - rstd[i,c//m]*along_one[i,c//m] - rstd[i,c//m]*along_xhat[i,c//m]*xhat[i,c,l]
    Notes
        The second form of (1) subtracts the group's first entry before summing: the differences of nearby numbers are
        exact, so float32 data at offset 1e6 keeps its relative accuracy.

        In the last form of (13) everything but dy and xhat is one number per item and channel, and so cheap.

        A group of one number, or of equal numbers, is normalised to 0: the output is beta and dx is 0.
    """

    def forward(
        self, x: Array, gamma: Array | None = None, beta: Array | None = None, num_groups: int = 1, eps: float = 1e-5
    ) -> Array:
        items, channels, positions = x.shape[0], x.shape[1], prod(x.shape[2:])
        self.x_shape, self.groups, self.m = x.shape, num_groups, channels // num_groups
        self.gamma = constant(1.0, x.dtype, channels) if gamma is None else gamma
        x = x.reshape(items * num_groups, self.m * positions)
        xc = x - x[:, :1]
        mu = row_mean(xc)
        xc -= mu[:, None]  # (2)
        mu += x[:, 0]  # (1)
        var = np.vecdot(xc, xc) / (self.m * positions)  # (3)
        rstd = self.rstd = np.reciprocal(np.sqrt(var + constant(eps, x.dtype)))  # (4)
        xc *= rstd[:, None]
        xhat = self.xhat = xc.reshape(items, channels, positions)  # (5)
        y: Array = self.gamma[:, None] * xhat
        if beta is not None:
            y += beta[:, None]  # (6)
        return y.reshape(self.x_shape)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None, Array | None]:
        gamma, xhat = self.gamma, self.xhat
        items, channels, positions = xhat.shape
        dy = dy.reshape(xhat.shape)
        one_sum = row_sum(dy.reshape(items * channels, positions)).reshape(items, channels)  # (7)
        xhat_sum = row_sum((dy * xhat).reshape(items * channels, positions)).reshape(items, channels)  # (8)
        dbeta = column_sum(one_sum) if self.needs[2] else None  # (9)
        dgamma = column_sum(xhat_sum) if self.needs[1] else None  # (10)
        if not self.needs[0]:
            return None, dgamma, dbeta
        n = self.m * positions
        rstd = self.rstd.reshape(items, self.groups)
        along_one = self.group_sum(gamma * one_sum) / n  # (11)
        along_xhat = self.group_sum(gamma * xhat_sum) / n  # (12)
        dx = dy * (gamma * self.repeat(rstd))[:, :, None]
        dx -= self.repeat(rstd * along_one)[:, :, None]
        dx -= self.repeat(rstd * along_xhat)[:, :, None] * xhat  # (13)
        return dx.reshape(self.x_shape), dgamma, dbeta

    def group_sum(self, a: Array) -> Array:
        """(items, channels) -> (items, groups): the sum over the channels of each group."""
        total: Array = np.add.reduce(a.reshape(len(a), self.groups, self.m), axis=2)
        return total

    def repeat(self, a: Array) -> Array:
        """(items, groups) -> (items, channels): the number of each group for each of its channels."""
        return np.repeat(a, self.m, axis=1)


def group_norm(
    x: TensorLike,
    num_groups: int,
    weight: TensorLike | None = None,
    bias: TensorLike | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise `x` of shape (N, C, …) over each of `num_groups` groups of channels and over all positions.

    `weight` and `bias` have shape (C,), or are left out. The variance is the biased one; the result has the shape of
    `x`. Source: Wu & He 2018, arXiv:1803.08494, equations 1 to 7. Signature as in PyTorch.

    Raises ValueError if the channels cannot be divided into `num_groups` equal groups, if weight or bias have another
    shape, or if a group is empty; TypeError if `x` holds integers.
    """
    x = check_input("group_norm", x)
    shape = np.shape(raw(x))
    if len(shape) < 2 or prod(shape[1:]) == 0:
        raise ValueError(
            f"group_norm needs an input of shape (N, C, ...) with at least one channel and position; got {shape}. "
            "Put the channels on axis 1."
        )
    if num_groups < 1 or shape[1] % num_groups:
        raise ValueError(
            f"group_norm cannot divide {shape[1]} channels (input of shape {shape}) into num_groups={num_groups} equal "
            "groups. Choose a divisor of the number of channels."
        )
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and np.shape(raw(parameter)) != shape[1:2]:
            raise ValueError(
                f"group_norm got a {name} of shape {np.shape(raw(parameter))} for {shape[1]} channels. "
                f"Give {name} the shape ({shape[1]},), or leave it out."
            )
    return GroupNorm.apply(x, weight, bias, num_groups=num_groups, eps=eps)


def instance_norm(
    x: TensorLike, *, weight: TensorLike | None = None, bias: TensorLike | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise each channel of each item of `x` (N, C, …) over its positions: `group_norm` with C groups of one.

    Source: Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022. Named as in PyTorch, but without running statistics.
    Raises as `group_norm` does.
    """
    shape = np.shape(raw(x))
    return group_norm(x, shape[1] if len(shape) > 1 else 1, weight, bias, eps)
