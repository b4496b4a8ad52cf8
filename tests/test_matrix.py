"""The workflow of GitHub Actions is valid, and its cells are those of the noxfile."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WORKFLOW = ROOT / ".github" / "workflows" / "matrix.yml"
NOXFILE = (ROOT / "noxfile.py").read_text(encoding="utf-8")


@pytest.mark.skipif(find_spec("check_jsonschema") is None, reason="check-jsonschema is not installed")
def test_the_workflow_is_valid() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


def constant(name: str) -> object:
    (node,) = (
        node.value
        for node in ast.parse(NOXFILE).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    )
    return ast.literal_eval(node)


def test_it_names_the_cells_of_the_noxfile() -> None:
    text = WORKFLOW.read_text(encoding="utf-8")
    cores, pythons = constant("CORES"), constant("FIRST_NUMPY")
    assert isinstance(cores, tuple) and isinstance(pythons, dict)
    cells = [f"kernel(core='{core}', threads={threads})" for core in cores for threads in (1, 2)]
    cells += [f"plain(threads={threads})" for threads in (1, 2)]
    assert re.findall(r"- ((?:kernel|plain)\(.*\))$", text, re.MULTILINE) == cells
    found = re.search(r"python: \[(.*)\]\n", text)
    assert found and found[1].replace('"', "").split(", ") == list(pythons)


def test_classifiers_name_pythons_of_the_matrix() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    named = set(re.findall(r"Python :: (3\.\d+)", settings["metadata"]["classifiers"]))
    pythons = constant("FIRST_NUMPY")
    assert isinstance(pythons, dict) and named <= set(pythons) and len(named) >= 3
    assert settings["options"]["python_requires"] == f">={min(named, key=lambda v: int(v[2:]))}"
