"""Memory comes back by reference counting alone, and depth costs no stack."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import Tensor
from npgrad.check.certificate import draw
from npgrad.functions import registry


@pytest.fixture
def without_gc() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.smoke
def test_a_chain_of_100_000_nodes() -> None:
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    assert sys.getrecursionlimit() < 10_000
    y.backward()
    assert x.grad == 1.0
    del y


def test_dropping_a_deep_graph_unused_does_not_overflow_the_stack() -> None:
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y * 1.0
    del y
    assert x.grad is None


@pytest.mark.usefixtures("without_gc")
@pytest.mark.parametrize("how", ["backward", "retained", "never", "failed"])
def test_nodes_die_without_the_garbage_collector(how: str) -> None:
    x = Tensor(np.ones(3), requires_grad=True)
    a = npgrad.tanh(x)
    b = a * a
    b.register_hook(lambda g: None)
    b.retain_grad()
    loss = b.sum()
    alive = [weakref.ref(t) for t in (a, b, loss)] + [weakref.ref(t._node) for t in (a, b, loss)]
    if how in ("backward", "retained"):
        loss.backward(retain_graph=how == "retained")
    elif how == "failed":
        with pytest.raises(ValueError, match="shape"):
            loss.backward(np.zeros(7))
    del a, b, loss
    assert [r for r in alive if r() is not None] == []


@pytest.mark.usefixtures("without_gc")
@pytest.mark.parametrize("name", list(registry))
def test_no_function_holds_on_to_its_node(name: str) -> None:
    for _, n, case in draw(name, 4):
        tensors = [
            Tensor(x, requires_grad=True) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x
            for x in case.inputs
        ]
        y = registry[name].apply(*tensors, **case.options)
        if y._node is None:
            continue
        node = weakref.ref(y._node)
        if n % 2:
            y.backward(np.ones(y.shape))
        del y
        assert node() is None


@pytest.mark.usefixtures("without_gc")
def test_training_does_not_grow() -> None:
    rng = np.random.default_rng(0)
    W = Tensor(rng.normal(size=(50, 50)), requires_grad=True)
    x = rng.normal(size=(200, 50))

    def step() -> None:
        W.grad = None
        npgrad.mean(npgrad.tanh(npgrad.matmul(x, W)) ** 2).backward()
        W.data -= 0.1 * W.grad

    step()
    tracemalloc.start()
    try:
        for _ in range(3):
            step()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            step()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 20_000


def test_the_sweep_frees_as_it_goes() -> None:
    """The peak of backward is far below one gradient for every node."""
    x = Tensor(np.ones(100_000), requires_grad=True)

    def peak(depth: int) -> int:
        y: Any = x
        for _ in range(depth):
            y = npgrad.exp(y * 0.0)
        x.grad = None
        tracemalloc.start()
        y.sum().backward()
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(40) < peak(5) + 10 * x.numpy().nbytes


def test_results_without_gradient_keep_nothing_alive() -> None:
    a = Tensor(np.ones(3))
    y = npgrad.tanh(a)
    assert y._node is None
    with npgrad.no_grad():
        assert npgrad.tanh(Tensor(np.ones(3), requires_grad=True))._node is None


def test_a_gradient_is_an_array_of_its_own() -> None:
    kept: list[Any] = []

    class Twice(npgrad.Function):
        def forward(self, x: Any) -> Any:
            return 2 * x

        def backward(self, dy: Any) -> Any:
            kept.append(2 * dy)
            return kept[-1]

    x = Tensor(np.ones(3), requires_grad=True)
    Twice.apply(x).backward(np.arange(3.0))
    kept[-1][:] = 100
    assert x.grad is not None and x.grad.tolist() == [0, 2, 4]


def test_no_answer_depends_on_counting_references() -> None:
    package = Path(npgrad.__file__).parent
    assert [path.name for path in package.rglob("*.py") if "getrefcount" in path.read_text(encoding="utf-8")] == []
