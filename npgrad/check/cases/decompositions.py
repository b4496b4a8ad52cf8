"""Cases for npgrad.functions.decompositions: matrices whose values are well apart, and definite ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgrad.check.case import Case, case


def spread(rng: np.random.Generator, m: int, n: int, *stack: int) -> NDArray[np.float64]:
    """Matrices with singular values 1, 2, … times 1 to 1.2."""
    k = min(m, n)
    u, v = (np.linalg.qr(rng.normal(size=(*stack, rows, k)))[0] for rows in (m, n))
    s = np.arange(1, k + 1) * rng.uniform(1, 1.2)
    return np.asarray((u * s) @ v.swapaxes(-1, -2))


def stack_of(rng: np.random.Generator) -> tuple[int, ...]:
    return (int(rng.integers(1, 4)),) if rng.random() < 0.5 else ()


def mirrored(torch: Any, x: Any) -> Any:
    """The symmetric matrix of which the lower triangle is read."""
    return torch.tril(x) + torch.tril(x, -1).mT


@case("Cholesky")
def cholesky(rng: np.random.Generator) -> Case:
    n = int(rng.integers(1, 5))
    b = rng.normal(size=(*stack_of(rng), n, n))
    x = b @ b.swapaxes(-1, -2) + np.eye(n)
    return Case((x,), torch=lambda torch, x: torch.linalg.cholesky(mirrored(torch, x)))


@case("QR")
def qr(rng: np.random.Generator) -> Case:
    m, n = sorted((int(k) for k in rng.integers(1, 5, size=2)), reverse=True)

    def torch_qr(torch: Any, x: Any) -> Any:
        q, r = torch.linalg.qr(x)
        sign = torch.where(torch.diagonal(r, dim1=-2, dim2=-1) < 0, -1.0, 1.0)
        return torch.cat([q * sign[..., None, :], r * sign[..., None]], -2)

    return Case((spread(rng, m, n, *stack_of(rng)),), torch=torch_qr)


@case("Eigh")
def eigh(rng: np.random.Generator) -> Case:
    n = int(rng.integers(1, 5))
    v = np.linalg.qr(rng.normal(size=(*stack_of(rng), n, n)))[0]
    x = (v * (np.arange(n) * rng.uniform(1, 2) - 1)) @ v.swapaxes(-1, -2)

    def torch_eigh(torch: Any, x: Any) -> Any:
        w, v = torch.linalg.eigh(mirrored(torch, x))
        return torch.cat([w[..., None, :], v * torch.where(v[..., -1:, :] < 0, -1.0, 1.0)], -2)

    return Case((x,), torch=torch_eigh)


@case("SVD")
def svd(rng: np.random.Generator) -> Case:
    m, n = (int(k) for k in rng.integers(1, 5, size=2))

    def torch_svd(torch: Any, x: Any) -> Any:
        u, s, vh = torch.linalg.svd(x, full_matrices=False)
        sign = torch.where(vh[..., -1:] < 0, -1.0, 1.0)
        return torch.cat([u * sign.mT, s[..., None, :], (vh * sign).mT], -2)

    return Case((spread(rng, m, n, *stack_of(rng)),), torch=torch_svd)


@case("PInv")
def pinv(rng: np.random.Generator) -> Case:
    m, n = (int(k) for k in rng.integers(1, 5, size=2))
    return Case((spread(rng, m, n, *stack_of(rng)),), torch=lambda torch, x: torch.linalg.pinv(x))
