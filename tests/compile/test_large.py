"""Large arrays, where a program works tile by tile: the same bytes as eager code."""

import numpy as np
import pytest

import npgrad
from npgrad import functions as F
from npgrad import nn, optim

CHAINS = {
    "activations": lambda h, w: npgrad.tanh(h * w + 1.0) * F.sigmoid(h) + F.gelu(h) * F.relu(h - 0.1),
    "normalisation": lambda h, w: F.layer_norm(h, h.shape[1], w, w) * F.softmax(h, axis=1),
    "columns": lambda h, w: (h - h.mean(axis=0)) / (h.std(axis=0) + 1.0) * F.softmax(h, axis=0) * w,
    "views": lambda h, w: (h[::2] * h[1::2]).T @ (h[::2] + h[1::2].reshape(-1, h.shape[1])) * w,
    "shared": lambda h, w: (y := npgrad.exp(h * w * 0.1)) * y.mean() + y * y.max(axis=1, keepdims=True) + y[0],
    "where": lambda h, w: npgrad.where(h.numpy() > 0, h * w, npgrad.exp(h)) + npgrad.maximum(h, w) + abs(h) ** 1.5,
    "mixed": lambda h, w: h * np.linspace(0, 1, 96) * w + npgrad.log(h * h + 1.0) / (w * w + 1.0),
    "rows": lambda h, w: F.logsumexp(h * w, axis=1) + (h * h).sum(axis=1) ** 0.5 + h.var(axis=1),
}


@pytest.mark.parametrize("chain", sorted(CHAINS))
def test_chains_of_large_arrays(chain):
    rows = 1538  # no multiple of a tile

    def world(compiled):
        rng = np.random.default_rng(3)
        w, v = nn.Parameter(rng.normal(size=96).astype(np.float32)), nn.Parameter(rng.normal(size=(64, 96)) * 0.1)
        v = nn.Parameter(v._array.astype(np.float32))
        optimizer = optim.SGD([w, v], lr=1e-6, momentum=0.9)

        def step(x):
            h = x @ v
            y = CHAINS[chain](h, w)
            loss = (y * y).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss, h.numpy()

        return (npgrad.compile(step, warm_up=1) if compiled else step), (w, v)

    eager, parameters = world(False)
    compiled, others = world(True)
    for k in range(4):
        x = np.random.default_rng(k).normal(size=(rows, 64)).astype(np.float32)
        a, b = eager(x), compiled(x)
        assert a[0]._array.tobytes() == b[0]._array.tobytes() and a[1].tobytes() == b[1].tobytes()
        for p, q in zip(parameters, others, strict=True):
            assert p._array.tobytes() == q._array.tobytes() and p.grad.tobytes() == q.grad.tobytes()
        for programs in compiled._state.programs.values():
            for program in programs:
                program.next_check = 10**9
    assert compiled._state.program.runs == 3 or "bytes were others" in compiled.explain()
