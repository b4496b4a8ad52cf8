"""Every Function in every mode: plain, replayed, and with gradients in an optimiser's flat storage; the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

import npgrad
import npgrad.check.cases
from npgrad import Tensor
from npgrad.check.case import CASES, Case
from npgrad.check.certificate import draw
from npgrad.functions import registry
from npgrad.optim import SGD
from tests.conftest import SEED

Mode = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]
CALLS = 4
"""A replay records, records what it could not foresee, and only then repeats itself."""


def training(name: str, case: Case, dtype: Any, mode: Mode, flat: bool, hold: bool) -> list[bytes]:
    """The bytes of the result and of every gradient, call after call, while the inputs change a little."""
    leaves: list[Tensor] = []
    inputs: list[Any] = []
    for x in case.inputs:
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            leaves.append(Tensor(x.astype(dtype), requires_grad=True))
            inputs.append(leaves[-1])
        else:
            inputs.append(x)
    options = fresh(case.options)
    optimizer = SGD(leaves, lr=1e-6) if flat and leaves else None
    rng = np.random.default_rng(SEED)
    dy = rng.normal(size=registry[name].apply(*case.inputs, **fresh(case.options)).shape)

    held: list[tuple[Tensor, np.ndarray, list[tuple[Any, Any]]]] = []

    @mode
    def step() -> Tensor:
        # The first input is not a leaf, so that gradients travel to a node as well as into leaves.
        y = registry[name].apply(*[x * 1.0 if x is leaves[0] else x for x in inputs] if leaves else inputs, **options)
        for leaf in leaves:
            leaf.grad = None
        if y.requires_grad:
            y.backward(dy.astype(y.dtype))
        if hold:
            # From inside the step, where it is the graph's own; what the step returns is a copy.
            held.append((y, y.numpy().copy(), [(leaf.grad, deepcopy(leaf.grad)) for leaf in leaves]))
        return y

    seen: list[bytes] = []
    for _ in range(CALLS):
        y = step()
        seen.append(y.numpy().tobytes())
        seen.extend(leaf.grad.tobytes() if leaf.grad is not None else b"" for leaf in leaves)
        if optimizer is not None:
            optimizer.step()
        else:
            for leaf in leaves:
                leaf.data = leaf.numpy() * (1 + 1e-6 * rng.standard_normal())
    for y, before, grads in held:
        assert np.array_equal(y.numpy(), before, equal_nan=True), "a result that was kept has been overwritten"
        for now, then in grads:
            assert now is None or np.array_equal(now, then, equal_nan=True), "a kept gradient has been overwritten"
    return seen


def fresh(options: dict[str, Any]) -> dict[str, Any]:
    """The options with their own running statistics, which move, and generators, which advance."""
    return {k: deepcopy(v) if isinstance(v, np.ndarray | np.random.Generator) else v for k, v in options.items()}


def plainly(step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    return step


@pytest.mark.parametrize("name", list(registry))
def test_every_mode_gives_the_same_bytes(name: str) -> None:
    for _, _, case in draw(name, len(CASES[name]), SEED):
        for dtype in (np.float32, np.float64):
            plain = training(name, case, dtype, plainly, flat=False, hold=False)
            assert training(name, case, dtype, npgrad.replay, flat=False, hold=False) == plain
            assert training(name, case, dtype, npgrad.replay, flat=False, hold=True) == plain
            stored = training(name, case, dtype, plainly, flat=True, hold=False)
            assert training(name, case, dtype, npgrad.replay, flat=True, hold=False) == stored
            assert training(name, case, dtype, npgrad.replay, flat=True, hold=True) == stored
