"""Schedules give torch's learning rates."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad import Tensor, optim


def sgd(*rates: float) -> optim.SGD:
    return optim.SGD([{"params": [Tensor(np.ones(1), requires_grad=True)], "lr": lr} for lr in rates])


def torch_sgd(torch: Any, *rates: float) -> Any:
    return torch.optim.SGD([{"params": [torch.ones(1, requires_grad=True)], "lr": lr} for lr in rates])


def rates(optimizer: Any) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


@given(st.integers(1, 12), st.floats(0.1, 1.0), st.floats(1e-4, 1.0))
def test_step(torch: Any, step_size: int, gamma: float, lr: float) -> None:
    ours, theirs = sgd(lr, 2 * lr), torch_sgd(torch, lr, 2 * lr)
    a = optim.StepLR(ours, step_size, gamma)
    b = torch.optim.lr_scheduler.StepLR(theirs, step_size, gamma)
    for _ in range(40):
        np.testing.assert_allclose(rates(ours), rates(theirs), rtol=1e-12)
        a.step()
        theirs.step()
        b.step()


@given(st.integers(1, 40), st.floats(0.0, 0.1), st.floats(0.1, 1.0))
def test_cosine(torch: Any, T_max: int, eta_min: float, lr: float) -> None:
    ours, theirs = sgd(lr, 2 * lr), torch_sgd(torch, lr, 2 * lr)
    a = optim.CosineAnnealingLR(ours, T_max, eta_min)
    b = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, T_max, eta_min)
    for _ in range(T_max + 1):
        np.testing.assert_allclose(rates(ours), rates(theirs), rtol=1e-9, atol=1e-15)
        a.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            b.step()
    for _ in range(3):
        a.step()
        assert rates(ours) == [eta_min, eta_min]


def test_the_lectures_schedule() -> None:
    optimizer = sgd(0.1)
    schedule = optim.StepLR(optimizer, 3)
    seen = []
    for _ in range(5):
        seen.append(optimizer.lr)
        schedule.step()
    np.testing.assert_allclose(seen, [0.1, 0.1, 0.1, 0.01, 0.01])


def test_a_resumed_schedule_gives_the_same_rates() -> None:
    first = optim.CosineAnnealingLR(sgd(0.3, 0.2), 10)
    for _ in range(4):
        first.step()
    second = optim.CosineAnnealingLR(sgd(1.0, 1.0), 10)
    second.load_state_dict(first.state_dict())
    for _ in range(4):
        assert rates(first.optimizer) == rates(second.optimizer)
        first.step()
        second.step()


def test_errors() -> None:
    with pytest.raises(ValueError, match="step_size must be at least 1, got 0"):
        optim.StepLR(sgd(0.1), 0)
    with pytest.raises(ValueError, match="T_max must be at least 1, got 0"):
        optim.CosineAnnealingLR(sgd(0.1), 0)
    with pytest.raises(TypeError, match="schedules an optimiser and got float"):
        optim.StepLR(0.1, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 parameter groups and the optimiser has 2"):
        optim.StepLR(sgd(0.1, 0.2), 3).load_state_dict(optim.StepLR(sgd(0.1), 3).state_dict())
    schedule = optim.StepLR(sgd(0.1), 3)
    for state, words in (
        ({}, "has 'steps' and 'initial'"),
        (None, "has 'steps' and 'initial'"),
        ({"steps": -1, "initial": [0.1]}, "at least 0; this state has -1"),
        ({"steps": 2.5, "initial": [0.1]}, "this state has 2.5"),
        ({"steps": 3, "initial": [float("nan")]}, "initial must be a finite number"),
        ({"steps": 3, "initial": ["0.1"]}, "initial must be a finite number"),
    ):
        with pytest.raises(ValueError, match=words):
            schedule.load_state_dict(state)  # type: ignore[arg-type]
        assert schedule.state_dict() == {"steps": 0, "initial": [0.1]} and schedule.optimizer.lr == 0.1
    with pytest.raises(NotImplementedError, match="define rate"):
        optim.Schedule(sgd(0.1))
