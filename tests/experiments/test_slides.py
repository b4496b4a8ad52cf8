"""Figures for a projector: which one is taken, its theme, its steps, its size."""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from experiments import reference, slides
from experiments.__main__ import main
from experiments.experiment import discover
from npgrad.diagnose import style

COMMITTED = [path.stem for path in slides.drawn(reference.REFERENCE / "figures", "*.svg")]
LESSONS = list(discover())


def figure(name: str, theme: style.Theme = "light") -> ElementTree.Element:
    return slides.themed(slides.find(name, LESSONS, Path("nowhere")), theme)


def hidden(step: ElementTree.Element) -> set[str]:
    return {part.get("id", "") for part in step.iter() if part.get("visibility") == "hidden"}


def colours(element: ElementTree.Element) -> set[str]:
    return {hue for part in element.iter() for hue in re.findall("#[0-9a-f]{6}", part.get("style", ""))}


@pytest.mark.parametrize("name", COMMITTED)
def test_every_figure_builds_up(name: str) -> None:
    """Each step shows something more, hides nothing that was shown, and the last shows all."""
    steps = [hidden(step) for step in slides.build(figure(name), "light")]
    assert len(steps) > 1 and not steps[-1]
    assert all(later < earlier for earlier, later in itertools.pairwise(steps))
    in_the_dark = [hidden(step) for step in slides.build(figure(name, "dark"), "dark")]
    assert in_the_dark == steps


@pytest.mark.parametrize("name", COMMITTED)
def test_in_the_dark_every_colour_is_of_the_dark(name: str) -> None:
    look, other = style.DARK, style.LIGHT
    found = colours(figure(name, "dark"))
    assert found.isdisjoint({other.paper, other.ink, other.muted, other.hair, *other.hues.values()})
    with style.theme("dark"):
        assert {hue for hue in found if style.contrast(hue, style.paper()) < 2.5} <= {look.paper, look.hair}


def test_a_step_is_one_line_with_its_name() -> None:
    """The loss of the five stages: axes first, then a stage at a time."""
    steps = slides.build(figure("stages-losses"), "light")
    names = ["original", "output × 0.01", "hidden × 0.2", "Kaiming", "batch norm"]
    for k, step in enumerate(steps):
        gone = hidden(step)
        shown = {
            part.text
            for group in step.iter(f"{{{slides.SVG}}}g")
            if group.get("id", "").startswith("text") and group.get("id") not in gone
            for part in group.iter(f"{{{slides.SVG}}}text")
        }
        assert [name for name in names if name in shown] == names[:k] and "The whole training: loss" in shown


@pytest.mark.parametrize("name", COMMITTED)
def test_a_slide_holds_the_whole_figure_in_large_type(name: str) -> None:
    made = figure(name)
    width, height = map(float, made.get("viewBox", "").split()[2:])
    sizes = [float(size) for size in re.findall(r"font-size: ([0-9.]+)px", slides.text_of(made))]
    page = slides.slide(made, "light")
    assert (page.get("width"), page.get("height")) == ("1920", "1080")
    x, y, factor = map(float, re.findall(r"[0-9.]+", page[1].get("transform", "")))
    assert min(x, y) >= slides.MARGIN - 0.01
    assert x + factor * width <= 1920 - slides.MARGIN + 0.1 and y + factor * height <= 1080 - slides.MARGIN + 0.1
    assert factor * sorted(sizes)[len(sizes) // 2] >= 20  # pixels of 1080: half of the type is at least this large


def test_results_come_before_the_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "results" / "stages" / "figures"
    own.mkdir(parents=True)
    light = (reference.REFERENCE / "figures" / "stages-losses.svg").read_text(encoding="utf-8")
    (own / "losses.svg").write_text(light.replace("Kaiming", "ours"), encoding="utf-8")
    (own / "losses-dark.svg").write_text(light.replace("Kaiming", "ours in the dark"), encoding="utf-8")
    arguments = ["--results", str(tmp_path / "results"), "--out", str(tmp_path / "out")]
    for theme, text in (("light", ">ours<"), ("dark", ">ours in the dark<")):
        assert main(["figure", "stages-losses", "--theme", theme, *arguments]) == 0
        assert text in (tmp_path / "out" / "stages-losses.svg").read_text(encoding="utf-8")
        assert str(own) in capsys.readouterr().out
    assert main(["figure", "stages-final", *arguments]) == 0
    assert "reference result" in capsys.readouterr().out


def test_the_reference_has_figures_in_the_dark_too(tmp_path: Path) -> None:
    own = reference.REFERENCE / "figures" / "stages-losses-dark.svg"
    assert slides.find("stages-losses", LESSONS, tmp_path).dark == own and own.stem not in slides.sources(
        LESSONS, tmp_path
    )


def test_steps_are_numbered_and_old_ones_go(tmp_path: Path) -> None:
    (tmp_path / "gains-weights-10.svg").write_text("of a longer build", encoding="utf-8")
    others = ["gains-weights-2nd.svg", "gains-weights-9.png", "gains-weights.png", "gains-weights.svg", "mine.svg"]
    for name in others:
        (tmp_path / name).write_text("mine", encoding="utf-8")
    assert main(["figure", "gains-weights", "--slide", "--build", "--out", str(tmp_path)]) == 0
    steps = [f"gains-weights-{k}.svg" for k in range(1, 9)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*steps, *others])


def test_png_is_as_large_as_the_slide(tmp_path: Path) -> None:
    assert main(["figure", "stages-losses", "--slide", "--theme", "dark", "--png", "--out", str(tmp_path)]) == 0
    content = (tmp_path / "stages-losses.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert [int.from_bytes(content[k : k + 4]) for k in (16, 20)] == [1920, 1080]


def test_without_resvg_it_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    assert main(["figure", "stages-losses", "--png", "--out", str(tmp_path)]) == 2
    assert "pip install '.[desk]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stages-loses", "did you mean stages-losses?"),
        ("gains", "did you mean gains-activations or gains-by_layer"),
        ("zzz", "there are stages-final, "),
    ],
)
def test_an_unknown_name_is_one_sentence(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figure", name]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["figure", "stages-losses", "--out", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err
