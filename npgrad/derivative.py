"""Derivatives of functions: `grad`, `jvp` and `hvp`.

`grad` is the backward sweep. `jvp` and `hvp` are complex steps (Squire & Trapp 1998, "Using complex variables to
estimate derivatives of real functions"): for a holomorphic f with real values on the real axis,

    f(x + i·h·v) = f(x) + i·h·(∂f/∂x)·v − h²/2·…        so        Im f(x + i·h·v)/h = (∂f/∂x)·v + O(h²)

Nothing is subtracted, so h can be 1e-20 and the O(h²) is far below the last digit. Since every backward rule of
npgrad is holomorphic as well, the same step through forward *and* backward gives Im ∇f(θ + i·h·v)/h = H·v, the
Hessian-vector product, exact to rounding and without a second set of rules.

Inputs. Each function takes `inputs`, one value or a sequence of them. Arrays and numbers become the arguments of `f`.
A leaf *tensor* is passed to `f` itself, with its array exchanged for the duration of the call; so `f` may also close
over it. That is how to differentiate with respect to the parameters of a module: give the parameters, and an `f`
without arguments:

    parameters = list(model.parameters())
    npgrad.hvp(lambda: cross_entropy(model(x), y), parameters, vectors)

Values, gradients and hooks of every tensor involved are afterwards what they were, also if `f` raises. No other
thread may use those tensors meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import ReferenceType

import numpy as np

from npgrad.declared import signature
from npgrad.engine.arrays import as_array, Array, tick
from npgrad.engine.function import Function
from npgrad.engine.mode import switch
from npgrad.engine.backward import reachable
from npgrad.engine.tensor import Tensor

__all__ = ["grad", "hvp", "jvp"]

STEP = 1e-20
"""The imaginary step: its square is 24 orders of magnitude below rounding, and it does not underflow when squared."""


def grad(f: Callable[..., Tensor], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The function that computes the gradient of the scalar function `f` with respect to its argument(s) `argnums`.

    `grad(f)(x, …)` is an array with the shape and dtype of x; with a tuple of `argnums`, a tuple of arrays. Zeros
    where f does not depend on the argument. Nobody's `.grad` changes.

    >>> grad(lambda x: npgrad.sum(x**3))(np.array([1.0, 2.0]))
    array([ 3., 12.])

    Raises TypeError if f does not return a tensor or if an argument has no gradient (integers), ValueError if the
    result is not a scalar or f has too few arguments.
    """
    wanted = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def gradient(*arguments: Any, **options: Any) -> Any:
        for k in wanted:
            if not -len(arguments) <= k < len(arguments):
                count = f"{len(arguments)} argument{'s' * (len(arguments) != 1)}"
                raise ValueError(
                    f"grad(argnums={argnums}) of a function called with {count}: there is no argument {k}."
                )
        tensors = {k % len(arguments): Tensor(floating(arguments[k], "grad", k)) for k in wanted}
        for tensor in tensors.values():
            tensor.requires_grad = True
        began = tick()
        with switch(grad=True, tape=None):
            y = scalar(f(*[tensors.get(k, x) for k, x in enumerate(arguments)], **options), "grad")
            found = gradients([y], [np.ones_like(y._data)], [tensors[k % len(arguments)] for k in wanted], began)
        return found[0] if isinstance(argnums, int) else tuple(found)

    gradient.__name__ = f"grad_of_{getattr(f, '__name__', 'function')}"
    gradient.__doc__ = f"Gradient of {getattr(f, '__name__', 'a function')} with respect to argument {argnums}."
    return gradient


def jvp(f: Callable[..., Tensor], inputs: Any, tangents: Any) -> Array:
    """Jacobian-vector product: the derivative of `f` at `inputs` in the direction `tangents`, an array of f's shape.

    `tangents` matches `inputs`: one array of the same shape for each (None: this input stays). Computed in complex128
    by one complex step, exact to rounding, and returned in the dtype of f's result.

    Raises ValueError if a tangent does not have the shape of its input or f does not return one tensor, TypeError if f
    loses the imaginary part on the way (np.abs, np.real, comparisons turned into numbers: not holomorphic).
    """
    point = Point(f, inputs, "jvp")
    directions = point.directions(tangents)
    with point.at(
        [x if v is None else x + 1j * (STEP * v) for x, v in zip(point.values, directions, strict=True)]
    ) as run:
        y = tensor_of(run(), "jvp")
        refuse_real([y])
        return np.asarray(y._data.imag / STEP, dtype=point.real_dtype)


def hvp(f: Callable[..., Tensor], inputs: Any, vectors: Any) -> Any:
    """Hessian-vector product of the scalar function `f` at `inputs`: the derivative of its gradient along `vectors`.

    `vectors` matches `inputs`: one array of the same shape for each (None: zero). Returns arrays of the shape and
    dtype of the inputs, a tuple if `inputs` is a sequence. Exact to rounding (Pearlmutter 1994, "Fast exact
    multiplication by the Hessian", by complex step): forward and backward run once in complex128.

    Batch normalisation in training mode and dropout work as usual, since f runs only once; the running statistics of
    batch normalisation take part in no derivative and are best left alone by calling `model.eval()` or a copy.

    Raises ValueError if f is not scalar or a vector does not have the shape of its input, TypeError if f loses the
    imaginary part on the way (not holomorphic).
    """
    point = Point(f, inputs, "hvp")
    directions = point.directions(vectors)
    with point.at(
        [x if v is None else x + 1j * (STEP * v) for x, v in zip(point.values, directions, strict=True)]
    ) as run:
        y = scalar(run(), "hvp")
        refuse_real([y])
        found = gradients([y], [np.ones_like(y._data)], [t for t in run.tensors if t is not None])
    products = iter(g.imag / STEP for g in found)
    out = tuple(None if t is None else np.asarray(next(products), dtype=t) for t in point.dtypes)
    return out[0] if point.single else out


class Run:
    """One evaluation, waiting to be called: `tensors` stand for the inputs (None for inputs without derivative)."""

    def __init__(self, f: Callable[..., Any], arguments: list[Any], tensors: list[Tensor | None]) -> None:
        self.f, self.arguments, self.tensors = f, arguments, tensors

    def __call__(self) -> Any:
        return self.f(*self.arguments)


class Point:
    """A function and the inputs at which it is differentiated.

    `values` are the inputs as float64 arrays, or as given where they have no derivative (integers, None, text);
    `dtypes` the dtypes the results are cast back to, None where there is no derivative. Without `numbers`, Python
    numbers among several inputs are constants.
    """

    def __init__(self, f: Any, inputs: Any, what: str, numbers: bool = True) -> None:
        if isinstance(f, type) and issubclass(f, Function):
            f = f.apply
        if not callable(f):
            raise TypeError(f"{what} needs a function of tensors first; got {type(f).__name__}.")
        self.f, self.what = f, what
        self.single = isinstance(inputs, Tensor | np.ndarray | np.generic | float | int)
        self.inputs: list[Any] = [inputs] if self.single else list(inputs)
        self.values: list[Any] = []
        self.dtypes: list[np.dtype[Any] | None] = []
        for k, x in enumerate(self.inputs):
            if isinstance(x, Tensor) and x._node is not None:
                raise ValueError(
                    f"input {k} of {what} was computed ({type(x._node).__name__}): only leaves can be varied. "
                    "Pass .detach() of it, or the tensors it was computed from."
                )
            a = x._data if isinstance(x, Tensor) else x
            kinds = np.ndarray | np.floating | float if numbers or self.single else np.ndarray
            if isinstance(a, kinds) and np.asarray(a).dtype.kind == "f":
                a = as_array(a)
                self.values.append(a.astype(np.float64))
                self.dtypes.append(a.dtype)
            else:
                self.values.append(a)
                self.dtypes.append(None)
        if all(t is None for t in self.dtypes):
            raise TypeError(f"{what} got no floating-point input: there is nothing to differentiate with respect to.")
        self.real_dtype = np.result_type(*[t for t in self.dtypes if t is not None])
        self.arguments = takes_arguments(f)
        if not self.arguments:
            for k, (x, dtype) in enumerate(zip(self.inputs, self.dtypes, strict=True)):
                if not isinstance(x, Tensor) and dtype is not None:
                    raise TypeError(
                        f"{what} of a function without arguments: input {k} must be one of the leaf tensors it uses, "
                        f"not {type(x).__name__}, which the function cannot see."
                    )

    def directions(self, vectors: Any) -> list[Array | None]:
        """`vectors` as float64 arrays, checked against the inputs."""
        given = [vectors] if self.single else list(vectors)
        if len(given) != len(self.inputs):
            raise ValueError(f"{self.what} got {len(given)} vectors for {len(self.inputs)} inputs: give one for each.")
        out: list[Array | None] = []
        for k, (v, x, dtype) in enumerate(zip(given, self.values, self.dtypes, strict=True)):
            if v is None or dtype is None:
                out.append(None)
                continue
            v = np.asarray(v._data if isinstance(v, Tensor) else v, dtype=np.float64)
            if v.shape != x.shape:
                raise ValueError(f"{self.what} got a vector of shape {v.shape} for input {k} of shape {x.shape}.")
            out.append(v)
        return out

    @contextmanager
    def at(self, values: Sequence[Any], grad: bool = True) -> Iterator[Run]:
        """f with `values` in the place of the inputs, to be run and differentiated inside the `with`."""
        restore: list[tuple[Tensor, dict[str, Any]]] = []
        tensors: list[Tensor | None] = []
        arguments: list[Any] = []
        try:
            for x, value, dtype in zip(self.inputs, values, self.dtypes, strict=True):
                if dtype is None:
                    tensors.append(None)
                    arguments.append(x)
                    continue
                if isinstance(x, Tensor):
                    t = x
                    restore.append((t, dict(vars(t))))
                    # Without a fingerprint nothing is compared with the exchanged bytes: graphs from before stay valid.
                    t.__dict__.update(_fingerprint=None, _hooks=None, grad=None, requires_grad=True)
                    t._data = np.array(value)
                else:
                    t = Tensor(value)
                    t.requires_grad = True
                tensors.append(t)
                arguments.append(t)
            with switch(grad=grad, holomorphic=True, tape=None):
                yield Run(self.f, arguments if self.arguments else [], tensors)
        finally:
            for t, state in reversed(restore):
                t.__dict__.clear()
                t.__dict__.update(state)


def gradients(
    ys: Sequence[Tensor], dys: Sequence[Array], wanted: Sequence[Tensor], began: int | None = None
) -> list[Array]:
    """The gradients of sum(dy*y) for each of `wanted` (zeros where nothing arrives), leaving every `.grad` as it is.

    Except of intermediates made since the clock stood at `began`: f may have asked to retain theirs.
    """
    touched = {id(t): t for t in [*wanted, *[y for y in ys if y._node is None]]}
    retaining: list[tuple[Function, ReferenceType[Tensor]]] = []
    for y in ys:
        for node in reachable(y._node) if y._node is not None else ():
            touched.update((id(leaf), leaf) for leaf in node.leaves)
            if node.retained is not None and (began is None or node.age < began):
                retaining.append((node, node.retained))
    kept = [(t, t.grad, t._hooks) for t in touched.values()]
    try:
        for node, _ in retaining:
            node.retained = None
        for t, _, _ in kept:
            t.grad = t._hooks = None
        for y, dy in zip(ys, dys, strict=True):
            if y.requires_grad:
                # The graph may reach into one that f closes over and its owner still needs.
                y.backward(dy, retain_graph=True)
        return [np.zeros_like(t._data) if t.grad is None else t.grad for t in wanted]
    finally:
        for t, g, hooks in kept:
            t.grad, t._hooks = g, hooks
        for node, retained in retaining:
            node.retained = retained


def refuse_real(ys: Sequence[Tensor]) -> None:
    """Raise TypeError if a node below `ys` turned complex inputs into a real result: the imaginary step is lost."""
    for y in ys:
        for node in reachable(y._node) if y._node is not None else ():
            if node.dtype.kind != "c" and any(edge is not None and edge.dtype.kind == "c" for edge in node.edges or ()):
                raise TypeError(
                    f"forward of {node.describe()} is not holomorphic: it gave {node.dtype} for complex inputs, so the "
                    "imaginary step is lost. Write it without np.abs, np.real, np.maximum of complex values "
                    "(compare real parts instead)."
                )


def floating(x: Any, what: str, k: int) -> Array:
    a = x._data if isinstance(x, Tensor) else as_array(x)
    if a.dtype.kind not in "fc":
        raise TypeError(
            f"{what} with respect to argument {k}, which is {a.dtype}: only floating-point numbers have a gradient. "
            "Write 1.0 for 1."
        )
    return a


def tensor_of(y: Any, what: str) -> Tensor:
    if not isinstance(y, Tensor):
        raise TypeError(
            f"{what} needs a function that returns a tensor; it returned {type(y).__name__}. "
            "Compute with npgrad functions (or NumPy's on tensors), and do not call .item() or .numpy() on the result."
        )
    return y


def scalar(y: Any, what: str) -> Tensor:
    t = tensor_of(y, what)
    if t._data.size != 1:
        raise ValueError(
            f"{what} needs a function with a scalar result; this one returned shape {t.shape}. "
            "Reduce it (.sum(), .mean()), or use jvp for the derivative of many outputs along one direction."
        )
    return t


def takes_arguments(f: Callable[..., Any]) -> bool:
    """Whether f can be called with arguments at all."""
    try:
        return bool(signature(f).parameters)
    except (TypeError, ValueError):
        return True
