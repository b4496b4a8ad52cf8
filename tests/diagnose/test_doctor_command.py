"""`python -m models doctor` and `train --doctor`."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.__main__ import main
from models.runs import FILE
from npgrad import checkpoint


@pytest.mark.parametrize(
    ("stage", "said", "unsaid", "code"),
    [
        ("original", ["overconfident output", "saturated units"], [], 1),
        ("output", ["saturated units"], ["overconfident output"], 1),
        ("batchnorm", ["healthy"], ["saturated units", "overconfident output"], 0),
    ],
)
def test_the_stages(
    capsys: pytest.CaptureFixture[str], stage: str, said: list[str], unsaid: list[str], code: int
) -> None:
    assert main(["doctor", "--stage", stage, "--steps", "100"]) == code
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    assert all(f" {name} " in words for name in said)
    assert not any(f" {name} " in words for name in unsaid)


def test_a_run_is_examined_and_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main(["train", "--out", str(out), "--steps", "30", "--stage", "original", "--doctor"]) == 0
    assert "overconfident output" in capsys.readouterr().out
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    assert main(["doctor", str(out), "--steps", "40", "--treat"]) == 1
    assert "the remedy helps" in capsys.readouterr().out
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_an_examined_run_differs_in_the_findings_it_keeps_alone(tmp_path: Path) -> None:
    for name, flags in (("plain", []), ("examined", ["--doctor"])):
        assert main(["train", "--out", str(tmp_path / name), "--steps", "20", *flags]) == 0
    plain, examined = (checkpoint.load(tmp_path / name / FILE) for name in ("plain", "examined"))
    assert examined.pop("doctor")
    assert checkpoint.save(tmp_path / "a", plain) == checkpoint.save(tmp_path / "b", examined)


def test_a_run_that_is_on_its_way_is_healthy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Behind counting, but not for want of capacity."""
    assert main(["train", "--out", str(tmp_path / "run"), "--steps", "3000", "--stage", "kaiming"]) == 0
    assert main(["doctor", str(tmp_path / "run")]) == 0
    assert "healthy" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--steps", "2"], ["nowhere"], ["somewhere", "--stage", "hidden"]])
def test_bad_input_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
