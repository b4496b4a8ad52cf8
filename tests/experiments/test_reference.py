"""A reference result: what export keeps of a directory of results, and what compare finds different from it."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import main
from experiments.experiment import discover
from experiments.provenance import ROOT
from experiments.reference import README_FIGURE, REFERENCE, sentence, write_verdicts
from npgrad.diagnose.style import DARK


@pytest.fixture
def results(directory: Path, tmp_path: Path) -> Path:
    out = tmp_path / "results"
    assert main(["run", "fake", "--out", str(out), "--jobs", "1", "--seeds", "2"], directory) == 0
    return out


def edit(reference: Path, **changes: Any) -> None:
    """Change what the reference says about one claim."""
    path = reference / "claims.json"
    claims = json.loads(path.read_text(encoding="utf-8"))
    claims["fake/two"].update(changes)
    path.write_text(json.dumps(claims), encoding="utf-8")


def test_export_keeps_verdicts_summaries_and_pictures(directory: Path, results: Path, tmp_path: Path) -> None:
    to = tmp_path / "reference"
    assert main(["export", str(results), str(to)], directory) == 0
    assert {path.name for path in to.iterdir()} == {
        "README.md", "claims.json", "figures", "runs.jsonl", "scoreboard.txt",
    }  # fmt: skip
    runs = [json.loads(line) for line in (to / "runs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted({run["config"]["gain"] for run in runs}) == [1.0, 2.0, 3.0] and len(runs) == 6
    assert runs[0]["summary"]["nothing"] is None  # JSON has no nan
    assert [path.name for path in (to / "figures").iterdir()] == ["fake-twice.svg"]
    readme = (to / "README.md").read_text(encoding="utf-8")
    assert "6 runs" in readme and "python -m experiments run --all --seeds 2" in readme
    assert "fake/two" in (to / "scoreboard.txt").read_text(encoding="utf-8")
    claims = json.loads((to / "claims.json").read_text(encoding="utf-8"))
    expected = {"verdict": "reproduced", "mean": 2.0, "sd": 0.0, "n": 2, "bar": "1.9 to 2.1", "low": 2.0, "high": 2.0}
    assert expected.items() <= claims["fake/two"].items() and claims["fake/two"]["why"] == "As printed."


def test_a_second_export_gives_the_same_bytes(directory: Path, results: Path, tmp_path: Path) -> None:
    to = tmp_path / "reference"
    seen = []
    for _ in range(2):
        assert main(["export", str(results), str(to)], directory) == 0
        seen.append({path: path.read_bytes() for path in to.rglob("*") if path.is_file()})
    assert seen[0] == seen[1]


def test_results_do_not_differ_from_themselves(
    directory: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "reference"
    main(["export", str(results), str(to)], directory)
    capsys.readouterr()
    assert main(["compare", str(results), str(to)], directory) == 0
    printed = capsys.readouterr().out
    assert "4 claims have been judged both" in printed
    assert "other verdict: none" in printed and "other measurement: none" in printed


def test_compare_tells_other_verdicts_from_other_numbers(
    directory: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "reference"
    main(["export", str(results), str(to)], directory)
    edit(to, mean=2.2, sd=0.1)
    main(["compare", str(results), str(to)], directory)
    assert "other measurement: none" in capsys.readouterr().out  # within three standard deviations
    edit(to, mean=2.2, sd=0.01)
    main(["compare", str(results), str(to)], directory)
    assert "other measurement: 1" in capsys.readouterr().out
    edit(to, mean=2.5, verdict="not reproduced")
    main(["compare", str(results), str(to)], directory)
    printed = capsys.readouterr().out
    assert "other verdict: 1" in printed and "fake/two" in printed and "other measurement: none" in printed


def test_a_reference_is_judged_again_from_what_it_holds(
    directory: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "reference"
    main(["export", str(results), str(to)], directory)
    before = {path: path.read_bytes() for path in to.rglob("*") if path.is_file()}
    for name in ("claims.json", "scoreboard.txt"):
        (to / name).unlink()
    capsys.readouterr()
    assert main(["judge", str(to)], directory) == 0
    assert "4 claims: 1 reproduced, 1 direction only, 1 not reproduced, 1 not judged" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in to.rglob("*") if path.is_file()} == before

    source = directory / "fake.py"
    source.write_text(source.read_text(encoding="utf-8").replace("low=1.9, high=2.1", "low=2.1"), encoding="utf-8")
    sys.modules.pop("lesson_fake")
    assert main(["judge", str(to)], directory) == 0
    assert json.loads((to / "claims.json").read_text(encoding="utf-8"))["fake/two"]["verdict"] == "not reproduced"
    sys.modules.pop("lesson_fake")


def test_the_committed_verdicts_follow_from_the_committed_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")  # the width of a file is not that of whoever's terminal
    copy = tmp_path / "reference"
    copy.mkdir()
    shutil.copyfile(REFERENCE / "runs.jsonl", copy / "runs.jsonl")
    board = write_verdicts(copy, discover())
    for name in ("claims.json", "scoreboard.txt"):
        assert (copy / name).read_text(encoding="utf-8") == (REFERENCE / name).read_text(encoding="utf-8"), (
            f"{name}: python -m experiments judge"
        )
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert sentence(board) in readme


def test_the_figure_of_the_readme_has_a_dark_version_that_says_the_same() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    light, dark = re.findall(r'src="(experiments/\S+\.svg)"', readme)[0], re.findall(r'srcset="(\S+)"', readme)[0]
    assert Path(dark).name == README_FIGURE
    words = [re.findall(r">([^<>]+)</text>", (ROOT / name).read_text(encoding="utf-8")) for name in (light, dark)]
    assert words[0] and words[0] == words[1]
    assert DARK.paper in (ROOT / dark).read_text(encoding="utf-8")


def test_mistakes_are_said_in_a_sentence(
    directory: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work", encoding="utf-8")
    assert main(["export", str(results), str(precious)], directory) == 2
    assert "is not a reference result" in capsys.readouterr().err
    assert (precious / "thesis.txt").read_text(encoding="utf-8") == "years of work"
    assert main(["export", str(tmp_path / "nowhere"), str(tmp_path / "to")], directory) == 2
    assert "there is no directory" in capsys.readouterr().err
    assert main(["compare", str(results), str(precious)], directory) == 2
    assert "there is no reference result in" in capsys.readouterr().err
