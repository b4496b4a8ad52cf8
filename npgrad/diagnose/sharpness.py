"""Sharpness: the largest eigenvalue of the Hessian, against 2/learning rate.

On a parabola of curvature λ a step of gradient descent multiplies the distance to the minimum by 1 − lr·λ, which
shrinks it while λ < 2/lr. Full-batch training drives the largest eigenvalue of the Hessian up to that value and then
hovers there: the edge of stability (Cohen et al. 2021, arXiv:2103.00065).

The Hessian is never formed. Lanczos' method (Lanczos 1950) needs its products with vectors only, and those are exact
(`npgrad.hvp`): after k products it knows the eigenvalues of the Hessian restricted to a k-dimensional space that holds
the outermost eigenvectors first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from npgrad.derivative import hvp
from npgrad.diagnose.undisturbed import undisturbed
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor
from npgrad.nn import Module

__all__ = ["Eigenvalue", "lanczos", "sharpness"]

Floats = NDArray[np.float64]


class Eigenvalue(NamedTuple):
    """The largest eigenvalue found."""

    value: float
    residual: float
    """|H·v − value·v|: some eigenvalue lies within this distance of `value`."""
    vector: Floats
    """v, of length 1; parameters one after the other."""
    products: int
    """How many Hessian-vector products it took."""
    converged: bool
    """Whether residual ≤ tolerance·|value|."""

    @property
    def largest_stable_rate(self) -> float:
        """2/value: plain gradient descent with a higher learning rate climbs out of this valley."""
        return 2 / self.value if self.value > 0 else float("inf")


def lanczos(
    product: Callable[[Floats], Array],
    size: int,
    *,
    rng: np.random.Generator,
    products: int = 50,
    tolerance: float = 1e-3,
) -> Eigenvalue:
    """The largest eigenvalue of the symmetric matrix (size × size) whose product with a vector is `product(v)`.

    Every new direction is made orthogonal to all earlier ones, twice: without that rounding lets eigenvalues appear
    again and again. Stops when the residual is at most `tolerance` times the eigenvalue, or after `products` products.

    Raises ValueError if a product is not finite, or if size or products are not positive.
    """
    if size < 1 or products < 1:
        raise ValueError(f"lanczos(size={size}, products={products}): both must be at least 1.")
    v = rng.standard_normal(size)
    basis = [v / np.linalg.norm(v)]
    diagonal: list[float] = []
    beside: list[float] = []
    for k in range(1, products + 1):
        w = np.array(product(basis[-1]), dtype=np.float64)
        if not np.isfinite(w).all():
            raise ValueError("a Hessian-vector product is not finite: the loss has no curvature to measure here.")
        diagonal.append(float(basis[-1] @ w))
        Q = np.array(basis)
        for _ in range(2):
            w -= Q.T @ (Q @ w)
        norm = float(np.linalg.norm(w))
        T = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
        values, vectors = np.linalg.eigh(T)
        value, residual = float(values[-1]), norm * abs(float(vectors[-1, -1]))
        scale = float(np.abs(values).max())
        exhausted = k == size or norm <= 1e-12 * scale or scale == 0
        if exhausted or residual <= tolerance * abs(value) or k == products:
            residual = 0.0 if k == size else residual
            return Eigenvalue(value, residual, Q.T @ vectors[:, -1], k, exhausted or residual <= tolerance * abs(value))
        beside.append(norm)
        basis.append(w / norm)
    raise AssertionError("the last product returns")


def sharpness(
    model: Module,
    loss: Callable[[], Tensor],
    *,
    rng: np.random.Generator,
    products: int = 50,
    tolerance: float = 1e-3,
) -> Eigenvalue:
    """The largest eigenvalue of the Hessian of `loss()` with respect to the parameters of `model` that are trained.

    One product costs about as much as four steps of training, since it is computed in complex128. Batch normalisation
    in training mode takes part with the statistics of the batch; the model is left as it was.

    Raises ValueError if no parameter requires a gradient, or the loss is not finite.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(f"{type(model).__name__} has no parameter that requires a gradient.")
    cuts = np.cumsum([p.size for p in parameters])

    def product(v: Floats) -> Array:
        pieces = [part.reshape(p.shape) for part, p in zip(np.split(v, cuts[:-1]), parameters, strict=True)]
        return np.concatenate([h.ravel() for h in hvp(lambda: loss(), parameters, pieces)])

    with undisturbed(model):
        return lanczos(product, int(cuts[-1]), rng=rng, products=products, tolerance=tolerance)
