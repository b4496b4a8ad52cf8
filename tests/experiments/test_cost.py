"""The estimated cost of a run is in one unit for all lessons: compared with counted work, never with a clock."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import npgrad
from experiments.lessons import architectures, attention, kaiming, stages, through_time
from npgrad.engine.function import Function

CALL, NUMBER = 10_000, 10
"""Multiply-adds that take about as long as calling a Function, and as what it does with one number of its result."""


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The work of each Function applied from now on: its call, its result, and its products of matrices."""
    done: list[float] = []
    apply = vars(Function)["apply"].__func__

    def counted(cls: type[Function], *inputs: Any, **options: Any) -> Any:
        out = apply(cls, *inputs, **options)
        shapes = [shape for shape in map(np.shape, inputs[:3]) if len(shape) > 1]
        multiplies = cls.__name__ in ("MatMul", "Linear", "Recurrent") and len(shapes) > 1
        products = math.prod(shapes[0][:-1]) * math.prod(shapes[-1][-2:]) if multiplies else 0
        done.append(CALL + NUMBER * out.size + products)
        return out

    monkeypatch.setattr(Function, "apply", classmethod(counted))
    monkeypatch.setattr(npgrad, "compile", lambda function: function)
    return done


RUNS = [
    (kaiming, kaiming.Config(activation="relu", depth=10, width=200, examples=100)),
    (kaiming, kaiming.Config(activation="relu", depth=20, width=300, examples=200)),
    *((through_time, through_time.Config(cell=cell, steps=5, length=10)) for cell in ("rnn", "gru")),
    (attention, attention.Config(layers=1, steps=2, held=20)),
    *((architectures, architectures.Config(network=name, steps=5, held=20)) for name in ("mlp 3", "gru")),
]


@pytest.fixture(scope="module")
def unit() -> list[float]:
    """The work of one step of the lecture's network, once it has been counted."""
    return []


@pytest.mark.parametrize(("lesson", "config"), RUNS)
def test_the_cost_of_a_run_is_in_steps_of_the_lectures_network(
    lesson: ModuleType, config: Any, work: list[float], unit: list[float]
) -> None:
    if not unit:
        counts = []
        for steps in (10, 30):
            work.clear()
            stages.run(stages.Config(steps=steps), nothing)
            counts.append(sum(work))
        unit.append((counts[1] - counts[0]) / 20)
    work.clear()
    lesson.run(config, nothing)
    assert 0.1 < lesson.cost(config) / (sum(work) / unit[0]) < 10


def nothing(step: float, of: float) -> None:
    """Progress that nobody looks at."""
