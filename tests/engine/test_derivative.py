"""grad, jvp and hvp: against finite differences, closed forms and torch; and that they leave no trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

import npgrad
from npgrad import Function, Tensor
from tests.strategies import seeds


def network(W: Any, b: Any, x: Any, t: Any) -> Tensor:
    h = npgrad.tanh(npgrad.linear(x, W, b))
    h = npgrad.batch_norm(h, training=True)
    return npgrad.cross_entropy(h, t)


def setting(seed: int = 0) -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(seed)
    inputs = [rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(7, 4)), rng.integers(0, 3, 7)]
    vectors = [rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(7, 4)), None]
    return inputs, vectors


@pytest.mark.smoke
def test_grad_is_backward() -> None:
    inputs, _ = setting()
    tensors = [Tensor(x, requires_grad=k < 3) for k, x in enumerate(inputs)]
    network(*tensors[:3], inputs[3]).backward()
    found = npgrad.grad(network, argnums=(0, 1, 2))(*inputs)
    assert all(np.array_equal(g, t.grad) for g, t in zip(found, tensors, strict=False))


def test_grad_of_numbers_and_keywords() -> None:
    assert npgrad.grad(lambda x: x**3)(2.0) == 12.0
    df = npgrad.grad(lambda x, y, *, scale=1.0: (x * y * scale).sum(), argnums=-1)
    assert np.array_equal(df(np.ones(2), np.array([3.0, 4.0]), scale=5.0), [5, 5])
    assert npgrad.grad(lambda x, y: npgrad.sum(y * y))(np.ones(3), np.ones(2)).tolist() == [0, 0, 0]


def test_grad_keeps_the_dtype() -> None:
    assert npgrad.grad(lambda x: (x * x).sum())(np.ones(2, np.float32)).dtype == np.float32


@given(seeds)
def test_hvp_is_the_derivative_of_the_gradient(seed: int) -> None:
    inputs, vectors = setting(seed)
    found = npgrad.hvp(network, inputs, vectors)
    df = npgrad.grad(network, argnums=(0, 1, 2))
    h = 1e-5

    def at(s: float) -> Any:
        return df(*[x + s * v for x, v in zip(inputs[:3], vectors[:3], strict=True)], inputs[3])

    for hv, plus, minus in zip(found, at(h), at(-h), strict=False):
        assert np.allclose(hv, (plus - minus) / (2 * h), rtol=1e-6, atol=1e-7)


@given(seeds)
def test_the_hessian_is_symmetric(seed: int) -> None:
    """u·Hv = v·Hu to rounding: no error of differences is in the way."""
    inputs, u = setting(seed)
    _, v = setting(seed + 1)
    hu, hv = npgrad.hvp(network, inputs, u), npgrad.hvp(network, inputs, v)
    a = sum(float(np.sum(x * y)) for x, y in zip(u[:3], hv[:3], strict=True))
    b = sum(float(np.sum(x * y)) for x, y in zip(v[:3], hu[:3], strict=True))
    size = sum(float(np.sum(np.abs(x * y))) for x, y in zip(u[:3], hv[:3], strict=True))
    assert abs(a - b) <= 1e-13 * size


def test_hvp_of_a_quadratic_is_its_matrix() -> None:
    rng = np.random.default_rng(0)
    A = rng.normal(size=(5, 5))
    x, v = rng.normal(size=5), rng.normal(size=5)
    hv = npgrad.hvp(lambda x: npgrad.matmul(x, npgrad.matmul(A, x)), x, v)
    assert np.allclose(hv, (A + A.T) @ v, rtol=1e-14, atol=1e-14) and hv.shape == (5,)


def test_hvp_agrees_with_torch(torch: Any) -> None:
    inputs, vectors = setting()
    F = torch.nn.functional

    def theirs(W: Any, b: Any, x: Any) -> Any:
        h = F.batch_norm(torch.tanh(x @ W + b), None, None, training=True)
        return F.cross_entropy(h, torch.tensor(inputs[3]))

    _, want = torch.autograd.functional.hvp(
        theirs, tuple(torch.tensor(x) for x in inputs[:3]), tuple(torch.tensor(v) for v in vectors[:3])
    )
    for a, b in zip(npgrad.hvp(network, inputs, vectors), want, strict=False):
        assert np.allclose(a, b.numpy(), rtol=1e-11, atol=1e-13)


def test_jvp_is_the_transpose_of_backward() -> None:
    """dy·(J v) = (Jᵀ dy)·v."""
    rng = np.random.default_rng(0)
    x, v, dy = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    for f in (
        npgrad.softmax,
        npgrad.tanh,
        lambda t: npgrad.cumsum(t, 0),
        lambda t: t / npgrad.sum(t, axis=1, keepdims=True),
    ):
        tangent = npgrad.jvp(f, x, v)
        t = Tensor(x, requires_grad=True)
        f(t).backward(dy)
        assert t.grad is not None
        assert np.isclose(np.sum(dy * tangent), np.sum(t.grad * v), rtol=1e-13)


def test_single_precision_is_computed_in_double() -> None:
    x, v = np.float32([0.1, 0.2, 0.3]), np.float32([1, 2, 3])
    hv = npgrad.hvp(lambda t: npgrad.exp(t).sum(), x, v)
    assert hv.dtype == np.float32 and np.array_equal(hv, (np.exp(x.astype(float)) * v).astype(np.float32))
    assert npgrad.jvp(npgrad.exp, x, v).dtype == np.float32


def test_parameters_of_a_module() -> None:
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    model = npgrad.nn.Sequential(npgrad.nn.Linear(4, 5, rng=rng), npgrad.nn.Tanh(), npgrad.nn.Linear(5, 3, rng=rng))
    parameters = list(model.parameters())
    seen: list[Any] = []
    parameters[0].register_hook(seen.append)
    for p in parameters:
        p.grad = np.full(p.shape, 7, p.dtype)
    before = [p.numpy().copy() for p in parameters]
    arrays = [p._array for p in parameters]
    vectors = [rng.normal(size=p.shape) for p in parameters]
    products = npgrad.hvp(lambda: npgrad.cross_entropy(model(x), t), parameters, vectors)
    W1, b1, W2, b2 = before
    want = npgrad.hvp(
        lambda W1, b1, W2, b2: npgrad.cross_entropy(npgrad.linear(npgrad.tanh(npgrad.linear(x, W1, b1)), W2, b2), t),
        [W1, b1, W2, b2], vectors,
    )  # fmt: skip
    for a, b, p in zip(products, want, parameters, strict=True):
        assert np.allclose(a, b, rtol=1e-5, atol=1e-6) and a.dtype == p.dtype
    for p, array, values in zip(parameters, arrays, before, strict=True):
        assert p._array is array and np.array_equal(array, values) and np.all(p.grad == 7)
    assert seen == []


def test_graphs_recorded_before_stay_valid() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert x.data.sum() == 3
    y = (x * x).sum()
    npgrad.hvp(lambda: (x * x * x).sum(), [x], [np.ones(2)])
    y.backward()
    assert np.array_equal(x.grad, [2, 4])


def test_everything_is_restored_after_an_error() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    state = dict(vars(x))
    with pytest.raises(ZeroDivisionError):
        npgrad.hvp(lambda: 1 / 0, [x], [np.ones(2)])
    assert vars(x).keys() == state.keys() and x._array is state["_array"]


def test_what_f_closes_over_keeps_its_gradient() -> None:
    p = Tensor([2.0], requires_grad=True)
    p.grad = np.array([5.0])
    shared = p * p
    for act in (
        lambda: npgrad.grad(lambda x: (x * shared).sum())(np.ones(1)),
        lambda: npgrad.hvp(lambda x: (x * x * shared).sum(), np.ones(1), np.ones(1)),
    ):
        act()
        assert p.grad.tolist() == [5.0] and p.grad.dtype == np.float64
    shared.sum().backward()
    assert p.grad.tolist() == [9.0]


def test_derivatives_within_no_grad_and_compiled() -> None:
    with npgrad.no_grad():
        assert npgrad.grad(lambda x: x * x)(3.0) == 6.0
        assert npgrad.hvp(lambda x: x * x * x, 3.0, 1.0) == 18.0

    p = npgrad.nn.Parameter(np.array(3.0))

    @npgrad.compile
    def step() -> Any:
        products = npgrad.hvp(lambda: p * p * p, [p], [1.0])
        p.data -= 1.0
        return products[0]

    assert [step() for _ in range(6)] == [18.0, 12.0, 6.0, 0.0, -6.0, -12.0]
    assert "calls hvp" in step.explain()


class Lost(Function):
    """A rule whose forward takes the class off its input, and with it the derivative."""

    def forward(self, x: Any) -> Any:
        self.x = x
        return np.abs(np.asarray(x))

    def backward(self, dy: Any) -> Any:
        return dy * np.sign(self.x)


class Assigned(Lost):
    def forward(self, x: Any) -> Any:
        self.x, y = x, np.zeros(x.shape)
        y[...] = x
        return y


class Number(Lost):
    def forward(self, x: Any) -> Any:
        self.x = x
        return x * float(x[0])


@pytest.mark.parametrize("rule", [Lost, Assigned, Number])
def test_a_lost_imaginary_part_is_an_error(rule: type[Function]) -> None:
    for f in (lambda: npgrad.jvp(rule.apply, np.ones(2), np.ones(2)),
              lambda: npgrad.hvp(lambda x: rule.apply(x * x).sum(), np.ones(2), np.ones(2))):  # fmt: skip
        with pytest.raises(TypeError, match=r"derivative.* lost"):
            f()


# -- one meaning for grad, jvp and hvp ---------------------------------------------------------------------------------

LEAVING: dict[str, Any] = {
    "detach": lambda x: x * x.detach(),
    "numpy": lambda x: x * x.numpy(),
    "item": lambda x: x * x.item(),
    "float": lambda x: x * float(x),
    "a tensor of it": lambda x: x * Tensor(x),
    "no_grad": lambda x: x * without_graph(x),
    "intermediate": lambda x: x * npgrad.exp(x).detach() * npgrad.log(npgrad.exp(x).numpy()) / npgrad.exp(x).item(),
    "a branch": lambda x: x * x.detach() if x.numpy() > 0 else x,
}


def without_graph(x: Tensor) -> Tensor:
    with npgrad.no_grad():
        return npgrad.abs(x * 1.0)


@pytest.mark.parametrize("name", LEAVING)
def test_what_leaves_the_graph_is_a_constant_for_all_three(name: str) -> None:
    f = LEAVING[name]
    assert np.isclose(npgrad.grad(f)(3.0), 3.0)
    assert np.isclose(npgrad.jvp(f, 3.0, 1.0), 3.0)
    assert npgrad.hvp(f, 3.0, 1.0) == 0.0
    p = Tensor(3.0, requires_grad=True)
    assert np.isclose(npgrad.jvp(lambda: f(p), [p], [1.0]), 3.0)
    assert npgrad.hvp(lambda: f(p), [p], [1.0]) == (0.0,)


def test_a_result_that_left_the_graph_has_derivative_zero() -> None:
    for f in (lambda x: x.detach(), lambda x: Tensor(x), lambda x: Tensor(x.numpy()), without_graph):
        assert npgrad.grad(f)(2.0) == npgrad.jvp(f, 2.0, 1.0) == npgrad.hvp(f, 2.0, 1.0) == 0.0


def test_values_seen_inside_are_real_numbers() -> None:
    seen: list[Any] = []

    def f(x: Tensor) -> Tensor:
        y = x * 2.0
        seen.extend([x.numpy(), y.numpy(), y.item(), float(y), x.data, y > 2.0, y == 2.0])
        return y

    npgrad.jvp(f, 1.0, 1.0)
    assert [type(v) for v in seen[2:4]] == [float, float]
    assert all(np.asarray(v).dtype in (np.float64, bool) for v in seen) and seen[-2:] == [False, True]


@pytest.mark.parametrize(
    ("f", "x", "v", "want"),
    [
        (npgrad.relu, [0.0, -0.0, 1.0], [1.0, 1.0, 1.0], [0, 0, 1]),
        (npgrad.abs, [0.0, 2.0, -2.0], [1.0, 1.0, 1.0], [0, 1, -1]),
        (lambda x: npgrad.clip(x * x + x, 0.0, 1.0), [0.0], [1.0], [1]),
        (lambda x: npgrad.relu(x * x), [0.0], [1.0], [0]),
        (lambda x: npgrad.maximum(x, 1.0), [1.0], [1.0], [0.5]),
        (lambda x: npgrad.maximum(x, 1), [1.0], [1.0], [0.5]),
        (lambda x: npgrad.max(x), [1.0, 1.0], [1.0, 0.0], 0.5),
        (lambda x: npgrad.std(x), [2.0, 2.0], [1.0, 0.0], 0),
        (npgrad.sqrt, [0.0, 4.0], [1.0, 1.0], [np.inf, 0.25]),
        (npgrad.log, [0.0, -1.0, 2.0], [1.0, 1.0, 1.0], [np.inf, np.nan, 0.5]),
        (lambda x: x**1.25, [0.0, 1.0], [1.0, 1.0], [0, 1.25]),
        (lambda x: npgrad.sum(npgrad.sqrt(x)), [0.0, 4.0], [0.0, 1.0], 0.25),
    ],
)  # fmt: skip
def test_kinks_and_edges_are_as_declared(f: Any, x: Any, v: Any, want: Any) -> None:
    with np.errstate(all="ignore"):
        assert np.array_equal(npgrad.jvp(f, np.array(x), np.array(v)), want, equal_nan=True)


def test_derivatives_within_a_differentiated_function_are_refused() -> None:
    """grad, jvp and hvp return arrays: what they depend on would be dropped."""

    def inner(x: Tensor) -> list[Any]:
        return [
            lambda: npgrad.grad(lambda y: x * y)(2.0),
            lambda: npgrad.grad(lambda y: y * y)(x),
            lambda: npgrad.grad(lambda y: y * y)(x * 1.0),
            lambda: npgrad.jvp(lambda y: x * y, 2.0, 1.0),
            lambda: npgrad.hvp(lambda y: x * y * y, 2.0, 1.0),
            lambda: npgrad.hvp(lambda: x * x, [x], [1.0])[0],
            lambda: npgrad.jvp(lambda y: y, x * 2.0, 1.0),
            lambda: npgrad.jvp(lambda y: y, 1.0, x),
        ]

    outer = [
        lambda f: npgrad.grad(f)(3.0),
        lambda f: npgrad.jvp(f, 3.0, 1.0),
        lambda f: npgrad.hvp(f, 3.0, 1.0),
    ]
    for differentiate in outer:
        for k in range(8):
            with pytest.raises(
                RuntimeError, match=r"inside a function that is itself being differentiated.*hvp.*detach"
            ):
                differentiate(lambda x, k=k: x * inner(x)[k]())


def test_independent_derivatives_may_be_nested() -> None:
    p = Tensor(5.0, requires_grad=True)

    def f(x: Tensor) -> Tensor:
        constant = npgrad.grad(lambda y: p * y * y)(2.0) + npgrad.grad(lambda y: y * x.detach())(2.0)
        with npgrad.no_grad():
            constant = constant + npgrad.grad(lambda y: y * without_graph(x).detach())(2.0)
        return x * (constant + npgrad.hvp(lambda y: y * y * x.item(), 1.0, 1.0))

    assert npgrad.grad(f)(3.0) == npgrad.jvp(f, 3.0, 1.0) == 20.0 + 3.0 + 3.0 + 6.0
    assert npgrad.hvp(f, 3.0, 1.0) == 0.0 and p.grad is None


def test_everything_is_restored_whatever_fails() -> None:
    p, q = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0])
    calls: list[Any] = []
    p.register_hook(calls.append)
    p.grad = np.array([5.0, 6.0])
    arrays = p._array, q._array

    def late() -> Tensor:
        npgrad.sum(p * q).backward()
        raise ZeroDivisionError

    for act in (
        lambda: npgrad.jvp(late, [p, q], [np.ones(2), None]),
        lambda: npgrad.hvp(late, [p, q], [np.ones(2), np.ones(2)]),
        lambda: npgrad.hvp(lambda: p * q, [p, q], [np.ones(2), np.ones(2)]),
    ):
        with pytest.raises((ZeroDivisionError, ValueError)):
            act()
        assert p._array is arrays[0] and q._array is arrays[1] and not q.requires_grad and q.grad is None
        assert p.requires_grad and p.grad.tolist() == [5, 6] and calls == []
    npgrad.sum(p * q).backward()
    assert p.grad.tolist() == [8, 10] and len(calls) == 1


ERRORS: dict[str, tuple[Any, type[Exception], list[str]]] = {
    "not a scalar": (lambda: npgrad.grad(lambda x: x * 2.0)(np.ones(2)), ValueError, ["scalar", "(2,)", "jvp"]),
    "hvp not scalar": (lambda: npgrad.hvp(lambda x: x * 2.0, np.ones(2), np.ones(2)), ValueError, ["hvp", "(2,)"]),
    "no tensor": (lambda: npgrad.grad(lambda x: 1.0)(np.ones(2)), TypeError, ["float", "tensor"]),
    "jvp no tensor": (
        lambda: npgrad.jvp(lambda x: x.numpy(), np.ones(2), np.ones(2)),
        TypeError,
        ["ndarray", ".numpy()"],
    ),
    "integers": (lambda: npgrad.grad(lambda x: x)(3), TypeError, ["argument 0", "int64", "1.0"]),
    "missing argument": (lambda: npgrad.grad(lambda x: x, argnums=2)(1.0), ValueError, ["1 argument", "no argument 2"]),
    "count": (lambda: npgrad.hvp(lambda x: x, [1.0], [1.0, 2.0]), ValueError, ["2 vectors", "1 inputs"]),
    "shape": (lambda: npgrad.jvp(lambda x: x, np.ones(2), np.ones(3)), ValueError, ["(3,)", "(2,)", "input 0"]),
    "nothing to vary": (
        lambda: npgrad.hvp(lambda x: x, [np.arange(3)], [None]),
        TypeError,
        ["no floating-point input"],
    ),
    "intermediate": (
        lambda: npgrad.hvp(lambda x: x, [Tensor(1.0, requires_grad=True) * 2.0], [1.0]),
        ValueError,
        ["Mul", ".detach()"],
    ),
    "array for a closure": (
        lambda: npgrad.hvp(lambda: 0, [np.ones(2)], [np.ones(2)]),
        TypeError,
        ["without arguments", "ndarray"],
    ),
    "no function": (lambda: npgrad.jvp(3, np.ones(2), np.ones(2)), TypeError, ["function", "int"]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    act, kind, words = ERRORS[name]
    with pytest.raises(kind) as raised:
        act()
    for word in words:
        assert word in str(raised.value), str(raised.value)
