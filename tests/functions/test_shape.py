"""Shape functions: they move values, so values are NumPy's, gradients the adjoint move, and views stay views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import npgrad
from npgrad import Tensor
from tests.strategies import arrays, seeds, shape_and_axis, shapes


def check_move(f: Callable[[Any], Any], x: np.ndarray) -> None:
    """f, a NumPy function called through its protocol, gives NumPy's values and the adjoint of what it does.

    A move is linear, so <dy, f(v)> = <dx, v> for every v; with small integers both sides are exact.
    """
    t = Tensor(x, requires_grad=True)
    y = f(t)
    assert isinstance(y, Tensor)
    assert np.array_equal(y.numpy(), f(x))
    rng = np.random.default_rng(y.size)
    dy = rng.integers(-9, 10, size=y.shape).astype(x.dtype)
    v = rng.integers(-9, 10, size=x.shape).astype(x.dtype)
    y.backward(dy)
    assert t.grad is not None and t.grad.dtype == t.dtype
    assert np.sum(dy * f(v)) == np.sum(t.grad * v)


@given(st.data())
def test_reshape_and_ravel(data: st.DataObject) -> None:
    x = data.draw(arrays(data.draw(shapes(empty=True))))
    shape = data.draw(st.permutations((*x.shape, 1)))
    check_move(lambda a: np.reshape(a, shape), x)
    check_move(np.ravel, x)
    if x.size:
        check_move(lambda a: np.reshape(a, (-1, x.shape[0] if x.ndim else 1)), x)
        assert Tensor(x).reshape(1, -1).shape == (1, x.size)


@given(st.data())
def test_orders_of_axes(data: st.DataObject) -> None:
    x = data.draw(arrays(data.draw(shapes(1, empty=True))))
    axis = st.integers(-x.ndim, x.ndim - 1)
    axes = [a - x.ndim * data.draw(st.booleans()) for a in data.draw(st.permutations(range(x.ndim)))]
    first, second = data.draw(axis), data.draw(axis)
    check_move(lambda a: np.transpose(a, axes), x)
    check_move(np.transpose, x)
    check_move(lambda a: np.swapaxes(a, first, second), x)
    check_move(lambda a: np.moveaxis(a, first, second), x)
    places = data.draw(st.permutations(range(x.ndim)))
    check_move(lambda a: np.moveaxis(a, axes[:2], places[: len(axes[:2])]), x)


@given(st.data())
def test_axes_of_length_one_come_and_go(data: st.DataObject) -> None:
    x = data.draw(arrays(data.draw(shapes())))
    places = data.draw(hnp.valid_tuple_axes(x.ndim + 2, min_size=2, max_size=2))
    check_move(lambda a: np.expand_dims(a, places), x)
    check_move(lambda a: np.expand_dims(a, places[0] % (x.ndim + 1)), x)
    check_move(np.squeeze, x)
    wide = npgrad.expand_dims(x, places)
    assert npgrad.squeeze(wide, places).shape == x.shape


@given(st.data())
def test_broadcast_to(data: st.DataObject) -> None:
    x = data.draw(arrays(data.draw(shapes())))
    shape = data.draw(hnp.broadcastable_shapes(x.shape, max_dims=x.ndim + 2, min_side=0, max_side=3))
    target = np.broadcast_shapes(x.shape, shape)
    check_move(lambda a: np.broadcast_to(a, target), x)


@given(shape_and_axis(), st.data())
def test_flip(shape_axis: Any, data: st.DataObject) -> None:
    shape, axis = shape_axis
    check_move(lambda a: np.flip(a, axis), data.draw(arrays(shape)))


@given(st.data())
def test_pad(data: st.DataObject) -> None:
    x = data.draw(arrays(data.draw(shapes(1, empty=True))))
    pair = st.tuples(st.integers(0, 3), st.integers(0, 3))
    widths = data.draw(st.one_of(st.integers(0, 3), pair, st.tuples(*[pair] * x.ndim)))
    check_move(lambda a: np.pad(a, widths), x)
    check_move(lambda a: np.pad(a, widths, mode="constant", constant_values=0), x)
    assert np.array_equal(np.pad(Tensor(x), widths, constant_values=2).numpy(), np.pad(x, widths, constant_values=2))


@given(st.data())
def test_concatenate_then_split_is_the_identity(data: st.DataObject) -> None:
    shape = list(data.draw(shapes(1)))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    lengths = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    parts = []
    for n in lengths:
        shape[axis] = n
        parts.append(Tensor(data.draw(arrays(tuple(shape))), requires_grad=True))
    whole = np.concatenate(parts, axis=axis)
    assert np.array_equal(whole.numpy(), np.concatenate([p.numpy() for p in parts], axis))
    pieces = np.split(whole, np.cumsum(lengths)[:-1], axis=axis)
    assert isinstance(pieces, list)
    for k, (part, piece) in enumerate(zip(parts, pieces, strict=True)):
        assert np.array_equal(part.numpy(), piece.numpy())
        (piece * float(k + 1)).sum().backward(retain_graph=True)
    for k, part in enumerate(parts):
        assert np.array_equal(part.grad, np.full(part.shape, k + 1.0))


@given(st.data())
def test_stack(data: st.DataObject) -> None:
    shape = data.draw(shapes(empty=True))
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    x, other = np.random.default_rng(data.draw(seeds)).normal(size=(2, *shape))
    check_move(lambda a: np.stack([a, a * 0, -a], axis), x)
    assert np.array_equal(np.stack([Tensor(x), other], axis).numpy(), np.stack([x, other], axis))


def test_the_same_tensor_twice_gets_both_gradients() -> None:
    x = np.arange(6.0).reshape(2, 3)
    check_move(lambda a: np.concatenate([a, a]), x)
    check_move(lambda a: np.concatenate([a, -a], axis=None), x)
    check_move(np.stack, x)


def test_split_into_equal_sections() -> None:
    x = np.arange(12.0).reshape(2, 6)
    for k in range(3):
        check_move(lambda a, k=k: np.split(a, 3, axis=1)[k], x)
    assert [piece.shape for piece in npgrad.split(np.zeros((0, 2)), 2)] == [(0, 2), (0, 2)]


def test_results_are_views_where_numpy_makes_views() -> None:
    t = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    for f in (
        lambda a: npgrad.reshape(a, (3, 2)), npgrad.transpose, npgrad.flip, lambda a: npgrad.broadcast_to(a, (4, 2, 3)),
        lambda a: npgrad.expand_dims(a, 0), lambda a: npgrad.swapaxes(a, 0, 1), lambda a: npgrad.split(a, 2)[1],
    ):  # fmt: skip
        assert np.shares_memory(f(t)._array, t._array)


VIEWS: list[Callable[[Any], Tensor]] = [
    lambda a: npgrad.reshape(a, 3), npgrad.transpose, npgrad.flip, lambda a: npgrad.broadcast_to(a, (3,)),
    lambda a: npgrad.getitem(a, slice(None)),
]  # fmt: skip


@pytest.mark.parametrize("view", VIEWS)
def test_changing_what_a_view_shows_never_changes_a_gradient(view: Callable[[Any], Tensor]) -> None:
    w = Tensor(np.ones(3), requires_grad=True)
    array = np.arange(3.0)
    y = (w * view(array)).sum()
    array[:] = 100
    y.backward()
    assert w.grad is not None and np.array_equal(np.sort(w.grad), [0, 1, 2])

    x = Tensor(np.arange(3.0), requires_grad=True)
    with npgrad.no_grad():
        shown = view(x)
    y = (w * shown).sum()
    x.data[:] = 100
    w.grad = None
    y.backward()
    assert w.grad is not None and np.array_equal(np.sort(w.grad), [0, 1, 2])

    y = (w * view(x)).sum()
    x.data[:] = 7
    with pytest.raises(RuntimeError, match="changed between forward and backward"):
        y.backward()


def test_mixed_dtypes_give_each_its_own_back() -> None:
    a, b = Tensor(np.ones(2, np.float32), requires_grad=True), Tensor(np.ones(3), requires_grad=True)
    y = npgrad.concatenate([a, b, [1, 2]])
    assert y.dtype == np.float64
    y.sum().backward()
    assert a.grad is not None and a.grad.dtype == np.float32
    assert b.grad is not None and b.grad.dtype == np.float64


T = Tensor(np.zeros((2, 3)), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: npgrad.reshape(T, (4, -1)), ValueError, "size 6"),
        (lambda: npgrad.squeeze(T, 0), ValueError, r"axis 0 of shape \(2, 3\)"),
        (lambda: npgrad.transpose(T, (0, 0)), ValueError, "repeated"),
        (lambda: npgrad.transpose(T, (0, 5)), IndexError, "out of bounds"),
        (lambda: npgrad.moveaxis(T, (0, 1), 0), ValueError, "2 source and 1 destination"),
        (lambda: npgrad.split(T, 2, axis=1), ValueError, "length 3 cannot be split into 2"),
        (lambda: npgrad.split(T, 0), ValueError, "into 0"),
        (lambda: npgrad.concatenate([]), ValueError, "at least one tensor"),
        (lambda: npgrad.stack(t for t in T), ValueError, "sequence"),
        (lambda: npgrad.concatenate([T, T[:, :2]]), ValueError, "size 2"),
        (lambda: npgrad.stack([T, T[:, :2]]), ValueError, "same shape"),
        (lambda: np.pad(T, 1, mode="linear_ramp"), NotImplementedError, "'linear_ramp'"),
        (lambda: np.pad(T, 1, constant_values=(1, 2)), NotImplementedError, r"constant_values=\(1, 2\)"),
        (lambda: npgrad.pad(T, -1), ValueError, "negative; got -1"),
        (lambda: npgrad.pad(T, 0.5), TypeError, "must be integers; got 0.5"),
        (lambda: npgrad.broadcast_to(T, (2, 4)), ValueError, "broadcast"),
    ],
)
def test_errors_say_what_is_wrong(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_numbers_are_arrays_without_axes() -> None:
    assert npgrad.reshape(3.0, (1, 1)).shape == (1, 1)
    assert npgrad.ravel(3.0).shape == npgrad.expand_dims(3.0, 0).shape == npgrad.getitem(3.0, None).shape == (1,)
    assert npgrad.transpose(3.0).shape == npgrad.pad(3.0, 1).shape == npgrad.flip(3.0).shape == ()
