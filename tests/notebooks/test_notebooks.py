"""Every notebook runs at a short budget, answers its own questions, and is stored as Jupyter would store it."""

from __future__ import annotations

import ast
import itertools
import linecache
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import numpy as np
import pytest

from experiments import style
from experiments.experiment import Mistake, discover
from experiments.notebook import Answer, Shown, reveal, verdict

ROOT = Path(__file__).resolve().parents[2]
SHORT: dict[str, dict[str, int]] = {
    "01_initial_loss": {"STEPS": 1_800},
    "02_saturation": {"STEPS": 300},
    "03_kaiming": {"NETWORKS": 3},
    "04_batch_norm": {"STEPS": 400},
    "05_deep_network": {"STEPS": 50},
    "06_update_ratio": {"STEPS": 300},
    "07_backward_by_hand": {"STEPS": 100},
}


@pytest.fixture(autouse=True)
def from_its_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where Jupyter runs a notebook; the look of figures and the lines of its cells are put back afterwards."""
    monkeypatch.chdir(ROOT / "notebooks")
    monkeypatch.setattr(linecache, "cache", dict(linecache.cache))
    with style.theme("light"):
        yield


def read(name: str) -> Any:
    return jupytext.read(ROOT / "notebooks" / f"{name}.md")


def tags(cell: Any) -> list[str]:
    return cell.metadata.get("tags", [])


def executed(cell: Any, names: dict[str, Any], place: str) -> Any:
    """Run a cell as a notebook does; returns the value of an expression at its end."""
    # Where `compile` looks up the lines that it writes into a program.
    linecache.cache[place] = (len(cell.source), None, cell.source.splitlines(keepends=True), place)
    tree = ast.parse(cell.source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, place, "exec"), names)
    if last is None:
        return None
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), place, "eval"), names)


def test_there_are_seven() -> None:
    assert [path.stem for path in sorted((ROOT / "notebooks").glob("*.md"))] == list(SHORT)


@pytest.mark.parametrize("name", SHORT)
def test_it_runs_and_its_answers_hold(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from matplotlib.figure import Figure

    names: dict[str, Any] = {"__name__": "__main__"}
    shown: list[Any] = []
    cells = read(name).cells
    for k, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        value = executed(cell, names, f"<{name}, cell {k}>")
        if "parameters" in tags(cell):
            assert all(names[key] > value for key, value in SHORT[name].items())
            names |= SHORT[name]
        if isinstance(value, Figure):
            value.draw_without_rendering()
        if isinstance(value, Answer):
            stated = re.match(
                r"<details><summary>The answer, and why</summary>\n\n\*\*\((\w)\)\*\*", cells[k + 1].source
            )
            assert stated, f"cell {k}: no answer is stated after {cell.source}"
            assert value.true == [stated[1]], f"cell {k}: {value}"
            asked = re.findall(r"^- \((\w)\)", cells[k - 2].source, re.MULTILINE)
            assert cells[k - 2].source.startswith("**Predict.**") or "\n**Predict.**" in cells[k - 2].source
            assert "guess" in tags(cells[k - 1]) and list(value.options) == asked
        shown.append(value)
    kinds = [Answer, Shown, Figure]
    answers, verdicts, pictures = (sum(isinstance(value, kind) for value in shown) for kind in kinds)
    assert answers >= 3 and verdicts >= 1 and pictures >= 2, (answers, verdicts, pictures)
    assert answers == sum("guess" in tags(cell) for cell in cells)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("✓", "✗"))]
    wrong = [line for line in lines if line.startswith("✗")]
    if name.startswith("07"):  # one wrong line, which is there to be seen
        assert len(lines) > 25 and len(wrong) == 1 and wrong[0].startswith("✗ dC")
    else:
        assert not lines


@pytest.mark.parametrize("name", SHORT)
def test_it_is_stored_as_jupyter_stores_it(name: str) -> None:
    text = (ROOT / "notebooks" / f"{name}.md").read_text(encoding="utf-8")
    notebook = jupytext.reads(text, "md:myst")
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    assert notebook.metadata["jupytext"]["text_representation"]["format_name"] == "myst"
    written = jupytext.writes(notebook, "md:myst")
    assert re.sub(r" +jupytext_version: .*\n", "", written) == text
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert sum("parameters" in tags(cell) for cell in code) == 1
    guesses = [cell.source for cell in code if "guess" in tags(cell)]
    assert guesses and all(re.fullmatch(r'guess = \.\.\.  # "a"(, "b")? or "\w"', source) for source in guesses)
    assert max(len(line) for line in text.splitlines()) <= 120


@pytest.mark.parametrize("name", SHORT)
def test_every_part_says_what_pytorch_does_and_what_to_change(name: str) -> None:
    text = "\n\n".join(cell.source for cell in read(name).cells if cell.cell_type == "markdown")
    assert text.startswith(f"# {int(name[:2])}. ")
    assert re.search(r"^\*In PyTorch:\* ", text, re.MULTILINE)
    _, _, change = text.partition("## Change one thing")
    lessons = re.findall(r"python -m experiments run\s(\w+)", text)
    assert change and "`" in change and set(lessons) <= set(discover())
    assert lessons or "npgrad exercise" in change


def test_answers() -> None:
    loss = 25.0
    for guess, comment in ((..., "no prediction"), ("a", "You predicted (a)"), (" (B) ", "As you predicted")):
        answer = reveal(guess, f"loss {loss}", a=loss < 5, b=loss > 20)
        assert answer.true == ["b"] and comment in repr(answer) and comment in answer._repr_html_()
        assert repr(answer).startswith("(b): loss 25.0")
    assert "none of these" in repr(reveal("a", "<nan>", a=False, b=False))
    assert "&lt;nan&gt;" in reveal("a", "<nan>", a=False)._repr_html_()
    with pytest.raises(ValueError, match="'c' is not one of the answers: 'a', 'b'"):
        reveal("c", "", a=True, b=False)


def test_verdicts_are_the_references() -> None:
    import json

    from experiments.reference import REFERENCE

    board = json.loads((REFERENCE / "claims.json").read_text(encoding="utf-8"))
    sampled = {row["verdict"]: name for name, row in board.items()}
    assert len(sampled) >= 4
    for expected, name in sampled.items():
        card = verdict(name)
        assert card.judged.verdict == expected
        assert expected in repr(card) and expected in card._repr_html_() and card.judged.claim.text in repr(card)
    for name in ("stages/nothing", "nothing/initial-original", "stages"):
        with pytest.raises(Mistake):
            verdict(name)


def test_a_figure_shows_itself_at_two_pixels_a_point() -> None:
    figure: Any
    figure, axes = style.figure(height=2.0)
    axes.plot([0, 1])
    png, size = figure._repr_png_()
    width, height = (int.from_bytes(png[k : k + 4], "big") for k in (16, 20))
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and (width, height) == (2 * size["width"], 2 * size["height"])


def test_a_look_to_stay() -> None:
    import matplotlib

    try:
        style.use("dark")
        assert style.paper() == matplotlib.rcParams["axes.facecolor"] != "#ffffff"
        figure, _ = style.figure()
        assert np.allclose(figure.get_facecolor()[:3], [int(style.paper()[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    finally:
        style.use("light")
    assert style.paper() == "#ffffff"


def test_the_short_budgets_are_those_of_the_parameter_cells() -> None:
    for name, short in SHORT.items():
        (cell,) = [cell for cell in read(name).cells if "parameters" in tags(cell)]
        assert set(re.findall(r"^(\w+) = ", cell.source, re.MULTILINE)) == set(short)
    assert all(a < b for a, b in itertools.pairwise(SHORT))
