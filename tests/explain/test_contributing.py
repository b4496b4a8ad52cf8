"""CONTRIBUTING.md, followed by its words in a copy of the checkout."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def blocks(section: str, kind: str) -> list[str]:
    part = TEXT.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return [textwrap.dedent(f"{indent}{body}" if not body.startswith(indent) else body)
            for indent, language, body in BLOCK.findall(part) if language == kind]  # fmt: skip


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("\n\n" + text)


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("npgrad", "experiments", "models", "data"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "reference"))
    return tmp_path


def shell(commands: str, folder: Path, least: int) -> list[str]:
    """Run each line in the copy; all have to succeed. Returns what they printed."""
    found = []
    for line in commands.strip().splitlines():
        program, *arguments = line.split()
        assert program in ("python", "npgrad")
        start = [sys.executable] if program == "python" else [sys.executable, "-m", "npgrad"]
        done = subprocess.run(
            [*start, *arguments], cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(folder)},
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        found.append(done.stdout)
    assert len(found) >= least
    return found


def test_adding_a_function(checkout: Path) -> None:
    function, case = blocks("A Function", "python")
    (mutant,) = blocks("A Function", "text")
    activation = checkout / "npgrad/functions/activation.py"
    append(activation, function)
    replaced(activation, '"Softplus", "Tanh"', '"Softplus", "Squash", "squash", "Tanh"')
    append(checkout / "npgrad/check/cases/activation.py", case)
    replaced(checkout / "npgrad/explain/order.py", '"Softplus",', '"Softplus", "Squash",')
    check, mutants = blocks("A Function", "sh")
    derived, certified, shown = shell(check, checkout, 3)
    assert "Squash: OK" in derived
    assert "PASS: 1 function" in certified
    assert "squash" in shown and "(3)" in shown
    replaced(
        checkout / "npgrad/check/mutants.py",
        "    # softmax and losses\n",
        f"    {mutant.strip()}\n    # softmax and losses\n",
    )
    (out,) = shell(mutants, checkout, 1)
    assert "PASS: 1 mutants, all noticed" in out


def test_adding_a_lesson_and_a_claim(checkout: Path) -> None:
    (lesson,) = blocks("A lesson", "python")
    file = checkout / "experiments/lessons/uniform.py"
    file.write_text(lesson, encoding="utf-8")
    (commands,) = blocks("A lesson", "sh")
    listed, ran = shell(commands, checkout, 2)
    assert "uniform" in listed
    assert "seen once" in ran  # one seed is never a verdict
    (claim,) = blocks("A claim", "python")
    append(file, claim)
    (commands,) = blocks("A claim", "sh")
    _, shown = shell(commands, checkout, 2)
    assert "seen once: More classes, more loss" in shown


def test_citation_and_changelog_name_this_version() -> None:
    from npgrad import __version__

    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(rf"^version: {re.escape(__version__)}$", citation, re.MULTILINE)
    assert {"cff-version", "title", "authors", "message"} <= set(re.findall(r"^([\w-]+):", citation, re.MULTILINE))
    assert __version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
