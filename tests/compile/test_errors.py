"""What a program cannot do is an error that names the line, and changes nothing."""

from __future__ import annotations

import linecache
import os
from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import CompileError, nn
from npgrad.engine.mode import MODE, Mode
from tests.compile.world import BATCHES, assert_same_bytes, batch, pair, trust


def test_a_bad_batch_raises_the_eager_error_and_changes_nothing():
    eager, compiled = pair()
    assert_same_bytes(eager, compiled, BATCHES[:4])
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
    assert_same_bytes(eager, compiled, BATCHES)


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
    assert_same_bytes(eager, compiled, calls)
    x, y = batch(0, 4)
    for world in (eager, compiled):
        with pytest.raises(ValueError, match="not finite"):
            world.step(np.full_like(x, np.nan), y)
        for b, values in zip(world.model.buffers(), (0.5, 2.0), strict=True):
            b[...] = values  # nan by now
    assert eager.state() == compiled.state()
    assert_same_bytes(eager, compiled, calls)


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

    assert_same_bytes(*pair(step=build, dropout=0.0), BATCHES, assign)


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


@pytest.mark.parametrize("name", ["getitem", "inv"])
def test_what_nobody_reads_raises_all_the_same(name):
    """A result that is not used is not computed, unless computing it may fail."""

    @npgrad.compile
    def step(x, k):
        _ = npgrad.getitem(x, k) if name == "getitem" else npgrad.linalg.inv(x)
        return x * 2.0

    x = np.arange(9.0).reshape(3, 3) + np.eye(3)
    for _ in range(6):
        step(x, np.array([0, 2]))
    trust(step)
    wrong = (x, np.array([0, 99])) if name == "getitem" else (np.zeros((3, 3)), np.array([0, 2]))
    with pytest.raises(IndexError if name == "getitem" else np.linalg.LinAlgError):
        step(*wrong)
