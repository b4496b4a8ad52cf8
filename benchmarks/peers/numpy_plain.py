"""NumPy by hand, every result a new array; for single nodes, NumPy's own time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.numpy_by_hand.plain import PlainMLP
from benchmarks.numpy_by_hand.plain_deep import PlainDeep
from benchmarks.problem import Array, Problem

convert = np.asarray


def train(problem: Problem) -> Callable[[Array, Array], float]:
    by_hand = PlainMLP if problem.net == "lecture" else PlainDeep
    return by_hand(problem.parameters, problem.batch_norm, problem.lr).step


def evaluate(problem: Problem) -> Callable[[Array, Array], float]:
    p, mean, var = problem.parameters, problem.running_mean, problem.running_var

    def step(x: Array, y: Array) -> float:
        pre = p["C"][x].reshape(len(x), -1) @ p["W1"]
        h = np.tanh(p["gamma"] * (pre - mean) / np.sqrt(var + 1e-5) + p["beta"])
        logits = h @ p["W2"] + p["b2"]
        logits -= logits.max(axis=1, keepdims=True)
        return float((np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y]).mean())

    return step


# Each operation forward, and the calls its derivative costs.
NODES: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    "tanh": (np.tanh, lambda t, dt: dt * (1.0 - t * t)),
    "multiply": (lambda x: x * 0.999, lambda y, dy: dy * 0.999),
    "negative": (np.negative, lambda y, dy: -dy),
}


def node(problem: Problem) -> Callable[[Array, Array], Array]:
    forward, backward = NODES[problem.operation]

    def step(x: Array, dy: Array) -> Array:
        results = []
        for _ in range(problem.nodes):
            x = forward(x)
            results.append(x)
        for y in reversed(results):
            dy = backward(y, dy)
        return dy

    return step
