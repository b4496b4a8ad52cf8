"""Every line of "Coming from PyTorch" and "Coming from NumPy", executed on both sides."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import npgrad
from docs.extensions.coming_from import Line, expanded, pages, sections, uncovered
from npgrad import Tensor
from npgrad.bindings.protocols import supported
from npgrad.bindings.spellings import spellings

NUMBERS = np.random.default_rng(0)
ARRAYS = {
    "x": NUMBERS.uniform(0.1, 0.9, (2, 3)),
    "y": NUMBERS.uniform(1.0, 1.9, (2, 3)),
    "t": NUMBERS.uniform(0.1, 0.9, (2, 3)),
    "v": NUMBERS.uniform(0.1, 0.9, 3),
    "b": NUMBERS.uniform(0.1, 0.9, 4),
    "h": NUMBERS.uniform(0.1, 0.9, (2, 4)),
    "W": NUMBERS.uniform(0.1, 0.9, (3, 4)),
    "U": NUMBERS.uniform(0.1, 0.9, (4, 4)),
    "m": NUMBERS.uniform(0.1, 0.9, (3, 3)) + np.eye(3),
    "s": NUMBERS.uniform(0.1, 0.9, (2, 3, 3)),
    "images": NUMBERS.uniform(0.1, 0.9, (2, 3, 4, 4)),
    "p": NUMBERS.uniform(0.1, 0.9, 4),
}
PLAIN = {
    "mask": np.array([[True, False, True], [False, True, True]]),
    "index": np.array([[2, 0, 1], [0, 2, 1]]),
    "places": np.array([0, 2]),
}
"""What is an array in npgrad too: it has no gradient."""
TORCH = [line for section in sections("pytorch.txt") for line in section.lines]
CALLS, *REST = sections("numpy.txt")
NUMPY = [line for section in REST for line in section.lines]
IN_WORDS = {
    ("Tensor", "cuda"), ("npgrad", "set_num_threads"),  # there is no other device; a variable of the environment
    ("Tensor", "itemset"), ("Tensor", "newbyteorder"), ("Tensor", "resize"),  # NumPy 1 had them
    ("Tensor", "storage"), ("Module", "bfloat16"), ("Module", "compile"),
    ("npgrad.nn", "TransformerEncoder"),  # blocks one after the other
    *(("npgrad.optim", name) for name in (
        "LambdaLR", "ExponentialLR", "CosineAnnealingWarmRestarts", "OneCycleLR", "ReduceLROnPlateau",
    )),
}  # fmt: skip
"""What has something to write instead, but no line of code that could be executed beside it."""


def executed(code: str, space: dict[str, Any], changed: str) -> Any:
    """The value of the last expression; that of a variable if the code is statements."""
    body = ast.parse(code).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), code, "exec"), space)
    value = eval(compile(ast.Expression(last.value), code, "eval"), space) if last is not None else None
    return space[changed] if value is None else value


def plain(value: Any) -> Any:
    """Tensors as arrays, also inside lists."""
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return np.frombuffer(value, np.uint8)
    return np.asarray(value.detach().numpy() if hasattr(value, "detach") else value)


def assert_same(one: Any, two: Any) -> None:
    one, two = plain(one), plain(two)
    if isinstance(one, list):
        assert len(one) == len(two)
        for each, other in zip(one, two, strict=True):
            assert_same(each, other)
    else:
        assert one.shape == two.shape
        if one.dtype.kind in "US":
            assert (one == two).all()
        else:
            assert np.allclose(one, two, rtol=1e-3 if two.dtype == np.float16 else 1e-5, atol=0)


def ours(tensors: bool = True) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    nn, optim = npgrad.nn, npgrad.optim
    model = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh())
    space: dict[str, Any] = {"np": np, "npgrad": npgrad, "nn": nn, "optim": optim, "model": model}
    space |= {"optimizer": optim.SGD(model.parameters(), lr=0.1), "hook": lambda *arguments: None}
    space |= {"f": lambda x: (x**3).sum(), "a": ARRAYS["v"].copy(), "rng": np.random.default_rng(1)}
    space |= {name: Tensor(array) if tensors else array.copy() for name, array in ARRAYS.items()}
    if tensors:
        space["p"].requires_grad = True
        (space["p"] ** 2).sum().backward()
    return space | {name: array.copy() for name, array in PLAIN.items()}


def theirs(torch: Any) -> dict[str, Any]:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh())
    space: dict[str, Any] = {"torch": torch, "np": np, "nn": torch.nn, "optim": torch.optim, "model": model}
    space |= {"optimizer": torch.optim.SGD(model.parameters(), lr=0.1), "hook": lambda *arguments: None}
    space |= {"f": lambda x: (x**3).sum(), "a": ARRAYS["v"].copy()}
    space |= {name: torch.tensor(array) for name, array in (ARRAYS | PLAIN).items()}
    space["p"].requires_grad_()
    (space["p"] ** 2).sum().backward()
    return space


@pytest.mark.parametrize("line", TORCH, ids=lambda line: line.theirs)
def test_pytorch(line: Line, torch: Any) -> None:
    assert line.rows() or line.theirs.startswith("optim.lr_scheduler"), "no entry of the table: npgrad has that name"
    result = executed(line.ours, ours(), "t")
    space = theirs(torch)
    default = torch.get_default_dtype()
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")  # what PyTorch warns of is its own affair
        torch.set_default_dtype(torch.float64)
        try:
            expected = executed(line.theirs, space, "t")
        finally:
            torch.set_default_dtype(default)
    if line.compared:
        assert_same(result, expected)


@pytest.mark.parametrize("line", NUMPY, ids=lambda line: line.theirs)
def test_numpy(line: Line, tmp_path: Path) -> None:
    files = tmp_path / "theirs", tmp_path / "ours"
    expected = executed(line.theirs, ours(tensors=False) | {"path": files[0]}, "x")
    result = executed(line.ours, ours() | {"path": files[1]}, "x")
    if line.compared:
        assert_same(result, expected)
    if files[0].exists():
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("line", CALLS.lines, ids=lambda line: line.theirs)
def test_numpys_functions_take_tensors(line: Line) -> None:
    result = executed(line.theirs, ours(), "x")
    assert any(isinstance(each, Tensor) for each in (result if isinstance(result, list | tuple) else [result]))
    assert_same(result, executed(line.theirs, ours(tensors=False), "x"))


def test_every_function_that_takes_tensors_is_listed() -> None:
    called = {
        getattr(node.func, "attr", "")
        for line in CALLS.lines
        for node in ast.walk(ast.parse(line.theirs))
        if isinstance(node, ast.Call)
    }
    names = {name for f in supported for name in (np, np.linalg) if getattr(name, f.__name__, None) is f}
    assert names and {f.__name__ for f in supported} - called <= {
        "absolute", "conjugate",  # np.abs is np.absolute, np.conj is np.conjugate
        "unstack", "matvec", "vecmat",  # which came with NumPy 2.1 and 2.2
    }  # fmt: skip


def test_every_entry_of_the_table_is_on_a_page() -> None:
    without = {(row.owner, row.name) for row in uncovered() if row.ours}
    assert without == IN_WORDS
    text = dict(pages())["coming-from/pytorch.md"]
    assert len(uncovered()) < len(spellings()) / 3
    assert all(f"`{row.name}`" in text for row in uncovered())


def test_a_choice_stands_for_several_lines() -> None:
    assert [*expanded("a.{b c}(1) | d.{e f}(1) | runs")] == [
        Line("a.b(1)", "d.e(1)", False),
        Line("a.c(1)", "d.f(1)", False),
    ]
    assert [*expanded("a.{b c}(1) | d")] == [Line("a.b(1)", "d", True), Line("a.c(1)", "d", True)]
    assert [*expanded("np.abs(x)")] == [Line("np.abs(x)", "np.abs(x)", True)]
