"""Operators: in place on leaves and on results, numbers of every kind, and what is refused."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import Tensor, nn

A = np.array([[2.0, 0.5], [1.0, 3.0]])
IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "+=": operator.iadd,
    "-=": operator.isub,
    "*=": operator.imul,
    "/=": operator.itruediv,
    "//=": operator.ifloordiv,
    "**=": operator.ipow,
    "@=": operator.imatmul,
}
NUMBERS: list[Any] = [2, 2.0, True, np.float32(2), np.float64(2), np.int64(2), np.sqrt(4.0), np.array(2.0), np.bool_(1)]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_on_a_leaf_that_requires_a_gradient_raises(name: str) -> None:
    q = Tensor(A, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"leaf of shape \(2, 2\).*q\.data -= .*no_grad\(\)"):
        IN_PLACE[name](q, A)
    assert np.array_equal(q.numpy(), A) and q.grad is None


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_under_no_grad_changes_the_array(name: str) -> None:
    q = Tensor(A, requires_grad=True)
    q.grad = np.ones((2, 2))
    memory = q.numpy()
    with npgrad.no_grad():
        p = IN_PLACE[name](q, A)
    want = IN_PLACE[name](A.copy(), A)
    assert p is q and q.requires_grad and q.is_leaf and np.array_equal(q.grad, np.ones((2, 2)))
    assert np.allclose(q.numpy(), want) and np.shares_memory(memory, q.numpy())


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("kind", ["constant", "result"])
def test_in_place_elsewhere_makes_a_new_tensor(name: str, kind: str) -> None:
    x = Tensor(A, requires_grad=True)
    q = first = Tensor(A) if kind == "constant" else x * 1.0
    q = IN_PLACE[name](q, A)
    assert q is not first and np.array_equal(first.numpy(), A)
    assert np.allclose(q.numpy(), IN_PLACE[name](A.copy(), A)) and q.requires_grad == (kind == "result")


def test_in_place_between_forward_and_backward_is_noticed() -> None:
    q = Tensor(A, requires_grad=True)
    loss = (q * q).sum()
    with npgrad.no_grad():
        q -= 1.0
    with pytest.raises(RuntimeError, match="changed between forward and backward"):
        loss.backward()


def test_in_place_changes_the_array_that_others_hold() -> None:
    q = Tensor([1.0, 2.0], requires_grad=True)
    held = q.data
    with npgrad.no_grad():
        q *= 3
    assert q.data is held and np.array_equal(held, [3.0, 6.0])


def test_in_place_refuses_another_shape() -> None:
    q = Tensor([1.0], requires_grad=True)
    with npgrad.no_grad(), pytest.raises(ValueError, match=r"\(2, 2\).*\(1,\)"):
        q += A


def test_the_lecture_scales_its_weights_as_printed() -> None:
    layer = nn.Linear(3, 4, rng=np.random.default_rng(0))
    before = layer.weight.numpy().copy()
    with npgrad.no_grad():
        layer.weight *= 5 / 3
    assert isinstance(layer.weight, nn.Parameter) and layer.weight.requires_grad
    np.testing.assert_allclose(layer.weight.numpy(), before * np.float32(5 / 3))


def test_plain_gradient_descent_as_one_writes_it() -> None:
    p, q = Tensor([3.0], requires_grad=True), Tensor([-2.0], requires_grad=True)
    for _ in range(100):
        p.grad = q.grad = None
        (p * p + q * q).sum().backward()
        with npgrad.no_grad():
            for t in (p, q):
                t -= 0.1 * t.grad
    assert abs(p.item()) < 1e-6 and abs(q.item()) < 1e-6


@pytest.mark.parametrize("number", NUMBERS, ids=lambda x: f"{type(x).__name__}{np.ndim(x)}")
@pytest.mark.parametrize("shape", [(), (2, 2)])
@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "floordiv", "pow"])
def test_numbers_of_every_kind(name: str, shape: tuple[int, ...], number: Any) -> None:
    f, a = getattr(operator, name), np.full(shape, 3.0)
    x = Tensor(a, requires_grad=True)
    for left in (True, False):
        for _ in range(2):  # the second time as the first
            x.grad = None
            y = f(number, x) if left else f(x, number)
            want = f(number, a) if left else f(a, number)
            assert isinstance(y, Tensor) and y.dtype == want.dtype and np.allclose(y.numpy(), want)
            y.retain_grad()
            y.backward(np.ones(shape), retain_graph=True)
            y.backward(np.ones(shape))
            assert isinstance(x.grad, np.ndarray) and x.grad.shape == shape
            assert isinstance(y.grad, np.ndarray) and np.array_equal(y.grad, np.full(shape, 2.0))


def test_a_leaf_without_axes_keeps_its_gradients_apart() -> None:
    x = Tensor(2.0, requires_grad=True)
    kept = []
    for _ in range(3):
        x.retain_grad()
        (x * x).backward()
        kept.append(x.grad)
    assert [float(g) for g in kept] == [4.0, 8.0, 12.0]


def test_var_of_a_leaf_does_not_disturb_what_was_accumulated() -> None:
    x = Tensor([1.0, 2.0, 4.0], requires_grad=True)
    x.var().backward()
    once = np.array(x.grad)
    x.var().backward()
    x.var()
    np.testing.assert_allclose(x.grad, 2 * once)


# -- what would lose a gradient, or a mask -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda t, m: np.ma.exp(t),
        lambda t, m: np.ma.sum(t),
        lambda t, m: np.ma.getdata(t),
        lambda t, m: np.ma.array(t),
        lambda t, m: m * t,
        lambda t, m: m + t,
        lambda t, m: np.ma.where(m > 0, t, m),
        lambda t, m: t * m,
        lambda t, m: Tensor(m),
        lambda t, m: npgrad.tanh(m),
        lambda t, m: npgrad.concatenate([t, m]),
    ],
)
def test_masked_arrays_are_refused(call: Callable[..., Any]) -> None:
    t, m = Tensor([1.0, 2.0], requires_grad=True), np.ma.masked_array([1.0, 2.0], [True, False])
    with pytest.raises(TypeError, match=r"drop the gradient|masked"):
        call(t, m)


def test_a_masked_array_that_masks_nothing_is_an_array() -> None:
    assert Tensor(np.ma.masked_array([1.0, 2.0])).numpy().tolist() == [1.0, 2.0]


def test_a_number_is_a_number() -> None:
    """As in PyTorch: `float(loss)`, and `losses[k] = loss`, by which NumPy calls it."""
    loss, losses = Tensor(2.5, requires_grad=True) * 1.0, np.zeros((2, 2))
    losses[0, 0] = loss
    losses[1].fill(loss)
    assert float(loss) == 2.5 and losses.tolist() == [[2.5, 0.0], [2.5, 2.5]]
    with pytest.raises(TypeError, match="drop the gradient"):
        losses[:] = Tensor([1.0, 2.0], requires_grad=True)


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: npgrad.softmax(x, dim=1), "softmax has no option 'dim': as in NumPy, it is 'axis'"),
        (lambda x: npgrad.amax(x, keepdim=True), "max has no option 'keepdim': as in NumPy, it is 'keepdims'"),
        (lambda x: npgrad.stack([x, x], dim=0), "stack .*'dim'.*'axis'"),
        (lambda x: npgrad.roll(x, 1, dims=0), "roll .*'dims'.*'axis'"),
        (lambda x: npgrad.tensordot(x, x, dims=2), "tensordot .*'dims'.*'axes'"),
        (lambda x: npgrad.diagonal(x, dim1=0), "diagonal .*'dim1'.*'axis1'"),
        (lambda x: npgrad.linalg.norm(x, dim=1), "norm .*'dim'.*'axis'"),
        (lambda x: npgrad.var(x, unbiased=False), "var .*'unbiased'.*'ddof'"),
        (lambda x: x.flatten(start_dim=1), r"Tensor\.flatten .*'start_dim'.*'start'"),
        (lambda x: npgrad.softmax(x, foo=1), "unexpected keyword argument 'foo'"),
    ],
)
def test_options_of_functions_by_pytorchs_names(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(Tensor(A, requires_grad=True))


@pytest.mark.parametrize("method", ["sum", "mean", "var", "std", "max", "min"])
def test_the_names_of_pytorch_are_answered_with_those_of_numpy(method: str) -> None:
    x = Tensor(A, requires_grad=True)
    with pytest.raises(TypeError, match=rf"Tensor\.{method} .*'dim'.*'axis'"):
        getattr(x, method)(dim=1)
    with pytest.raises(TypeError, match=rf"Tensor\.{method} .*'keepdim'.*'keepdims'"):
        getattr(x, method)(1, keepdim=True)
    with pytest.raises(TypeError, match=rf"Tensor\.{method}\(\).*'foo'"):
        getattr(x, method)(foo=1)


@pytest.mark.parametrize(
    ("a", "b"), [((2, 3), (2, 3)), ((3,), (2, 3)), ((2, 3), (2,)), ((), (2,)), ((2, 2), ()), ((2, 3, 4), (3, 4, 5))]
)
def test_products_that_do_not_fit_name_the_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    with pytest.raises(ValueError) as raised:
        Tensor(np.ones(a)) @ Tensor(np.ones(b))
    text = str(raised.value)
    assert str(a) in text and str(b) in text and "gufunc" not in text and "core dimension" not in text


def test_plotting_a_result_says_what_to_pass() -> None:
    plt = pytest.importorskip("matplotlib.figure")
    axes = plt.Figure().subplots()
    for x in (Tensor(A, requires_grad=True), Tensor(A, requires_grad=True) * 2.0):
        with pytest.raises((TypeError, RuntimeError), match=r"\.numpy\(\)"):
            axes.plot(x)
