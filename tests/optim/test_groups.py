"""Parameter groups are what `param_groups` says at each step."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from npgrad import Tensor, optim
from tests.optim.conftest import OPTIMISERS, each_optimiser, leaves, make

Change = Callable[[optim.Optimizer, Tensor], None]


def append_group(optimizer: optim.Optimizer, q: Tensor) -> None:
    optimizer.param_groups.append({"params": [q], "lr": 0.5})


def append_generator(optimizer: optim.Optimizer, q: Tensor) -> None:
    optimizer.param_groups.append({"params": (x for x in [q]), "lr": 0.5})


def replace_groups(optimizer: optim.Optimizer, q: Tensor) -> None:
    optimizer.param_groups = [*optimizer.param_groups, {"params": q, "lr": 0.5}]


def append_parameter(optimizer: optim.Optimizer, q: Tensor) -> None:
    optimizer.lr = 0.5
    optimizer.param_groups[0]["params"].append(q)


def replace_parameters(optimizer: optim.Optimizer, q: Tensor) -> None:
    optimizer.lr = 0.5
    optimizer.param_groups[0]["params"] = (*optimizer.param_groups[0]["params"], q)


def add_group(optimizer: optim.Optimizer, q: Tensor) -> None:
    optimizer.add_param_group({"params": [q], "lr": 0.5})


@each_optimiser
@pytest.mark.parametrize(
    "change", [append_group, append_generator, replace_groups, append_parameter, replace_parameters, add_group]
)
@pytest.mark.parametrize("zero_first", [False, True])
def test_a_parameter_that_came_later_is_optimised(name: str, change: Change, zero_first: bool) -> None:
    p, q, alone = leaves(*[np.ones(3)] * 3)
    optimizer = make(name, [p])
    p.grad = np.ones(3)
    optimizer.step()
    change(optimizer, q)
    if zero_first:
        q.grad = np.ones(3)
        optimizer.zero_grad()
        assert q.grad is None
    p.grad = q.grad = alone.grad = np.array([1.0, -2.0, 0.5])
    optimizer.step()
    make(name, [alone], **{**OPTIMISERS[name].example, "lr": 0.5}).step()
    assert np.array_equal(q.numpy(), alone.numpy())
    assert optimizer.state[p]["step"] == 2 and optimizer.state[q]["step"] == 1
    assert sorted(optimizer.state_dict()["state"]) == [0, 1]


def test_the_dictionary_that_was_appended_stays_the_group() -> None:
    p, q = leaves(np.zeros(1), np.zeros(1))
    optimizer = optim.SGD([p], lr=1.0)
    group: dict[str, Any] = {"params": [q]}
    optimizer.param_groups.append(group)
    q.grad = np.ones(1)
    optimizer.step()
    group["lr"] = 10.0
    optimizer.step()
    assert q.numpy()[0] == -11.0


def test_a_parameter_that_was_taken_out_is_left_alone() -> None:
    p, q = leaves(np.zeros(1), np.zeros(1))
    optimizer = optim.SGD([p, q], lr=1.0)
    p.grad = q.grad = np.ones(1)
    optimizer.step()
    del optimizer.param_groups[0]["params"][0]
    optimizer.step()
    assert (p.numpy()[0], q.numpy()[0]) == (-1.0, -2.0)


def test_options_left_out_are_the_optimisers() -> None:
    p, q = leaves(np.ones(1), np.ones(1))
    optimizer = optim.SGD([p], lr=0.25, momentum=0.5)
    optimizer.lr = 0.75
    optimizer.add_param_group({"params": q, "momentum": 0.0})
    assert {k: v for k, v in optimizer.param_groups[1].items() if k != "params"} == {
        **optimizer.defaults,
        "lr": 0.25,
        "momentum": 0.0,
    }


BAD: list[tuple[Any, type[Exception], str]] = [
    ({"params": [np.ones(2)]}, TypeError, "optimises tensors and got ndarray"),
    ({"params": leaves(np.ones(1)), "lr": -1.0}, ValueError, "lr must be"),
    ({"params": leaves(np.ones(1)), "speed": 1.0}, ValueError, r"no option 'speed' \(in group 1\)"),
    ({"lr": 1.0}, TypeError, "each group a dictionary with 'params'"),
    (leaves(np.ones(1))[0], TypeError, "groups only.*is Tensor"),
    ({"params": [Tensor([1, 2])]}, ValueError, "dtype int64"),
]


@pytest.mark.parametrize(("group", "error", "words"), BAD)
def test_a_group_that_is_not_valid_changes_nothing(group: Any, error: type[Exception], words: str) -> None:
    (p,) = leaves(np.zeros(1))
    optimizer = optim.SGD([p], lr=1.0, momentum=0.5)
    p.grad = np.ones(1)
    with pytest.raises(error, match=words):
        optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == 1
    optimizer.param_groups.append(group)
    for use in (optimizer.step, optimizer.step, optimizer.zero_grad, optimizer.state_dict):
        with pytest.raises(error, match=words):
            use()
    assert p.numpy()[0] == 0 and p.grad is not None and not optimizer.state
    optimizer.param_groups.pop()
    optimizer.step()
    assert p.numpy()[0] == -1


def test_a_parameter_added_twice_is_an_error() -> None:
    (p,) = leaves(np.zeros(1))
    optimizer = optim.SGD([p], lr=1.0)
    with pytest.raises(ValueError, match="twice"):
        optimizer.add_param_group({"params": p})
    optimizer.param_groups[0]["params"].append(p)
    p.grad = np.ones(1)
    with pytest.raises(ValueError, match="twice"):
        optimizer.step()
    assert p.numpy()[0] == 0


@each_optimiser
@pytest.mark.parametrize(("key", "value"), [("lr", float("nan")), ("weight_decay", -1.0), ("maximize", "yes")])
def test_an_option_out_of_range_is_refused_before_anything_changes(name: str, key: str, value: Any) -> None:
    p, q = leaves(np.ones(1), np.ones(1))
    optimizer = make(name, [{"params": p}, {"params": q}])
    p.grad = q.grad = np.ones(1)
    optimizer.param_groups[1][key] = value
    with pytest.raises(ValueError, match=f"{key} must be"):
        optimizer.step()
    with pytest.raises(ValueError, match=f"{key} must be"):
        optimizer._advance(optimizer.param_groups[1], [q])
    assert p.numpy()[0] == q.numpy()[0] == 1 and not optimizer.state
    optimizer.param_groups[1][key] = optimizer.param_groups[0][key]
    optimizer.step()
    assert np.array_equal(p.numpy(), q.numpy()) and p.numpy()[0] != 1


def test_a_rate_that_is_refused_can_be_set_right() -> None:
    (p,) = leaves(np.ones(1))
    optimizer = optim.SGD([p])
    optimizer.param_groups[0]["lr"] = float("nan")
    optimizer.lr = 0.1
    assert optimizer.lr == 0.1


def test_a_schedule_takes_a_new_group_from_its_own_rate() -> None:
    p, q = leaves(np.ones(1), np.ones(1))
    optimizer = optim.SGD([p], lr=1.0)
    schedule = optim.StepLR(optimizer, 2, gamma=0.5)
    schedule.step()
    optimizer.param_groups.append({"params": q, "lr": 8.0})
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 4.0]
    assert schedule.initial == [1.0, 8.0]
    schedule.step()
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 2.0]


def test_a_parameter_that_was_replaced_is_no_longer_optimised() -> None:
    p, q = leaves(np.zeros(1), np.zeros(1))
    optimizer = optim.SGD([p], lr=1.0)
    optimizer.param_groups[0]["params"][0] = q
    p.grad = q.grad = np.ones(1)
    optimizer.step()
    assert (p.numpy()[0], q.numpy()[0]) == (0.0, -1.0)
