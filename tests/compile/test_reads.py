"""Whatever a compiled function reads, it reads anew at each run, or it is stale, or it cannot be compiled."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import logging
import math
import operator
import os
import time
import types
from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import CompileError, Tensor


def assert_agrees(function: Any, change: Any, *arguments: Any, calls: int = 3, strict: bool = True) -> Any:
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

    assert_agrees(step, change, X)

    def replace():
        held = s.data, w.data
        change()
        assert held[0] == 7.0

    assert_agrees(step, replace, X)


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

    assert_agrees(step, change, X)


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
    step = npgrad.compile(lambda x: collections.OrderedDict(b=npgrad.square(x), a=npgrad.tanh(x)), warm_up=1)
    for _ in range(4):
        result = step(X)
        assert type(result) is collections.OrderedDict
        assert list(result) == ["b", "a"]
    assert step._state.program.runs > 1


class Plain:
    scale = 1.0

    def __init__(self) -> None:
        self.offset = 0.0

    def applied(self, x):
        return x * self.scale + self.shift()

    def shift(self):
        return self.offset

    @property
    def doubled(self):
        return 2.0 * self.offset

    @staticmethod
    def of(x):
        return x * Plain.scale


@dataclasses.dataclass(slots=True)
class Slots:
    scale: float = 1.0


class Shifted(npgrad.nn.Module):
    scale = 1.0

    def __init__(self) -> None:
        self.settings = Slots()

    def forward(self, x):
        return self.moved(x) * self.settings.scale

    def moved(self, x):
        return x * self.scale


settings = types.ModuleType("settings_of_the_user")
settings.scale = 1.0  # type: ignore[attr-defined]
settings.inner = Slots()  # type: ignore[attr-defined]


def with_keyword(x, *, scale=[1.0]):  # noqa: B006 (a default that changes is what is tested)
    return npgrad.Tensor(x) * scale[0]


def with_attribute(x):
    return npgrad.Tensor(x) * with_attribute.scale


@pytest.fixture
def world(monkeypatch):
    for holder in (Plain, Shifted, settings):
        monkeypatch.setattr(holder, "scale", 1.0)
    monkeypatch.setattr(with_attribute, "scale", 1.0, raising=False)
    monkeypatch.setitem(with_keyword.__kwdefaults__, "scale", [1.0])
    settings.inner = Slots()
    plain, slots, module = Plain(), Slots(), Shifted()
    nested = {"a": {"b": {"c": {"d": {"e": 1.0}}}}}
    user = collections.UserDict(scale=1.0)
    queue, chosen, numbers = collections.deque([1.0]), {1.0}, np.ones(2)
    several = [lambda x: x * slots.scale]
    product = functools.partial(lambda c, x: x * c.scale, slots)
    by_name = operator.attrgetter("scale")

    def wrapped(function):
        @functools.wraps(function)
        def inner(x):
            return function(x) * slots.scale

        return inner

    @wrapped
    def decorated(x):
        return npgrad.tanh(x)

    T = npgrad.Tensor
    return {
        "class attribute": (lambda x: T(x) * Plain.scale, lambda: setattr(Plain, "scale", 2.0)),
        "of an instance": (lambda x: T(x) * plain.scale, lambda: setattr(Plain, "scale", 2.0)),
        "method": (lambda x: plain.applied(T(x)), lambda: setattr(plain, "offset", 2.0)),
        "bound method": (lambda x, f=plain.applied: f(T(x)), lambda: setattr(plain, "offset", 2.0)),
        "property": (lambda x: T(x) * plain.doubled, lambda: setattr(plain, "offset", 2.0)),
        "static method": (lambda x: plain.of(T(x)), lambda: setattr(Plain, "scale", 2.0)),
        "slots": (lambda x: T(x) * slots.scale, lambda: setattr(slots, "scale", 2.0)),
        "attrgetter": (lambda x: T(x) * by_name(plain), lambda: setattr(Plain, "scale", 2.0)),
        "alias": (lambda x: sum([T(x) * s.scale for s in (slots,)]), lambda: setattr(slots, "scale", 2.0)),
        "module of the user": (lambda x: T(x) * settings.scale, lambda: setattr(settings, "scale", 2.0)),
        "in a module": (lambda x: T(x) * settings.inner.scale, lambda: setattr(settings.inner, "scale", 2.0)),
        "class of a layer": (lambda x: module(T(x)), lambda: setattr(Shifted, "scale", 2.0)),
        "settings of a layer": (lambda x: module(T(x)), lambda: setattr(module.settings, "scale", 2.0)),
        "keyword": (with_keyword, lambda: with_keyword.__kwdefaults__["scale"].__setitem__(0, 2.0)),
        "attribute of a function": (with_attribute, lambda: setattr(with_attribute, "scale", 2.0)),
        "nested": (lambda x: T(x) * nested["a"]["b"]["c"]["d"]["e"],
                   lambda: nested["a"]["b"]["c"]["d"].__setitem__("e", 2.0)),
        "user dict": (lambda x: T(x) * user["scale"], lambda: user.update(scale=2.0)),
        "deque": (lambda x: T(x) * queue[0], lambda: queue.__setitem__(0, 2.0)),
        "set": (lambda x: T(x) * max(chosen), lambda: chosen.add(2.0)),
        "list of functions": (lambda x: several[0](T(x)), lambda: setattr(slots, "scale", 2.0)),
        "partial": (lambda x: product(T(x)), lambda: setattr(slots, "scale", 2.0)),
        "wrapper": (decorated, lambda: setattr(slots, "scale", 2.0)),
        "number in an array": (lambda x: T(x) * float(numbers[0]), lambda: numbers.__setitem__(0, 2.0)),
        "a sum of an array": (lambda x: T(x) * numbers.sum(), lambda: numbers.__setitem__(1, 2.0)),
    }  # fmt: skip


CASES = [
    "class attribute", "of an instance", "method", "bound method", "property", "static method", "slots", "attrgetter",
    "alias", "module of the user", "in a module", "class of a layer", "settings of a layer", "keyword",
    "attribute of a function", "nested", "user dict", "deque", "set", "list of functions", "partial", "wrapper",
    "number in an array", "a sum of an array",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_number_is_guarded_wherever_it_is_kept(world, case):
    function, change = world[case]
    assert_agrees(function, change, X)


def deep():
    inside = [1.0]
    for _ in range(20):
        inside = [inside]
    return lambda x: npgrad.square(x) * len(inside)


def many():
    numbers = [1.0] * 100
    return lambda x: npgrad.square(x) * numbers[70]


def ticking():
    ticks = itertools.count(1)
    return lambda x: npgrad.square(x) * next(ticks)


@pytest.mark.parametrize("make, reason", [(deep, "lies deeper"), (many, "100 items"), (ticking, "an iterator")])
def test_what_is_not_looked_at_is_not_trusted(make, reason):
    step = npgrad.compile(make(), warm_up=1)
    for _ in range(4):
        step(X)
    assert step._state.program is None
    assert reason in step.explain()


def test_text_and_arrays_in_any_number_make_nothing_eager():
    words, arrays = ["word"] * 1000, [np.ones(3)] * 1000
    names, rng = dict.fromkeys(range(1000), "a"), np.random.default_rng(0)
    log = logging.getLogger(__name__)

    def step(x):
        log.debug("a step")
        assert rng is not None
        assert math.isfinite(time.time()) and os.path.sep in (os.sep, words[0], names[0])
        return npgrad.square(x) + len(words) + arrays[0][0]

    compiled = npgrad.compile(step, warm_up=1)
    for _ in range(4):
        compiled(X)
    assert compiled._state.program is not None, compiled.explain()
    assert compiled._state.program.runs > 1


def test_an_array_that_the_function_changes_itself_is_refused_and_put_back():
    count = np.zeros(1000)

    def step(x):
        count[0] += 1
        return npgrad.square(x)

    compiled = npgrad.compile(step, warm_up=1)
    compiled(X)
    with pytest.raises(CompileError, match="changes the array count itself"):
        compiled(X)
    assert count[0] == 1


def test_what_only_an_object_s_maker_or_printer_names_is_not_guarded():
    class Trainer:
        def __init__(self) -> None:
            self.scale = 2.0
            self.history: list[float] = []

        def __repr__(self) -> str:
            return f"{self.history}"

        def step(self, x):
            assert isinstance(self, Trainer)
            return (npgrad.square(x) * self.scale).sum()

    trainer = Trainer()
    compiled = npgrad.compile(trainer.step, warm_up=1)
    for _ in range(20):
        trainer.history.append(float(compiled(X)))
    assert "history" not in compiled.source
    assert "scale" in compiled.source
    assert compiled._state.program.runs > 10


def test_a_small_array_outside_that_changes_at_each_call_makes_the_function_eager():
    buffer = np.zeros(3)
    step = npgrad.compile(lambda: npgrad.square(Tensor(buffer)).sum(), warm_up=1)
    with pytest.warns(RuntimeWarning, match="the content of buffer changes"):
        for k in range(100):
            buffer[...] = k
            assert step().item() == 3 * k * k
