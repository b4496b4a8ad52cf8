"""Layer normalisation: batch normalisation turned by a quarter (Ba, Kiros & Hinton 2016, arXiv:1607.06450)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.matrix_sums import column_sum, constant, row_mean
from npgrad.functions.reduction import array

__all__ = ["LayerNorm", "layer_norm"]


class LayerNorm(Function):
    """Normalise each row over its features, then scale by gamma and shift by beta, feature by feature.

    Batch normalisation takes its statistics down a column, over the items of a batch; layer normalisation takes them
    along a row, over the features of one item. So items do not influence each other, training and evaluation are the
    same, and a batch of one is as good as any. One difference shows in the backward pass: gamma and beta belong to the
    columns and the statistics to the rows, so gamma can no longer be taken out of the sums of the closed form.

    Symbols
        x[i,k]         input: item i, feature k
        gamma[k]       scale
        beta[k]        shift
        eps = 1e-3     keeps the division finite where an item does not vary
        n = size(k)    features
    Forward
        (1) mu[i]     = sum(k, x[i,k])/n
                      = x[i,0] + sum(k, x[i,k] - x[i,0])/n
        (2) xc[i,k]   = x[i,k] - mu[i]
        (3) var[i]    = sum(k, xc[i,k]**2)/n
        (4) rstd[i]   = (var[i] + eps)**(-1/2)
        (5) xhat[i,k] = xc[i,k]*rstd[i]
        (6) y[i,k]    = gamma[k]*xhat[i,k] + beta[k]
    Backward
        (7) dbeta[k]   = sum(i, dy[i,k])                  # beta was copied to every item
        (8) dgamma[k]  = sum(i, dy[i,k]*xhat[i,k])        # and so was gamma
        (a) dxhat[i,k] = dy[i,k]*gamma[k]
        (b) drstd[i]   = sum(k, dxhat[i,k]*xc[i,k])       # (5) copied rstd along the row
        (c) dvar[i]    = drstd[i]*(-1/2)*(var[i] + eps)**(-3/2)
                       = -drstd[i]*rstd[i]**3/2           # by (4)
        (d) dxc[i,k]   = dxhat[i,k]*rstd[i] + dvar[i]*2*xc[i,k]/n
                       # xc is used twice, in (5) and in (3)
                       = rstd[i]*(dxhat[i,k] - xhat[i,k]*sum(j, dxhat[i,j]*xhat[i,j])/n)
                       # put in (c) and (b); three factors rstd turn two xc into xhat and leave one
        (e) dmu[i]     = -sum(k, dxc[i,k])
                       = -rstd[i]*sum(k, dxhat[i,k])      # the xhat of a row sum to zero
        (9)  along_one[i]  = sum(k, dy[i,k]*gamma[k])/n
        (10) along_xhat[i] = sum(k, dy[i,k]*gamma[k]*xhat[i,k])/n
        (11) dx[i,k] = dxc[i,k] + dmu[i]/n
                     # x is used twice, in (2) and in (1)
                     = rstd[i]*(dxhat[i,k] - sum(j, dxhat[i,j])/n - xhat[i,k]*sum(j, dxhat[i,j]*xhat[i,j])/n)
                     # the second forms of (d) and (e)
                     = rstd[i]*(dy[i,k]*gamma[k] - along_one[i] - xhat[i,k]*along_xhat[i])
                     # put in (a); the sums that are left are (9) and (10)
    Notes
        The second form of (1) subtracts the row's first entry before summing: the differences of nearby numbers are
        exact, so float32 data at offset 1e6 keeps its relative accuracy, which the plain sum loses.

        The closed form (11), geometrically: the gradient of each row loses its component along the constant vector
        (along_one) and its component along xhat (along_xhat), because moving a row along either changes nothing in its
        normalised output. (9) and (10) are products of a matrix with the vector gamma, which is how the code takes
        them.

        A row of one feature, or of equal features, is normalised to 0: the output is beta and dx is 0.
    """

    def forward(
        self, x: Array, gamma: Array | None = None, beta: Array | None = None, eps: float = 1e-5, ndim: int = 1
    ) -> Array:
        """`ndim` counts the axes, from the last, that make up the features."""
        self.x_shape, self.features = x.shape, x.shape[x.ndim - ndim :]
        n = prod(self.features)
        x = x.reshape(prod(x.shape[: x.ndim - ndim]), n)
        self.gamma = constant(1.0, x.dtype, n) if gamma is None else gamma.reshape(n)
        xc = x - x[:, :1]
        mu = row_mean(xc)
        xc -= mu[:, None]  # (2)
        mu += x[:, 0]  # (1)
        var = np.vecdot(xc, xc) * constant(1 / n, x.dtype)  # (3)
        rstd = self.rstd = np.reciprocal(np.sqrt(var + constant(eps, x.dtype)))  # (4)
        xc *= rstd[:, None]
        xhat = self.xhat = xc  # (5)
        y: Array = self.gamma * xhat
        if beta is not None:
            y += beta.reshape(n)  # (6)
        return y.reshape(self.x_shape)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None, Array | None]:
        gamma, xhat = self.gamma, self.xhat
        dy = dy.reshape(xhat.shape)
        dyxhat = dy * xhat
        dx = dgamma = dbeta = None
        if self.needs[2]:
            dbeta = column_sum(dy).reshape(self.features)  # (7)
        if self.needs[1]:
            dgamma = column_sum(dyxhat).reshape(self.features)  # (8)
        if self.needs[0]:
            share = gamma * constant(1 / len(gamma), gamma.dtype)
            along_one = np.dot(dy, share)  # (9)
            along_xhat = np.dot(dyxhat, share)  # (10)
            dx = dy * gamma
            dx -= along_one[:, None]
            dx -= xhat * along_xhat[:, None]
            dx *= self.rstd[:, None]
            dx = dx.reshape(self.x_shape)  # (11)
        return dx, dgamma, dbeta


def layer_norm(
    x: TensorLike,
    normalized_shape: int | Sequence[int],
    weight: TensorLike | None = None,
    bias: TensorLike | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise `x` over its last axes, whose lengths are `normalized_shape`, then scale by weight and shift by bias.

    The variance is the biased one. `weight` and `bias` have the shape `normalized_shape` (or are left out); the result
    has the shape of `x`. Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450, equation 3. Signature as in PyTorch.

    Raises ValueError if the last axes of `x` are not `normalized_shape`, if weight or bias have another shape, or if
    there are no features; TypeError if `x` holds integers.
    """
    x = check_input("layer_norm", x)
    features = check_features("layer_norm", x, normalized_shape, weight=weight, bias=bias)
    return LayerNorm.apply(x, weight, bias, eps=eps, ndim=len(features))


def check_features(
    function: str, x: Tensor | Array, normalized_shape: int | Sequence[int], **parameters: TensorLike | None
) -> tuple[int, ...]:
    """The lengths of the axes to normalise over; raises ValueError unless x and the parameters fit them."""
    features = lengths(normalized_shape)
    if not features or prod(features) == 0:
        raise ValueError(
            f"{function} over normalized_shape={normalized_shape} has no features to normalise. "
            "Name the lengths of the last axes, for instance x.shape[-1]."
        )
    if x.shape[-len(features) :] != features:
        raise ValueError(
            f"{function} got an input of shape {x.shape}, whose last axes are not "
            f"normalized_shape={normalized_shape}. Pass the lengths of the axes to normalise over."
        )
    for name, parameter in parameters.items():
        if parameter is not None and np.shape(raw(parameter)) != features:
            raise ValueError(
                f"{function} got a {name} of shape {np.shape(raw(parameter))} for normalized_shape={normalized_shape}. "
                f"Give {name} the shape {features}, or leave it out."
            )
    return features


def lengths(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    """The lengths of the axes to normalise over, as a tuple."""
    if isinstance(normalized_shape, int | np.integer):
        return (int(normalized_shape),)
    return tuple(int(n) for n in normalized_shape)


def check_input(function: str, x: TensorLike) -> Tensor | Array:
    """`x` as a tensor or an array; raises TypeError if it holds integers, which cannot be normalised in place."""
    x = x if isinstance(x, Tensor) else array(x)
    if x.dtype.kind in "biu":
        raise TypeError(
            f"{function} normalises floating-point numbers; got {x.dtype}. Convert with .astype(np.float32) first."
        )
    return x
