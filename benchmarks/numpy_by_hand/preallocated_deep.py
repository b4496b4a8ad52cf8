"""The lecture's deep network with all buffers allocated once, parameters and gradients flat."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Layer:
    """Linear, batch normalisation or a bias, and tanh unless it is the last, bound to their buffers."""

    def __init__(self, p: dict[str, Array], g: dict[str, Array], k: int, n: int, batch_norm: bool, last: bool) -> None:
        f = np.float32
        self.W, self.dW = p[f"W{k}"], g[f"W{k}"]
        fan_in, width = self.W.shape
        self.batch_norm, self.last, self.n = batch_norm, last, n
        self.y, self.scratch, self.dx = np.empty((n, width), f), np.empty((n, width), f), np.empty((n, fan_in), f)
        self.ones = np.ones(n, f)
        if batch_norm:
            self.gamma, self.beta = p[f"gamma{k}"], p[f"beta{k}"]
            self.dgamma, self.dbeta = g[f"gamma{k}"], g[f"beta{k}"]
            self.xhat = np.empty((n, width), f)
            self.mean, self.var, self.rstd, self.row = (np.empty(width, f) for _ in range(4))
            self.running_mean, self.running_var = np.zeros(width, f), np.ones(width, f)
        else:
            self.b, self.db = p[f"b{k}"], g[f"b{k}"]

    def forward(self, x: Array) -> Array:
        y, n, ones = self.y, self.n, self.ones
        self.x = x
        if self.batch_norm:
            xhat, scratch, mean, var, rstd = self.xhat, self.scratch, self.mean, self.var, self.rstd
            x.dot(self.W, xhat)
            ones.dot(xhat, mean)
            mean /= n
            xhat -= mean
            np.multiply(xhat, xhat, out=scratch)
            ones.dot(scratch, var)
            var /= n
            np.add(var, 1e-5, out=rstd)
            np.sqrt(rstd, out=rstd)
            np.divide(1.0, rstd, out=rstd)
            xhat *= rstd
            np.multiply(xhat, self.gamma, out=y)
            y += self.beta
            self.running_mean *= 0.9
            mean *= 0.1
            self.running_mean += mean
            self.running_var *= 0.9
            var *= 0.1 * n / (n - 1)
            self.running_var += var
        else:
            x.dot(self.W, y)
            y += self.b
        if not self.last:
            np.tanh(y, out=y)
        return y

    def backward(self, dy: Array) -> Array:
        """`dy` is overwritten, and so is the layer's output."""
        ones = self.ones
        if not self.last:
            y = self.y
            y *= y
            np.subtract(1.0, y, out=y)
            dy *= y
        if self.batch_norm:
            xhat, scratch, row = self.xhat, self.scratch, self.row
            ones.dot(dy, self.dbeta)
            np.multiply(dy, xhat, out=scratch)
            ones.dot(scratch, self.dgamma)
            np.multiply(self.dgamma, 1.0 / self.n, out=row)
            xhat *= row
            dy -= xhat
            np.multiply(self.dbeta, 1.0 / self.n, out=row)
            dy -= row
            np.multiply(self.gamma, self.rstd, out=row)
            dy *= row
        else:
            ones.dot(dy, self.db)
        self.x.T.dot(dy, self.dW)
        return dy.dot(self.W.T, self.dx)


class PreallocatedDeep:
    """The same numbers as `PlainDeep`, for one batch size."""

    def __init__(
        self, parameters: dict[str, Array], n: int, context: int = 3, batch_norm: bool = True, lr: float = 0.1
    ) -> None:
        self.flat = np.concatenate([value.ravel() for value in parameters.values()])
        self.flat_grad = np.zeros_like(self.flat)
        self.update = np.zeros_like(self.flat)
        self.p: dict[str, Array] = {}
        self.g: dict[str, Array] = {}
        start = 0
        for name, value in parameters.items():
            stop = start + value.size
            self.p[name] = self.flat[start:stop].reshape(value.shape)
            self.g[name] = self.flat_grad[start:stop].reshape(value.shape)
            start = stop
        f = np.float32
        vocabulary, width = parameters["C"].shape
        self.lr, self.n = lr, n
        depth = sum(name.startswith("W") for name in parameters)
        self.layers = [Layer(self.p, self.g, k, n, batch_norm, k == depth) for k in range(1, depth + 1)]
        classes = parameters[f"W{depth}"].shape[1]
        self.emb = np.empty((n, context, width), f)
        self.total, self.scale = np.empty(n, f), np.empty(n, f)
        self.ones_classes = np.ones(classes, f)
        self.onehot_rows = np.eye(vocabulary, dtype=f)
        self.onehot = np.empty((n * context, vocabulary), f)
        self.offsets = np.arange(0, n * classes, classes)
        self.at = np.empty(n, np.int64)

    def step(self, x: Array, y: Array) -> float:
        n = self.n
        self.p["C"].take(x, 0, self.emb, "clip")
        h = self.emb.reshape(n, -1)
        for layer in self.layers:
            h = layer.forward(h)
        # The output of the last layer is needed only here, so it becomes its own gradient.
        logits = h
        logits -= np.maximum.reduce(logits, axis=1, keepdims=True)
        at = np.add(self.offsets, y, out=self.at)
        chosen = logits.take(at)
        np.exp(logits, out=logits)
        logits.dot(self.ones_classes, self.total)
        loss = (np.log(self.total) - chosen).sum() / n

        np.divide(1.0 / n, self.total, out=self.scale)
        logits *= self.scale[:, None]
        logits.reshape(-1)[at] -= 1.0 / n
        d = logits
        for layer in reversed(self.layers):
            d = layer.backward(d)
        self.onehot_rows.take(x.reshape(-1), 0, self.onehot, "clip")
        self.onehot.T.dot(d.reshape(len(self.onehot), -1), self.g["C"])
        np.multiply(self.flat_grad, self.lr, out=self.update)
        self.flat -= self.update
        return float(loss)
