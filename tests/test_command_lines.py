"""No line of help, and no listing, is wider than a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import benchmarks.__main__
import experiments.__main__
import models.__main__
import npgrad.__main__
import npgrad.check.__main__
import npgrad.explain.__main__
from npgrad.explain.order import things
from npgrad.explain.printer import width

PROGRAMS: dict[str, Callable[[list[str]], int]] = {
    "benchmarks": benchmarks.__main__.main,
    "experiments": experiments.__main__.main,
    "models": models.__main__.main,
    "npgrad": npgrad.__main__.main,
    "npgrad.check": npgrad.check.__main__.main,
    "npgrad.explain": npgrad.explain.__main__.main,
}
COMMANDS = [
    *(f"{program} --help" for program in PROGRAMS),
    *(f"models {command} --help" for command in ("train", "sample", "eval", "program")),
    "npgrad.explain program --help",
    "npgrad.explain exercise --help",
    "npgrad.explain exercise",
    "npgrad.explain exercise network --hint dlogits 3",
    "npgrad.explain puzzle --help",
    "npgrad.explain puzzle 3",
    "npgrad.explain program",
    "npgrad.explain program deep_mlp --optimizer momentum --all",
    "models program mlp",
    "models program manual_mlp --all",
    *(f"experiments {command} --help" for command in ("list", "run", "report", "show", "claims", "figure", "desk")),
    *(f"{program} --version" for program in PROGRAMS if program.startswith("npgrad")),
    "npgrad",
    "npgrad --spellings",
    "benchmarks --list",
    "experiments list",
    "npgrad.explain",
    "npgrad.explain --step",
    "npgrad.explain batch_norm --run",
    *(f"npgrad.explain {name}" for name in things()),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_fits_into_80_columns(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    program, *arguments = command.split()
    try:
        code = PROGRAMS[program](arguments)
    except SystemExit as stop:  # argparse leaves this way after --help
        code = stop.code
    printed = capsys.readouterr().out
    assert code == 0 and printed
    assert not [line for line in printed.splitlines() if width(line) > 80]


@pytest.mark.parametrize("program", [name for name in PROGRAMS if name.startswith("npgrad")])
def test_says_which_version_it_is(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        PROGRAMS[program](["--version"])
    assert stop.value.code == 0 and capsys.readouterr().out == f"npgrad {npgrad.__version__}\n"


def test_the_overview_names_the_programs_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    npgrad.__main__.main([])
    printed = capsys.readouterr().out
    assert npgrad.__version__ in printed and all(f"python -m {program}" in printed for program in PROGRAMS)
