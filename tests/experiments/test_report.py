"""The page and the pictures: whole, self-contained, the same each time, honest about what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

from experiments import examinations, report
from experiments.experiment import Experiment, Table
from experiments.provenance import ROOT
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
        self.alternatives: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs) -> None:
        attributes = dict(attrs)
        self.tags.add(tag)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.alternatives += [attributes["alt"]] if "alt" in attributes else []
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
    assert not re.search(r"@import|url\(", text)  # links lead out of the page; nothing is loaded into it
    assert len(set(page.ids)) == len(page.ids)
    inside = [link[1:] for link in page.links if link.startswith("#")]
    assert set(inside) <= set(page.ids) and "document-3" in inside
    assert [link for link in page.links if not link.startswith("#")] == ["https://www.youtube.com/watch?v=P6sfmUTpUmc"]
    assert page.alternatives and all(page.alternatives)
    for expected in (
        "Is twice a number more than the &lt;number&gt;?",
        "Yes &amp; no.",
        "<code><span>x</span> <span>&lt;</span>",
        "· seen once",
        "~ direction only",
        "1.9 to 2.1",
        "1 claim checked because true by construction",
        "default budget, 1 seed, 100 steps",
        "<span>fake</span> <span>--set</span> <span>gain=0.5</span>",
        "✗ not reproduced",
        "1 claim not judged",
        "<span>python</span> <span>-m</span> <span>experiments</span> <span>run</span> <span>fake</span></code>",
        "Half:",
        "prefers-color-scheme: dark",
        "@media print",
        'name="viewport"',
    ):
        assert expected in text, expected


def test_the_doctor_on_the_five_stages_is_part_of_the_page(lesson: Experiment, tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert 'id="doctor"' not in made(lesson, store)
    examinations.examine(store, str(ROOT / "data/names.txt"))
    text = report.write(store, [lesson]).read_text(encoding="utf-8")
    page = Page(text)
    assert "doctor" in page.ids and "#doctor" not in page.links  # of a single lesson there is no table of contents
    said = dict(re.findall(r"<h3><code>(\w+)</code>: ([\w, ]+)</h3>", text))
    assert said == {
        "original": "overconfident output, saturated units",
        "output": "saturated units",
        "hidden": "healthy",
        "kaiming": "healthy",
        "batchnorm": "healthy",
    }
    for expected in ("certainty", "Threshold", "Remedy", "<span>model.output.weight.data</span>", 'role="img"'):
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
    assert "· seen once" in text


def test_a_quick_look_is_marked(lesson: Experiment, tmp_path: Path) -> None:
    text = made(lesson, Store(tmp_path), budget="quick")
    assert "Quick look: 10 steps instead of 100; gain 1, 2 only." in text
    assert "<b>quick looks</b>" in text


def test_what_is_said_of_the_names_is_not_held_against_other_words(
    directory: Path, reload: Callable[[], Experiment], tmp_path: Path
) -> None:
    path, words = directory / "fake.py", tmp_path / "words.txt"
    words.write_text("emma\nolivia\n", encoding="utf-8")
    field = f'    data: str = "{words}"\n    seed: int = 0'
    path.write_text(path.read_text(encoding="utf-8").replace("    seed: int = 0", field), encoding="utf-8")
    text = made(reload(), Store(tmp_path / "results"))
    assert "Run on another list of words" in text and "not applicable: it is about another list of words" in text
    assert "✗ not reproduced" not in text.partition("<main>")[2]


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
