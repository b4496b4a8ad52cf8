"""The program as text."""

from __future__ import annotations

import gc
import traceback
import weakref
from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import nn
from tests.compile.world import World, batch, trust


def test_the_source_is_to_be_read():
    world = World()
    for k in range(3):
        world.step(*batch(k))
    text = world.step.source
    compile(text, "program", "exec")
    assert "# Tanh (1)" in text and "# CrossEntropy" in text and "world.py" in text
    assert "loss = npgrad.cross_entropy(model(x), y)" in text and "optimizer.step()" in text
    assert "running_mean" in text and "def step(x, y):" in text
    assert "variant:" in world.step.explain()


def test_tracebacks_show_the_text_of_a_program():
    world = World()
    for k in range(3):
        world.step(*batch(k))
    trust(world.step)
    program = world.programs()[0]

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    name = next(name for name in program.writer.namespace if name.startswith("advance"))
    program.run.__globals__[name] = fail
    with pytest.raises(KeyboardInterrupt) as caught:
        world.step(*batch())
    assert f"numbers = {name}(" in "".join(traceback.format_tb(caught.tb))


def test_a_program_lets_go_of_the_recording():
    """The arrays of the recorded call are not kept."""
    p = nn.Parameter(np.ones(3))
    step = npgrad.compile(lambda x: (p * x).sum(), warm_up=0)
    x = np.ones(3)
    step(x)
    gone = weakref.ref(x)
    del x
    gc.collect()
    assert gone() is None
