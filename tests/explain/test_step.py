"""A backward pass in slow motion does what `backward()` does, and says it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from npgrad.explain import step


def network(seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    rng = np.random.default_rng(seed)
    x = Tensor(rng.normal(size=(4, 3)))
    W = Tensor(rng.normal(size=(3, 2)), requires_grad=True)
    b = Tensor(rng.normal(size=2), requires_grad=True)
    s = Tensor(rng.normal(), requires_grad=True)
    h = npgrad.tanh(x @ W + b)
    return (h * s + h * h).sum() * s, {"W": W, "b": b, "s": s}


@given(st.integers(0, 1000))
def test_leaves_receive_what_backward_gives_them(seed: int) -> None:
    loss, leaves = network(seed)
    W, b, s = leaves.values()
    walk = step(loss)
    assert W.grad is None and b.grad is None
    loss.backward()
    assert set(walk.gradients) == {"W", "b", "s"}
    for name, leaf in leaves.items():
        np.testing.assert_allclose(walk.gradients[name], leaf.grad, rtol=1e-13)
    assert s.grad is not None


def test_it_tells_what_arrives_what_is_added_and_what_is_summed() -> None:
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    b = Tensor([0.5, -0.5], requires_grad=True)
    h = x + b
    y = h * h
    loss = y.sum()
    walk = step(loss)
    said = str(walk)
    assert [s.name for s in walk.steps] == ["loss", "y", "h"]
    assert [s.function for s in walk.steps] == ["Sum", "Mul", "Add"]
    assert "test_step.py:" in said
    assert "sends to h" in said and "added to what was there" in said
    assert "b of shape (2,) was broadcast, so the gradients of its copies are summed" in " ".join(said.split())
    assert "(2) ∂xᵢₖ = ∂hᵢₖ" in said
    np.testing.assert_array_equal(walk.gradients["b"], 2 * h.numpy().sum(0))


def test_only_a_rule_that_sums_over_copies_is_said_to_sum_nothing() -> None:
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert "no sum)" not in str(step(npgrad.tanh(x).sum()))
    assert "no sum)" in str(step((x * x).sum()))


def test_a_gradient_can_be_given() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = npgrad.exp(x)
    walk = step(y, [1.0, 10.0])
    np.testing.assert_allclose(walk.gradients["x"], np.exp([1, 2]) * [1, 10])
    with pytest.raises(ValueError, match="shape"):
        step(y, [1.0])


def test_names_of_what_has_none() -> None:
    loss = (Tensor([1.0], requires_grad=True) * Tensor([2.0], requires_grad=True)).sum()
    said = str(step(loss))
    assert "leaf (1,)" in said and "leaf (1,) no. 2" in said and "v1 = Mul" in said


def test_errors() -> None:
    with pytest.raises(RuntimeError, match="no operation made"):
        step(Tensor(1.0))
    x = Tensor([1.0], requires_grad=True)
    loss = (x * x).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="already freed"):
        step(loss)


def test_a_function_of_ones_own_needs_no_derivation() -> None:
    class Square(npgrad.Function):
        def forward(self, x: np.ndarray) -> np.ndarray:
            self.x = x
            return x * x

        def backward(self, dy: np.ndarray) -> np.ndarray:
            return 2 * self.x * dy

    x = Tensor([3.0], requires_grad=True)
    walk = step(Square.apply(x).sum())
    np.testing.assert_array_equal(walk.gradients["x"], [6.0])


def test_rules_are_in_the_names_of_the_network() -> None:
    """A product's formal right factor is b; so is the bias here, and W is what the rule is about."""
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(4, 3)))
    W = Tensor(rng.normal(size=(3, 2)), requires_grad=True)
    b = Tensor(rng.normal(size=2), requires_grad=True)
    h = x @ W
    y = h + b
    said = str(step(y.sum()))
    assert "∂W[j,k] = Σ[i] x[i,j]·∂h[i,k]" in said
    assert "∂b[j,k]" not in said and "∂bₖ = Σᵢ ∂yᵢₖ" in said


def test_a_formal_name_that_means_something_else_gets_a_prime() -> None:
    b = Tensor([[1.0, 2.0]], requires_grad=True)
    loss = (b @ np.array([[3.0], [4.0]])).sum()
    said = str(step(loss))
    assert "∂b[i,j] = Σ[k] ∂v1[i,k]·b′[j,k]" in said


class Terminal:
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answers", "last"), [(["", "q"], "2. "), (["a"], "Leaves receive"), ([], "Leaves receive")])
def test_at_a_terminal_a_node_at_a_time(
    answers: list[str], last: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from npgrad.explain.__main__ import paged
    from npgrad.explain.step import example

    asked = iter(answers)

    def answer(prompt: str) -> str:
        try:
            return next(asked)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", answer)
    assert paged(["example", "", "1. one", "   sends", "", "2. two", "", "Leaves receive"]) == 0
    told = capsys.readouterr().out
    if answers == ["", "q"]:
        assert "1. one" in told and "2. two" not in told
    else:
        assert last in told
    assert any(line.startswith("1. ") for line in example())
