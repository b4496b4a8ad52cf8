"""Losses as modules, each beside the function that it calls: for code that passes a loss around."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from npgrad import functions as F
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.loss_reduction import check_reduction
from npgrad.nn.module import Module

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "NLLLoss",
    "SmoothL1Loss",
]  # fmt: skip


class _Loss(Module):
    """A reduction, "mean", "sum" or "none", and options; weights are buffers."""

    _defaults: ClassVar[dict[str, object]] = {}
    """The options that `extra_repr` shows where they differ from this."""
    reduction: str

    def _keep(self, name: str, weight: TensorLike | None) -> None:
        """Weights, which belong to the state and are not trained."""
        if weight is None:
            setattr(self, name, None)
        else:
            self.register_buffer(name, np.array(raw(weight)))

    def _reduce(self, reduction: str) -> None:
        check_reduction(reduction)
        self.reduction = reduction

    def extra_repr(self) -> str:
        defaults = {**self._defaults, "reduction": "mean"}
        values = {name: getattr(self, name) for name in defaults}
        return ", ".join(f"{name}={value!r}" for name, value in values.items() if value != defaults[name])


class CrossEntropyLoss(_Loss):
    """`npgrad.cross_entropy` of logits (N, C) and classes (N,), or class probabilities (N, C). All options by name."""

    _defaults = {"ignore_index": None, "label_smoothing": 0.0}
    weight: Array | None

    def __init__(
        self,
        weight: TensorLike | None = None,
        *,
        ignore_index: int | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self._keep("weight", weight)
        self._reduce(reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, logits: TensorLike, target: TensorLike) -> Tensor:
        return F.cross_entropy(logits, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)


class NLLLoss(_Loss):
    """`npgrad.nll_loss` of log-probabilities (N, C) and classes (N,)."""

    _defaults = {"ignore_index": None}
    weight: Array | None

    def __init__(
        self, weight: TensorLike | None = None, *, ignore_index: int | None = None, reduction: str = "mean"
    ) -> None:
        self._keep("weight", weight)
        self._reduce(reduction)
        self.ignore_index = ignore_index

    def forward(self, log_probabilities: TensorLike, target: TensorLike) -> Tensor:
        return F.nll_loss(log_probabilities, target, self.weight, self.ignore_index, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """`npgrad.bce_with_logits` of logits and probabilities of the same shape."""

    weight: Array | None
    pos_weight: Array | None

    def __init__(
        self,
        weight: TensorLike | None = None,
        *,
        reduction: str = "mean",
        pos_weight: TensorLike | None = None,
    ) -> None:
        self._keep("weight", weight)
        self._keep("pos_weight", pos_weight)
        self._reduce(reduction)

    def forward(self, logits: TensorLike, target: TensorLike) -> Tensor:
        return F.bce_with_logits(logits, target, self.weight, self.reduction, self.pos_weight)


class BCELoss(_Loss):
    """`npgrad.binary_cross_entropy` of two arrays of probabilities of the same shape."""

    weight: Array | None

    def __init__(self, weight: TensorLike | None = None, *, reduction: str = "mean") -> None:
        self._keep("weight", weight)
        self._reduce(reduction)

    def forward(self, probabilities: TensorLike, target: TensorLike) -> Tensor:
        return F.binary_cross_entropy(probabilities, target, self.weight, self.reduction)


class KLDivLoss(_Loss):
    """`npgrad.kl_div` of log-probabilities and probabilities; `reduction` is "batchmean", too."""

    _defaults = {"log_target": False}

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        self._reduce("mean" if reduction == "batchmean" else reduction)
        self.reduction, self.log_target = reduction, log_target

    def forward(self, log_probabilities: TensorLike, target: TensorLike) -> Tensor:
        return F.kl_div(log_probabilities, target, self.reduction, self.log_target)


class MSELoss(_Loss):
    """`npgrad.mse_loss`: the square of the difference."""

    def __init__(self, *, reduction: str = "mean") -> None:
        self._reduce(reduction)

    def forward(self, prediction: TensorLike, target: TensorLike) -> Tensor:
        return F.mse_loss(prediction, target, self.reduction)


class L1Loss(_Loss):
    """`npgrad.l1_loss`: the size of the difference."""

    def __init__(self, *, reduction: str = "mean") -> None:
        self._reduce(reduction)

    def forward(self, prediction: TensorLike, target: TensorLike) -> Tensor:
        return F.l1_loss(prediction, target, self.reduction)


class HuberLoss(_Loss):
    """`npgrad.huber_loss`: half the square of differences up to `delta`, a straight line beyond."""

    _defaults = {"delta": 1.0}

    def __init__(self, *, reduction: str = "mean", delta: float = 1.0) -> None:
        self._reduce(reduction)
        self.delta = delta

    def forward(self, prediction: TensorLike, target: TensorLike) -> Tensor:
        return F.huber_loss(prediction, target, self.reduction, self.delta)


class SmoothL1Loss(_Loss):
    """`npgrad.smooth_l1_loss`: Huber's loss divided by `beta`, so that its lines have the slope 1."""

    _defaults = {"beta": 1.0}

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        self._reduce(reduction)
        self.beta = beta

    def forward(self, prediction: TensorLike, target: TensorLike) -> Tensor:
        return F.smooth_l1_loss(prediction, target, self.reduction, self.beta)
