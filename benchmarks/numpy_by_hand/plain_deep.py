"""The lecture's deep network written plainly: linear, batch normalisation (or a bias), tanh, layer after layer."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class PlainDeep:
    """Parameters C, then W1, gamma1, beta1 (or b1), …; after the last layer there is no tanh."""

    def __init__(self, parameters: dict[str, Array], batch_norm: bool = True, lr: float = 0.1) -> None:
        self.p = {name: value.copy() for name, value in parameters.items()}
        self.batch_norm = batch_norm
        self.lr = lr
        self.depth = sum(name.startswith("W") for name in parameters)
        widths = [parameters[f"W{k}"].shape[1] for k in range(1, self.depth + 1)]
        self.running_mean = [np.zeros(width, np.float32) for width in widths]
        self.running_var = [np.ones(width, np.float32) for width in widths]

    def step(self, x: Array, y: Array) -> float:
        p = self.p
        n = len(x)
        emb = p["C"][x].reshape(n, -1)
        inputs, xhats, rstds = [], [], []
        h = emb
        for k in range(1, self.depth + 1):
            inputs.append(h)
            h = h @ p[f"W{k}"]
            if self.batch_norm:
                mean = h.mean(axis=0)
                centred = h - mean
                var = (centred**2).mean(axis=0)
                rstd = 1 / np.sqrt(var + 1e-5)
                xhat = centred * rstd
                h = p[f"gamma{k}"] * xhat + p[f"beta{k}"]
                self.running_mean[k - 1] = 0.9 * self.running_mean[k - 1] + 0.1 * mean
                self.running_var[k - 1] = 0.9 * self.running_var[k - 1] + 0.1 * var * (n / (n - 1))
                xhats.append(xhat)
                rstds.append(rstd)
            else:
                h = h + p[f"b{k}"]
            if k < self.depth:
                h = np.tanh(h)
        e = np.exp(h - h.max(axis=1, keepdims=True))
        probabilities = e / e.sum(axis=1, keepdims=True)
        rows = np.arange(n)
        loss = -np.log(probabilities[rows, y]).mean()

        g = {}
        d = probabilities
        d[rows, y] -= 1
        d /= n
        for k in range(self.depth, 0, -1):
            if k < self.depth:
                d = d * (1 - inputs[k] ** 2)
            if self.batch_norm:
                xhat, gamma = xhats[k - 1], p[f"gamma{k}"]
                g[f"beta{k}"] = d.sum(axis=0)
                g[f"gamma{k}"] = (d * xhat).sum(axis=0)
                d = gamma * rstds[k - 1] * (d - g[f"beta{k}"] / n - xhat * (g[f"gamma{k}"] / n))
            else:
                g[f"b{k}"] = d.sum(axis=0)
            g[f"W{k}"] = inputs[k - 1].T @ d
            d = d @ p[f"W{k}"].T
        g["C"] = np.zeros_like(p["C"])
        np.add.at(g["C"], x, d.reshape(*x.shape, -1))
        for name in p:
            p[name] -= self.lr * g[name]
        return float(loss)
