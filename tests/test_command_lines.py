"""No line of help, and no listing, is wider than a terminal of 80 columns."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path

import pytest

import benchmarks.__main__
import experiments.__main__
import models.__main__
import npgrad.__main__
import npgrad.check.__main__
import npgrad.explain.__main__
from npgrad.explain.order import things
from npgrad.explain.printer import width

ROOT = Path(__file__).parents[1]
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
    "models program wavenet",
    "models program transformer --layers 1",
    "models doctor --help",
    *(f"experiments {command} --help" for command in ("list", "run", "report", "show", "claims", "figure", "desk")),
    *(f"{program} --version" for program in PROGRAMS if program.startswith("npgrad")),
    "npgrad",
    "npgrad --spellings",
    *(f"npgrad {command} --help" for command in npgrad.__main__.COMMANDS),
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
    assert npgrad.__version__ in printed
    for program in PROGRAMS:
        assert f"{program.replace('.', ' ')} " in printed


@pytest.mark.parametrize("command", npgrad.__main__.COMMANDS)
def test_every_command_is_that_of_its_package(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        npgrad.__main__.main([command, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: npgrad {command} ")


def test_a_command_that_is_not_there_is_answered_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert npgrad.__main__.main(["chekc", "tanh"]) == 2
    assert capsys.readouterr().err == "npgrad: 'chekc' is not a command; did you mean 'check'?\n"
    assert npgrad.__main__.main(["zzz"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and all(command in told for command in npgrad.__main__.COMMANDS)


def test_the_console_script_is_the_module(tmp_path: Path) -> None:
    """The line of setup.cfg, done as an installer would do it, writes an exercise."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    name, _, target = config["options.entry_points"]["console_scripts"].strip().partition(" = ")
    module, _, function = target.partition(":")
    assert name == "npgrad"
    code = f"import sys; from {module} import {function}; sys.exit({function}())"
    for program, out in ((["-c", code], "script.py"), (["-m", "npgrad"], "module.py")):
        done = subprocess.run(
            [sys.executable, *program, "exercise", "tanh", "--out", out],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "to fill in" in done.stdout and (tmp_path / out).stat().st_size
