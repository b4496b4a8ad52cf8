"""What the documentation is made with: docstrings as reStructuredText, the reference, the check of links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from docs.extensions.docstrings import page_of, rst, spans, without_derivation
from docs.extensions.links import broken
from docs.extensions.pages import Site, exported, generate, pages
from docs.extensions.tutorials import tutorials
from npgrad.explain.order import things
from npgrad.functions import registry


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return dict(pages())


def entries(text: str) -> Iterator[str]:
    """The names that a page of the reference documents."""
    module = ""
    for directive, name in re.findall(r"^\.\. ([\w:]+):: ([\w.:]+)", text, re.MULTILINE):
        if directive in ("currentmodule", "py:module"):
            module = name
        elif directive.startswith(("auto", "py:")):
            yield name.replace("::", ".") if "::" in name or name.startswith("npgrad.") else f"{module}.{name}"


def test_every_public_name_has_one_entry(made: dict[str, str]) -> None:
    found = [name for text in made.values() for name in entries(text)]
    assert [name for name in found if found.count(name) > 1] == [], "names with two entries"
    assert exported() - set(found) == set()
    modules = {name for name in dir(npgrad) if isinstance(getattr(npgrad, name), ModuleType)}
    outside = {"annotations", "import_module", "TYPE_CHECKING"}
    own = {name for name in dir(npgrad) if not name.startswith("_")} - modules - outside
    assert {f"npgrad.{name}" for name in own} <= set(found)
    assert {"npgrad.Tanh", "npgrad.nn.Tanh", "npgrad.nn.functional.tanh", "npgrad.linalg.norm"} <= set(found)
    assert len(found) > 400


def test_every_derivation_is_in_the_navigation(made: dict[str, str]) -> None:
    links = re.findall(r'- <a href="(\w+)\.html">', made["derivations/index.md"])
    assert sorted(links) == sorted(things())
    assert all((page_of(function) or "").removesuffix(".html") in links for function in registry.values())


@pytest.mark.parametrize("name", registry)
def test_a_docstring_ends_where_its_derivation_begins(name: str) -> None:
    left = "\n".join(without_derivation((registry[name].__doc__ or "").replace("\n    ", "\n").split("\n")))
    assert left.strip() and not re.search(r"^(Forward|Backward|Symbols)$|^ *\(\d+\) ", left, re.MULTILINE)


def test_docstrings_become_restructured_text() -> None:
    text = """One `code`, *one* word, **bold**; a*b, x**2 and *args stay.

    y = f(x)
    z = 1

Words:
    name      what it is

>>> 1 + 1
2

- first, which
  goes on
- `second`
(3) is no list."""
    assert "\n".join(rst(text.split("\n"))).split("\n") == [
        r"One ``code``, *one* word, **bold**; a\*b, x\*\*2 and \*args stay.", "",
        ".. code-block:: python", "", "   y = f(x)", "   z = 1", "",
        "Words:", "",
        ".. code-block:: text", "", "   name      what it is", "",
        ".. code-block:: pycon", "", "   >>> 1 + 1", "   2", "",
        "- first, which", "  goes on", "",
        "- ``second``", "",
        r"\(3) is no list.", "",
    ]  # fmt: skip
    assert spans("see `npgrad.nn.Linear`s") == r"see :py:obj:`npgrad.nn.Linear`\ s"


@given(st.text("ab _|\\()[]0.,\n", max_size=60))
def test_signs_that_mean_nothing_are_shown(text: str) -> None:
    assert re.sub(r"\\(.)", r"\1", spans(text)) == text


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.html").write_text(
        '<p id="here"></p><a href="#here"></a><a href="sub/b.html#there"></a><a href="https://example.org/x"></a>'
        '<a href="#nowhere"></a><a href="sub/b.html#gone"></a><img src="missing.png"><a href="../outside.html"></a>'
    )
    (tmp_path / "sub" / "b.html").write_text('<p id="there"></p><a href="../a.html"></a><a href="c.html"></a>')
    (tmp_path.parent / "outside.html").write_text("")
    assert sorted(broken(tmp_path)) == [
        "a.html: #nowhere", "a.html: ../outside.html", "a.html: missing.png", "a.html: sub/b.html#gone",
        "sub/b.html: c.html",
    ]  # fmt: skip


def test_pages_that_are_made_no_more_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "old.md").write_text("# Old")
    (tmp_path / "start.md").write_text("# Start")
    monkeypatch.setattr("docs.extensions.pages.tutorials", lambda notebooks, cache: tutorials(tmp_path / "none", cache))
    generate(tmp_path, tmp_path / "cache")
    assert not (tmp_path / "reference" / "old.md").exists() and (tmp_path / "start.md").exists()
    assert "no notebooks" in (tmp_path / "tutorials" / "index.md").read_text(encoding="utf-8")


def test_derivations_are_made_again_until_all_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[bool] = []

    class Process:
        """Of a command that ends with the exit codes 1, 0, 0 …, or is stopped."""

        def __init__(self, command: list[str], **options: object) -> None:
            started.append(True)
            Path(command[-1]).mkdir(exist_ok=True)
            (Path(command[-1]) / "notation.html").write_text("made")

        def wait(self) -> int:
            return len(started) == 1

        def terminate(self) -> None:
            pass

    monkeypatch.setattr("docs.extensions.pages.subprocess.Popen", Process)
    monkeypatch.setattr("docs.extensions.pages.ROOT", tmp_path)
    (tmp_path / "npgrad").mkdir()
    (tmp_path / "npgrad" / "code.py").write_text("")

    def site() -> Site:
        return Site(tmp_path / "derivations", tmp_path / "derivations.log")

    with pytest.raises(RuntimeError):
        site().put(tmp_path / "out")
    site().stop()
    for runs in (3, 3):
        site().put(tmp_path / "out")
        assert len(started) == runs and (tmp_path / "out" / "notation.html").exists()


def test_a_notebook_is_executed_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []
    monkeypatch.setattr("docs.extensions.tutorials.executed", lambda path: runs.append(path.name) or path.read_text())
    (tmp_path / "notebooks").mkdir()
    for text in ("# One", "# One", "# Two"):
        (tmp_path / "notebooks" / "a.md").write_text(text)
        found = tutorials(tmp_path / "notebooks", tmp_path / "cache")
        assert found["a.ipynb"] == text and "\na\n```" in found["index.md"]
        assert len(list((tmp_path / "cache").iterdir())) == 1  # results of what has changed are not kept
    assert runs == ["a.md", "a.md"]
