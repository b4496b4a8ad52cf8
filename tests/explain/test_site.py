"""The site: the same bytes each time, complete, and in need of nothing that it does not contain."""

from __future__ import annotations

import configparser
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

import npgrad
from npgrad.explain import site
from npgrad.explain.__main__ import main
from npgrad.explain.order import things

CORE = {
    "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "msub", "msup", "munder", "mover", "mfrac", "msqrt",
    "mtable", "mtr", "mtd",
}  # fmt: skip
"""What the pages use of MathML Core (https://www.w3.org/TR/mathml-core/)."""
VOID = {"meta", "link", "br", "img", "hr", "mspace"}


class Reader(HTMLParser):
    """Ids, links, text, and whether every element that is opened is closed."""

    def __init__(self, string: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(string)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("href", "src") and value:
                self.links.append(value)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes <{self.open[-1:]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def read(pages: Path) -> dict[str, Reader]:
    return {file.name: Reader(file.read_text(encoding="utf-8")) for file in sorted(pages.glob("*.html"))}


def test_a_page_for_everything(read: dict[str, Reader]) -> None:
    assert set(read) == {
        "index.html",
        "notation.html",
        "program.html",
        *(f"{name}.html" for name in things()),
    }
    linked = {link for link in read["index.html"].links if link.endswith(".html")}
    assert set(read) <= linked | {"index.html"}


def test_links_lead_somewhere(pages: Path, read: dict[str, Reader]) -> None:
    for name, page in read.items():
        assert len(page.ids) == len(set(page.ids)), name
        for link in page.links:
            if link.startswith("data:"):
                continue
            file, _, anchor = link.partition("#")
            assert (pages / file).is_file() if file else True, (name, link)
            if anchor:
                assert anchor in read[file or name].ids, (name, link)


def test_nothing_comes_from_elsewhere(pages: Path, read: dict[str, Reader]) -> None:
    for page in read.values():
        assert not [link for link in page.links if "//" in link]
    for file in [*pages.glob("*.html"), *pages.glob("*.css")]:
        string = file.read_text(encoding="utf-8")
        assert "<script" not in string and "@import" not in string and "<iframe" not in string
        for address in re.findall(r"url\(\"?([^)\"]+)", string):
            assert (pages / address).is_file(), address


def test_the_same_bytes_each_time(pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert site.build("again") == 0
    files = {p.relative_to(pages): p.read_bytes() for p in pages.rglob("*") if p.is_file()}
    again = {p.relative_to("again"): p.read_bytes() for p in Path("again").rglob("*") if p.is_file()}
    assert files == again


def test_mathematics_is_mathml_core(pages: Path) -> None:
    formulas = 0
    for file in pages.glob("*.html"):
        for formula in re.findall(r"<math.*?</math>", file.read_text(encoding="utf-8")):
            tree = ElementTree.fromstring(formula)
            formulas += 1
            for node in tree.iter():
                assert node.tag in CORE, (file.name, formula)
                count = {"msub": 2, "msup": 2, "munder": 2, "mover": 2, "mfrac": 2}.get(node.tag)
                assert count is None or len(node) == count, (file.name, formula)
    assert formulas > 1000


def test_equations_and_code_are_linked_both_ways(read: dict[str, Reader], pages: Path) -> None:
    page = read["batch_norm.html"]
    equations = [i for i in page.ids if i.startswith("eq-")]
    assert len(equations) > 10
    for anchor in equations:
        if anchor.removeprefix("eq-").isdigit():
            assert f"#{anchor}" in page.links
    string = (pages / "batch_norm.html").read_text(encoding="utf-8")
    for label in ("1", "9"):
        assert f'class="eq k-{label}"' in string
        assert re.search(rf'class="line k-{label}" id="L\d+"', string)
        assert f".derivation:has(.k-{label}:hover) .k-{label}" in string


def test_the_lines_of_the_program_lead_to_their_equations(read: dict[str, Reader], pages: Path) -> None:
    links = read["program.html"].links
    for anchor in ("batch_norm.html#eq-9", "linear.html#eq-3", "tanh.html#eq-2", "cross_entropy.html#eq-4"):
        assert anchor in links
    assert "#N12" in links, "the line of the network that normalises"
    words = " ".join("".join(read["program.html"].words).split())
    assert "self.bn(hprebn)" in words and "tanh(" in words and "# BatchNorm (9)" in words
    assert len([i for i in read["program.html"].ids if i.startswith("P")]) > 80


def test_fonts_come_with_their_licence(pages: Path) -> None:
    assert "GUST Font License" in (pages / "fonts" / "GUST-FONT-LICENSE.txt").read_text(encoding="utf-8")
    for font in (pages / "fonts").glob("*.woff2"):
        assert font.name in (pages / "fonts" / "README.txt").read_text(encoding="utf-8")
        assert font.read_bytes()[:4] == b"wOF2" and font.stat().st_size < 120_000


def test_a_derivation_that_fails_is_shown_and_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    from npgrad.explain.verify import verify

    def spoiled(subject: object) -> object:
        report = verify(subject)
        return replace(report, checks=tuple(replace(c, error=0.5) for c in report.checks))

    monkeypatch.setattr(site, "things", lambda: {"tanh": things()["tanh"]})
    monkeypatch.setattr(site, "groups", list)
    monkeypatch.setattr(site, "verify", spoiled)
    assert site.build(tmp_path) == 1
    assert "of its checks failed" in capsys.readouterr().err
    assert 'class="error bad"' in (tmp_path / "tanh.html").read_text(encoding="utf-8")


def test_the_style_of_a_derivation_stays_inside_it() -> None:
    """The documentation has a style of its own around these pages."""
    css = re.sub(r"/\*.*?\*/", "", (site.ASSETS / "derivation.css").read_text(encoding="utf-8"), flags=re.DOTALL)
    while re.search(r"\{[^{}]*\{", css):
        css = re.sub(r"(?<=[{};])[^{};]*\{[^{}]*\}", "", css)
    outer = [selector.strip() for selector in re.findall(r"([^{}]+)\{[^{}]*\}", css)]
    assert outer == ["@font-face", ".derivation"]


def test_what_the_pages_need_is_packaged() -> None:
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg", encoding="utf-8")
    patterns = setup["options.package_data"]["npgrad"].split()
    package = Path(npgrad.__file__).parent
    packaged = {file for pattern in patterns for file in package.glob(pattern)}
    folders = (site.ASSETS, site.ASSETS.parent / "templates")
    assert {file for folder in folders for file in folder.rglob("*") if file.is_file()} <= packaged


@pytest.mark.parametrize("missing", ["jinja2", "pygments"])
def test_without_the_extra_one_sentence_says_what_to_install(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["--html", str(tmp_path)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "Jinja2 and Pygments" in line and "npgrad[site]" in line
    assert list(tmp_path.iterdir()) == []
