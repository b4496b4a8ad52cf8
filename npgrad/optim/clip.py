"""Gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from npgrad.optim.optimizer import at_least_zero
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor

__all__ = ["clip_grad_norm"]


def clip_grad_norm(parameters: Tensor | Iterable[Tensor], max_norm: float, error_if_nonfinite: bool = True) -> float:
    """Scale all gradients together so that their joint Euclidean norm is at most `max_norm`; return the norm before.

    The factor is min(1, max_norm/(norm + 1e-6)), as in torch. Parameters without a gradient are passed over. Source:
    Pascanu, Mikolov & Bengio 2013 (arXiv:1211.5063), algorithm 1.

    Raises ValueError if `max_norm` is negative, and, unless `error_if_nonfinite` is False, RuntimeError if the norm is
    nan or inf: scaling would then turn every gradient into nan.
    """
    at_least_zero("clip_grad_norm", "max_norm", max_norm)
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    owners = [p for p in listed if p.grad is not None]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        norm = math.hypot(*[_norm(p.grad) for p in owners if p.grad is not None])
    if not math.isfinite(norm) and error_if_nonfinite:
        raise RuntimeError(
            f"the norm of the gradients is {norm}, so they cannot be clipped. Look for the first operation that "
            "overflows, lower the learning rate, or pass error_if_nonfinite=False."
        )
    factor = max_norm / (norm + 1e-6)
    if factor < 1 or math.isnan(factor):
        for p in owners:
            g = p.grad
            assert g is not None
            if g.flags.writeable:
                g *= factor
            else:
                p.grad = np.asarray(g * factor)
    return norm


def _norm(g: Array) -> float:
    """The Euclidean norm, by one dot product unless squares leave the range of the dtype."""
    flat = g.ravel(order="K")
    square = float(np.dot(flat, flat))
    if 1e-30 < square < 1e30:
        return math.sqrt(square)
    largest = float(np.abs(flat).max(initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    flat = flat.astype(np.float64) / largest
    return largest * math.sqrt(float(np.dot(flat, flat)))
