"""The anatomy of a step times every line of its program and runs the program as it is."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import anatomy
from npgrad.functions import Tanh
from npgrad.optim import SGD


@pytest.mark.parametrize("net", ["lecture", "deep"])
def test_every_line_of_the_step_is_there(net: str) -> None:
    parts = anatomy.anatomy(net, 10)
    assert all(line.microseconds >= 0 for line in parts)
    sections = list(dict.fromkeys(line.section for line in parts))
    assert sections[0] == anatomy.BEFORE and sections[-1] == anatomy.AFTER
    for text in ("cross_entropy(", "optimizer.step()", "self"):
        assert any(text in section for section in sections)
    remarks = {line.text.partition("  # ")[2].split(" ")[0] for line in parts}
    assert {"Embedding", "Linear", "BatchNorm", "Tanh", "CrossEntropy"} <= remarks
    products = [line for line in parts if ".dot(" in line.text and "Linear" in line.text]
    assert products and all(line.microseconds > 0 for line in products)


def test_sections_add_up() -> None:
    lines = anatomy.report("lecture", 50)
    sums = [float(line[:8]) for line in lines if line[8:14].strip().endswith("%")]
    total = next(float(line[:8]) for line in lines if "  all lines, of which products" in line)
    assert sum(sums) == pytest.approx(total, abs=0.06 * len(sums))
    assert sum("NumPy by hand" in line for line in lines) == 2


def test_the_eager_step_is_its_rules_and_what_is_around_them() -> None:
    before = vars(Tanh)["forward"], vars(SGD)["update"]
    parts = anatomy.eager("gru", 3)
    assert list(parts) == ["forward rules", "backward rules", "arithmetic of the update", "the engine around them"]
    assert all(microseconds > 0 for microseconds in parts.values())
    assert (vars(Tanh)["forward"], vars(SGD)["update"]) == before


def test_clocks_change_nothing() -> None:
    source = """def step(x):
    if x is None: return STALE

    # train.py:3  y = f(x)
    y = x + 1.0
    with errstate(divide='ignore'):
        z = 1.0 / y                                             # Reciprocal (1)

    # train.py:4  w = g(z)
    for rows in tiles:
        w = z + 1.0                                             # Add (1)
        w = w * 1.0

    leaf = z
    return z
"""
    watched, lines = anatomy.clocked(source)
    readings: list[tuple[int, ...]] = []
    namespace = {"STALE": None, "errstate": np.errstate, "clock": lambda: 0, "ticks": readings.append, "tiles": [1, 2]}
    exec(watched, namespace)
    assert namespace["step"](3.0) == 0.25
    assert [len(ticks) for ticks in readings] == [len(lines) + 1] == [7]
    assert [section for section, _ in lines] == [
        anatomy.BEFORE, *["train.py:3  y = f(x)"] * 2, "train.py:4  w = g(z)", *[anatomy.AFTER] * 2,
    ]  # fmt: skip
    assert lines[3][1] == "for rows in tiles:\n    w = z + 1.0  # Add (1)\n    w = w * 1.0"
    assert lines[2][1] == "z = 1.0 / y  # Reciprocal (1)"


def test_refuses_too_few_steps(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        anatomy.main(["--steps", "3"])
    assert stop.value.code == 2
    assert "must be 10 or more; got 3" in capsys.readouterr().err
