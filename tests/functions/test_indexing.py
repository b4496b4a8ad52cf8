"""Indexing: NumPy's values for any index, and gradients that add up where a value is read more than once."""

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
from tests.strategies import arrays, shapes


def check_read(read: Callable[[Any], Any], index: Callable[[np.ndarray], Any], x: np.ndarray) -> None:
    """`read` gives NumPy's values; its gradient is what np.add.at adds up, which is slow and surely right."""
    t = Tensor(x, requires_grad=True)
    y = read(t)
    assert np.array_equal(y.numpy(), read(x))
    dy = np.random.default_rng(y.size).normal(size=y.shape)
    y.backward(dy)
    places = index(np.arange(x.size).reshape(x.shape))
    expected = np.zeros(x.size)
    np.add.at(expected, places.ravel(), dy.ravel())
    assert t.grad is not None and t.grad.shape == x.shape
    assert np.allclose(t.grad, expected.reshape(x.shape), rtol=1e-12, atol=1e-14)


@given(st.data())
def test_basic_indices(data: st.DataObject) -> None:
    x = data.draw(arrays(data.draw(shapes(1, empty=True))))
    key = data.draw(hnp.basic_indices(x.shape, allow_newaxis=True))
    check_read(lambda a: a[key], lambda a: np.asarray(a[key]), x)


@given(st.data())
def test_integer_arrays_with_duplicates(data: st.DataObject) -> None:
    x = data.draw(arrays(data.draw(shapes(1))))
    count = data.draw(st.integers(1, x.ndim))
    common = data.draw(shapes(empty=True))
    key = tuple(data.draw(hnp.arrays(np.int64, common, elements=st.integers(-n, n - 1))) for n in x.shape[:count])
    check_read(lambda a: a[key], lambda a: a[key], x)
    check_read(lambda a: a[key[0]], lambda a: a[key[0]], x)


@given(st.data())
def test_arrays_among_slices(data: st.DataObject) -> None:
    x = data.draw(arrays(data.draw(shapes(2))))
    key: list[Any] = []
    for n in x.shape:
        array = hnp.arrays(np.int64, data.draw(st.sampled_from([(), (1,), (3,)])), elements=st.integers(-n, n - 1))
        key.append(data.draw(st.one_of(st.slices(n), array, st.integers(-n, n - 1))))
    if data.draw(st.booleans()):
        key[-1] = Ellipsis
    check_read(lambda a: a[tuple(key)], lambda a: np.asarray(a[tuple(key)]), x)


@given(st.data())
def test_masks(data: st.DataObject) -> None:
    x = data.draw(arrays(data.draw(shapes(empty=True))))
    covered = x.shape[: data.draw(st.integers(0, x.ndim))]
    mask = data.draw(hnp.arrays(np.bool_, covered))
    check_read(lambda a: a[mask], lambda a: a[mask], x)
    check_read(lambda a: a[Tensor(mask) if isinstance(a, Tensor) else mask], lambda a: a[mask], x)
    if covered:
        both = (mask, 0) if len(covered) < x.ndim and x.shape[len(covered)] else (mask,)
        check_read(lambda a: a[both], lambda a: a[both], x)


@given(st.data())
def test_take_along_axis(data: st.DataObject) -> None:
    x = data.draw(arrays(data.draw(shapes(1))))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    shape = [n if data.draw(st.booleans()) else 1 for n in x.shape]
    shape[axis] = data.draw(st.integers(0, 4))
    n = x.shape[axis]
    indices = data.draw(hnp.arrays(np.int64, tuple(shape), elements=st.integers(-n, n - 1)))

    def read(a: Any) -> Any:
        return np.take_along_axis(a, indices, axis=axis)

    check_read(read, read, x)


@given(st.data())
def test_embedding(data: st.DataObject) -> None:
    vocabulary, width = data.draw(st.integers(1, 6)), data.draw(st.integers(0, 4))
    E = data.draw(arrays((vocabulary, width)))
    kind = data.draw(st.sampled_from([np.int64, np.int32, np.uint8, np.int16]))
    indices = data.draw(hnp.arrays(kind, data.draw(shapes(empty=True)), elements=st.integers(0, vocabulary - 1)))
    indices = data.draw(st.sampled_from([indices, np.flip(indices), indices.T]))

    def read(a: Any) -> Any:
        return npgrad.embedding(a, indices) if isinstance(a, Tensor) else a[indices]

    check_read(read, read, E)


def test_embedding_keeps_float32_and_its_nans_apart() -> None:
    E = Tensor(np.ones((5, 2), np.float32), requires_grad=True)
    dy = np.ones((3, 2), np.float32)
    dy[1] = np.nan
    npgrad.embedding(E, np.array([4, 1, 4])).backward(dy)
    assert E.grad is not None and E.grad.dtype == np.float32
    assert np.array_equal(E.grad, [[0, 0], [np.nan, np.nan], [0, 0], [0, 0], [2, 2]], equal_nan=True)


def test_embedding_of_a_large_vocabulary() -> None:
    E = Tensor(np.ones((50_000, 8), np.float32), requires_grad=True)
    indices = np.random.default_rng(0).integers(0, 50_000, size=(16, 64))
    npgrad.embedding(E, indices).sum().backward()
    assert E.grad is not None
    assert np.array_equal(E.grad[:, 3], np.bincount(indices.ravel(), minlength=50_000))


@pytest.mark.parametrize(("wrong", "shown"), [(-1, "-1"), (27, "27"), (10**12, "1000000000000"), (-(2**63), "-9223")])
def test_embedding_names_the_index_that_is_out_of_range(wrong: int, shown: str) -> None:
    E = Tensor(np.zeros((27, 2)), requires_grad=True)
    with pytest.raises(IndexError, match=rf"index {shown}.*vocabulary of 27"):
        npgrad.embedding(E, np.array([[0, 26], [wrong, 1]]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: npgrad.embedding(t, np.array([0.0, 1.0])), TypeError, "must be integers; got float64"),
        (lambda t: npgrad.embedding(t, np.array([True])), TypeError, "got bool"),
        (lambda t: npgrad.embedding(t[0], np.array([0])), ValueError, r"shape \(3,\)"),
        (lambda t: t[0.5], IndexError, "got float of dtype float64"),
        (lambda t: t[Tensor(np.array([1.0]))], IndexError, "got Tensor of dtype float64"),
        (lambda t: t[5], IndexError, "out of bounds"),
        (lambda t: t[np.array([5])], IndexError, "out of bounds"),
        (lambda t: t[0, 0, 0], IndexError, "too many indices"),
        (lambda t: t[np.array([True, False, True])], IndexError, "boolean"),
        (lambda t: np.take_along_axis(t, np.array([[7]]), 1), IndexError, "out of bounds"),
        (lambda t: np.take_along_axis(t, np.array([[0.5]]), 1), IndexError, "integer"),
    ],
)
def test_errors_say_what_is_wrong(call: Callable[[Tensor], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(Tensor(np.zeros((2, 3)), requires_grad=True))


def test_an_index_changed_after_the_forward_pass_does_not_change_the_gradient() -> None:
    for read in (npgrad.embedding, npgrad.getitem):
        t = Tensor(np.zeros((3, 1)), requires_grad=True)
        indices = np.array([0, 1])
        y = read(t, indices).sum()
        indices[:] = 2
        y.backward()
        assert t.grad is not None and np.array_equal(t.grad.ravel(), [1, 1, 0])


def test_lists_and_empty_lists_are_indices() -> None:
    t = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    assert t[[1, 1]].shape == (2, 3)
    assert t[[]].shape == (0, 3)
    assert t[True].shape == (1, 2, 3)
    assert t[[True, False]].shape == (1, 3)
    assert [row.shape for row in t] == [(3,), (3,)]
