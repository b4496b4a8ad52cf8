"""The backward pass written by hand agrees with everything else, line by line and in training."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import models
import npgrad
from models import manual_mlp
from models.manual_mlp import ADJOINTS, CLOSED, PARAMETERS, backward, backward_closed, forward, initial, train
from models.training import TrainConfig, evaluate, fit, generators
from npgrad import Tensor
from npgrad.data import Batches, Indices
from npgrad.explain.program import record, sections
from npgrad.functions import cross_entropy

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


# -- the program that npgrad.compile writes ----------------------------------------------------------------------------


def tags(heading: str) -> list[int]:
    """The numbers beside a line of `forward` that is the heading of a section."""
    return [int(k) for k in re.findall(r"\((\d+)\)", heading.partition("  # ")[2])]


def test_the_program_has_every_number_of_the_backward_pass_by_hand_and_in_its_order() -> None:
    p = initial(np.random.default_rng(0), spread=0.3)
    source, _ = record(manual_mlp.engine_step(p), *batch(32))
    numbers = [k for section in sections(source) for k in tags(section.heading)]
    there, back = numbers[: numbers.index(LAST) + 1], numbers[numbers.index(LAST) :]
    assert there == list(range(1, LAST + 1))
    assert back == sorted(back, reverse=True)
    # The adjoints of (2) and (16) are views, another shape and a row of copies: neither takes a call of NumPy.
    assert set(range(1, LAST + 1)) - {*back} == {2, 16}


def compiled_adjoints(p: dict[str, Any], x: Indices, y: Indices) -> tuple[SimpleNamespace, dict[str, Any]]:
    """The intermediates of the forward pass and every adjoint, as the program computes them."""
    tensors = {name: Tensor(value, requires_grad=True) for name, value in p.items()}

    @npgrad.compile(warm_up=0)
    def step(x: Indices, y: Indices) -> Any:
        f = forward(tensors, x, y)  # type: ignore[arg-type]
        for parameter in tensors.values():
            parameter.grad = None
        for name in ADJOINTS:
            getattr(f, name).retain_grad()
        f.loss.backward()
        return {name: (getattr(f, name), getattr(f, name).grad) for name in ADJOINTS}

    for _ in range(3):  # recorded, compared with the eager step, and run as it is
        found = step(x, y)
    assert "runs" in step.explain() and "eagerly" not in step.explain()
    values = {name: value.numpy() for name, (value, _) in found.items()}
    return SimpleNamespace(n=len(x), x=x, y=y, **values), {name: grad for name, (_, grad) in found.items()}


OTHERWISE = {
    # (17) counts_sum**-2 by hand, 1/square(counts_sum) in the program.
    "counts_sum": 2,
    # (7) 1/(n - 1) times dbnvar by hand, dbnvar/(n - 1) in the program.
    "bndiff2": 1,
}
"""Where the program computes a line in another order, and by how many units in the last place it may differ."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", [0, 1])
def test_each_line_of_the_backward_pass_by_hand_gives_the_bytes_of_the_program(dtype: Any, seed: int) -> None:
    """Every hand-written line, given what the program has computed so far, computes what the program computes next."""
    p = initial(np.random.default_rng(seed), dtype=dtype, spread=0.3)
    f, program = compiled_adjoints(p, *batch(32, seed))
    body = ast.parse(inspect.getsource(backward)).body[0].body[:-2]  # type: ignore[attr-defined]
    space: dict[str, Any] = {**vars(manual_mlp), "f": f}
    done = {max(k for k, line in enumerate(body) if f"d{name}" in changed(line)): name for name in ADJOINTS}
    assert len(done) == len(ADJOINTS)
    for k, line in enumerate(body):
        exec(compile(ast.Module([line], []), "manual_mlp.py", "exec"), space)
        name = done.get(k, "")
        if not name:
            continue
        by_hand, compiled = space[f"d{name}"], program[name]
        if name in OTHERWISE:
            np.testing.assert_array_max_ulp(by_hand, compiled, OTHERWISE[name])
        else:
            # A zero may have either sign: (14) changes the sign of a sum by hand, and sums what has changed its sign.
            np.testing.assert_array_equal(by_hand, compiled, err_msg=ast.unparse(line), strict=True)
        space[f"d{name}"] = compiled


def changed(line: ast.stmt) -> set[str]:
    """The variables that a line of `backward` assigns or writes into."""
    found = {node.id for node in ast.walk(line) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(line):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            found |= {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.add.at":
            found.add(ast.unparse(node.args[0]))
    return found


def test_the_closed_form_is_the_program_of_the_model() -> None:
    """The same network of fused Functions: the gradients of its program are those of `backward_closed`."""
    rng = np.random.default_rng(3)
    p = initial(rng, dtype=np.float64, spread=0.3)
    p["b1"][:] = 0  # the model has none
    model = models.build("mlp", vocab_size=27, context=3, rng=rng, dtype=np.float64)
    x, y = batch(32)
    names = ("C", "W1", "bngain", "bnbias", "W2", "b2")
    for parameter, name in zip(model.parameters(), names, strict=True):
        parameter.data = p[name]

    @npgrad.compile(warm_up=0)
    def step(x: Indices, y: Indices) -> None:
        model.zero_grad()
        cross_entropy(model(x), y).backward()

    for _ in range(3):
        step(x, y)
    closed = backward_closed(forward(p, x, y))
    for parameter, name in zip(model.parameters(), names, strict=True):
        largest = np.abs(closed[name]).max()
        # In another order throughout: 1/n goes into the rows at once, and sums are products with ones.
        np.testing.assert_allclose(parameter.grad, closed[name], rtol=0, atol=16 * np.spacing(largest), err_msg=name)


# -- training ----------------------------------------------------------------------------------------------------------


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
