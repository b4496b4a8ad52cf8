"""Modules that are nothing but a function with options: activations in pieces, losses with a margin, distances."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, ClassVar

import numpy as np

from npgrad import functions as F
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.nn import functional
from npgrad.nn.module import Module

__all__ = [
    "CosineEmbeddingLoss", "CosineSimilarity", "GLU", "GaussianNLLLoss", "Hardshrink", "Hardsigmoid", "Hardswish",
    "Hardtanh", "HingeEmbeddingLoss", "MarginRankingLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss",
    "PairwiseDistance", "PoissonNLLLoss", "ReLU6", "SoftMarginLoss", "Softmin", "Softshrink", "Tanhshrink",
    "Threshold", "TripletMarginLoss",
]  # fmt: skip


class _OfFunction(Module):
    """Calls `_function` of `_inputs` inputs; its options are those of the module, and are its attributes.

    Options that are arrays are buffers. Raises TypeError for an option that the function has not.
    """

    _function: ClassVar[Callable[..., Tensor]]
    _inputs: ClassVar[int] = 1

    def __init__(self, *values: Any, **options: Any) -> None:
        parameters = list(signature(self._function).parameters.values())[self._inputs :]
        given = signature(self._function).replace(parameters=parameters).bind(*values, **options)
        given.apply_defaults()
        self._defaults = {p.name: p.default for p in parameters}
        for name, value in given.arguments.items():
            if isinstance(value, Tensor | np.ndarray):
                self.register_buffer(name, np.array(raw(value)))
            else:
                setattr(self, name, value)

    def forward(self, *inputs: TensorLike) -> Tensor:
        return self._function(*inputs, **{name: getattr(self, name) for name in self._defaults})

    def extra_repr(self) -> str:
        values = {name: getattr(self, name) for name in self._defaults}
        return ", ".join(f"{n}={v!r}" for n, v in values.items() if isinstance(v, np.ndarray) or v != self._defaults[n])


def _of(name: str, function: Callable[..., Tensor], inputs: int = 1) -> Any:
    """A class of such modules."""
    text = f"`npgrad.{function.__name__}` as a module: its options are given here, its inputs when it is called."
    return type(
        name,
        (_OfFunction,),
        {"__doc__": text, "__module__": __name__, "_function": staticmethod(function), "_inputs": inputs},
    )


GLU = _of("GLU", functional.glu)
Hardshrink = _of("Hardshrink", F.hardshrink)
Hardsigmoid = _of("Hardsigmoid", F.hardsigmoid)
Hardswish = _of("Hardswish", F.hardswish)
Hardtanh = _of("Hardtanh", F.hardtanh)
ReLU6 = _of("ReLU6", F.relu6)
Softmin = _of("Softmin", functional.softmin)
Softshrink = _of("Softshrink", F.softshrink)
Tanhshrink = _of("Tanhshrink", F.tanhshrink)
Threshold = _of("Threshold", F.threshold)

CosineSimilarity = _of("CosineSimilarity", functional.cosine_similarity, 2)
PairwiseDistance = _of("PairwiseDistance", functional.pairwise_distance, 2)

CosineEmbeddingLoss = _of("CosineEmbeddingLoss", F.cosine_embedding_loss, 3)
GaussianNLLLoss = _of("GaussianNLLLoss", F.gaussian_nll_loss, 3)
HingeEmbeddingLoss = _of("HingeEmbeddingLoss", F.hinge_embedding_loss, 2)
MarginRankingLoss = _of("MarginRankingLoss", F.margin_ranking_loss, 3)
MultiLabelSoftMarginLoss = _of("MultiLabelSoftMarginLoss", F.multilabel_soft_margin_loss, 2)
MultiMarginLoss = _of("MultiMarginLoss", F.multi_margin_loss, 2)
PoissonNLLLoss = _of("PoissonNLLLoss", F.poisson_nll_loss, 2)
SoftMarginLoss = _of("SoftMarginLoss", F.soft_margin_loss, 2)
TripletMarginLoss = _of("TripletMarginLoss", F.triplet_margin_loss, 3)
