"""The pages that are written by hand, executed from top to bottom: code, files and commands."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import experiments.__main__
import models.__main__
import npgrad.__main__

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in [DOCS / "start.md", *DOCS.glob("how-to/*.md")])
PROGRAMS: dict[str, Callable[[list[str]], int]] = {
    "npgrad": npgrad.__main__.main,
    "python -m models": models.__main__.main,
    "python -m experiments": experiments.__main__.main,
}
BLOCK = re.compile(r"^```(\{code-block\} )?(\w+)\n(?::caption: (\S+)\n\n)?(.*?)^```", re.MULTILINE | re.DOTALL)
WITHOUT_CODE = {"how-to/index.md", "how-to/lesson.md"}
"""lesson.md is made of CONTRIBUTING.md, which tests/explain/test_contributing.py follows by its words."""


def run(line: str) -> bool:
    """Whether a command of the page, run in this process, ends as the page says: 0 unless it names an exit code."""
    line, _, code = line.partition("  # exit code ")
    program = next(program for program in PROGRAMS if line.startswith(f"{program} "))
    return PROGRAMS[program](shlex.split(line.removeprefix(program))) == int(code or 0)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in WITHOUT_CODE])
def test_what_a_page_shows_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    shutil.copytree(ROOT / "data", tmp_path / "data")
    space: dict[str, Any] = {"__name__": "page"}
    for _, language, file, text in blocks:
        capsys.readouterr()
        if file:
            (tmp_path / file).write_text(text, encoding="utf-8")
        elif language == "python":
            exec(compile(text, page, "exec"), space)
            assert "print(" not in text or capsys.readouterr().out, text
        elif language == "sh":
            for line in text.strip().splitlines():
                assert run(line), f"{line}\n{capsys.readouterr()}"
                assert capsys.readouterr().out, line
        else:
            raise AssertionError(f"{page} has a block of {language}, which nothing executes")
    for name in [file.removesuffix(".py") for _, _, file, _ in blocks if file.endswith(".py")]:
        del sys.modules[name]
    for claim in CLAIMS.get(page, []):
        assert claim(space), page


CLAIMS: dict[str, list[Callable[[dict[str, Any]], bool]]] = {
    "start.md": [
        lambda space: abs(space["losses"][0] - np.log(27)) < 0.3,
        lambda space: 2.2 < np.mean(space["losses"][-100:]) < 2.6,
        lambda space: len((ROOT / "data/names.txt").read_text(encoding="utf-8").split()) == 32257,
    ],
    "how-to/function.md": [lambda space: space["w"].grad.tolist() == [4, 6]],
    "how-to/compile.md": [
        lambda space: space["losses"][-1] < space["losses"][0],
        lambda space: bool(space["step"].source),
    ],
    "how-to/doctor.md": [lambda space: space["report"].findings[0].name == "overconfident output"],
}
"""What the pages say of the numbers they get."""


def test_every_page_has_something_to_execute() -> None:
    for page in PAGES:
        assert (page in WITHOUT_CODE) != bool(BLOCK.search((DOCS / page).read_text(encoding="utf-8"))), page
