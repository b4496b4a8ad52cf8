"""What the documentation is made with: docstrings as reStructuredText, the reference, the check of links."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from docs.extensions import derivations
from docs.extensions.docstrings import page_of, rst, spans, without_derivation
from docs.extensions.links import broken
from docs.extensions.pages import exported, generate, pages
from docs.extensions.tutorials import tutorials
from npgrad.explain import site
from npgrad.explain.order import groups, things
from npgrad.functions import registry
from tests.conftest import leave_out


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


def tree(text: str) -> list[str]:
    """The pages that a page lists in the sidebar."""
    [found] = re.findall(r"^```\{toctree\}\n:hidden:\n\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(found).split()


def test_every_derivation_is_in_the_navigation() -> None:
    of_groups = [derivations.slug(group) for group in groups()]
    assert tree(derivations.index()) == [*of_groups, "program", "notation"]
    listed = [name for group in groups() for name in tree(derivations.contents(group))]
    assert listed == list(things()) and not set(listed) & {*of_groups, "index", "program", "notation"}
    assert {page_of(function) for function in registry.values()} <= set(listed)
    for text in (derivations.index(), *map(derivations.contents, groups())):
        pages = re.findall(r"\]\(([\w-]+)\.md\)", text)
        assert set(pages) <= {*listed, *of_groups, "program", "notation"} and len(pages) > 2


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
    monkeypatch.setattr(derivations, "fragments", lambda cache: {})
    generate(tmp_path, tmp_path / "cache")
    assert not (tmp_path / "reference" / "old.md").exists() and (tmp_path / "start.md").exists()
    assert "no notebooks" in (tmp_path / "tutorials" / "index.md").read_text(encoding="utf-8")


def test_derivations_are_executed_when_code_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([RuntimeError("tanh: 1 of its checks failed"), "first", "second", "third"])

    def executed() -> dict[str, tuple[str, str]]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return {"tanh": ("tanh", answer)}

    monkeypatch.setattr(derivations, "executed", executed)
    monkeypatch.setattr(derivations, "ROOT", tmp_path)
    (tmp_path / "npgrad").mkdir()
    (tmp_path / "npgrad" / "code.py").write_text("one")

    def found() -> str:
        html = derivations.fragments(tmp_path / "cache")["tanh"][1]
        assert len(list((tmp_path / "cache").iterdir())) == 1  # results of other code are not kept
        return html

    with pytest.raises(RuntimeError):
        found()
    assert (found(), found()) == ("first", "first")
    (tmp_path / "npgrad" / "code.py").write_text("two")
    assert found() == "second"
    (tmp_path / "npgrad" / "page.html.jinja").write_text("template")
    assert (found(), found()) == ("third", "third")


def test_derivations_are_pages_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sphinx puts them into the sidebar, into the order of reading and into the index of its search."""
    if not all(find_spec(name) for name in ("sphinx", "furo", "myst_parser")):
        leave_out("the documentation needs Sphinx: install the `docs` extra")
    monkeypatch.setattr(site, "things", lambda: {name: things()[name] for name in ("exp", "tanh")})
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    made = {name: derivations.page(*of) for name, of in derivations.executed().items()}
    assert list(made) == ["notation", "program", "exp", "tanh"]
    made["index"] = f"# Index\n\n```{{toctree}}\n{chr(10).join(made)}\n```\n"
    for name, text in made.items():
        (source / f"{name}.md").write_text(text, encoding="utf-8")
    options = ["-C", "-D", "extensions=myst_parser", "-D", "html_theme=furo", "-W", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(source), str(out)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    index = json.loads((out / "searchindex.js").read_text(encoding="utf-8")[len("Search.setIndex(") : -1])
    found = index["terms"]["satur"]  # of "saturation", which stands in one of the docstrings
    assert [index["docnames"][k] for k in ([found] if isinstance(found, int) else found)] == ["tanh"]
    page = (out / "tanh.html").read_text(encoding="utf-8")
    assert 'class="theme-toggle' in page and re.search(r'class="toc-drawer[^"]*no-toc', page)
    assert re.search(r'<li class="toctree-l1"><a [^>]*href="exp.html">exp</a>', page)
    assert re.search(r'<a class="prev-page" href="exp.html">', page)
    assert page.count('<div class="derivation">') == 1 and 'id="eq-1"' in page


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
