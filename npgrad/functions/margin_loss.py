"""Losses that stop at a margin, and likelihoods of numbers: all are put together from other functions.

Targets are 1 or -1 where nothing else is said, and have the shape of what they are compared with. Names and defaults as
in PyTorch. All raise ValueError for shapes that do not fit, an unknown reduction, or the mean of nothing.
"""

from __future__ import annotations

import math

import numpy as np

from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.activation import log_sigmoid, relu, softplus
from npgrad.functions.cross_entropy import class_weights, nll_loss
from npgrad.functions.distance import cosine_similarity, pairwise_distance
from npgrad.functions.elementwise import exp, log
from npgrad.functions.loss_reduction import check_reduction, fitting, in_dtype_of, pair, reduced
from npgrad.functions.reduction import array, mean
from npgrad.functions.selection import minimum, where
from npgrad.functions.shape import expand_dims

__all__ = [
    "cosine_embedding_loss", "gaussian_nll_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_soft_margin_loss", "poisson_nll_loss", "soft_margin_loss", "triplet_margin_loss",
]  # fmt: skip


def soft_margin_loss(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """log(1 + exp(-target·prediction)), the logistic loss."""
    x, y = pair("soft_margin_loss", prediction, target, reduction)
    return reduced("soft_margin_loss", softplus(-x * y), reduction)


def hinge_embedding_loss(x: TensorLike, target: TensorLike, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """The distance x where the target is 1, and max(0, margin - x) where it is -1."""
    x, y = pair("hinge_embedding_loss", x, target, reduction)
    near = where(np.equal(raw(y), -1), 0.0, x)
    far = where(np.equal(raw(y), 1), 0.0, relu(margin - x))
    return reduced("hinge_embedding_loss", near + far, reduction)


def margin_ranking_loss(
    a: TensorLike, b: TensorLike, target: TensorLike, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """max(0, margin - target·(a - b)): a should exceed b by `margin` where the target is 1, and b a where it is -1."""
    name = "margin_ranking_loss"
    (a, b), (_, y) = pair(name, a, b, reduction), pair(name, a, target, reduction)
    return reduced(name, relu((b - a) * y + margin), reduction)


def cosine_embedding_loss(
    a: TensorLike, b: TensorLike, target: TensorLike, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """1 - cos(a, b) where the target is 1, max(0, cos(a, b) - margin) where it is -1; shapes (N, D) or (D,)."""
    cosine, y = pair("cosine_embedding_loss", cosine_similarity(a, b, -1), target, reduction)
    apart = where(np.equal(raw(y), -1), relu(cosine - margin), 0.0)
    return reduced("cosine_embedding_loss", where(np.equal(raw(y), 1), 1 - cosine, apart), reduction)


def triplet_margin_loss(
    anchor: TensorLike,
    positive: TensorLike,
    negative: TensorLike,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d being the p-norm over the last axis.

    With `swap`, the negative's distance is that to the anchor or to the positive, whichever is smaller (Balntas et al.
    2016).
    """
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = minimum(far, pairwise_distance(positive, negative, p, eps))
    return finish("triplet_margin_loss", relu(near - far + margin), reduction)


def multi_margin_loss(
    scores: TensorLike,
    target: TensorLike,
    p: int = 1,
    margin: float = 1.0,
    weight: TensorLike | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The hinge loss of several classes: sum of max(0, margin - score of the true class + score of another)^p, over C.

    scores are (N, C) or (C,), `target` (N,) or () integer classes; `weight` (C,) says what each class counts, and has
    no gradient. Raises what `nll_loss` does.
    """
    scores, t = tensor(scores), array(raw(target))
    if scores.ndim > 2:
        raise ValueError(f"multi_margin_loss takes scores of shape (N, C) or (C,); got {scores.shape}.")
    true = expand_dims(-nll_loss(scores, t, reduction="none"), -1)
    terms = relu(margin - true + scores) ** p
    if weight is not None:
        terms = terms * np.expand_dims(class_weights("multi_margin_loss", weight, scores.shape, scores.dtype)[t], -1)
    others = np.arange(scores.shape[-1]) != np.expand_dims(t, -1)
    return finish("multi_margin_loss", mean(where(others, terms, 0.0), -1), reduction)


def multilabel_soft_margin_loss(
    scores: TensorLike, target: TensorLike, weight: TensorLike | None = None, reduction: str = "mean"
) -> Tensor:
    """The mean over the classes, the last axis, of the binary cross-entropy of each; `target` holds 0 and 1."""
    name = "multilabel_soft_margin_loss"
    scores, y = pair(name, scores, target, reduction)
    losses = -(y * log_sigmoid(scores) + (1 - y) * log_sigmoid(-scores))
    if weight is not None:
        losses = losses * fitting(name, "weight", weight, losses)
    return reduced(name, mean(losses, -1), reduction)


def poisson_nll_loss(
    prediction: TensorLike,
    target: TensorLike,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability of counts `target` under Poisson distributions of expectation exp(prediction).

    Without `log_input` the prediction is the expectation itself. `full` adds Stirling's approximation of the term that
    the prediction has no influence on.
    """
    x, t = pair("poisson_nll_loss", prediction, target, reduction)
    losses = exp(x) - t * x if log_input else x - t * log(x + eps)
    if full:
        large = raw(t) > 1
        n = where(large, t, 1.0)
        losses = losses + where(large, n * log(n) - n + 0.5 * log(2 * math.pi * n), 0.0)
    return reduced("poisson_nll_loss", losses, reduction)


def gaussian_nll_loss(
    prediction: TensorLike,
    target: TensorLike,
    var: TensorLike | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-density of `target` under normal distributions of mean `prediction` and variance `var`.

    `var` has the shape of the prediction, or that without the last axis or with 1 there. It is taken to be `eps` at
    least, without that reaching its gradient. `full` adds log(2π)/2. Raises ValueError for negative variances.
    """
    x = tensor(prediction)
    target = in_dtype_of(x, tensor(target))
    v = tensor(np.multiply(np.ones_like(raw(x)), var) if isinstance(var, int | float) else var)
    if np.any(raw(v) < 0):
        raise ValueError("gaussian_nll_loss got a negative variance. Predict its logarithm, and take exp.")
    if v.ndim and v.shape == x.shape[:-1] and v.shape != x.shape:
        v = expand_dims(v, -1)
    v = v + np.maximum(eps - raw(v), 0)
    losses = 0.5 * (log(v) + (x - target) ** 2 / v) + (0.5 * math.log(2 * math.pi) if full else 0.0)
    return finish("gaussian_nll_loss", losses, reduction)


def tensor(x: TensorLike) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x)


def finish(name: str, losses: Tensor, reduction: str) -> Tensor:
    """The losses, or their mean or sum; ValueError for another reduction, or the mean of nothing."""
    check_reduction(reduction)
    if reduction == "mean" and losses.size == 0:
        raise ValueError(f"{name} of nothing (shape {losses.shape}) is undefined: the mean of no numbers.")
    return reduced(name, losses, reduction)
