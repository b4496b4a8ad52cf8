"""autograd (HIPS): the step as its users write it, differentiated by `value_and_grad`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy as np
from autograd.tracer import getval

from benchmarks.problem import Array, Problem

convert = np.asarray

Step = Callable[..., Any]


def train(problem: Problem) -> Step:
    p = {name: value.copy() for name, value in problem.parameters.items()}
    mean = {layer.W: np.zeros(p[layer.W].shape[1], np.float32) for layer in problem.layers}
    var = {layer.W: np.ones(p[layer.W].shape[1], np.float32) for layer in problem.layers}

    def loss(p: dict[str, Array], x: Array, y: Array) -> Any:
        n = len(x)
        h = np.reshape(p["C"][x], (n, -1))
        for layer in problem.layers:
            h = np.dot(h, p[layer.W])
            if layer.b:
                h = h + p[layer.b]
            if layer.gamma and layer.beta:
                mu = np.mean(h, axis=0)
                centred = h - mu
                variance = np.mean(centred**2, axis=0)
                h = p[layer.gamma] * centred / np.sqrt(variance + 1e-5) + p[layer.beta]
                mean[layer.W] = 0.9 * mean[layer.W] + 0.1 * getval(mu)
                var[layer.W] = 0.9 * var[layer.W] + 0.1 * getval(variance) * (n / (n - 1))
            if layer.tanh:
                h = np.tanh(h)
        shifted = h - np.max(h, axis=1, keepdims=True)
        log_p = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
        return -np.mean(log_p[np.arange(n), y])

    differentiated = autograd.value_and_grad(loss)

    def step(x: Array, y: Array) -> float:
        value, g = differentiated(p, x, y)
        for name in p:
            p[name] -= problem.lr * g[name]
        return float(value)

    return step


def chain(problem: Problem) -> Step:
    def function(x: Any) -> Any:
        for _ in range(problem.nodes // 2):
            x = x * 0.9999 + 0.001
        return x

    gradient = autograd.grad(function)
    return lambda start: float(gradient(float(start)))
