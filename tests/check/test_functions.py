"""Every registered Function, over all its cases, against every oracle; and what every Function owes its callers."""

from __future__ import annotations

import inspect
from itertools import product
from typing import Any

import numpy as np
import pytest

import npgrad.check.cases  # noqa: F401
from npgrad import Tensor
from npgrad.check.case import CASES, Case
from npgrad.check.certificate import certify, draw
from npgrad.engine.node import Leaf
from npgrad.functions import registry
from tests.conftest import SEED
from tests.strategies import LAYOUTS

NAMES = list(registry)
WITHOUT_TORCH: dict[str, str] = {}
"""Functions that torch has no counterpart for, with the reason."""

every_function = pytest.mark.parametrize("name", NAMES)


def differentiable(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def run(name: str, inputs: Any, options: dict[str, Any], dy: np.ndarray, needs: Any = None) -> tuple[Tensor, list[Any]]:
    needs = [differentiable(x) for x in inputs] if needs is None else needs
    tensors = [Tensor(x, requires_grad=True) if need else x for x, need in zip(inputs, needs, strict=True)]
    y = registry[name].apply(*tensors, **options)
    if y.requires_grad:
        y.backward(dy)
    return y, [t.grad if need else None for t, need in zip(tensors, needs, strict=True)]


def cases(name: str, each: int = 3) -> list[tuple[Case, np.ndarray]]:
    """`each` cases of every builder, with a cotangent."""
    out = []
    for _, n, case in draw(name, each * len(CASES[name]), SEED):
        y = registry[name].apply(*case.inputs, **case.options)
        out.append((case, np.asarray(np.random.default_rng(n).normal(size=y.shape))))
    return out


def test_the_registry_is_not_empty() -> None:
    assert len(NAMES) > 50


@every_function
def test_has_a_derivation_and_cases(name: str) -> None:
    cls = registry[name]
    text = inspect.getdoc(cls) or ""
    for heading in ("Symbols", "Forward", "Backward"):
        assert heading in text, f"{name} has no derivation: its docstring lacks {heading!r}"
    assert CASES.get(name), f"{name} has no cases"
    assert "forward" in vars(cls) or "backward" in vars(cls) or cls.__mro__[1].__name__ in registry


@every_function
def test_has_a_torch_reference(name: str) -> None:
    if name in WITHOUT_TORCH:
        return
    for case, _ in cases(name, 2):
        assert case.torch is not None, f"a case of {name} has no torch reference; say why in WITHOUT_TORCH"


@every_function
def test_agrees_with_complex_step_and_differences(name: str) -> None:
    line = certify(name, count=12, seed=SEED + 1)
    assert line.passed, line.failure


@every_function
def test_agrees_with_torch(name: str, torch: Any) -> None:
    line = certify(name, count=24, seed=SEED + 2, entries=1, torch=torch)
    assert line.passed, line.failure


@every_function
def test_gradients_have_shape_and_dtype_of_their_tensors(name: str) -> None:
    for case, dy in cases(name):
        for dtype in (np.float32, np.float64):
            inputs = [x.astype(dtype) if differentiable(x) else x for x in case.inputs]
            y, grads = run(name, inputs, case.options, dy.astype(dtype))
            if y.requires_grad:
                assert y.dtype == case.options.get("dtype", dtype)
            for x, g in zip(inputs, grads, strict=True):
                if differentiable(x):
                    assert type(g) is np.ndarray and g.shape == x.shape and g.dtype == dtype


@every_function
def test_float32_agrees_with_float64(name: str) -> None:
    for case, dy in cases(name, 2):
        y, grads = run(name, case.inputs, case.options, dy)
        single = [x.astype(np.float32) if differentiable(x) else x for x in case.inputs]
        y32, grads32 = run(name, single, case.options, dy.astype(np.float32))
        for a, b in [(y.numpy(), y32.numpy()), *zip(grads, grads32, strict=True)]:
            if a is not None and a.size:
                assert np.max(np.abs(a - b)) <= 2e-3 * (1 + np.max(np.abs(a)))


@every_function
def test_inputs_are_never_modified_and_may_be_read_only(name: str) -> None:
    for case, dy in cases(name):
        inputs = [np.array(x) if isinstance(x, np.ndarray) else x for x in case.inputs]
        for x in inputs:
            if isinstance(x, np.ndarray):
                x.flags.writeable = False
        locked = dy.copy()
        locked.flags.writeable = False
        # A tensor copies what it is given, so the Function itself is run on the locked arrays.
        node = registry[name]()
        node.needs = tuple(differentiable(x) for x in inputs)
        y = np.asarray(node.forward(*inputs, **case.options))
        before = y.copy()
        node.backward(locked)
        assert np.array_equal(y, before, equal_nan=True), f"backward of {name} wrote into its result"


@every_function
@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_layouts_of_memory_do_not_matter(name: str, layout: str) -> None:
    for case, dy in cases(name, 1):
        y, grads = run(name, case.inputs, case.options, dy)
        inputs = [LAYOUTS[layout](x) if differentiable(x) else x for x in case.inputs]
        tensors = [Tensor(0.0) if differentiable(x) else x for x in inputs]
        for t, x in zip(tensors, inputs, strict=True):
            if differentiable(x):
                # Around the copy of Tensor(): functions must cope with whatever strides they meet in a graph.
                t._array = x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))
                t._node = Leaf(t._array, requires_grad=True)
        y2 = registry[name].apply(*tensors, **case.options)
        assert np.allclose(y2.numpy(), y.numpy(), rtol=1e-12, atol=1e-13)
        if y2.requires_grad:
            y2.backward(LAYOUTS[layout](dy))
        for t, g in zip(tensors, grads, strict=True):
            if g is not None:
                assert np.allclose(t.grad, g, rtol=1e-11, atol=1e-12)


@every_function
def test_every_combination_of_wanted_gradients(name: str) -> None:
    """`needs` saves work; it must not change what is computed."""
    for case, dy in cases(name, 1):
        floats = [k for k, x in enumerate(case.inputs) if differentiable(x)]
        _, everything = run(name, case.inputs, case.options, dy)
        for chosen in product([False, True], repeat=len(floats)):
            needs = [False] * len(case.inputs)
            for k, need in zip(floats, chosen, strict=True):
                needs[k] = need
            _, grads = run(name, case.inputs, case.options, dy, needs)
            for k, g in enumerate(grads):
                if needs[k]:
                    assert np.allclose(g, everything[k], rtol=1e-12, atol=1e-13), f"input {k}, needs {needs}"


@every_function
def test_what_backward_returns_is_not_used_again(name: str) -> None:
    """Ownership: a returned gradient may be written into by whoever gets it, and the node computes the same again."""
    for case, dy in cases(name, 2):
        node = registry[name]()
        node.needs = tuple(differentiable(x) for x in case.inputs)
        node.forward(*case.inputs, **case.options)
        first = as_tuple(node.backward(dy.copy()))
        expected = [None if g is None else np.array(g) for g in first]
        for g in first:
            if isinstance(g, np.ndarray) and g.flags.writeable:
                g[...] = np.nan
        for a, b in zip(as_tuple(node.backward(dy)), expected, strict=True):
            assert (a is None) == (b is None)
            assert a is None or np.array_equal(a, b, equal_nan=True)


def as_tuple(x: Any) -> tuple[Any, ...]:
    return x if isinstance(x, tuple) else (x,)


@every_function
def test_gradients_are_linear_in_the_cotangent(name: str) -> None:
    for case, dy in cases(name, 1):
        other = np.random.default_rng(5).normal(size=dy.shape)
        one = run(name, case.inputs, case.options, dy)[1]
        two = run(name, case.inputs, case.options, other)[1]
        both = run(name, case.inputs, case.options, 2 * dy - other)[1]
        for a, b, c in zip(one, two, both, strict=True):
            if a is not None:
                assert np.allclose(2 * a - b, c, rtol=1e-9, atol=1e-10)
