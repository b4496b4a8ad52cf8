"""When a step is compiled, and when it is compiled anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import CompileError, nn, optim
from tests.compile.world import BATCHES, World, assert_same_bytes, batch, pair, trust


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
    assert_same_bytes(eager, compiled, BATCHES)
    assert compiled.runs() == 8


def test_learning_rates_are_looked_up():
    def lower(world, k):
        world.optimizer.lr = 0.1 / (k + 1)

    eager, compiled = pair()
    assert_same_bytes(eager, compiled, BATCHES, lower)
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
    assert_same_bytes(eager, compiled, BATCHES, lambda world, k: None if inside or not k else world.schedule.step())
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

    assert_same_bytes(*pair(), BATCHES, switch)


def test_parameters_whose_step_counts_have_come_apart():
    """Adam's corrections belong to a parameter: after it was frozen for a while, its step count is another one."""

    def freeze(world, k):
        world.parameters[0].requires_grad = not 3 <= k < 5

    assert_same_bytes(*pair(optimizer=lambda p: optim.Adam(p, lr=0.01)), BATCHES, freeze)


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
    assert_same_bytes(eager, compiled, BATCHES, append)
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
    assert_same_bytes(eager, compiled, [*calls, (locked, y)] * 2)
    assert len(compiled.step._state.programs) == 6


def test_float64_and_large_batches():
    eager, compiled = pair()
    x, y = batch(0, 3000)
    assert_same_bytes(eager, compiled, [(x, y)] * 4 + [(x.astype(np.float64), y)] * 3)


def test_training_and_evaluation():
    eager, compiled = pair()
    assert_same_bytes(eager, compiled, BATCHES, lambda world, k: world.model.train(k % 4 < 2))


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

    assert_same_bytes(eager, compiled, BATCHES, change)


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
