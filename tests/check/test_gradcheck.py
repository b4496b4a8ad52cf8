"""gradcheck: right rules pass, wrong ones are named with their likely cause, unfit questions are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import Function, Tensor
from npgrad.check import GradientError, KinkError, NotHolomorphicError, gradcheck

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4))
POSITIVE = RNG.uniform(0.5, 2, size=(6, 4))


def rule(forward: Any, backward: Any) -> type[Function]:
    """A Function of one input from two lambdas; backward gets (x, y, dy)."""

    class Rule(Function):
        def forward(self, x: Any) -> Any:
            self.x, self.y = x, forward(x)
            return self.y

        def backward(self, dy: Any) -> Any:
            return backward(self.x, self.y, dy)

    return Rule


def test_right_rules_pass_with_every_oracle(torch: Any) -> None:
    report = gradcheck(npgrad.tanh, X, torch=torch.tanh)
    assert report.errors["complex step"] < 1e-14
    assert report.errors["central differences"] < 1e-9
    assert report.errors["torch"] < 1e-14
    assert "gradient correct" in str(report)


@pytest.mark.smoke
def test_any_function_of_tensors() -> None:
    gradcheck(lambda x, W: npgrad.softmax(npgrad.matmul(x, W)), [X, RNG.normal(size=(4, 3))])
    gradcheck(lambda x, i: npgrad.embedding(x, i), [X, np.array([0, 0, 5])])
    gradcheck(lambda x: (npgrad.sum(x, axis=0), npgrad.exp(x)), X)
    gradcheck(lambda x: x * x, np.float32(2.0))
    gradcheck(lambda x, p: x**p, [POSITIVE, 3])
    gradcheck(lambda x: npgrad.sum(x), np.zeros((0, 3)))
    gradcheck(rule(lambda x: x**3, lambda x, y, dy: 3 * x**2 * dy), X)


def test_large_inputs_are_sampled() -> None:
    report = gradcheck(npgrad.tanh, RNG.normal(size=(300, 300)), entries=5)
    assert report.compared["complex step"] == 6


def test_parameters_of_a_closure() -> None:
    W = Tensor(RNG.normal(size=(4, 3)), requires_grad=True)
    gradcheck(lambda: npgrad.tanh(npgrad.matmul(X, W)), [W])
    assert W.grad is None


def modulus(x: Any) -> Any:
    """|x| of an array that np.asarray has taken its class from: the modulus of a complex number."""
    return np.abs(np.asarray(x))


def test_central_differences_when_asked() -> None:
    right = rule(modulus, lambda x, y, dy: np.sign(x) * dy)
    with pytest.raises(NotHolomorphicError, match=r"Rule .*float64.*derivative is lost.*holomorphic=False"):
        gradcheck(right, X)
    assert list(gradcheck(right, X, holomorphic=False).errors) == ["central differences"]
    wrong = rule(modulus, lambda x, y, dy: -np.sign(x) * dy)
    with pytest.raises(GradientError, match="sign"):
        gradcheck(wrong, X, holomorphic=False)


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x + modulus(x),
        lambda x: np.vectorize(float, otypes=[float])(np.real(x)),
        lambda x: x * x.item(0),
        lambda x: x + np.median(x),
        lambda x: np.array([[float(v) for v in row] for row in x]),
        lambda x: np.asarray(x, dtype=float),
    ],
    ids=["modulus", "vectorize", "item", "median", "float", "cast"],
)
def test_functions_without_a_complex_step_are_told_apart(forward: Any) -> None:
    with pytest.raises(NotHolomorphicError, match="holomorphic=False"):
        gradcheck(rule(forward, lambda x, y, dy: dy), X)


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (np.abs, lambda x, y, dy: np.sign(x) * dy),
        (lambda x: np.conj(x) * np.real(x), lambda x, y, dy: 2 * x * dy),
        (lambda x: np.var(x, axis=0), lambda x, y, dy: 2 / 6 * centred(x) * dy),
        (np.floor, lambda x, y, dy: np.zeros_like(dy)),
        (lambda x: (x > 0) * x.astype(np.float64), lambda x, y, dy: (x > 0) * dy),
        (np.cbrt, lambda x, y, dy: dy / (3 * y**2)),
        (lambda x: np.hypot(x, 1.0), lambda x, y, dy: dy * x / y),
        (lambda x: np.linalg.norm(x, axis=1), lambda x, y, dy: (dy / y)[:, None] * x),
        (lambda x: np.sort(x, axis=0), lambda x, y, dy: np.take_along_axis(dy, x.argsort(0).argsort(0), 0)),
        (lambda x: x[np.argmax(x[:, 0])], lambda x, y, dy: (np.arange(6) == np.argmax(x[:, 0]))[:, None] * dy),
    ],
    ids=["abs", "conj", "var", "floor", "comparison", "cbrt", "hypot", "norm", "sort", "argmax"],
)
def test_rules_are_written_for_real_numbers_alone(forward: Any, backward: Any) -> None:
    gradcheck(rule(forward, backward), X)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (npgrad.abs, np.zeros(3)),
        (npgrad.relu, np.array([1.0, 0.0])),
        (npgrad.max, np.array([2.0, 1.0, 2.0])),
        (lambda x: npgrad.maximum(x, 1.0), np.array([1.0])),
        (lambda x: npgrad.clip(x, -1.0, 1.0), np.array([1.0 - 1e-8])),
        (npgrad.sqrt, np.array([1e-9])),
    ],
    ids=["abs", "relu", "tie", "maximum", "clip nearly", "edge of the domain"],
)
def test_kinks_are_refused(f: Any, x: Any) -> None:
    with pytest.raises(KinkError, match=r"not smooth at input 0.*Choose a point"):
        gradcheck(f, x)


@pytest.mark.parametrize("distance", [1e-5, 1e-4, 3e-4, 5e-4, 1e-3, 0.1])
@pytest.mark.parametrize("side", [-1, 1])
def test_points_near_a_kink_are_resolved(distance: float, side: int) -> None:
    gradcheck(npgrad.relu, np.array([side * distance]))
    gradcheck(lambda x: npgrad.abs(x) * 3.0, np.array([side * distance]))


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: x * x * x * x, np.zeros(2)),
        (lambda x: x * x, np.zeros(2)),
        (npgrad.exp, np.array([-30.0, 0.0, 12.0])),
        (lambda x: npgrad.exp(x) * 1e-8, np.array([1.0])),
        (lambda x: npgrad.exp(x) * 1e8, np.array([1.0])),
        (npgrad.log, np.array([1e-2, 1.0, 1e6])),
        (lambda x: 1.0 / x, np.array([0.01, -0.02])),
        (npgrad.tanh, np.array([-40.0, 25.0, 0.0])),
        (lambda x: npgrad.sin(x * 50.0), np.array([0.3])),
        (lambda x: x * 0.0, np.ones(3)),
    ],
)
def test_smooth_functions_are_not_taken_for_kinks(f: Any, x: Any) -> None:
    gradcheck(f, x)


def centred(x: Any) -> Any:
    return x - x.mean(axis=0)


def softmax(x: Any) -> Any:
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)


def normalised(x: Any) -> Any:
    xc = centred(x)
    return xc / np.sqrt((xc * xc).mean(axis=0))


SQUARE = RNG.normal(size=(4, 4))
PATHOLOGIES: dict[str, tuple[type[Function], Any, str]] = {
    "sign": (rule(np.tanh, lambda x, y, dy: (y * y - 1) * dy), X, r"the sign is wrong"),
    "factor": (rule(lambda x: x * x, lambda x, y, dy: x * dy), X, r"constant factor of 0\.5"),
    "missing mean": (
        rule(lambda x: x.mean(axis=0), lambda x, y, dy: np.ones_like(x) * dy),
        X,
        r"n = 6 \(axis 0.*a mean treated as a sum",
    ),
    "extra mean": (
        rule(lambda x: x.sum(axis=0), lambda x, y, dy: np.ones_like(x) * dy / 6),
        X,
        r"an extra division by n = 6",
    ),
    "ddof": (
        rule(lambda x: centred(x) / 5, lambda x, y, dy: (dy - dy.mean(axis=0)) / 6),
        X,
        r"n where n − 1 belongs, n = 6",
    ),
    "transposed": (
        rule(lambda x: x * x, lambda x, y, dy: (2 * x * dy).T),
        SQUARE,
        r"transposed: the axes are permuted by \(1, 0\)",
    ),
    "reshaped": (rule(lambda x: x.T * 1.0, lambda x, y, dy: dy.reshape(x.shape)), X, r"reshaped instead of transposed"),
    "reversed": (rule(lambda x: x[::-1] * 1.0, lambda x, y, dy: dy * 1.0), X, r"reverse order along axis 0"),
    "shifted": (rule(lambda x: np.roll(x, 1, 1), lambda x, y, dy: dy * 1.0), X, r"shifted by \d along axis 1"),
    "nothing": (rule(np.tanh, lambda x, y, dy: (None,)), X, r"no gradient arrives"),
    "power": (rule(lambda x: x**3, lambda x, y, dy: 3 * x * dy), POSITIVE, r"the power of the input is off by -1"),
    "1 − t": (rule(np.tanh, lambda x, y, dy: (1 - y) * dy), X, r"the factor 1 \+ y is missing"),
    "dy forgotten": (rule(np.tanh, lambda x, y, dy: 1 - y * y), X, r"the factor dy is missing"),
    "mean path": (rule(centred, lambda x, y, dy: dy), X, r"off by the same amount along axis 0.*sum or mean"),
    "softmax sum": (rule(softmax, lambda x, y, dy: y * dy), X, r"along axis 1, of the result.*softmax"),
    "variance path": (
        rule(normalised, lambda x, y, dy: (dy - dy.mean(axis=0)) / np.sqrt((centred(x) ** 2).mean(axis=0))),
        X,
        r"centred result.*variance|of the result",
    ),
    "overflow": (rule(np.tanh, lambda x, y, dy: dy * np.nan), X, r"overflow or division by zero"),
    "summed": (
        rule(
            lambda x: x * np.arange(6.0)[:, None],
            lambda x, y, dy: np.broadcast_to((dy * np.arange(6.0)[:, None]).sum(0), x.shape),
        ),
        X,
        r"does not vary along axis 0",
    ),
    "one row": (
        rule(lambda x: x * 2.0, lambda x, y, dy: 2 * dy * (np.arange(6) != 2)[:, None]),
        X,
        r"only 2 along axis 0 are wrong",
    ),
}


@pytest.mark.parametrize("name", PATHOLOGIES)
def test_the_likely_cause_is_named(name: str) -> None:
    wrong, x, cause = PATHOLOGIES[name]
    with pytest.raises(GradientError, match=cause) as raised:
        gradcheck(wrong, x)
    message = str(raised.value)
    for part in (
        "wrong gradient of input 0",
        f"shape {x.shape}",
        "at [",
        "backward gives",
        "complex step",
        "entries are wrong",
    ):
        assert part in message


class Lossy(Function):
    """Embedding with the classical mistake."""

    def forward(self, E: Any, indices: Any) -> Any:
        self.E, self.indices = E, indices
        return E[indices]

    def backward(self, dy: Any) -> Any:
        dE = np.zeros(self.E.shape, dy.dtype)
        dE[self.indices] += dy
        return dE, None


def test_lost_duplicates_are_named() -> None:
    with pytest.raises(GradientError, match=r"2 along axis 0|indices \(input 1\) repeat.*np\.add\.at"):
        gradcheck(Lossy, [X, np.array([2, 0, 2])])
    gradcheck(Lossy, [X, np.array([2, 0, 1])])


class MissingFactor(Function):
    def forward(self, x: Any, gamma: Any) -> Any:
        self.x, self.gamma = x, gamma
        return x * gamma

    def backward(self, dy: Any) -> Any:
        return dy * 1.0, dy * self.x


def test_a_missing_factor_is_named_after_its_input() -> None:
    with pytest.raises(GradientError, match=r"input 0 .*the factor input 1 is missing"):
        gradcheck(MissingFactor, [X, RNG.normal(size=4)])


def test_the_input_and_the_worst_entry_are_named() -> None:
    class Wrong(MissingFactor):
        def backward(self, dy: Any) -> Any:
            dgamma = (dy * self.x).sum(axis=0)
            dgamma[3] += 5
            return dy * self.gamma, dgamma

    with pytest.raises(GradientError, match=r"input 1 \(shape \(4,\)\) at \[3\].*; 1 of 4 entries"):
        gradcheck(Wrong, [X, RNG.normal(size=4)])


def test_torch_disagreeing_is_an_error(torch: Any) -> None:
    with pytest.raises(GradientError, match=r"differs from torch.*forward"):
        gradcheck(npgrad.tanh, X, torch=torch.sin)
    with pytest.raises(GradientError, match="shape"):
        gradcheck(npgrad.tanh, X, torch=torch.sum)


def test_writing_into_dy_or_the_input_is_caught() -> None:
    def spoil(x: Any, y: Any, dy: Any) -> Any:
        dy *= 1 - y * y
        return dy

    for spoilt in (rule(np.tanh, spoil), lambda x: rule(np.tanh, spoil).apply(x) * 2.0):
        with pytest.raises(GradientError, match="wrote into dy"):
            gradcheck(spoilt, X)

    def overwrite(x: Any, y: Any, dy: Any) -> Any:
        g = (1 - y * y) * dy
        x *= 2
        return g

    with pytest.raises(GradientError, match="wrote into input 0"):
        gradcheck(rule(np.tanh, overwrite), X)


def test_random_functions_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"two different results.*seed"):
        gradcheck(lambda x: npgrad.dropout(x, 0.5, rng=rng), X)


def test_other_refusals() -> None:
    with pytest.raises(TypeError, match="no floating-point input"):
        gradcheck(npgrad.tanh, np.arange(3))
    with pytest.raises(TypeError, match="must return a tensor"):
        gradcheck(lambda x: x.numpy(), X)
    with pytest.raises(TypeError, match="needs a function"):
        gradcheck(3, X)


def test_the_same_seed_gives_the_same_check() -> None:
    a, b, c = (gradcheck(npgrad.softmax, X, seed=s) for s in (1, 1, 2))
    assert a == b and a != c
