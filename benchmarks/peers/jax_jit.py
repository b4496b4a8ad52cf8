"""JAX with the whole step under one jit, parameters donated so that their memory is reused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.problem import Problem

convert = jnp.asarray

Step = Callable[..., Any]


def cross_entropy(logits: Any, y: Any) -> Any:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1).mean()


def batch_norm(x: Any, gamma: Any, beta: Any, running: Any, axes: Any) -> tuple[Any, Any]:
    """Over all axes but the channels, which the parameters are already shaped to."""
    mean, var = x.mean(axes), x.var(axes)
    n = x.size / mean.size
    moved = 0.9 * running[0] + 0.1 * mean, 0.9 * running[1] + 0.1 * var * (n / (n - 1))
    shape = gamma.shape
    return gamma * (x - mean.reshape(shape)) * jax.lax.rsqrt(var.reshape(shape) + 1e-5) + beta, moved


def descend(loss: Step, parameters: Any, running: Any, lr: float) -> Step:
    """`step(*feed)` that follows the gradient of `loss(parameters, running, *feed)`."""

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(p: Any, running: Any, *feed: Any) -> Any:
        (value, moved), g = jax.value_and_grad(loss, has_aux=True)(p, running, *feed)
        return jax.tree.map(lambda a, b: a - lr * b, p, g), moved, value

    state = [jax.tree.map(jnp.array, parameters), running]

    def step(*feed: Any) -> Any:
        # The result is not waited for here: steps may overlap with the Python between them.
        state[0], state[1], value = update(state[0], state[1], *feed)
        return value

    return step


def train(problem: Problem) -> Step:
    def loss(p: Any, running: Any, x: Any, y: Any) -> Any:
        moved = {}
        h = p["C"][x].reshape(len(x), -1)
        for layer in problem.layers:
            h = h @ p[layer.W]
            if layer.b:
                h = h + p[layer.b]
            if layer.gamma:
                h, moved[layer.W] = batch_norm(h, p[layer.gamma], p[layer.beta], running[layer.W], 0)
            if layer.tanh:
                h = jnp.tanh(h)
        return cross_entropy(h, y), moved

    widths = {layer.W: problem.parameters[layer.W].shape[1] for layer in problem.layers if layer.gamma}
    running = {name: (jnp.zeros(width), jnp.ones(width)) for name, width in widths.items()}
    return descend(loss, problem.parameters, running, problem.lr)


def evaluate(problem: Problem) -> Step:
    p = jax.tree.map(jnp.asarray, problem.parameters)
    mean, var = jnp.asarray(problem.running_mean), jnp.asarray(problem.running_var)

    @jax.jit
    def step(x: Any, y: Any) -> Any:
        pre = p["C"][x].reshape(len(x), -1) @ p["W1"]
        h = jnp.tanh(p["gamma"] * (pre - mean) * jax.lax.rsqrt(var + 1e-5) + p["beta"])
        return cross_entropy(h @ p["W2"] + p["b2"], y)

    return step


def convolution(problem: Problem) -> Step:
    def loss(p: Any, running: Any, x: Any, y: Any) -> Any:
        moved = []
        for k in (1, 2):
            x = jax.lax.conv_general_dilated(x, p[f"K{k}"], (1, 1), "SAME")
            gamma, beta = p[f"gamma{k}"][:, None, None], p[f"beta{k}"][:, None, None]
            x, statistics = batch_norm(x, gamma, beta, running[k - 1], (0, 2, 3))
            x = jax.nn.relu(x)
            moved.append(statistics)
        return cross_entropy(x.mean((2, 3)) @ p["W"] + p["b"], y), moved

    running = [(jnp.zeros(width), jnp.ones(width)) for width in (8, 16)]
    return descend(loss, problem.parameters, running, problem.lr)


def chain(problem: Problem) -> Step:
    """Traced and compiled once, which is not timed."""

    @jax.jit
    @jax.grad
    def gradient(x: Any, factor: Any) -> Any:
        for _ in range(problem.nodes // 2):
            x = x * factor + 0.001
        return x

    # Were the factor written into the function, the compiler would work out the result, which depends on nothing else.
    factor = jnp.float32(0.9999)
    return lambda x: gradient(x, factor)
