"""The backward pass written by hand agrees with everything else, line by line and in training."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import models
from models import manual_mlp
from models.manual_mlp import ADJOINTS, CLOSED, PARAMETERS, backward, backward_closed, forward, initial, train
from models.training import TrainConfig, evaluate, fit, generators
from npgrad.data import Batches, Indices

LAST = 20


def batch(n: int, seed: int = 0) -> tuple[Indices, Indices]:
    rng = np.random.default_rng(seed)
    return rng.integers(27, size=(n, 3)), rng.integers(27, size=n)


@pytest.mark.parametrize("n", [8, 32])
def test_every_adjoint_equals_the_engines_and_torchs(n: int, torch: object) -> None:
    p = initial(np.random.default_rng(n), dtype=np.float64, spread=0.3)
    lines, worst = manual_mlp.table(p, *batch(n))
    assert len(lines) == len(ADJOINTS) + 1 == 27
    assert worst < 1e-12


def test_every_adjoint_has_the_shape_and_dtype_of_its_array() -> None:
    f = forward(initial(np.random.default_rng(0)), *batch(8))
    for adjoints in (backward(f), backward_closed(f)):
        for name, d in adjoints.items():
            assert d.shape == getattr(f, name).shape, name
            assert d.dtype == np.float32, name


def test_the_closed_form_in_float32() -> None:
    f = forward(initial(np.random.default_rng(0), spread=0.3), *batch(32))
    stepwise, closed = backward(f), backward_closed(f)
    assert set(PARAMETERS) < set(CLOSED) == set(closed)
    for name in CLOSED:
        np.testing.assert_allclose(closed[name], stepwise[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_the_backward_lines_answer_the_forward_lines_in_reverse() -> None:
    def numbers(function: object) -> list[int]:
        source = inspect.getsource(function)  # type: ignore[arg-type]
        return [int(k) for line in source.splitlines() for k in re.findall(r"\((\d+)\)", line.partition("  # ")[2])]

    assert numbers(forward) == list(range(1, LAST + 1))
    answered = numbers(backward)
    assert answered == sorted(answered, reverse=True)
    assert set(answered) == set(range(1, LAST + 1))


def test_training_by_hand_is_training_with_the_engine() -> None:
    x, y = batch(500, seed=3)
    config = TrainConfig(steps=40, seed=5)
    model = models.build("mlp", vocab_size=27, context=3, rng=generators(5).init, dtype=np.float64)
    losses = fit(model, x, y, config)
    for gradient in (backward, backward_closed):
        p = initial(generators(5).init, dtype=np.float64)
        seen: list[float] = []
        batches = Batches(x, y, 32, generators(5).batches)
        running = train(p, batches, 40, lambda step, loss, seen=seen: seen.append(loss), gradient)  # type: ignore[misc]
        np.testing.assert_allclose(seen, losses, rtol=1e-6)
        np.testing.assert_allclose(manual_mlp.evaluate(p, running, x, y), evaluate(model, x, y), rtol=1e-9)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("emma\nolivia\nava\nmia\nnoah\nliam\nmason\njacob\n", encoding="utf-8")
    assert manual_mlp.main(["--steps", "20", "--data", str(words)]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^d{name} ", out, re.MULTILINE) for name in ADJOINTS)
    assert re.search(r"^step +20 +loss \d\.\d{4}$", out, re.MULTILINE)
    for bad in (["--steps", "-1"], ["--data", str(tmp_path / "none.txt")]):
        with pytest.raises(SystemExit) as stop:
            manual_mlp.main(bad)
        assert stop.value.code == 2
