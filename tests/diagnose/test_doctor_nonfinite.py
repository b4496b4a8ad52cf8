"""The first NaN or infinity: named where it arises, in compiled steps too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import Tensor, nn, optim
from npgrad import functions as F
from npgrad.diagnose import doctor
from npgrad.diagnose.nonfinite import NonFiniteError, nonfinite
from npgrad.engine.mode import MODE

HERE = "test_doctor_nonfinite.py"


class Two(nn.Module):
    """A layer, something that may go wrong, a layer."""

    def __init__(self, between: Callable[[Any], Any], after: Callable[[Any], Any] = lambda y: y) -> None:
        rng = np.random.default_rng(0)
        self.first, self.head = nn.Linear(4, 8, rng=rng), nn.Linear(8, 3, rng=rng)
        self.between, self.after = Between(between), after

    def forward(self, x: Any) -> Tensor:
        return self.after(self.head(self.between(self.first(Tensor(x)))))


class Between(nn.Module):
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def forward(self, h: Tensor) -> Tensor:
        return self.function(h)


def batch() -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    return rng.standard_normal((16, 4)).astype(np.float32), rng.integers(3, size=16)


def run(
    model: nn.Module, lr: float, steps: int = 40, compiled: bool = True, loss: Any = F.cross_entropy
) -> NonFiniteError:
    optimizer = optim.SGD(model.parameters(), lr=lr)

    def step(x: Any, y: Any) -> Tensor:
        value = loss(model(x), y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value

    call: Any = npgrad.compile(step) if compiled else step
    with pytest.raises(NonFiniteError) as raised, nonfinite(model), np.errstate(all="ignore"):
        for _ in range(steps):
            call(*batch())
    assert MODE.get().recorder is None
    return raised.value


@pytest.mark.parametrize("compiled", [False, True])
def test_the_log_of_zero(compiled: bool) -> None:
    found = run(Two(lambda h: F.log(F.relu(h))), 0.1, compiled=compiled).found
    assert (found.function, found.layer, found.direction, found.step) == ("Log", "between", "forward", 0)
    assert found.line is not None and HERE in found.line
    assert "log of 0" in found.cause
    (given,) = found.inputs
    assert given.shape == (16, 8) and given.low == 0 and 0.2 < given.zeros < 0.8 and given.bad == 0
    assert given.largest[0] == given.high
    assert found.bad == round(given.zeros * 128)


def test_the_overflow_of_exp() -> None:
    found = run(Two(lambda h: F.exp(h * 100.0)), 0.1).found
    assert (found.function, found.layer, found.direction) == ("Exp", "between", "forward")
    assert "overflow of exp" in found.cause


def test_a_gradient_of_a_square_root_at_zero() -> None:
    found = run(Two(lambda h: F.sqrt(F.relu(h))), 0.1).found
    assert (found.function, found.layer, found.direction) == ("Sqrt", "between", "backward")
    assert found.inputs[0].name == "dy" and HERE in str(found.line)
    assert "eps" in found.cause


def test_zero_divided_by_zero_in_a_norm() -> None:
    def normalised(h: Tensor) -> Tensor:
        h = F.relu(h - 100.0)
        return h / F.sum(h * h, axis=1, keepdims=True)

    found = run(Two(normalised), 0.1).found
    assert found.layer == "between" and found.direction == "forward"
    assert "0/0" in found.cause and "eps" in found.cause


def test_a_learning_rate_that_is_too_high_inside_a_compiled_step() -> None:
    model = Two(lambda h: h * h * h)
    found = run(model, 100.0).found
    assert found.step > 0
    assert "learning rate" in found.cause


def test_what_was_put_in_is_told_from_what_arose() -> None:
    model = Two(lambda h: h)
    x, y = batch()
    with nonfinite(model) as watch:  # a mask of −inf, as attention has it, is no fault
        F.softmax(F.where(np.tri(4, dtype=bool), Tensor(np.ones((4, 4))), -np.inf)).sum()
    assert watch.found is None
    x[3, 2] = np.nan
    with pytest.raises(NonFiniteError, match="data have NaN"), nonfinite(model):
        F.cross_entropy(model(x), y)


def test_a_parameter_spoilt_by_an_update_is_the_optimisers() -> None:
    model = Two(lambda h: h)
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    x, y = batch()
    with pytest.raises(NonFiniteError) as raised, nonfinite(model):
        for k in range(3):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            if k == 1:
                model.head.weight.grad[0, 0] = np.inf
            optimizer.step()
    found = raised.value.found
    assert (found.direction, found.layer, found.step) == ("update", "head", 1)
    assert "head.weight" in found.cause


def test_watching_changes_no_byte_and_can_go_on() -> None:
    ends = []
    for watched in (False, True):
        model = Two(F.tanh)
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        watch = nonfinite(model, stop=False)

        def steps(model: Any = model, optimizer: Any = optimizer) -> None:
            for _ in range(5):
                loss = F.cross_entropy(model(batch()[0]), batch()[1])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

        if watched:
            with watch:
                steps()
            assert watch.found is None and watch.check() is None and watch.updates == 5
        else:
            steps()
        ends.append(model.state_dict())
    assert all(np.array_equal(ends[0][k], ends[1][k]) for k in ends[0])


def test_the_doctor_names_the_first_bad_number() -> None:
    x, y = batch()
    model = Two(lambda h: F.log(F.relu(h)))
    report = doctor.examine(model, F.cross_entropy, [(x, y)], optim.SGD(model.parameters(), lr=0.1), 10)
    assert any("Log" in f.what and "between" in f.what for f in report), str(report)
