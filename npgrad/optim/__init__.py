"""Optimisers, learning-rate schedules, gradient clipping."""

from typing import TYPE_CHECKING

from npgrad.bindings.spellings import unknown
from npgrad.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
from npgrad.optim.clip import clip_grad_norm
from npgrad.optim.optimizer import Optimizer
from npgrad.optim.rmsprop import Adadelta, Adagrad, RMSprop
from npgrad.optim.schedule import CosineAnnealingLR, Schedule, StepLR
from npgrad.optim.sgd import SGD

__all__ = [
    "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "CosineAnnealingLR", "NAdam", "Optimizer", "RAdam", "RMSprop",
    "SGD", "Schedule", "StepLR", "clip_grad_norm",
]  # fmt: skip

if not TYPE_CHECKING:  # type checkers would take any misspelling for a name of the package

    def __getattr__(name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        unknown(__name__, name, lambda: __all__, f"module {__name__!r}")
