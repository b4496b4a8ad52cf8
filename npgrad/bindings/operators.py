"""The functions of `npgrad.functions` under their usual spellings: `a + b`, `-a`, `x[0]`, `x.sum()`, `x.T`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from npgrad import functions as F
from npgrad.engine.arrays import Axis
from npgrad.engine.function import Function
from npgrad.engine.mode import MODE
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.options import with_known_options

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__: list[str] = []


def binary(rule: type[Function]) -> tuple[Callable[..., Tensor], Callable[..., Tensor], Callable[..., Tensor]]:
    """The operator, its reflection and its in-place form."""

    def operator(self: Tensor, other: TensorLike) -> Tensor:
        return rule.apply(self, other)

    def reflected(self: Tensor, other: TensorLike) -> Tensor:
        return rule.apply(other, self)

    def in_place(self: Tensor, other: TensorLike) -> Tensor:
        return assign(self, rule.apply, rule.__name__, other)

    return operator, reflected, in_place


def assign(tensor: Tensor, apply: Callable[..., Tensor], name: str, other: TensorLike) -> Tensor:
    """`tensor op= other`: an ordinary operation, except on leaves, whose array may be changed outside a graph.

    Raises RuntimeError on a leaf that requires a gradient while operations are recorded: the result would be another
    tensor, and the leaf that an optimiser or a module knows would stay as it is.
    """
    if not (tensor.is_leaf and tensor.requires_grad):
        return apply(tensor, other)
    if MODE.get().grad:
        raise RuntimeError(
            f"in-place {name} on a leaf of shape {tensor.shape} that requires a gradient: the graph may need "
            "its values. Change its array (q.data -= …), or write the update inside `with npgrad.no_grad():`."
        )
    new = apply(tensor, other)
    if new.shape != tensor.shape:
        raise ValueError(f"in-place {name} gives the shape {new.shape}, and the tensor has the shape {tensor.shape}.")
    array = tensor.data
    array[...] = raw(new)
    tensor.data = array
    return tensor


for _name, _rule in {
    "add": F.Add, "sub": F.Sub, "mul": F.Mul, "truediv": F.Div, "mod": F.Remainder, "pow": F.Pow, "matmul": F.MatMul
}.items():  # fmt: skip
    for _prefix, _method in zip(("", "r", "i"), binary(_rule), strict=True):
        setattr(Tensor, f"__{_prefix}{_name}__", _method)


class _Spellings:
    """Methods for `Tensor`, written as methods; copied onto it below."""

    def __neg__(self: Any) -> Tensor:
        return F.Neg.apply(self)

    def __pos__(self: Any) -> Tensor:
        return self  # type: ignore[no-any-return]

    def __abs__(self: Any) -> Tensor:
        return F.abs(self)

    def __floordiv__(self: Any, other: TensorLike) -> Tensor:
        return F.floor_divide(self, other)

    def __rfloordiv__(self: Any, other: TensorLike) -> Tensor:
        return F.floor_divide(other, self)

    def __ifloordiv__(self: Any, other: TensorLike) -> Tensor:
        return assign(self, F.floor_divide, "floor_divide", other)

    def __getitem__(self: Any, index: Any) -> Tensor:
        return F.getitem(self, index)

    @property
    def T(self: Any) -> Tensor:
        return F.transpose(self)

    @property
    def mT(self: Any) -> Tensor:
        return F.swapaxes(self, -1, -2)

    def __round__(self: Any, decimals: int = 0) -> Tensor:
        return F.round(self, decimals)

    def __floor__(self: Any) -> Tensor:
        return F.floor(self)

    def __ceil__(self: Any) -> Tensor:
        return F.ceil(self)

    def __trunc__(self: Any) -> Tensor:
        return F.trunc(self)

    def __format__(self: Any, spec: str) -> str:
        if not spec:
            return str(self)
        if self.size != 1:
            raise TypeError(
                f"the format {spec!r} is for one number; this tensor has shape {self.shape}. "
                "Reduce it first (.mean()), or print its .numpy()."
            )
        return format(self.item(), spec)

    def exp(self: Any) -> Tensor:
        return F.exp(self)

    def log(self: Any) -> Tensor:
        return F.log(self)

    def sqrt(self: Any) -> Tensor:
        return F.sqrt(self)

    def tanh(self: Any) -> Tensor:
        return F.tanh(self)

    def abs(self: Any) -> Tensor:
        return F.abs(self)

    def square(self: Any) -> Tensor:
        return F.square(self)

    def clip(self: Any, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
        return F.clip(self, min, max)

    def round(self: Any, decimals: int = 0) -> Tensor:
        return F.round(self, decimals)

    def astype(self: Any, dtype: DTypeLike) -> Tensor:
        return F.astype(self, dtype)

    def dot(self: Any, other: TensorLike) -> Tensor:
        return F.dot(self, other)

    def sum(self: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return F.sum(self, axis, keepdims)

    def mean(self: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return F.mean(self, axis, keepdims)

    def var(self: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
        return F.var(self, axis, ddof, keepdims)

    def std(self: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
        return F.std(self, axis, ddof, keepdims)

    def max(self: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return F.max(self, axis, keepdims)

    def min(self: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return F.min(self, axis, keepdims)

    def prod(self: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return F.prod(self, axis, keepdims)

    def cumsum(self: Any, axis: int | None = None) -> Tensor:
        return F.cumsum(self, axis)

    def cumprod(self: Any, axis: int | None = None) -> Tensor:
        return F.cumprod(self, axis)

    def sort(self: Any, axis: int | None = -1) -> Tensor:
        """A sorted copy; NumPy's method sorts in place, which tensors do not do."""
        return F.sort(self, axis)

    def take(self: Any, indices: TensorLike, axis: int | None = None) -> Tensor:
        return F.take(self, indices, axis)

    def repeat(self: Any, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
        return F.repeat(self, repeats, axis)

    def diagonal(self: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        return F.diagonal(self, offset, axis1, axis2)

    def trace(self: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        return F.trace(self, offset, axis1, axis2)

    def reshape(self: Any, *shape: int | Sequence[int]) -> Tensor:
        return F.reshape(self, shape[0] if len(shape) == 1 else shape)  # type: ignore[arg-type]

    def ravel(self: Any) -> Tensor:
        return F.ravel(self)

    def flatten(self: Any, start: int = 0) -> Tensor:
        """The axes from `start` on as one: `x.flatten(1)` makes a row of each example. NumPy's has no such option."""
        kept = self.shape[:start]
        return F.reshape(self, (*kept, prod(self.shape[len(kept) :])))

    def squeeze(self: Any, axis: Axis = None) -> Tensor:
        return F.squeeze(self, axis)

    def swapaxes(self: Any, axis1: int, axis2: int) -> Tensor:
        return F.swapaxes(self, axis1, axis2)

    def transpose(self: Any, *axes: int | Sequence[int]) -> Tensor:
        return F.transpose(self, axes[0] if len(axes) == 1 else axes or None)  # type: ignore[arg-type]

    # What has no gradient by nature is NumPy's.

    def argmax(self: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        return np.argmax(self._value(), axis, keepdims=keepdims) if keepdims else np.argmax(self._value(), axis)

    def argmin(self: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        return np.argmin(self._value(), axis, keepdims=keepdims) if keepdims else np.argmin(self._value(), axis)

    def argsort(self: Any, axis: int | None = -1) -> Any:
        return np.argsort(self._value(), axis, kind="stable")

    def any(self: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        return np.any(self._value(), axis, keepdims=keepdims)

    def all(self: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        return np.all(self._value(), axis, keepdims=keepdims)

    def nonzero(self: Any) -> Any:
        return np.nonzero(self._value())

    def tolist(self: Any) -> Any:
        return self.numpy().tolist()


for _name, _method in vars(_Spellings).items():
    if isinstance(_method, FunctionType):
        _method.__qualname__ = f"Tensor.{_name}"
        setattr(Tensor, _name, with_known_options(_method))
    elif isinstance(_method, property):
        setattr(Tensor, _name, _method)

Tensor._joined = staticmethod(F.stack)
