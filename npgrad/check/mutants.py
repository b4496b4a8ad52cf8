"""Rules made wrong on purpose: a check that lets one of them pass verifies nothing.

Each mutant replaces the forward or backward of one Function (or one function of the engine) by a classical mistake, for
as long as the checks run. Who notices is reported; a mutant that nobody notices, a survivor, fails. `npgrad
check --mutants` runs them all. Not for use while other threads compute gradients.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad.check.certificate import HVP, call, draw, reference, torch_module, variable
from npgrad.check.conventions import CONVENTIONS, verify
from npgrad.check.errors import GradientError, NotHolomorphicError
from npgrad.check.finite_difference import evaluate
from npgrad.check.gradcheck import COMPLEX, DIFFERENCES, TORCH, Report, backward, check_torch, gradcheck
from npgrad.check.second_derivative import hvpcheck
from npgrad.derivative import Point
from npgrad.functions import registry
from npgrad.functions.error_function import erfc

__all__ = ["MUTANTS", "Mutant", "killers", "table"]

CONVENTION = "conventions"
Body = Callable[..., Any]


@dataclass(frozen=True)
class Mutant:
    """A mistake: the Function whose cases are run, what is wrong, and the wrong code.

    `forward` and `backward` are called as the methods they replace, with the original in front: (original, self, …).
    `patch` replaces a function of a module instead: ("module", "name", (original, …) -> result).
    """

    target: str
    mistake: str
    backward: Body | None = None
    forward: Body | None = None
    patch: tuple[str, str, Body] | None = None


def killers(mutant: Mutant, cases: int = 12, seed: int = 0) -> list[str]:
    """The checks that notice the mutant; raises RuntimeError if its code does not even run."""
    torch = torch_module()
    with alive(mutant):
        found = [oracle for oracle in (COMPLEX, DIFFERENCES, TORCH, HVP) if notices(oracle, mutant, cases, seed, torch)]
        if any(broken(verify(line)) for line in CONVENTIONS):
            found.append(CONVENTION)
    return found


def broken(problem: str | None) -> bool:
    if problem is not None and problem.startswith(("AttributeError", "NameError", "UnboundLocalError")):
        raise RuntimeError(f"the mutant does not run: {problem}")
    return problem is not None


def notices(oracle: str, mutant: Mutant, cases: int, seed: int, torch: Any) -> bool:
    """Whether one oracle alone rejects the mutant on one of the cases."""
    if oracle == TORCH and torch is None:
        return False
    for _, n, case in draw(mutant.target, cases, seed):
        f, inputs = call(registry[mutant.target], case), variable(case)
        try:
            with np.errstate(all="ignore"):
                if oracle == TORCH:
                    point = Point(f, inputs, "mutant", numbers=False)
                    middle = evaluate(point, point.values)
                    dys = [np.asarray(np.random.default_rng([n, 1]).normal(size=y.shape)) for y in middle]
                    theirs = reference(case, torch)
                    if theirs is not None:
                        check_torch(point, theirs, backward(point, dys, middle), dys, middle, Report())
                elif oracle == HVP:
                    hvpcheck(f, inputs, seed=n)
                else:
                    gradcheck(f, inputs, holomorphic=oracle == COMPLEX, seed=n, entries=4)
        except (GradientError, NotHolomorphicError):
            return True
        except (ValueError, RuntimeError) as error:
            # The engine itself refuses gradients of a shape that cannot be.
            if "shape" in str(error) or "broadcast" in str(error):
                return True
            raise
    return False


@contextmanager
def alive(mutant: Mutant) -> Iterator[None]:
    """The mutant in the place of the rule, and the rule back afterwards."""
    changes: list[tuple[Any, str, Body]] = []
    cls = registry[mutant.target]
    for name in ("forward", "backward"):
        body = getattr(mutant, name)
        if body is not None:
            changes.append((cls, name, body))
    if mutant.patch is not None:
        changes.append((importlib.import_module(mutant.patch[0]), mutant.patch[1], mutant.patch[2]))
    before = [vars(owner).get(name) for owner, name, _ in changes]
    try:
        for owner, name, body in changes:
            setattr(owner, name, instead_of(getattr(owner, name), body))
        yield
    finally:
        for (owner, name, _), own in zip(changes, before, strict=True):
            if own is None:  # inherited
                delattr(owner, name)
            else:
                setattr(owner, name, own)


def instead_of(original: Body, body: Body) -> Body:
    def replacement(*args: Any, **options: Any) -> Any:
        with np.errstate(all="ignore"):
            return body(original, *args, **options)

    return replacement


def table(targets: Sequence[str] = (), seed: int = 0) -> Iterator[str]:
    """Every mutant and who kills it as text of 80 columns, ending with the verdict."""
    chosen = [m for m in MUTANTS if not targets or m.target in targets]
    if not chosen:
        yield f"PASS: there are no mutants of {', '.join(targets)}"
        return
    yield f"npgrad: {len(chosen)} wrong rules, and which checks notice each"
    yield ""
    yield f"{'function':<14}{'mistake':<41}{'step':>5}{'diff':>5}{'torch':>6}{'hvp':>4}{'conv':>5}"
    yield "-" * 80
    survivors = 0
    for mutant in chosen:
        try:
            found = killers(mutant, seed=seed)
        except (AttributeError, NameError, RuntimeError, TypeError) as error:
            survivors += 1
            yield f"{mutant.target:<14}{mutant.mistake:<41}"
            yield f"{'':<14}DOES NOT RUN: {error}"[:80]
            continue
        survivors += not found
        columns = ((COMPLEX, 5), (DIFFERENCES, 5), (TORCH, 6), (HVP, 4), (CONVENTION, 5))
        marks = "".join(f"{'x' if oracle in found else '·':>{width}}" for oracle, width in columns)
        yield f"{mutant.target:<14}{mutant.mistake:<41}{marks}"
        if not found:
            yield f"{'':<14}SURVIVES: no check notices"
    yield "-" * 80
    yield "step: complex step; diff: central differences; hvp: second derivatives;"
    yield "conv: the numerical conventions" + ("" if torch_module() else "; torch is not installed")
    yield (
        f"FAIL: {survivors} of {len(chosen)} mutants survive"
        if survivors
        else f"PASS: {len(chosen)} mutants, all noticed"
    )


# -- tools of the catalogue --------------------------------------------------------------------------------------------


def scaled(c: Any) -> Body:
    """The right gradients times c."""

    def body(original: Body, self: Any, dy: Any) -> Any:
        g = original(self, dy)
        return tuple(None if x is None else c * x for x in g) if isinstance(g, tuple) else c * g

    return body


def changed(k: int, how: Callable[[Any, Any, Any], Any]) -> Body:
    """The right gradients, but that of input k is how(self, gradient, dy)."""

    def body(original: Body, self: Any, dy: Any) -> Any:
        g = list(original(self, dy))
        g[k] = None if g[k] is None else how(self, g[k], dy)
        return tuple(g)

    return body


def bias_of_the_input(original: Body, self: Any, dy: Any) -> Any:
    """db of a GRU whose bias belongs to the input's share."""
    da, ds, dW, db = original(self, dy)
    return da, ds, dW, None if db is None else da.sum(axis=0)


def last_step_alone(self: Any, g: Any, dy: Any) -> Any:
    step = self.steps[-1]
    return (step.s if step.s.ndim == 2 else step.s[0]).T @ step.dg


def padding_forgotten(original: Body, self: Any, dy: Any) -> Any:
    self.lengths = None
    return original(self, dy)


def softmax_scores_alone(original: Body, self: Any, dy: Any) -> Any:
    dw = dy @ self.v.swapaxes(-1, -2) * (1 if self.factor is None else self.factor)
    ds = self.w * dw * self.scale
    return ds @ self.k, ds.swapaxes(-1, -2) @ self.q, *original(self, dy)[2:]


def turned_forwards(original: Body, self: Any, dy: Any) -> Any:
    self.s = -self.s
    return original(self, dy)


def lossy_rows(original: Body, self: Any, dy: Any) -> Any:
    dE = np.zeros(self.E_shape, dy.dtype)
    dE[self.indices] += dy
    return dE, None


def lossy_gather(original: Body, self: Any, dy: Any) -> Any:
    dx = np.zeros(self.x_shape, dy.dtype)
    dx[self.key] += dy
    return dx, *(None,) * len(self.index)


def unshifted_softmax(original: Body, self: Any, x: Any, axis: int = -1) -> Any:
    self.axis = axis
    e = np.exp(x)
    self.y = e / np.add.reduce(e, axis, keepdims=True)
    return self.y


def keeping(original: Body, self: Any, *inputs: Any, **options: Any) -> Any:
    """forward as it is, but its inputs and options can be found afterwards: what a Function keeps is its own affair."""
    self.given, self.options = inputs, options
    return original(self, *inputs, **options)


def first_of_ties(original: Body, self: Any, dy: Any) -> Any:
    right = original(self, dy)
    dx = np.zeros_like(right)
    best = np.argmax(right != 0)
    dx.flat[best] = np.sum(right)
    return dx if dy.ndim == 0 else right


def batch_norm_without(mean: bool = False, variance: bool = False, ddof: bool = False) -> Body:
    """The closed form of dx with a term left out, or with the wrong divisor in the last."""

    def body(original: Body, self: Any, dy: Any) -> Any:
        _, dgamma, dbeta = original(self, dy)
        x, gamma = self.given[:2]
        n = len(x)
        m = n - self.options.get("ddof", 0)
        xc = x - x.mean(axis=0)
        rstd = ((xc * xc).sum(axis=0) / m + self.options.get("eps", 1e-5)) ** -0.5
        inner = dy * 1.0
        if not mean:
            inner -= dy.mean(axis=0)
        if not variance:
            xhat = xc * rstd
            inner -= xhat * (dy * xhat).sum(axis=0) / (n if ddof else m)
        return gamma * rstd * inner, dgamma, dbeta

    return body


def layer_norm_scaled(original: Body, self: Any, dy: Any) -> Any:
    _, dgamma, dbeta = original(self, dy)
    x, gamma = (*self.given, None)[:2]
    axes = tuple(range(-self.options.get("ndim", 1), 0))
    rstd = (x.var(axis=axes, keepdims=True) + self.options.get("eps", 1e-5)) ** -0.5
    return dy * rstd * (1.0 if gamma is None else gamma), dgamma, dbeta


def softmax_alone(original: Body, self: Any, dy: Any) -> Any:
    z, _ = self.given
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) * np.mean(dy) / len(z), None


def rms_norm_scaled(self: Any, dx: Any, dy: Any) -> Any:
    return (dy.reshape(self.xhat.shape) * self.gamma * self.rrms[:, None]).reshape(dx.shape)


def overwritten_windows(original: Body, self: Any, dy: Any) -> Any:
    dx = np.zeros((*dy.shape[:2], *self.at.padded), dy.dtype)
    for window in self.at.slices:
        dx[window] = dy / self.n
    return dx[self.at.interior]


def quotient(original: Body, self: Any, dy: Any) -> Any:
    reduced = tuple(k for k, n in enumerate(self.kept) if n == 1)
    return dy.reshape(self.kept) * np.prod(self.x, reduced, keepdims=True) / self.x


def running_quotient(original: Body, self: Any, dy: Any) -> Any:
    axis = -1 if self.axis is None else self.axis
    x = self.x.reshape(-1) if self.axis is None else self.x
    weighted = np.flip(np.cumsum(np.flip(dy * np.cumprod(x, axis), axis), axis), axis)
    return (weighted / x).reshape(self.x.shape)


def untransposed(original: Body, self: Any, dy: Any) -> Any:
    self.A = self.A.swapaxes(-1, -2)
    return original(self, dy)


def unit_row(dy: Any) -> Any:
    """1 in row 0, where `Eigh` has the eigenvalues, and 0 below."""
    return np.equal(np.arange(dy.shape[-2]), 0)[:, None]


def first_copy(original: Body, dy: Any, shape: tuple[int, ...]) -> Any:
    right = original(dy, shape)
    if dy.shape == tuple(shape) or not dy.size:
        return right
    extra = dy.ndim - len(shape)
    return dy[(0,) * extra + tuple(slice(0, n) for n in shape)]


def averaged(original: Body, dy: Any, shape: tuple[int, ...]) -> Any:
    right = original(dy, shape)
    return right * (right.size / dy.size) if dy.size else right


def spread(original: Body, dy: Any, shape: tuple[int, ...]) -> Any:
    """The sum over everything where only some axes were broadcast."""
    right = original(dy, shape)
    return right if dy.shape == tuple(shape) else np.broadcast_to(np.asarray(dy.sum()), shape).copy()


MUTANTS: list[Mutant] = [
    # one expression for another
    Mutant("Tanh", "1 − t for 1 − t²", lambda o, s, dy: dy * (1 - s.t)),
    Mutant("Tanh", "dy forgotten", lambda o, s, dy: 1 - s.t * s.t),
    Mutant("Tanh", "1 − t² rounded (right, but with derivative 0)", lambda o, s, dy: dy * np.round(1 - s.t * s.t, 14)),
    Mutant("Tanh", "wrong in the tenth digit", lambda o, s, dy: dy * (1 - s.t * s.t) * (1 + 1e-10)),
    Mutant("Sigmoid", "s for s(1 − s)", lambda o, s, dy: dy * s.s),
    Mutant("Exp", "dy for dy·exp(x)", lambda o, s, dy: dy * 1.0),
    Mutant("Log", "dy·x for dy/x", lambda o, s, dy: dy * s.x),
    Mutant("Sqrt", "1/y for 1/(2y)", lambda o, s, dy: dy / s.y),
    Mutant("Cbrt", "y for y²", lambda o, s, dy: dy / 3 / s.y),
    Mutant("Cos", "the minus sign forgotten", lambda o, s, dy: dy * np.sin(s.x)),
    Mutant("Tan", "1 + y for 1 + y²", lambda o, s, dy: dy * (1 + s.y)),
    Mutant("ArcCos", "the minus sign forgotten", lambda o, s, dy: -o(s, dy)),
    Mutant("ArcTan2", "operands exchanged", lambda o, s, dy: o(s, dy)[::-1]),
    Mutant("Cosh", "−sinh, as for cos", lambda o, s, dy: -dy * np.sinh(s.x)),
    Mutant("Log2", "log(2) forgotten", lambda o, s, dy: dy / s.x),
    Mutant("Floor", "passed straight through", lambda o, s, dy: dy * 1.0),
    Mutant("Remainder", "rounded towards 0", changed(1, lambda s, g, dy: -dy * np.trunc(s.a / s.b))),
    Mutant("Abs", "abs'(0) = 1", lambda o, s, dy: dy * np.where(s.x >= 0, 1.0, -1.0)),
    Mutant("Relu", "relu'(0) = 1", lambda o, s, dy: dy * (s.given[0] >= 0), keeping),
    Mutant("Relu", "dead units pass gradients", lambda o, s, dy: dy * 1.0),
    Mutant("Erf", "2/√π forgotten", scaled(0.5 * np.pi**0.5)),
    Mutant("Erfc", "the sign", scaled(-1)),
    Mutant("Gelu", "the density's term forgotten", lambda o, s, dy: dy * erfc(-s.given[0] / 2**0.5) / 2, keeping),
    Mutant("Neg", "sign", lambda o, s, dy: dy * 1.0),
    Mutant("Sub", "the second operand's sign", lambda o, s, dy: (dy, dy)),
    Mutant("Mul", "each operand's own factor", lambda o, s, dy: (dy * s.a, dy * s.b)),
    Mutant("Div", "−dy/b² for −dy·a/b²", changed(1, lambda s, g, dy: -dy / (s.b * s.b))),
    Mutant("Pow", "p·a^p for p·a^(p−1)", changed(0, lambda s, g, dy: dy * s.p * s.a**s.p)),
    Mutant("Pow", "log(0) at the base 0", changed(1, lambda s, g, dy: dy * s.y * np.log(s.a))),
    # reductions
    Mutant("Sum", "a mean's gradient", lambda o, s, dy: o(s, dy) / max(1, int(np.prod(s.x_shape)) // max(1, dy.size))),
    Mutant("Mean", "1/n forgotten", lambda o, s, dy: o(s, dy) * s.n),
    Mutant("Mean", "n − 1 for n", lambda o, s, dy: o(s, dy) * s.n / (s.n - 1 if s.n > 1 else 1)),
    Mutant("Var", "n for n − ddof", lambda o, s, dy: o(s, dy) * s.m * dy.size / max(1, s.xc.size)),
    Mutant("Var", "the 2 forgotten", scaled(0.5)),
    Mutant("Std", "0/0 at a constant", lambda o, s, dy: s.xc * dy.reshape(s.y.shape) / (s.y * s.m)),
    Mutant("Prod", "y/x, nan at zero", quotient),
    Mutant("Norm", "0/0 at zero", lambda o, s, dy: dy.reshape(s.y.shape) / s.y * s.x),
    Mutant("Hypot", "0/0 at the origin", changed(0, lambda s, g, dy: dy * s.a / s.y)),
    Mutant("CumProd", "y/x, nan at zero", running_quotient),
    Mutant("LogAddExp", "the other's share", lambda o, s, dy: o(s, dy)[::-1]),
    Mutant("CumSum", "summed from the left", lambda o, s, dy: np.cumsum(dy, s.axis).reshape(s.x_shape)),
    Mutant("Max", "one of the tied takes all", first_of_ties),
    Mutant("LogSumExp", "without dividing by the sum", lambda o, s, dy: s.e * dy.reshape(s.s.shape)),
    # softmax and losses
    Mutant("Softmax", "the sum term forgotten", lambda o, s, dy: s.y * dy),
    Mutant("Softmax", "not shifted by the maximum", forward=unshifted_softmax),
    Mutant("LogSoftmax", "the sum term forgotten", lambda o, s, dy: dy * 1.0),
    Mutant("CrossEntropy", "1/n forgotten", lambda o, s, dy: (o(s, dy)[0] * len(s.given[0]), None), keeping),
    Mutant("CrossEntropy", "p for p − onehot", softmax_alone, keeping),
    Mutant(
        "CrossEntropy",
        "weights of the classes forgotten",
        lambda o, s, dy: (o(s, dy)[0] / np.where(s.share > 0, s.share * len(s.share), 1)[:, None], None),
    ),
    Mutant("MSELoss", "the 2 forgotten", scaled(0.5)),
    Mutant("Huber", "the difference not held", changed(0, lambda s, g, dy: dy * np.subtract(*s.given)), keeping),
    Mutant("BCELoss", "the target forgotten", changed(0, lambda s, g, dy: g * s.p / (s.p - s.q))),
    Mutant("BCEWithLogits", "the target forgotten", changed(0, lambda s, g, dy: g + dy * s.q)),
    # matrices and indices
    Mutant("MatMul", "operands swapped", lambda o, s, dy: o(s, dy)[::-1]),
    Mutant(
        "MatMul",
        "not transposed",
        changed(0, lambda s, g, dy: np.reshape(np.swapaxes(g, -1, -2) if g.ndim > 1 else -g, g.shape)),
    ),
    Mutant("Solve", "not transposed", untransposed),
    Mutant("Solve", "the sign of dA", changed(0, lambda s, g, dy: -g)),
    Mutant("Inv", "not transposed", lambda o, s, dy: -(s.y @ dy @ s.y)),
    Mutant("Det", "the determinant forgotten", lambda o, s, dy: o(s, dy / np.where(s.y == 0, 1, s.y))),
    Mutant("Cholesky", "the diagonal counted twice", lambda o, s, dy: o(s, dy) * (1 + np.eye(s.y.shape[-1]))),
    Mutant(
        "QR",
        "the change of q forgotten",
        lambda o, s, dy: o(s, dy * (np.arange(dy.shape[-2]) >= s.q.shape[-2])[:, None]),
    ),
    Mutant("Eigh", "the vectors as if they stood still", lambda o, s, dy: o(s, dy * unit_row(dy))),
    Mutant(
        "SVD", "what is beside the columns of u forgotten", lambda o, s, dy: s.u @ (s.u.swapaxes(-1, -2) @ o(s, dy))
    ),
    Mutant("PInv", "the rule of inverses", lambda o, s, dy: -np.swapaxes(s.y @ np.swapaxes(dy, -1, -2) @ s.y, -1, -2)),
    Mutant("Roll", "rolled on", lambda o, s, dy: np.roll(dy, s.shift, s.axis)),
    Mutant("Linear", "bias not summed over the batch", changed(2, lambda s, g, dy: dy.reshape(-1, dy.shape[-1])[0])),
    Mutant("Linear", "weights averaged over the batch", changed(1, lambda s, g, dy: g / 2)),
    Mutant(
        "Transpose",
        "the same axes again",
        lambda o, s, dy: np.reshape(dy if s.axes is None else dy.transpose(s.axes), o(s, dy).shape),
    ),
    Mutant("Flip", "not flipped back", lambda o, s, dy: dy * 1.0),
    Mutant("Embedding", "+= loses duplicates", lossy_rows),
    Mutant("GetItem", "+= loses duplicates", lossy_gather),
    Mutant("Where", "0·nan for a selection", lambda o, s, dz: (None, dz * s.condition, dz * ~s.condition)),
    Mutant("Clip", "passes outside the bounds", changed(0, lambda s, g, dy: dy * 1.0)),
    Mutant("Maximum", "a tie counted twice", changed(1, lambda s, g, dy: dy * (s.b >= s.a))),
    # normalisation, convolution
    Mutant("BatchNorm", "without the mean path", batch_norm_without(mean=True), keeping),
    Mutant("BatchNorm", "without the variance path", batch_norm_without(variance=True), keeping),
    Mutant("BatchNorm", "n for n − 1", batch_norm_without(ddof=True), keeping),
    Mutant("BatchNorm", "gamma forgotten", changed(0, lambda s, g, dy: g / s.given[1]), keeping),
    Mutant("BatchNorm", "dgamma without xhat", changed(1, lambda s, g, dy: dy.sum(axis=0))),
    Mutant("LayerNorm", "the averages over features forgotten", layer_norm_scaled, keeping),
    Mutant("RMSNorm", "the average over features forgotten", changed(0, rms_norm_scaled)),
    Mutant("ConvTranspose", "the kernel flipped", changed(1, lambda s, g, dy: np.flip(g, -1))),
    Mutant("AvgPool", "= for += where windows overlap", overwritten_windows),
    Mutant("Conv", "the kernel flipped", changed(1, lambda s, g, dy: np.flip(g, -1))),
    Mutant("Dropout", "1/(1 − p) forgotten", lambda o, s, dy: (dy * (s.factor != 0), None)),
    # sequences
    Mutant("RNNStep", "the slope of the state before", lambda o, s, dy: (dy * (1 - s.s * s.s), *o(s, dy)[1:])),
    Mutant("LSTMStep", "the path of the cell forgotten", changed(1, lambda s, g, dy: np.stack((g[0], 0 * g[1])))),
    Mutant("LSTMStep", "the cell as if it were not shown", lambda o, s, dy: o(s, np.stack((0 * dy[0], dy[1])))),
    Mutant("GRUStep", "the bias before the reset gate's factor", bias_of_the_input),
    Mutant("GRUStep", "the kept part forgotten", changed(1, lambda s, g, dy: g - dy * s.gate[:, s.W.shape[0] :])),
    Mutant("Recurrent", "W is used by the last step alone", changed(2, last_step_alone)),
    Mutant("Recurrent", "padding forgotten", padding_forgotten),
    Mutant("ScaledDotProductAttention", "the sum term of softmax forgotten", softmax_scores_alone),
    Mutant("ScaledDotProductAttention", "the scale forgotten", changed(0, lambda s, g, dy: g / s.scale)),
    Mutant("Rotary", "turned forwards again", turned_forwards),
    # the engine
    Mutant("Add", "un-broadcasting takes one copy", patch=("npgrad.engine.node", "unbroadcast", first_copy)),
    Mutant("Mul", "un-broadcasting averages", patch=("npgrad.engine.node", "unbroadcast", averaged)),
    Mutant("Add", "un-broadcasting sums every axis", patch=("npgrad.engine.node", "unbroadcast", spread)),
]
