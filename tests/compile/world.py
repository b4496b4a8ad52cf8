"""A small network with everything that a training step may have, eager and compiled side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

import npgrad
from npgrad import nn, optim


class World:
    """A small network with everything that a step may have."""

    def __init__(self, optimizer: Any = None, warm_up: int | None = 1, dropout: float = 0.2, step: Any = None) -> None:
        rng = np.random.default_rng(5)
        self.rng = np.random.default_rng(6)
        self.model = nn.Sequential(
            nn.Linear(3, 6, rng=rng),
            nn.BatchNorm1d(6),
            nn.Tanh(),
            nn.Dropout(dropout, rng=self.rng),
            nn.Linear(6, 4, rng=rng),
        )
        parameters = self.model.parameters()
        self.optimizer = (optimizer or (lambda p: optim.SGD(p, lr=0.1, momentum=0.9)))(parameters)
        self.parameters = parameters
        plain = step(self) if step is not None else self.plain()
        self.step = plain if warm_up is None else npgrad.compile(plain, warm_up=warm_up)

    def plain(self) -> Any:
        model, optimizer = self.model, self.optimizer

        def step(x, y):
            loss = npgrad.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return step

    def state(self) -> list[bytes]:
        found = [p._array.tobytes() for p in self.parameters]
        found += [b"" if p.grad is None else p.grad.tobytes() for p in self.parameters]
        found += [b.tobytes() for b in self.model.buffers()]
        found += [
            a.tobytes() if isinstance(a, np.ndarray) else repr(a).encode()
            for p in self.parameters
            for _, a in sorted(self.optimizer.state.get(p, {}).items())
        ]
        return [*found, repr(self.rng.bit_generator.state).encode()]

    def programs(self) -> list[Any]:
        return [program for programs in self.step._state.programs.values() for program in programs]

    def runs(self) -> int:
        return sum(program.runs for program in self.programs())


def trust(step: Any) -> None:
    """Let the programs run unchecked, so that what they do themselves is seen."""
    for programs in step._state.programs.values():
        for program in programs:
            program.next_check = 10**9


def batch(seed: int = 0, n: int = 5) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)).astype(np.float32), rng.integers(0, 4, n)


def pair(**options: Any) -> tuple[World, World]:
    return World(warm_up=None, **options), World(**options)


def assert_same_bytes(eager: World, compiled: World, calls: Any, between: Any = None) -> None:
    """Make these calls of both steps, and `between(world, number)` before each; everything is the same after each."""
    for k, arguments in enumerate(calls):
        for world in (eager, compiled):
            if between is not None:
                between(world, k)
        a, b = eager.step(*arguments), compiled.step(*arguments)
        assert npgrad.Tensor(a)._array.tobytes() == npgrad.Tensor(b)._array.tobytes(), k
        assert eager.state() == compiled.state(), k
        trust(compiled.step)


BATCHES = [batch(k) for k in range(9)]
