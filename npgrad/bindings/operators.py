"""The functions of `npgrad.functions` under their usual spellings: `a + b`, `-a`, `x[0]`, `x.sum()`, `x.T`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from types import FunctionType
from typing import Any

from npgrad import functions as F
from npgrad.engine.arrays import Axis
from npgrad.engine.function import Function
from npgrad.engine.mode import MODE
from npgrad.engine.tensor import Tensor, TensorLike

__all__: list[str] = []


def binary(rule: type[Function]) -> tuple[Callable[..., Tensor], Callable[..., Tensor], Callable[..., Tensor]]:
    """The operator, its reflection and its in-place form."""

    def operator(self: Tensor, other: TensorLike) -> Tensor:
        return rule.apply(self, other)

    def reflected(self: Tensor, other: TensorLike) -> Tensor:
        return rule.apply(other, self)

    def in_place(self: Tensor, other: TensorLike) -> Tensor:
        return assign(self, rule, other)

    return operator, reflected, in_place


def assign(tensor: Tensor, rule: type[Function], other: TensorLike) -> Tensor:
    """`tensor op= other`: an ordinary operation, except on leaves, whose array may be changed outside a graph.

    Raises RuntimeError on a leaf that requires a gradient while operations are recorded: the result would be another
    tensor, and the leaf that an optimiser or a module knows would stay as it is.
    """
    if not (tensor.is_leaf and tensor.requires_grad):
        return rule.apply(tensor, other)
    if MODE.get().grad:
        raise RuntimeError(
            f"in-place {rule.__name__} on a leaf of shape {tensor.shape} that requires a gradient: the graph may need "
            "its values. Change its array (q.data -= …), or write the update inside `with npgrad.no_grad():`."
        )
    tensor.data = rule.apply(tensor, other)
    return tensor


for _name, _rule in {
    "add": F.Add, "sub": F.Sub, "mul": F.Mul, "truediv": F.Div, "pow": F.Pow, "matmul": F.MatMul
}.items():  # fmt: skip
    for _prefix, _method in zip(("", "r", "i"), binary(_rule), strict=True):
        setattr(Tensor, f"__{_prefix}{_name}__", _method)


_ELSEWHERE = {"dim": "axis", "keepdim": "keepdims", "unbiased": "ddof", "correction": "ddof"}
"""What PyTorch calls otherwise."""


def named(method: Callable[..., Any]) -> Callable[..., Any]:
    """`method`, naming itself and the right option where PyTorch's was given."""

    @wraps(method)
    def call(*args: Any, **options: Any) -> Any:
        if not _ELSEWHERE.keys().isdisjoint(options):
            wrong = next(name for name in options if name in _ELSEWHERE)
            right = _ELSEWHERE[wrong]
            raise TypeError(f"Tensor.{method.__name__} has no option {wrong!r}: as in NumPy, it is {right!r}.")
        return method(*args, **options)

    call.__qualname__ = f"Tensor.{method.__name__}"
    return call


class _Spellings:
    """Methods for `Tensor`, written as methods; copied onto it below."""

    def __neg__(self: Any) -> Tensor:
        return F.Neg.apply(self)

    def __pos__(self: Any) -> Tensor:
        return self  # type: ignore[no-any-return]

    def __abs__(self: Any) -> Tensor:
        return F.abs(self)

    def __getitem__(self: Any, index: Any) -> Tensor:
        return F.getitem(self, index)

    @property
    def T(self: Any) -> Tensor:
        return F.transpose(self)

    def exp(self: Any) -> Tensor:
        return F.exp(self)

    def log(self: Any) -> Tensor:
        return F.log(self)

    def sqrt(self: Any) -> Tensor:
        return F.sqrt(self)

    def tanh(self: Any) -> Tensor:
        return F.tanh(self)

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

    def reshape(self: Any, *shape: int | Sequence[int]) -> Tensor:
        return F.reshape(self, shape[0] if len(shape) == 1 else shape)  # type: ignore[arg-type]

    def transpose(self: Any, *axes: int | Sequence[int]) -> Tensor:
        return F.transpose(self, axes[0] if len(axes) == 1 else axes or None)  # type: ignore[arg-type]


for _name, _method in vars(_Spellings).items():
    if isinstance(_method, FunctionType):
        _method.__qualname__ = f"Tensor.{_name}"
        setattr(Tensor, _name, named(_method) if "axis" in _method.__code__.co_varnames else _method)
    elif isinstance(_method, property):
        setattr(Tensor, _name, _method)
