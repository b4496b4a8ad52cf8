"""The README's code runs, in the order it is read, and its commands name things that exist."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from npgrad import cross_entropy
from npgrad.diagnose import doctor

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.smoke
def test_the_code_blocks_run_in_order() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    step = names["step"]
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 30)).astype(np.float32), rng.integers(0, 27, 32)
    report = names["report"]
    assert report.names == ["overconfident output"]  # type: ignore[attr-defined]
    said = re.search(r"model\[3\]\.weight\.data \*= ([\d.]+)", report[0].remedy)  # type: ignore[index]
    assert said is not None and f"*= {said[1]}  # what it prescribes" in README
    model, batches, optimizer = (names[name] for name in ("model", "batches", "optimizer"))
    assert doctor.examine(model, cross_entropy, batches, optimizer).healthy  # type: ignore[arg-type]
    losses = [step(x, y).item() for _ in range(30)]  # type: ignore[operator]
    assert len(blocks) >= 2
    assert losses[-1] < losses[0] / 2


def test_every_file_and_folder_it_names_exists() -> None:
    mentioned = set(re.findall(r"`((?:npgrad|models|experiments|benchmarks|data)/[\w./]*)`", README))
    mentioned |= set(re.findall(r"\]\(([\w./-]+)\)", README))
    mentioned |= set(re.findall(r'src(?:set)?="([\w./-]+)"', README))
    missing = sorted(name for name in mentioned if not (ROOT / name).exists())
    assert not missing


def test_what_it_says_of_the_doctor_is_in_the_table() -> None:
    page = (ROOT / "benchmarks/ward.md").read_text(encoding="utf-8")
    said = re.findall(r"\d\.\d\d\s\(\d\.\d\d–\d\.\d\d\)", README)
    assert len(said) == 8
    for share in said:
        assert f"| {share} |" in page
    sizes = re.findall(r"\d+ sick and \d+ healthy", README)
    assert len(sizes) == 3 and all(size in page for size in sizes)


def test_make_knows_the_targets_it_names() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z]+)", README, re.MULTILINE))
    assert {"run", "test"} <= named <= targets
