"""MyGrad with its fused batch normalisation and loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet.layers import batchnorm
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.problem import Array, Problem

convert = np.asarray

Step = Callable[..., Any]


def train(problem: Problem) -> Step:
    p = {name: mg.tensor(value) for name, value in problem.parameters.items()}
    mean = {layer.W: np.zeros(p[layer.W].shape[1], np.float32) for layer in problem.layers}
    var = {layer.W: np.ones(p[layer.W].shape[1], np.float32) for layer in problem.layers}

    def step(x: Array, y: Array) -> float:
        n = len(x)
        h = p["C"][x].reshape(n, -1)
        for layer in problem.layers:
            h = h @ p[layer.W]
            if layer.b:
                h = h + p[layer.b]
            if layer.gamma and layer.beta:
                mean[layer.W] = 0.9 * mean[layer.W] + 0.1 * h.data.mean(0)
                var[layer.W] = 0.9 * var[layer.W] + 0.1 * h.data.var(0) * (n / (n - 1))
                h = batchnorm(h, gamma=p[layer.gamma], beta=p[layer.beta], eps=1e-5)
            if layer.tanh:
                h = mg.tanh(h)
        loss = softmax_crossentropy(h, y)
        loss.backward()
        for parameter in p.values():
            parameter.data -= problem.lr * parameter.grad
            parameter.null_grad()
        return float(loss)

    return step


def chain(problem: Problem) -> Step:
    def step(start: Array) -> float:
        x = mg.tensor(start)
        y = x
        for _ in range(problem.nodes // 2):
            y = y * 0.9999 + 0.001
        y.backward()
        return float(x.grad)

    return step


NODES: dict[str, Step] = {"tanh": mg.tanh, "multiply": lambda x: x * 0.999, "negative": lambda x: -x}


def node(problem: Problem) -> Step:
    operation = NODES[problem.operation]

    def step(start: Array, dy: Array) -> Any:
        x = mg.tensor(start)
        y = x
        for _ in range(problem.nodes):
            y = operation(y)
        y.backward(dy)
        return x.grad

    return step
