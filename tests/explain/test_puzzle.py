"""Puzzles: every mistake is one of the catalogue, wrong by complex step, and hard to see in the curve."""

from __future__ import annotations

import numpy as np
import pytest

from npgrad.check.mutants import MUTANTS
from npgrad.explain.__main__ import main
from npgrad.explain.puzzle import PUZZLES, Puzzle, differences, train

NUMBERS = range(1, len(PUZZLES) + 1)


@pytest.mark.parametrize("puzzle", PUZZLES, ids=lambda p: f"{p.label}-{p.target}")
def test_the_mistakes_are_those_of_the_catalogue_and_are_wrong(puzzle: Puzzle) -> None:
    assert (puzzle.target, puzzle.mistake) in {(m.target, m.mistake) for m in MUTANTS}
    assert max(differences(puzzle).values()) > 1e-3


@pytest.mark.parametrize("number", NUMBERS)
def test_the_curve_looks_almost_right(number: int) -> None:
    right, here = train(None), train(number)
    assert np.mean(here[-60:]) < here[0] - 0.8
    assert abs(np.mean(here[-60:]) - np.mean(right[-60:])) < 0.1
    assert here[1:] != right[1:]


def test_a_puzzle_shows_the_wrong_line_and_does_not_give_it_away(capsys: pytest.CaptureFixture[str]) -> None:
    for number in NUMBERS:
        assert main(["puzzle", str(number)]) == 0
        out = capsys.readouterr().out
        puzzle = PUZZLES[number - 1]
        assert f"{puzzle.wrong[-1]}  # ({puzzle.label})" in out
        assert puzzle.mistake not in out and puzzle.why[:20] not in out
        assert all(len(line) <= 80 for line in out.splitlines())


def test_answers(capsys: pytest.CaptureFixture[str]) -> None:
    for number, puzzle in enumerate(PUZZLES, 1):
        assert main(["puzzle", str(number), "--line", f"({puzzle.label})"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("Yes.") and puzzle.wrong[-1] in out
        assert all(len(line) <= 80 for line in out.splitlines())
    assert main(["puzzle", "1", "--line", "39"]) == 1
    assert "line (39) is right" in capsys.readouterr().err
    assert main(["puzzle", "1", "--solve"]) == 0
    assert "dbnmeani / N" in capsys.readouterr().out


def test_without_a_number_one_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["puzzle"]) == 0
    assert f"of {len(PUZZLES)}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["0"], ["99"], ["--solve"], ["1", "--line", "2"], ["1", "--line", "x"]])
def test_wrong_arguments_end_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["puzzle", *arguments])
    assert error.value.code == 2
