"""The site in a browser: every page, on a wide screen and on a phone, without network.

Needs Chromium and its driver. Where they are not installed the tests are skipped, and under CI they fail.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from npgrad.explain.order import things

WIDTHS = (390, 1400)
PAGES = ["index", "notation", *things()]
LOOK = """
const boxes = [...document.querySelectorAll("math")].map(m => m.getBoundingClientRect());
const rows = [...document.querySelectorAll(".row.level")].map(row => {
  const equation = row.querySelector(".eq").getBoundingClientRect();
  const line = row.querySelector(".code .line").getBoundingClientRect();
  return {top: equation.top, bottom: equation.bottom, middle: (line.top + Math.min(line.bottom, line.top + 20)) / 2,
          left: equation.right <= line.left + 1, name: row.textContent.slice(0, 40)};
});
return {
  width: document.documentElement.scrollWidth,
  formulas: boxes.length,
  flat: boxes.filter(b => b.width < 4 || b.height < 6).length,
  rows: rows,
  mathFont: document.fonts.check('16px "Pagella Page Math"'),
  fonts: [...document.fonts].filter(f => f.status === "error").length,
};
"""


def open_page(browser: Any, pages: Path, name: str, width: int, scheme: str = "light") -> dict[str, Any]:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    browser.get((pages / f"{name}.html").as_uri())
    browser.execute_async_script("const done = arguments[0]; document.fonts.ready.then(() => done());")
    return dict(browser.execute_script(LOOK))


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page(browser: Any, pages: Path, width: int) -> None:
    """Formulas have a size, nothing is wider than the screen, equations stand level with their lines."""
    browser.get_log("browser")
    browser.get_log("performance")
    rows = 0
    for name in PAGES:
        found = open_page(browser, pages, name, width)
        assert found["width"] <= width, f"{name} is {found['width']} wide on a screen of {width}"
        assert found["formulas"] > 0 or name == "notation", f"{name} has no mathematics"
        assert found["flat"] == 0, f"{name}: {found['flat']} formulas have no size"
        assert found["fonts"] == 0 and (found["mathFont"] or not found["formulas"]), f"{name}: a font did not load"
        for row in found["rows"]:
            rows += 1
            if width > 900:
                assert row["left"] and row["top"] - 2 <= row["middle"] <= row["bottom"] + 2, (name, row)
    assert rows > 150
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    requested = [
        message["params"]["request"]["url"]
        for message in (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert requested and all(url.startswith((pages.as_uri(), "data:")) for url in requested), requested


def colours(browser: Any, selector: str) -> str:
    return str(browser.execute_script(f"return getComputedStyle(document.querySelector('{selector}')).backgroundColor"))


def test_following_a_number_marks_both_sides(browser: Any, pages: Path) -> None:
    open_page(browser, pages, "batch_norm", 1400)
    plain = colours(browser, "#eq-3"), colours(browser, ".line.k-3")
    browser.execute_script("document.querySelector('#eq-3 a.no').click()")
    marked = colours(browser, "#eq-3"), colours(browser, ".line.k-3")
    assert plain[0] == plain[1] and marked[0] == marked[1] != plain[0]
    browser.execute_script("document.querySelector('.line.k-6 a').click()")
    assert colours(browser, "#eq-6") == colours(browser, ".line.k-6") == marked[0]
    assert colours(browser, "#eq-3") == plain[0]


def test_pointing_at_one_side_marks_the_other(browser: Any, pages: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    open_page(browser, pages, "tanh", 1400)
    plain = colours(browser, "#eq-2")
    ActionChains(browser).move_to_element(browser.find_element(By.CSS_SELECTOR, ".line.k-2")).perform()
    assert colours(browser, "#eq-2") != plain


def test_dark_and_light_differ_and_both_have_contrast(browser: Any, pages: Path) -> None:
    def luminance(colour: str) -> float:
        parts = [int(c) / 255 for c in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    papers = set()
    for scheme in ("light", "dark"):
        open_page(browser, pages, "batch_norm", 1400, scheme)
        paper = colours(browser, "body")
        papers.add(paper)
        for selector in ("body", ".symbols dd", "a.no", ".line .c1", ".line .k"):
            ink = browser.execute_script(f"return getComputedStyle(document.querySelector('{selector}')).color")
            a, b = sorted((luminance(ink), luminance(paper)))
            assert (b + 0.05) / (a + 0.05) >= 4.5, (scheme, selector, ink, paper)
    assert len(papers) == 2
