"""Verdicts: what each combination of value, tolerance, predicate and measurement gives."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from experiments.__main__ import main
from experiments.claims import DOCUMENTS, Above, Below, Between, Claim, Verdict, judge
from experiments.experiment import collection, discover

numbers = st.floats(-1e6, 1e6)
tolerances = st.floats(1e-6, 1e3)
samples = st.lists(numbers, min_size=1, max_size=6)
RANK: dict[Verdict, int] = {"not reproduced": 0, "direction only": 1, "reproduced": 2}


def verdict(claim: Claim, **measured: object) -> Verdict:
    return judge([claim], measured)[0].verdict


@given(value=numbers, tolerance=tolerances, measured=samples)
def test_a_number_is_reproduced_exactly_within_its_tolerance(value: float, tolerance: float, measured: list) -> None:
    distance = abs(np.mean(measured) - value)
    assume(abs(distance - tolerance) > 1e-9 * max(1.0, abs(value)))
    claim = Claim("c", "", 1, "q", value, tolerance)
    assert verdict(claim, q=measured) == ("reproduced" if distance < tolerance else "not reproduced")


@given(value=numbers, tolerance=tolerances, measured=samples, bound=numbers)
def test_a_false_predicate_is_never_better_than_not_reproduced(
    value: float, tolerance: float, measured: list, bound: float
) -> None:
    holds = float(np.mean(measured)) > bound
    found = verdict(Claim("c", "", 1, "q", value, tolerance, Above(bound)), q=measured)
    assert (found == "not reproduced") == (not holds)
    without_number = verdict(Claim("c", "", 1, "q", predicate=Above(bound)), q=measured)
    assert without_number == ("reproduced" if holds else "not reproduced")


@given(value=numbers, tolerance=tolerances, factor=st.floats(1, 100), measured=samples)
def test_a_wider_tolerance_never_worsens_the_verdict(
    value: float, tolerance: float, factor: float, measured: list
) -> None:
    narrow = verdict(Claim("c", "", 1, "q", value, tolerance, Above(0)), q=measured)
    wide = verdict(Claim("c", "", 1, "q", value, tolerance * factor, Above(0)), q=measured)
    assert RANK[wide] >= RANK[narrow]


@given(measured=samples, order=st.randoms(use_true_random=False))
def test_the_order_of_seeds_does_not_matter(measured: list, order) -> None:
    claim = Claim("c", "", 1, "q", 0.0, 1.0, Below("other"))
    shuffled = order.sample(measured, len(measured))
    one, other = (judge([claim], {"q": m, "other": [1.0]})[0] for m in (measured, shuffled))
    assert one.n == other.n == len(measured)
    assert one.mean == pytest.approx(other.mean, rel=1e-9, abs=1e-6)


@given(bad=st.sampled_from([math.nan, math.inf, -math.inf]), others=st.lists(numbers, max_size=3))
def test_diverged_runs_support_no_number(bad: float, others: list) -> None:
    assert verdict(Claim("c", "", 1, "q", 0.0, 1.0), q=[*others, bad]) == "not reproduced"
    assert verdict(Claim("c", "", 1, "q", predicate=Between(-1e9, 1e9)), q=[*others, bad]) == "not reproduced"
    assert verdict(Claim("c", "", 1, "q", 0.0, 1.0, Above("missing")), q=[0.0]) == "not reproduced"


def test_direction_only() -> None:
    claim = Claim("c", "", 1, "q", 2.10, 0.03, Below("original"))
    assert verdict(claim, q=[2.11], original=[2.2]) == "reproduced"
    assert verdict(claim, q=[2.15], original=[2.2]) == "direction only"
    assert verdict(claim, q=[2.25], original=[2.2]) == "not reproduced"
    assert verdict(claim, q=[2.10], original=[2.0]) == "not reproduced"


def test_not_judged() -> None:
    long = Claim("c", "", 1, "q", 1.0, 0.1, budget="default")
    for budget, expected in (("quick", "not judged"), ("default", "reproduced"), ("full", "reproduced")):
        assert judge([long], {"q": [1.0]}, budget)[0].verdict == expected
    missing = judge([long], {})[0]
    assert (missing.verdict, missing.measured, missing.reason) == ("not judged", "–", "no run measured it")


def test_how_a_measurement_is_written() -> None:
    claim = Claim("c", "", 1, "q", 2.0, 1.0, format=".2f", unit=" %")
    assert judge([claim], {"q": 2.5})[0].measured == "2.50 % (n = 1)"
    assert judge([claim], {"q": [-2.0, -3.0]})[0].measured == "−2.50 ± 0.71 % (n = 2)"
    assert judge([claim], {"q": [1.0, math.nan]})[0].measured == "diverged (n = 2)"
    assert claim.stated == "2.00 %"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "neither a value nor a predicate"),
        ({"value": 1.0}, "without a tolerance"),
        ({"value": 1.0, "tolerance": math.nan}, "without a tolerance"),
        ({"predicate": Above(0), "source": 9}, "must name its documents"),
        ({"predicate": Above(0), "source": ()}, "must name its documents"),
    ],
)
def test_claims_that_cannot_be_checked_are_refused(options: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Claim("c", "", options.pop("source", 1), "q", **options)


def test_the_claims_of_the_lessons_are_distinct() -> None:
    for lesson in discover().values():
        texts = [claim.text for claim in lesson.claims]
        assert len(set(texts)) == len(texts), lesson.name


def test_the_collection_holds_every_claim_once_and_every_document() -> None:
    claims = collection()
    assert len(claims) >= 60
    assert len(claims) == sum(len(lesson.claims) for lesson in discover().values())  # no full name stands for two
    assert {source for claim in claims.values() for source in claim.sources} == set(DOCUMENTS)
    assert all(claim.text.endswith(".") for claim in claims.values())


def test_the_scoreboard_names_every_claim_with_its_verdict(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "results")
    assert main(["claims", out], directory) == 0  # nothing has been run
    assert "4 claims: 4 not judged" in capsys.readouterr().out
    assert main(["run", "fake", "--quick", "--jobs", "1", "--out", out], directory) == 0
    capsys.readouterr()
    for columns in ("160", "85"):
        monkeypatch.setenv("COLUMNS", columns)
        assert main(["claims", out], directory) == 0
        board = capsys.readouterr().out
        assert max(map(len, board.splitlines())) <= int(columns)
        for part in ("fake/two", "fake/less", "~ direction only", "✗ not reproduced", "2.0 (n = 1)", "lecture"):
            assert part in board
        assert "4 claims: 1 reproduced, 1 direction only, 1 not reproduced, 1 not judged" in board
        assert "(made by: the lecture 1, document 1 1, document 2 1, document 3 1, document 5 1)" in board
    assert main(["claims", out, "--document", "3"], directory) == 0
    assert capsys.readouterr().out.count("fake/") == 1
    assert main(["claims", out, "--verdict", "reproduced"], directory) == 0
    assert capsys.readouterr().out.count("fake/") == 1
    assert main(["claims", out, "--verdict", "reproduced", "--document", "2"], directory) == 0
    assert capsys.readouterr().out == "no claims\n"
