"""The look: names keep apart, colours can be read."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad.diagnose import style
from npgrad.diagnose.style import contrast


@given(
    wanted=st.lists(st.floats(-50, 150), min_size=1, max_size=8),
    gap=st.floats(1, 12),
)
def test_labels_keep_their_distance_their_order_and_the_bounds(wanted: list[float], gap: float) -> None:
    places = style.spread(wanted, gap, 0.0, 100.0)
    for (a, b), (x, y) in zip(combinations(wanted, 2), combinations(places, 2), strict=True):
        assert abs(x - y) >= gap * (1 - 1e-9)
        assert a == b or (a < b) == (x < y)
    assert min(places) >= -1e-9 and max(places) <= 100 + 1e-9
    alone = sorted(wanted)
    if all(0 <= w <= 100 for w in wanted) and all(b - a > gap for a, b in pairwise(alone)):
        assert places == pytest.approx(wanted)


def test_every_colour_is_readable_on_its_paper() -> None:
    for look in (style.LIGHT, style.DARK):
        for name, hue in {"ink": look.ink, "muted": look.muted, **look.hues}.items():
            assert contrast(hue, look.paper) >= 3.0, (name, hue)
        assert contrast(look.ink, look.paper) >= 7.0
        assert contrast(look.muted, look.paper) >= 4.5
    assert set(style.LIGHT.hues) == set(style.DARK.hues) >= set(style.NAMED.values())


def test_a_layer_has_one_colour_and_its_neighbours_another() -> None:
    for theme in ("light", "dark"):
        with style.theme(theme):
            hues = [style.layer(k, 6) for k in range(6)]
            assert len(set(hues)) == 6 and hues == [style.layer(k, 6) for k in range(6)]
            assert all(contrast(hue, style.paper()) >= 1.4 for hue in hues)


@given(hue=st.tuples(*[st.integers(0, 255)] * 3), dark=st.booleans())
def test_text_in_any_colour_can_be_made_legible(hue: tuple[int, int, int], dark: bool) -> None:
    with style.theme("dark" if dark else "light"):
        text = style.legible("#{:02x}{:02x}{:02x}".format(*hue))
        assert contrast(text, style.paper()) >= 3.0
