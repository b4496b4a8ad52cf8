"""The computation graph as a picture: what `draw_dot` is to micrograd, for tensors.

    >>> graph(loss)                            in a notebook: the picture
    >>> graph(loss, gradients=True).save("graph.svg")

Boxes are operations, in the order of the forward pass from top to bottom; each says its Function, the name of its
result where your code has one, and the shape. A layer's parameters stand in its box (`fold=False` draws them
beside it). Graphviz' `dot` lays the picture out where it is installed; otherwise a layout of our own does: longest-path
layers, ordered by barycentres (Sugiyama, Tagawa & Toda 1981).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from npgrad.engine.backward import reachable
from npgrad.engine.node import Leaf, Node
from npgrad.engine.tensor import Tensor
from npgrad.explain.step import names_in, walk
from npgrad.nn.module import Module

__all__ = ["Graph", "graph"]

Array = NDArray[Any]
Theme = Literal["auto", "light", "dark"]
LIMIT = 400
"""Boxes that a picture may have: of more, nobody can read one."""

LINE, PAD, GAP_X, GAP_Y, MARGIN, ACCENT = 17.0, 10.0, 28.0, 34.0, 16.0, 4.0
TITLE, TEXT = 8.6, 7.1
"""Widths of a character of a title (13 px) and of a line of text (11.5 px, monospaced), a little generous."""
LIGHT = {"paper": "#ffffff", "ink": "#1b1f24", "muted": "#5c6570", "line": "#9aa4b0", "box": "#f4f6f8",
         "edge": "#c3cad1", "parameter": "#0072b2", "data": "#6b7480", "loss": "#d55e00"}  # fmt: skip
DARK = {"paper": "#14181d", "ink": "#e8ebee", "muted": "#a3adb8", "line": "#6b7480", "box": "#1e242b",
        "edge": "#3d4751", "parameter": "#4aa8e8", "data": "#9aa4b0", "loss": "#ff7f2a"}  # fmt: skip


@dataclass
class Box:
    """A box of the picture: its lines of text, and where it is."""

    kind: Literal["operation", "parameter", "data", "loss"]
    title: str
    lines: list[str] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        return max(64.0, len(self.title) * TITLE, *(len(line) * TEXT for line in self.lines)) + 2 * PAD + ACCENT

    @property
    def height(self) -> float:
        return LINE * (1 + len(self.lines)) + 2 * PAD - 6


@dataclass
class Graph:
    """A picture of a computation graph; notebooks show it, `save` writes it."""

    boxes: list[Box]
    edges: list[tuple[int, int]]
    theme: Theme = "auto"

    def __repr__(self) -> str:
        count = sum(box.kind in ("operation", "loss") for box in self.boxes)
        named = [box.title for box in self.boxes if box.kind == "parameter"]
        rest = f", parameters {', '.join(named)}" if named else ""
        return f"Graph({count} operation{'s' * (count != 1)}{rest}; show it in a notebook, or save('graph.svg'))"

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        """The picture in a frame that scrolls sideways where the page is narrower."""
        return f'<div style="overflow-x:auto">{self.svg()}</div>'

    def save(self, path: str | Path) -> None:
        """Write the picture as SVG. Raises ValueError for another ending, OSError where it cannot be written."""
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise ValueError(f"save() writes SVG; {path.name!r} does not end in .svg.")
        path.write_text('<?xml version="1.0" encoding="utf-8"?>\n' + self.svg(), encoding="utf-8")

    def svg(self) -> str:
        """The picture as text."""
        routes = laid_out(self.boxes, self.edges)
        width = max(box.x + box.width / 2 for box in self.boxes) + MARGIN
        height = max(box.y + box.height / 2 for box in self.boxes) + MARGIN
        label = escape(f"computation graph of {len(self.boxes)} boxes", quote=True)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="npgrad-graph" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{label}">',
            f"<style>{style(self.theme)}</style>",
            f'<rect class="paper" width="{width:.0f}" height="{height:.0f}" rx="8"/>',
        ]
        for path, tip in routes:
            parts += [f'<path class="line" d="{path}"/>', arrow(tip)]
        for box in self.boxes:
            parts += drawn(box)
        return "\n".join([*parts, "</svg>\n"])


def style(theme: Theme) -> str:
    """Colours as rules of this picture alone: several may stand on one page."""

    def rules(look: dict[str, str]) -> str:
        own = ".npgrad-graph"
        return (
            f"{own} .paper{{fill:{look['paper']}}}"
            f"{own} .line{{fill:none;stroke:{look['line']};stroke-width:1.4}}"
            f"{own} .arrow{{fill:{look['line']}}}"
            f"{own} .box{{fill:{look['box']};stroke:{look['edge']};stroke-width:1}}"
            f"{own} .data .box{{fill:none;stroke-dasharray:4 3;stroke:{look['data']}}}"
            f"{own} .parameter .accent{{fill:{look['parameter']}}}"
            f"{own} .loss .accent{{fill:{look['loss']}}}"
            f"{own} .title{{fill:{look['ink']}}}"
            f"{own} .text{{fill:{look['muted']}}}"
            f"{own} .own{{fill:{look['parameter']}}}"
        )

    fonts = (
        ".npgrad-graph .title{font:600 13px system-ui,'DejaVu Sans',sans-serif}"
        ".npgrad-graph .text,.npgrad-graph .own{font:11.5px ui-monospace,'DejaVu Sans Mono',monospace}"
    )
    if theme != "auto":
        return fonts + rules(LIGHT if theme == "light" else DARK)
    return f"{fonts}{rules(LIGHT)}@media (prefers-color-scheme:dark){{{rules(DARK)}}}"


def drawn(box: Box) -> Iterator[str]:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    yield f'<g class="{box.kind}">'
    yield f'<rect class="box" x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="6"/>'
    if box.kind in ("parameter", "loss"):
        yield (
            f'<rect class="accent" x="{left + 5:.1f}" y="{top + 7:.1f}" width="{ACCENT}" '
            f'height="{box.height - 14:.1f}" rx="2"/>'
        )
    at = left + PAD + ACCENT + 2
    y = top + PAD + 9
    yield f'<text class="title" x="{at:.1f}" y="{y:.1f}">{escape(box.title)}</text>'
    for line in box.lines:
        y += LINE
        kind = "own" if line.startswith("• ") else "text"
        yield f'<text class="{kind}" x="{at:.1f}" y="{y:.1f}" xml:space="preserve">{escape(line)}</text>'
    yield "</g>"


Point = tuple[float, float]
Points = list[Point]
Route = tuple[str, Point]
"""The path of an edge, and its tip."""


def curve(points: Points) -> str:
    """A line through points, leaving and arriving vertically."""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        path += f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
    return path


def arrow(tip: Point) -> str:
    x, y = tip
    return f'<path class="arrow" d="M{x:.1f} {y + 1:.1f}l-4 -8h8z"/>'


# -- what is in it -----------------------------------------------------------------------------------------------------


def graph(
    loss: Tensor,
    model: Module | None = None,
    *,
    values: bool = False,
    gradients: bool = False,
    fold: bool = True,
    theme: Theme = "auto",
) -> Graph:
    """The computation graph of `loss` as a picture.

    Parameters go by their names in `model`, or in the modules among your variables; tensors by the names of your
    variables. `values` adds numbers where they are known: to leaves and to tensors that have a name (a graph does not
    keep what no rule needs). `gradients` adds the derivative of the loss with respect to every box's result; no `.grad`
    changes. With `fold`, what belongs to one layer is one box.

    Raises RuntimeError if no operation made `loss` or its graph was freed, ValueError if there are more than 400 boxes.
    """
    root = loss._node
    if root is None or isinstance(root, Leaf):
        raise RuntimeError("graph() of a tensor that no operation made: there is nothing to draw.")
    if theme not in ("auto", "light", "dark"):
        raise ValueError(f'theme is "auto", "light" or "dark"; got {theme!r}.')
    frame = sys._getframe(1)
    space = {**frame.f_globals, **frame.f_locals}
    found = Finder(root, loss, space, model)
    if gradients:
        found.differentiate()
    return found.graph(values, fold, theme)


class Finder:
    """Collects the boxes of a graph and the names of what is in it."""

    def __init__(self, root: Node, loss: Tensor, space: dict[str, Any], model: Module | None) -> None:
        self.root = root
        self.loss = loss
        self.order = sorted(reachable(root), key=lambda node: node.seq)
        self.names = names_in(space)
        self.tensors = {t._node: t for n, t in space.items() if isinstance(t, Tensor) and not n.startswith("_")}
        self.tensors[root] = loss
        self.layers: dict[Node, tuple[str, Module]] = {}
        """For each parameter its layer: the module that holds it, by its dotted name."""
        self.own: dict[Node, str] = {}
        modules = {"": model} if model is not None else {
            name: m for name, m in space.items() if isinstance(m, Module) and not name.startswith("_")
        }  # fmt: skip
        for prefix, top in modules.items():
            for name, module in top.named_modules(prefix if len(modules) > 1 else ""):
                for key, item in module._members():
                    if isinstance(item, Tensor) and item._node is not None:
                        self.layers.setdefault(item._node, (name, module))
                        self.own.setdefault(item._node, key)
                        self.tensors[item._node] = item
        self.gradients: dict[Node, Array] = {}

    def differentiate(self) -> None:
        """The gradient at each node, by the walk that `step` makes."""
        unique = {node: f"n{k}" for k, node in enumerate(self.order)}
        way = walk(self.loss, self.root, None, unique)
        back = {name: node for node, name in unique.items()}
        for step in way.steps:
            self.gradients[back[step.name]] = step.arrived
        for name, g in way.gradients.items():
            self.gradients[back[name]] = g

    def graph(self, values: bool, fold: bool, theme: Theme) -> Graph:
        boxes: list[Box] = []
        edges: list[tuple[int, int]] = []
        at: dict[object, int] = {}
        readers: dict[Node, list[Node]] = {}
        for node in self.order:
            for edge in node.edges or ():
                if edge is not None:
                    readers.setdefault(edge, []).append(node)
        folded = {
            leaf for leaf in self.order
            if fold and isinstance(leaf, Leaf) and leaf in self.layers and len(set(readers.get(leaf, ()))) == 1
        }  # fmt: skip
        for node in self.order:
            if node in folded:
                continue
            if isinstance(node, Leaf):
                at[node] = len(boxes)
                boxes.append(self.leaf(node, values))
                continue
            inside = [leaf for leaf in dict.fromkeys(node.edges or ()) if leaf in folded]
            sources: list[object] = [edge for edge in node.edges or () if edge is not None and edge not in folded]
            for storage, name, tensor in self.data(node):
                if storage not in at:
                    at[storage] = len(boxes)
                    boxes.append(
                        Box("data", name, self.numbers(tensor.shape, tensor.numpy() if values else None, None))
                    )
                sources.append(storage)
            here = at[node] = len(boxes)
            boxes.append(self.operation(node, inside, values))
            edges += [(at[source], here) for source in dict.fromkeys(sources)]
        if len(boxes) > LIMIT:
            raise ValueError(
                f"this graph has {len(boxes)} boxes, and a picture of more than {LIMIT} cannot be read. Draw a smaller "
                "network of the same kind, or a part: graph(h)."
            )
        return Graph(boxes, edges, theme)

    def data(self, node: Node) -> Iterator[tuple[int, str, Tensor]]:
        """Tensors that a node read and that want no gradient, where your code has a name for them."""
        own = {id(edge.storage) for edge in node.edges or () if isinstance(edge, Leaf)}
        for reading in node.readings:
            if id(reading.storage) in own:
                continue
            for leaf, name in self.names.items():
                if isinstance(leaf, Leaf) and leaf.storage is reading.storage and leaf in self.tensors:
                    yield id(reading.storage), name, self.tensors[leaf]

    def leaf(self, node: Leaf, values: bool) -> Box:
        name = self.names.get(node, "")
        if node in self.layers:
            name = joined(self.layers[node][0], self.own[node])
        array = node.storage.array if values else None
        return Box("parameter", name or "leaf", self.numbers(node.out_shape, array, self.gradients.get(node)))

    def operation(self, node: Node, inside: Sequence[Leaf], values: bool) -> Box:
        title = type(node).__name__
        layers = list(dict.fromkeys(self.layers[leaf][0] for leaf in inside))
        kinds = {type(self.layers[leaf][1]).__name__ for leaf in inside}
        if layers and layers != [""]:
            title = f"{' + '.join(layers)}: {' + '.join(sorted(kinds))}"
        tensor = self.tensors.get(node)
        array = tensor.numpy() if values and tensor is not None else None
        name = self.names.get(node)
        lines = self.numbers(node.out_shape, array, self.gradients.get(node), name or "")
        for leaf in inside:
            lines.append(f"• {self.own[leaf]} {shape_text(leaf.out_shape)}")
            extra = self.numbers(None, leaf.storage.array if values else None, self.gradients.get(leaf))
            lines += [f"  {line}" for line in extra]
        return Box("loss" if node is self.root else "operation", title, lines)

    def numbers(
        self, shape: tuple[int, ...] | None, value: Array | None, gradient: Array | None, name: str = ""
    ) -> list[str]:
        lines = [] if shape is None else [f"{name} {shape_text(shape)}".strip()]
        if value is not None:
            lines.append(f"value {short(value)}")
        if gradient is not None:
            lines.append(f"grad  {short(gradient)}")
        return lines


def joined(layer: str, key: str) -> str:
    return f"{layer}.{key}" if layer else key


def shape_text(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) if shape else "scalar"


def short(a: Array) -> str:
    """A few numbers as they are, many by their mean and standard deviation."""
    if a.size == 0:
        return "empty"
    if a.size <= 4:
        return " ".join(f"{x:.3g}" for x in np.ravel(a).tolist()).replace("-", "−")
    if a.dtype.kind not in "fc":
        return f"{a.min()} … {a.max()}"
    mean, spread = float(a.mean()), float(a.std())
    # What is nothing but rounding says nothing.
    mean = 0.0 if abs(mean) < 1e-6 * spread else mean
    return f"mean {mean:.2g}, σ {spread:.2g}".replace("-", "−")


# -- where it is -------------------------------------------------------------------------------------------------------


def laid_out(boxes: list[Box], edges: list[tuple[int, int]]) -> list[Route]:
    """Give every box its place, and every edge its way from its source's lower side to its target's upper one."""
    dot = shutil.which("dot")
    if dot is not None and (routes := by_dot(dot, boxes, edges)) is not None:
        return routes
    return by_layers(boxes, edges)


def by_dot(dot: str, boxes: list[Box], edges: list[tuple[int, int]]) -> list[Route] | None:
    """Places found by Graphviz; None if it fails."""
    lines = [
        "digraph {",
        f"nodesep={GAP_X / 72:.3f} ranksep={GAP_Y / 72:.3f}",
        'node [shape=box fixedsize=true label=""] edge [arrowhead=none tailport=s headport=n]',
    ]
    for k, box in enumerate(boxes):
        lines.append(f"n{k} [width={box.width / 72:.4f} height={box.height / 72:.4f}]")
    lines += [f"n{a} -> n{b} [weight={weight(boxes[a])}]" for a, b in edges]
    try:
        done = subprocess.run([dot, "-Tplain"], input="\n".join([*lines, "}"]), capture_output=True, text=True,
                              timeout=20, check=True)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    height = 0.0
    for row in done.stdout.splitlines():
        word, *rest = row.split()
        if word == "graph":
            height = float(rest[2]) * 72
        elif word == "node":
            box = boxes[int(rest[0][1:])]
            box.x, box.y = MARGIN + float(rest[1]) * 72, MARGIN + height - float(rest[2]) * 72
    if not height:
        return None
    found: dict[tuple[int, int], Route] = {}
    for row in done.stdout.splitlines():
        word, *rest = row.split()
        if word == "edge":
            numbers = [float(x) * 72 for x in rest[3 : 3 + 2 * int(rest[2])]]
            points = [(MARGIN + x, MARGIN + height - y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
            points[-1] = tip = points[-1][0], boxes[int(rest[1][1:])].y - boxes[int(rest[1][1:])].height / 2
            path = f"M{points[0][0]:.1f} {points[0][1]:.1f}C" + " ".join(f"{x:.1f} {y:.1f}" for x, y in points[1:])
            found[int(rest[0][1:]), int(rest[1][1:])] = path, tip
    return [found[edge] for edge in edges]


def weight(source: Box) -> int:
    """How much an edge pulls: the path of the operations is to be straight, parameters stand beside it."""
    return 8 if source.kind in ("operation", "loss") else 1


def by_layers(boxes: list[Box], edges: list[tuple[int, int]]) -> list[Route]:
    """Layers by longest path, order by barycentres, places by averaging; long edges bend through the layers between."""
    count = len(boxes)
    below: list[list[int]] = [[] for _ in boxes]
    above: list[list[int]] = [[] for _ in boxes]
    for a, b in edges:
        below[a].append(b)
        above[b].append(a)
    rank = [0] * count
    for k in range(count):  # boxes come in the order of the forward pass, sources before what reads them
        rank[k] = max((rank[j] + 1 for j in above[k]), default=0)
    for k in range(count):
        if not above[k] and below[k]:
            rank[k] = min(rank[j] for j in below[k]) - 1
    # Bends of long edges are points of the layers between.
    widths = [box.width for box in boxes]
    chains: list[list[int]] = []
    up = [list(x) for x in above]
    down = [list(x) for x in below]
    for a, b in edges:
        chain = [a]
        for r in range(rank[a] + 1, rank[b]):
            rank.append(r)
            widths.append(10.0)
            up.append([])
            down.append([])
            chain.append(len(rank) - 1)
        chain.append(b)
        chains.append(chain)
        if len(chain) > 2:
            down[a].remove(b)
            up[b].remove(a)
            for p, q in pairwise(chain):
                down[p].append(q)
                up[q].append(p)
    layers = [[k for k in range(len(rank)) if rank[k] == r] for r in range(max(rank) + 1)]
    x = [0.0] * len(rank)

    def place(layer: list[int], wanted: dict[int, float]) -> None:
        """Put a layer's points near where they want to be, in order and apart."""
        for k in layer:
            x[k] = wanted[k]
        for _ in range(2 * len(layer)):
            moved = False
            for p, q in pairwise(layer):
                least = (widths[p] + widths[q]) / 2 + GAP_X
                if (gap := least - (x[q] - x[p])) > 0.01:
                    x[p] -= gap / 2
                    x[q] += gap / 2
                    moved = True
            if not moved:
                return
        for p, q in pairwise(layer):
            x[q] = max(x[q], x[p] + (widths[p] + widths[q]) / 2 + GAP_X)

    def pulled(near: list[int], here: float) -> float:
        pulls = [weight(boxes[j]) if j < count else 4 for j in near]
        return float(np.average([x[j] for j in near], weights=pulls)) if near else here

    for layer in layers:
        place(layer, dict.fromkeys(layer, 0.0))
    for sweep in range(12):
        rows, near = (layers, up) if sweep % 2 == 0 else (layers[::-1], down)
        for layer in rows:
            wanted = {k: pulled(near[k], x[k]) for k in layer}
            layer.sort(key=wanted.__getitem__)
            place(layer, wanted)
    # The last word: each layer towards both its neighbours.
    for _ in range(8):
        for layer in layers:
            wanted = {k: pulled([*up[k], *down[k]], x[k]) for k in layer}
            place(layer, {k: 0.5 * (wanted[k] + x[k]) for k in layer})
    left = min(x[k] - widths[k] / 2 for k in range(len(rank)))
    top = MARGIN
    middle = []
    for layer in layers:
        height = max((boxes[k].height for k in layer if k < count), default=0.0)
        for k in layer:
            x[k] += MARGIN - left
            if k < count:
                boxes[k].x, boxes[k].y = x[k], top + height / 2
        middle.append((top, top + height))
        top += height + GAP_Y
    routes: list[Route] = []
    for (a, b), chain in zip(edges, chains, strict=True):
        points = [(boxes[a].x, boxes[a].y + boxes[a].height / 2)]
        for k in chain[1:-1]:
            high, low = middle[rank[k]]
            points += [(x[k], high), (x[k], low)]
        tip = (boxes[b].x, boxes[b].y - boxes[b].height / 2)
        routes.append((curve([*points, tip]), tip))
    return routes
