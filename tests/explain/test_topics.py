"""The topics beside what they teach about: optimisers, initial values, and the network written by hand."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import numpy as np
import pytest

import npgrad
from models import manual_mlp
from npgrad import Tensor, nn, optim
from npgrad.explain.order import topics
from npgrad.explain.source import load, subject_of
from npgrad.explain.syntax import Ref, walk
from npgrad.explain.topics.adam import adam
from npgrad.explain.topics.initial_loss import initial_loss
from npgrad.explain.topics.kaiming_gain import kaiming_gain
from npgrad.explain.topics.momentum import momentum
from npgrad.explain.topics.network import network
from npgrad.explain.topics.running_statistics import running_statistics
from npgrad.explain.trial import Trial


def path(optimiser: Any, p: Tensor, gradients: np.ndarray) -> np.ndarray:
    places = []
    for g in gradients:
        p.grad = g.copy()
        optimiser.step()
        places.append(p.numpy().copy())
    return np.array(places)


def test_adam_is_the_optimiser(rng: np.random.Generator) -> None:
    g, start = rng.normal(size=(7, 3)), rng.normal(size=3)
    p = Tensor(start, requires_grad=True)
    found = path(optim.Adam([p], lr=0.01, betas=(0.9, 0.99), eps=1e-8), p, g)
    np.testing.assert_allclose(adam(g, start, 0.01, 0.9, 0.99, 1e-8)["p"], found, rtol=1e-10)


def test_momentum_is_the_optimiser(rng: np.random.Generator) -> None:
    g, start = rng.normal(size=(7, 3)), rng.normal(size=3)
    p = Tensor(start, requires_grad=True)
    found = path(optim.SGD([p], lr=0.1, momentum=0.9), p, g)
    by_topic = momentum(g, start, 0.1, 0.9)
    np.testing.assert_allclose(by_topic["p"], found, rtol=1e-10)
    p = Tensor(start, requires_grad=True)
    found = path(optim.SGD([p], lr=0.1, momentum=0.9, nesterov=True), p, g)
    np.testing.assert_allclose(start - 0.1 * np.cumsum(by_topic["d"], 0), found, rtol=1e-10)


def test_running_statistics_are_those_of_batch_norm(rng: np.random.Generator) -> None:
    batches, start = rng.normal(size=(5, 8, 3)), rng.normal(size=3)
    mean, var = start.copy(), np.abs(start)
    seen = []
    for x in batches:
        npgrad.batch_norm(Tensor(x), mean, var, training=True, momentum=0.1)
        seen.append(mean.copy())
    found = running_statistics(mu=batches.mean(1), start=start, momentum=0.1)["running"]
    np.testing.assert_allclose(found, seen, rtol=1e-12)
    unbiased = running_statistics(mu=batches.var(1, ddof=1), start=np.abs(start), momentum=0.1)["running"]
    np.testing.assert_allclose(unbiased[-1], var, rtol=1e-12)


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_gains_are_those_of_init(name: str) -> None:
    source = subject_of(topics()["kaiming_gain"])
    case = next(c for c in source.derivation.cases if c.name.startswith(name))
    trial = Trial(source, case, (0,))
    assert trial.constants["gain"] == pytest.approx(nn.init.calculate_gain(name), rel=1e-14)


def test_relu_keeps_the_mean_square_in_a_real_layer(rng: np.random.Generator) -> None:
    x = rng.normal(size=512)
    W = nn.init.kaiming_normal((512, 4096), rng=rng, nonlinearity="relu")
    assert np.mean(np.maximum(x @ W, 0) ** 2) == pytest.approx(np.mean(x**2), rel=0.15)
    assert kaiming_gain(2**0.5, x[:8])["square"] == pytest.approx(np.mean(x[:8] ** 2), rel=1e-12)


def test_the_first_loss_is_ln_27(rng: np.random.Generator) -> None:
    assert initial_loss()["loss"] == pytest.approx(np.log(27))
    z = rng.normal(size=(20000, 27)) * 0.1
    t = rng.integers(0, 27, size=20000)
    loss = npgrad.cross_entropy(Tensor(z), t).item()
    assert loss == pytest.approx(np.log(27) + initial_loss(s=0.1)["cost"], abs=0.005)


# -- models/manual_mlp.py ----------------------------------------------------------------------------------------------

RENAMED = {"h": "act", "C": "C", "n": "N"}
SKIPPED = {"embcat"}
"""The topic numbers the first layer's inputs by position and axis, so it needs no reshape."""


def batch(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    p = manual_mlp.initial(rng, vocab_size=6, context=3, embedding=2, hidden=4, dtype=np.float64, spread=0.3)
    return p, rng.integers(0, 6, size=(5, 3)), rng.integers(0, 6, size=5)


def test_the_network_by_hand_has_the_gradients_of_the_lesson(rng: np.random.Generator) -> None:
    p, x, y = batch(rng)
    f = manual_mlp.forward(p, x, y)
    adjoints = manual_mlp.backward(f)
    W1 = p["W1"].reshape(3, 2, 4)
    by_topic = network(p["C"], x, y, W1, p["b1"], p["bngain"], p["bnbias"], p["W2"], p["b2"], manual_mlp.EPS)
    assert by_topic["loss"] == pytest.approx(float(f.loss), rel=1e-13)
    for name in ("C", "W1", "b1", "bngain", "bnbias", "W2", "b2"):
        found = by_topic[f"d{name}"].reshape(adjoints[name].shape)
        np.testing.assert_allclose(found, adjoints[name], rtol=1e-9, atol=1e-14)


def tagged(function: Any) -> list[tuple[tuple[str, ...], set[str]]]:
    """The numbered statements of a function: their numbers, and the names they assign."""
    file = inspect.getsourcefile(function)
    assert file is not None
    lines, start = inspect.getsourcelines(function)
    page = load(file)
    found = []
    for number in range(start, start + len(lines)):
        if number in page.tags:
            node = next(
                (
                    n
                    for n in ast.walk(page.tree)
                    if isinstance(n, ast.stmt) and n.lineno == number and not hasattr(n, "body")
                ),
                None,
            )
            if node is not None:
                names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                found.append((page.tags[number], names))
    return found


def test_each_line_by_hand_is_an_equation_of_the_lesson() -> None:
    """Forward: a line computes a variable of the topic. Backward: line (k) gives an adjoint of what (k) reads."""
    (case,) = subject_of(topics()["network"]).derivation.cases
    equations = {e.name: e for e in case.steps}
    forward = {}
    for labels, names in tagged(manual_mlp.forward):
        produced = {RENAMED.get(n, n) for n in names} & (set(equations) | SKIPPED)
        assert produced, (labels, names)
        forward[labels[0]] = produced
    read = {
        label: {
            part.name
            for name in names
            if name in equations
            for part in walk(equations[name].members[0])
            if isinstance(part, Ref)
        }
        for label, names in forward.items()
    }
    derived = {e.name for e in case.adjoints}
    for labels, names in tagged(manual_mlp.backward):
        adjoints = {f"d{RENAMED.get(n[1:], n[1:])}" for n in names if n.startswith("d")}
        assert adjoints & (derived | {f"d{name}" for name in SKIPPED}), (labels, names)
        for label in labels:
            if not forward[label] & SKIPPED:
                known = read[label] | SKIPPED | forward[label]
                assert {a[1:] for a in adjoints} & known, (label, adjoints, known)
