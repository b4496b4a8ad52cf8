"""Arrays that come and go between the calls of a compiled step."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest

import npgrad
from npgrad import functions as F
from npgrad import nn, optim
from tests.compile.world import BATCHES, assert_same_bytes, pair, trust


def test_lent_gradients():
    """Looked at, held, changed in place, dropped, pickled: what is outside is never the program's memory."""
    eager, compiled = pair()
    held: list[tuple[Any, Any]] = []

    def handle(world, k):
        p, q, r, *_ = world.parameters
        if not k:
            return
        if world is compiled:
            memory = [block.bytes for program in world.programs() for block in program.plan.pool.blocks]
            assert not any(np.shares_memory(p.grad, m) for m in memory)
            held.append((p.grad, p.grad.copy()))
            assert pickle.loads(pickle.dumps(q)).grad.tobytes() == q.grad.tobytes()
            assert copy.deepcopy(q).grad.tobytes() == q.grad.tobytes()
        q.grad *= 2
        r.grad = None

    assert_same_bytes(eager, compiled, BATCHES, handle)
    for now, then in held:
        np.testing.assert_array_equal(now, then)


def test_results_are_not_the_programs_memory():
    p = nn.Parameter(np.arange(3.0))
    view = npgrad.compile(
        lambda x: {"h": (h := npgrad.tanh(p * x)).detach(), "row": h[0].numpy(), "T": h.T.numpy()}, warm_up=0
    )
    kept = []
    for k in range(5):
        result = view(np.full((2, 3), k + 1.0))
        trust(view)
        arrays = [result["h"].data, result["row"], result["T"]]
        kept += [(a, a.copy()) for a in arrays]
        for program in (q for programs in view._state.programs.values() for q in programs):
            assert not any(np.shares_memory(a, block.bytes) for a in arrays for block in program.plan.pool.blocks)
    for now, then in kept:
        np.testing.assert_array_equal(now, then)


def test_results_of_every_kind():
    class Pair(NamedTuple):
        loss: Any
        rest: Any

    p = nn.Parameter(np.ones((2, 3), np.float32))

    @npgrad.compile(warm_up=0)
    def several(x):
        h = p.detach() * x
        return Pair(
            h.sum().detach(), [h.numpy(), {"max": x.max(), "text": "fine", "shape": h.shape, "made": np.ones(2)}]
        )

    for k in range(4):
        x = np.full((2, 3), k + 1.0, np.float32)
        out = several(x)
        trust(several)
        assert type(out) is Pair and out.loss.item() == 6 * (k + 1)
        assert type(out.rest[0]) is np.ndarray and type(out.rest[1]["max"]) is np.float32
        assert out.rest[1]["text"] == "fine" and out.rest[1]["shape"] == (2, 3)
        out.rest[1]["made"] += 5  # is not what the next call returns
        np.testing.assert_array_equal(several(x).rest[1]["made"], np.ones(2))


def test_data_handed_out_and_written_or_assigned():
    def change(world, k):
        p = world.parameters[0]
        if k == 3:
            world.held = p.data
        if k == 4:
            world.held *= 0.5
        if k == 5:
            world.before = p.data
            p.data = np.ones_like(world.before)
        if k == 6:
            world.before[...] = 7  # has nothing to do with the parameter any more

    assert_same_bytes(*pair(), BATCHES, change)


def test_state_dictionaries_between_calls():
    def load(world, k):
        if k == 3:
            world.saved = (world.model.state_dict(), world.optimizer.state_dict())
        if k == 6:
            world.model.load_state_dict(world.saved[0])
            world.optimizer.load_state_dict(world.saved[1])

    assert_same_bytes(*pair(optimizer=lambda p: optim.Adam(p, lr=0.01)), BATCHES, load)


def test_arrays_closed_over_are_read_at_each_run():
    weights = np.ones(3)
    p = nn.Parameter(np.ones(3))
    step = npgrad.compile(lambda: (p * weights).sum(), warm_up=0)
    for _ in range(5):
        weights *= 2
        assert step().item() == weights.sum()
        trust(step)


@pytest.mark.parametrize("outside", [True, False])
def test_an_argument_changed_in_place(outside):
    p = nn.Parameter(np.ones(3))

    def function(x):
        loss = (p * x * x).sum()
        if not outside:
            x += 1
            p.grad = None
            loss.backward()
        return loss

    step = npgrad.compile(function, warm_up=0)
    for k in range(5):
        x = np.full(3, k + 1.0)
        loss = step(x)
        if outside:
            x += 100  # after the graph has taken its copy
            p.grad = None
            loss.backward()
        else:
            np.testing.assert_array_equal(x, np.full(3, k + 2.0))
        np.testing.assert_array_equal(p.grad, np.full(3, (k + 1.0) ** 2))
        trust(step)


def test_one_array_passed_twice():
    p = nn.Parameter(np.ones(3))
    step = npgrad.compile(lambda a, b: (p * a * b).sum(), warm_up=0)
    x = np.arange(3.0)
    t = npgrad.Tensor(x)
    for arguments in [(x, x), (x, x + 1), (x, x), (t, t), (t, npgrad.Tensor(x + 1)), (t, t)] * 2:
        assert step(*arguments).item() == (np.asarray(arguments[0]) * np.asarray(arguments[1])).sum()
        trust(step)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,)])
def test_no_axes_and_no_entries(shape):
    p = nn.Parameter(np.full(shape, 2.0))

    @npgrad.compile(warm_up=0)
    def step(x):
        h = npgrad.tanh(p * x).reshape(-1)
        loss = (h * h.sum()).sum() + p.sum()
        p.grad = None
        loss.backward()
        return loss, h.numpy()

    for k in range(4):
        x = np.full(shape, k + 1.0)
        loss, h = step(x)
        g = p.grad.copy()
        want = step.function(x)
        assert want[0]._array.tobytes() == loss._array.tobytes() and want[1].tobytes() == h.tobytes()
        assert p.grad.tobytes() == g.tobytes() and g.shape == shape
        trust(step)


@pytest.mark.parametrize(
    "function",
    [
        lambda p, x: p / np.sqrt(2.0) + np.float32(3) * x,
        lambda p, x: (p * 2.0).sum() * x + p.sum() * 2.0,
        lambda p, x: p.sum(axis=np.int64(0)) * x.sum() + p.sum(axis=(0,)),
        lambda p, x: F.logsumexp(p.sum() * x.sum()),
        lambda p, x: p[0] * p[0] + p[0] * float(len(x)),
        lambda p, x: npgrad.maximum(p, 1.0) - npgrad.maximum(1.0, p * x),
        lambda p, x: p**2 + p**0.5 + p**-1 + 2.0**p + p**3 + p**x,
        lambda p, x: np.concatenate([p, x, [1.0, 2.0]]),
        lambda p, x: -(1 - p) / 3 + abs(p) * True,
    ],
)
def test_operands_of_every_kind(function):
    p = nn.Parameter(np.array([0.5, 1.5, 2.5]))

    def step(x):
        y = function(p, x)
        loss = (y * y).sum()
        p.grad = None
        loss.backward()
        return loss

    compiled = npgrad.compile(step, warm_up=0)
    for k in range(5):
        x = np.array([1.0, 2.0, 3.0]) + k
        found, g = compiled(x).item(), p.grad
        assert step(x).item() == found
        np.testing.assert_array_equal(p.grad, g)
        trust(compiled)


def test_an_optimiser_that_is_collected():
    """A gradient that somebody holds stays what it is, whatever becomes of the optimiser."""
    p = nn.Parameter(np.ones(3))
    optimizer = optim.SGD([p], lr=0.1)

    def make(optimizer):
        def step(x):
            loss = (p * x * x).sum()
            p.grad = None
            loss.backward()
            if optimizer is not None:
                optimizer.step()
            return loss

        return npgrad.compile(step, warm_up=0)

    step = make(optimizer)
    for k in range(3):
        step(np.full(3, k + 1.0))
        trust(step)
    held = p.grad
    before = held.copy()
    del step, optimizer
    gc.collect()
    make(None)(np.full(3, 7.0))
    np.testing.assert_array_equal(held, before)
    np.testing.assert_array_equal(p.grad, np.full(3, 49.0))


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 0, 1), (2, 1, 0)])
def test_what_needs_no_gradient_has_the_layout_of_eager_code(axes):
    """Without a graph a view is copied, row by row; a program that summed over the view would add in another order."""
    x = np.random.default_rng(0).standard_normal((5, 4, 63)).astype(np.float32)

    @npgrad.compile
    def step(x):
        t = npgrad.transpose(x, axes)
        return t * t.sum()

    expected = step.function(x).numpy().tobytes()
    for _ in range(6):
        assert step(x).numpy().tobytes() == expected
    assert step.source
