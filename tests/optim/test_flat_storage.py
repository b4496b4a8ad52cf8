"""Parameters in one array: what a user sees of it is nothing."""

import copy
import pickle
import weakref
from sys import getrefcount

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad import Tensor, optim

NAMES = ["SGD", "Adam", "AdamW"]


def three(rng: np.random.Generator) -> list[Tensor]:
    return [Tensor(rng.normal(size=shape), requires_grad=True) for shape in [(2, 3), (4,), (3, 2)]]


def give_gradients(parameters: list[Tensor], rng: np.random.Generator) -> None:
    for p in parameters:
        p.grad = rng.normal(size=p.shape)


def test_parameters_share_one_array() -> None:
    parameters = three(np.random.default_rng(0))
    values = [p.numpy().copy() for p in parameters]
    optimizer = optim.SGD(parameters)
    (_, flat), *others = optimizer._parts
    assert not others
    for p, value in zip(parameters, values, strict=True):
        assert np.shares_memory(p.numpy(), flat.data)
        assert np.array_equal(p.numpy(), value)


def test_dtypes_are_kept_apart() -> None:
    a = Tensor(np.ones(3, np.float32), requires_grad=True)
    b = Tensor(np.ones(2), requires_grad=True)
    optimizer = optim.SGD([a, b], lr=0.5)
    a.grad, b.grad = np.ones(3, np.float32), np.ones(2)
    optimizer.step()
    assert a.dtype == np.float32 and b.dtype == np.float64
    assert np.array_equal(a.numpy(), np.full(3, 0.5)) and np.array_equal(b.numpy(), np.full(2, 0.5))


@pytest.mark.parametrize("layout", ["fortran", "reversed", "sliced", "readonly"])
def test_gradients_of_any_layout(layout: str) -> None:
    g = np.arange(6.0).reshape(2, 3)
    laid_out = {
        "fortran": np.asfortranarray(g),
        "reversed": g[::-1, ::-1].copy()[::-1, ::-1],
        "sliced": np.repeat(g, 2, axis=1)[:, ::2],
        "readonly": g.copy(),
    }[layout]
    laid_out.flags.writeable = False
    p = Tensor(np.asfortranarray(np.ones((2, 3))), requires_grad=True)
    optimizer = optim.SGD([p], lr=1.0)
    p.grad = laid_out
    optimizer.step()
    assert np.array_equal(p.numpy(), 1 - g)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_gradient_nothing_moves(name: str) -> None:
    parameters = three(np.random.default_rng(1))
    optimizer = getattr(optim, name)(parameters, lr=0.1, weight_decay=0.5)
    for present in ([], [0], [1], [2], [0, 2], [0, 1], [1, 2]):
        before = [(p.numpy().copy(), p._version) for p in parameters]
        optimizer.zero_grad()
        for k in present:
            parameters[k].grad = np.full(parameters[k].shape, 2.0)
        optimizer.step()
        for k, (p, (value, version)) in enumerate(zip(parameters, before, strict=True)):
            moved = not np.array_equal(p.numpy(), value)
            assert moved == (k in present)
            assert (p._version != version) == (k in present)


def test_a_step_between_forward_and_backward_is_noticed() -> None:
    p = Tensor(np.ones(3), requires_grad=True)
    optimizer = optim.SGD([p])
    loss = (p * p).sum()
    p.grad = np.ones(3)
    optimizer.step()
    with pytest.raises(RuntimeError, match="changed between forward and"):
        loss.backward()


@pytest.mark.parametrize("name", NAMES)
def test_assigning_data_reaches_the_optimiser(name: str) -> None:
    rng = np.random.default_rng(2)
    parameters = three(rng)
    optimizer = getattr(optim, name)(parameters, lr=0.1)
    parameters[1].data = np.full(4, 7.0)
    parameters[0].data += 1.0
    expected = [p.numpy().copy() for p in parameters]
    fresh = [Tensor(a, requires_grad=True) for a in expected]
    other = getattr(optim, name)(fresh, lr=0.1)
    for p, q in zip(parameters, fresh, strict=True):
        p.grad = q.grad = rng.normal(size=p.shape)
    optimizer.step()
    other.step()
    for p, q in zip(parameters, fresh, strict=True):
        assert np.array_equal(p.numpy(), q.numpy())


def test_two_optimisers_may_take_turns() -> None:
    p = Tensor(np.zeros(2), requires_grad=True)
    first, second = optim.SGD([p], lr=1.0), optim.SGD([p], lr=10.0)
    p.grad = np.ones(2)
    for optimizer in (first, second, second, first, second):
        optimizer.step()
    assert np.array_equal(p.numpy(), np.full(2, -32.0))
    p.data[0] = 5.0
    first.step()
    p.data[1] = 6.0
    assert np.array_equal(p.numpy(), [4.0, 6.0])


def test_an_array_taken_before_cannot_be_written_to_in_vain() -> None:
    p = Tensor(np.zeros(2), requires_grad=True)
    old = p.data
    optim.SGD([p])
    with pytest.raises(ValueError, match="read-only"):
        old[0] = 1.0
    p.data[0] = 1.0
    assert p.numpy()[0] == 1.0


def test_a_replaced_array_of_another_shape_is_an_error() -> None:
    p = Tensor(np.zeros(2), requires_grad=True)
    optimizer = optim.SGD([p])
    p._data = np.zeros(3)
    p.grad = np.zeros(3)
    with pytest.raises(RuntimeError, match=r"had shape \(2,\).*Make a new optimiser"):
        optimizer.step()


def test_a_gradient_of_another_shape_is_an_error() -> None:
    p, q = Tensor(np.zeros((2, 3)), requires_grad=True), Tensor(np.zeros(1), requires_grad=True)
    optimizer = optim.SGD([p, q])
    for other in (np.zeros(1), None):
        p.grad, q.grad = np.zeros((3, 2)), other
        with pytest.raises(ValueError, match=r"\(2, 3\) has a gradient of shape \(3, 2\)"):
            optimizer.step()


@given(st.lists(st.lists(st.sampled_from(["slot", "own", "none"]), min_size=3, max_size=3), max_size=8), st.data())
def test_gradients_that_are_already_in_place(steps: list[list[str]], data: st.DataObject) -> None:
    rng = np.random.default_rng(4)
    parameters = three(rng)
    copies = [p.copy() for p in parameters]
    optimizer, other = (
        optim.SGD(group, lr=0.1, momentum=0.5, weight_decay=0.1, nesterov=True) for group in (parameters, copies)
    )
    ((_, flat),) = optimizer._parts
    held: list[tuple[np.ndarray, bytes]] = []
    for places in steps:
        for p, q, place in zip(parameters, copies, places, strict=True):
            q.grad = None if place == "none" else rng.normal(size=p.shape)
            p.grad = None if q.grad is None else q.grad.copy()
            assert p._slot is not None
            # As replay does: only a slot that nobody looks at is written to.
            if place == "slot" and getrefcount(p._slot) <= 3:
                p._slot[...] = q.grad
                p.grad = p._slot
        optimizer.step()
        other.step()
        for p, q in zip(parameters, copies, strict=True):
            assert np.array_equal(p.numpy(), q.numpy())
            assert q.grad is None or np.array_equal(p.grad, q.grad)
            if p.grad is not None and data.draw(st.booleans()):
                part = p.grad[-1:] if data.draw(st.booleans()) else p.grad
                held.append((part, part.tobytes()))
            p.grad = None
        for array, then in held:
            assert array.tobytes() == then
    assert flat.slots[0] is parameters[0]._slot


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies_are_complete_and_independent(name: str, how: str) -> None:
    rng = np.random.default_rng(6)
    parameters = three(rng)
    optimizer = getattr(optim, name)(parameters, lr=0.1)
    give_gradients(parameters, rng)
    optimizer.step()
    together = (parameters, optimizer)
    twins, twin = copy.deepcopy(together) if how == "deepcopy" else pickle.loads(pickle.dumps(together))
    for p, q in zip(parameters, twins, strict=True):
        assert not np.shares_memory(p.numpy(), q.numpy())
        p.grad = rng.normal(size=p.shape)
        q.grad = p.grad.copy()
    before = [p.numpy().copy() for p in parameters]
    twin.step()
    assert all(np.array_equal(p.numpy(), value) for p, value in zip(parameters, before, strict=True))
    optimizer.step()
    assert all(np.array_equal(p.numpy(), q.numpy()) for p, q in zip(parameters, twins, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_large_parameters_are_updated_alone_and_in_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    shapes = [(2,), (3,), (7, 5), (2, 2), (0,), (23,), (1,)]
    start = [rng.normal(size=shape) for shape in shapes]
    gradients: list[list[np.ndarray | None]]
    gradients = [[np.asarray(rng.normal(size=shape), order="CF"[k % 2]) for shape in shapes] for k in range(6)]
    gradients[2][3] = gradients[3][3] = None

    def train() -> tuple[list[bytes], int]:
        parameters = [Tensor(a, requires_grad=True) for a in start]
        optimizer = getattr(optim, name)(parameters, lr=0.1, weight_decay=0.1)
        for now in gradients:
            for p, g in zip(parameters, now, strict=True):
                p.grad = g
            optimizer.step()
        blocks = [block for run in optimizer._parts[0][1]._all for block in run.blocks]
        return [p.numpy().tobytes() for p in parameters], len(blocks)

    whole, one = train()
    monkeypatch.setattr("npgrad.optim.flat.LARGE", 20)
    monkeypatch.setattr("npgrad.optim.flat.BLOCK", 8)
    pieces, many = train()
    # Numbers per run: 2+3, 35, 4+0, 23, 1.
    assert (one, many) == (1, 1 + 5 + 1 + 3 + 1)
    assert pieces == whole


def test_gradients_are_not_held_on_to() -> None:
    p = Tensor(np.zeros(4), requires_grad=True)
    optimizer = optim.SGD([p])
    p.grad = np.ones(4)
    gone = weakref.ref(p.grad)
    optimizer.step()
    p.grad = None
    assert gone() is None
