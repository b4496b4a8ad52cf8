"""What lessons measure at the batch normalisation of a trained network: its running statistics, and its noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.training import evaluate
from npgrad import nn, no_grad
from npgrad.data import Corpus, Indices, Windows
from npgrad.diagnose.undisturbed import undisturbed

__all__ = ["calibrate", "compared", "jitter", "outputs", "truth"]


def calibrate(model: Any, x: Indices) -> None:
    """Replace the running statistics by the true ones of these examples: one pass in which momentum is 1."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    model.train()
    with no_grad():
        model(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def truth(model: Any, x: Indices) -> tuple[np.ndarray, np.ndarray]:
    before = model.state_dict()
    calibrate(model, x)
    mean, sd = model.norm.running_mean.copy(), np.sqrt(model.norm.running_var)
    model.load_state_dict(before)
    return mean, sd


def compared(model: Any, x: Indices, held: Windows) -> tuple[float, float, float, float]:
    """Loss with running and with true statistics; distance of running from true means (in sd) and variances."""
    before = model.state_dict()
    running = evaluate(model, *held)
    mean, var = model.norm.running_mean.copy(), model.norm.running_var.copy()
    calibrate(model, x)
    calibrated = evaluate(model, *held)
    norm = model.norm
    apart = float(np.sqrt(np.mean((mean - norm.running_mean) ** 2 / norm.running_var)))
    factor = float(np.sqrt(np.mean((var / norm.running_var - 1) ** 2)))
    model.load_state_dict(before)
    model.train()
    return running, calibrated, apart, factor


def outputs(model: Any, x: Indices) -> np.ndarray:
    """What the normalisation gives for these examples as one batch."""
    seen = []
    remove = model.norm.register_forward_hook(lambda module, inputs, out: seen.append(out.data.copy()))
    with undisturbed(model, training=True), no_grad():
        model(x)
    remove()
    normal: np.ndarray = seen[0]
    return normal


def jitter(
    model: Any, corpus: Corpus, size: int, rng: np.random.Generator, times: int, examples: int = 20
) -> tuple[float, float]:
    """How far one example's outputs move with the batch around it.

    Standard deviation over batches of its normalised pre-activations (in units of their spread), and of the probability
    the network gives to the character that did follow.
    """
    before = model.state_dict()
    gamma = model.norm.weight.data
    normal = np.empty((times, examples, 200), np.float32)
    right = np.empty((times, examples))
    seen = []
    remove = model.norm.register_forward_hook(lambda module, inputs, out: seen.append(out.data[0]))
    chosen = rng.integers(len(corpus.train.y), size=examples)
    model.train()
    with no_grad():
        for k in range(times):
            for e, one in enumerate(chosen):
                rows = np.append(one, rng.integers(len(corpus.train.y), size=size - 1))
                logits = model(corpus.train.x[rows]).data[0].astype(float)
                p = np.exp(logits - logits.max())
                right[k, e] = p[corpus.train.y[one]] / p.sum()
                normal[k, e] = seen.pop()
    remove()
    model.load_state_dict(before)
    moved = (normal / gamma).std(axis=0, ddof=1)
    return float(np.sqrt(np.mean(moved**2))), float(right.std(axis=0, ddof=1).mean())
