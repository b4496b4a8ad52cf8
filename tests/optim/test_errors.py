"""Every mistake in making an optimiser gets one sentence about what happened and one about what to do."""

from typing import Any

import numpy as np
import pytest

from npgrad import Tensor, optim


def leaf(*shape: int) -> Tensor:
    return Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ([], ValueError, "got no parameters. Pass model.parameters()"),
        ([{"params": []}], ValueError, "got no parameters"),
        (leaf(2, 3), TypeError, r"one tensor of shape \(2, 3\): write \[tensor\]"),
        (3, TypeError, "takes a list of tensors or of groups and got int"),
        ("weights", TypeError, "got str"),
        ([np.ones(2)], TypeError, "optimises tensors and got ndarray"),
        ([("weight", leaf(2))], TypeError, "got tuple.*not named_parameters"),
        ([leaf(2) * 2.0], ValueError, "was computed.*Optimise the leaves"),
        ([Tensor([1, 2])], ValueError, "dtype int64"),
        ([{"lr": 0.1}], TypeError, "each group a dictionary with 'params'"),
        ([{"params": [leaf(2)]}, leaf(2)], TypeError, "tensors only or groups only"),
        ([{"params": [leaf(2)], "learning_rate": 0.1}], ValueError, "no option 'learning_rate'.*It has lr, momentum"),
        ([{"params": [leaf(2)], "lr": -1.0}], ValueError, "lr must be a finite number of at least 0, got -1.0"),
    ],
)
def test_parameters(params: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        optim.SGD(params)


def test_a_model_instead_of_its_parameters() -> None:
    class Model:
        parameters: list[Tensor] = []

    with pytest.raises(TypeError, match=r"got Model. Pass model.parameters\(\)"):
        optim.SGD(Model())  # type: ignore[arg-type]


def test_duplicates_within_and_across_groups() -> None:
    p = leaf(2)
    for params in ([p, p], [{"params": [p]}, {"params": [p]}]):
        with pytest.raises(ValueError, match=r"shape \(2,\) twice"):
            optim.SGD(params)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("SGD", {"lr": -0.1}, "SGD: lr must be a finite number of at least 0, got -0.1"),
        ("SGD", {"lr": float("nan")}, "got nan"),
        ("SGD", {"lr": "fast"}, "got 'fast'"),
        ("SGD", {"momentum": -0.1}, "momentum must be"),
        ("SGD", {"weight_decay": -0.1}, "weight_decay must be"),
        ("SGD", {"dampening": -0.1}, "dampening must be"),
        ("SGD", {"nesterov": True}, "momentum is 0. Set momentum"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "without dampening, and dampening is 0.1"),
        ("SGD", {"maximize": 1}, "maximize must be True or False, got 1"),
        ("Adam", {"amsgrad": "no"}, "amsgrad must be True or False, got 'no'"),
        ("Adam", {"betas": 0.9}, "betas must be two numbers"),
        ("Adam", {"betas": (0.9, 1.0)}, r"betas must be two numbers in \[0, 1\), got \(0.9, 1.0\)"),
        ("AdamW", {"betas": (-0.1, 0.9)}, "AdamW: betas"),
        ("AdamW", {"eps": -1e-8}, "eps must be"),
    ],
)
def test_options(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        getattr(optim, name)([leaf(2)], **options)


def test_one_rate_for_all_groups() -> None:
    optimizer = optim.SGD([{"params": [leaf(1)], "lr": 0.1}, {"params": leaf(2), "lr": 0.2}])
    with pytest.raises(ValueError, match=r"different learning rates \[0.1, 0.2\]"):
        _ = optimizer.lr
    optimizer.lr = 0.3
    assert optimizer.lr == 0.3
    with pytest.raises(ValueError, match="lr must be"):
        optimizer.lr = -1


def test_repr_says_what_is_optimised() -> None:
    text = repr(optim.SGD([leaf(20, 100)], lr=0.5))
    assert "1 tensors, 2,000 parameters: lr=0.5, momentum=0.0" in text


def test_an_optimiser_without_a_rule_says_so() -> None:
    class Numbers(optim.Optimizer):
        def numbers(self, group: dict[str, Any], t: int) -> dict[str, float]:
            return {}

    p = leaf(1)
    p.grad = np.ones(1)
    for kind, words in ((optim.Optimizer, "define numbers"), (Numbers, "Numbers has no update.*define update")):
        with pytest.raises(NotImplementedError, match=words):
            kind([p], lr=0.1).step()
