"""The picture of a graph: what it names, what numbers it shows, and that nothing lies on anything else."""

from __future__ import annotations

import shutil
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import npgrad
from npgrad import nn
from npgrad.explain import graph
from npgrad.explain.graph import Box, Graph, by_dot, by_layers, short

rng = np.random.default_rng(0)


class Net(nn.Module):
    def __init__(self) -> None:
        self.emb = nn.Embedding(27, 4, rng=rng)
        self.hidden = nn.Linear(12, 8, rng=rng)
        self.out = nn.Linear(8, 27, rng=rng)

    def forward(self, x: np.ndarray) -> npgrad.Tensor:
        return self.out(self.hidden(self.emb(x).reshape(len(x), -1)).tanh())


def network() -> tuple[Net, npgrad.Tensor]:
    net = Net()
    x, y = rng.integers(0, 27, (5, 3)), rng.integers(0, 27, 5)
    return net, npgrad.cross_entropy(net(x), y)


def text_of(picture: Graph) -> list[str]:
    root = ElementTree.fromstring(picture.svg())
    return [node.text or "" for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_layer_is_one_box_with_its_parameters() -> None:
    net, loss = network()
    words = text_of(graph(loss))
    assert "hidden: Linear" in words and "• weight 12 × 8" in words and "• bias 8" in words
    assert "Tanh" in words and "CrossEntropy" in words and "loss scalar" in words
    assert len(graph(loss).boxes) == 6
    unfolded = graph(loss, net, fold=False)
    assert {"emb.weight", "hidden.weight", "hidden.bias", "out.weight", "out.bias"} <= set(text_of(unfolded))
    assert len(unfolded.boxes) == 11


def test_a_parameter_that_two_layers_share_has_a_box_of_its_own() -> None:
    net, _ = network()
    net.out.weight = net.emb.weight
    h = net.emb(np.arange(3)) @ net.emb.weight.T
    loss = h.sum()
    picture = graph(loss, net)
    assert sum(box.title == "emb.weight" for box in picture.boxes) == 1
    assert len(picture.edges) == 5


def test_names_values_and_gradients() -> None:
    x = npgrad.Tensor([1.0, 2.0])
    w = npgrad.Tensor([3.0, -1.0], requires_grad=True)
    h = w * x
    loss = (h * h).sum()
    words = text_of(graph(loss, values=True, gradients=True))
    assert {"w", "x", "Mul", "h 2", "value 3 −2", "grad  6 −4", "grad  6 −8", "value 13", "grad  1"} <= set(words)
    # Looking changes nothing: the backward pass is still to come.
    assert w.grad is None
    loss.backward()
    np.testing.assert_array_equal(w.grad, [6.0, -8.0])
    with pytest.raises(RuntimeError, match="freed"):
        graph(loss)


def test_without_asking_there_are_no_numbers() -> None:
    w = npgrad.Tensor([3.0, -1.0], requires_grad=True)
    loss = (w * w).sum()
    assert not any(word.startswith(("value", "grad")) for word in text_of(graph(loss)))


def test_what_cannot_be_drawn() -> None:
    w = npgrad.Tensor([3.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="no operation made"):
        graph(w)
    with pytest.raises(ValueError, match='"auto", "light" or "dark"'):
        graph((w * w).sum(), theme="blue")  # type: ignore[arg-type]
    long = w
    for _ in range(500):
        long = long * 1.01
    with pytest.raises(ValueError, match="501 boxes"):
        graph(long)


def some_graph(seed: int) -> tuple[list[Box], list[tuple[int, int]]]:
    draw = np.random.default_rng(seed)
    boxes = [Box("operation", "x" * int(draw.integers(1, 20)), ["y" * 9] * int(draw.integers(0, 4))) for _ in range(18)]
    edges = {(int(draw.integers(max(0, k - 6), k)), k) for k in range(1, 18) for _ in range(2)}
    return boxes, sorted(edges)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("way", ["layers", "dot"])
def test_boxes_do_not_overlap_and_arrows_point_down(seed: int, way: str) -> None:
    boxes, edges = some_graph(seed)
    if way == "dot":
        dot = shutil.which("dot")
        if dot is None:
            pytest.skip("Graphviz is not installed")
        routes = by_dot(dot, boxes, edges)
        assert routes is not None
    else:
        routes = by_layers(boxes, edges)
    assert len(routes) == len(edges)
    for a, b in combinations(boxes, 2):
        apart_x = abs(a.x - b.x) >= (a.width + b.width) / 2 - 0.5
        apart_y = abs(a.y - b.y) >= (a.height + b.height) / 2 - 0.5
        assert apart_x or apart_y
    for (a, b), (_, tip) in zip(edges, routes, strict=True):
        assert boxes[a].y + boxes[a].height / 2 < boxes[b].y - boxes[b].height / 2
        assert abs(tip[0] - boxes[b].x) <= boxes[b].width / 2 and abs(tip[1] - (boxes[b].y - boxes[b].height / 2)) < 1.5
    assert all(box.x - box.width / 2 >= 15 and box.y - box.height / 2 >= 15 for box in boxes)


def test_without_graphviz_the_picture_is_drawn_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    net, loss = network()
    assert "hidden: Linear" in text_of(graph(loss, net))


def test_themes() -> None:
    _, loss = network()
    assert "prefers-color-scheme:dark" in graph(loss).svg()
    assert "#14181d" in graph(loss, theme="dark").svg() and "#ffffff" not in graph(loss, theme="dark").svg()
    assert "prefers-color-scheme" not in graph(loss, theme="light").svg()


def test_notebook_and_file(tmp_path: Path) -> None:
    net, loss = network()
    picture = graph(loss, net)
    assert picture._repr_svg_().startswith("<svg") and "overflow-x" in picture._repr_html_()
    assert repr(picture) == "Graph(6 operations; show it in a notebook, or save('graph.svg'))"
    picture.save(tmp_path / "graph.svg")
    ElementTree.parse(tmp_path / "graph.svg")
    with pytest.raises(ValueError, match=r"does not end in \.svg"):
        picture.save(tmp_path / "graph.png")


def test_many_numbers_are_summed_up() -> None:
    assert short(np.array([0.5, -2.0])) == "0.5 −2"
    assert short(np.array([1.0, -1.0] * 4) + 1e-12) == "mean 0, σ 1"
    assert short(np.arange(9)) == "0 … 8"
    assert short(np.zeros(0)) == "empty"
