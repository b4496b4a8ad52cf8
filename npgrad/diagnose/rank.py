"""Effective rank: how many directions a cloud of activations really uses."""

from __future__ import annotations

import numpy as np

from npgrad.engine.tensor import TensorLike, raw

__all__ = ["effective_rank"]


def effective_rank(a: TensorLike, *, centre: bool = False) -> float:
    """exp of the entropy of the singular values of `a` (examples, units), made to sum to 1.

    Between 1 (all rows are multiples of one) and min(a.shape) (all singular values equal); 0 if everything is 0. With
    `centre` the mean row is subtracted first, so that a common offset does not count as a direction. Further axes
    count as units.

    Source: Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality", EUSIPCO, definition 1.
    Raises ValueError for fewer than two axes, or numbers that are not finite.
    """
    matrix = np.asarray(raw(a), dtype=np.float64)
    if matrix.ndim < 2 or not matrix.size:
        raise ValueError(f"effective_rank takes activations (examples, units); got an array of shape {matrix.shape}.")
    matrix = matrix.reshape(len(matrix), -1)
    if not np.isfinite(matrix).all():
        raise ValueError("effective_rank got activations that are not finite: there is no rank to speak of.")
    if centre:
        matrix = matrix - matrix.mean(axis=0)
    largest = np.abs(matrix).max()
    if largest == 0:
        return 0.0
    values = np.linalg.svd(matrix / largest, compute_uv=False)
    p = values / values.sum()
    p = p[p > 0]
    return float(np.exp(-np.sum(p * np.log(p))))
