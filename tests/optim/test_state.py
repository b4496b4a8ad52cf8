"""State dictionaries: an optimiser that is saved and loaded goes on as if nothing had happened."""

import json
from typing import Any

import numpy as np
import pytest

from npgrad import Tensor, optim

OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "Adam": {"lr": 0.01, "betas": (0.8, 0.99)},
    "AdamW": {"lr": 0.01},
}


def make(name: str, values: list[np.ndarray]) -> tuple[list[Tensor], optim.Optimizer]:
    parameters = [Tensor(a, requires_grad=True) for a in values]
    groups = [{"params": parameters[:2]}, {"params": parameters[2:], "lr": 0.05}]
    return parameters, getattr(optim, name)(groups, **OPTIONS[name])


def steps(parameters: list[Tensor], optimizer: optim.Optimizer, rng: np.random.Generator, n: int) -> None:
    for _ in range(n):
        for p in parameters:
            p.grad = rng.normal(size=p.shape).astype(p.dtype) if rng.random() < 0.8 else None
        optimizer.step()


@pytest.mark.parametrize("name", list(OPTIONS))
def test_resuming_gives_the_same_bits(name: str) -> None:
    rng = np.random.default_rng(0)
    start = [rng.normal(size=(2, 3)), rng.normal(size=4).astype(np.float32), rng.normal(size=())]
    parameters, optimizer = make(name, start)
    steps(parameters, optimizer, rng, 7)
    others, other = make(name, [p.numpy() for p in parameters])
    steps(others, other, np.random.default_rng(9), 3)
    for p, q in zip(parameters, others, strict=True):
        q.data = p.numpy()
    state = optimizer.state_dict()
    other.load_state_dict(state)
    # Changing the loaded state afterwards must not reach the optimiser.
    for entry in state["state"].values():
        for value in entry.values():
            if isinstance(value, np.ndarray):
                value[...] = 99
    seed = int(rng.integers(2**32))
    steps(parameters, optimizer, np.random.default_rng(seed), 5)
    steps(others, other, np.random.default_rng(seed), 5)
    for p, q in zip(parameters, others, strict=True):
        assert p.numpy().tobytes() == q.numpy().tobytes()


@pytest.mark.parametrize("name", list(OPTIONS))
def test_state_survives_being_written_as_text(name: str) -> None:
    rng = np.random.default_rng(1)
    start = [rng.normal(size=3), rng.normal(size=2), rng.normal(size=1)]
    parameters, optimizer = make(name, start)
    steps(parameters, optimizer, rng, 4)
    text = json.dumps(optimizer.state_dict(), default=lambda a: a.tolist())
    others, other = make(name, [p.numpy() for p in parameters])
    other.load_state_dict(json.loads(text))
    steps(parameters, optimizer, np.random.default_rng(3), 3)
    steps(others, other, np.random.default_rng(3), 3)
    for p, q in zip(parameters, others, strict=True):
        assert np.array_equal(p.numpy(), q.numpy())


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    start = [rng.normal(size=3), rng.normal(size=2), rng.normal(size=1)]
    parameters, optimizer = make("SGD", start)
    steps(parameters, optimizer, rng, 3)
    before = optimizer.state_dict()

    _, other = make("SGD", start[::-1])
    steps(list(other._all), other, rng, 3)
    with pytest.raises(ValueError, match=r"nothing was loaded.*momentum_buffer 0 is"):
        optimizer.load_state_dict(other.state_dict())
    with pytest.raises(ValueError, match=r"groups with \[3\] parameters, this SGD has groups with \[2, 1\]"):
        optimizer.load_state_dict(optim.SGD([Tensor(a, True) for a in start]).state_dict())
    _, adam = make("Adam", start)
    with pytest.raises(ValueError, match="it has the options betas, eps, lr, weight_decay"):
        optimizer.load_state_dict(adam.state_dict())

    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for k, entry in before["state"].items():
        assert np.array_equal(entry["momentum_buffer"], after["state"][k]["momentum_buffer"])


def test_loading_an_unused_optimisers_state_forgets_the_old_one() -> None:
    rng = np.random.default_rng(3)
    parameters, optimizer = make("Adam", [rng.normal(size=2)] * 3)
    fresh = optimizer.state_dict()
    steps(parameters, optimizer, rng, 3)
    optimizer.load_state_dict(fresh)
    assert optimizer.state_dict()["state"] == {}
    for p in parameters:
        p.grad = np.ones(2)
    before = [p.numpy().copy() for p in parameters]
    optimizer.step()
    # The first step of Adam has size lr, whatever the gradient.
    for p, value, lr in zip(parameters, before, (0.01, 0.01, 0.05), strict=True):
        np.testing.assert_allclose(value - p.numpy(), lr, rtol=1e-6)
