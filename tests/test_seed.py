"""NPGRAD_SEED chooses every random case of the suite, and the suite says what it left out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SUITE = """
from hypothesis import given, strategies as st

def test_draws(rng):
    print("drawn", rng.integers(10**9))

@given(st.integers())
def test_hypothesis(n):
    print("drawn", n)
"""


def run(suite: Path, **environment: str) -> list[str]:
    command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", str(suite)]
    inherited = {k: v for k, v in os.environ.items() if k not in ("CI", "NPGRAD_SEED", "HYPOTHESIS_PROFILE")}
    done = subprocess.run(command, cwd=suite, env={**inherited, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith(("drawn", "left out"))]


def test_a_seed_is_a_suite(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_it.py").write_text(SUITE, encoding="utf-8")
    first, again, other = (run(tmp_path, NPGRAD_SEED=seed) for seed in ("1", "1", "2"))
    assert first == again and len(first) > 10
    assert first[0] != other[0] and first[1:] != other[1:]
    assert run(tmp_path, CI="1", HYPOTHESIS_PROFILE="dev") == run(tmp_path, NPGRAD_SEED="0")


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n", encoding="utf-8")
    (said,) = (line for line in run(tmp_path, PATH=str(tmp_path)) if "browser" in line)
    assert "chromium" in said or "selenium" in said
