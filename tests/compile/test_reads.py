"""Whatever a compiled function reads, it reads anew at each run, or it is stale, or it cannot be compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import CompileError, Tensor


def agrees(function: Any, change: Any, *arguments: Any, calls: int = 3, strict: bool = True) -> Any:
    """Compile `function`, let its program run unchecked, `change()` something: the next result is the eager one."""
    step = npgrad.compile(function, warm_up=1)
    for _ in range(calls):
        step(*arguments)
    programs = [program for programs in step._state.programs.values() for program in programs]
    assert programs or not strict, step.explain()
    for program in programs:
        program.next_check = 10**9
    change()
    found, expected = step(*arguments), function(*arguments)
    assert np.asarray(npgrad.Tensor(found)._array).tobytes() == np.asarray(npgrad.Tensor(expected)._array).tobytes()
    return step


X = np.arange(1.0, 5.0)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(
    "function",
    [
        lambda s, w, x: x * s.detach(),
        lambda s, w, x: npgrad.where(w > 0, w, 0.0) * x,
        lambda s, w, x: npgrad.where(w.numpy() == w, w, 0.0) * x,
        lambda s, w, x: np.linalg.norm(w.numpy()) * x,
        lambda s, w, x: x * Tensor(w),
        lambda s, w, x: x * w.copy().detach(),
        lambda s, w, x: x * w.data,
    ],
)
def test_a_leaf_that_is_read_is_read_at_each_run(function, train):
    s, w = Tensor(2.0, requires_grad=train), Tensor(np.array([-1.0, 2.0, 3.0, -4.0]), requires_grad=train)

    def step(x):
        with npgrad.no_grad():
            return function(s, w, x)

    def change():
        s.data, w.data = np.array(7.0), np.array([5.0, -1.0, 2.0, 1.0])

    agrees(step, change, X)

    def replace():
        held = s.data, w.data
        change()
        assert held[0] == 7.0

    agrees(step, replace, X)


@pytest.mark.parametrize(
    "function",
    [
        lambda s, x: s.item() * x,
        lambda s, x: float(s) * x,
        lambda s, x: int(s) * x,
        lambda s, x: x * (2.0 if s > 5 else 1.0),
        lambda s, x: x * (2.0 if s else 1.0),
        lambda s, x: x * s.tolist(),
        lambda s, x: x[int(s.argmax())],
        lambda s, x: x * (2.0 if s.any() else 1.0),
    ],
)
def test_a_number_taken_from_a_leaf_is_refused(function):
    s = Tensor(2.0)
    step = npgrad.compile(lambda x: npgrad.Tensor(function(s, x)), warm_up=1)
    step(X)
    with pytest.raises(CompileError, match=r"test_reads.py:\d+ .*reads a value"):
        step(X)


@pytest.mark.parametrize(
    "forward",
    [
        lambda w, x: (w * x).sum(),
        lambda w, x: (w.reshape(-1) * x.reshape(-1)).sum(),
        lambda w, x: (npgrad.tanh(w) * x[1:, ::-1]).sum() + npgrad.tanh(w * x[:1]).sum(),
        lambda w, x: npgrad.tanh(w @ x.T).sum(),
    ],
)
@pytest.mark.parametrize("kind", ["array", "tensor", "closure", "in place"])
def test_a_backward_pass_for_later_does_not_see_what_the_caller_writes(forward, kind):
    start = np.arange(1.0, 7.0).reshape(2, 3)
    shared = start.copy()
    w = Tensor(np.full((2, 3), 0.5) if "reshape" in str(forward.__code__.co_names) else np.full((1, 3), 0.5), True)

    def step(x):
        if kind == "in place":
            np.copyto(shared, x)
        return forward(w, shared if kind in ("closure", "in place") else x)

    compiled = npgrad.compile(step, warm_up=1)

    def gradient(function, write):
        shared[...] = start
        x = Tensor(start) if kind == "tensor" else start.copy()
        w.grad = None
        y = function(x)
        if kind == "tensor" and write:  # eagerly, backward() says that it has changed
            x.data[...] = 100.0
        elif kind != "tensor":
            x[...] = shared[...] = 100.0
        y.backward()
        return w.grad.copy()

    w.grad = None
    forward(w, start).backward()
    expected = w.grad.copy()
    for k in range(5):
        assert np.array_equal(gradient(compiled, k > 2), expected), k
        for programs in compiled._state.programs.values():
            for program in programs:
                program.next_check = 10**9
    assert compiled._state.program.runs > 1


def test_arguments_that_overlap_are_another_matter_when_one_is_written():
    def step(x, y):
        z = npgrad.Tensor(y).detach()
        x += 1.0
        return z * 2.0 + y

    compiled = npgrad.compile(step, warm_up=1)
    for _ in range(3):
        compiled(X.copy(), X.copy())
    compiled._state.program.next_check = 10**9
    a, b = np.arange(5.0), np.arange(5.0)
    assert compiled(a[:4], a[1:]).numpy().tolist() == step(b[:4], b[1:]).numpy().tolist()
    assert a.tolist() == b.tolist()


@pytest.mark.parametrize(
    "before, after", [(0.0, -0.0), (complex(0.0, 1.0), complex(-0.0, 1.0)), (np.float32(0), -np.float32(0))]
)
def test_zeros_of_both_signs_differ(before, after):
    c = before

    def step(x):
        return npgrad.Tensor(np.sum(np.copysign(1.0, np.real(c))) * x) if isinstance(c, complex) else x * float(c)

    def change():
        nonlocal c
        c = after

    agrees(step, change, X)


def test_nan_is_nan():
    from npgrad.compile.guards import differs

    nan = float("nan")
    assert not differs(float("nan"), nan)
    assert not differs(np.float32("nan"), np.float32("nan"))
    assert differs(complex(nan, 1), complex(nan, 2))
    assert differs(nan, np.float64("nan"))


@pytest.mark.parametrize("how", ["clear", "array", "dictionary"])
def test_a_cleared_state_of_an_optimiser_is_noticed(how):
    def world():
        w = Tensor(np.ones(3), requires_grad=True)
        optimizer = npgrad.optim.Adam([w], lr=0.1)

        def step(x):
            loss = npgrad.square(w * x).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return w, optimizer, step

    (w, eager, plain), (v, optimizer, step) = world(), world()
    step = npgrad.compile(step, warm_up=1)
    for k in range(9):
        plain(X[:3] + k), step(X[:3] + k)
        for programs in step._state.programs.values():
            for program in programs:
                program.next_check = 10**9
        if k == 5:
            for o in (eager, optimizer):
                (p,) = o.state
                if how == "clear":
                    o.state.clear()
                elif how == "array":
                    name = next(n for n in o.state[p] if n != "step")
                    o.state[p][name] = np.zeros(3)
                else:
                    o.state = {p: {key: np.copy(a) if key != "step" else a for key, a in o.state[p].items()}}
        assert w._array.tobytes() == v._array.tobytes(), k


def test_an_ordered_dictionary_stays_one():
    import collections

    step = npgrad.compile(lambda x: collections.OrderedDict(b=npgrad.square(x), a=npgrad.tanh(x)), warm_up=1)
    for _ in range(4):
        result = step(X)
        assert type(result) is collections.OrderedDict
        assert list(result) == ["b", "a"]
    assert step._state.program.runs > 1
