"""The page and the pictures: whole, self-contained, the same each time, honest about what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import report, style
from experiments.experiment import Experiment, Table
from experiments.runner import execute
from experiments.store import Store
from experiments.tables import plain
from tests.experiments.conftest import threads

VOID = {"meta", "img", "source", "br", "hr"}


class Page(HTMLParser):
    """Checks that tags nest, and collects ids, links and resources."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.resources: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs) -> None:
        attributes = dict(attrs)
        self.tags.add(tag)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if "href" in attributes else []
        self.resources += [attributes[k] for k in ("src", "srcset") if k in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def made(lesson: Experiment, store: Store, **options) -> str:
    plan = lesson.plan(**options)
    store.write_plan(plan)
    outcome = execute(plan.runs, store, workers=threads)
    store.write_plan(plan, outcome.failed)
    report.draw([lesson], store)
    return report.write(store, [lesson]).read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_needs_nothing_else(lesson: Experiment, tmp_path: Path) -> None:
    text = made(lesson, Store(tmp_path))
    page = Page(text)
    assert "script" not in page.tags and "link" not in page.tags
    assert page.resources and all(r.startswith("data:image/svg+xml;base64,") for r in page.resources)
    assert not re.search(r"https?://|@import|url\(", text)
    assert len(set(page.ids)) == len(page.ids)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    for expected in (
        "Is twice a number more than the &lt;number&gt;?",
        "Yes &amp; no.",
        "<code><span>x</span> <span>&lt;</span>",
        "✓ reproduced",
        "~ direction only",
        "✗ not reproduced",
        "1 claim not judged",
        "<span>python</span> <span>-m</span> <span>experiments</span> <span>run</span> <span>fake</span></code>",
        "Half:",
        "prefers-color-scheme: dark",
        "@media print",
        'name="viewport"',
    ):
        assert expected in text, expected


def test_the_same_results_give_the_same_bytes(lesson: Experiment, tmp_path: Path) -> None:
    pages, pictures = [], []
    for name in ("one", "two"):
        store = Store(tmp_path / name)
        pages.append(made(lesson, store))
        found = sorted(store.directory.glob("fake/**/figures/*.*"))
        pictures.append({str(p.relative_to(store.directory)): p.read_bytes() for p in found})
    assert pages[0] == pages[1]
    assert pictures[0] == pictures[1]
    names = {Path(name).name for name in pictures[0]}
    assert {"twice.svg", "twice.png", "twice-dark.svg", "twice-dark.png", "loss.svg", "loss.png"} <= names


def test_what_failed_or_is_missing_is_said(lesson: Experiment, tmp_path: Path) -> None:
    store = Store(tmp_path)
    text = made(lesson, store, changes={"mishap": "raises"})
    assert "The run gain=2, seed 0 failed (RuntimeError: the gain)." in text
    assert "Changed by whoever ran it: <b>mishap = raises</b>" in text

    store.write_plan(lesson.plan(seeds=2))
    text = report.write(store, [lesson]).read_text(encoding="utf-8")
    assert "6 of 6 runs are missing: the lesson was interrupted." in text
    Page(text)


def test_a_lesson_that_cannot_be_drawn_spoils_nothing(
    directory: Path, reload: Callable[[], Experiment], tmp_path: Path
) -> None:
    path = directory / "fake.py"
    path.write_text(path.read_text(encoding="utf-8").replace("style.title(", "style.nothing("), encoding="utf-8")
    text = made(reload(), Store(tmp_path))
    assert "Not every picture could be drawn (AttributeError" in text
    assert "✓ reproduced" in text


def test_a_quick_look_is_marked(lesson: Experiment, tmp_path: Path) -> None:
    text = made(lesson, Store(tmp_path), budget="quick")
    assert "Quick look: 10 steps instead of 100; gain 1, 2 only." in text
    assert "<b>quick looks</b>" in text


def test_plain_tables() -> None:
    table = Table("Title", ["name", "x"], [["a", "1.5"], ["long name", "−22"]], "A note.")
    assert plain(table).splitlines() == [
        "Title",
        "",
        "  name          x",
        "  ─────────   ───",
        "  a           1.5",
        "  long name   −22",
        "  A note.",
    ]


@given(
    wanted=st.lists(st.floats(-50, 150), min_size=1, max_size=8),
    gap=st.floats(1, 12),
)
def test_labels_keep_their_distance_their_order_and_the_bounds(wanted: list[float], gap: float) -> None:
    places = style._spread(wanted, gap, 0.0, 100.0)
    for (a, b), (x, y) in zip(combinations(wanted, 2), combinations(places, 2), strict=True):
        assert abs(x - y) >= gap * (1 - 1e-9)
        assert a == b or (a < b) == (x < y)
    assert min(places) >= -1e-9 and max(places) <= 100 + 1e-9
    alone = sorted(wanted)
    if all(0 <= w <= 100 for w in wanted) and all(b - a > gap for a, b in pairwise(alone)):
        assert places == pytest.approx(wanted)


def test_every_colour_is_readable_on_its_paper() -> None:
    for look in (style._LIGHT, style._DARK):
        for name, hue in {"ink": look.ink, "muted": look.muted, **look.hues}.items():
            assert contrast(hue, look.paper) >= 3.0, (name, hue)
        assert contrast(look.ink, look.paper) >= 7.0
        assert contrast(look.muted, look.paper) >= 4.5
    assert set(style._LIGHT.hues) == set(style._DARK.hues) >= set(style._NAMED.values())


def contrast(one: str, other: str) -> float:
    """The ratio that the Web Content Accessibility Guidelines define."""

    def luminance(hue: str) -> float:
        parts = [int(hue[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
