"""What would be a silently wrong gradient, or number, is an error; where npgrad can, it is right instead."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import Tensor, optim

CHANGED = "changed between forward and backward"


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values, dtype=float), requires_grad=True)


class Same(npgrad.Function):
    """A rule as users may write it: the result is the input itself, or a view of it."""

    def forward(self, x: Any, part: bool = False) -> Any:
        return x[:] if part else x

    def backward(self, dy: Any) -> Any:
        return dy


# -- arrays that were handed out ---------------------------------------------------------------------------------------


def test_an_array_taken_from_a_constant_is_read_only() -> None:
    x = Tensor([3.0, 4.0])
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[:] = 0
    own = np.array(x)
    own[:] = 0
    assert x.numpy().tolist() == [3.0, 4.0]


HOLD: dict[str, Callable[[Any], Any]] = {
    "whole": lambda a: a,
    "part": lambda a: a[:1],
    "part of a part": lambda a: a[:][:1],
    "transposed": lambda a: a.T,
    "memoryview": memoryview,
    "iterator": lambda a: np.nditer(a, op_flags=[["readwrite"]]),
}


def write(held: Any) -> None:
    if isinstance(held, np.nditer):
        next(held)[...] = 100.0
    else:
        held[0] = 100.0


@pytest.mark.parametrize("hold", HOLD.values(), ids=list(HOLD))
@pytest.mark.parametrize("optimised", ["before", "after", "deleted", "never"])
@pytest.mark.parametrize("taken", ["before forward", "after forward"])
@pytest.mark.parametrize("deleted", [False, True])
def test_a_write_into_a_leaf_is_noticed(hold: Callable[[Any], Any], optimised: str, taken: str, deleted: bool) -> None:
    p = leaf(1, 2)
    kept = [optim.SGD([p])] if optimised in ("before", "deleted") else []
    held = hold(p.data) if taken == "before forward" else None
    if optimised == "after":
        kept.append(optim.SGD([p]))
    elif optimised == "deleted":
        kept.clear()
        gc.collect()
    y = (p * p).sum()
    if held is None:
        held = hold(p.data)
    write(held)
    if deleted:
        del held
    with pytest.raises(RuntimeError, match=CHANGED):
        y.backward()
    assert p.numpy()[0] == 100.0 and p.grad is None


def test_looking_at_an_array_between_forward_and_backward_is_no_change() -> None:
    p = leaf(1, 2)
    y = (p * p).sum()
    held = p.data
    assert held.sum() == 3 and p.data[0] == 1
    y.backward()
    assert p.grad is not None and p.grad.tolist() == [2.0, 4.0]


def test_a_write_into_a_constant_is_noticed_too() -> None:
    p, c = leaf(1, 2), Tensor([3.0, 4.0])
    with npgrad.no_grad():
        d = c * 2.0
    for constant in (c, d):
        y = (p * constant).sum()
        constant.data[0] = 100.0
        with pytest.raises(RuntimeError, match=CHANGED):
            y.backward()


def test_a_write_between_two_uses_spoils_the_first_only() -> None:
    p = leaf(1, 2)
    held = p.data
    first = (p * p).sum()
    held[0] = 5.0
    second = (p * p).sum()
    del held
    with pytest.raises(RuntimeError, match=CHANGED):
        first.backward()
    second.backward()
    assert p.grad is not None and p.grad.tolist() == [10.0, 4.0]


def test_what_swaps_numbers_or_hides_in_the_last_bit_is_noticed() -> None:
    for change in (lambda a: a.sort(), lambda a: np.nextafter(a, 9, out=a), lambda a: np.negative(a, out=a)):
        p = leaf(2, 1, 0)
        held = p.data
        y = (p * p).sum()
        change(held)
        with pytest.raises(RuntimeError, match=CHANGED):
            y.backward()


def test_writing_what_was_there_is_no_change() -> None:
    p = leaf(1, np.nan)
    held = p.data
    y = p[:1].sum()
    held[:] = held.copy()
    y.backward()
    assert p.grad is not None and p.grad.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("assign", ["p.data = [5.0, 6.0]", "p.data = p.data + 4", "p.data = p.data[::-1]"])
def test_an_array_that_was_handed_out_keeps_its_numbers_when_others_are_assigned(assign: str) -> None:
    p = leaf(1, 2)
    held = p.data
    exec(assign)
    y = (p * p).sum()
    assert held.tolist() == [1.0, 2.0]
    held[0] = 100.0
    y.backward()
    assert p.grad is not None and np.array_equal(p.grad, 2 * p.numpy()) and 100.0 not in p.numpy()


def test_swapping_the_data_of_two_tensors_loses_neither() -> None:
    p, q = leaf(1, 2), leaf(3, 4)
    p.data, q.data = q.data, p.data
    assert p.numpy().tolist() == [3.0, 4.0] and q.numpy().tolist() == [1.0, 2.0]
    assert not np.shares_memory(p.numpy(), q.numpy())


def test_a_step_between_forward_and_backward_is_noticed() -> None:
    p = leaf(1, 2)
    optimizer = optim.SGD([p], lr=0.1)
    (p * p).sum().backward()
    y = (p * p).sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match=CHANGED):
        y.backward()


def test_a_held_gradient_stays_what_it_was() -> None:
    p = leaf(1, 2)
    optimizer = optim.SGD([p], lr=0.0)
    (p * p).sum().backward()
    held = p.grad
    del optimizer
    gc.collect()
    (p * p).sum().backward()
    p.grad = None
    (p * 7.0).sum().backward()
    assert held is not None and held.tolist() == [2.0, 4.0]


def test_arrays_are_compared_only_while_somebody_may_write_and_a_graph_needs_them() -> None:
    p = leaf(1, 2)
    storage = p._leaf().storage

    def needed() -> bool:
        y = (p * p).sum()
        return y.requires_grad and storage.read().copy is not None

    p.data += 1
    assert not needed()
    p.data[0] = 3
    assert not needed()
    held = p.data[:1]
    assert needed()
    with npgrad.no_grad():
        assert not (p * p).requires_grad and storage.current() is None
    del held
    assert not needed() and storage._handed_out is None


def test_a_hook_that_changes_a_leaf_stops_the_sweep_before_it_is_used() -> None:
    """An unrolled recurrent network whose hook on the last state updates the weight."""
    W = leaf(0.5)
    held = W.data
    states = [Tensor([1.0])]
    for _ in range(5):
        states.append(np.tanh(states[-1] * W))

    def spoil(dy: Any) -> None:
        held[0] = 9.0

    states[3].register_hook(spoil)
    with pytest.raises(RuntimeError, match=CHANGED):
        states[-1].sum().backward()
    assert W.grad is None


def put_back(t: Tensor, array: Any) -> None:
    t.data = array


def put_back_in_place(t: Tensor, array: Any) -> None:
    t.data += 0 * array


@pytest.mark.parametrize("back", [put_back, put_back_in_place, lambda t, array: setattr(t, "data", array)])
def test_an_array_that_was_handed_out_and_put_back_is_watched_on(back: Callable[[Tensor, Any], None]) -> None:
    # From Python 3.14 on a call borrows what a local variable has, which no count of references shows.
    p = leaf(1, 2)
    held = p.data
    back(p, held)
    y = (p * p).sum()
    held += 1
    with pytest.raises(RuntimeError, match=CHANGED):
        y.backward()


@pytest.mark.parametrize("part", [False, True])
def test_a_rule_that_returns_its_input_shares_no_memory_outside_a_graph(part: bool) -> None:
    w, p, a = leaf(3, 4), leaf(1, 2), np.array([1.0, 2.0])
    with npgrad.no_grad():
        c = Same.apply(p, part=part)
    d = Same.apply(a, part=part)
    y = (w * c * d).sum()
    p.data[:] = 0
    a[:] = 0
    y.backward()
    assert w.grad is not None and w.grad.tolist() == [1.0, 4.0]


# -- numbers that have no gradient -------------------------------------------------------------------------------------


def test_a_gradient_is_never_rounded_to_whole_numbers() -> None:
    p = Tensor([1, 2, 3])
    with pytest.raises(TypeError, match=r"floating-point.*int64"):
        p.requires_grad = True

    class Rounded(npgrad.Function):
        def forward(self, x: Any) -> Any:
            return np.round(x).astype(int)

        def backward(self, dy: Any) -> Any:
            return dy

    y = Rounded.apply(leaf(1.2, 2.7))
    with pytest.raises(TypeError, match="whole numbers"):
        (y * 0.5).sum().backward()
    with pytest.raises(TypeError, match="whole numbers have no derivative"):
        y.backward([0.5, 0.5])


def test_complex_results_are_not_differentiated_outside_verification() -> None:
    p = leaf(1, 2)
    y = (p * np.array([1j, 2j])).sum()
    with pytest.raises(TypeError, match=r"complex128.*holomorphic\(\)"):
        y.backward()


def test_a_rule_without_return_is_not_a_gradient_of_zero() -> None:
    class Forgetful(npgrad.Function):
        def forward(self, x: Any) -> Any:
            return x * 2

        def backward(self, dy: Any) -> Any:
            dy * 2

    p = leaf(1, 2)
    with pytest.raises(RuntimeError, match=r"Forgetful .*returned 0 gradients for 1 input"):
        Forgetful.apply(p).sum().backward()


@pytest.mark.parametrize("name", ["seq", "grad", "edges", "hooks", "readings", "out_shape", "backward", "describe"])
def test_a_rule_cannot_take_a_name_of_the_graph(name: str) -> None:
    class Greedy(npgrad.Function):
        def forward(self, x: Any) -> Any:
            setattr(self, name, 3.0)
            return x * 3.0

        def backward(self, dy: Any) -> Any:
            return dy * getattr(self, name)

    for x in (leaf(1, 2), Tensor([1.0, 2.0])):
        with pytest.raises(RuntimeError, match=f"Greedy set self.{name}, which the graph uses"):
            Greedy.apply(x)


def test_a_changed_list_of_axes_does_not_reach_the_graph() -> None:
    x, axes = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True), [0]
    y = npgrad.flip(x, axes)  # type: ignore[arg-type]
    axes[0] = 1
    y.backward([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert x.grad is not None and x.grad.tolist() == [[4.0, 5.0, 6.0], [1.0, 2.0, 3.0]]


def test_no_grad_does_not_pretend_to_decorate_what_runs_later() -> None:
    def generator() -> Iterator[Tensor]:
        yield leaf(1) * 2

    async def coroutine() -> Tensor:
        return leaf(1) * 2

    for function in (generator, coroutine):
        with pytest.raises(TypeError, match=rf"{function.__name__} is a generator or coroutine.*with"):
            npgrad.no_grad()(function)  # type: ignore[operator]


def test_derivatives_leave_retained_gradients_of_others_alone() -> None:
    p, inner = leaf(1, 2), []
    h = p * p
    h.retain_grad()

    def f(q: Tensor) -> Tensor:
        own = h * q
        own.retain_grad()
        inner.append(own)
        return own.sum()

    assert npgrad.grad(f)(np.ones(2)).tolist() == [1.0, 4.0]
    assert h.grad is None and p.grad is None and inner[0].grad.tolist() == [1.0, 1.0]
    h.sum().backward()
    assert h.grad is not None


# -- two sweeps at once ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("retain", [True, False])
@pytest.mark.parametrize("where", ["leaf", "intermediate"])
def test_a_hook_may_sweep_the_graph_that_is_being_swept_if_it_leaves_it_whole(where: str, retain: bool) -> None:
    p, q = leaf(1, 2), leaf(3, 4)
    h = np.tanh(p) * q
    y = (h * h + h).sum()
    nested = True

    def hook(dy: Any) -> None:
        nonlocal nested
        if nested:
            nested = False
            y.backward(3.0, retain_graph=retain)

    (q if where == "leaf" else h).register_hook(hook)
    if retain:
        y.backward(retain_graph=True)
        t = np.tanh(p.numpy())
        np.testing.assert_allclose(q.grad, 4 * (2 * t * q.numpy() + 1) * t, rtol=1e-14)
        np.testing.assert_allclose(p.grad, 4 * (2 * t * q.numpy() + 1) * q.numpy() * (1 - t**2), rtol=1e-14)
    else:
        with pytest.raises(RuntimeError, match="already freed"):
            y.backward(retain_graph=where == "leaf")
            y.backward()


def test_a_hook_may_sweep_another_graph_on_the_same_leaves() -> None:
    p = leaf(1, 2)
    h = p * p
    h.register_hook(lambda dy: (p * 10).sum().backward())
    h.sum().backward()
    assert p.grad is not None and p.grad.tolist() == [12.0, 14.0]


@pytest.fixture
def impatient() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("impatient")
def test_threads_count_every_gradient_of_a_common_graph() -> None:
    W = Tensor(np.random.default_rng(0).normal(size=(40, 40)) / 7, requires_grad=True)
    h = W
    for _ in range(4):
        h = np.tanh(h @ W + h)
    roots = [h.sum(axis=None) for _ in range(4)]
    done: list[int] = []

    def work(root: Tensor) -> None:
        for _ in range(15):
            root.backward(retain_graph=True)
            np.tanh(Tensor(W.numpy()) @ W).sum().backward()
            done.append(1)

    threads = [threading.Thread(target=work, args=(root,)) for root in roots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 60
    got = W.grad
    W.grad = None
    h.sum().backward(retain_graph=True)
    np.tanh(Tensor(W.numpy()) @ W).sum().backward()
    assert W.grad is not None and got is not None
    np.testing.assert_allclose(got, 60 * W.grad, rtol=1e-9)


# -- errors on the way -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_sweep_that_failed_leaves_nothing_behind(error: type[BaseException]) -> None:
    p, fail = leaf(1, 2), False

    def hook(dy: Any) -> None:
        if fail:
            raise error

    def step() -> Any:
        p.grad = None
        h = p * p
        y = (h * h + np.tanh(h)).sum()
        remove = h.register_hook(hook)
        try:
            y.backward()
        except BaseException:
            assert fail
        remove()
        return p.grad

    want = step().copy()
    for fail in (False, True, False, False, True, True, False):
        got = step()
        assert fail or np.array_equal(got, want)


def test_an_array_given_as_an_option_may_change_before_backward() -> None:
    class Scaled(npgrad.Function):
        def forward(self, x: Any, *, s: Any) -> Any:
            self.s = s
            return x * s

        def backward(self, dy: Any) -> Any:
            return dy * self.s

    x, s = Tensor(np.ones(3), requires_grad=True), np.full(3, 2.0)
    y = Scaled.apply(x, s=s)
    s[:] = 7
    y.backward(np.ones(3))
    assert x.grad is not None and x.grad.tolist() == [2, 2, 2]


def test_a_rule_cannot_replace_what_the_graph_needs() -> None:
    class Needy(npgrad.Function):
        def forward(self, x: Any) -> Any:
            self.needs = False
            return x * 2

    with pytest.raises(RuntimeError, match=r"set self\.needs"):
        Needy.apply(Tensor(1.0, requires_grad=True))


def test_one_switch_in_several_threads() -> None:
    switch = npgrad.no_grad()
    wrong: list[str] = []

    def work() -> None:
        for _ in range(300):
            with switch:
                wrong.extend(["on inside"] * npgrad.is_grad_enabled())
            wrong.extend(["off outside"] * (not npgrad.is_grad_enabled()))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
