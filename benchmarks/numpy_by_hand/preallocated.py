"""The lecture's step with every trick we know: all buffers allocated once, parameters and gradients flat."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class PreallocatedMLP:
    """The same numbers as `PlainMLP`, for one batch size."""

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
        hidden, classes = parameters["W2"].shape
        self.lr, self.batch_norm, self.n = lr, batch_norm, n
        self.emb = np.empty((n, context, width), f)
        self.xhat, self.out, self.h, self.scratch, self.dh = (np.empty((n, hidden), f) for _ in range(5))
        self.mean, self.var, self.rstd, self.row = (np.empty(hidden, f) for _ in range(4))
        self.logits, self.dlogits = np.empty((n, classes), f), np.empty((n, classes), f)
        self.total, self.scale = np.empty(n, f), np.empty(n, f)
        self.demb = np.empty((n, context * width), f)
        self.ones, self.ones_classes = np.ones(n, f), np.ones(classes, f)
        self.onehot_rows = np.eye(vocabulary, dtype=f)
        self.onehot = np.empty((n * context, vocabulary), f)
        self.offsets = np.arange(0, n * classes, classes)
        self.at = np.empty(n, np.int64)
        self.running_mean, self.running_var = np.zeros(hidden, f), np.ones(hidden, f)

    def step(self, x: Array, y: Array) -> float:
        p, g, n, ones = self.p, self.g, self.n, self.ones
        p["C"].take(x, 0, self.emb, "clip")
        emb = self.emb.reshape(n, -1)
        out, h, xhat, scratch = self.out, self.h, self.xhat, self.scratch
        if self.batch_norm:
            emb.dot(p["W1"], out)
            mean, var, rstd = self.mean, self.var, self.rstd
            ones.dot(out, mean)
            mean /= n
            np.subtract(out, mean, out=xhat)
            np.multiply(xhat, xhat, out=scratch)
            ones.dot(scratch, var)
            var /= n
            np.add(var, 1e-5, out=rstd)
            np.sqrt(rstd, out=rstd)
            np.divide(1.0, rstd, out=rstd)
            xhat *= rstd
            np.multiply(xhat, p["gamma"], out=out)
            out += p["beta"]
            self.running_mean *= 0.9
            mean *= 0.1
            self.running_mean += mean
            self.running_var *= 0.9
            var *= 0.1 * n / (n - 1)
            self.running_var += var
        else:
            emb.dot(p["W1"], out)
            out += p["b1"]
        np.tanh(out, out=h)
        logits = self.logits
        h.dot(p["W2"], logits)
        logits += p["b2"]
        logits -= np.maximum.reduce(logits, axis=1, keepdims=True)
        at = np.add(self.offsets, y, out=self.at)
        chosen = logits.take(at)
        np.exp(logits, out=logits)
        logits.dot(self.ones_classes, self.total)
        loss = (np.log(self.total) - chosen).sum() / n

        np.divide(1.0 / n, self.total, out=self.scale)
        dlogits = np.multiply(logits, self.scale[:, None], out=self.dlogits)
        dlogits.reshape(-1)[at] -= 1.0 / n
        ones.dot(dlogits, g["b2"])
        h.T.dot(dlogits, g["W2"])
        dh = dlogits.dot(p["W2"].T, self.dh)
        np.multiply(h, h, out=h)
        np.subtract(1.0, h, out=h)
        dh *= h
        if self.batch_norm:
            ones.dot(dh, g["beta"])
            np.multiply(dh, xhat, out=scratch)
            ones.dot(scratch, g["gamma"])
            row = self.row
            np.multiply(g["gamma"], 1.0 / n, out=row)
            xhat *= row
            dh -= xhat
            np.multiply(g["beta"], 1.0 / n, out=row)
            dh -= row
            np.multiply(p["gamma"], rstd, out=row)
            dh *= row
        else:
            ones.dot(dh, g["b1"])
        emb.T.dot(dh, g["W1"])
        dh.dot(p["W1"].T, self.demb)
        self.onehot_rows.take(x.reshape(-1), 0, self.onehot, "clip")
        self.onehot.T.dot(self.demb.reshape(len(self.onehot), -1), g["C"])
        np.multiply(self.flat_grad, self.lr, out=self.update)
        self.flat -= self.update
        return float(loss)
