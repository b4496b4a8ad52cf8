"""What would be a silently wrong gradient, or number, is an error; where npgrad can, it is right instead."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import Tensor, optim

CHANGED = "changed between forward and backward"
UNDER_WAY = r"while another backward\(\) through it was under way"
RAN_AGAIN = r"has run again since .* was computed from it"


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


@pytest.mark.parametrize("hold", [lambda a: a, lambda a: a[:1], memoryview], ids=["whole", "part", "memoryview"])
@pytest.mark.parametrize("optimised", [False, True])
def test_an_array_handed_out_is_watched_after_an_assignment_too(hold: Callable[[Any], Any], optimised: bool) -> None:
    p = leaf(1, 2)
    optimizer = optim.SGD([p]) if optimised else None
    held = hold(p.data)
    for assign in ("p.data += 1", "p.data = [5.0, 6.0]", "p.data = np.array([7.0, 8.0])"):
        exec(assign)
        y = (p * p).sum()
        held[0] = 100.0
        with pytest.raises(RuntimeError, match=CHANGED):
            y.backward()
    assert optimizer is None or p.data[0] == 100.0


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


@pytest.mark.parametrize("optimised", [False, True])
def test_nothing_is_watched_when_nobody_has_the_array(optimised: bool) -> None:
    p = leaf(1, 2)
    optimizer = optim.SGD([p]) if optimised else None

    def changed() -> float:
        y = (p * p).sum()
        assert p._fingerprint is None
        return y.item()

    p.data += 1
    assert changed() == 13
    p.data = [5.0, 6.0]
    assert changed() == 61
    p.data[0] = 3
    assert changed() == 45
    assert p.data.sum() == 9
    assert changed() == 45
    assert optimizer is None or optimizer.lr > 0


def test_a_part_handed_out_before_there_was_an_optimiser_cannot_falsify_a_gradient() -> None:
    p = leaf(1, 2)
    part = p.data[:1]
    y = (p * p).sum()
    optim.SGD([p])
    part[0] = 100.0
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


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize(
    "read",
    [lambda y: y.numpy(), np.asarray, lambda y: y.data, lambda y: y.detach()],
    ids=["numpy", "asarray", "data", "detach"],
)
def test_numbers_read_in_a_replayed_step_stay_what_they_were(read: Callable[[Tensor], Any], grad: bool) -> None:
    if grad and read is np.asarray:
        read = Tensor.numpy  # np.asarray is refused: it would drop the gradient
    kept = []

    @npgrad.replay
    def step(x: Any) -> Any:
        t = Tensor(x)
        t.requires_grad = grad
        y = np.tanh(t * 1.0)
        kept.append(read(y))
        kept.append(read(Same.apply(y)))
        return read(y)

    returned = [step(np.array([k, k])) for k in (0.0, 1.0, 2.0)]
    expected = np.tanh(np.array([0.0, 1.0, 2.0]))
    assert [np.asarray(x)[0] for x in returned] == expected.tolist()
    assert [np.asarray(x)[0] for x in kept] == expected.repeat(2).tolist()


# -- numbers that have no gradient -------------------------------------------------------------------------------------


def test_a_gradient_is_never_rounded_to_whole_numbers() -> None:
    p = Tensor([1, 2, 3])
    p.requires_grad = True
    with pytest.raises(TypeError, match=r"Mul .*reached input 0, which is int64.*whole numbers"):
        (p * 0.5).sum().backward()

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


@pytest.mark.parametrize("decorate", [lambda f: f, npgrad.replay], ids=["plain", "replayed"])
def test_a_rule_without_return_is_not_a_gradient_of_zero(decorate: Callable[..., Any]) -> None:
    class Forgetful(npgrad.Function):
        def forward(self, x: Any) -> Any:
            return x * 2

        def backward(self, dy: Any) -> Any:
            dy * 2

    p = leaf(1, 2)
    step = decorate(lambda: Forgetful.apply(p).sum().backward())
    for _ in range(3):
        with pytest.raises(RuntimeError, match=r"Forgetful .*returned 0 gradients for 1 input"):
            step()


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


@pytest.mark.parametrize("decorate", [lambda f: f, npgrad.replay], ids=["plain", "replayed"])
@pytest.mark.parametrize("where", ["leaf", "intermediate"])
def test_a_hook_cannot_sweep_the_graph_that_is_being_swept(decorate: Callable[..., Any], where: str) -> None:
    p, q = leaf(1, 2), leaf(3, 4)
    nested = True

    @decorate
    def step() -> None:
        p.grad = q.grad = None
        h = np.tanh(p) * q
        y = (h * h + h).sum()
        remove = (q if where == "leaf" else h).register_hook(
            lambda dy: y.backward(3.0, retain_graph=True) if nested else None
        )
        try:
            y.backward(retain_graph=True)
        finally:
            remove()

    for nested in (False, True, True, False):
        if nested:
            with pytest.raises(RuntimeError, match=UNDER_WAY):
                step()
            continue
        step()
        t = np.tanh(p.numpy())
        h = t * q.numpy()
        np.testing.assert_allclose(q.grad, (2 * h + 1) * t, rtol=1e-14)
        np.testing.assert_allclose(p.grad, (2 * h + 1) * q.numpy() * (1 - t**2), rtol=1e-14)


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
def test_threads_count_every_gradient_or_say_why_not() -> None:
    """Sweeps over common nodes give an error, and what did not give one has been added in full."""
    W = Tensor(np.random.default_rng(0).normal(size=(40, 40)) / 7, requires_grad=True)
    h = W
    for _ in range(4):
        h = np.tanh(h @ W + h)
    roots = [h.sum(axis=None) for _ in range(4)]
    done: list[int] = []
    errors: list[str] = []

    def work(root: Tensor) -> None:
        for _ in range(15):
            own = Tensor(W, requires_grad=True)
            try:
                root.backward(retain_graph=True)
                done.append(1)
            except RuntimeError as error:
                errors.append(str(error))
            np.tanh(own @ W).sum().backward()

    removed: list[float] = []
    total = np.zeros(W.shape)

    def add_up(dy: Any) -> None:
        nonlocal total
        removed.append(1.0)

    h.register_hook(add_up)
    threads = [threading.Thread(target=work, args=(root,)) for root in roots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("under way" in text for text in errors)
    assert len(done) + len(errors) == 60 and len(removed) >= len(done)
    got = W.grad
    W.grad = None
    h.sum().backward(retain_graph=True)
    assert W.grad is not None and got is not None
    shared = W.grad
    W.grad = None
    np.tanh(Tensor(W.numpy()) @ W).sum().backward()
    np.testing.assert_allclose(got, len(done) * shared + 60 * W.grad, rtol=1e-9)


# -- graphs that a replay has run over ---------------------------------------------------------------------------------


def test_a_loss_kept_from_an_earlier_call_is_right_or_refused() -> None:
    W = Tensor(np.random.default_rng(0).normal(size=(2, 2)), requires_grad=True)
    first, second = np.random.default_rng(1).normal(size=(2, 3, 2))
    kept: list[Tensor] = []

    @npgrad.replay
    def step(x: Any, old: Tensor | None = None) -> None:
        h = x @ W
        if old is not None:
            with pytest.raises(RuntimeError, match=RAN_AGAIN):
                old.backward()
        kept.append(np.tanh(h).sum())

    step(first)
    step(first)
    step(second, kept[-1])
    step(second)
    for loss in kept[:-1]:
        W.grad = None
        with pytest.raises(RuntimeError, match=RAN_AGAIN):
            loss.backward()
        assert W.grad is None
    kept[-1].backward()
    got, W.grad = W.grad, None
    np.tanh(Tensor(second) @ W).sum().backward()
    assert np.array_equal(got, W.grad)  # type: ignore[arg-type]


def test_what_was_computed_from_a_replayed_step_is_refused_once_the_step_has_run_again() -> None:
    W = Tensor(np.eye(2), requires_grad=True)
    kept: list[Tensor] = []

    @npgrad.replay
    def step(x: Any) -> None:
        kept.append(np.tanh(x @ W))

    for _ in range(2):
        kept.clear()
        step(np.ones((1, 2)))
    z = (kept.pop() ** 2).sum()
    step(np.zeros((1, 2)))
    with pytest.raises(RuntimeError, match=RAN_AGAIN):
        z.backward()


# -- errors on the way -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decorate", [lambda f: f, npgrad.replay], ids=["plain", "replayed"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_sweep_that_failed_leaves_nothing_behind(decorate: Callable[..., Any], error: type[BaseException]) -> None:
    """Also if the step itself catches the error, so that its recording lives on."""
    p, fail = leaf(1, 2), False

    def hook(dy: Any) -> None:
        if fail:
            raise error

    @decorate
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


def test_a_replayed_step_survives_an_operation_that_fails() -> None:
    p = leaf(1, 2)

    @npgrad.replay
    def step(index: int) -> Any:
        p.grad = None
        try:
            y = p[index] * 2.0
        except IndexError:
            y = p[0] * 3.0
        (y * np.tanh(p)).sum().backward()
        return p.grad

    def plain(index: int) -> Any:
        return step.__wrapped__(index)

    for index in (9, 0, 9, 9, 1, 1, 9):
        assert np.array_equal(step(index), plain(index).copy())
