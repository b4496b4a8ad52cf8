"""Functions of the user, compiled functions inside others, methods and threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import npgrad
from npgrad import nn
from tests.compile.world import pair, trust


class Masked(npgrad.Function):
    """Cannot be recorded: selects by a mask."""

    def forward(self, x):
        self.mask = x > 0
        y = x * 0.1
        y[self.mask] = x[self.mask]
        return y

    def backward(self, dy):
        dx = dy * 0.1
        dx[self.mask] = dy[self.mask]
        return dx


class Stateful(npgrad.Function):
    """Keeps state in a branch of forward: it must not survive into the next call."""

    def forward(self, x):
        if (x > 1).any():
            self.scale = 5.0
        return x * 2.0

    def backward(self, dy):
        return dy * getattr(self, "scale", 2.0)


class Counting(npgrad.Function):
    """Reads values in Python."""

    def forward(self, x):
        self.factor = 1.0 + int(x.sum() > 0)
        return x * self.factor

    def backward(self, dy):
        return dy * self.factor


@pytest.mark.parametrize("function", [Masked, Stateful, Counting])
def test_functions_of_the_user(function):
    def build(world):
        p = world.extra = nn.Parameter(np.full(3, 0.7))

        def step(x):
            loss = (function.apply(p * x) * x).sum()
            p.grad = None
            loss.backward()
            p.data -= 0.01 * p.grad
            return loss

        return step

    eager, compiled = pair(step=build)
    for k in range(12):
        x = np.random.default_rng(k).normal(size=3)
        assert eager.step(x).item() == compiled.step(x).item()
        np.testing.assert_array_equal(eager.extra.grad, compiled.extra.grad)
        np.testing.assert_array_equal(eager.extra._array, compiled.extra._array)
        trust(compiled.step)
    assert compiled.runs() > 2


def test_compiled_functions_in_compiled_functions():
    p = nn.Parameter(np.ones(3))
    inner = npgrad.compile(lambda x: npgrad.tanh(p * x), warm_up=0)
    outer = npgrad.compile(lambda x: (inner(x) * inner(2 * x)).sum(), warm_up=0)
    for k in range(5):
        x = np.full(3, 0.1 * (k + 1))
        inner(x)
        assert outer(x).item() == outer.function(x).item()


def test_recursion():
    p = nn.Parameter(np.ones(3))

    @npgrad.compile(warm_up=0)
    def power(x, n):
        return p * x if n == 0 else power(x, n - 1) * x

    for _ in range(5):
        np.testing.assert_allclose(power(np.full(3, 2.0), 3)._array, 16.0)


def test_methods():
    class Trainer:
        def __init__(self, scale):
            self.p, self.scale = nn.Parameter(np.ones(3)), scale

        @npgrad.compile(warm_up=1)
        def step(self, x):
            return (self.p * x * self.scale).sum()

    a, b = Trainer(2.0), Trainer(3.0)
    x = np.ones(3)
    for _ in range(6):
        assert a.step(x).item() == 6.0 and b.step(x).item() == 9.0
    a.scale = 5.0
    assert a.step(x).item() == 15.0


def test_threads():
    p = nn.Parameter(np.arange(8.0))
    step = npgrad.compile(lambda x: npgrad.tanh(p * x).sum(), warm_up=1)
    errors: list[BaseException] = []

    def work(seed):
        try:
            rng = np.random.default_rng(seed)
            for _ in range(30):
                x = rng.normal(size=8)
                assert step(x).item() == step.function(x).item()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
