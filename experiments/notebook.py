"""What the notebooks show beside their pictures: the answer to a prediction, and the verdict on a claim.

    guess = ...                                              # the reader writes "a", "b" or "c"
    reveal(guess, f"loss {loss:.2f}", a=loss < 5, b=5 <= loss < 15, c=loss >= 15)
    verdict("stages/initial-original")

Both are plain HTML in a notebook, without widgets, and plain text elsewhere.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from html import escape

from experiments.experiment import LESSONS, Mistake, load
from experiments.reference import REFERENCE
from experiments.tables import MARKS, by
from experiments.verdict import Judged

__all__ = ["Answer", "Shown", "reveal", "verdict"]

GREEN, AMBER, RED, GREY = "#00744f", "#8a5a00", "#b34700", "#5c6570"
"""Of badges: white text has a contrast of 4.5 or more on each."""
HUES = {"reproduced": GREEN, "checked": GREEN, "direction only": AMBER, "not reproduced": RED, "broken": RED}
NUMBERS = ("mean", "sd", "other_mean", "other_sd", "effect", "low", "high")


@dataclass(frozen=True)
class Answer:
    """Which options of a prediction came true, beside the reader's guess."""

    measured: str
    options: dict[str, bool]
    guess: str | None

    @property
    def true(self) -> list[str]:
        """The letters of the options that came true."""
        return [name for name, holds in self.options.items() if holds]

    @property
    def _found(self) -> str:
        return " and ".join(f"({name})" for name in self.true) or "none of these"

    @property
    def _comment(self) -> str:
        if self.guess is None:
            return "You made no prediction: fill in the cell above first."
        return "As you predicted." if self.guess in self.true else f"You predicted ({self.guess})."

    def __repr__(self) -> str:
        return f"{self._found}: {self.measured}. {self._comment}"

    def _repr_html_(self) -> str:
        hue = GREY if self.guess is None else GREEN if self.guess in self.true else RED
        return _card(hue, self._found, escape(self.measured), self._comment)


def reveal(guess: object, measured: str, **options: bool) -> Answer:
    """Compare `guess`, the letter of an option or `...` for none, with the options that the measurement makes true.

    Raises ValueError if the guess is no letter of an option.
    """
    if guess is ...:
        letter = None
    else:
        letter = str(guess).strip().strip("()").lower()
        if letter not in options:
            raise ValueError(f"guess = {guess!r} is not one of the answers: {', '.join(map(repr, options))}.")
    return Answer(measured, options, letter)


@dataclass(frozen=True)
class Shown:
    """A claim as the committed reference judged it."""

    judged: Judged

    lesson: str

    @property
    def _evidence(self) -> str:
        one = self.judged
        if one.verdict != "not judged":
            return f"Reference: {one.evidence}."
        return f"The reference has no run of it yet: python -m experiments run {self.lesson}."

    @property
    def _said(self) -> str:
        claim = self.judged.claim
        return f"{by(claim.sources)}: “{claim.says}”" if claim.says else by(claim.sources)

    def __repr__(self) -> str:
        one = self.judged
        return f"{MARKS[one.verdict]} {one.verdict}: {one.claim.text} ({self._said}. {self._evidence})"

    def _repr_html_(self) -> str:
        one = self.judged
        said = self._said[0].upper() + self._said[1:]
        small = f"{said}. {self._evidence} {one.claim.note}".strip()
        badge = f"{MARKS[one.verdict]} {one.verdict}"
        return _card(HUES.get(one.verdict, GREY), badge, escape(one.claim.text), small)


def verdict(name: str) -> Shown:
    """The verdict of the committed reference on the claim LESSON/CLAIM.

    Raises Mistake if there is no such lesson or claim.
    """
    lesson, _, own = name.partition("/")
    claim = next((claim for claim in load(LESSONS / f"{lesson}.py").claims if claim.id == own), None)
    board = json.loads((REFERENCE / "claims.json").read_text(encoding="utf-8"))
    if claim is None or name not in board:
        raise Mistake(f"there is no claim {name!r}: `python -m experiments claims` lists them.")
    row = board[name]
    numbers = {key: math.nan if row[key] is None else row[key] for key in NUMBERS}
    return Shown(Judged(claim, row["verdict"], row["n"], reason=row["reason"], **numbers), lesson)


def _card(hue: str, badge: str, text: str, small: str) -> str:
    return (
        f'<div style="border-left: 4px solid {hue}; padding: .3em .9em; margin: .4em 0; max-width: 46em; '
        f'line-height: 1.5; white-space: normal; font-family: system-ui, sans-serif">'
        f'<span style="background: {hue}; color: #fff; border-radius: .25em; padding: .05em .5em; '
        f'font-weight: 600; margin-right: .6em; white-space: nowrap">{escape(badge)}</span>{text}'
        f'<div style="opacity: .75; font-size: .9em">{escape(small)}</div></div>'
    )
