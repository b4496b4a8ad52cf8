"""Memory comes back by reference counting alone, and depth costs no stack."""

from __future__ import annotations

import ast
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
from npgrad import Tensor, explain
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


def test_the_array_a_rule_made_becomes_the_gradient_unless_somebody_else_has_it() -> None:
    made: list[weakref.ref[Any]] = []
    kept: list[Any] = []
    keep = False

    class Twice(npgrad.Function):
        def forward(self, x: Any) -> Any:
            return 2 * x

        def backward(self, dy: Any) -> Any:
            dx = 2 * dy
            made.append(weakref.ref(dx))
            if keep:
                kept.append(dx)
            return dx

    for keep in (False, True):
        x = Tensor(np.ones(3), requires_grad=True)
        Twice.apply(x).backward(np.arange(3.0))
        assert x.grad is not None and x.grad.tolist() == [0, 2, 4]
        assert (made[-1]() is x.grad) == (not keep)


def test_references_are_counted_where_every_python_counts_alike() -> None:
    """Python 3.14 borrows references to local variables, so only attributes and items may be asked about."""
    package = Path(npgrad.__file__).parent
    asked = [
        node.args[0]
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getrefcount"
    ]
    assert len(asked) > 5
    assert [ast.unparse(x) for x in asked if not isinstance(x, ast.Attribute | ast.Subscript)] == []


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are evaluated at once before Python 3.14")
def test_names_that_exist_only_for_type_checkers_may_annotate_buffers_and_functions() -> None:
    source = """
def f(x: Array) -> Array:
    return (x * x).sum()

class Tanh(npgrad.Function):
    t: Array
    dx: Array | None
    other: Tanh
    count: int

    def forward(self, x: Array) -> Array:
        self.t = np.tanh(x, out=self.t)
        return self.t

    def backward(self, dy):
        self.dx = np.multiply(1 - self.t**2, dy, out=self.dx)
        return self.dx
"""
    names: dict[str, Any] = {"npgrad": npgrad, "np": np}
    exec(compile(source, "<user>", "exec", dont_inherit=True), names)
    assert names["Tanh"].buffers == {"t", "dx"}
    x = Tensor(np.ones(3), requires_grad=True)
    names["Tanh"].apply(x).backward(np.ones(3))
    assert np.allclose(x.grad, 1 - np.tanh(1) ** 2)
    assert "Tanh" in str(explain.step(names["Tanh"].apply(x).sum()))
    assert npgrad.hvp(names["f"], np.ones(2), np.array([1.0, 2.0])).tolist() == [2, 4]
