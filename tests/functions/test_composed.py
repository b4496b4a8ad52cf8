"""Functions that are put together from others: values as NumPy's or PyTorch's, gradients as differences say."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.exceptions import AxisError

import npgrad
from npgrad import Tensor
from npgrad.check import gradcheck
from npgrad.engine.tensor import raw
from npgrad.nn import functional as F
from tests.strategies import FLOATS, arrays, shapes

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 3, 4))
LONG = RNG.normal(size=7)
PLACES = np.array([0.0, 0.3, 1.0, 1.2])
WITH_NAN = np.where(RNG.random((3, 4)) < 0.3, np.nan, A)
CUBE = RNG.normal(size=(2, 3, 4))
SOLVABLE = np.random.default_rng(3).normal(size=(6, 6)) + 4 * np.eye(6)
NEAR_ZERO = np.array([0.0, 1e-300, -1e-15, 1e-8, -1e-4, 0.07, 0.0796])

AS_IN_NUMPY: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("append", (A, B), {}),
    ("append", (A, B), {"axis": 1}),
    ("array_split", (LONG, 3), {}),
    ("array_split", (CUBE, 3), {"axis": 2}),
    ("array_split", (LONG, [2, 5]), {}),
    ("array_split", (LONG, np.int64(3)), {}),
    ("hsplit", (LONG, [3]), {}),
    ("unstack", (CUBE,), {"axis": 1}),
    ("broadcast_arrays", (A, B[:, :1], LONG[0]), {}),
    *[("rot90", (CUBE, k), {"axes": (1, 2)}) for k in range(-1, 4)],
    ("fliplr", (CUBE,), {}),
    ("matrix_transpose", (CUBE,), {}),
    ("average", (A,), {"weights": np.abs(B)}),
    ("average", (CUBE,), {"axis": np.int64(1), "weights": np.array([1.0, 2.0, 0.5]), "keepdims": True}),
    ("ptp", (CUBE,), {"axis": (0, 2)}),
    ("nansum", (WITH_NAN,), {"axis": 0}),
    ("nanmean", (WITH_NAN,), {"axis": 1, "keepdims": True}),
    ("quantile", (CUBE, [0.0, 0.3, 1.0]), {"axis": 1}),
    ("quantile", (LONG, 0.4), {"keepdims": True}),
    *[("quantile", (LONG, [0.1, 0.5, 0.25]), {"method": m}) for m in ("lower", "higher", "nearest", "midpoint")],
    ("percentile", (A, 37.0), {"axis": 0, "keepdims": True}),
    ("median", (CUBE,), {"axis": -1, "keepdims": True}),
    ("median", (A,), {}),
    ("trapezoid", (A,), {"dx": 0.3}),
    ("trapezoid", (CUBE, np.array([0.0, 0.4, 1.0])), {"axis": 1}),
    ("vecdot", (CUBE, A), {}),
    ("cross", (A.T, B.T), {}),
    ("cross", (A, B.T), {"axisa": 0, "axisc": 0}),
    ("cross", (CUBE, A[:3, None]), {"axisa": 1, "axisb": 0, "axisc": 1}),
    *[
        (f, pair, {"mode": mode})
        for f in ("convolve", "correlate")
        for mode in ("valid", "same", "full")
        for pair in ((LONG, A[0]), (A[:, 0], LONG), (LONG, A[:, 0]), (A[0], A[:, 0]))
    ],
    ("convolve", (LONG, A[0]), {}),
    ("correlate", (LONG, A[0]), {}),
    ("kron", (A, LONG[:2]), {}),
    ("kron", (LONG[:3], CUBE), {}),
    ("fmod", (5 * A, B), {}),
    ("fmax", (WITH_NAN, B), {}),
    ("fmin", (B, WITH_NAN), {}),
    ("logaddexp2", (A, B), {}),
    ("degrees", (A,), {}),
    ("deg2rad", (A,), {}),
    ("diff", (A,), {"n": 0, "prepend": 1.0}),
    *[("pad", (CUBE, [(0, 0), (2, 1), (0, 3)]), {"mode": m}) for m in ("edge", "reflect", "symmetric", "wrap")],
    *[("linalg.vector_norm", (CUBE,), {"axis": (0, 2), "ord": p}) for p in (0, 1, 2, 3, -1.5, np.inf)],
    ("linalg.matrix_norm", (CUBE,), {"ord": 1}),
    ("linalg.matrix_power", (A[:, :3], 3), {}),
    ("linalg.matrix_power", (A[:, :3], -2), {}),
    ("linalg.matrix_power", (A[:, :3], 0), {}),
    ("linalg.multi_dot", ([A, B.T, A],), {}),
    ("linalg.diagonal", (CUBE,), {"offset": 1}),
    ("linalg.trace", (CUBE,), {"offset": -1}),
    ("linalg.matrix_transpose", (CUBE,), {}),
    ("linalg.cross", (A, B), {"axis": 0}),
    ("linalg.tensorsolve", (SOLVABLE.reshape(2, 3, 3, 2), A[:2, :3]), {}),
    ("linalg.tensorsolve", (SOLVABLE.reshape(2, 3, 3, 2), LONG[:6].reshape(3, 2)), {"axes": (1, 0)}),
    ("linalg.tensorinv", (SOLVABLE.reshape(6, 2, 3),), {"ind": 1}),
    ("copy", (A.T,), {"order": "F"}),
    ("sinc", (3 * CUBE,), {}),
    ("sinc", (NEAR_ZERO,), {}),
    ("cbrt", (CUBE,), {}),
    ("copysign", (A, CUBE), {}),
    ("heaviside", (A, B[:1]), {}),
    ("floor_divide", (5 * A, LONG[:4]), {}),
    ("modf", (5 * A,), {}),
    ("cov", (A,), {}),
    ("cov", (LONG,), {"ddof": 0}),
    ("cov", (A.T, B[:2].T), {"rowvar": False, "bias": True}),
    ("cov", (A,), {"aweights": np.abs(LONG[:4]), "fweights": np.array([1, 0, 3, 2])}),
    ("cov", (A,), {"aweights": np.abs(LONG[:4]), "ddof": 2}),
    ("corrcoef", (A, B[0]), {}),
    ("ediff1d", (CUBE, A, LONG), {}),
    ("gradient", (CUBE,), {}),
    ("gradient", (CUBE, 0.3), {"axis": -1, "edge_order": 2}),
    ("gradient", (CUBE, 0.5, 2), {"axis": (2, 1)}),
    *[("gradient", (A, PLACES[:3], PLACES), {"edge_order": order}) for order in (1, 2)],
    ("gradient", (CUBE, 0.5, PLACES), {"axis": (0, 2)}),
    ("gradient", (A, PLACES), {"axis": 1}),
    ("diagflat", (A, -2), {}),
    ("vander", (LONG,), {}),
    ("vander", (LONG, 3), {"increasing": True}),
    ("vander", (LONG * 0,), {"N": 2}),
    ("block", ([[A, B], [CUBE[0], CUBE[1]]],), {}),
    ("block", ([A[0], LONG],), {}),
    ("meshgrid", (LONG, A[0]), {}),
    ("meshgrid", (LONG, A[0], B[0]), {"indexing": "ij", "sparse": True}),
    ("meshgrid", (LONG, A[0]), {"copy": False}),
    ("meshgrid", (LONG,), {}),
    ("rollaxis", (CUBE, 2), {}),
    ("rollaxis", (CUBE, 0), {"start": 3}),
    *[(f"nan{f}", (WITH_NAN,), {"axis": axis}) for f in ("max", "min", "prod", "var", "std") for axis in (None, 1)],
    ("nanvar", (WITH_NAN,), {"axis": 0, "ddof": 1, "keepdims": True}),
    ("nancumsum", (WITH_NAN,), {"axis": 1}),
    ("nancumprod", (WITH_NAN,), {}),
    ("select", ([A > 0.5, B > 0], [A, B]), {"default": LONG[:4]}),
    ("choose", (np.array([1, 0, 1, 1]), [A, B]), {}),
    ("compress", ([True, False, True], CUBE), {"axis": 2}),
    ("extract", (B > 0, A), {}),
    ("delete", (CUBE, slice(1, 3)), {"axis": -1}),
    ("delete", (A, [0, -1]), {}),
    *[(f, (CUBE, A[0]), {}) for f in ("matvec",) if hasattr(np, f)],
    *[(f, (A[:, :3], CUBE[0]), {}) for f in ("vecmat",) if hasattr(np, f)],
]


def find(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part)
    return module


def floats(x: Any) -> list[np.ndarray]:
    """The arrays of floating-point numbers in lists of lists."""
    if isinstance(x, list | tuple):
        return [a for each in x for a in floats(each)]
    return [x] if isinstance(x, np.ndarray) and x.dtype.kind == "f" else []


def replaced(x: Any, tensors: Iterator[Tensor]) -> Any:
    """`x` with its arrays of floating-point numbers replaced by tensors, which stay nan where an array is."""
    if isinstance(x, list | tuple):
        return [replaced(each, tensors) for each in x]
    if not floats(x):
        return x
    return npgrad.where(np.isnan(x), np.nan, next(tensors)) if np.isnan(x).any() else next(tensors)


@pytest.mark.parametrize(("name", "arguments", "options"), AS_IN_NUMPY, ids=lambda x: x if isinstance(x, str) else "")
def test_as_in_numpy(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    theirs = find(np, name)(*arguments, **options)
    ours = find(npgrad, name)(*arguments, **options)
    pairs = zip(ours, theirs, strict=True) if isinstance(ours, tuple | list) else [(ours, theirs)]
    for a, b in pairs:
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-12, atol=1e-13)
        assert a.shape == np.shape(b)

    def call(*tensors: Tensor) -> Any:
        y = find(npgrad, name)(*replaced(arguments, iter(tensors)), **options)
        weights = np.random.default_rng(1)
        return sum((z * weights.normal(size=z.shape)).sum() for z in (y if isinstance(y, tuple | list) else [y]))

    gradcheck(call, [Tensor(np.nan_to_num(a), requires_grad=True) for a in floats(arguments)])


def test_nan_receives_no_gradient() -> None:
    for name, share in (("nansum", 1), ("nanmean", 1 / np.sum(~np.isnan(WITH_NAN), 1, keepdims=True))):
        x = Tensor(WITH_NAN, requires_grad=True)
        find(npgrad, name)(x, axis=1).sum().backward()
        np.testing.assert_allclose(x.grad, np.where(np.isnan(WITH_NAN), 0, share))


Y = np.where(RNG.random((3, 4)) < 0.5, 1.0, -1.0)
CLASSES = np.array([0, 3, 1])
FAR = np.where(np.abs(A) < 0.1, 0.3, 2 * A)

AS_IN_TORCH: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("hardtanh", (FAR,), {"min_val": -0.7}),
    ("relu6", (4 * FAR,), {}),
    ("hardsigmoid", (3 * FAR,), {}),
    ("hardswish", (3 * FAR,), {}),
    ("hardshrink", (FAR,), {}),
    ("softshrink", (FAR,), {"lambd": 0.3}),
    ("tanhshrink", (A,), {}),
    ("threshold", (FAR, 0.2, -3.0), {}),
    ("glu", (A,), {"dim": -1}),
    ("softmin", (A,), {"dim": 0}),
    ("normalize", (A,), {"p": 3.0, "dim": 0}),
    ("cosine_similarity", (A, B[:1]), {"dim": 0}),
    ("pairwise_distance", (A, B), {"p": 1.0, "keepdim": True}),
    ("soft_margin_loss", (A, Y), {}),
    ("hinge_embedding_loss", (np.abs(A), Y), {"margin": 0.6}),
    ("margin_ranking_loss", (A, B, Y), {"margin": 0.2, "reduction": "none"}),
    ("cosine_embedding_loss", (A, B, Y[:, 0]), {"reduction": "none"}),
    ("triplet_margin_loss", (A, B, B[::-1]), {"swap": True}),
    ("triplet_margin_loss", (A, B, B[::-1]), {"p": 1.0, "reduction": "sum"}),
    ("multi_margin_loss", (A, CLASSES), {"p": 2, "weight": np.array([0.2, 1.0, 2.0, 3.0])}),
    ("multilabel_soft_margin_loss", (A, np.maximum(Y, 0)), {"weight": np.array([0.2, 1.0, 2.0, 3.0])}),
    ("poisson_nll_loss", (A, np.round(np.abs(3 * B))), {"full": True}),
    ("poisson_nll_loss", (np.abs(A), np.round(np.abs(3 * B))), {"log_input": False, "reduction": "none"}),
    ("gaussian_nll_loss", (A, B, np.abs(B[:, :1]) + 0.1), {"full": True}),
    ("gaussian_nll_loss", (A, B, np.abs(B[:, 0])), {"eps": 0.5, "reduction": "sum"}),
    ("pad", (CUBE[None], (2, 1, 0, 2), "replicate"), {}),
    ("pad", (CUBE[None], (1, 1, 2, 0), "circular"), {}),
    ("pad", (CUBE, (-1, 2, 1, -2), "constant", 3.0), {}),
    ("adaptive_max_pool2d", (CUBE, (2, 3)), {}),
    ("adaptive_max_pool1d", (CUBE, 3), {}),
    ("adaptive_avg_pool3d", (CUBE[None], (2, 2, 3)), {}),
    ("max_pool3d", (CUBE[None], 2), {"stride": 1}),
    ("avg_pool3d", (CUBE[None], (1, 2, 2)), {"padding": (0, 1, 1), "divisor_override": 3}),
    ("conv3d", (CUBE[None], RNG.normal(size=(2, 1, 2, 1, 3))), {"padding": 1}),
    ("conv_transpose3d", (CUBE[None], RNG.normal(size=(1, 2, 2, 1, 3))), {"stride": 2}),
]


@pytest.mark.parametrize(("name", "arguments", "options"), AS_IN_TORCH, ids=lambda x: x if isinstance(x, str) else "")
def test_as_in_torch(torch: Any, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    given = [torch.tensor(np.array(a)) if isinstance(a, np.ndarray) else a for a in arguments]
    told = {n: torch.tensor(v) if isinstance(v, np.ndarray) else v for n, v in options.items()}
    given[0].requires_grad_()
    theirs = getattr(torch.nn.functional, name)(*given, **told)
    x = Tensor(arguments[0], requires_grad=True)
    ours = getattr(F, name)(x, *arguments[1:], **options)
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-12, atol=1e-13)
    dy = np.random.default_rng(2).normal(size=ours.shape)
    ours.backward(dy)
    theirs.backward(torch.tensor(dy))
    # torch has the slope of hardsigmoid in float32.
    rtol = 1e-7 if name == "hardsigmoid" else 1e-11
    np.testing.assert_allclose(x.grad, given[0].grad.numpy(), rtol=rtol, atol=1e-13)


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: npgrad.quantile(LONG, 1.5), "shares in"),
    (lambda: npgrad.quantile(LONG, 0.5, method="weibull"), "method='weibull'"),
    (lambda: npgrad.average(CUBE, 1, weights=[1.0, 2.0]), "weights of shape"),
    (lambda: npgrad.cross(A, B), "length 3"),
    (lambda: npgrad.linalg.matrix_power(A, 2), "square"),
    (lambda: npgrad.hardtanh(A, 2.0, 1.0), "min_val=2.0 above"),
    (lambda: npgrad.softshrink(A, -1.0), "negative"),
    (lambda: npgrad.gaussian_nll_loss(A, B, -1.0), "negative variance"),
    (lambda: npgrad.soft_margin_loss(A[:0], Y[:0]), "the mean of no numbers"),
    (lambda: npgrad.margin_ranking_loss(A, B, Y, reduction="all"), "reduction must be"),
    (lambda: npgrad.adaptive_max_pool2d(CUBE, (1, 2, 3)), "one for each axis"),
    (lambda: npgrad.max_pool2d(CUBE, 2, padding=(1, 1, 1)), "got padding=.*, or 2 of them"),
    (lambda: npgrad.max_pool2d(CUBE, None), "max_pool2d got kernel_size=None. Pass an integer of at least 1"),
    (lambda: npgrad.conv1d(CUBE, np.ones((2, 3, 2)), stride=None), "conv got stride=None. Pass an integer"),
    (lambda: npgrad.conv1d(CUBE, np.ones((2, 3, 2)), stride=1.5), "conv got stride=1.5. Pass an integer"),
    (lambda: npgrad.avg_pool2d(CUBE, 2, divisor_override=0), "divisor_override=0"),
    (lambda: npgrad.array_split(LONG, 0), "1 or more sections"),
    (lambda: npgrad.cov(CUBE), "cov takes a vector or a matrix; got 3 axes"),
    (lambda: npgrad.cov(A, aweights=LONG), "cov takes weights that are vectors of 4 numbers"),
    (lambda: npgrad.cov(A, fweights=[1, 2, -1, 1]), "none of them negative"),
    (lambda: npgrad.choose([1, -1], [A[:, :2], 0.0]), "from -1 to 1 for 2 choices"),
    (lambda: npgrad.choose([0, 2], [A[:, :2], 0.0]), "from 0 to 2 for 2 choices"),
    (lambda: npgrad.gradient(A, LONG), "a vector of places"),
    (lambda: npgrad.gradient(CUBE, 1.0, 2.0), "one for each of 3 axes"),
    (lambda: npgrad.gradient(A, edge_order=3), "edge_order 1 or 2"),
    (lambda: npgrad.gradient(A[:1]), "needs 2 entries along each axis"),
    (lambda: npgrad.vander(A), "powers of a vector"),
    (lambda: npgrad.block([[A], B]), "equally deep"),
    (lambda: npgrad.block([A, []]), "equally deep"),
    (lambda: npgrad.block([]), "not empty"),
    (lambda: npgrad.meshgrid(A[0], indexing="yx"), 'indexing="xy" or "ij"'),
    (lambda: npgrad.select([A > 0], [A, B]), "1 conditions for 2 choices"),
    (lambda: npgrad.select([], []), "0 conditions"),
    (lambda: npgrad.linalg.tensorinv(SOLVABLE, 0), "at least 1"),
    (lambda: npgrad.rot90(A, axes=(0, -2)), "repeated axis"),
    (lambda: npgrad.multi_margin_loss(CUBE, np.zeros((2, 4), int)), "scores of shape"),
    (lambda: npgrad.soft_margin_loss(A, Y[:, :1]), "compares equal shapes"),
    (lambda: npgrad.margin_ranking_loss(A, B, Y[0]), "compares equal shapes"),
    (lambda: npgrad.cosine_embedding_loss(A, B, Y[:, :1]), "compares equal shapes"),
    (
        lambda: npgrad.multi_margin_loss(A, CLASSES, weight=Tensor(np.ones(4), requires_grad=True)),
        "no gradient with respect to class weights",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_cannot_be(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("t", [-1, 4])
def test_a_class_that_is_not_there(t: int) -> None:
    with pytest.raises(IndexError, match=f"target class of {t}; with 4 classes"):
        npgrad.multi_margin_loss(A, np.array([0, t, 1]))
    with pytest.raises(IndexError, match=f"no row padding_idx={t if t > 0 else -5}"):
        npgrad.functions.embedding(A.T, np.array([0]), padding_idx=t if t > 0 else -5)


F32 = A.astype(np.float32)
SIGNS = Y.astype(int)
IN_SINGLE: list[tuple[Callable[..., Tensor], tuple[Any, ...]]] = [
    (npgrad.soft_margin_loss, (SIGNS,)),
    (npgrad.hinge_embedding_loss, (SIGNS,)),
    (npgrad.margin_ranking_loss, (2 * F32, SIGNS)),
    (npgrad.cosine_embedding_loss, (2 * F32, SIGNS[:, 0])),
    (lambda x: npgrad.multi_margin_loss(x, CLASSES, weight=np.arange(1.0, 5.0)), ()),
    (lambda x, y: npgrad.multilabel_soft_margin_loss(x, y, weight=np.arange(1.0, 5.0)), (SIGNS > 0,)),
    (npgrad.poisson_nll_loss, (abs(SIGNS),)),
    (npgrad.gaussian_nll_loss, (SIGNS, 1.0)),
    (npgrad.nanmean, (1,)),
    (npgrad.median, ()),
    (npgrad.sinc, ()),
    (npgrad.cbrt, ()),
    (npgrad.copy, ()),
    (npgrad.copysign, (-1.0,)),
    (npgrad.heaviside, (0.5,)),
    (npgrad.floor_divide, (2.0,)),
    (lambda x: npgrad.modf(x)[0], ()),
    (npgrad.corrcoef, ()),
    (lambda x: npgrad.cov(x, fweights=[1, 2, 3, 4], aweights=LONG[:4] ** 2), ()),
    (npgrad.nanmax, (1,)),
    (npgrad.nanstd, (0, 1)),
    (npgrad.nanprod, ()),
    (lambda x: npgrad.gradient(x, 0.5, axis=0), ()),
    (lambda x: npgrad.vander(x[0]), ()),
    (lambda x: npgrad.select([F32 > 0], [x]), ()),
    (lambda x: npgrad.linalg.matrix_power(x[:, :3], 0), ()),
    (lambda x: npgrad.scaled_dot_product_attention(x, x, x, np.zeros((3, 3))), ()),
]


@pytest.mark.parametrize(("function", "rest"), IN_SINGLE)
def test_single_precision_stays(function: Callable[..., Tensor], rest: tuple[Any, ...]) -> None:
    """Whatever the dtype of targets, weights, masks and numbers beside it."""
    assert function(Tensor(F32), *rest).dtype == np.float32


def test_sizes_may_be_an_array() -> None:
    W = RNG.normal(size=(2, 3, 2, 2))
    for size in ((1, 2), np.array([1, 2]), [1, np.int64(2)]):
        assert np.array_equal(npgrad.max_pool2d(CUBE, size).numpy(), npgrad.max_pool2d(CUBE, (1, 2)).numpy())
        y = npgrad.conv2d(CUBE[None].swapaxes(1, 2), W, stride=size)
        assert np.array_equal(y.numpy(), npgrad.conv2d(CUBE[None].swapaxes(1, 2), W, stride=(1, 2)).numpy())


def test_targets_have_gradients_where_the_loss_has_slopes() -> None:
    for loss in (npgrad.soft_margin_loss, npgrad.multilabel_soft_margin_loss, npgrad.poisson_nll_loss):
        gradcheck(loss, [Tensor(A, requires_grad=True), Tensor(np.abs(B), requires_grad=True)])
    gradcheck(lambda y: npgrad.margin_ranking_loss(A, B, y, 9.0), [Tensor(Y, requires_grad=True)])


def test_quantiles_of_integers_lie_between_them() -> None:
    for q in (0.0, 0.3, 0.5, 1.0):
        assert npgrad.quantile(np.array([1, 4, 2]), q).item() == np.quantile([1, 4, 2], q)


@pytest.mark.parametrize(
    "function",
    [
        npgrad.hardtanh, npgrad.relu6, npgrad.hardsigmoid, npgrad.hardswish, npgrad.hardshrink, npgrad.softshrink,
        npgrad.tanhshrink, lambda x: npgrad.threshold(x, 0.0, 5.0), lambda x: npgrad.linalg.vector_norm(x, ord=3),
        lambda x: npgrad.linalg.vector_norm(x, ord=-1),
    ],
)  # fmt: skip
def test_nan_is_not_hidden(function: Callable[[Any], Tensor]) -> None:
    assert np.isnan(function(np.array([np.nan, 1.0])).numpy()).any()


@pytest.mark.parametrize("p", [0.5, 1.5, 3, -1, -0.5])
def test_a_norm_of_0_has_gradient_0(p: float) -> None:
    x = Tensor(np.array([[0.0, 0.0], [3.0, -4.0]]), requires_grad=True)
    y = npgrad.linalg.norm(x, p, axis=1)
    y.sum().backward()
    alone = Tensor(x.numpy()[1], requires_grad=True)
    npgrad.linalg.norm(alone, p).backward()
    assert y[0].item() == 0 and np.array_equal(x.grad, [[0, 0], alone.grad])


def test_the_row_of_the_padding_receives_no_gradient(torch: Any) -> None:
    table, indices = RNG.normal(size=(4, 3)), np.array([[0, 3, 1], [3, 2, 0]])
    x, dy = Tensor(table, requires_grad=True), RNG.normal(size=(2, 3, 3))
    y = F.embedding(indices, x, padding_idx=-1)
    y.backward(dy)
    theirs = torch.tensor(table, requires_grad=True)
    torch.nn.functional.embedding(torch.tensor(indices), theirs, padding_idx=-1).backward(torch.tensor(dy))
    assert np.array_equal(y.numpy(), table[indices]) and np.array_equal(x.grad[3], np.zeros(3))
    np.testing.assert_allclose(x.grad, theirs.grad.numpy(), rtol=1e-13)


OF_ANY_SHAPE: dict[str, Callable[[Any, Any, int], Any]] = {
    **{name: lambda np, x, axis, name=name: getattr(np, name)(x) for name in ("copy", "sinc", "cbrt", "modf")},
    **{name: lambda np, x, axis, name=name: getattr(np, name)(x) for name in ("diagflat", "vander", "ediff1d", "cov")},
    **{
        f"nan{name}": lambda np, x, axis, name=name: getattr(np, f"nan{name}")(with_nan(x), axis=axis)
        for name in ("max", "min", "prod", "sum", "mean", "var", "std", "cumsum", "cumprod")
    },
    "copysign": lambda np, x, axis: np.copysign(x, -x),
    "heaviside": lambda np, x, axis: np.heaviside(x, 0.5),
    "floor_divide": lambda np, x, axis: np.floor_divide(x, 0.3),
    "gradient": lambda np, x, axis: np.gradient(x, axis=axis),
    "gradient of second order": lambda np, x, axis: np.gradient(x, 0.5, axis=axis, edge_order=2),
    "corrcoef": lambda np, x, axis: np.corrcoef(x, rowvar=axis > 0),
    "extract": lambda np, x, axis: np.extract(x > 0, x),
    "compress": lambda np, x, axis: np.compress([k != 1 for k in range(x.shape[axis])], x, axis),
    "delete": lambda np, x, axis: np.delete(x, [0], axis),
    "rollaxis": lambda np, x, axis: np.rollaxis(x, axis, 1),
    "block": lambda np, x, axis: np.block([[x, x], [x, x]]),
    "meshgrid": lambda np, x, axis: np.meshgrid(x, x[:1])[0],
    "select": lambda np, x, axis: np.select([x > 1, x > 0], [x, -x]),
    "choose": lambda np, x, axis: np.choose([1], [x, -x]),
    "linalg.diagonal": lambda np, x, axis: np.linalg.diagonal(x, offset=axis),
}


def with_nan(x: Any) -> Any:
    """`x` with nan in the place of what is small."""
    small = np.abs(raw(x)) < 0.5
    return npgrad.where(small, np.nan, x) if isinstance(x, Tensor) else np.where(small, np.nan, x)


@given(st.sampled_from(sorted(OF_ANY_SHAPE)), shapes(empty=True), FLOATS, st.integers(-1, 1), st.data())
def test_of_any_shape_and_dtype(name: str, shape: Any, dtype: Any, axis: int, data: st.DataObject) -> None:
    """As NumPy, empty or not, in any precision; what it refuses is refused."""
    call, x = OF_ANY_SHAPE[name], data.draw(arrays(shape, dtype))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs = call(np, x, axis)
        except (ValueError, IndexError):
            with pytest.raises((ValueError, IndexError)):
                call(npgrad, Tensor(x), axis)
            return
        ours = call(npgrad, Tensor(x, requires_grad=True), axis)
    rtol = {2: 5e-3, 4: 1e-5, 8: 1e-11}[np.dtype(dtype).itemsize]
    pairs = zip(ours, theirs, strict=True) if isinstance(theirs, tuple | list) else [(ours, theirs)]
    for y, z in pairs:
        assert y.shape == np.shape(z) and y.dtype == dtype
        np.testing.assert_allclose(y.numpy(), z, rtol=rtol, atol=rtol)


AT_KINKS: list[tuple[Callable[..., Tensor], Any, Any, Any]] = [
    (npgrad.sinc, [0.0, -0.0], [1, 1], [0, 0]),
    (npgrad.cbrt, [0.0, 27.0], [0, 3], [np.inf, 1 / 27]),
    (lambda x: npgrad.copysign(x, [-0.0, np.nan, -3.0]), [2.0, 0.0, 0.0], [-2, 0, 0], [-1, 0, 0]),
    (lambda x: npgrad.copysign(5.0, x), [0.0, -0.0, 1.0], [5, -5, 5], [0, 0, 0]),
    (lambda x: npgrad.heaviside(x, 0.3), [0.0, np.inf, -1.0], [0.3, 1, 0], [0, 0, 0]),
    (lambda x: npgrad.floor_divide(x, 0.1), [1.0, np.inf, -0.05], [9, np.nan, -1], [0, 0, 0]),
    (lambda x: npgrad.modf(x)[0], [np.inf, -2.5, -0.0], [0, -0.5, 0], [0, 1, 1]),
    (npgrad.nanstd, [2.0, 2.0, np.nan], 0, [0, 0, 0]),
    (npgrad.nanvar, [2.0, np.nan, 2.0], 0, [0, 0, 0]),
    (npgrad.nanmax, [2.0, np.nan, 2.0], 2, [0.5, 0, 0.5]),
    (npgrad.nanmin, [np.nan, np.nan], np.nan, [0, 0]),
    (npgrad.nanprod, [0.0, np.nan, 3.0], 0, [3, 0, 0]),
    (npgrad.nanmax, [-np.inf, np.nan], -np.inf, None),
    (lambda x: npgrad.vander(x, 3), [0.0], [[0, 0, 1]], [1]),
    (lambda x: npgrad.vander(x, 0), [2.0], np.zeros((1, 0)), [0]),
    (npgrad.ediff1d, [3.0], [], [0]),
    (npgrad.diagflat, [], np.zeros((0, 0)), []),
    (lambda x: npgrad.compress([False], x), [3.0], [], [0]),
    (lambda x: npgrad.corrcoef([x[:2], x[2:]]), [1.0, 2.0, 3.0, 5.0], np.ones((2, 2)), None),
]


@pytest.mark.parametrize(("function", "x", "value", "slope"), AT_KINKS)
def test_at_kinks_and_of_nothing(function: Callable[..., Tensor], x: Any, value: Any, slope: Any) -> None:
    t = Tensor(np.array(x, float), requires_grad=True)
    with np.errstate(all="ignore"):
        y = function(t)
        y.backward(np.ones(y.shape))
    np.testing.assert_allclose(y.numpy(), value, rtol=1e-14)
    if slope is not None:
        np.testing.assert_allclose(t.grad, slope, rtol=1e-14)


def test_what_is_said_of_constants_comes_with_numpys_warnings() -> None:
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="degrees of freedom"):
        assert np.isnan(npgrad.cov([[3.0]]).numpy())
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert np.isnan(npgrad.corrcoef([[1.0, 1.0], [1.0, 2.0]]).numpy()).sum() == 3


def test_a_copy_shares_nothing() -> None:
    x = Tensor(A, requires_grad=True)
    for y in (npgrad.copy(x), np.copy(x), np.positive(x), np.real(x), np.conj(x), npgrad.copy(Tensor(SIGNS))):
        assert not np.shares_memory(y.numpy(), x.numpy())
    assert npgrad.copy(Tensor(SIGNS)).dtype == SIGNS.dtype and npgrad.copy([1.0, x[0, 0]]).shape == (2,)


def test_weights_that_require_a_gradient_are_refused() -> None:
    with pytest.raises(TypeError, match="drop the gradient silently"):
        npgrad.cov(A, aweights=Tensor(np.ones(4), requires_grad=True))
    with pytest.raises(AxisError):
        npgrad.quantile(1.0, 0.5, axis=0)
