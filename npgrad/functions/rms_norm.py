"""Normalisation by the root mean square alone: layer normalisation that leaves the mean where it is."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike
from npgrad.functions.layer_norm import check_features, check_input
from npgrad.functions.matrix_sums import column_sum, constant

__all__ = ["RMSNorm", "rms_norm"]


class RMSNorm(Function):
    """Divide each row by its root mean square, then scale by gamma, feature by feature.

    Symbols
        x[i,k]         input: item i, feature k
        gamma[k]       scale
        eps = 1e-3     keeps the division finite where an item is 0
        n = size(k)    features
    Forward
        (1) ms[i]     = sum(k, x[i,k]**2)/n
        (2) rrms[i]   = (ms[i] + eps)**(-1/2)
        (3) xhat[i,k] = x[i,k]*rrms[i]
        (4) y[i,k]    = gamma[k]*xhat[i,k]
    Backward
        (5) dgamma[k]  = sum(i, dy[i,k]*xhat[i,k])        # gamma was copied to every item
        (a) dxhat[i,k] = dy[i,k]*gamma[k]
        (b) drrms[i]   = sum(k, dxhat[i,k]*x[i,k])        # (3) copied rrms along the row
        (c) dms[i]     = drrms[i]*(-1/2)*(ms[i] + eps)**(-3/2)
                       = -drrms[i]*rrms[i]**3/2           # by (2)
        (6) along_xhat[i] = sum(k, dy[i,k]*gamma[k]*xhat[i,k])/n
        (7) dx[i,k] = dxhat[i,k]*rrms[i] + dms[i]*2*x[i,k]/n
                    # x is used twice, in (3) and in (1)
                    = rrms[i]*(dxhat[i,k] - xhat[i,k]*sum(j, dxhat[i,j]*xhat[i,j])/n)
                    # put in (c) and (b); three factors rrms turn two x into xhat and leave one
                    = rrms[i]*(dy[i,k]*gamma[k] - xhat[i,k]*along_xhat[i])
                    # put in (a) and (6)
    Notes
        Of the two components that layer normalisation takes out of the gradient one is left: what lies along xhat,
        because the length of a row does not matter. The mean of a row does matter here, and keeps its gradient.

        Source: Zhang & Sennrich 2019, "Root mean square layer normalization", arXiv:1910.07467, equation 4.
    """

    def forward(self, x: Array, gamma: Array | None = None, eps: float = 1e-5, ndim: int = 1) -> Array:
        """`ndim` counts the axes, from the last, that make up the features."""
        self.x_shape, self.features = x.shape, x.shape[x.ndim - ndim :]
        n = prod(self.features)
        x = x.reshape(prod(x.shape[: x.ndim - ndim]), n)
        self.gamma = constant(1.0, x.dtype, n) if gamma is None else gamma.reshape(n)
        ms = np.vecdot(x, x) * constant(1 / n, x.dtype)  # (1)
        rrms = self.rrms = np.reciprocal(np.sqrt(ms + constant(eps, x.dtype)))  # (2)
        xhat = self.xhat = x * rrms[:, None]  # (3)
        y: Array = self.gamma * xhat  # (4)
        return y.reshape(self.x_shape)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        gamma, xhat = self.gamma, self.xhat
        dy = dy.reshape(xhat.shape)
        dyxhat = dy * xhat
        dx = dgamma = None
        if self.needs[1]:
            dgamma = column_sum(dyxhat).reshape(self.features)  # (5)
        if self.needs[0]:
            along_xhat = np.dot(dyxhat, gamma * constant(1 / len(gamma), gamma.dtype))  # (6)
            dx = dy * gamma
            dx -= xhat * along_xhat[:, None]
            dx *= self.rrms[:, None]
            dx = dx.reshape(self.x_shape)  # (7)
        return dx, dgamma


def rms_norm(
    x: TensorLike,
    normalized_shape: int | Sequence[int],
    weight: TensorLike | None = None,
    eps: float | None = None,
) -> Tensor:
    """Divide `x` by its root mean square over the last axes, whose lengths are `normalized_shape`; scale by weight.

    `weight` has the shape `normalized_shape` (or is left out); the result has the shape of `x`. `eps` is added to the
    mean square; by default it is the resolution of x's dtype, 1.2e-7 for float32. Source: Zhang & Sennrich 2019,
    arXiv:1910.07467, equation 4. Signature as in PyTorch.

    Raises ValueError if the last axes of `x` are not `normalized_shape`, if weight has another shape, or if there are
    no features; TypeError if `x` holds integers.
    """
    x = check_input("rms_norm", x)
    features = check_features("rms_norm", x, normalized_shape, weight=weight)
    eps = float(np.finfo(x.dtype).eps) if eps is None else eps
    return RMSNorm.apply(x, weight, eps=eps, ndim=len(features))
