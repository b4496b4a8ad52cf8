"""Tensors as values: copies, pickles, how they print, how they compare, what NumPy may do with them."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import npgrad
from npgrad import Tensor


@pytest.fixture
def x() -> Tensor:
    t = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    t.grad = np.ones((2, 3))
    return t


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t)), Tensor.copy])
def test_leaves_are_copied_with_their_gradient(x: Tensor, clone: object) -> None:
    x.register_hook(lambda g: None)
    y = clone(x)
    assert np.array_equal(y.numpy(), x.numpy()) and np.array_equal(y.grad, x.grad)
    assert y.requires_grad and y.is_leaf and type(y) is Tensor
    assert not np.shares_memory(y._array, x._array) and not np.shares_memory(y.grad, x.grad)
    (y * y).sum().backward()
    assert np.array_equal(x.grad, np.ones((2, 3)))


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, pickle.dumps])
def test_intermediates_are_not(x: Tensor, clone: object) -> None:
    with pytest.raises(RuntimeError, match=r"Mul is part of a graph.*copied or pickled.*numpy.*detach"):
        clone(x * x)


def test_deepcopy_keeps_shared_tensors_shared(x: Tensor) -> None:
    a, b = copy.deepcopy([x, x])
    assert a is b and a is not x


def test_repr_names_shape_dtype_and_maker(x: Tensor) -> None:
    assert repr(x).endswith("shape=(2, 3), dtype=float64, requires_grad=True)")
    assert repr(x * x).endswith("shape=(2, 3), dtype=float64, made by Mul)")
    assert repr(Tensor(np.float32(1.5))) == "Tensor(1.5, shape=(), dtype=float32)"
    assert len(repr(Tensor(np.zeros((100, 100))))) < 1000
    assert "shape=(0, 2)" in repr(Tensor(np.zeros((0, 2))))


def test_repr_html_is_escaped(x: Tensor) -> None:
    text = (x * x)._repr_html_()
    assert "made by Mul" in text and "<pre>" in text and "Tensor" in text
    assert text.count("<div>") == text.count("</div>") == 1


@pytest.mark.parametrize("value", [1, 1.5, True, [1, 2], [[1.0], [2.0]], (), np.float32(2), np.arange(3), range(3)])
def test_what_a_tensor_is_made_of(value: object) -> None:
    t, a = Tensor(value), np.asarray(value)
    assert t.shape == a.shape and t.dtype == a.dtype and np.array_equal(t.numpy(), a)
    assert (t.ndim, t.size) == (a.ndim, a.size)


def test_a_tensor_of_a_tensor_is_a_copy(x: Tensor) -> None:
    y = Tensor(x)
    assert not y.requires_grad and not np.shares_memory(y._array, x._array)


def test_numbers(x: Tensor) -> None:
    assert float(Tensor(2.5)) == 2.5 and int(Tensor(2)) == 2 and bool(Tensor(0.0)) is False
    assert type(Tensor(np.float32(2.5)).item()) is float
    assert len(x) == 2 and [row.shape for row in x] == [(3,), (3,)]
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x)


def test_comparisons_are_arrays(x: Tensor) -> None:
    a = x.numpy()
    for got, want in [
        (x > 2, a > 2),
        (x >= 2, a >= 2),
        (x < 2, a < 2),
        (x <= 2, a <= 2),
        (x == 2, a == 2),
        (x != 2, a != 2),
    ]:
        assert type(got) is np.ndarray and np.array_equal(got, want)
    assert {x: 1}[x] == 1


def test_iteration_has_gradients(x: Tensor) -> None:
    x.grad = None
    first, second = x
    (first * 2.0 + second * 3.0).sum().backward()
    assert np.array_equal(x.grad, [[2] * 3, [3] * 3])


def test_arrays_of_tensors_without_gradient() -> None:
    t = Tensor([1.0, 2.0])
    assert np.array_equal(np.asarray(t), [1, 2]) and np.asarray(t, dtype=np.float32).dtype == np.float32
    a = np.array(t)
    a[0] = 9
    assert np.array_equal(t.numpy(), [1, 2])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_python_numbers_are_weak(dtype: type) -> None:
    x = Tensor(np.ones(3, dtype), requires_grad=True)
    for y in (x * 2.0, 2 * x, x + 1, 1.0 - x, x / 3, 3 / x, x**2, 2.0**x, -x):
        assert y.dtype == dtype
        x.grad = None
        y.sum().backward()
        assert x.grad is not None and x.grad.dtype == dtype


def test_mixed_precision_gives_each_its_own_dtype() -> None:
    a = Tensor(np.ones(3, np.float32), requires_grad=True)
    b = Tensor(np.ones(3, np.float64), requires_grad=True)
    y = a * b
    assert y.dtype == np.float64
    y.sum().backward()
    assert a.grad is not None and a.grad.dtype == np.float32
    assert b.grad is not None and b.grad.dtype == np.float64


def test_integers_take_part_without_gradient() -> None:
    n = Tensor([1, 2, 3])
    x = Tensor(np.ones(3), requires_grad=True)
    (x * n).sum().backward()
    assert np.array_equal(x.grad, [1, 2, 3]) and n.grad is None
    assert (n + 1).dtype == n.dtype


def test_operators_and_methods_are_the_functions(rng: np.random.Generator) -> None:
    a = rng.uniform(0.5, 2, size=(3, 3))
    x = Tensor(a)
    for got, want in [
        (x + a, a + a), (a + x, a + a), (x - 1, a - 1), (1 - x, 1 - a), (x * a, a * a), (a * x, a * a),
        (x / 2, a / 2), (2 / x, 2 / a), (x**3, a**3), (2**x, 2**a), (x @ a, a @ a), (a @ x, a @ a), (-x, -a), (+x, a),
        (abs(-x), a), (x[1:], a[1:]), (x.T, a.T), (x.exp(), np.exp(a)), (x.log(), np.log(a)), (x.sqrt(), np.sqrt(a)),
        (x.tanh(), np.tanh(a)), (x.sum(1), a.sum(1)), (x.mean(0), a.mean(0)), (x.var(0, 1), a.var(0, ddof=1)),
        (x.std(), a.std()), (x.max(0), a.max(0)), (x.min(1, True), a.min(1, keepdims=True)),
        (x.reshape(9), a.reshape(9)), (x.reshape(1, -1), a.reshape(1, 9)), (x.reshape((3, 3)), a),
        (x.transpose(), a.T), (x.transpose(1, 0), a.T), (x.transpose((0, 1)), a),
    ]:  # fmt: skip
        assert isinstance(got, Tensor) and np.allclose(got.numpy(), want, rtol=1e-14)


def test_public_names_exist() -> None:
    for name in ("Tensor", "Function", "no_grad", "enable_grad", "grad", "jvp", "hvp", "holomorphic", "nn", "check"):
        assert hasattr(npgrad, name)
