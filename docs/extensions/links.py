"""What a finished site must hold: no link that leads nowhere, and an entry for every public name.

Both are warnings, which `make docs` makes errors. Addresses on the web are not looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from docs.extensions.pages import exported


class Page(HTMLParser):
    """The anchors of a page and what it links, loads or shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            if name in ("href", "src", "srcset") and value:
                self.links.add(value)


def broken(site: Path) -> Iterator[str]:
    """The links between pages of a folder, or to its files, that lead nowhere: "page: link"."""
    site = site.resolve()
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        for link in sorted(page.links):
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(address.fragment)
            missing = anchor and target in pages and anchor not in pages[target].anchors
            if missing or not target.is_file() or not target.is_relative_to(site):
                yield f"{path.relative_to(site).as_posix()}: {link}"


def undocumented(domain: Any) -> list[str]:
    """The public names that Sphinx' Python domain does not know."""
    return sorted(exported() - {name for name, *_ in domain.get_objects()})


def check(app: Any, exception: Exception | None) -> None:
    from sphinx.util import logging  # the tests of the functions above do without Sphinx

    if exception is not None or app.builder.format != "html":
        return
    logger = logging.getLogger(__name__)
    for link in broken(Path(app.outdir)):
        logger.warning("a link that leads nowhere: %s", link)
    for name in undocumented(app.env.get_domain("py")):
        logger.warning("a public name without an entry: %s", name)


def setup(app: Any) -> dict[str, bool]:
    app.connect("build-finished", check, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
