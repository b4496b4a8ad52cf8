"""Claims as data: refused without a bar and a reason, distinct, with every change of a bar on record."""

from __future__ import annotations

import datetime
import importlib
from pathlib import Path

import pytest

from experiments import claim as module
from experiments.__main__ import main
from experiments.claim import DOCUMENTS, OURS, Claim
from experiments.experiment import collection, discover

BARS = Path(str(module.__file__)).with_name("bars.md")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "has no bar"),
        ({"low": 2.0, "high": 1.0}, "has no bar"),
        ({"low": 1.0, "why": ""}, "does not say why"),
        ({"low": 1.0, "source": 9}, "must name its documents"),
        ({"low": 1.0, "source": ()}, "must name its documents"),
    ],
)
def test_claims_that_cannot_be_checked_are_refused(options: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Claim("c", "", options.pop("source", 1), "q", **({"why": "a reason"} | options))


def test_how_bars_and_numbers_are_written() -> None:
    claim = Claim("c", "", 1, "q", low=-2000, high=0.5, format=".2e", unit=" %", why="a reason")
    assert claim.bar == "−2,000 to 0.5 %"
    assert (claim.number(-1.5e-7), claim.number(3.0), claim.number(float("nan"))) == ("−1.50e−7", "3.00e0", "diverged")
    assert Claim("c", "", 1, "q", than="p", ratio=True, low=2, unit=" %", why="a reason").bar == "at least 2 times"
    assert Claim("c", "", 1, "q", low=27, high=27, why="a reason").bar == "27"
    assert Claim("c", "", 1, "q", low=0, format=".2f", why="a reason").number(-1e-9) == "0.00"


def test_the_claims_of_the_lessons_are_distinct() -> None:
    for lesson in discover().values():
        texts = [claim.text for claim in lesson.claims]
        assert len(set(texts)) == len(texts), lesson.name
        ids = {claim.id for claim in lesson.claims}
        assert {claim.part_of for claim in lesson.claims if claim.part_of} <= ids, lesson.name
        compared = [(c.quantity, c.than, c.low, c.high) for c in lesson.claims if c.kind != "identity"]
        assert len({(q, t) for q, t, _, _ in compared}) >= len(compared) - 1, lesson.name  # one result, one claim


def test_a_file_of_claims_is_that_of_the_lesson_of_its_name() -> None:
    lessons = discover()
    names = {file.stem for file in BARS.with_name("claims").glob("*.py")} - {"__init__"}
    assert "stages" in names and names <= lessons.keys()
    for name in names:
        assert lessons[name].claims is importlib.import_module(f"experiments.claims.{name}").CLAIMS


def test_the_collection_holds_every_claim_once_and_every_document() -> None:
    claims = collection()
    assert len(claims) == sum(len(lesson.claims) for lesson in discover().values())  # no full name stands for two
    assert {source for claim in claims.values() for source in claim.sources} == set(DOCUMENTS)
    assert all(claim.text.endswith(".") for claim in claims.values())
    assert all(claim.says or claim.kind == "identity" or claim.source in (OURS, 5) for claim in claims.values())


def test_every_bar_is_the_last_one_on_record() -> None:
    """Whoever moves a bar says when and why, in a line at the end of `experiments/bars.md`."""
    rows = [line.strip("|\n ").split(" | ") for line in BARS.read_text(encoding="utf-8").splitlines() if "|" in line][
        2:
    ]
    days = [datetime.date.fromisoformat(row[0]) for row in rows]
    assert days == sorted(days) and all(len(row) == 4 and row[3] for row in rows)
    last = {row[1]: row[2] for row in rows}
    now = {name: claim.bar for name, claim in collection().items() if claim.kind != "identity"}
    assert {name: bar for name, bar in last.items() if bar != "withdrawn"} == now


def test_the_scoreboard_names_every_claim_with_its_verdict(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "results")
    assert main(["claims", out], directory) == 0  # nothing has been run
    assert "4 claims: 4 not judged; 1 identity: 1 not judged" in capsys.readouterr().out
    assert main(["run", "fake", "--quick", "--jobs", "1", "--out", out], directory) == 0
    capsys.readouterr()
    for columns in ("160", "85"):
        monkeypatch.setenv("COLUMNS", columns)
        assert main(["claims", out], directory) == 0
        board = capsys.readouterr().out
        assert max(map(len, board.splitlines())) <= int(columns)
        for part in ("fake/two: seen once", "fake/less", "~ fake/five: direction only", "✗ fake/less", "the lecture"):
            assert part in board
        assert "asked: 1.9 to 2.1" in board and "Bar: As printed." in board and "It is `four`." in board
        assert "Checked identities" in board and board.index("fake/slow") < board.index("= fake/same")
        assert "1 direction only, 1 not reproduced, 1 seen once, 1 not judged; 1 identity: 1 checked" in " ".join(
            board.split()
        )
        assert "(made by: the lecture 1, document 1 1, document 2 1, document 3 1, document 5 1)" in board
    assert main(["claims", out, "--document", "3"], directory) == 0
    assert capsys.readouterr().out.count("fake/") == 1
    assert main(["claims", out, "--verdict", "seen once"], directory) == 0
    assert capsys.readouterr().out.count("fake/") == 1
    assert main(["claims", out, "--verdict", "reproduced", "--document", "2"], directory) == 0
    assert capsys.readouterr().out == "no claims\n"
