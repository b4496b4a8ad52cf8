"""The anatomy of a step names every function the step runs and leaves the step itself as it was."""

from __future__ import annotations

import pytest

from benchmarks import anatomy


@pytest.mark.parametrize("net", ["lecture", "deep"])
def test_every_function_has_its_line(net: str) -> None:
    lines = anatomy.report(net, 10)
    table = {line[:16].strip(): line[16:].split() for line in lines if line}
    for name in ("Embedding", "Reshape", "Linear", "BatchNorm", "Tanh", "CrossEntropy"):
        assert all(float(cell) > 0 for cell in table[name])
    assert sum("NumPy by hand" in line for line in lines) == 2


def test_parts_add_up() -> None:
    parts, whole = anatomy.anatomy("lecture", 10)
    methods = {method for _, method in (key for key in parts if key != "optimiser")}
    assert methods == {"forward", "backward"}
    assert 0 < parts["optimiser"] < whole


def test_refuses_too_few_steps(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        anatomy.main(["--steps", "3"])
    assert stop.value.code == 2
    assert "must be 10 or more; got 3" in capsys.readouterr().err
