"""Derivatives of functions: `grad`, `jvp` and `hvp`.

`grad` is the backward sweep. `jvp` and `hvp` are complex steps (Squire & Trapp 1998, "Using complex variables to
estimate derivatives of real functions"): for a holomorphic f with real values on the real axis,

    f(x + i·h·v) = f(x) + i·h·(∂f/∂x)·v − h²/2·…        so        Im f(x + i·h·v)/h = (∂f/∂x)·v + O(h²)

Nothing is subtracted, so h can be 2⁻⁶⁰⁰, whose square is 0 (`npgrad.engine.holomorphic`). The same step through
forward *and* backward gives Im ∇f(θ + i·h·v)/h = H·v, the Hessian-vector product, exact to rounding and without a
second set of rules.

Inputs. Each function takes `inputs`, one value or a sequence of them. Arrays and numbers become the arguments of `f`.
A leaf *tensor* is passed to `f` itself, with its array exchanged for the duration of the call; so `f` may also close
over it. That is how to differentiate with respect to the parameters of a module: give the parameters, and an `f`
without arguments:

    parameters = list(model.parameters())
    npgrad.hvp(lambda: cross_entropy(model(x), y), parameters, vectors)

All three differentiate what the graph records: what passes through `detach()`, `numpy()`, `item()` or `no_grad()` is a
constant. They return arrays, which a graph does not see into, so within a function that is itself being differentiated
they refuse whatever depends on its inputs (RuntimeError).

Values, gradients and hooks of every tensor involved are afterwards what they were, also if `f` raises. No other
thread may use those tensors meanwhile.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from npgrad.declared import signature
from npgrad.engine.arrays import Array, as_array, note_change, tick
from npgrad.engine.backward import reachable
from npgrad.engine.function import Function
from npgrad.engine.holomorphic import Holomorphic, slopes
from npgrad.engine.mode import MODE, switch
from npgrad.engine.node import Leaf, Node
from npgrad.engine.tensor import Tensor

__all__ = ["grad", "hvp", "jvp"]


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
        given = list(arguments)
        for k in wanted:
            if not -len(given) <= k < len(given):
                count = f"{len(given)} argument{'s' * (len(given) != 1)}"
                raise ValueError(
                    f"grad(argnums={argnums}) of a function called with {count}: there is no argument {k}."
                )
            refuse_nested("grad", [arguments[k]], MODE.get().differentiating)
            given[k] = leaf(floating(arguments[k], k))
        tensors = [given[k] for k in wanted]
        began = tick()
        with differentiating("grad", tensors):
            y = scalar(f(*given, **options), "grad")
            found = gradients([y], [np.ones_like(y._array)], tensors, began)
        return found[0] if isinstance(argnums, int) else tuple(found)

    gradient.__name__ = f"grad_of_{getattr(f, '__name__', 'function')}"
    gradient.__doc__ = f"Gradient of {getattr(f, '__name__', 'a function')} with respect to argument {argnums}."
    return gradient


def jvp(f: Callable[..., Tensor], inputs: Any, tangents: Any) -> Array:
    """Jacobian-vector product: the derivative of `f` at `inputs` in the direction `tangents`, an array of f's shape.

    `tangents` matches `inputs`: one array of the same shape for each (None: this input stays). Computed in complex128
    by one complex step, exact to rounding, and returned in the dtype of the inputs.

    Raises ValueError if a tangent does not have the shape of its input or f does not return one tensor, TypeError if a
    rule on the way loses the derivative.
    """
    point = Point(f, inputs, "jvp")
    with point.at(point.moved(tangents)) as tensors:
        return np.asarray(tangent(tensor_of(point(tensors), "jvp")), dtype=point.real_dtype)


def hvp(f: Callable[..., Tensor], inputs: Any, vectors: Any) -> Any:
    """Hessian-vector product of the scalar function `f` at `inputs`: the derivative of its gradient along `vectors`.

    `vectors` matches `inputs`: one array of the same shape for each (None: zero). Returns arrays of the shape and
    dtype of the inputs, a tuple if `inputs` is a sequence. Exact to rounding (Pearlmutter 1994, "Fast exact
    multiplication by the Hessian", by complex step): forward and backward run once in complex128.

    Batch normalisation in training mode and dropout work as usual, since f runs only once; the running statistics of
    batch normalisation take part in no derivative and are best left alone by calling `model.eval()` or a copy.

    Raises ValueError if f is not scalar or a vector does not have the shape of its input, TypeError if a rule on the
    way loses the derivative.
    """
    point = Point(f, inputs, "hvp")
    with point.at(point.moved(vectors)) as tensors:
        y = scalar(point(tensors), "hvp")
        found = iter(gradients([y], [np.ones_like(y._array)], [t for t in tensors if t is not None]))
    out = tuple(None if t is None else np.asarray(slopes(next(found)), dtype=t) for t in point.dtypes)
    return out[0] if point.single else out


# -- a function at a point ---------------------------------------------------------------------------------------------


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
        self.f, self.what, self.arguments = f, what, takes_arguments(f)
        self.single = isinstance(inputs, Tensor | np.ndarray | np.generic | float | int)
        self.inputs: list[Any] = [inputs] if self.single else list(inputs)
        self.values: list[Any] = []
        self.dtypes: list[np.dtype[Any] | None] = []
        refuse_nested(what, self.inputs, MODE.get().differentiating)
        kinds = np.ndarray | np.floating | float if numbers or self.single else np.ndarray
        for k, x in enumerate(self.inputs):
            if isinstance(x, Tensor) and not x.is_leaf:
                raise ValueError(
                    f"input {k} of {what} was computed ({type(x._node).__name__}): only leaves can be varied. "
                    "Pass .detach() of it, or the tensors it was computed from."
                )
            a = x._array if isinstance(x, Tensor) else x
            varies = isinstance(a, kinds) and np.asarray(a).dtype.kind == "f"
            self.values.append(as_array(a).astype(np.float64) if varies else a)
            self.dtypes.append(as_array(a).dtype if varies else None)
            if varies and not self.arguments and not isinstance(x, Tensor):
                raise TypeError(
                    f"{what} of a function without arguments: input {k} must be one of the leaf tensors it uses, "
                    f"not {type(x).__name__}, which the function cannot see."
                )
        if not any(self.dtypes):
            raise TypeError(f"{what} got no floating-point input: there is nothing to differentiate with respect to.")
        self.real_dtype = np.result_type(*[t for t in self.dtypes if t is not None])

    def moved(self, vectors: Any) -> list[Any]:
        """`values`, moving along `vectors`, which are checked against the inputs."""
        vectors = [vectors] if self.single else list(vectors)
        refuse_nested(self.what, vectors, MODE.get().differentiating)
        if len(vectors) != len(self.inputs):
            raise ValueError(
                f"{self.what} got {len(vectors)} vectors for {len(self.inputs)} inputs: give one for each."
            )
        moved: list[Any] = []
        for k, (v, x, dtype) in enumerate(zip(vectors, self.values, self.dtypes, strict=True)):
            if v is None or dtype is None:
                moved.append(x)
                continue
            v = np.asarray(v._array if isinstance(v, Tensor) else v, dtype=np.float64)
            if v.shape != x.shape:
                raise ValueError(f"{self.what} got a vector of shape {v.shape} for input {k} of shape {x.shape}.")
            moved.append(Holomorphic(x, v))
        return moved

    def __call__(self, tensors: Sequence[Tensor | None]) -> Any:
        """f of the tensors that `at` has given, or of none if f closes over them."""
        arguments = [x if t is None else t for x, t in zip(self.inputs, tensors, strict=True)]
        return self.f(*arguments) if self.arguments else self.f()

    @contextmanager
    def at(self, values: Sequence[Any], grad: bool = True) -> Iterator[list[Tensor | None]]:
        """Tensors with `values` in the place of the inputs (None for those without derivative), inside the `with`."""
        tensors = [
            None if t is None else x if isinstance(x, Tensor) else leaf(value)
            for x, value, t in zip(self.inputs, values, self.dtypes, strict=True)
        ]
        theirs = [(t, t._array, t._node) for t, x in zip(tensors, self.inputs, strict=True) if t is not None and t is x]
        note_change()
        try:
            for t, value in zip(tensors, values, strict=True):
                if t is not None:
                    t._array = value.copy()
                    t._node = Leaf(t._array, requires_grad=True)
            with differentiating(self.what, [t for t in tensors if t is not None], grad=grad, holomorphic=True):
                yield tensors
        finally:
            for t, data, node in theirs:
                t._array, t._node = data, node


@contextmanager
def differentiating(what: str, leaves: Sequence[Tensor], **mode: Any) -> Iterator[None]:
    """Inside, a function runs that is being differentiated with respect to `leaves`."""
    recorder = MODE.get().recorder
    if recorder is not None:
        recorder.refuse(f"it calls {what}")
    around = MODE.get().differentiating
    mode = {"grad": True, "recorder": None, "differentiating": (*around, frozenset(id(t._node) for t in leaves))} | mode
    try:
        with switch(**mode), warnings.catch_warnings():
            # What NumPy only warns of when it drops imaginary parts.
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            yield
    except np.exceptions.ComplexWarning as error:
        raise TypeError(
            f"{what}: the derivative was lost on the way, because NumPy turned numbers that carry it into real ones "
            "(assigned to a part of an array of real numbers, for example, where np.zeros_like(x) would keep it)."
        ) from error


def gradients(
    ys: Sequence[Tensor], dys: Sequence[Array], wanted: Sequence[Tensor], began: int | None = None
) -> list[Array]:
    """The gradients of sum(dy*y) for each of `wanted` (zeros where nothing arrives), leaving every `.grad` as it is.

    Except of intermediates made since the clock stood at `began`: f may have asked to retain theirs.
    """
    touched = {t._leaf() for t in [*wanted, *[y for y in ys if y.is_leaf]]}
    retaining: list[Node] = []
    for node in nodes_below(ys):
        if isinstance(node, Leaf):
            touched.add(node)
        if node.retained and (began is None or node.seq < began):
            retaining.append(node)
    kept = [(leaf, leaf.grad, leaf.hooks) for leaf in touched]
    try:
        for node in retaining:
            node.retained = False
        for leaf, _, _ in kept:
            leaf.grad = leaf.hooks = None
        for y, dy in zip(ys, dys, strict=True):
            if y.requires_grad:
                # The graph may reach into one that f closes over and its owner still needs.
                y.backward(dy, retain_graph=True)
        return [np.zeros_like(t._array) if t.grad is None else t.grad for t in wanted]
    finally:
        for leaf, g, hooks in kept:
            leaf.grad, leaf.hooks = g, hooks
        for node in retaining:
            node.retained = True


def tangent(y: Tensor) -> Array:
    """The derivative of the result of a complex step."""
    return slopes(y._array) if y.requires_grad else np.zeros(y.shape)


def nodes_below(ys: Sequence[Tensor]) -> Iterator[Node]:
    for y in ys:
        if y._node is not None:
            yield from reachable(y._node)


def leaf(a: Array) -> Tensor:
    return Tensor._of(a := a.copy(), Leaf(a, requires_grad=True))


# -- what is refused ---------------------------------------------------------------------------------------------------


def refuse_nested(what: str, given: Sequence[Any], outer: Sequence[frozenset[int]]) -> None:
    """Raise RuntimeError if a tensor among `given` depends on one of the leaves in `outer`."""
    varied = frozenset().union(*outer)
    tensors = [x for x in given if isinstance(x, Tensor)] if varied else []
    if any(id(node) in varied for node in nodes_below(tensors)):
        raise RuntimeError(
            f"{what} was called inside a function that is itself being differentiated, on tensors that depend on the "
            f"inputs of that function. {what} returns arrays, so this dependence would be dropped. For second "
            "derivatives use npgrad.hvp(f, inputs, vectors); for a constant, pass .detach() of the tensor."
        )


def floating(x: Any, k: int) -> Array:
    a = x.numpy() if isinstance(x, Tensor) else as_array(x)
    if a.dtype.kind not in "fc":
        raise TypeError(
            f"grad with respect to argument {k}, which is {a.dtype}: only floating-point numbers have a gradient. "
            "Write 1.0 for 1."
        )
    return a


def tensor_of(y: Any, what: str) -> Tensor:
    if not isinstance(y, Tensor):
        raise TypeError(
            f"{what} needs a function that returns a tensor; it returned {type(y).__name__}. "
            "Compute with npgrad functions (or NumPy's on tensors), and do not call .item() or .numpy() on the result."
        )
    refuse_nested(what, [y], MODE.get().differentiating[:-1])
    return y


def scalar(y: Any, what: str) -> Tensor:
    t = tensor_of(y, what)
    if t.size != 1:
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
