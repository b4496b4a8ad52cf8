"""Gradient clipping."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.recording import StandIn
from npgrad.engine.tensor import Tensor
from npgrad.optim.optimizer import at_least_zero

__all__ = ["clip_grad_norm"]


def clip_grad_norm(parameters: Tensor | Iterable[Tensor], max_norm: float, error_if_nonfinite: bool = True) -> float:
    """Scale all gradients together so that their joint Euclidean norm is at most `max_norm`; return the norm before.

    The factor is min(1, max_norm/(norm + 1e-6)), as in torch. Gradients are scaled in place, those below `max_norm` by
    exactly 1. Parameters without a gradient are passed over. Source: Pascanu, Mikolov & Bengio 2013
    (arXiv:1211.5063), algorithm 1.

    Raises ValueError if `max_norm` is negative, and, unless `error_if_nonfinite` is False, RuntimeError if the norm is
    nan or inf: scaling would then turn every gradient into nan.
    """
    at_least_zero("clip_grad_norm", "max_norm", max_norm)
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    owners = [p for p in listed if p.grad is not None]
    if not owners:
        return 0.0
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        norm = _norm([p.grad for p in owners if p.grad is not None])
        if error_if_nonfinite and not np.isfinite(norm):
            raise RuntimeError(
                f"the norm of the gradients is {norm}, so they cannot be clipped. Look for the first operation that "
                "overflows, lower the learning rate, or pass error_if_nonfinite=False."
            )
        factor = np.minimum(1.0, max_norm / (norm + 1e-6))
        for p in owners:
            g = p.grad
            assert g is not None
            try:
                g *= factor
            except ValueError:  # read-only
                g = np.asarray(g * factor)
            p.grad = g
    return norm.number() if isinstance(norm, StandIn) else float(norm)


def _norm(gradients: Sequence[Array]) -> Any:
    """The joint Euclidean norm: the root of the sum of squares, unless squares leave the range of float32."""
    square = _sum_of_squares(gradients)
    if not (1e-20 < square < 1e30):
        largest = np.abs(gradients[0]).max(initial=0.0)
        for g in gradients[1:]:
            largest = np.maximum(largest, np.abs(g).max(initial=0.0))
        scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
        return scale * np.sqrt(_sum_of_squares([np.divide(g, scale, dtype=np.float64) for g in gradients]))
    return np.sqrt(square)


def _sum_of_squares(gradients: Sequence[Array]) -> Any:
    total = np.sum(gradients[0] * gradients[0])
    for g in gradients[1:]:
        total = total + np.sum(g * g)
    return total
