"""Docstrings as reStructuredText: they are written to be read in an editor, in Markdown's plainest signs.

`code`, *emphasis*, **bold**, lists, headings underlined with =; what is indented is shown as it stands. A derivation
is not repeated: the page that shows it, executed, is linked.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from npgrad.explain.order import things
from npgrad.functions import registry

_HEADINGS = re.compile(r"(Symbols|Forward|Backward|Notes|Case: .*)$")
_SPANS = re.compile(
    r"`([^`]+)`|\*\*(?=\S)(?<!\w\*\*)([^*\n]+)(?<=\S)\*\*(?!\w)|(?<![\w*)\]])\*(\w[^*\n]*\w|\w)\*(?![\w*(])"
)
_ITEM = re.compile(r"(\d+\.|[-*]) +")
_PUBLIC = re.compile(r"npgrad(\.\w+)+")


def rst(lines: list[str]) -> list[str]:
    """The lines of a docstring, without its margin, as reStructuredText."""
    out: list[str] = []
    for kind, block in blocks(lines):
        if kind == "literal":
            out += [f".. code-block:: {language(block)}", "", *textwrap.indent("\n".join(block), "   ").split("\n"), ""]
        elif kind == "heading":
            out += [f"**{escaped(block[0])}**", ""]
        elif kind == "item":
            mark = _ITEM.match(block[0])
            assert mark is not None
            text = spans("\n".join([block[0][mark.end() :], *(line.strip() for line in block[1:])]))
            sign = mark[1].replace("*", "-")
            out += textwrap.indent(text, " " * (len(sign) + 1)).split("\n")
            out[-text.count("\n") - 1] = f"{sign} {text.split(chr(10))[0]}"
            out.append("")
        else:
            text = spans("\n".join(block))
            out += ("\\" + text if re.match(r"\(\w+\) |[A-Za-z]\. |\.\. |:\w+:", text) else text).split("\n")
            out.append("")
    return out


def blocks(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Paragraphs, list items, headings, and what is indented: each with its lines."""
    lines = [line.rstrip() for line in lines]
    k = 0
    while k < len(lines):
        line, end = lines[k], k + 1
        if line.startswith(" "):
            while end < len(lines) and (lines[end].startswith(" ") or (not lines[end] and next_indented(lines, end))):
                end += 1
            yield "literal", textwrap.dedent("\n".join(lines[k:end])).split("\n")
        elif line.startswith(">>> "):
            while end < len(lines) and lines[end]:
                end += 1
            yield "literal", lines[k:end]
        elif end < len(lines) and re.fullmatch("={4,}|-{4,}", lines[end]):
            end += 1
            yield "heading", [line]
        elif line:
            item = bool(_ITEM.match(line))
            while end < len(lines) and belongs(lines[end], item):
                end += 1
            yield ("item" if item else "text"), lines[k:end]
        k = end


def next_indented(lines: list[str], k: int) -> bool:
    """Whether the next line that is not empty is indented."""
    return next((line for line in lines[k:] if line), "").startswith(" ")


def belongs(line: str, item: bool) -> bool:
    """Whether a line goes on with the paragraph, or the list item, before it."""
    return bool(line) and line.startswith(" ") == item and not _ITEM.match(line)


def language(block: list[str]) -> str:
    text = "\n".join(block)
    if text.startswith(">>>"):
        return "pycon"
    try:
        ast.parse(text)
    except SyntaxError:
        return "text"
    return "python"


def spans(text: str) -> str:
    """Code, emphasis and bold in reStructuredText's signs; everything else means itself."""
    out, last = [], 0
    for found in _SPANS.finditer(text):
        out.append(escaped(text[last : found.start()]))
        code, bold, emphasis = found.groups()
        if code is not None:
            code = " ".join(code.split())
            out.append(f":py:obj:`{code}`" if _PUBLIC.fullmatch(code) else f"``{code}``")
        else:
            out.append(f"**{escaped(bold)}**" if bold is not None else f"*{escaped(emphasis)}*")
        # A role ends where a word could not go on.
        out.append("\\ " if text[found.end() : found.end() + 1].isalnum() else "")
        last = found.end()
    out.append(escaped(text[last:]))
    return "".join(out)


def escaped(text: str) -> str:
    return re.sub(r"([\\*_|`])", r"\\\1", text)


def without_derivation(lines: list[str]) -> list[str]:
    """What a Function's docstring says before its derivation begins."""
    first = next((k for k, line in enumerate(lines) if _HEADINGS.match(line)), len(lines))
    return lines[:first]


def page_of(function: Any) -> str | None:
    """The name of the page, in derivations/, of a Function of the library."""
    return next((name for name, thing in things().items() if thing is function), None)


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    link = []
    if obj in registry.values():
        lines[:] = without_derivation(lines)
        link = [f":doc:`The derivation, executed </derivations/{page_of(obj)}>`", ""]
    lines[:] = [*rst(lines), *link]


def aliases(app: Any, what: str, name: str, obj: Any, options: Any, given: str | None, result: str | None) -> Any:
    """`TensorLike` is shown as itself; Sphinx shows the wrapper that keeps it from being resolved."""
    shown = [re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", part) if part else part for part in (given, result)]
    return tuple(shown)


def skip(app: Any, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
    """Fields of named tuples that nobody described, and what every module does for its repr."""
    described = not str(getattr(obj, "__doc__", "")).startswith("Alias for field number")
    return None if described and name != "extra_repr" else True


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-process-signature", aliases)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
