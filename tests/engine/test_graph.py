"""The sweep on random graphs, against the definition of the derivative written as a recursion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

import npgrad
from npgrad import Tensor
from tests.strategies import broadcastable, seeds


class Naive:
    """A value with its parents and the local derivative by each: as in a textbook, nothing shared, nothing freed."""

    def __init__(self, value: Any, parents: Any = (), locals_: Any = (), grad: bool = False) -> None:
        self.value, self.parents, self.locals = np.float64(value), parents, locals_
        self.requires_grad = grad or any(p.requires_grad for p in parents)

    def derivative(self, by: Naive) -> float:
        """The sum over all paths, by recursion."""
        if self is by:
            return 1.0
        return sum(d * p.derivative(by) for p, d in zip(self.parents, self.locals, strict=True) if p.requires_grad)


class Graphs(RuleBasedStateMachine):
    """Build DAGs with sharing, differentiate any part of them in any order, and compare every leaf's gradient."""

    values = Bundle("values")

    def __init__(self) -> None:
        super().__init__()
        self.leaves: list[tuple[Tensor, Naive]] = []
        self.expected: dict[int, float] = {}
        self.freed: set[int] = set()
        self.depth: dict[int, int] = {}

    @rule(target=values, x=st.floats(-1.5, 1.5), grad=st.booleans())
    def leaf(self, x: float, grad: bool) -> Any:
        pair = Tensor(x, requires_grad=grad), Naive(x, grad=grad)
        if grad:
            self.leaves.append(pair)
        self.depth[id(pair[1])] = 0
        return pair

    def combine(self, tensor: Tensor, naive: Naive) -> Any:
        depth = 1 + max(self.depth[id(p)] for p in naive.parents)
        self.depth[id(naive)] = depth
        # The naive recursion visits every path: beyond this it would take for ever.
        return (tensor, naive) if depth <= 7 else multiple()

    @rule(target=values, a=values, b=values)
    def add(self, a: Any, b: Any) -> Any:
        return self.combine(a[0] + b[0], Naive(a[1].value + b[1].value, (a[1], b[1]), (1.0, 1.0)))

    @rule(target=values, a=values, b=values)
    def mul(self, a: Any, b: Any) -> Any:
        return self.combine(a[0] * b[0], Naive(a[1].value * b[1].value, (a[1], b[1]), (b[1].value, a[1].value)))

    @rule(target=values, a=values)
    def tanh(self, a: Any) -> Any:
        t = np.tanh(a[1].value)
        return self.combine(npgrad.tanh(a[0]), Naive(t, (a[1],), (1 - t * t,)))

    @rule(target=values, a=values)
    def without_recording(self, a: Any) -> Any:
        with npgrad.no_grad():
            tensor = a[0] * 2.0
        naive = Naive(2 * a[1].value)
        self.depth[id(naive)] = 0
        return tensor, naive

    @rule(target=values, a=values)
    def detach(self, a: Any) -> Any:
        naive = Naive(a[1].value)
        self.depth[id(naive)] = 0
        return a[0].detach(), naive

    def below(self, naive: Naive) -> set[int]:
        """Everything a sweep from here runs through."""
        if not naive.parents or not naive.requires_grad:
            return set()
        return {id(naive)}.union(*[self.below(p) for p in naive.parents])

    @rule(a=values, dy=st.floats(-2, 2), retain=st.booleans())
    def backward(self, a: Any, dy: float, retain: bool) -> None:
        tensor, naive = a
        if not naive.requires_grad:
            with pytest.raises(RuntimeError, match="does not require a gradient"):
                tensor.backward(dy)
            return
        nodes = self.below(naive)
        if nodes & self.freed:
            with pytest.raises(RuntimeError, match="already freed"):
                tensor.backward(dy)
            return
        tensor.backward(dy, retain_graph=retain)
        if not retain:
            self.freed |= nodes
        for t, n in self.leaves:
            if self.reaches(naive, n):
                self.expected[id(t)] = self.expected.get(id(t), 0.0) + dy * naive.derivative(n)

    def reaches(self, a: Naive, b: Naive) -> bool:
        return a is b or any(self.reaches(p, b) for p in a.parents if p.requires_grad)

    @rule()
    def zero(self) -> None:
        for t, _ in self.leaves:
            t.grad = None
        self.expected.clear()

    @invariant()
    def gradients_agree(self) -> None:
        for t, _ in self.leaves:
            want = self.expected.get(id(t))
            if want is None:
                assert t.grad is None
            else:
                assert t.grad is not None
                assert np.allclose(t.grad, want, rtol=1e-9, atol=1e-9)

    @invariant()
    def gradients_are_nobody_elses_memory(self) -> None:
        grads = [t.grad for t, _ in self.leaves if t.grad is not None]
        for k, g in enumerate(grads):
            assert not any(np.shares_memory(g, other) for other in grads[:k])


TestGraphs = Graphs.TestCase
TestGraphs.settings = settings(max_examples=max(100, settings.default.max_examples), stateful_step_count=30)


@given(broadcastable(3), seeds)
def test_broadcasting_is_undone_by_summing(shapes: Any, seed: int) -> None:
    """Against the same computation with every operand broadcast by hand first."""
    rng = np.random.default_rng(seed)
    full = np.broadcast_shapes(*shapes)
    values = [rng.normal(size=s) for s in shapes]
    dy = rng.normal(size=full)
    a, b, c = (Tensor(v, requires_grad=True) for v in values)
    ((a * b + c) * a).backward(dy)
    A, B, C = (Tensor(np.broadcast_to(v, full), requires_grad=True) for v in values)
    ((A * B + C) * A).backward(dy)
    for small, big in ((a, A), (b, B), (c, C)):
        extra = len(full) - small.ndim
        axes = tuple(k for k in range(len(full)) if k < extra or (small.shape[k - extra] == 1 and full[k] != 1))
        assert np.allclose(small.grad, big.grad.sum(axis=axes).reshape(small.shape), rtol=1e-12, atol=1e-12)


@given(seeds)
def test_order_of_use_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = Tensor(rng.normal(size=4), requires_grad=True)
    parts = [npgrad.tanh(x), x * x, npgrad.exp(x), x + 1.0]

    def gradient(order: Any) -> Any:
        total = parts[order[0]]
        for k in order[1:]:
            total = total + parts[k]
        x.grad = None
        total.backward(np.arange(4.0), retain_graph=True)
        return x.grad

    assert np.allclose(gradient([0, 1, 2, 3]), gradient(list(rng.permutation(4))), rtol=1e-13)
