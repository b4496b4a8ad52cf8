"""The program of a training step as it is shown: nothing of it is lost, and all of it is readable."""

from __future__ import annotations

import ast
import io
import re
from importlib.util import find_spec

import numpy as np
import pytest

import npgrad
from npgrad import Tensor
from npgrad.explain import program
from npgrad.explain.__main__ import main
from npgrad.explain.order import things
from npgrad.explain.program import CHECKS, END, NETWORKS, OPTIMIZERS, described, folded, network, page, record, sections
from npgrad.explain.source import subject_of
from npgrad.explain.terminal import Style


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def style(columns: int, monkeypatch: pytest.MonkeyPatch, terminal: bool = False) -> Style:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Style(Terminal() if terminal else io.StringIO())


@pytest.fixture(scope="module")
def mlp() -> program.Network:
    return network("mlp")


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_every_network_with_every_optimiser(name: str, optimizer: str) -> None:
    found = network(name, 8, optimizer)
    assert "stays a call" not in found.program and "call_" not in found.program, "every Function is recorded"
    headings = [section.heading.partition("  ")[2] for section in sections(found.program)]
    forward = [line.strip() for line in found.text.splitlines()]
    assert all(heading in forward for heading in headings if heading), "headings are lines of the network"
    assert "optimizer.step()" in headings


def test_sections_are_the_whole_program(mlp: program.Network) -> None:
    parts = sections(mlp.program)
    assert parts[0].heading == CHECKS and parts[-1].heading == END
    kept = [line for part in parts for line in part.lines]
    body = mlp.program.splitlines()[1:]
    assert kept == [line[4:] for line in body if line.strip() and not line.startswith("    # ")]
    assert all("STALE" in line for line in parts[0].lines)
    assert parts[-1].lines[-1].startswith("return ")


def test_the_way_back_is_the_way_there_reversed(mlp: program.Network) -> None:
    layers = ("self.hidden", "self.bn", "self.tanh", "self.output")
    seen = [
        layer
        for part in sections(mlp.program)
        for layer in layers
        if f"= {layer}(" in part.heading or f"return {layer}(" in part.heading
    ]
    assert seen[:8] == [*layers, *reversed(layers)]


def test_remarks_name_equations_that_exist(mlp: program.Network) -> None:
    labels: dict[str, set[str]] = {}
    for thing in things().values():
        subject = subject_of(thing)
        labels[subject.name] = {equation.label for equation in subject.derivation.equations}
    found = [program.remark(line)[1:] for part in sections(mlp.program) for line in part.lines]
    named = [(function, numbers) for function, numbers in found if function]
    assert {function for function, _ in named} >= {"Embedding", "Linear", "BatchNorm", "Tanh", "CrossEntropy"}
    assert all(set(numbers) <= labels[function] for function, numbers in named)
    assert ("BatchNorm", ("9",)) in named


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_the_page_fits_and_still_is_python(
    mlp: program.Network, columns: int, everything: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = list(page("A title", mlp.program, mlp.constants, style(columns, monkeypatch), everything))
    assert max(map(len, lines)) <= min(columns, 100)
    shown = ast.parse("\n".join(lines[lines.index("") :]))
    if everything:
        assert ast.dump(shown) == ast.dump(ast.parse(mlp.program))
    else:
        assert any(f"# {len(sections(mlp.program)[0].lines)} checks" in line for line in lines)
        assert not any("STALE" in line and "changes[0]" in line for line in lines)


def test_colours_only_on_a_terminal(mlp: program.Network, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = list(page("", mlp.program, {}, style(100, monkeypatch)))
    coloured = list(page("", mlp.program, {}, style(100, monkeypatch, terminal=True)))
    assert "\033[" not in "".join(plain)
    if find_spec("pygments") is not None:
        assert "\033[" in "".join(coloured)
        assert [re.sub(r"\033\[[\d;]*m", "", line) for line in coloured] == plain


def test_constants_in_words() -> None:
    assert described(np.full((3, 2), 0.5)) == "3 × 2 times 0.5"
    assert described(np.eye(4)) == "the identity matrix, 4 × 4"
    assert described(np.arange(0, 12, 3)) == "0, 3, … 9"
    assert described(np.array(2.5)) == "2.5"
    assert described(np.array([1.0, 3.0, 2.0])) == "3 numbers"


def test_the_program_of_a_step_of_ones_own() -> None:
    w = Tensor(np.ones(5), requires_grad=True)

    def step(x: np.ndarray) -> Tensor:
        w.grad = None
        loss = (w * x).sum()
        loss.backward()
        return loss

    for given in (step, npgrad.compile(step)):
        source, _ = record(given, np.arange(5.0))
        assert "multiply(" in source and "# Mul (1)" in source
    np.testing.assert_array_equal(w.grad, np.arange(5.0))


def test_long_lines_are_folded() -> None:
    [line] = folded("    add(a, b, c)" + " " * 50 + "  # Add (1)", 60)
    assert line == "    add(a, b, c)  # Add (1)"
    pieces = folded("    if a is not b and differs(aaaaaaaaaaaa, bbbbbbbbbbbb) and cccccccccc: return STALE", 40)
    assert len(pieces) > 2 and max(map(len, pieces)) <= 40
    ast.parse("def f():\n" + "\n".join(pieces))


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["program", "mlp", "--batch", "4", "--optimizer", "adam"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("One training step of mlp, batch 4, adam") and "# BatchNorm (9)" in out
    for bad in (["--batch", "1"], ["no_such"], ["--optimizer", "none"]):
        with pytest.raises(SystemExit) as stop:
            main(["program", *bad])
        assert stop.value.code == 2
    assert "takes a variance; got 1" in capsys.readouterr().err
