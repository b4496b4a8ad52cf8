"""What people type first: methods, creation functions, formats, lists of tensors, and other libraries' names."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import Tensor, nn, optim
from npgrad.bindings.spellings import DIFFERENT, spellings, unknown

A = np.random.default_rng(0).uniform(0.5, 1.5, size=(3, 4))
METHODS: dict[str, tuple[Any, ...]] = {
    "sum": (1,), "mean": (0,), "var": (0,), "std": (0,), "max": (1,), "min": (1,), "prod": (0,), "cumsum": (1,),
    "cumprod": (1,), "round": (1,), "clip": (0.7, 1.2), "astype": (np.float32,), "dot": (A.T,), "take": ([0, 2], 0),
    "repeat": (2, 1), "diagonal": (), "trace": (), "reshape": (4, 3), "ravel": (), "flatten": (), "squeeze": (),
    "swapaxes": (0, 1), "transpose": (1, 0), "argmax": (1,), "argmin": (0,), "argsort": (1,), "any": (0,), "all": (),
    "nonzero": (), "tolist": (), "item": (),
}  # fmt: skip
WITHOUT_GRADIENT = {"argmax", "argmin", "argsort", "any", "all", "nonzero", "tolist", "item"}
INDEED_OTHERWISE = {"copy", "sort"}
"""Methods of ndarray that do something else: a leaf with its gradient; a sorted copy."""


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_numpys(name: str) -> None:
    a = A[:1, :1] if name == "item" else A
    x = Tensor(a, requires_grad=True)
    ours, theirs = getattr(x, name)(*METHODS[name]), getattr(a, name)(*METHODS[name])
    if name in WITHOUT_GRADIENT:
        assert type(ours) is type(theirs) and np.array_equal(ours, theirs)
        return
    assert ours.requires_grad and ours.dtype == theirs.dtype and ours.shape == theirs.shape
    assert np.allclose(ours.numpy(), theirs, rtol=1e-13)
    ours.sum().backward()
    assert x.grad.shape == a.shape and x.grad.dtype == a.dtype


def test_every_method_of_arrays_is_there_or_explained() -> None:
    x = Tensor(A)
    for name in dir(A):
        if name.startswith("_") or name in METHODS or name in INDEED_OTHERWISE or hasattr(x, name):
            continue
        with pytest.raises(AttributeError) as raised:
            getattr(x, name)
        row = next((row for row in spellings() if (row.owner, row.name) == ("Tensor", name)), None)
        assert row is not None, f"ndarray.{name} is met by: {raised.value}"


def test_sorting_gives_a_copy() -> None:
    x = Tensor([3.0, 1.0, 2.0], requires_grad=True)
    assert np.array_equal(x.sort().numpy(), [1, 2, 3]) and np.array_equal(x.numpy(), [3, 1, 2])


def test_formats_of_one_number() -> None:
    loss = Tensor([[1.23456]], requires_grad=True).sum()
    assert f"{loss:.4f}" == "1.2346" and f"{loss:8.2e}" == "1.23e+00" and f"{Tensor(3):d}" == "3"
    assert f"{loss}" == str(loss)
    with pytest.raises(TypeError, match=r"'\.4f' is for one number; this tensor has shape \(3, 4\)"):
        f"{Tensor(A):.4f}"


def test_lists_of_tensors() -> None:
    x, y = Tensor(1.0, requires_grad=True), Tensor(4.0, requires_grad=True)
    z = npgrad.mean([x, 2 * y, 3.0])
    z.backward()
    assert z.item() == 4 and np.allclose([x.grad, y.grad], [1 / 3, 2 / 3])
    x.grad = y.grad = None
    w = npgrad.add(npgrad.matmul([[x, 0.0], [0.0, y]], np.eye(2)), [x, y])
    w.sum().backward()
    assert np.array_equal(w.numpy(), [[2, 4], [1, 8]]) and x.grad == 3 and y.grad == 3
    assert npgrad.sum([Tensor([1.0, 2.0]), [3.0, 4.0]]).item() == 10 and not npgrad.sum([[1.0], [2.0]]).requires_grad


def test_casting() -> None:
    x = Tensor(A.astype(np.float32), requires_grad=True)
    y = x.astype(np.float64) ** 2
    y.sum().backward()
    assert y.dtype == np.float64 and x.grad.dtype == np.float32 and np.allclose(x.grad, 2 * A, rtol=1e-6)
    assert x.astype(int).dtype == np.int64 and not x.astype(int).requires_grad and x.astype(bool).dtype == bool


# -- creation ----------------------------------------------------------------------------------------------------------


def test_tensors_from_data() -> None:
    x = npgrad.tensor([1, 2], requires_grad=True, dtype=np.float32)
    assert type(x) is Tensor and x.requires_grad and x.dtype == np.float32
    assert npgrad.tensor(A).dtype == A.dtype and not np.shares_memory(npgrad.tensor(A).numpy(), A)
    assert npgrad.tensor(x, dtype=np.float64).dtype == np.float64 and npgrad.tensor([1.0]).dtype == np.float64


def test_tensors_from_nothing() -> None:
    rng = np.random.default_rng(0)
    for f, options in (
        (npgrad.zeros, {}),
        (npgrad.ones, {}),
        (npgrad.randn, {"rng": rng}),
        (npgrad.rand, {"rng": rng}),
    ):
        assert f(2, 3, **options).shape == f((2, 3), **options).shape == (2, 3) and f(2, **options).shape == (2,)
        assert f(2, **options).dtype == np.float32 and f(2, dtype=np.float64, **options).dtype == np.float64
        assert f(**options).shape == () and f(2, requires_grad=True, **options).requires_grad
    assert np.array_equal(npgrad.full((2,), 7).numpy(), [7, 7]) and npgrad.full((2,), 7).dtype == np.float32
    assert np.array_equal(npgrad.eye(2, 3, 1).numpy(), np.eye(2, 3, 1))
    assert np.array_equal(npgrad.linspace(0, 1, 5).numpy(), np.linspace(0, 1, 5))
    assert np.array_equal(npgrad.arange(3).numpy(), [0, 1, 2]) and npgrad.arange(3).dtype == np.int64
    assert np.array_equal(npgrad.arange(1, 4, 2).numpy(), [1, 3]) and npgrad.arange(0, 1, 0.5).dtype == np.float32
    x = Tensor(A.astype(np.float16))
    for f, value in ((npgrad.zeros_like, 0), (npgrad.ones_like, 1), (lambda t: npgrad.full_like(t, 5), 5)):
        y = f(x)
        assert isinstance(y, Tensor) and y.dtype == np.float16 and np.array_equal(y.numpy(), np.full_like(A, value))


def test_random_numbers_come_from_a_generator() -> None:
    one, two = (npgrad.randn(3, rng=np.random.default_rng(5)).numpy() for _ in range(2))
    assert np.array_equal(one, two)
    for f in (npgrad.randn, npgrad.rand):
        with pytest.raises(TypeError, match=r"rng=np\.random\.default_rng\(seed\)"):
            f(2)


def test_a_compiled_function_draws_anew() -> None:
    rng, same = np.random.default_rng(0), np.random.default_rng(0)
    noisy = npgrad.compile(lambda: npgrad.randn(3, rng=rng, dtype=np.float64) * 2)
    for _ in range(8):
        assert np.array_equal(noisy().numpy(), same.standard_normal(3) * 2)


def test_save_and_load(tmp_path: Path) -> None:
    npgrad.save(tmp_path / "x", {"w": Tensor(A)})
    assert np.array_equal(npgrad.load(tmp_path / "x")["w"], A) and {"save", "load"} <= set(dir(npgrad))


# -- other libraries' names --------------------------------------------------------------------------------------------

OWNERS: dict[str, Any] = {
    "Tensor": Tensor(1.0), "npgrad": npgrad, "Module": nn.Linear(1, 1, rng=np.random.default_rng(0)), "npgrad.nn": nn,
    "npgrad.optim": optim,
}  # fmt: skip


NUMPYS = {("npgrad", "linspace"), ("npgrad", "piecewise")}
"""What npgrad has under NumPy's name, but not for tensors: the error of np.linspace(t, …) reads these rows."""


@pytest.mark.parametrize("row", spellings(), ids=lambda row: f"{row.owner}.{row.name}")
def test_the_table_tells_of_what_is_not_there(row: Any) -> None:
    if (row.owner, row.name) in NUMPYS:
        assert hasattr(npgrad, row.name)
        return
    with pytest.raises(AttributeError, match=f"has no attribute '{row.name}': ") as raised:
        getattr(OWNERS[row.owner], row.name)
    assert row.ours in str(raised.value) and row.reason in str(raised.value)
    assert row.ours or row.reason


@pytest.mark.parametrize(
    "row", [row for row in spellings() if row.ours.startswith(("npgrad.", "np."))], ids=lambda row: row.ours
)
def test_what_it_says_to_write_is_there(row: Any) -> None:
    thing: Any = npgrad if row.ours.startswith("npgrad") else np
    for part in row.ours.partition("(")[0].partition(",")[0].partition(" ")[0].split(".")[1:]:
        assert hasattr(thing, part), row.ours
        thing = getattr(thing, part)


@pytest.mark.parametrize("row", [row for row in spellings() if row.ours.isidentifier()], ids=lambda row: row.ours)
def test_names_alone_belong_to_the_owner(row: Any) -> None:
    assert any(hasattr(owner, row.ours) for owner in (OWNERS[row.owner], npgrad))


def test_the_table_names_nothing_twice() -> None:
    assert len({(row.owner, row.name) for row in spellings()}) == len(spellings()) > 150


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x.view(2)", "Tensor has no attribute 'view': use reshape"),
        ("x.relu()", r"Tensor has no attribute 'relu': it is a function, npgrad\.relu\(t\)"),
        ("x.tahn()", "Did you mean 'tanh'"),
        ("npgrad.tahn", "module 'npgrad' has no attribute 'tahn'. Did you mean 'tanh'"),
        ("npgrad.cat", r"use npgrad\.concatenate"),
        ("nn.LSTMCell", "module 'npgrad.nn' has no attribute 'LSTMCell': .*lstm_step"),
        ("nn.Liner", "Did you mean 'Linear'"),
        ("optim.lr_scheduler", "beside the optimisers"),
        ("nn.Linear(1, 1, rng=rng).cuda()", "Linear has no attribute 'cuda': everything is on the CPU"),
        ("nn.Linear(1, 1, rng=rng).wieght", "Did you mean 'weight'"),
        ("nn.Parameter([1.0]).view()", "Parameter has no attribute 'view'"),
    ],
)
def test_messages(code: str, words: str) -> None:
    space = {"x": Tensor([1.0]), "npgrad": npgrad, "nn": nn, "optim": optim, "rng": np.random.default_rng(0)}
    with pytest.raises(AttributeError, match=words):
        eval(code, space)


def test_what_python_and_numpy_ask_for_is_answered_at_once() -> None:
    for name in ("__array_interface__", "_repr_latex_", "__wrapped__", "_mask"):
        for owner in OWNERS.values():
            with pytest.raises(AttributeError, match=name):
                getattr(owner, name)
    assert not hasattr(Tensor(1.0), "__cuda_array_interface__")


def same(x: Any, y: Any) -> bool:
    return bool(np.array_equal(getattr(x, "numpy", lambda: x)(), y))


CLAIMS: dict[str, Any] = {
    "Linear.weight": lambda t: nn.Linear(3, 2, rng=np.random.default_rng(0)).weight.shape == (3, 2),
    "Tensor, tensor": lambda t: (
        Tensor([1.0]).dtype == np.float64 and npgrad.tensor(np.float32([1])).dtype == np.float32
    ),
    "data": lambda t: type(t.data) is np.ndarray,
    "grad": lambda t: (t.sum().backward(), type(t.grad) is np.ndarray)[1],
    "gradient": lambda t: same(npgrad.gradient(t, axis=1), np.gradient(A, axis=1)),
    "max, min": lambda t: same(t.max(1), A.max(1)) and same(t.argmax(1), A.argmax(1)),
    "median": lambda t: npgrad.median([1.0, 2.0, 3.0, 4.0]).item() == 2.5,
    "meshgrid": lambda t: npgrad.meshgrid(t[0], t[:, 0])[0].shape == (3, 4),
    "numpy()": lambda t: not t.numpy().flags.writeable,
    "randn, rand": lambda t: raises(TypeError, lambda: npgrad.randn(2)) and raises(TypeError, lambda: nn.Dropout(0.5)),
    "repeat": lambda t: same(t.repeat(2, 1), A.repeat(2, 1)) and same(npgrad.tile(t, (1, 2)), np.tile(A, (1, 2))),
    "save": lambda t: raises(TypeError, lambda: npgrad.save({"a": 1}, "path")),
    "select": lambda t: same(npgrad.select([A > 1], [t]), np.select([A > 1], [A])) and same(t[:, 2], A[:, 2]),
    "sort": lambda t: same(t.sort(), np.sort(A)) and same(t.argsort(), np.argsort(A)),
    "split": lambda t: len(npgrad.split(t, 2, 1)) == 2 and len(npgrad.split(t, [1, 2], 1)) == 3,
    "std, var": lambda t: np.isclose(t.var().item(), A.var()) and np.isclose(t.std(ddof=1).item(), A.std(ddof=1)),
    "transpose": lambda t: t.transpose(1, 0).shape == (4, 3) and t.swapaxes(0, 1).shape == (4, 3),
    "where": lambda t: raises(TypeError, lambda: npgrad.where(A > 0)),
}


def raises(kind: type[Exception], call: Any) -> bool:
    try:
        call()
    except kind:
        return True
    return False


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_said_to_be_different_is(name: str) -> None:
    assert CLAIMS.keys() == DIFFERENT.keys() and CLAIMS[name](Tensor(A, requires_grad=True))


def test_pytorchs_transpose_is_met() -> None:
    with pytest.raises(ValueError, match=r"an order of all 3 axes; got \(0, 1\). Two axes are exchanged by swapaxes"):
        Tensor(np.zeros((2, 3, 4))).transpose(0, 1)
    assert Tensor(np.zeros((2, 3, 4))).flatten(1).shape == (2, 12)
    assert Tensor(np.zeros((0, 3, 4))).flatten(1).shape == (0, 12) and Tensor(1.0).flatten().shape == (1,)


def test_advice_is_looked_up_when_the_message_is_read() -> None:
    """`hasattr` asks for names that are not there, and pays for no advice; another process gets the message whole."""
    asked = []

    def known() -> list[str]:
        asked.append(True)
        return ["weight"]

    with pytest.raises(AttributeError) as caught:
        unknown("Module", "wieght", known)
    assert not asked
    assert str(caught.value) == "Module has no attribute 'wieght'. Did you mean 'weight'?" and asked
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
