"""An exercise on paper: a page with room to write, and one with a solution.

The pages are HTML that needs nothing else; as PDF they are printed by Chromium or Chrome, where one is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path

from npgrad.explain.derivation import Equation
from npgrad.explain.exercise import Exercise
from npgrad.explain.mathml import MathML, math

__all__ = ["NotPrinted", "page", "write"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_STYLE = """\
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --quiet: #5c6570; --rule: #9aa4b0; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e8ebee; --quiet: #a3adb8; --rule: #4b5560; } }
* { box-sizing: border-box; }
body { font: 17px/1.45 Palatino, Georgia, serif; background: var(--paper); color: var(--ink); max-width: 52rem;
       margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; }
p { margin: .4rem 0; } .quiet { color: var(--quiet); font-size: .92rem; }
code, .code { font: .82rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
.line { display: grid; grid-template-columns: 2.6rem minmax(0, 1fr) minmax(0, 1.05fr); gap: .8rem;
        align-items: baseline; padding: .12rem 0; break-inside: avoid; }
.number { color: var(--quiet); font-size: .85rem; text-align: right; }
.code { white-space: pre-wrap; overflow-wrap: anywhere; }
math { font-family: "STIX Two Math", "Cambria Math", "Latin Modern Math", math; }
.formula { overflow-wrap: anywhere; }
.blank { display: flex; gap: .5rem; align-items: baseline; padding: .7rem 0 0; break-inside: avoid; }
.blank span { flex: 1; border-bottom: 1px solid var(--rule); height: 1.3rem; }
.name { display: flex; gap: .5rem; justify-content: flex-end; color: var(--quiet); }
.name span { width: 14rem; border-bottom: 1px solid var(--rule); }
@media (max-width: 600px) { .line { grid-template-columns: 2.2rem minmax(0, 1fr); } .line .formula { grid-column: 2; } }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --quiet: #555; --rule: #888; }
  @page { margin: 16mm; } body { font-size: 10.5pt; margin: 0; padding: 0; max-width: none; } }
"""


class NotPrinted(Exception):
    """A page that could not be written or printed; the message says why."""


def write(of: Exercise, target: str, level: int = 2, pdf: bool = False) -> list[Path]:
    """Write the handout to `target`, its solution beside it (`name-solution`); returns both files.

    Raises NotPrinted if a file exists already or cannot be written, or if there is no browser to print with.
    """
    path = Path(target)
    suffix = ".pdf" if pdf else ".html"
    if path.suffix.lower() != suffix:
        raise NotPrinted(f"{target} does not end in {suffix}.")
    files = [path, path.with_name(f"{path.stem}-solution{path.suffix}")]
    for file in files:
        if file.exists():
            raise NotPrinted(f"{file} exists already; choose another name.")
    for file, solved in zip(files, (False, True), strict=True):
        try:
            if pdf:
                printed(page(of, level, solved), file)
            else:
                file.write_text(page(of, level, solved), encoding="utf-8")
        except OSError as error:
            raise NotPrinted(f"{file} cannot be written: {error.strerror}.") from None
    return files


def printed(text: str, target: Path) -> None:
    """Print a page to PDF by way of a browser without a window."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise NotPrinted("PDF is printed by Chromium or Chrome, and neither is installed; --html works without.")
    with tempfile.TemporaryDirectory(prefix="npgrad-handout-") as folder:
        source = Path(folder) / "page.html"
        source.write_text(text, encoding="utf-8")
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
            f"--user-data-dir={folder}/profile", f"--print-to-pdf={target.resolve()}", source.as_uri(),
        ]  # fmt: skip
        try:
            subprocess.run(command, capture_output=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise NotPrinted(f"{Path(browser).name} did not print the page: {type(error).__name__}.") from None
    if not target.is_file():
        raise NotPrinted(f"{Path(browser).name} did not print the page.")


def page(of: Exercise, level: int = 2, solved: bool = False) -> str:
    """The handout, or its solution, as a page."""
    title = f"{of.name}: {'a solution' if solved else 'the backward pass by hand'}"
    body = "\n".join(content(of, level, solved))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>\n{_STYLE}</style>\n</head>\n'
        f"<body>\n<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def content(of: Exercise, level: int, solved: bool) -> Iterator[str]:
    setter = MathML(of.case)
    if of.case.name:
        yield f'<p class="quiet">{escape(of.case.name)}</p>'
    if not solved:
        yield '<p class="name">Name <span></span></p>'
        yield (
            "<p>Write each gradient in NumPy, or as a formula: <code>dx</code> is the derivative of the loss with "
            "respect to <code>x</code>, in the shape of <code>x</code>. Any correct form counts.</p>"
        )
    yield "<h2>Given</h2>"
    for line in of.given():
        yield f'<p class="quiet">{escape(line.removeprefix("# "))}</p>'
    for line in of.setting:
        yield f'<div class="line"><span></span><span class="code">{escape(line)}</span></div>'
    yield "<h2>Forward</h2>"
    waiting: list[str] = []
    for line, equation in of.forward:
        waiting.append(line)
        if equation is not None:
            yield numbered(setter, equation, waiting)
            waiting = []
    yield "<h2>Backward</h2>"
    open_lines = {line.split(" = ")[0] for line in of.questions(level, False) if line.endswith("= ...")}
    blank = {b.name for b in of.blanks}
    for code, equation in of.backward:
        if solved or (equation.name in blank and level < 3 and equation.name not in open_lines):
            yield numbered(setter, equation, list(code))
        elif equation.name in open_lines:
            yield f'<div class="blank"><code>{escape(equation.name)} =</code><span></span></div>'


def numbered(setter: MathML, equation: Equation, code: list[str]) -> str:
    """An equation with its code and its formula."""
    formula = math(setter.show(equation.lhs)) + math("<mo>=</mo>") + " ".join(setter.pieces(equation.members[0]))
    lines = escape("\n".join(code))
    return (
        f'<div class="line"><span class="number">{equation.number}</span><span class="code">{lines}</span>'
        f'<span class="formula">{formula}</span></div>'
    )
