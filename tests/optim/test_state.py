"""State dictionaries: an optimiser that is saved and loaded goes on as if nothing had happened."""

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from npgrad import Tensor, optim
from tests.optim.conftest import OPTIMISERS, each_optimiser, leaves, make, steps

State = dict[str, Any]


def two_groups(name: str, values: list[np.ndarray]) -> tuple[list[Tensor], optim.Optimizer]:
    parameters = leaves(*values)
    return parameters, make(name, [{"params": parameters[:2]}, {"params": parameters[2:], "lr": 0.05}])


def trained(name: str) -> tuple[list[Tensor], optim.Optimizer]:
    rng = np.random.default_rng(2)
    parameters, optimizer = two_groups(name, [rng.normal(size=n) for n in (3, 2, 1)])
    for p in parameters:
        p.grad = rng.normal(size=p.shape)
    optimizer.step()
    steps(parameters, optimizer, rng, 3)
    return parameters, optimizer


@each_optimiser
def test_the_example_uses_every_array(name: str) -> None:
    _, optimizer = trained(name)
    for entry in optimizer.state_dict()["state"].values():
        assert set(entry) == {"step", *optimizer.state_names}


@each_optimiser
def test_resuming_gives_the_same_bits(name: str, rng: np.random.Generator) -> None:
    start: list[np.ndarray] = [rng.normal(size=(2, 3)), rng.normal(size=4).astype(np.float32), rng.normal(size=())]
    parameters, optimizer = two_groups(name, start)
    steps(parameters, optimizer, rng, 7)
    others, other = two_groups(name, [p.numpy() for p in parameters])
    steps(others, other, np.random.default_rng(9), 3)
    arrays = {p: {k: a for k, a in s.items() if k != "step"} for p, s in other.state.items()}
    for p, q in zip(parameters, others, strict=True):
        q.data = p.numpy()
    state = optimizer.state_dict()
    other.load_state_dict(state)
    assert all(other.state[p][k] is a for p, own in arrays.items() for k, a in own.items())
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


@each_optimiser
def test_state_survives_being_written_as_text(name: str, rng: np.random.Generator) -> None:
    parameters, optimizer = trained(name)
    text = json.dumps(optimizer.state_dict(), default=lambda a: a.tolist())
    others, other = two_groups(name, [p.numpy() for p in parameters])
    other.load_state_dict(json.loads(text))
    assert other.param_groups[0].keys() == optimizer.param_groups[0].keys()
    assert all(other.param_groups[0][k] == v for k, v in optimizer.param_groups[0].items() if k != "params")
    steps(parameters, optimizer, np.random.default_rng(3), 3)
    steps(others, other, np.random.default_rng(3), 3)
    for p, q in zip(parameters, others, strict=True):
        assert np.array_equal(p.numpy(), q.numpy())


@each_optimiser
def test_a_state_saved_after_an_option_was_switched_on_or_off_can_be_loaded(name: str) -> None:
    for names in ({"momentum": 0.0, "nesterov": False}, {"amsgrad": False}):
        if not names.keys() <= OPTIMISERS[name].example.keys():
            continue
        for first, then in ((names, OPTIMISERS[name].example), (OPTIMISERS[name].example, names)):
            p, q = leaves(np.ones(2), np.ones(2))
            optimizer = make(name, [p], **{**OPTIMISERS[name].example, **first})
            p.grad = q.grad = np.ones(2)
            optimizer.step()
            optimizer.param_groups[0].update({k: then[k] for k in names})
            q.data = p.numpy()
            other = make(name, [q])
            other.load_state_dict(optimizer.state_dict())
            optimizer.step()
            other.step()
            assert np.array_equal(p.numpy(), q.numpy())


def set_option(key: str, value: Any) -> Callable[[State], None]:
    def change(state: State) -> None:
        state["param_groups"][1][key] = value

    return change


def set_entry(key: str, value: Any) -> Callable[[State], None]:
    def change(state: State) -> None:
        state["state"][1][first(state) if key == "first" else key] = value

    return change


def first(state: State) -> str:
    return next(str(key) for key in state["state"][1] if key != "step")


def swap_parameters(state: State) -> None:
    state["state"][0], state["state"][1] = state["state"][1], state["state"][0]


CHANGES: dict[str, tuple[Callable[[State], Any], str]] = {
    "negative rate": (set_option("lr", -1.0), "lr must be a finite number of at least 0, got -1.0"),
    "rate is nan": (set_option("lr", float("nan")), "lr must be.*got nan"),
    "rate is text": (set_option("lr", "0.1"), "lr must be.*got '0.1'"),
    "rate is missing": (lambda s: s["param_groups"][1].pop("lr"), "it has the options"),
    "unknown option": (set_option("speed", 1), "it has the options .*speed"),
    "flag is text": (set_option("maximize", "False"), "maximize must be True or False, got 'False'"),
    "moments missing": (lambda s: s["state"][1].pop(first(s)), "it has no .* for parameter 1"),
    "moments of text": (set_entry("first", np.array(["a", "b"])), "dtype <U1 for a parameter of float64"),
    "moments ragged": (set_entry("first", [[1.0], 2.0]), "dtype object"),
    "moments complex": (set_entry("first", np.zeros(2, complex)), "dtype complex128"),
    "moments None": (set_entry("first", None), "dtype object"),
    "moments of another shape": (set_entry("first", np.zeros(3)), r"is \(3,\) for a parameter of \(2,\)"),
    "moments of another size": (set_entry("first", 0.0), r"is \(\) for a parameter of \(2,\)"),
    "unknown moments": (set_entry("speed", np.zeros(2)), "it has 'speed' for parameter 1"),
    "step missing": (lambda s: s["state"][1].pop("step"), "the step of parameter 1 is None"),
    "step negative": (set_entry("step", -1), "the step of parameter 1 is -1"),
    "step fractional": (set_entry("step", 1.5), "the step of parameter 1 is 1.5"),
    "step is a flag": (set_entry("step", True), "the step of parameter 1 is True"),
    "swapped": (swap_parameters, r"is \(2,\) for a parameter of \(3,\).*is \(3,\) for a parameter of \(2,\)"),
    "renumbered": (lambda s: s["param_groups"][0].update(params=[1, 0]), r"numbers its parameters \[1, 0\] instead"),
    "another parameter": (lambda s: s["state"].update({7: s["state"][1]}), "a parameter number 7"),
    "a number that is none": (lambda s: s["state"].update({"weight": {}}), "not the state_dict"),
    "entry is a number": (lambda s: s["state"].update({0: 3}), "not the state_dict"),
    "groups missing": (lambda s: s.pop("param_groups"), "not the state_dict.*'state' and 'param_groups'"),
    "groups are a number": (lambda s: s.update(param_groups=3), "not the state_dict"),
    "state is a list": (lambda s: s.update(state=[1]), "not the state_dict"),
    "one group": (lambda s: s["param_groups"].pop(), r"groups with \[2\] parameters, this .* groups with \[2, 1\]"),
}


@each_optimiser
@pytest.mark.parametrize(("change", "words"), CHANGES.values(), ids=CHANGES)
def test_a_state_that_does_not_fit_changes_nothing(name: str, change: Callable[[State], Any], words: str) -> None:
    parameters, optimizer = trained(name)
    before = copy.deepcopy((optimizer.state_dict(), [p.numpy().copy() for p in parameters]))
    state = copy.deepcopy(before[0])
    for group in state["param_groups"]:
        group["lr"] = 0.7
    for entry in state["state"].values():
        entry["step"] += 10
    optimizer.load_state_dict(state)  # valid so far
    optimizer.load_state_dict(before[0])
    change(state)
    with pytest.raises(ValueError, match=words):
        optimizer.load_state_dict(state)
    np.testing.assert_equal((optimizer.state_dict(), [p.numpy() for p in parameters]), before)


@pytest.mark.parametrize("betas", [0.9, (0.9,), (0.9, 1.0), (0.9, float("nan")), ("0.9", "0.99"), None])
def test_betas_are_checked_when_loaded(betas: Any) -> None:
    _, optimizer = trained("Adam")
    state = optimizer.state_dict()
    state["param_groups"][0]["betas"] = betas
    with pytest.raises(ValueError, match=r"nothing was loaded: Adam: betas must be two numbers in \[0, 1\)"):
        optimizer.load_state_dict(state)


@pytest.mark.parametrize("state", [None, 3, [], {}, {"state": {}}])
def test_what_is_not_a_state_is_refused(state: Any) -> None:
    _, optimizer = trained("SGD")
    with pytest.raises(ValueError, match="not the state_dict"):
        optimizer.load_state_dict(state)


def test_states_of_other_optimisers_are_refused() -> None:
    _, sgd = trained("SGD")
    _, adam = trained("Adam")
    with pytest.raises(ValueError, match=r"nothing was loaded.*it has the options amsgrad, betas, eps, lr, maximize"):
        sgd.load_state_dict(adam.state_dict())


def test_loading_an_unused_optimisers_state_forgets_the_old_one(rng: np.random.Generator) -> None:
    parameters, optimizer = two_groups("Adam", [rng.normal(size=2)] * 3)
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
