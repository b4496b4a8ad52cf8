"""`python -m benchmarks.operators`: how a sample of PyTorch's is judged, on a handful of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.in_npgrad import counterpart, optimizer_of, table
from benchmarks.operators import Sample, judge
from benchmarks.operators import table as counts

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 3, 4))
SQUARE = RNG.normal(size=(3, 3)) + 3 * np.eye(3)

RIGHT: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("addcmul", (A, B, A), {"value": 0.5}),
    ("std", (A, 1), {"keepdim": True}),
    ("sum", (A,), {"dim": [0, 1], "dtype": "float64"}),
    ("split", (A, 2, 1), {}),
    ("max", (A, 1), {}),
    ("linalg.svdvals", (A,), {}),
    ("linalg.solve", (SQUARE, A), {}),
    ("nn.functional.linear", (A, B, A[:, 0]), {}),
    ("nn.functional.softmax", (A,), {"dim": 0}),
    ("erf", (A,), {}),
]


def attribute(torch: Any, name: str) -> Any:
    for part in name.split("."):
        torch = getattr(torch, part)
    return torch


def sample(torch: Any, theirs: Any, ours: Any, *arrays: Any, **options: Any) -> Sample:
    given = [torch.tensor(x, requires_grad=True) if isinstance(x, np.ndarray) else x for x in arrays]
    options = {k: torch.float64 if v == "float64" else v for k, v in options.items()}
    return Sample((tuple(given), options), theirs, ours)


@pytest.mark.parametrize(("name", "arguments", "options"), RIGHT, ids=lambda x: x if isinstance(x, str) else "")
def test_right(name: str, arguments: Any, options: Any, torch: Any) -> None:
    theirs = attribute(torch, name)
    assert judge(sample(torch, theirs, counterpart(name), *arguments, **options)) == ("right", "")


def test_what_is_not_right(torch: Any) -> None:
    def outcome(theirs: Any, ours: Any, x: Any = A) -> tuple[str, str]:
        return judge(sample(torch, theirs, ours, x))

    assert outcome(torch.exp, lambda x: x + 1) == ("wrong", "value")
    assert outcome(torch.exp, lambda x: np.exp(x.numpy())) == ("wrong", "gradient")
    assert outcome(torch.exp, lambda x: np.exp(x)[0])[0] == "wrong"
    assert outcome(lambda x: (x, x), lambda x: x) == ("wrong", "1 results instead of 2")
    assert outcome(torch.exp, lambda x: np.linalg.eig(x))[0] == "refused"
    assert outcome(torch.exp, lambda x: {}[x])[0] == "crashed"
    # At 0 the gradient of |x| is 0 in both, that of max(x, -x) is not; beside it they agree.
    assert outcome(torch.abs, lambda x: 2 * np.maximum(x, 0) - x, np.array([0.0, 1.0])) == ("right", "")
    assert outcome(torch.relu, lambda x: np.maximum(x, 0), np.array([0.0, 1.0]))[0] == "kink"


def test_what_is_left_out(torch: Any) -> None:
    for theirs, rule in (
        (torch.argmax, "no float64 result"),
        (torch.fft.fft, "complex"),
        (torch.rand_like, "no float64 result"),
        (lambda x: x * torch.rand_like(x), "random"),
        (lambda x: x @ x, "PyTorch raises RuntimeError"),
    ):
        outcome, why = judge(sample(torch, theirs, lambda x: x, A))
        assert outcome == "left out" and rule in why


def test_optimisers_lead_to_the_same_place(torch: Any) -> None:
    for cls, options in ((torch.optim.SGD, {"lr": 0.01, "momentum": 0.9}), (torch.optim.AdamW, {"lr": 0.1})):
        assert judge(Sample(*optimizer_of(cls, options))) == ("right", "")


def test_every_expression_is_for_an_operator_that_pytorch_has(torch: Any) -> None:
    for name in table().keys() - {"slice", "__rdiv__"}:  # which only the samples call so
        assert hasattr(torch.Tensor, name) or callable(attribute(torch, name)), name


def test_the_table_of_outcomes() -> None:
    seen = {"add": [["right", ""], ["kink", ""]], "qr": [["refused", "no rule"]], "rand": [["left out", "random"]]}
    assert counts({"operators": seen}).splitlines()[1].split()[1:] == ["2", "1", "1", "1", "0", "0", "1", "1", "0"]
