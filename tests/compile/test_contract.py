"""What `npgrad.compile` promises: the same bytes as eager code, or an error that names the line."""

from __future__ import annotations

import copy
import gc
import linecache
import os
import pickle
import sys
import threading
import traceback
import weakref
from typing import Any, NamedTuple

import numpy as np
import pytest

import npgrad
from npgrad import CompileError, nn, optim
from npgrad import functions as F
from npgrad.diagnose import Monitor
from npgrad.engine.mode import MODE, Mode


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


def same(eager: World, compiled: World, calls: Any, between: Any = None) -> None:
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


# -- warm-up and variants ----------------------------------------------------------------------------------------------


def test_a_step_that_runs_three_times_is_not_recorded():
    world = World(warm_up=3)
    for k in range(3):
        world.step(*batch(k))
    assert world.runs() == 0
    with pytest.raises(CompileError, match=r"not been compiled yet: call it 4 times"):
        _ = world.step.source
    world.step(*batch())
    assert world.runs() == 1
    assert "recorded for" in world.step.explain()


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: optim.SGD(p, lr=0.1),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5, maximize=True),
        lambda p: optim.Adam(p, lr=0.01, amsgrad=True, weight_decay=0.1),
        lambda p: optim.AdamW(p, lr=0.01),
        lambda p: optim.Adam([{"params": p[:2]}, {"params": p[2:], "lr": 0.5, "betas": (0.5, 0.6)}], lr=0.01),
    ],
)
def test_the_bytes_of_eager_training(optimizer):
    eager, compiled = pair(optimizer=optimizer)
    same(eager, compiled, BATCHES)
    assert compiled.runs() == 8


def test_learning_rates_are_looked_up():
    def lower(world, k):
        world.optimizer.lr = 0.1 / (k + 1)

    eager, compiled = pair()
    same(eager, compiled, BATCHES, lower)
    assert len(compiled.programs()) == 1


@pytest.mark.parametrize("inside", [True, False])
def test_schedules(inside):
    def build(world):
        schedule = optim.StepLR(world.optimizer, 2, 0.5)
        plain = world.plain()

        def step(x, y):
            loss = plain(x, y)
            if inside:
                schedule.step()
            return loss

        world.schedule = schedule
        return step

    eager, compiled = pair(step=build)
    same(eager, compiled, BATCHES, lambda world, k: None if inside or not k else world.schedule.step())
    assert eager.schedule.steps == compiled.schedule.steps == 8 + inside
    assert compiled.runs() == 8 and len(compiled.programs()) == 1


def test_a_learning_rate_that_the_step_reads_itself_is_compared():
    world = World(step=lambda w: lambda x: (w.parameters[0] * w.optimizer.lr).sum())
    values = []
    for k in range(6):
        world.optimizer.lr = 0.1 if k < 3 else 0.2
        values.append(world.step(batch()[0]).item())
    assert values[2] * 2 == pytest.approx(values[3])


def test_options_that_are_switched():
    def switch(world, k):
        group = world.optimizer.param_groups[0]
        group["momentum"], group["weight_decay"] = (0.9, 0.0) if k % 4 < 2 else (0.0, 0.1)

    same(*pair(), BATCHES, switch)


def test_parameters_whose_step_counts_have_come_apart():
    """Adam's corrections belong to a parameter: after it was frozen for a while, its step count is another one."""

    def freeze(world, k):
        world.parameters[0].requires_grad = not 3 <= k < 5

    same(*pair(optimizer=lambda p: optim.Adam(p, lr=0.01)), BATCHES, freeze)


def test_flags_that_an_optimiser_computes_are_compared():
    class Rectified(optim.SGD):
        def numbers(self, group, t):
            return {**super().numbers(group, t), "late": t > 4}

        def update(self, p, g, state, n):
            p -= (2 if n["late"] else 1) * n["lr"] * g

    world = World(optimizer=lambda p: Rectified(p, lr=0.1))
    for k in range(4):
        world.step(*batch(k))
        trust(world.step)
    with pytest.raises(CompileError, match=r"optimizer\.step"):
        world.step(*batch())


def test_groups_appended_later():
    def append(world, k):
        if k == 4:
            world.extra = nn.Parameter(np.ones(2))
            world.extra.grad = np.ones(2)
            world.optimizer.add_param_group({"params": [world.extra]})

    eager, compiled = pair()
    same(eager, compiled, BATCHES, append)
    assert compiled.extra.grad is None and eager.extra.grad is None


def test_variants_for_shapes_dtypes_and_layouts():
    eager, compiled = pair()
    x, y = batch()
    strange = np.repeat(x, 2, axis=1)[:, ::2]
    assert strange.strides != x.strides
    calls = [
        (x, y),
        (x, y),
        batch(1, 7),
        batch(1, 7),
        (np.asfortranarray(x), y),
        (np.asfortranarray(x), y),
        (strange, y),
    ]
    calls += [
        (strange, y),
        (x.astype(">f4"), y),
        (x.astype(">f4"), y),
        (x, y.astype(np.int32)),
        (x, y.astype(np.int32)),
    ]
    locked = x.copy()
    locked.flags.writeable = False
    same(eager, compiled, [*calls, (locked, y)] * 2)
    assert len(compiled.step._state.programs) == 6


def test_float64_and_large_batches():
    eager, compiled = pair()
    x, y = batch(0, 3000)
    same(eager, compiled, [(x, y)] * 4 + [(x.astype(np.float64), y)] * 3)


def test_training_and_evaluation():
    eager, compiled = pair()
    same(eager, compiled, BATCHES, lambda world, k: world.model.train(k % 4 < 2))


def test_no_grad_is_a_variant():
    model = World().model
    values = npgrad.compile(lambda x: model(x), warm_up=0)
    model.eval()
    x, _ = batch()
    for k in range(6):
        if k % 2:
            with npgrad.no_grad():
                out = values(x)
            assert not out.requires_grad
        else:
            out = values(x)
            assert out.requires_grad
        np.testing.assert_array_equal(out._array, model(x)._array)


@pytest.mark.parametrize("what", ["closure", "global", "attribute", "default", "item"])
def test_numbers_that_the_function_depends_on(what):
    p = nn.Parameter(np.arange(3.0))
    factor, config, table = 2.0, type("Config", (), {})(), {"factor": 2.0}
    config.factor = 2.0
    space: dict[str, Any] = {"p": p, "factor": 2.0}
    exec("def of_global():\n    return (p * factor).sum()", space)

    def of_closure():
        return (p * factor).sum()

    def of_default(x=2.0):
        return (p * x).sum()

    function = {
        "closure": of_closure,
        "global": space["of_global"],
        "attribute": lambda: (p * config.factor).sum(),
        "default": of_default,
        "item": lambda: (p * table["factor"]).sum(),
    }[what]
    step = npgrad.compile(function, warm_up=0)
    for value in (2.0, 2.0, 5.0, 5.0, 2.0, 2):
        factor = config.factor = table["factor"] = space["factor"] = value
        expected = 6.0 if what == "default" else 3.0 * value
        assert step().item() == expected
        trust(step)


def test_module_attributes():
    eager, compiled = pair(dropout=0.0)

    def change(world, k):
        world.model[1].momentum = 0.1 if k % 4 < 2 else 0.5

    same(eager, compiled, BATCHES, change)


def test_a_number_that_changes_at_every_call_is_an_error():
    count = 0.5
    p = nn.Parameter(np.ones(3))
    step = npgrad.compile(lambda: (p * count).sum(), warm_up=0)
    with pytest.raises(CompileError, match=r"compiled 8 times.*count"):
        for _ in range(20):
            count += 1
            assert step().item() == 3 * count


def test_a_number_given_as_an_argument_may_change():
    p = nn.Parameter(np.ones(3, np.float32))
    step = npgrad.compile(lambda x, scale: (p * x * scale).sum(), warm_up=0)
    x = np.ones(3, np.float32)
    for k in range(12):
        assert step(x, 0.5 + k).item() == 3 * (0.5 + k)
    assert sum(len(programs) for programs in step._state.programs.values()) <= 2


def test_a_step_that_changes_a_number_it_depends_on():
    t = 0.0
    p = nn.Parameter(np.ones(3))

    def step():
        nonlocal t
        t += 1
        return (p * t).sum()

    compiled = npgrad.compile(step, warm_up=2)
    assert [compiled().item() for _ in range(2)] == [3.0, 6.0]
    with pytest.raises(CompileError, match=r"changes t \(from 2.0 to 3.0\)"):
        compiled()
    assert t == 2.0


# -- arrays that come and go -------------------------------------------------------------------------------------------


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

    same(eager, compiled, BATCHES, handle)
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

    same(*pair(), BATCHES, change)


def test_state_dictionaries_between_calls():
    def load(world, k):
        if k == 3:
            world.saved = (world.model.state_dict(), world.optimizer.state_dict())
        if k == 6:
            world.model.load_state_dict(world.saved[0])
            world.optimizer.load_state_dict(world.saved[1])

    same(*pair(optimizer=lambda p: optim.Adam(p, lr=0.01)), BATCHES, load)


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


# -- gradients ---------------------------------------------------------------------------------------------------------


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
    same(eager, compiled, [(*batch(k, 8), k % 3 == 2) for k in range(12)])
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

    same(eager, compiled, BATCHES, watch)
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


# -- user Functions, nesting, threads ----------------------------------------------------------------------------------


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


# -- errors ------------------------------------------------------------------------------------------------------------


def test_a_bad_batch_raises_the_eager_error_and_changes_nothing():
    eager, compiled = pair()
    same(eager, compiled, BATCHES[:4])
    before = compiled.state()
    x, y = batch()
    for bad in (4, -7):
        wrong = y.copy()
        wrong[2] = bad
        messages = []
        for world in (eager, compiled):
            grads = [p.grad for p in world.parameters]
            with pytest.raises((IndexError, ValueError)) as caught:
                world.step(x, wrong)
            messages.append((caught.type, str(caught.value)))
            for p, g in zip(world.parameters, grads, strict=True):
                assert p.grad.tobytes() == g.tobytes()
        assert messages[0] == messages[1]
        # What came before the bad class (running statistics, dropout) is what eager code leaves behind.
        assert eager.state() == compiled.state()
    assert [a for a, b in zip(before, compiled.state(), strict=True) if a != b] != before
    same(eager, compiled, BATCHES)


class Finite(npgrad.Function):
    """Refuses what was computed, not what was given."""

    def forward(self, x):
        if not np.isfinite(x).all():
            raise ValueError("not finite")
        return x * 1.0

    def backward(self, dy):
        return dy


def test_a_rule_that_refuses_what_was_computed():
    """Gradients that are lent stay what they were, though part of a run has been made."""

    def build(world):
        def step(x, y):
            h = npgrad.tanh(world.model(x))
            loss = npgrad.cross_entropy(Finite.apply(h * 2) @ Finite.apply(h.T) * 0.1 + h.sum(), y)
            world.optimizer.zero_grad()
            loss.backward()
            world.optimizer.step()
            return loss

        return step

    eager, compiled = pair(step=build, dropout=0.0)
    calls = [(batch(k, 4)[0], batch(k, 4)[1]) for k in range(5)]
    same(eager, compiled, calls)
    x, y = batch(0, 4)
    for world in (eager, compiled):
        with pytest.raises(ValueError, match="not finite"):
            world.step(np.full_like(x, np.nan), y)
        for b, values in zip(world.model.buffers(), (0.5, 2.0), strict=True):
            b[...] = values  # nan by now
    assert eager.state() == compiled.state()
    same(eager, compiled, calls)


def test_gradients_assigned_in_another_dtype():
    def assign(world, k):
        if k % 3 == 2:
            world.parameters[0].grad = np.asfortranarray(np.ones(world.parameters[0].shape, np.float64))

    def build(world):
        def step(x, y):
            loss = npgrad.cross_entropy(world.model(x), y)
            loss.backward()
            return loss

        return step

    same(*pair(step=build, dropout=0.0), BATCHES, assign)


def test_a_tensor_that_is_an_argument_and_known_to_the_function():
    q = npgrad.Tensor(np.ones(3))
    p = nn.Parameter(np.ones(3))
    step = npgrad.compile(lambda t: (p * t + q).sum(), warm_up=0)
    for t in (q, npgrad.Tensor(np.full(3, 5.0)), q, npgrad.Tensor(np.full(3, 7.0))):
        assert step(t).item() == (t._array + 1).sum()
        trust(step)


READING = {
    "item": "loss.item()",
    "float": "float(loss)",
    "branch": "if loss > 3: return None",
    "print": "print(loss)",
    "format": "f'{loss}'",
    "list": "loss.numpy().tolist()",
    "array": "np.asarray(loss.numpy())",
    "mask": "x[x > 0].sum()",
    "assert": "assert (x > -100).all()",
    "keep": "kept.append(loss)",
    "global": "globals()['last'] = last; last = loss",
}


@pytest.mark.parametrize("name", sorted(READING))
def test_reading_values_is_an_error_that_names_the_line(name):
    line = READING[name]
    text = f"def step(x):\n    global last\n    loss = (p * x).sum()\n    p.data -= 0.1\n    {line}\n    return loss\n"
    filename = f"<reading {name}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    p = nn.Parameter(np.ones(3))
    space: dict[str, Any] = {"p": p, "np": np, "kept": [], "last": None}
    exec(compile(text, filename, "exec"), space)
    step = npgrad.compile(space["step"], warm_up=1)
    step(np.ones(3))
    before, kept, last = p._array.copy(), list(space["kept"]), space["last"]
    for _ in range(2):
        with pytest.raises(CompileError) as caught:
            step(np.ones(3))
        assert line.split(";")[0] in str(caught.value) or name in ("keep", "global")
        np.testing.assert_array_equal(p._array, before)
        assert len(space["kept"]) == len(kept) and space["last"] is last
        assert MODE.get() == Mode()


def test_drawing_from_a_generator_in_the_step_is_an_error():
    rng = np.random.default_rng(0)
    p = nn.Parameter(np.ones(3))
    step = npgrad.compile(lambda: (p * rng.normal(size=3)).sum(), warm_up=0)
    before = rng.bit_generator.state
    with pytest.raises(CompileError, match="draws random numbers"):
        step()
    assert rng.bit_generator.state == before


def test_an_array_that_the_function_makes_and_fills():
    p = nn.Parameter(np.ones(3))

    def step(x):
        total = np.zeros(3)
        total += x
        return (p * total).sum()

    compiled = npgrad.compile(step, warm_up=0)
    for _ in range(3):
        with pytest.raises(CompileError, match=r"total \+= x.*zeros_like"):
            compiled(np.ones(3))


def test_shapes_that_depend_on_values():
    p = nn.Parameter(np.ones(3))
    step = npgrad.compile(lambda x: (np.unique(x) * 2).sum() * p.sum(), warm_up=0)
    for x in ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [1.0, 2.0, 2.0]) * 3:
        assert step(np.array(x)).item() == 6 * np.unique(x).sum()
        trust(step)


def test_what_a_check_cannot_see_is_found_by_the_check(monkeypatch):
    monkeypatch.setenv("NPGRAD_TEST_SCALE", "1.0")
    p = nn.Parameter(np.ones(3))
    step = npgrad.compile(lambda: (p * float(os.environ["NPGRAD_TEST_SCALE"])).sum(), warm_up=0, check=True)
    assert step().item() == 3.0
    monkeypatch.setenv("NPGRAD_TEST_SCALE", "2.0")
    with pytest.raises(CompileError, match="differ in the result"):
        step()


@pytest.mark.parametrize("names", ["step", "float", "type", "len", "isinstance", "np", "lambda"])
def test_names_in_a_program_hide_nothing(names):
    p = nn.Parameter(np.array([-1.0, 0.5, 3.0]))

    class Clip(npgrad.Function):
        def forward(self, x):
            step = x * 2
            float_ = step + 1
            self.x = float_
            return np.clip(self.x, 0.0, np.inf)

        def backward(self, dy):
            return dy * (self.x > 0) * 2

    def function(x):
        return Clip.apply(p * x).sum()

    function.__name__ = "<lambda>" if names == "lambda" else names
    step = npgrad.compile(function, warm_up=0)
    for k in range(4):
        x = np.full(3, k + 1.0)
        assert step(x).item() == function(x).item()
    assert sum(q.runs for programs in step._state.programs.values() for q in programs) == 4


# -- interrupts --------------------------------------------------------------------------------------------------------


class Stop(KeyboardInterrupt):
    pass


def interrupted(call: Any, k: int) -> bool:
    """Whether `call()` was interrupted at the k-th line that it runs inside npgrad."""
    count = 0

    def trace(frame: Any, what: str, _: Any) -> Any:
        nonlocal count
        if "npgrad" not in frame.f_code.co_filename or "tests" in frame.f_code.co_filename:
            return None
        if what == "line":
            count += 1
            if count == k:
                sys.settrace(None)
                raise Stop
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except Stop:
        return True
    finally:
        sys.settrace(before)
    return False


def interrupt(calls: int, k: int) -> bool:
    """Interrupt a call after `calls` others; afterwards the next ones compute what eager code does from that state."""
    world = World(dropout=0.0, optimizer=lambda p: optim.Adam(p, lr=0.01))
    for j in range(calls):
        world.step(*batch(j))
    trust(world.step)
    held = [(p.grad, None if p.grad is None else p.grad.copy()) for p in world.parameters[:2]]
    if not interrupted(lambda: world.step(*batch(calls)), k):
        return False
    assert MODE.get() == Mode()
    for now, then in held:
        assert now is None or now.tobytes() == then.tobytes()
    for p in world.parameters:
        assert type(p._array) is np.ndarray and type(p.grad) in (np.ndarray, type(None))
        assert all(type(x) in (int, np.ndarray) for x in world.optimizer.state.get(p, {}).values())
    other = World(dropout=0.0, optimizer=lambda p: optim.Adam(p, lr=0.01), warm_up=None)
    for p, q in zip(world.parameters, other.parameters, strict=True):
        q._array[...] = p._array
        other.optimizer.state[q] = {
            key: x.copy() if isinstance(x, np.ndarray) else x
            for key, x in world.optimizer.state.get(p, {"step": 0}).items()
        }
    for a, b in zip(world.model.buffers(), other.model.buffers(), strict=True):
        b[...] = a
    for j in range(3):
        assert world.step(*batch(j)).item() == other.step(*batch(j)).item()
        for p, q in zip(world.parameters, other.parameters, strict=True):
            assert p._array.tobytes() == q._array.tobytes() and p.grad.tobytes() == q.grad.tobytes()
    return True


def test_an_interrupt_at_every_line_of_a_run():
    k = 1
    while interrupt(3, k):
        k += 3
    assert k > 100


@pytest.mark.parametrize("start", [11, 977, 2203])
def test_interrupts_while_recording(start):
    k = start
    while interrupt(1, k):
        k += 7919
    assert k > start


# -- the text ----------------------------------------------------------------------------------------------------------


def test_the_source_is_to_be_read():
    world = World()
    for k in range(3):
        world.step(*batch(k))
    text = world.step.source
    compile(text, "program", "exec")
    assert "# Tanh (1)" in text and "# CrossEntropy" in text and "test_contract.py" in text
    assert "loss = npgrad.cross_entropy(model(x), y)" in text and "optimizer.step()" in text
    assert "running_mean" in text and "def step(x, y):" in text
    assert "variant:" in world.step.explain()


def test_tracebacks_show_the_text_of_a_program():
    world = World()
    for k in range(3):
        world.step(*batch(k))
    trust(world.step)
    program = world.programs()[0]

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    name = next(name for name in program.writer.namespace if name.startswith("advance"))
    program.run.__globals__[name] = fail
    with pytest.raises(KeyboardInterrupt) as caught:
        world.step(*batch())
    assert f"numbers = {name}(" in "".join(traceback.format_tb(caught.tb))


def test_a_program_lets_go_of_the_recording():
    """The arrays of the recorded call are not kept."""
    p = nn.Parameter(np.ones(3))
    step = npgrad.compile(lambda x: (p * x).sum(), warm_up=0)
    x = np.ones(3)
    step(x)
    gone = weakref.ref(x)
    del x
    gc.collect()
    assert gone() is None


# -- operands that were hard for memory handed on by counting


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
