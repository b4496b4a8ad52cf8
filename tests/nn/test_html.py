"""Tables for notebooks: well-formed HTML that says what repr says."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np

from npgrad import Tensor, cross_entropy, data, nn, optim
from npgrad.diagnose import Monitor

RNG = np.random.default_rng(0)


def rows(thing: Any, table: int = 0) -> list[list[str]]:
    """The cells of a table, by row; raises unless the whole is well-formed."""
    root = ElementTree.fromstring(f"<div>{thing._repr_html_()}</div>")
    return [["".join(cell.itertext()) for cell in row] for row in root.findall(".//table")[table].iter("tr")]


def test_a_network_is_a_table_of_its_modules() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            self.layers = nn.Sequential(nn.Linear(3, 4, rng=RNG), nn.Tanh())
            self.again = self.layers[0]
            self.scale = nn.Parameter(np.ones(2))

        def extra_repr(self) -> str:
            return "a < b & c"

    net = Odd()
    net.scale.requires_grad = False
    head, *body, foot = rows(net)
    assert head == ["name", "module", "parameters", "numbers"]
    assert body == [
        ["", "Odd(a < b & c)", "scale (2,) frozen", "2"],
        ["layers", "Sequential()", "", ""],
        ["layers.0", "Linear(3, 4)", "weight (3, 4), bias (4,)", "16"],
        ["layers.1", "Tanh()", "", ""],
    ]
    assert foot == ["all", "18"]


def test_a_shared_parameter_counts_once() -> None:
    a, b = nn.Linear(2, 2, bias=False, rng=RNG), nn.Linear(2, 2, bias=False, rng=RNG)
    b.weight = a.weight
    net = nn.Sequential(a, b)
    assert [row[-1] for row in rows(net)[1:]] == ["", "4", "", "4"]
    assert rows(nn.Tanh()) == [["name", "module", "parameters", "numbers"], ["", "Tanh()", "", ""], ["all", "0"]]


def test_a_corpus_is_a_table_of_its_parts() -> None:
    words = ["ab", "<&", "ba"] * 10
    vocabulary = data.Vocabulary(words)
    parts = [data.windows(part, vocabulary, 2) for part in data.split(words)]
    corpus = data.Corpus(vocabulary, *parts, data.digest(words))
    head, *body = rows(corpus)
    assert head == ["part", "examples", "the first of them"]
    assert [(name, int(number)) for name, number, _ in body] == [
        (name, len(part.y)) for name, part in zip(("train", "val", "test"), parts, strict=True)
    ]
    x, y = parts[0].x[0], parts[0].y[0]
    assert body[0][2].startswith(f"{vocabulary.decode(x)} → {vocabulary.decode([y])}, ")
    assert f"train {len(parts[0].y)}, val" in repr(corpus) and len(repr(corpus)) < 300


def test_a_record_is_a_table_of_layers_and_one_of_parameters() -> None:
    model = nn.Sequential(nn.Linear(3, 5, rng=RNG), nn.Tanh(), nn.Linear(5, 2, rng=RNG))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    monitor = Monitor(model, optimizer, every=1)
    assert "0 rows" in monitor.record._repr_html_()
    for step in range(2):
        with monitor.watch(step):
            optimizer.zero_grad()
            loss = cross_entropy(model(Tensor(RNG.normal(size=(8, 3)))), np.arange(8) % 2)
            loss.backward()
            optimizer.step()
    record = monitor.record
    head, *layers = rows(record)
    assert head[:4] == ["layer", "kind", "mean", "std"] and "saturated beyond" in head[4]
    assert [row[:2] for row in layers] == [["0", "Linear"], ["1", "Tanh"], ["2", "Linear"]]
    assert layers[0][4] == "–" and layers[1][3] == f"{record.activation_std[-1, 1]:.3g}"
    head, *parameters = rows(record, 1)
    assert [row[0] for row in parameters] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert parameters[0][1:3] == ["3×5", f"{record.data_std[-1, 0]:.3g}"]
