"""What losses of all families share: the reduction, weights, and the shapes of prediction and target."""

from __future__ import annotations

import numpy as np

from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.matrix_sums import constant_array
from npgrad.functions.reduction import array

__all__: list[str] = []


def check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'reduction must be "mean", "sum" or "none"; got {reduction!r}.')


def pair(name: str, prediction: TensorLike, target: TensorLike, reduction: str) -> tuple[Tensor, Tensor]:
    """Prediction and target as tensors; targets that are integers or booleans take the dtype of the prediction.

    Raises ValueError unless both have the same shape, the reduction is known, and there is something to reduce.
    """
    check_reduction(reduction)
    a, b = (x if isinstance(x, Tensor) else Tensor(x) for x in (prediction, target))
    if a.shape != b.shape:
        raise ValueError(
            f"{name} compares equal shapes; got {a.shape} and {b.shape}, and broadcasting would average nonsense."
        )
    if reduction == "mean" and a.size == 0:
        raise ValueError(f"{name} of nothing (shape {a.shape}) is undefined: the mean of no numbers.")
    return a, in_dtype_of(a, b)


def in_dtype_of(a: Tensor, b: Tensor) -> Tensor:
    """`b` in the dtype of `a`, if it holds integers or booleans and `a` floating-point numbers."""
    return Tensor._of(raw(b).astype(a.dtype)) if b.dtype.kind in "biu" and a.dtype.kind == "f" else b


def fitting(name: str, option: str, weight: TensorLike, losses: Tensor) -> TensorLike:
    """The weights of losses, in their dtype unless they are a tensor; raises ValueError unless they broadcast."""
    given, shape = np.shape(raw(weight)), losses.shape
    extra = len(shape) - len(given)
    if extra < 0 or any(m not in (1, n) for m, n in zip(given, shape[extra:], strict=True)):
        raise ValueError(f"{name} got {option} of shape {given}, which does not broadcast to losses of shape {shape}.")
    if isinstance(weight, Tensor | int | float):
        return weight
    w = constant_array(array(weight))
    return w if w.dtype == losses.dtype else w.astype(losses.dtype)


def reduced(name: str, losses: Tensor, reduction: str, weight: TensorLike | None = None) -> Tensor:
    """The losses, times their weights if there are any, as they are or their mean or sum."""
    if weight is not None:
        losses = losses * fitting(name, "weight", weight, losses)
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()
