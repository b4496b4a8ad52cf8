"""Pictures from functions that draw: which records they get, what their captions say, what is drawn."""

from __future__ import annotations

import numpy as np

from experiments import style
from experiments.pictures import curves, pictures, trend, where
from experiments.records import Record, Records


def records() -> Records:
    made = []
    for norm, lr, loss in (("none", 1.0, 5.0), ("none", 0.1, 2.0), ("batch", 0.1, 1.0), ("batch", 0.1, 2.0)):
        record = Record.of_summary("", 0, {"norm": norm, "lr": lr}, {"loss": loss})
        vars(record).update(series={"step": np.arange(3), "curve": np.full(3, loss)})
        made.append(record)
    return Records(made)


@where(lambda own: own.where(lr=min(own.by("lr"))), norm="none")
def least(own: Records) -> style.Figure:
    """A loss of {loss:.0f}
    at {lr:g}.
    """
    assert {(r.config.norm, r.config.lr) for r in own} == {("none", 0.1)}
    return style.figure()[0]


@where(norm="layer")
def absent(own: Records) -> style.Figure:
    raise AssertionError("there are no such records")


def chosen(own: Records) -> tuple[style.Figure, str]:
    return style.figure()[0], f"{len(own)} {{runs}}"


def test_each_function_gets_its_records_and_says_what_it_shows() -> None:
    plot = pictures(first=least, second=absent, third=chosen, fourth=lambda own: None)
    made = list(plot(records()))
    assert [(picture.name, picture.caption) for picture in made] == [
        ("first", "A loss of 2 at 0.1."),
        ("third", "4 {runs}"),
    ]
    assert not list(plot(records()[:0]))


def test_curves_are_means_named_and_coloured_by_group() -> None:
    with style.theme("light"):
        _, axes = style.figure()
        ends = curves(axes, records().by("norm"), "step", "curve", {"none": "plain"}, {"batch": "blue"}, marker="o")
        assert ends == [(2.0, 3.5, "plain", style.colour("none")), (2.0, 1.5, "batch", style.colour("blue"))]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[3.5] * 3, [1.5] * 3]


def test_a_trend_rises_with_its_setting_and_marks_what_is_too_high() -> None:
    with style.theme("light"):
        _, axes = style.figure()
        trend(axes, records().where(norm="none"), "lr", "loss", style.colour("blue"), ceiling=3.0)
    line, mark = axes.lines
    assert line.get_xydata().tolist() == [[0.1, 2.0], [1.0, 5.0]]
    assert (mark.get_marker(), mark.get_xydata().tolist()) == ("^", [[1.0, 3.0]])
