"""Batch normalisation, with its whole derivation (Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1)."""

from __future__ import annotations

import numpy as np

from npgrad.function import Function
from npgrad.tensor import Array, Tensor, TensorLike

__all__ = ["BatchNorm", "BatchNormInference", "batch_norm"]


class BatchNorm(Function):
    """Normalise each channel over the batch, then scale by gamma and shift by beta.

    Symbols
        x[i,k]         input: row i of the batch, channel k
        gamma[k]       scale
        beta[k]        shift
        eps = 1e-3     keeps the division finite where a channel does not vary
        ddof = 1       0 divides the variance by n (biased), 1 by n - 1 (as the lecture does)
        n = size(i)    rows
        m = n - ddof   divisor of the variance
    Forward
        (1) mu[k]     = sum(i, x[i,k])/n
                      = x[0,k] + sum(i, x[i,k] - x[0,k])/n
        (2) xc[i,k]   = x[i,k] - mu[k]
        (3) var[k]    = sum(i, xc[i,k]**2)/m
        (4) rstd[k]   = (var[k] + eps)**(-1/2)
        (5) xhat[i,k] = xc[i,k]*rstd[k]
        (6) y[i,k]    = gamma[k]*xhat[i,k] + beta[k]
    Backward
        (7) dbeta[k]   = sum(i, dy[i,k])
        (8) dgamma[k]  = sum(i, dy[i,k]*xhat[i,k])
        (a) dxhat[i,k] = dy[i,k]*gamma[k]
        (b) drstd[k]   = sum(i, dxhat[i,k]*xc[i,k])
        (c) dvar[k]    = drstd[k]*(-1/2)*(var[k] + eps)**(-3/2)
                       = -drstd[k]*rstd[k]**3/2
        (d) dxc[i,k]   = dxhat[i,k]*rstd[k] + dvar[k]*2*xc[i,k]/m
        (e) dmu[k]     = -sum(i, dxc[i,k])
                       = -rstd[k]*sum(i, dxhat[i,k])
        (9) dx[i,k]    = dxc[i,k] + dmu[k]/n
                       = rstd[k]*(dxhat[i,k] - sum(j, dxhat[j,k])/n - xhat[i,k]*sum(j, dxhat[j,k]*xhat[j,k])/m)
                       = gamma[k]*rstd[k]*(dy[i,k] - dbeta[k]/n - xhat[i,k]*dgamma[k]/m)
    Notes
        The second form of (1) subtracts the first row before summing: the differences of nearby numbers are exact, so
        float32 data at offset 1e6 keeps its relative accuracy, which the plain sum loses.

        From (d) to the second form of (e): the xc of a channel sum to zero, so the variance path adds nothing to dmu.

        The closed form (9), geometrically: dy loses its component along the constant vector (dbeta/n) and its component
        along xhat (dgamma/m). Moving x along either changes nothing in the normalised output, since adding a constant or
        stretching is undone, so the gradient has nothing to say there. That is why a bias in front of batch
        normalisation, which moves x along the constant vector, gets exactly zero gradient.
    """

    mu: Array
    var: Array
    rstd: Array
    xhat: Array
    y: Array
    dx: Array
    dgamma: Array
    dbeta: Array

    def forward(self, x: Array, gamma: Array, beta: Array, eps: float = 1e-5, ddof: int = 0) -> Array:
        n = len(x)
        self.n, self.m, self.gamma = n, n - ddof, gamma
        xc = np.subtract(x, x[0], out=self.xhat)
        self.mu = np.add.reduce(xc, axis=0, out=self.mu)
        self.mu /= n
        np.subtract(xc, self.mu, out=xc)  # (2)
        self.mu += x[0]  # (1)
        y = np.multiply(xc, xc, out=self.y)
        self.var = np.add.reduce(y, axis=0, out=self.var)
        self.var /= self.m  # (3)
        self.rstd = np.add(self.var, eps, out=self.rstd)
        np.sqrt(self.rstd, out=self.rstd)
        np.divide(1.0, self.rstd, out=self.rstd)  # (4)
        self.xhat = np.multiply(xc, self.rstd, out=xc)  # (5)
        self.y = np.multiply(self.xhat, gamma, out=y)
        self.y += beta  # (6)
        return self.y

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        xhat = self.xhat
        self.dbeta = np.add.reduce(dy, axis=0, out=self.dbeta)  # (7)
        dx = np.multiply(dy, xhat, out=self.dx)
        self.dgamma = np.add.reduce(dx, axis=0, out=self.dgamma)  # (8)
        np.multiply(xhat, self.dgamma / self.m, out=dx)
        np.subtract(dy, dx, out=dx)
        dx -= self.dbeta / self.n
        self.dx = np.multiply(dx, self.gamma * self.rstd, out=dx)  # (9)
        return self.dx, self.dgamma, self.dbeta
