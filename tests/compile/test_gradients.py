"""Gradients in and around compiled functions."""

from __future__ import annotations

import numpy as np
import pytest

import npgrad
from npgrad import CompileError, nn, optim
from npgrad.diagnose import Monitor
from tests.compile.world import BATCHES, assert_same_bytes, batch, pair, trust


def test_accumulation_within_and_over_calls():
    def build(world):
        def step(x, y, last):
            half = len(x) // 2
            for part in (slice(0, half), slice(half, None)):
                loss = npgrad.cross_entropy(world.model(x[part]), y[part])
                loss.backward()
            if last:
                optim.clip_grad_norm(world.parameters, 0.5)
                world.optimizer.step()
                world.optimizer.zero_grad()
            return loss

        return step

    eager, compiled = pair(step=build)
    assert_same_bytes(eager, compiled, [(*batch(k, 8), k % 3 == 2) for k in range(12)])
    assert compiled.runs() >= 8


def test_a_leaf_that_is_evaluated_keeps_its_gradient():
    """x.var() and x.std() of a leaf whose gradient accumulates."""
    x = nn.Parameter(np.array([1.0, 2.0, 4.0]))

    @npgrad.compile(warm_up=0)
    def loss():
        return x.var() + x.std()

    plain = npgrad.Tensor(x._array, requires_grad=True)
    for _ in range(4):
        loss().backward()
        (plain.var() + plain.std()).backward()
        before = x.grad.copy()
        loss()
        np.testing.assert_array_equal(x.grad, before)
        np.testing.assert_array_equal(x.grad, plain.grad)


def test_shared_and_frozen_parameters():
    w = nn.Parameter(np.eye(3))
    frozen = nn.Parameter(np.full((3, 3), 0.5), requires_grad=False)
    opt = optim.SGD([w, frozen], lr=0.1)

    def step(x):
        loss = npgrad.tanh(x @ w @ frozen @ w).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    compiled = npgrad.compile(step, warm_up=0)
    v = nn.Parameter(np.eye(3))
    by_hand = optim.SGD([v], lr=0.1)
    for k in range(6):
        x = np.random.default_rng(k).normal(size=(2, 3))
        compiled(x)
        trust(compiled)
        by_hand.zero_grad()
        npgrad.tanh(x @ v @ frozen @ v).sum().backward()
        by_hand.step()
        np.testing.assert_array_equal(w._array, v._array)
        if k == 3:
            assert frozen.grad is None


def test_a_loss_whose_backward_is_called_outside():
    p = nn.Parameter(np.arange(3.0))
    loss = npgrad.compile(lambda x: (npgrad.tanh(p * x) ** 2).sum(), warm_up=0)
    q = npgrad.Tensor(p._array, requires_grad=True)
    for k in range(6):
        x = np.full(3, k + 1.0)
        value = loss(x)
        value.backward()
        (npgrad.tanh(q * x) ** 2).sum().backward()
        np.testing.assert_array_equal(p.grad, q.grad)
        trust(loss)
    with pytest.raises(RuntimeError, match="already freed"):
        value.backward()
    first, _ = loss(x), loss(x)
    with pytest.raises(CompileError, match=r"called again since.*Call backward"):
        first.backward()
    # A call that did not finish has used the memory too.
    before = loss(x)
    for program in (q for programs in loss._state.programs.values() for q in programs):
        program.started[0] += 1
    with pytest.raises(CompileError, match="called again since"):
        before.backward()
    late = loss(x)
    p.data *= 2
    with pytest.raises(RuntimeError, match="changed between forward and backward"):
        late.backward()
    p.grad = None
    (loss(x) * 3).backward()
    once = p.grad.copy()
    p.grad = None
    kept = loss(x)
    kept.backward(np.asarray(3.0), retain_graph=True)
    np.testing.assert_array_equal(p.grad, once)
    with pytest.raises(CompileError, match="second time"):
        kept.backward()
    np.testing.assert_array_equal(p.grad, once)


def test_derivatives_of_a_compiled_function():
    w = np.array([0.5, -1.0, 2.0])
    function = npgrad.compile(lambda x: (npgrad.tanh(x) * w).sum(), warm_up=0)
    for _ in range(4):
        function(w)
    x, v = np.array([0.1, 0.2, 0.3]), np.array([1.0, 0.0, -1.0])
    np.testing.assert_array_equal(npgrad.grad(function)(x), npgrad.grad(function.function)(x))
    np.testing.assert_array_equal(npgrad.jvp(function, x, v), npgrad.jvp(function.function, x, v))
    np.testing.assert_array_equal(npgrad.hvp(function, x, v), npgrad.hvp(function.function, x, v))
    assert npgrad.grad(function)(x).any()


def test_hooks_run_eagerly_and_are_said_once():
    eager, compiled = pair()

    def watch(world, k):
        if k == 3:
            world.seen = []
            world.remove = [
                world.parameters[0].register_hook(lambda g: g * 0.5),
                world.model[0].register_forward_hook(lambda module, inputs, output: world.seen.append(output.shape)),
            ]
        if k == 6:
            for remove in world.remove:
                remove()

    assert_same_bytes(eager, compiled, BATCHES, watch)
    assert len(compiled.seen) == len(eager.seen) == 3


def test_a_monitor_around_the_step():
    eager, compiled = pair()
    records = []
    for world in (eager, compiled):
        monitor = Monitor(world.model, world.optimizer, every=4)
        for k in range(9):
            with monitor.watch(k):
                world.step(*batch(k))
        records.append(monitor.record)
    assert eager.state() == compiled.state()
    assert compiled.runs() >= 4
    a, b = (record.activation_std if hasattr(record, "activation_std") else None for record in records)
    assert a is None or np.array_equal(a, b, equal_nan=True)
