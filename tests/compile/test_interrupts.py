"""An interrupt at any moment leaves the state of a step that ran whole or not at all."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from npgrad import optim
from npgrad.engine.mode import MODE, Mode
from tests.compile.world import World, batch, trust


class Stop(KeyboardInterrupt):
    pass


def interrupted(call: Any, k: int) -> bool:
    """Whether `call()` was interrupted at the k-th line that it runs inside npgrad."""
    count = 0

    def trace(frame: Any, what: str, _: Any) -> Any:
        nonlocal count
        if "npgrad" not in frame.f_code.co_filename or "tests" in frame.f_code.co_filename:
            return None
        if what == "line":
            count += 1
            if count == k:
                sys.settrace(None)
                raise Stop
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except Stop:
        return True
    finally:
        sys.settrace(before)
    return False


def interrupt(calls: int, k: int) -> bool:
    """Interrupt a call after `calls` others; afterwards the next ones compute what eager code does from that state."""
    world = World(dropout=0.0, optimizer=lambda p: optim.Adam(p, lr=0.01))
    for j in range(calls):
        world.step(*batch(j))
    trust(world.step)
    held = [(p.grad, None if p.grad is None else p.grad.copy()) for p in world.parameters[:2]]
    if not interrupted(lambda: world.step(*batch(calls)), k):
        return False
    assert MODE.get() == Mode()
    for now, then in held:
        assert now is None or now.tobytes() == then.tobytes()
    for p in world.parameters:
        assert type(p._array) is np.ndarray and type(p.grad) in (np.ndarray, type(None))
        assert all(type(x) in (int, np.ndarray) for x in world.optimizer.state.get(p, {}).values())
    other = World(dropout=0.0, optimizer=lambda p: optim.Adam(p, lr=0.01), warm_up=None)
    for p, q in zip(world.parameters, other.parameters, strict=True):
        q._array[...] = p._array
        other.optimizer.state[q] = {
            key: x.copy() if isinstance(x, np.ndarray) else x
            for key, x in world.optimizer.state.get(p, {"step": 0}).items()
        }
    for a, b in zip(world.model.buffers(), other.model.buffers(), strict=True):
        b[...] = a
    for j in range(3):
        assert world.step(*batch(j)).item() == other.step(*batch(j)).item()
        for p, q in zip(world.parameters, other.parameters, strict=True):
            assert p._array.tobytes() == q._array.tobytes() and p.grad.tobytes() == q.grad.tobytes()
    return True


def test_an_interrupt_at_every_line_of_a_run():
    k = 1
    while interrupt(3, k):
        k += 3
    assert k > 100


@pytest.mark.parametrize("start", [11, 977, 2203])
def test_interrupts_while_recording(start):
    k = start
    while interrupt(1, k):
        k += 7919
    assert k > start
