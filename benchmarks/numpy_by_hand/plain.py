"""The lecture's step written plainly: one NumPy expression per line of mathematics, every result a new array."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class PlainMLP:
    """Embedding, linear, batch normalisation (or a bias), tanh, linear, softmax cross-entropy, SGD."""

    def __init__(self, parameters: dict[str, Array], batch_norm: bool = True, lr: float = 0.1) -> None:
        self.p = {name: value.copy() for name, value in parameters.items()}
        self.batch_norm = batch_norm
        self.lr = lr
        hidden = parameters["W1"].shape[1]
        self.running_mean = np.zeros(hidden, np.float32)
        self.running_var = np.ones(hidden, np.float32)

    def step(self, x: Array, y: Array) -> float:
        p = self.p
        n = len(x)
        emb = p["C"][x].reshape(n, -1)
        pre = emb @ p["W1"]
        if self.batch_norm:
            mean = pre.mean(axis=0)
            centred = pre - mean
            var = (centred**2).mean(axis=0)
            rstd = 1 / np.sqrt(var + 1e-5)
            xhat = centred * rstd
            hidden = np.tanh(p["gamma"] * xhat + p["beta"])
            self.running_mean = 0.9 * self.running_mean + 0.1 * mean
            self.running_var = 0.9 * self.running_var + 0.1 * var * (n / (n - 1))
        else:
            hidden = np.tanh(pre + p["b1"])
        logits = hidden @ p["W2"] + p["b2"]
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = e / e.sum(axis=1, keepdims=True)
        rows = np.arange(n)
        loss = -np.log(probabilities[rows, y]).mean()

        g = {}
        dlogits = probabilities
        dlogits[rows, y] -= 1
        dlogits /= n
        g["b2"] = dlogits.sum(axis=0)
        g["W2"] = hidden.T @ dlogits
        dhidden = dlogits @ p["W2"].T
        dout = dhidden * (1 - hidden**2)
        if self.batch_norm:
            g["beta"] = dout.sum(axis=0)
            g["gamma"] = (dout * xhat).sum(axis=0)
            dpre = p["gamma"] * rstd * (dout - g["beta"] / n - xhat * (g["gamma"] / n))
        else:
            g["b1"] = dout.sum(axis=0)
            dpre = dout
        g["W1"] = emb.T @ dpre
        demb = dpre @ p["W1"].T
        g["C"] = np.zeros_like(p["C"])
        np.add.at(g["C"], x, demb.reshape(*x.shape, -1))
        for name in p:
            p[name] -= self.lr * g[name]
        return float(loss)
