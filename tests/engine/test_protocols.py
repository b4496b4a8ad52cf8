"""NumPy's own functions on tensors: the npgrad function of the same name, gradient included, or an error."""

from __future__ import annotations

import inspect
from operator import attrgetter
from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import Tensor
from npgrad.bindings.protocols import supported

RNG = np.random.default_rng(0)
A = RNG.uniform(0.2, 0.8, size=(3, 4))
B = RNG.uniform(0.9, 1.6, size=(3, 4))
SQUARE = RNG.normal(size=(4, 4))
DEFINITE = SQUARE @ SQUARE.T + np.eye(4)

CALLS: dict[str, tuple[Any, ...]] = {
    "matmul": (A, SQUARE),
    "concatenate": ([A, B],),
    "stack": ([A, B],),
    "split": (A, 2, 1),
    "where": (A > 0.5, A, B),
    "clip": (A, 0.3, 0.6),
    "reshape": (A, (4, 3)),
    "swapaxes": (A, 0, 1),
    "moveaxis": (A, 0, 1),
    "expand_dims": (A, 1),
    "squeeze": (A[:, None],),
    "broadcast_to": (A, (2, 3, 4)),
    "pad": (A, 1),
    "flip": (A, 1),
    "take_along_axis": (A, np.argsort(A, axis=1), 1),
    "einsum": ("ij,kj->ik", A, B),
    "cumsum": (A, 1),
    "dot": (A, SQUARE),
    "outer": (A[0], B[1]),
    "take": (A, np.array([0, 2, 2]), 0),
    "repeat": (A, 2, 0),
    "tile": (A, 2),
    "roll": (A, 1, 0),
    "astype": (A, np.float64),
    "arccosh": (A + 1,),
    "tensordot": (A, np.stack([B, A], 2)),
    "inner": (A, B),
    "vdot": (A, B),
    "hstack": ([A, B],),
    "vstack": ([A, B],),
    "dstack": ([A, B],),
    "column_stack": ([A, B],),
    "trace": (A,),
    "solve": (SQUARE, A.T),
    "inv": (SQUARE,),
    "matrix_power": (SQUARE, 3),
    "append": (A, B, 0),
    "array_split": (A, 2, 1),
    "hsplit": (A, 2),
    "vsplit": (A, 3),
    "dsplit": (np.stack([A, A], 2), 2),
    "broadcast_arrays": (A, B[0]),
    "quantile": (A, [0.1, 0.75], 1),
    "percentile": (A, 30),
    "cross": (A[:, :3], B[:, :3]),
    "convolve": (A[0], B[:, 0]),
    "correlate": (A[0], B[:, 0]),
    "kron": (A, B),
    "vecdot": (A, B),
    "multi_dot": ([A, SQUARE, A.T],),
    "det": (SQUARE,),
    "slogdet": (SQUARE,),
    "cholesky": (DEFINITE,),
    "eigh": (DEFINITE,),
    "eigvalsh": (DEFINITE,),
    "svd": (A, False),
    "lstsq": (A.T, SQUARE),
    "tensorsolve": (SQUARE.reshape(2, 2, 4), B[:2, :2]),
    "tensorinv": (SQUARE.reshape(4, 2, 2), 1),
    **({"matvec": (SQUARE, A), "vecmat": (A, SQUARE)} if hasattr(np, "matvec") else {}),
    "floor_divide": (5 * A, B),
    "corrcoef": (A, B),
    "ediff1d": (A, B[0], B[1]),
    "delete": (A, [0, 2], 1),
    "compress": (np.array([True, False, True]), A, 0),
    "extract": (A > 0.5, A),
    "choose": (np.array([1, 0, 1, 1]), [A, B]),
    "select": ([A > 0.6, A > 0.3], [A, B]),
    "block": ([[A, B[:, :2]], [B, A[:, :2]]],),
    "meshgrid": (A[0], B[0]),
    "vander": (A[0], 3),
    "rollaxis": (A, 1),
}
"""Arguments for the functions that do not simply take one or two arrays."""


def as_tensors(x: Any) -> Any:
    if isinstance(x, list):
        return [as_tensors(e) for e in x]
    return Tensor(x, requires_grad=True) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def tensors_in(arguments: Any) -> list[Tensor]:
    out: list[Tensor] = []
    for x in arguments:
        out += tensors_in(x) if isinstance(x, list) else [x] if isinstance(x, Tensor) else []
    return out


def arguments_of(f: Any) -> tuple[Any, ...]:
    name = f.__name__
    if name in CALLS:
        return CALLS[name]
    return (A, B)[: f.nin] if isinstance(f, np.ufunc) else (A,)


def numbers(result: Any) -> list[Any]:
    """One result or several, without the rank that lstsq counts."""
    return [
        y for y in (result if isinstance(result, tuple | list) else [result]) if not isinstance(y, int | np.integer)
    ]


def outcome(f: Any, arguments: Any) -> tuple[list[np.ndarray], list[Any]]:
    """Values and gradients of f, the cotangents drawn from the shapes of the values."""
    given = [as_tensors(x) for x in arguments]
    result = f(*given)
    ys = numbers(result)
    for k, y in enumerate(ys):
        assert isinstance(y, Tensor) and ys[-1].requires_grad  # the sign of slogdet has no gradient
        if y.requires_grad:
            y.backward(np.random.default_rng(k).normal(size=y.shape), retain_graph=True)
    return [y.numpy() for y in ys], [t.grad for t in tensors_in(given)]


@pytest.mark.parametrize("function", list(supported), ids=lambda f: f.__name__)
def test_numpys_function_is_ours(function: Any) -> None:
    arguments = arguments_of(function)
    theirs, grads = outcome(function, arguments)
    ours, grads2 = outcome(attrgetter(supported[function])(npgrad), arguments)
    for a, b, c in zip(theirs, ours, numbers(function(*arguments)), strict=True):
        assert np.array_equal(a, b) and a.shape == np.shape(c)
        # NumPy leaves the sign of eigenvectors open.
        size = np.abs if function in (np.linalg.eigh, np.linalg.svd, np.linalg.qr) else np.asarray
        assert np.allclose(size(a), size(c), rtol=1e-11)
    for g, h in zip(grads, grads2, strict=True):
        assert g is not None and np.array_equal(g, h)


WANTED = """
add subtract multiply divide negative power matmul exp log log1p expm1 sqrt absolute sin cos tanh maximum minimum clip
where sum mean var std max min prod cumsum reshape transpose swapaxes squeeze expand_dims broadcast_to concatenate stack
split pad flip take_along_axis einsum dot tensordot outer inner vdot square sign reciprocal log2 log10 exp2 tan sinh
cosh arcsin arccos arctan arctan2 arcsinh arccosh arctanh logaddexp hypot remainder mod repeat tile roll tril triu
diag diagonal trace hstack vstack dstack column_stack atleast_1d atleast_2d atleast_3d amax amin sort cumprod diff
nan_to_num round around rint floor ceil trunc take linalg.norm linalg.solve linalg.inv linalg.det linalg.slogdet
linalg.cholesky linalg.eigh linalg.eigvalsh linalg.svd linalg.svdvals linalg.pinv linalg.lstsq linalg.cond linalg.qr
""".split()  # noqa: SIM905


def test_every_function_numpy_has_a_name_for_is_answered() -> None:
    for name in WANTED:
        assert attrgetter(name)(np) in supported, f"np.{name} is not answered"


KEYWORDS: list[tuple[Any, dict[str, Any]]] = [
    (np.sum, {"axis": 0}),
    (np.sum, {"axis": (0, 1), "keepdims": True}),
    (np.mean, {"axis": -1, "keepdims": True}),
    (np.var, {"axis": 0, "ddof": 1}),
    (np.std, {"axis": 1, "ddof": 1, "keepdims": True}),
    (np.max, {"axis": 1}),
    (np.min, {"axis": 0, "keepdims": True}),
    (np.prod, {"axis": 1}),
    (np.cumsum, {"axis": 0}),
    (np.squeeze, {"axis": None}),
    (np.transpose, {"axes": (1, 0)}),
    (np.flip, {"axis": 0}),
]


@pytest.mark.parametrize(("function", "options"), KEYWORDS, ids=lambda x: getattr(x, "__name__", None))
def test_numpys_keywords(function: Any, options: Any) -> None:
    x = Tensor(A, requires_grad=True)
    y = function(x, **options)
    assert isinstance(y, Tensor) and np.allclose(y.numpy(), function(A, **options), rtol=1e-13)
    assert y.shape == np.shape(function(A, **options))


POSITIONAL: list[tuple[Any, tuple[Any, ...]]] = [
    (np.sum, (0, None, None, True)),
    (np.mean, (1, None, None, True)),
    (np.prod, (1, None, None, True)),
    (np.var, (0, None, None, 1)),
    (np.std, (0, None, None, 1, True)),
    (np.max, (0, None, True)),
    (np.min, (0, None, True)),
    (np.cumsum, (0, None, None)),
    (np.clip, (0.3, 0.6, None)),
    (np.moveaxis, (0, 1)),
    (np.split, (2, 1)),
]


@pytest.mark.parametrize(("function", "arguments"), POSITIONAL, ids=lambda x: getattr(x, "__name__", None))
def test_numpys_order_of_arguments(function: Any, arguments: Any) -> None:
    ours, plain = function(Tensor(A, requires_grad=True), *arguments), function(A, *arguments)
    for y, z in zip(ours, plain, strict=True) if isinstance(ours, list) else [(ours, plain)]:
        assert y.requires_grad and y.shape == np.shape(z) and np.allclose(y.numpy(), z, rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda x: np.sum(x, 0, np.float32), "np.sum .*dtype="),
        (lambda x: np.sum(x, 0, None, np.zeros(4)), "np.sum .*out="),
        (lambda x: np.sum(x, where=A > 0.5), "np.sum .*where="),
        (lambda x: np.max(x, initial=3.0), "np.max .*initial="),
        (lambda x: np.linalg.trace(x, dtype=np.float32), "np.linalg.trace .*dtype="),
        (lambda x: np.stack([x, x], out=np.zeros((2, 3, 4))), "np.stack .*out="),
        (lambda x: np.exp(x, where=A > 0.5), "np.exp .*where="),
        (lambda x: np.add(x, x, out=np.zeros((3, 4))), "np.add .*out="),
        (lambda x: np.add.reduce(x), "np.add.reduce has no gradient"),
        (lambda x: np.less(A, 0.5, out=x), "np.less .*out="),
        (lambda x: np.isnan(A, where=x), "np.isnan .*where="),
        (lambda x: np.full_like(A, x), "gradient"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_options_that_would_lose_the_gradient_are_named(call: Any, named: str) -> None:
    with pytest.raises(TypeError, match=named):
        call(Tensor(A, requires_grad=True))


def test_joining_functions_take_lists_of_both() -> None:
    x = Tensor(A, requires_grad=True)
    for f, options in ((np.concatenate, {"axis": 1}), (np.stack, {"axis": 0})):
        y = f([B, x, A], **options)
        assert isinstance(y, Tensor) and np.array_equal(y.numpy(), f([B, A, A], **options))
        x.grad = None
        y.sum().backward()
        assert np.array_equal(x.grad, np.ones_like(A))


@pytest.mark.parametrize("operation", ["+", "-", "*", "/", "//", "**", "@"])
def test_arrays_on_the_left_make_tensors(operation: str) -> None:
    x = Tensor(SQUARE + 5, requires_grad=True)
    y = eval(f"a {operation} x", {"a": np.abs(SQUARE) + 0.5, "x": x})
    assert isinstance(y, Tensor) and y.shape == (4, 4) and y.requires_grad
    z = eval(f"a {operation} x", {"a": np.float64(2.0), "x": x}) if operation != "@" else y
    assert isinstance(z, Tensor) and z.shape == (4, 4)


@pytest.mark.parametrize("name", ["linalg.eigvals", "linalg.eig", "fft.fft", "interp", "unique"])
def test_unsupported_functions_name_themselves(name: str) -> None:
    function: Any = np
    for part in name.split("."):
        function = getattr(function, part)
    x = Tensor(SQUARE, requires_grad=True)
    arguments = (x, x[0], x[1]) if name == "interp" else (x,)
    with pytest.raises(TypeError, match=rf"^np\.{name} has no gradient rule"):
        function(*arguments)


WITHOUT_GRADIENT: dict[str, tuple[Any, ...]] = {
    "logical_not": (SQUARE,), "logical_xor": (SQUARE, SQUARE.T), "isin": (SQUARE, [SQUARE[0, 0]]),
    "searchsorted": (np.sort(SQUARE[0]), SQUARE[1]), "digitize": (SQUARE, [0.0, 0.5]), "nanargmax": (SQUARE, 1),
    "lexsort": ((SQUARE[0], SQUARE[1]),), "tril_indices_from": (SQUARE,), "result_type": (SQUARE, np.float32),
    "common_type": (SQUARE, SQUARE), "isreal": (SQUARE,), "can_cast": (SQUARE, np.float32), "array2string": (SQUARE,),
    "linalg.matrix_rank": (SQUARE,),
}  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT_GRADIENT)
def test_truth_places_and_names_are_numpys_own(name: str) -> None:
    def tensors(x: Any) -> Any:
        return tuple(map(tensors, x)) if isinstance(x, tuple) else Tensor(x) if isinstance(x, np.ndarray) else x

    function = attrgetter(name)(np)
    ours, theirs = function(*tensors(WITHOUT_GRADIENT[name])), function(*WITHOUT_GRADIENT[name])
    assert type(ours) is type(theirs) and np.array_equal(ours, theirs)


def test_an_option_that_says_what_holds_anyway_is_taken() -> None:
    x = Tensor(SQUARE, requires_grad=True)
    assert np.vstack([x, x], casting="same_kind").requires_grad
    with pytest.raises(TypeError, match="does not take casting="):
        np.vstack([x, x], casting="unsafe")


def test_a_function_with_another_name_says_which() -> None:
    with pytest.raises(TypeError, match=r"^np\.float_power has no gradient rule in npgrad: use x\.astype"):
        np.float_power(Tensor(SQUARE), 2)


def test_no_numpy_function_gives_silent_nonsense() -> None:
    """Whatever in NumPy accepts one array either differentiates, answers without a gradient by nature, or raises."""
    x = Tensor(SQUARE + 5.0, requires_grad=True)
    harmless = {"array_repr", "array_str", "array2string"}
    for name in sorted(dir(np)):
        function = getattr(np, name)
        if name.startswith("_") or not callable(function) or isinstance(function, type) or name in harmless:
            continue
        dispatched = isinstance(function, np.ufunc) or hasattr(function, "__wrapped__") or inspect.isbuiltin(function)
        if not dispatched:
            continue
        try:
            result = function(x)
        except Exception:
            continue
        results = result if isinstance(result, tuple | list) else [result]
        if all(isinstance(r, Tensor) and r.requires_grad for r in results):
            continue
        kinds = {np.asarray(r).dtype.kind for r in results}
        constant = {"zeros_like", "ones_like", "empty_like", "full_like"}
        assert kinds <= set("biuUSO") or name in constant, f"np.{name} dropped the gradient: {result!r}"


def test_comparisons_and_indices_give_arrays() -> None:
    x = Tensor(A, requires_grad=True)
    assert np.array_equal(np.argmax(x, axis=1), np.argmax(A, axis=1))
    assert np.array_equal(np.greater(x, 0.5), A > 0.5) and np.array_equal(np.isnan(x), np.isnan(A))
    assert np.shape(x) == (3, 4) and np.ndim(x) == 2 and np.size(x) == 12
    assert np.zeros_like(x).shape == (3, 4) and np.allclose(x, A)
    assert npgrad.Tensor(A).shape == np.shape(A)
