"""Training in a lesson: from its configuration, and until it ends or diverges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from models.training import TrainConfig

__all__ = ["training", "watch"]


def training(config: Any, **changes: Any) -> TrainConfig:
    """How a configuration trains: by its fields that TrainConfig has too, and by `changes`.

    Raises ValueError for settings that make no sense.
    """
    shared = {entry.name: getattr(config, entry.name) for entry in fields(TrainConfig) if hasattr(config, entry.name)}
    return TrainConfig(**(shared | changes))


def watch(progress: Callable[[float, float], None], steps: int) -> Callable[[int, float], bool]:
    """For `fit`: notes how far a run is, and ends it when the loss is no number any more."""

    def on_step(step: int, loss: float) -> bool:
        progress(step, steps)
        return not np.isfinite(loss)

    return on_step
