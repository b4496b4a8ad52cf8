"""Distances and similarities between vectors, put together from norms and sums."""

from __future__ import annotations

from npgrad.engine.tensor import Tensor, TensorLike
from npgrad.functions.arithmetic import add, div, mul, sub
from npgrad.functions.linalg import vector_norm
from npgrad.functions.rearranging import broadcast_arrays
from npgrad.functions.reduction import sum
from npgrad.functions.selection import maximum

__all__ = ["cosine_similarity", "normalize", "pairwise_distance"]


def normalize(x: TensorLike, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Tensor:
    """x divided by its p-norm along `axis`, or by `eps` where that is smaller."""
    return div(x, maximum(vector_norm(x, axis=axis, keepdims=True, ord=p), eps))


def cosine_similarity(a: TensorLike, b: TensorLike, axis: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between the vectors along `axis` of a and b, which broadcast to one shape.

    A length below `eps` counts as `eps`.
    """
    a, b = broadcast_arrays(a, b)
    lengths = [maximum(vector_norm(x, axis=axis, keepdims=True), eps) for x in (a, b)]
    return sum(mul(div(a, lengths[0]), div(b, lengths[1])), axis)


def pairwise_distance(
    a: TensorLike, b: TensorLike, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False
) -> Tensor:
    """The p-norm of a - b + eps over the last axis; `eps`, as in PyTorch, gives it a slope everywhere."""
    return vector_norm(add(sub(a, b), eps), axis=-1, keepdims=keepdims, ord=p)
