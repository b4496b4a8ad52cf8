"""Properties over random shapes, axes, layouts and dtypes, the empty and the zero-dimensional included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import npgrad
from npgrad import Tensor
from npgrad.check import gradcheck
from tests.strategies import FLOATS, LAYOUTS, arrays, broadcastable, layouts, seeds, shape_and_axis, shapes

ELEMENTWISE = ["exp", "tanh", "sigmoid", "relu", "sin", "cos", "expm1", "gelu", "silu", "softplus", "elu", "leaky_relu"]
REDUCTIONS = ["sum", "mean", "var", "std", "max", "min", "prod"]
BINARY = ["add", "sub", "mul", "div", "maximum", "minimum"]


def normal(seed: int, shape: Any, dtype: Any = np.float64) -> np.ndarray:
    """Distinct values of size 1, none near 0."""
    rng = np.random.default_rng(seed)
    n = int(np.prod(shape))
    values = (rng.permutation(n) + 1.0) / max(n, 1) * rng.choice([-1.0, 1.0], size=n)
    return values.reshape(shape).astype(dtype)


@given(st.data())
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name: str, data: st.DataObject) -> None:
    f = getattr(npgrad, name)
    dtype = data.draw(FLOATS)
    a = data.draw(arrays(data.draw(shapes(empty=True)), dtype))
    x = Tensor(a, requires_grad=True)
    y = f(x)
    assert y.shape == a.shape and y.dtype == dtype
    y.backward(np.ones(a.shape))
    assert x.grad is not None and x.grad.shape == a.shape and x.grad.dtype == dtype
    # Position does not matter: the gradient of one number alone is the same.
    if a.size:
        one = Tensor(a.flat[-1], requires_grad=True)
        f(one).backward()
        assert np.allclose(one.grad, x.grad.flat[-1], rtol=1e-5)


@given(st.data())
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_are_numpys(name: str, data: st.DataObject) -> None:
    shape, axis = data.draw(shape_and_axis(least=0))
    keepdims = data.draw(st.booleans())
    a = normal(data.draw(seeds), shape)
    theirs, ours = getattr(np, name), getattr(npgrad, name)
    got = ours(Tensor(a), axis=axis, keepdims=keepdims)
    want = theirs(a, axis=axis, keepdims=keepdims)
    assert got.shape == np.shape(want) and np.allclose(got.numpy(), want, rtol=1e-13)
    constant = name == "std" and np.any(np.asarray(want) < 1e-3)
    if not constant:
        gradcheck(lambda t: ours(t, axis=axis, keepdims=keepdims), a)


@given(st.sampled_from(["sum", "prod"]), st.integers(0, 2), st.booleans())
def test_reductions_of_nothing(name: str, axis: int, keepdims: bool) -> None:
    a = np.zeros((2, 0, 3))
    x = Tensor(a, requires_grad=True)
    y = getattr(npgrad, name)(x, axis=axis, keepdims=keepdims)
    want = getattr(np, name)(a, axis=axis, keepdims=keepdims)
    assert np.array_equal(y.numpy(), want)
    y.backward(np.ones(y.shape))
    assert x.grad is not None and x.grad.shape == a.shape


@given(broadcastable(), seeds, seeds)
@pytest.mark.parametrize("name", BINARY)
def test_binary_functions_broadcast(name: str, pair: Any, seed: int, other: int) -> None:
    a, b = normal(seed, pair[0]), normal(other, pair[1]) * 1.37
    f = getattr(npgrad, name)
    assert np.allclose(f(a, b).numpy(), f.__doc__ and getattr(np, NUMPY.get(name, name))(a, b))
    gradcheck(f, [a, b], entries=8)


NUMPY = {"sub": "subtract", "mul": "multiply", "div": "divide"}


@given(hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, max_side=3), seeds)
def test_matmul_in_all_ranks(found: Any, seed: int) -> None:
    a, b = normal(seed, found.input_shapes[0]), normal(seed + 1, found.input_shapes[1])
    y = npgrad.matmul(a, b)
    assert y.shape == found.result_shape and np.allclose(y.numpy(), a @ b)
    gradcheck(npgrad.matmul, [a, b], entries=6)


@given(shapes(1, 3), layouts, layouts, FLOATS, seeds)
def test_layouts_through_a_small_network(shape: Any, one: str, two: str, dtype: Any, seed: int) -> None:
    a, b = normal(seed, shape, dtype), normal(seed + 1, shape, dtype)

    def run(a: Any, b: Any) -> list[Any]:
        x, y = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
        z = npgrad.softmax(npgrad.tanh(x.T * y.T), axis=0)
        npgrad.sum(z * z).backward()
        return [x.grad, y.grad]

    for plain, strange in zip(run(a, b), run(LAYOUTS[one](a), LAYOUTS[two](b)), strict=True):
        assert strange.dtype == dtype and np.allclose(plain, strange, rtol=1e-4, atol=1e-6)


@given(st.data())
def test_indexing_is_numpys(data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 3))
    a = normal(data.draw(seeds), shape)
    index = data.draw(
        st.one_of(
            hnp.basic_indices(shape, allow_newaxis=True),
            hnp.integer_array_indices(shape),
            hnp.arrays(bool, shape),
        )
    )
    x = Tensor(a, requires_grad=True)
    y = x[index]
    assert np.array_equal(y.numpy(), a[index]) and y.shape == a[index].shape
    dy = np.arange(1.0, y.size + 1).reshape(y.shape)
    y.backward(dy)
    want = np.zeros(shape)
    np.add.at(want, index, dy)
    assert np.array_equal(x.grad, want)


@given(shapes(0, 3, empty=True), seeds)
def test_shape_functions_undo_themselves(shape: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = Tensor(rng.normal(size=shape), requires_grad=True)
    axes = tuple(rng.permutation(len(shape)))
    y = npgrad.transpose(npgrad.transpose(x, axes), tuple(np.argsort(axes)))
    z = npgrad.reshape(npgrad.reshape(y, -1), shape)
    assert np.array_equal(z.numpy(), x.numpy())
    dy = rng.normal(size=shape)
    z.backward(dy)
    assert np.array_equal(x.grad, dy)


@given(shapes(2, 2), seeds, st.floats(-100, 100))
def test_softmax_does_not_feel_a_shift(shape: Any, seed: int, shift: float) -> None:
    a = normal(seed, shape)
    assert np.allclose(npgrad.softmax(a).numpy(), npgrad.softmax(a + shift).numpy(), rtol=1e-10)
    g = npgrad.grad(lambda x: npgrad.sum(npgrad.softmax(x) * normal(seed + 1, shape)))(a)
    assert np.allclose(g.sum(axis=-1), 0, atol=1e-14)


@given(st.integers(2, 6), st.integers(1, 4), seeds)
def test_batch_norm_undoes_shift_and_scale(n: int, c: int, seed: int) -> None:
    """So its gradient has no component along either."""
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(size=(n, c)), rng.normal(size=(n, c))
    g = npgrad.grad(lambda t: npgrad.sum(npgrad.batch_norm(t, training=True, eps=0.0) * dy))(x)
    size = np.abs(dy).max() / x.std(axis=0)
    assert np.all(np.abs(g.sum(axis=0)) <= 1e-12 * size * n)
    assert np.all(np.abs((g * (x - x.mean(0))).sum(axis=0)) <= 1e-12 * size * n * np.abs(x).max())


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_of_a_number(name: str) -> None:
    x = Tensor(2.0, requires_grad=True)
    y = getattr(npgrad, name)(x)
    y.backward()
    spread = name in ("var", "std")
    assert y.item() == (0 if spread else 2) and x.grad == (0 if spread else 1) and x.grad.shape == ()
