"""backward(): what accumulates, what is freed, what is refused, and with which words."""

from __future__ import annotations

import re
import threading
from itertools import combinations
from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import Function, Tensor


class Square(Function):
    """A Function as a user writes it."""

    def forward(self, x: Any) -> Any:
        self.x = x
        return x * x

    def backward(self, dy: Any) -> Any:
        return 2 * self.x * dy


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


@pytest.mark.smoke
def test_a_function_of_ones_own() -> None:
    x = leaf(1.0, -2.0, 3.0)
    Square.apply(x).sum().backward()
    assert np.array_equal(x.grad, [2, -4, 6])


def test_gradients_accumulate_on_leaves() -> None:
    x = leaf(3.0)
    for _ in range(3):
        Square.apply(x).sum().backward()
    assert np.array_equal(x.grad, [18])


def test_a_leaf_used_many_times_gets_every_contribution() -> None:
    x = leaf(2.0)
    y = x * x + x * 3.0 + x
    (y * y).sum().backward()
    assert np.array_equal(x.grad, [2 * 12 * 8.0])


def test_intermediates_keep_gradients_only_on_request() -> None:
    x = leaf(3.0)
    y, z = x * x, x * 2.0
    y.retain_grad()
    (y * z).sum().backward()
    assert np.array_equal(y.grad, [6.0])
    assert z.grad is None


def test_backward_of_a_leaf_adds_to_itself() -> None:
    x = Tensor(2.0, requires_grad=True)
    x.backward()
    x.backward(3.0)
    assert x.grad == 4.0


def test_the_cotangent_is_neither_kept_nor_written() -> None:
    x = leaf(1.0, 2.0)
    dy = np.array([3.0, 4.0])
    (x + 0.0).backward(dy)
    x.grad += 1
    assert np.array_equal(dy, [3, 4])
    y = leaf(0.0, 0.0)
    z = x + y
    z.retain_grad()
    z.backward(dy)
    assert z.grad is not None and np.array_equal(z.grad, dy)
    for a, b in combinations((x.grad, y.grad, z.grad, dy), 2):
        assert not np.shares_memory(a, b)


def test_retain_graph_allows_a_second_sweep() -> None:
    x = leaf(3.0)
    y = Square.apply(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert np.array_equal(x.grad, [12])


def test_hooks_see_replace_and_are_removed() -> None:
    x = leaf(1.0)
    y = x * 2.0
    seen: list[Any] = []
    x.register_hook(seen.append)
    remove = y.register_hook(lambda g: 10 * g)
    y.sum().backward(retain_graph=False)
    assert np.array_equal(seen, [[20.0]])
    assert np.array_equal(x.grad, [20.0])
    remove()
    remove()
    (y2 := x * 2.0).register_hook(lambda g: None)
    y2.sum().backward()
    assert np.array_equal(x.grad, [22.0])


def test_the_hook_of_a_leaf_sees_the_whole_gradient_once() -> None:
    """Clipping the sum to 3 is not the sum of the clipped parts."""
    x = leaf(1.0)
    seen: list[Any] = []

    def clip(g: Any) -> Any:
        seen.append(float(g[0]))
        return np.clip(g, -3, 3)

    x.register_hook(clip)
    (x * 2.0 + x * 3.0).sum().backward()
    assert seen == [5.0] and np.array_equal(x.grad, [3.0])
    (x * 2.0 + x * 3.0).sum().backward()
    assert seen == [5.0, 5.0] and np.array_equal(x.grad, [6.0])


def test_leaves_get_their_hooks_called_in_the_order_the_graph_was_walked() -> None:
    x, y, z = leaf(1.0), leaf(2.0), leaf(3.0)
    seen: list[str] = []
    for name, t in (("x", x), ("y", y), ("z", z)):
        t.register_hook(lambda g, name=name: seen.append(name))
    orders = set()
    for _ in range(5):
        seen.clear()
        (x * y + z).sum().backward()
        orders.add(tuple(seen))
    assert len(orders) == 1 and set(orders.pop()) == {"x", "y", "z"}


def test_hooks_get_a_read_only_view() -> None:
    x = leaf(1.0)

    def spoil(g: Any) -> None:
        g += 1

    x.register_hook(spoil)
    with pytest.raises(ValueError, match="read-only"):
        (x * 2.0).sum().backward()


def test_no_grad_and_enable_grad() -> None:
    x = leaf(2.0)
    with npgrad.no_grad():
        assert not (x * x).requires_grad
        assert not npgrad.is_grad_enabled()
        with npgrad.enable_grad():
            assert (x * x).requires_grad

    @npgrad.no_grad()
    def evaluate() -> Tensor:
        return x * x

    assert not evaluate().requires_grad
    assert not evaluate().requires_grad
    with pytest.raises(KeyError), npgrad.no_grad():
        raise KeyError
    assert npgrad.is_grad_enabled()


def test_grad_mode_is_per_thread() -> None:
    inside, release = threading.Event(), threading.Event()
    found: dict[str, bool] = {}

    def other() -> None:
        with npgrad.no_grad():
            inside.set()
            release.wait(10)
            found["other"] = npgrad.is_grad_enabled()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    found["main"] = npgrad.is_grad_enabled()
    release.set()
    thread.join()
    assert found == {"main": True, "other": False}


def test_threads_differentiate_side_by_side() -> None:
    weights = Tensor(np.random.default_rng(0).normal(size=(20, 20)), requires_grad=False)
    results: dict[int, Any] = {}

    def work(k: int) -> None:
        x = Tensor(np.full(20, float(k)), requires_grad=True)
        for _ in range(50):
            x.grad = None
            npgrad.sum(npgrad.matmul(x, weights) * x).backward()
        results[k] = x.grad

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    both = weights.numpy() + weights.numpy().T
    for k in range(8):
        assert np.allclose(results[k], both @ np.full(20, float(k)))


# -- arrays that change between forward and backward -------------------------------------------------------------------


def assert_change_noticed(act: Any) -> None:
    x = leaf(1.0, 2.0)
    alias = x.data
    y = Square.apply(x).sum()
    act(x, alias)
    with pytest.raises(
        RuntimeError, match=r"Square .* changed between forward and backward.*Change .* after backward\(\)"
    ):
        y.backward()


@pytest.mark.parametrize(
    "act",
    [
        lambda x, alias: x.data.__setitem__(0, 5.0),
        lambda x, alias: alias.__imul__(2),
        lambda x, alias: setattr(x, "data", np.zeros(2)),
        lambda x, alias: setattr(x, "data", x.data + 1),
    ],
    ids=["item", "held alias", "assigned", "assigned sum"],
)
def test_a_changed_leaf_is_noticed(act: Any) -> None:
    assert_change_noticed(act)


def test_a_change_after_backward_is_fine() -> None:
    x = leaf(1.0, 2.0)
    for _ in range(3):
        Square.apply(x).sum().backward()
        x.data -= 0.1 * x.grad
        x.grad = None
    assert np.allclose(x.data, np.array([1.0, 2.0]) * 0.8**3)


def test_raw_operands_are_copied() -> None:
    x = leaf(1.0, 2.0)
    a = np.array([3.0, 4.0])
    y = (x * a).sum()
    a[:] = 100
    y.backward()
    assert np.array_equal(x.grad, [3, 4])


def test_what_a_tensor_was_made_from_is_copied() -> None:
    a = np.array([3.0, 4.0])
    x = Tensor(a, requires_grad=True)
    y = Square.apply(x).sum()
    a[:] = 100
    y.backward()
    assert np.array_equal(x.grad, [6, 8])


def test_values_of_intermediates_are_read_only() -> None:
    y = leaf(1.0) * 2.0
    for view in (y.numpy(), y.data, leaf(1.0).numpy()):
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 1


# -- errors ------------------------------------------------------------------------------------------------------------


class WrongShape(Square):
    def backward(self, dy: Any) -> Any:
        return np.zeros(7)


class TooMany(Square):
    def backward(self, dy: Any) -> Any:
        return dy, dy


class Nothing(Function):
    pass


class OnlyForward(Function):
    def forward(self, x: Any) -> Any:
        return x * 1.0


def freed() -> None:
    y = Square.apply(leaf(1.0)).sum()
    y.backward()
    y.backward()


def freed_below() -> None:
    y = Square.apply(leaf(1.0))
    y.sum().backward()
    (y * 2.0).sum().backward()


def hook_of_another_shape() -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: np.zeros(3))
    x.sum().backward()


ERRORS: dict[str, tuple[Any, type[Exception], list[str]]] = {
    "backward twice": (freed, RuntimeError, ["already freed", "Sum", "retain_graph=True", "test_backward.py:"]),
    "through a freed graph": (freed_below, RuntimeError, ["already freed", "Square", "forward pass again"]),
    "not a scalar": (lambda: leaf(1.0, 2.0).backward(), RuntimeError, ["(2,)", ".sum()", "backward(dy)"]),
    "cotangent of another shape": (
        lambda: Square.apply(leaf(1.0, 2.0)).backward(np.zeros(3)),
        ValueError,
        ["(3,)", "(2,)"],
    ),
    "cotangent that is no number": (lambda: leaf(1.0).backward(["a"]), TypeError, ["numbers", "list"]),
    "nothing requires a gradient": (
        lambda: Tensor([1.0]).sum().backward(),
        RuntimeError,
        ["requires_grad=True", "no_grad()"],
    ),
    "create_graph": (
        lambda: leaf(1.0).backward(create_graph=True),
        NotImplementedError,
        ["create_graph", "npgrad.hvp"],
    ),
    "gradient of a wrong shape": (
        lambda: WrongShape.apply(leaf(1.0, 2.0)).sum().backward(),
        RuntimeError,
        ["WrongShape", "input 0", "(7,)", "(2,)", "test_backward.py:"],
    ),
    "too many gradients": (
        lambda: TooMany.apply(leaf(1.0)).sum().backward(),
        RuntimeError,
        ["TooMany", "2 gradients", "1 input", "one per"],
    ),
    "no forward": (lambda: Nothing.apply(leaf(1.0)), NotImplementedError, ["Nothing", "forward"]),
    "no backward": (
        lambda: OnlyForward.apply(leaf(1.0)).sum().backward(),
        NotImplementedError,
        ["OnlyForward", "backward"],
    ),
    "hook of a wrong shape": (hook_of_another_shape, RuntimeError, ["hook", "(3,)", "(2,)", "None"]),
    "hook without a gradient": (
        lambda: Tensor([1.0]).register_hook(print),
        RuntimeError,
        ["does not require a gradient", "never be called"],
    ),
    "integer with gradient": (lambda: Tensor([1, 2], requires_grad=True), TypeError, ["int64", "np.asarray", "1.0"]),
    "boolean with gradient": (lambda: Tensor([True], requires_grad=True), TypeError, ["bool", "floating-point"]),
    "complex with gradient": (lambda: Tensor([1j], requires_grad=True), TypeError, ["verification", "holomorphic()"]),
    "text": (lambda: Tensor("word"), TypeError, ["str", "numeric"]),
    "objects": (lambda: Tensor([None, 1.0]), TypeError, ["object", "numeric"]),
    "item of many": (lambda: leaf(1.0, 2.0).item(), ValueError, ["(2,)", "one element"]),
    "data of an intermediate": (
        lambda: setattr(leaf(1.0) * 2.0, "data", 1.0),
        RuntimeError,
        ["computed (Mul)", "leaves", "detach()"],
    ),
    "data of another shape": (lambda: setattr(leaf(1.0), "data", np.zeros(3)), ValueError, ["(3,)", "(1,)"]),
    "copy of an intermediate": (
        lambda: (leaf(1.0) * 2.0).copy(),
        RuntimeError,
        ["Mul", "copied or pickled", "detach()"],
    ),
    "item assignment": (
        lambda: leaf(1.0).__setitem__(0, 1.0),
        TypeError,
        ["in place", "npgrad.where", "t.data[index]"],
    ),
    "silent array": (lambda: np.asarray(leaf(1.0)), TypeError, ["drop the gradient", ".numpy()", ".detach()"]),
    "unsupported ufunc": (
        lambda: np.frexp(leaf(0.5)),
        TypeError,
        ["np.frexp", "no gradient rule", "np.frexp(t.numpy())"],
    ),
    "ufunc method": (lambda: np.add.reduce(leaf(1.0)), TypeError, ["np.add.reduce", "no gradient rule"]),
    "ufunc option": (lambda: np.add(leaf(1.0), 1.0, where=np.array([True])), TypeError, ["np.add", "where="]),
    "unsupported function": (lambda: np.linalg.eig(leaf(1.0)), TypeError, ["np.linalg.eig", "no gradient rule"]),
    "option of a function": (lambda: np.sum(leaf(1.0), out=np.zeros(())), TypeError, ["np.sum", "out="]),
    "out=": (lambda: np.exp(leaf(1.0), out=np.zeros(1)), TypeError, ["np.exp", "out="]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_and_what_to_do(name: str) -> None:
    act, kind, words = ERRORS[name]
    with pytest.raises(kind) as raised:
        act()
    for word in words:
        assert word in str(raised.value), f"{word!r} is not in: {raised.value}"


def test_errors_point_to_the_line_of_the_user() -> None:
    x = leaf(1.0, 2.0)
    y = WrongShape.apply(x)  # this line
    with pytest.raises(RuntimeError) as raised:
        y.sum().backward()
    line = re.search(r"test_backward\.py:(\d+)", str(raised.value))
    assert line is not None
    with open(__file__, encoding="utf-8") as file:
        assert "# this line" in file.readlines()[int(line.group(1)) - 1]


def test_a_failed_backward_leaves_no_half_gradient_behind() -> None:
    """The next step starts clean: nothing of the failed sweep may be added to it."""
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError):
        WrongShape.apply(x * 1.0).sum().backward()
    assert x.grad is None
    Square.apply(x).sum().backward()
    assert np.array_equal(x.grad, [2, 4])


@pytest.mark.parametrize("retain", [True, False])
def test_what_had_arrived_when_a_sweep_failed_is_forgotten(retain: bool) -> None:
    """Also on nodes it had not reached, which another sweep may pass through."""
    x = leaf(1.0, 2.0)
    shared = x * 2.0
    left, right = shared * 3.0, shared * 4.0

    def fail(g: Any) -> None:
        raise KeyError("stop")

    remove = left.register_hook(fail)
    loss = (left + right).sum()
    with pytest.raises(KeyError):
        loss.backward(retain_graph=retain)
    remove()
    assert x.grad is None
    (loss if retain else (shared * 7.0).sum()).backward()
    assert np.array_equal(x.grad, [14, 14])


@pytest.mark.parametrize("f", [npgrad.mul, npgrad.sub, npgrad.div, npgrad.pow, npgrad.maximum])
def test_numbers_too_can_be_differentiated_twice(f: Any) -> None:
    a, b = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
    y = f(a, b) * npgrad.tanh(a)
    y.backward(retain_graph=True)
    first = [a.grad.copy(), b.grad.copy()]
    y.backward()
    assert [a.grad, b.grad] == [2 * g for g in first]
