"""Each fused Function against the composition it replaces: values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import npgrad as ng
from npgrad import Tensor
from tests.conftest import SEED

RNG = np.random.default_rng(SEED)
X, W, B = RNG.normal(size=(7, 4)), RNG.normal(size=(4, 5)), RNG.normal(size=5)
GAMMA, BETA = RNG.normal(size=4), RNG.normal(size=4)
CLASSES = RNG.integers(0, 4, 7)
PROBABILITIES = RNG.dirichlet(np.ones(4), size=7)
IMAGES, FILTERS = RNG.normal(size=(2, 3, 6, 5)), RNG.normal(size=(4, 3, 3, 2))
CUBE, MATRIX = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(4, 5))


def normalise(x: Any, axis: Any, ddof: int = 0, eps: float = 1e-5) -> Any:
    xc = x - ng.mean(x, axis=axis, keepdims=True)
    return xc / ng.sqrt(ng.var(x, axis=axis, ddof=ddof, keepdims=True) + eps)


def by_hand_conv(x: Any, w: Any) -> Any:
    """Every output entry is one product of a window with the filters."""
    rows = []
    for i in range(4):
        columns = [ng.einsum("nchw,fchw->nf", x[:, :, i : i + 3, j : j + 2], w) for j in range(4)]
        rows.append(ng.stack(columns, axis=2))
    return ng.stack(rows, axis=2)


def windows(x: Any, reduce: Any) -> Any:
    parts = [x[:, :, i : i + 5 : 2, j : j + 3 : 2] for i in range(2) for j in range(2)]
    return reduce(ng.stack(parts, axis=0), axis=0)


PAIRS: dict[str, tuple[Any, Any, list[np.ndarray]]] = {
    "linear": (ng.linear, lambda x, w, b: x @ w + b, [X, W, B]),
    "linear without bias": (ng.linear, lambda x, w: x @ w, [X, W]),
    "matmul as einsum": (ng.matmul, lambda a, b: ng.einsum("sij,jk->sik", a, b), [CUBE, MATRIX]),
    "softmax": (ng.softmax, lambda x: ng.exp(x) / ng.sum(ng.exp(x), axis=-1, keepdims=True), [X]),
    "log_softmax": (ng.log_softmax, lambda x: ng.log(ng.softmax(x)), [X]),
    "log_softmax by logsumexp": (ng.log_softmax, lambda x: x - ng.logsumexp(x, axis=-1, keepdims=True), [X]),
    "logsumexp": (lambda x: ng.logsumexp(x, axis=1), lambda x: ng.log(ng.sum(ng.exp(x), axis=1)), [X]),
    "cross_entropy by gather": (
        lambda z: ng.cross_entropy(z, CLASSES),
        lambda z: -ng.mean(ng.log_softmax(z)[np.arange(7), CLASSES]),
        [X],
    ),
    "cross_entropy by nll_loss": (
        lambda z: ng.cross_entropy(z, CLASSES, reduction="sum"),
        lambda z: ng.nll_loss(ng.log_softmax(z), CLASSES, reduction="sum"),
        [X],
    ),
    "cross_entropy, smoothed": (
        lambda z: ng.cross_entropy(z, CLASSES, label_smoothing=0.2),
        lambda z: -ng.mean(ng.sum(ng.log_softmax(z) * (0.8 * np.eye(4)[CLASSES] + 0.05), axis=1)),
        [X],
    ),
    "cross_entropy of probabilities": (
        lambda z: ng.cross_entropy(z, PROBABILITIES),
        lambda z: -ng.mean(ng.sum(ng.log_softmax(z) * PROBABILITIES, axis=1)),
        [X],
    ),
    "mse_loss": (ng.mse_loss, lambda a, b: ng.mean((a - b) ** 2), [X, X[::-1].copy()]),
    "bce_with_logits": (
        lambda z: ng.bce_with_logits(z, PROBABILITIES),
        lambda z: -ng.mean(PROBABILITIES * ng.log(ng.sigmoid(z)) + (1 - PROBABILITIES) * ng.log(1.0 - ng.sigmoid(z))),
        [X],
    ),
    "batch_norm": (
        lambda x, g, b: ng.batch_norm(x, weight=g, bias=b, training=True),
        lambda x, g, b: normalise(x, 0) * g + b,
        [X, GAMMA, BETA],
    ),
    "batch_norm, ddof=1": (
        lambda x: ng.batch_norm(x, training=True, ddof=1),
        lambda x: normalise(x, 0, ddof=1),
        [X],
    ),
    "batch_norm of images": (
        lambda x: ng.batch_norm(x, training=True),
        lambda x: normalise(x, (0, 2, 3)),
        [IMAGES],
    ),
    "batch_norm in evaluation": (
        lambda x: ng.batch_norm(x, BETA, GAMMA**2),
        lambda x: (x - BETA) / np.sqrt(GAMMA**2 + 1e-5),
        [X],
    ),
    "layer_norm": (
        lambda x, g, b: ng.layer_norm(x, 4, g, b),
        lambda x, g, b: normalise(x, -1) * g + b,
        [X, GAMMA, BETA],
    ),
    "group_norm": (
        lambda x: ng.group_norm(x, 2),
        lambda x: ng.reshape(normalise(ng.reshape(x, (7, 2, 2)), 2), (7, 4)),
        [X],
    ),
    "embedding": (lambda E: ng.embedding(E, CLASSES), lambda E: E[CLASSES], [W]),
    "embedding as one-hot product": (
        lambda E: ng.embedding(E, CLASSES),
        lambda E: ng.matmul(np.eye(4)[CLASSES], E),
        [W],
    ),
    "conv2d": (ng.conv2d, by_hand_conv, [IMAGES, FILTERS]),
    "max_pool2d": (lambda x: ng.max_pool2d(x, 2), lambda x: windows(x, ng.max), [IMAGES[..., :4]]),
    "avg_pool2d": (lambda x: ng.avg_pool2d(x, 2), lambda x: windows(x, ng.mean), [IMAGES[..., :4]]),
    "mean": (lambda x: ng.mean(x, axis=0), lambda x: ng.sum(x, axis=0) / 7.0, [X]),
    "var": (lambda x: ng.var(x, axis=0), lambda x: ng.mean((x - ng.mean(x, axis=0)) ** 2, axis=0), [X]),
    "std": (lambda x: ng.std(x, axis=0), lambda x: ng.sqrt(ng.var(x, axis=0)), [X]),
    "prod": (lambda x: ng.prod(x, axis=1), lambda x: x[:, 0] * x[:, 1] * x[:, 2] * x[:, 3], [X]),
    "cumsum": (
        lambda x: ng.cumsum(x, axis=1),
        lambda x: ng.matmul(x, np.triu(np.ones((4, 4)))),
        [X],
    ),
    "sigmoid": (ng.sigmoid, lambda x: 1.0 / (1.0 + ng.exp(-x)), [X]),
    "sigmoid by tanh": (ng.sigmoid, lambda x: 0.5 + 0.5 * ng.tanh(0.5 * x), [X]),
    "tanh": (ng.tanh, lambda x: (ng.exp(x) - ng.exp(-x)) / (ng.exp(x) + ng.exp(-x)), [X]),
    "silu": (ng.silu, lambda x: x * ng.sigmoid(x), [X]),
    "softplus": (ng.softplus, lambda x: ng.log1p(ng.exp(x)), [X]),
    "relu": (ng.relu, lambda x: ng.maximum(x, 0.0), [X]),
    "elu": (ng.elu, lambda x: ng.where(X > 0, x, ng.expm1(x)), [X]),
    "abs": (ng.abs, lambda x: ng.sqrt(x * x), [X]),
    "clip": (lambda x: ng.clip(x, -0.5, 0.5), lambda x: ng.minimum(ng.maximum(x, -0.5), 0.5), [X]),
    "pow": (lambda x: x**3, lambda x: x * x * x, [X]),
    "sqrt": (ng.sqrt, lambda x: x**0.5, [np.abs(X) + 0.1]),
    "stack": (lambda a, b: ng.stack([a, b]), lambda a, b: ng.concatenate([a[None], b[None]]), [X, -X]),
    "flip": (lambda x: ng.flip(x, 0), lambda x: x[::-1], [X]),
    "transpose": (lambda x: ng.transpose(x), lambda x: ng.swapaxes(x, 0, 1), [X]),
}


def outcome(f: Any, arrays: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    tensors = [Tensor(a, requires_grad=True) for a in arrays]
    y = f(*tensors)
    y.backward(np.random.default_rng(1).normal(size=y.shape))
    return y.numpy(), [t.grad for t in tensors]


@pytest.mark.parametrize("name", PAIRS)
def test_fused_is_composed(name: str) -> None:
    fused, composed, arrays = PAIRS[name]
    (y, grads), (z, want) = outcome(fused, arrays), outcome(composed, arrays)
    assert y.shape == z.shape and np.allclose(y, z, rtol=1e-12, atol=1e-12)
    for g, h in zip(grads, want, strict=True):
        assert np.allclose(g, h, rtol=1e-10, atol=1e-11)


def test_dropout_is_a_product_with_its_mask() -> None:
    x = Tensor(np.ones((50, 40)), requires_grad=True)
    y = ng.dropout(x, 0.25, rng=np.random.default_rng(0))
    y.backward(np.full(y.shape, 3.0))
    assert set(np.unique(y.numpy())) == {0.0, 1 / 0.75}
    assert np.allclose(x.grad, 3 * y.numpy()) and abs(y.numpy().mean() - 1) < 0.05
    assert ng.dropout(x, 0.25, training=False) is x
