"""A lesson's figure for a projector: on 16:9, in either theme, as it is or in steps that build up.

Slides are made from the SVG that a lesson has drawn, so that they need none of its runs. In a figure, a colour is a
thing: one network, one optimiser, one layer. A step adds what has the next colour, in every panel. Where colours are
layers and there are several panels, or where there is one colour alone, it adds the next panel.
"""

from __future__ import annotations

import copy
import difflib
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from experiments import reference
from experiments.settings import Mistake
from npgrad.diagnose import style

__all__ = ["SIZE", "Source", "build", "find", "slide", "sources", "text_of", "themed", "write"]

SIZE = (1920, 1080)
MARGIN = 72
SVG = "http://www.w3.org/2000/svg"
HEX = re.compile(r"#[0-9a-f]{6}\b")
BOLD = re.compile(r"font(-weight)?: 700")
"""Titles, in the two ways that Matplotlib has written them."""
LAYERS = 256
"""How finely the scale of layers is looked up."""

ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


@dataclass(frozen=True)
class Source:
    """A figure as it is stored."""

    path: Path
    directory: Path
    """The results, or the reference result, that it belongs to."""

    @property
    def dark(self) -> Path | None:
        """The same drawn in the dark, if it was."""
        dark = self.path.with_name(f"{self.path.stem}-dark.svg")
        return dark if dark.is_file() else None

    @property
    def committed(self) -> bool:
        return self.directory == reference.REFERENCE


def find(name: str, lessons: Sequence[str], results: Path) -> Source:
    """The figure called LESSON-NAME, from results or else from the reference. Raises Mistake if there is none."""
    known = sources(lessons, results)
    if name in known:
        return known[name]
    own = [one for one in known if one.startswith(f"{name.partition('-')[0]}-")]
    meant = difflib.get_close_matches(name, known, 1, 0.85) or own or difflib.get_close_matches(name, known, 3)
    hint = f"did you mean {' or '.join(meant)}?" if meant else f"there are {', '.join(known)}."
    raise Mistake(f"there is no figure called {name!r}: {hint}")


def sources(lessons: Sequence[str], results: Path) -> dict[str, Source]:
    """Every figure by its name, in the lessons' order."""
    found = {}
    for lesson in lessons:
        for path in drawn(reference.REFERENCE / "figures", f"{lesson}-*.svg"):
            found[path.stem] = Source(path, reference.REFERENCE)
        for path in drawn(results / lesson / "figures", "*.svg"):
            found[f"{lesson}-{path.stem}"] = Source(path, results)
    return found


def drawn(directory: Path, pattern: str) -> list[Path]:
    """The figures of a directory in the light, in order."""
    return [path for path in sorted(directory.glob(pattern)) if not path.stem.endswith("-dark")]


# -- colours -----------------------------------------------------------------------------------------------------------


def themed(source: Source, theme: style.Theme) -> ElementTree.Element:
    """The figure in a theme: as it was drawn in it, or else with the other theme's colour for each of its own."""
    dark = source.dark if theme == "dark" else None
    path = dark or source.path
    try:
        text = path.read_text(encoding="utf-8")
        if theme == "dark" and dark is None:
            text = _darkened(text)
        return ElementTree.fromstring(text)
    except (OSError, ElementTree.ParseError) as error:
        raise Mistake(f"{path} cannot be read: {error}.") from None


def _darkened(text: str) -> str:
    other = dict(zip(_palette("light"), _palette("dark"), strict=True))
    return HEX.sub(lambda hue: other.get(hue[0], hue[0]), text)


@functools.cache
def _palette(theme: style.Theme) -> list[str]:
    """Every colour that figures have in a theme, the same place for the same thing."""
    look = {"light": style.LIGHT, "dark": style.DARK}[theme]
    with style.theme(theme):
        hues = [*look.hues.values(), *_scale(theme)]
        return [*map(style.legible, hues), *hues, look.hair, look.muted, look.ink, look.paper]


@functools.cache
def _scale(theme: style.Theme) -> list[str]:
    with style.theme(theme):
        return [style.layer(k, LAYERS + 1) for k in range(LAYERS + 1)]


# -- steps -------------------------------------------------------------------------------------------------------------


def build(figure: ElementTree.Element, theme: style.Theme) -> list[ElementTree.Element]:
    """The figure in steps, each with one thing more than the one before; the last is the whole figure.

    The first step has what is there to read the others by: axes, titles, dashed lines at values that matter, remarks.
    Solid lines without a colour come last: they connect what the steps before have shown.
    """
    with style.theme(theme):
        ink, context = style.ink(), {style.muted(), style.hair(), style.paper()}
        things = {hue: hue for hue in _hues(figure) if hue not in context}
        things |= {style.legible(hue): hue for hue in sorted(things)}
        scale = {*_scale(theme), ink}
    panels = [part for part in _canvas(figure) if part.get("id", "").startswith("axes")]
    legends = [part for part in _canvas(figure) if part.get("id", "").startswith("legend")]
    parts: dict[str, list[str]] = {}
    between: list[str] = []
    for holder in (*panels, *legends):
        thing = ""
        for artist in holder:
            name, styles = artist.get("id", ""), " ".join(one.get("style", "") for one in artist.iter())
            if name.startswith("matplotlib.axis") or BOLD.search(styles):
                continue
            if not (holder in legends and name.startswith("text")):  # in a legend, a name stands behind its mark
                thing = next((things[hue] for hue in HEX.findall(styles) if hue in things), "")
            if thing:
                parts.setdefault(thing, []).append(name)
            elif name.startswith("line") and "dasharray" not in styles:
                between.append(name)
    if len(panels) > 1 and (len(parts.keys() - {ink}) < 2 or scale.issuperset(parts)):
        steps = [[panel.get("id", "")] for panel in panels]
        return [_without(figure, steps[k + 1 :]) for k in range(len(steps))]
    steps = list(parts.values())
    if steps:
        steps[-1] += between
    return [_without(figure, steps[k:]) for k in range(len(steps) + 1)]


def _canvas(figure: ElementTree.Element) -> ElementTree.Element:
    found = figure.find(f"{{{SVG}}}g")
    if found is None:
        raise Mistake("the figure is empty.")
    return found


def _hues(part: ElementTree.Element) -> list[str]:
    return [hue for one in part.iter() for hue in HEX.findall(one.get("style", ""))]


def _without(figure: ElementTree.Element, steps: Sequence[Sequence[str]]) -> ElementTree.Element:
    """Hidden and not removed: what is shown may refer to marks that are defined inside."""
    made = copy.deepcopy(figure)
    hidden = {name for step in steps for name in step}
    for part in made.iter(f"{{{SVG}}}g"):
        if part.get("id") in hidden:
            part.set("visibility", "hidden")
    return made


# -- slides ------------------------------------------------------------------------------------------------------------


def slide(figure: ElementTree.Element, theme: style.Theme) -> ElementTree.Element:
    """The figure in the middle of a page of 16:9, as large as it fits."""
    width, height = map(float, figure.get("viewBox", "").split()[2:])
    factor = min((SIZE[0] - 2 * MARGIN) / width, (SIZE[1] - 2 * MARGIN) / height)
    x, y = (SIZE[0] - factor * width) / 2, (SIZE[1] - factor * height) / 2
    page = ElementTree.Element(
        f"{{{SVG}}}svg", {"width": str(SIZE[0]), "height": str(SIZE[1]), "viewBox": f"0 0 {SIZE[0]} {SIZE[1]}"}
    )
    with style.theme(theme):
        ElementTree.SubElement(page, f"{{{SVG}}}rect", {"width": "100%", "height": "100%", "fill": style.paper()})
    placed = ElementTree.SubElement(
        page, f"{{{SVG}}}g", {"transform": f"translate({x:.2f} {y:.2f}) scale({factor:.4f})"}
    )
    placed.extend(figure)
    return page


def text_of(figure: ElementTree.Element) -> str:
    """SVG; where the font of the figures is missing, Verdana has its widths."""
    text = ElementTree.tostring(figure, encoding="unicode", xml_declaration=True)
    return text.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")


def write(
    name: str, source: Source, out: Path, theme: style.Theme, *, on_slide: bool, in_steps: bool, as_png: bool
) -> list[Path]:
    """Write the figure into a directory, numbered if it is in steps. Raises Mistake if that cannot be done."""
    figure = themed(source, theme)
    steps, kind = build(figure, theme) if in_steps else [figure], "png" if as_png else "svg"
    texts = [text_of(slide(step, theme) if on_slide else step) for step in steps]
    written = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob(f"{name}-*.{kind}"):  # of a build with more steps
            if old.stem.removeprefix(f"{name}-").isdecimal():
                old.unlink()
        for k, text in enumerate(texts, 1):
            path = out / (f"{name}-{k:0{len(str(len(texts)))}}" if in_steps else name)
            content = _png(text) if as_png else text.encode()
            written.append(path.with_name(f"{path.name}.{kind}"))
            written[-1].write_bytes(content)
    except OSError as error:
        raise Mistake(f"{out} cannot be written: {error.strerror}.") from None
    return written


def _png(text: str) -> bytes:
    """As wide as a slide. The font is the one that comes with Matplotlib, so that every machine draws the same."""
    try:
        import matplotlib
        import resvg_py
    except ImportError:
        raise Mistake("--png needs resvg, which is not installed: pip install '.[desk]'.") from None
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return bytes(resvg_py.svg_to_bytes(svg_string=text, width=SIZE[0], font_dirs=[str(fonts)], skip_system_fonts=True))
