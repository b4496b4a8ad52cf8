"""The functions of `npgrad.functions` under their usual spellings: `a + b`, `-a`, `x[0]`, `x.sum()`, `x.T`."""

# A function wants a tensor, and by itself an `Operators` is none.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

from npgrad import functions as F

if TYPE_CHECKING:
    from npgrad.tensor import Axis, Tensor, TensorLike

__all__ = ["Operators"]


class Operators:
    """What `Tensor` inherits; nothing else does."""

    def __add__(self, other: TensorLike) -> Tensor:
        return F.Add.apply(self, other)

    def __radd__(self, other: TensorLike) -> Tensor:
        return F.Add.apply(other, self)

    def __sub__(self, other: TensorLike) -> Tensor:
        return F.Sub.apply(self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return F.Sub.apply(other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return F.Mul.apply(self, other)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return F.Mul.apply(other, self)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return F.Div.apply(self, other)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return F.Div.apply(other, self)

    def __pow__(self, other: TensorLike) -> Tensor:
        return F.Pow.apply(self, other)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return F.Pow.apply(other, self)

    def __matmul__(self, other: TensorLike) -> Tensor:
        return F.MatMul.apply(self, other)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return F.MatMul.apply(other, self)

    def __neg__(self) -> Tensor:
        return F.Neg.apply(self)

    def __pos__(self) -> Tensor:
        return self  # type: ignore[return-value]

    def __abs__(self) -> Tensor:
        return F.abs(self)

    def __getitem__(self, index: Any) -> Tensor:
        return F.getitem(self, index)

    @property
    def T(self) -> Tensor:
        return F.transpose(self)

    def exp(self) -> Tensor:
        return F.exp(self)

    def log(self) -> Tensor:
        return F.log(self)

    def sqrt(self) -> Tensor:
        return F.sqrt(self)

    def tanh(self) -> Tensor:
        return F.tanh(self)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return F.sum(self, axis, keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return F.mean(self, axis, keepdims)

    def var(self, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
        return F.var(self, axis, ddof, keepdims)

    def std(self, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
        return F.std(self, axis, ddof, keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return F.max(self, axis, keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return F.min(self, axis, keepdims)

    def reshape(self, *shape: int | Sequence[int]) -> Tensor:
        return F.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: SupportsIndex | Sequence[int]) -> Tensor:
        return F.transpose(self, axes[0] if len(axes) == 1 else axes or None)
