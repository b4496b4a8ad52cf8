"""npgrad check: what it prints, and what its exit code says."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from npgrad.check import certificate
from npgrad.check.__main__ import main
from npgrad.check.case import CASES, Case
from npgrad.engine.function import Function
from npgrad.functions import registry


def test_some_functions_by_either_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tanh", "BatchNorm", "--cases", "4"]) == 0
    out = capsys.readouterr().out
    assert "Tanh" in out and "BatchNorm" in out and "PASS: 2 functions" in out and "Softmax" not in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_a_public_function_stands_for_all_it_uses() -> None:
    assert certificate.select(["batch_norm"]) == ["BatchNorm", "BatchNormInference"]
    assert certificate.select(["tanh", "Tanh"]) == ["Tanh"]
    assert set(certificate.select(["cross_entropy"])) == {"CrossEntropy", "SoftCrossEntropy"}


def test_every_public_function_can_be_asked_for() -> None:
    for name in (
        "add",
        "relu",
        "softmax",
        "linear",
        "matmul",
        "embedding",
        "getitem",
        "conv2d",
        "max_pool2d",
        "einsum",
    ):
        assert certificate.select([name])


def test_an_unknown_name_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tahn"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and "'tahn'" in captured.err and "Did you mean" in captured.err
    assert "tanh" in captured.err
    assert main(["xqzw"]) == 2
    assert "all functions are checked" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--cases", "0"], ["--conventions", "tanh"], ["--seed", "-1"], ["--conventions", "--mutants"], ["--cases", "x"]],
)
def test_impossible_requests(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_other_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--conventions"]) == 0
    assert "PASS" in capsys.readouterr().out
    assert main(["--mutants", "Tanh"]) == 0
    assert "1 − t for 1 − t²" in capsys.readouterr().out


def test_without_torch_there_is_no_column_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(certificate, "torch_module", lambda: None)
    assert main(["tanh"]) == 0
    out = capsys.readouterr().out
    assert out.count("torch") == out.count("torch is not installed") == 1


@pytest.fixture
def wrong() -> Any:
    """A registered Function with a wrong backward, for the time of a test."""

    class Wrong(Function):
        def forward(self, x: Any) -> Any:
            self.x = x
            return x * x

        def backward(self, dy: Any) -> Any:
            return dy * self.x

    registry["Wrong"] = Wrong
    CASES["Wrong"] = [lambda rng: Case((rng.normal(size=3),), torch=lambda torch, x: x * x)]
    yield Wrong
    del registry["Wrong"], CASES["Wrong"]


@pytest.mark.usefixtures("wrong")
def test_a_wrong_function_fails_and_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["Wrong", "tanh"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"^Wrong .* FAIL$", out, re.M) and "FAIL: 1 of 2 functions" in out
    assert "constant factor of 0.5" in out and "draw 0, seed 0: Wrong((3,))" in out


@pytest.mark.usefixtures("wrong")
def test_a_function_without_cases_fails() -> None:
    CASES["Wrong"] = []
    line = certificate.certify("Wrong")
    assert not line.passed and "no cases" in str(line.failure)


def test_cases_can_be_drawn_again() -> None:
    first, again, other = (list(certificate.draw("Add", 3, seed)) for seed in (0, 0, 1))
    for (_, _, a), (_, _, b) in zip(first, again, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a.inputs, b.inputs, strict=True))
    assert not all(np.array_equal(a[2].inputs[0], b[2].inputs[0]) for a, b in zip(first, other, strict=True))


def test_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "npgrad.check", "tanh", "--cases", "2"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and done.stdout.endswith("PASS: 1 function\n") and done.stderr == ""


def test_npgrad_needs_numpy_alone() -> None:
    code = (
        "import sys, npgrad, npgrad.check, npgrad.check.certificate, npgrad.check.conventions, npgrad.check.mutants;"
        "print({m.partition('.')[0] for m in sys.modules} & {'torch', 'scipy', 'matplotlib', 'pytest', 'hypothesis'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
