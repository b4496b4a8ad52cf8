"""The numerical conventions: what npgrad does where mathematics leaves a choice, each with the code that verifies it.

`npgrad check --conventions` prints the table, every line verified at that moment. A verification that does
not hold raises AssertionError; warnings count as failures, so "no overflow" means that nothing overflowed.
"""

from __future__ import annotations

import textwrap
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad import functions as F
from npgrad.engine.arrays import Array
from npgrad.engine.mode import is_grad_enabled, no_grad
from npgrad.engine.tensor import Tensor

__all__ = ["CONVENTIONS", "Convention", "table", "verify"]

Verification = Callable[[], None]
_INF, _NAN = np.inf, np.nan


@dataclass(frozen=True)
class Convention:
    """One line of the table."""

    what: str
    choice: str
    verification: Verification


CONVENTIONS: list[Convention] = []


def convention(what: str, choice: str) -> Callable[[Verification], Verification]:
    """Add a line to the table; the function decorated verifies it."""

    def register(verification: Verification) -> Verification:
        CONVENTIONS.append(Convention(what, choice, verification))
        return verification

    return register


def verify(line: Convention) -> str | None:
    """What does not hold, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            line.verification()
        except AssertionError as error:
            return str(error) or "does not hold"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return None


def table() -> Iterator[str]:
    """The table as text of 80 columns, ending with the verdict."""
    yield "npgrad: numerical conventions, each verified now"
    failed = 0
    for line in CONVENTIONS:
        problem = verify(line)
        failed += problem is not None
        yield ""
        yield f"{line.what[:74]:<74}{'ok' if problem is None else 'FAIL':>6}"
        yield from textwrap.wrap(line.choice, 76, initial_indent="    ", subsequent_indent="    ")
        if problem is not None:
            yield from textwrap.wrap(f"but: {problem}", 76, initial_indent="    ", subsequent_indent="    ")
    yield ""
    yield f"FAIL: {failed} of {len(CONVENTIONS)} conventions" if failed else f"PASS: {len(CONVENTIONS)} conventions"


# -- tools of the verifications ----------------------------------------------------------------------------------------


def value_and_gradients(f: Callable[..., Tensor], *inputs: Any, dy: Any = None) -> tuple[Array, list[Array]]:
    """f's value and the gradient of sum(dy*f), dy = 1 by default, for each input."""
    tensors = [Tensor(np.asarray(x), requires_grad=True) for x in inputs]
    y = f(*tensors)
    y.backward(np.ones(y.shape) if dy is None else dy)
    return y.numpy(), [np.zeros(t.shape) if t.grad is None else t.grad for t in tensors]


def equal(got: Any, want: Any, what: str) -> None:
    assert np.array_equal(got, np.asarray(want), equal_nan=True), f"{what} is {got}, not {want}"


def close(got: Any, want: Any, what: str, rtol: float = 1e-12) -> None:
    assert np.allclose(got, want, rtol=rtol, atol=rtol), f"{what} is {got}, not {want}"


def refuses(error: type[Exception], f: Callable[[], Any], *words: str) -> None:
    """f raises `error` with a message that mentions all the words."""
    try:
        f()
    except error as raised:
        for word in words:
            assert word in str(raised), f"the message {str(raised)!r} does not mention {word!r}"
    else:
        raise AssertionError(f"no {error.__name__} was raised")


# -- the lines ---------------------------------------------------------------------------------------------------------


@convention("relu and abs at 0", "relu'(0) = 0 and abs'(0) = 0; relu'(nan) = nan")
def _() -> None:
    equal(value_and_gradients(F.relu, [0.0, -0.0, 1.0, -1.0, _NAN])[1][0], [0, 0, 1, 0, _NAN], "relu'")
    equal(value_and_gradients(F.abs, [0.0, -0.0, 2.0, -2.0])[1][0], [0, 0, 1, -1], "abs'")


@convention("ties of max, min, maximum, minimum", "share the gradient equally, along an axis as over the whole array")
def _() -> None:
    for f, tie in ((F.max, 3.0), (F.min, -3.0)):
        equal(value_and_gradients(f, [tie, 0.0, tie])[1][0], [0.5, 0, 0.5], f.__name__)
        x = [[tie, tie, tie], [tie, 0.0, tie]]
        equal(value_and_gradients(lambda t, f=f: f(t, axis=1), x)[1][0], [[1 / 3] * 3, [0.5, 0, 0.5]], f.__name__)
    for g in (F.maximum, F.minimum):
        equal(value_and_gradients(g, [1.0], [1.0])[1], [[0.5], [0.5]], g.__name__)


@convention(
    "softmax, log_softmax, logsumexp, cross_entropy",
    "are shifted by the maximum: exact at ±1e4; logsumexp of all −inf is −inf with gradient 0",
)
def _() -> None:
    z = np.array([[1e4, -1e4, 1e4]])
    close(value_and_gradients(F.softmax, z)[0], [[0.5, 0, 0.5]], "softmax")
    close(value_and_gradients(F.log_softmax, z)[0], [[-np.log(2), -2e4 - np.log(2), -np.log(2)]], "log_softmax")
    y, (dz,) = value_and_gradients(lambda t: F.logsumexp(t, axis=1), z)
    close(y, [1e4 + np.log(2)], "logsumexp")
    close(dz, [[0.5, 0, 0.5]], "logsumexp'")
    y, (dz,) = value_and_gradients(lambda t: F.cross_entropy(t, np.array([1])), z)
    close(y, 2e4 + np.log(2), "cross_entropy")
    close(dz, [[0.5, -1, 0.5]], "cross_entropy'")
    y, (dz,) = value_and_gradients(F.logsumexp, [-_INF, -_INF])
    equal(y, -_INF, "logsumexp of −inf")
    equal(dz, [0, 0], "its gradient")


@convention("sign, floor, ceil, trunc, round", "the gradient is 0 everywhere, at the jumps too")
def _() -> None:
    for f in (F.sign, F.floor, F.ceil, F.trunc, F.round):
        equal(value_and_gradients(f, [-1.5, -0.5, 0.0, 0.3, 2.0])[1][0], np.zeros(5), f.__name__ + "'")


@convention("norm, hypot", "the gradient at the origin is 0, where the length has a kink as abs has at 0")
def _() -> None:
    equal(value_and_gradients(F.linalg.norm, [0.0, 0.0])[1][0], [0, 0], "norm'")
    for g in value_and_gradients(F.hypot, 0.0, 0.0)[1]:
        equal(g, 0, "hypot'")


@convention(
    "logaddexp", "exact at ±1e4; of nothing but −inf it is −inf with gradient 0; +inf takes the gradient, two share it"
)
def _() -> None:
    y, (da, db) = value_and_gradients(F.logaddexp, [1e4, -_INF, _INF, _INF], [-1e4, -_INF, 0.0, _INF])
    equal(y, [1e4, -_INF, _INF, _INF], "logaddexp")
    equal(da, [1, 0, 1, 0.5], "the first gradient")
    equal(db, [0, 0, 0, 0.5], "the second gradient")


@convention(
    "scaled_dot_product_attention",
    "is shifted as softmax is; a query that may attend to no key gets 0, and gives no gradient",
)
def _() -> None:
    q, k, v = np.array([[1e4], [1.0]]), np.array([[1.0], [-1.0]]), np.array([[3.0], [5.0]])
    mask = np.array([[True, True], [False, False]])
    y, (dq, _, dv) = value_and_gradients(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask), q, k, v)
    equal(y, [[3], [0]], "attention")
    equal(dq[1], [0], "the gradient of the query")
    equal(dv, [[1], [0]], "the gradient of the values")


@convention(
    "sigmoid, tanh, softplus, silu, gelu, elu",
    "no overflow at ±1e4 and finite limits at ±inf: gelu(−inf) = silu(−inf) = 0, no nan in the gradient",
)
def _() -> None:
    limits: list[tuple[Any, float, float, float, float]] = [
        (F.sigmoid, 0, 1, 0, 0),
        (F.tanh, -1, 1, 0, 0),
        (F.softplus, 0, _INF, 0, 1),
        (F.silu, 0, _INF, 0, 1),
        (F.gelu, 0, _INF, 0, 1),
        (F.elu, -1, _INF, 0, 1),
    ]
    for f, low, high, slope_low, slope_high in limits:
        for dtype in (np.float32, np.float64):
            y, (dx,) = value_and_gradients(f, np.array([-_INF, -1e4, 1e4, _INF], dtype=dtype))
            big = high if np.isfinite(high) else 1e4
            equal(y, [low, low, big, high], f.__name__)
            equal(dx, [slope_low, slope_low, slope_high, slope_high], f.__name__ + "'")


@convention(
    "cross_entropy targets",
    "out of range, of float dtype where classes are meant, of the wrong shape, or an empty batch: an error that names "
    "them",
)
def _() -> None:
    z = np.zeros((2, 3))
    refuses(IndexError, lambda: F.cross_entropy(z, np.array([0, 3])), "3")
    refuses(IndexError, lambda: F.cross_entropy(z, np.array([0, -1])), "-1")
    refuses(TypeError, lambda: F.cross_entropy(z, np.array([0.0, 1.0])), "float", "astype")
    refuses(ValueError, lambda: F.cross_entropy(z, np.array([0, 1, 2])), "(3,)", "(2, 3)")
    refuses(ValueError, lambda: F.cross_entropy(np.zeros((0, 3)), np.zeros(0, dtype=int)), "empty")


@convention("embedding", "an index out of range or negative is an IndexError; the gradients of repeated indices add up")
def _() -> None:
    table = np.zeros((3, 2))
    refuses(IndexError, lambda: F.embedding(table, np.array([0, 3])), "3")
    refuses(IndexError, lambda: F.embedding(table, np.array([0, -1])), "-1")
    repeated = value_and_gradients(lambda E: F.embedding(E, np.array([1, 1, 0, 1])), table)[1][0]
    equal(repeated, [[1, 1], [3, 3], [0, 0]], "the gradient")


@convention(
    "batch_norm in training",
    "normalises with the biased variance; running_var takes the unbiased one; momentum is the weight of the new value; "
    "two rows or more per channel are required; columns of zero variance give 0; the mean is removed first, so that "
    "float32 data at offset 1e6 keeps 1e-5 relative accuracy",
)
def _() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 2))
    mean, var = np.zeros(2), np.ones(2)
    y = F.batch_norm(x, mean, var, training=True, momentum=0.25, eps=0.0)
    close(y.numpy(), (x - x.mean(0)) / x.std(0), "the result")
    close(mean, 0.25 * x.mean(0), "running_mean")
    close(var, 0.75 + 0.25 * x.var(0, ddof=1), "running_var")
    refuses(ValueError, lambda: F.batch_norm(x[:1], training=True), "1 row", "eval()")
    equal(F.batch_norm(np.ones((4, 2)), training=True).numpy(), np.zeros((4, 2)), "a constant column")
    far = rng.normal(size=(64, 3)).astype(np.float32) + np.float32(1e6)
    exact = far.astype(np.float64)
    exact = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-5)
    close(F.batch_norm(far, training=True).numpy(), exact, "float32 at offset 1e6", rtol=1e-5)


@convention("batch_norm as in the lecture", "divides by n − 1 in both places, with momentum 0.001: ddof=1 selects it")
def _() -> None:
    x = np.random.default_rng(0).normal(size=(5, 2))
    mean, var = np.zeros(2), np.ones(2)
    y = F.batch_norm(x, mean, var, training=True, momentum=0.001, eps=0.0, ddof=1)
    close(y.numpy(), (x - x.mean(0)) / x.std(0, ddof=1), "the result")
    close(var, 0.999 + 0.001 * x.var(0, ddof=1), "running_var")


@convention("var and std", "take ddof as NumPy does, 0 by default; the std of a constant has gradient 0")
def _() -> None:
    x = np.array([1.0, 2.0, 4.0])
    close(F.var(x).numpy(), np.var(x), "var")
    close(F.std(x, ddof=1).numpy(), np.std(x, ddof=1), "std")
    equal(value_and_gradients(F.std, [2.0, 2.0, 2.0])[1][0], [0, 0, 0], "the gradient at a constant")


@convention("powers", "x**0 has gradient 0 everywhere; 0**p for p > 0 has gradient 0 with respect to p")
def _() -> None:
    equal(value_and_gradients(lambda x: x**0, [0.0, -1.0, 2.0])[1][0], [0, 0, 0], "the gradient of x**0")
    zero, two, three = np.zeros(2), np.full(2, 2.0), np.array([0.0, 3.0])
    equal(value_and_gradients(F.pow, three, zero)[1][0], [0, 0], "the gradient of x**0")
    dx, dp = value_and_gradients(F.pow, zero, two)[1]
    equal(dx, [0, 0], "the gradient of 0**2 by the base")
    equal(dp, [0, 0], "the gradient of 0**2 by the exponent")


@convention("where", "a nan or inf in the branch not taken never reaches the gradient")
def _() -> None:
    def f(x: Tensor) -> Tensor:
        return F.where(np.array([True, False]), x, np.array([_NAN, 1.0]))

    equal(value_and_gradients(f, [1.0, _INF])[1][0], [1, 0], "the gradient")
    dy = np.array([1.0, _NAN])
    equal(value_and_gradients(f, [1.0, 2.0], dy=dy)[1][0], [1, 0], "the gradient below a nan")


@convention(
    "kinds of arrays",
    "empty, 0-d, negative strides, Fortran order, read-only and big-endian arrays are accepted, as NumPy accepts them",
)
def _() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3))
    locked = x.copy()
    locked.flags.writeable = False
    want = 2 * x
    for a in (np.asfortranarray(x), x[::-1, ::-1][::-1, ::-1], locked, x.astype(">f8")):
        equal(value_and_gradients(lambda t: F.sum(t * t), a)[1][0], want, "the gradient")
    equal(value_and_gradients(lambda t: t * t, np.array(3.0))[1][0], 6.0, "the gradient of a number")
    equal(value_and_gradients(lambda t: F.sum(t * t), np.zeros((0, 3)))[1][0], np.zeros((0, 3)), "an empty gradient")


@convention("threads", "no_grad and the other switches hold in their own thread alone")
def _() -> None:
    seen: list[bool] = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append(is_grad_enabled()))
        thread.start()
        thread.join()
        assert not is_grad_enabled(), "no_grad did not hold in its own thread"
    assert seen == [True], "no_grad reached another thread"
