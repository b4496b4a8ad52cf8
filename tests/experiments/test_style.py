"""The look of figures: a line that leaves its axes says so."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from experiments import style
from tests.experiments.conftest import cut_off

numbers = st.floats(-3, 3, allow_subnormal=False) | st.just(float("nan"))
LOW, HIGH = np.array([-1.0, -1.0]), np.array([1.0, 1.0])


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=12))
def test_each_stretch_outside_is_marked_once_and_at_the_edge(points: list[tuple[float, float]]) -> None:
    line = np.array(points)
    inside = (np.abs(line) <= 1).all(axis=1)
    outside = np.isfinite(line).all(axis=1) & ~inside
    begins = [k for k in np.flatnonzero(outside) if k == 0 or not outside[k - 1]]
    found = list(style.departures(line, LOW, HIGH))
    assert [first for first, _, _ in found] == begins
    for first, place, (axis, upper) in found:
        assert (np.abs(place) <= 1).all() and np.isclose(np.abs(place).max(), 1, rtol=1e-12)
        assert (place[axis] > 0) == upper
        if first and inside[first - 1]:  # on the way from the last point inside to the first outside
            a, b = line[first - 1], line[first]
            assert abs(np.cross(np.append(b - a, 0), np.append(place - a, 0))[2]) < 1e-6


def test_a_line_cut_off_by_limits_is_marked_and_others_are_not() -> None:
    with style.theme("light"):
        made, axes = style.figure()
        axes.plot([1, 2, 3], [0.1, 0.5, 30.0], color=style.colour("blue"))
        axes.plot([1, 2, 3], [0.2, 0.3, 0.4], color=style.colour("orange"))
        style.logarithmic(axes, along="y")
        axes.set_ylim(0.05, 5.0)
        assert len(cut_off(made)) == 1
        style.mark_departures(made)
        assert not cut_off(made)
        (mark,) = axes.findobj(lambda part: part.get_gid() == "departs")
        assert mark.get_marker() == "^" and mark.get_color() == style.colour("blue")
        x, y = mark.get_xydata()[0]
        assert np.isclose(y, 5.0) and np.isclose(x, 2 + np.log(5 / 0.5) / np.log(30 / 0.5))


def test_lines_return_the_ends_that_are_to_be_named_and_means_the_means() -> None:
    with style.theme("light"):
        _, axes = style.figure()
        assert style.lines(axes, [([1, 2], [3.0, 4.0], "a", "blue"), ([5], [6.0], "b", "red")], marker="o") == [
            (2, 4.0, "a", "blue"),
            (5, 6.0, "b", "red"),
        ]
        assert [(line.get_color(), line.get_marker()) for line in axes.lines] == [("blue", "o"), ("red", "o")]
        assert style.means(axes, [1, 2], [np.array([1.0, 3.0]), np.array([5.0])], "blue").tolist() == [2.0, 5.0]
        assert np.allclose(axes.collections[0].get_segments()[0][:, 1], [2 - 2**0.5, 2 + 2**0.5])  # one deviation


def test_a_frame_says_what_is_shown_and_how_it_is_scaled() -> None:
    with style.theme("light"):
        _, axes = style.figure()
        style.frame(axes, "Loss", "step", xlog=(1, 10), ylog={2: "two"}, ylim=(1, 3), ylabel="nats")
    assert (axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()) == ("Loss", "step", "nats")
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_ylim()) == ("log", "log", (1, 3))
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "10"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["two"]
