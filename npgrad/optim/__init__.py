"""Optimisers, learning-rate schedules, gradient clipping."""

from npgrad.optim.adam import Adam, AdamW
from npgrad.optim.clip import clip_grad_norm
from npgrad.optim.optimizer import Optimizer
from npgrad.optim.schedule import CosineAnnealingLR, Schedule, StepLR
from npgrad.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "CosineAnnealingLR", "Optimizer", "Schedule", "StepLR", "clip_grad_norm"]
