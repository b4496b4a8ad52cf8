"""The evaluator against NumPy, on real arrays and on those of the complex step."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad.engine.holomorphic import Holomorphic
from npgrad.explain import DerivationError, parse
from npgrad.explain.evaluate import AMPLIFIED, Scope, Variable

RNG = np.random.default_rng(3)
X = RNG.normal(size=(3, 4))
W = RNG.normal(size=(4, 2))
B = RNG.normal(size=2)
T = np.array([1, 0, 3])


def evaluate(target: str, expression: str, extra: str = "") -> np.ndarray:
    doc = (
        "S.\n\nSymbols\n    x[i,k]     x\n    W[k,c]     W\n    b[c]     b\n    t[i] in k     t\n    eps = 0.1     e\n"
        f"{extra}Forward\n    (1) {target} = {expression}\n"
    )
    (case,) = parse(doc).cases
    arrays = {"x": X, "W": W, "b": B, "t": T, "eps": np.asarray(0.1)}
    sizes = {"i": 3, "k": 4, "c": 2}
    scope = Scope({name: Variable(a) for name, a in arrays.items()}, sizes, parse(doc).source)
    for symbol in case.symbols:
        if symbol.kind == "size":
            scope.sizes[symbol.name] = symbol.value
    return scope.define(case.steps[0]).data


def window(x: np.ndarray) -> np.ndarray:
    return np.stack([x[:, p : p + 2] for p in range(3)], 1)


@pytest.mark.parametrize(
    "target, expression, wanted",
    [
        ("y[i,c]", "sum(k, x[i,k]*W[k,c]) + b[c]", X @ W + B),
        ("y[c,i]", "sum(k, x[i,k]*W[k,c])", (X @ W).T),
        ("y", "sum((i,k), x[i,k]**2)", np.sum(X**2)),
        ("y[k]", "mean(i, x[i,k])", X.mean(0)),
        ("y[k]", "prod(i, x[i,k])", X.prod(0)),
        ("y[i]", "max(k, x[i,k]) - min(k, x[i,k])", X.max(1) - X.min(1)),
        ("y[i,j]", "delta(i, j)*x[i,j]", np.eye(3, 4) * X),
        ("y[i]", "x[i,t[i]]", X[np.arange(3), T]),
        ("y[k,c]", "sum(i, delta(k, t[i]))*W[k,c]", np.bincount(T, minlength=4)[:, None] * W),
        ("y[i]", "x[i,size(k)-1-i]", X[np.arange(3), 3 - np.arange(3)]),
        ("y[i]", "x[i,0] + x[2,1]", X[:, 0] + X[2, 1]),
        ("y[i,k]", "sum(j, (j <= k)*x[i,j])", np.cumsum(X, 1)),
        ("y[i,k]", "where(x[i,k] > 0, x[i,k], 0)", np.maximum(X, 0)),
        ("y[i,k]", "maximum(x[i,k], 0) + minimum(x[i,k], 0)", X),
        ("y[i,k]", "abs(x[i,k])*sign(x[i,k])", X),
        ("y[i,k]", "sigmoid(x[i,k]) - 1/(1 + exp(-x[i,k]))", np.zeros((3, 4))),
        ("y[i,k]", "erf(x[i,k])", np.vectorize(math.erf)(X)),
        ("y[i,k]", "log1p(expm1(x[i,k]))", X),
        ("y[i,k]", "sqrt(x[i,k]**2)**3", np.abs(X) ** 3),
        ("y[i,k]", "tanh(x[i,k]) - sinh(x[i,k])/cosh(x[i,k])", np.zeros((3, 4))),
        ("y[i,k]", "floor(x[i,k])", np.floor(X)),
        ("y[i,k]", "sin(x[i,k])**2 + cos(x[i,k])**2 - tan(0)", np.ones((3, 4))),
        ("y[i,k]", "x[i,k-1]", np.pad(X, ((0, 0), (1, 0)))[:, :4]),
        ("y[i,k]", "x[i,k]*(0 <= k - i < 2)", X * [[0 <= k - i < 2 for k in range(4)] for i in range(3)]),
        ("y[i]", "size(k) + i % 2 + i // 2", 4 + np.array([0, 1, 0]) + np.array([0, 0, 1])),
        ("y", "sum(i, 1)*mean(k, 2)*prod(c, 3)", np.asarray(3 * 2.0 * 9)),
        ("y", "eps*-2**2", np.asarray(-0.4)),
        ("y[k]", "sum(i, x[i,k])/sum((i,c), 1.0)", X.sum(0) / 6),
        ("y[i]", "max((k,c), x[i,k]*W[k,c])", (X[:, :, None] * W).max((1, 2))),
    ],
)
def test_expressions_have_numpys_values(target: str, expression: str, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(evaluate(target, expression), wanted, rtol=1e-14, atol=1e-14)


def test_windows() -> None:
    found = evaluate("y[i,p,r]", "x[i,p+r]", "    size(p) = 3     p\n    size(r) = 2     r\n")
    np.testing.assert_array_equal(found, window(X))


@pytest.mark.parametrize(
    "target, expression, problem",
    [
        ("y[i,j]", "x[i,0]", "nothing says how many values index j takes"),
        ("y[i]", "x[i]", "x has 1 index here, but 2 axes"),
        ("y[k]", "x[k,k]", None),
        ("y[i,k]", "x[k,i]", "index k takes 4 values, but axis 0 of x has 3"),
        ("y[i]", "x[i,7]", "there is no place 7 on an axis of 4"),
        ("y[i]", "x[i,i/2]", "an index must be an integer"),
        ("y[i]", "sum(j, 1)", "nothing says how many values index j takes"),
    ],
)
def test_what_cannot_be_evaluated_is_said(target: str, expression: str, problem: str | None) -> None:
    if problem is None:
        found = evaluate(target, expression)
        np.testing.assert_array_equal(found, [X[0, 0], X[1, 1], X[2, 2], 0])
    else:
        with pytest.raises(DerivationError, match=problem.replace("(", r"\(")):
            evaluate(target, expression)


ANALYTIC = ["exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "tanh", "sinh", "cosh", "sigmoid", "erf"]


@given(st.sampled_from(ANALYTIC), st.floats(0.1, 1.4))
def test_complex_steps_are_derivatives(function: str, at: float) -> None:
    """Im f(x + ih)/h against a central difference."""
    doc = f"S.\n\nSymbols\n    x     x\nForward\n    (1) y = {function}(x)\n"
    derivation = parse(doc)
    (case,) = derivation.cases

    def f(x: Any) -> Any:
        return Scope({"x": Variable(x)}, {}, derivation.source).define(case.steps[0]).data

    slope = f(Holomorphic(at, 1.0)).slope
    assert slope == pytest.approx((f(np.array(at + 1e-6)) - f(np.array(at - 1e-6))) / 2e-6, rel=1e-7)


@given(st.integers(0, 2**32 - 1), st.floats(0, 12))
def test_noise_moves_a_result_as_far_as_rounding_does_or_farther(seed: int, digits: float) -> None:
    """A sum of numbers that cancel up to a small rest, against the exact one; a product, which cannot cancel."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=6) * 10**digits
    x = np.concatenate([a, rng.normal(size=3), -a[::-1]])
    results = []
    for expression in ("sum(i, x[i]) + 0.1 - 0.1", "x[0]*x[1]*3/7"):
        derivation = parse(f"S.\n\nSymbols\n    x[i]     x\nForward\n    (1) y = {expression}\n")
        (equation,) = derivation.cases[0].steps
        scope = Scope({"x": Variable(x)}, {"i": len(x)}, derivation.source)
        value = float(scope.define(equation).data)
        noisy = replace(scope, noise=np.random.default_rng(seed))
        results.append((value, max(abs(float(noisy.define(equation).data) - value) for _ in range(8)) / AMPLIFIED))
    (total, moved), (product, moved_product) = results
    assert abs(total - math.fsum(x)) <= 16 * moved <= 1e-13 * 10**digits + 1e-13
    assert abs(product) * 1e-18 < moved_product < abs(product) * 1e-15


@pytest.mark.parametrize("expression", ["max(i, x[i])", "abs(x[1])*where(x[0] < x[1], 1, 3)", "maximum(x[0], x[1])"])
def test_comparisons_look_at_the_value(expression: str) -> None:
    derivation = parse(f"S.\n\nSymbols\n    x[i]     x\nForward\n    (1) y = {expression}\n")
    x = Holomorphic(np.array([1.0, 2.0]), np.array([5.0, -7.0]))
    y = Scope({"x": Variable(x)}, {"i": 2}, derivation.source).define(derivation.cases[0].steps[0]).data
    assert (y.value, y.slope) == (2.0, -7.0)
