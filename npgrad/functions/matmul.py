"""Matrix products: `matmul` in all its ranks, the fused map `linear`; dot, tensordot, inner, outer, vdot by them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.arithmetic import mul
from npgrad.functions.matrix_sums import column_sum
from npgrad.functions.shape import expand_dims, ravel, reshape, transpose

__all__ = ["Linear", "MatMul", "dot", "inner", "linear", "matmul", "outer", "tensordot", "vdot"]


class MatMul(Function):
    """y = a @ b, with NumPy's rules for vectors and stacks of matrices.

    Each entry a[i,j] meets every b[j,k] once, on the way to y[i,k]: its derivative collects them all, which is again a
    matrix product. The transposes need no memorising: they are the only way in which the shapes fit.

    Case: matrix times matrix
    Symbols
        a[i,j]    left factor
        b[j,k]    right factor
    Forward
        (1) y[i,k] = sum(j, a[i,j]*b[j,k])
    Backward
        (2) da[i,j] = sum((p,k), dy[p,k]*delta(p,i)*b[j,k])
                    # a[i,j] is in row i of y only, and there y[i,k] has it times b[j,k]
                    = sum(k, dy[i,k]*b[j,k])
                    # dy times the transpose of b
        (3) db[j,k] = sum((i,q), dy[i,q]*delta(q,k)*a[i,j])
                    # b[j,k] is in column k of y only
                    = sum(i, a[i,j]*dy[i,k])
                    # the transpose of a times dy

    Case: stack of matrices times stack of matrices
    Symbols
        a[s,i,j]    a stack of left factors
        b[s,j,k]    right factors, one for each
    Forward
        (1) y[s,i,k] = sum(j, a[s,i,j]*b[s,j,k])
    Backward
        (2) da[s,i,j] = sum(k, dy[s,i,k]*b[s,j,k])
        (3) db[s,j,k] = sum(i, a[s,i,j]*dy[s,i,k])

    Case: stack of matrices times one matrix
    Symbols
        a[s,i,j]    a stack of left factors
        b[j,k]      right factor, shared by the whole stack
    Forward
        (1) y[s,i,k] = sum(j, a[s,i,j]*b[j,k])
    Backward
        (2) da[s,i,j] = sum(k, dy[s,i,k]*b[j,k])
        (3) db[j,k]   = sum((s,i), a[s,i,j]*dy[s,i,k])    # b was used by every member

    Case: one matrix times stack of matrices
    Symbols
        a[i,j]      left factor, shared by the whole stack
        b[s,j,k]    a stack of right factors
    Forward
        (1) y[s,i,k] = sum(j, a[i,j]*b[s,j,k])
    Backward
        (2) da[i,j]   = sum((s,k), dy[s,i,k]*b[s,j,k])    # a was used by every member
        (3) db[s,j,k] = sum(i, a[i,j]*dy[s,i,k])

    Case: stack of matrices times vector
    Symbols
        a[s,i,j]    a stack of left factors
        b[j]        right factor, shared by the whole stack
    Forward
        (1) y[s,i] = sum(j, a[s,i,j]*b[j])
    Backward
        (2) da[s,i,j] = dy[s,i]*b[j]
        (3) db[j]     = sum((s,i), a[s,i,j]*dy[s,i])

    Case: vector times stack of matrices
    Symbols
        a[j]        left factor, shared by the whole stack
        b[s,j,k]    a stack of right factors
    Forward
        (1) y[s,k] = sum(j, a[j]*b[s,j,k])
    Backward
        (2) da[j]     = sum((s,k), dy[s,k]*b[s,j,k])
        (3) db[s,j,k] = a[j]*dy[s,k]

    Case: matrix times vector
    Symbols
        a[i,j]    left factor
        b[j]      right factor, a column without its axis
    Forward
        (1) y[i] = sum(j, a[i,j]*b[j])
    Backward
        (2) da[i,j] = dy[i]*b[j]
        (3) db[j]   = sum(i, a[i,j]*dy[i])

    Case: vector times matrix
    Symbols
        a[j]      left factor, a row without its axis
        b[j,k]    right factor
    Forward
        (1) y[k] = sum(j, a[j]*b[j,k])
    Backward
        (2) da[j]   = sum(k, dy[k]*b[j,k])
        (3) db[j,k] = a[j]*dy[k]

    Case: vector times vector
    Symbols
        a[j]    left factor
        b[j]    right factor
    Forward
        (1) y = sum(j, a[j]*b[j])
    Backward
        (2) da[j] = dy*b[j]
        (3) db[j] = a[j]*dy

    Notes
        A vector is a matrix with one axis of length 1 left out; the code puts that axis back, so that one rule serves
        all ranks. Where one factor is shared by a stack, its gradient is one product over all rows of the stack
        together, not a product per member and a sum.
    """

    @classmethod
    def check(cls, a: Array, b: Array) -> None:
        left, right = np.shape(a), np.shape(b)
        if not left or not right:
            raise ValueError(
                f"matmul takes vectors and matrices; got operands of shape {left} and {right}. "
                "Use * to multiply by a number."
            )
        rows_of_b = right[-2] if len(right) > 1 else right[0]
        if left[-1] != rows_of_b:
            raise ValueError(
                f"matmul of shapes {left} and {right}: the last axis of the first has {left[-1]} entries and the "
                f"second has {rows_of_b} rows; the two must be equal. Transpose one of them (.T), or reshape it."
            )
        stacks = zip(left[-3::-1], right[-3::-1], strict=False)
        if any(n != m and n != 1 and m != 1 for n, m in stacks):
            raise ValueError(f"matmul of shapes {left} and {right}: the axes before the last two do not broadcast.")

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        y: Array = a @ b  # (1)
        return y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        a, b = self.a, self.b
        da = db = None
        if b.ndim == 1:
            b, dy = b[:, None], dy[..., None]
        if a.ndim == 1:
            a, dy = a[None, :], dy[..., None, :]
        if self.needs[0]:
            da = dy @ b.swapaxes(-1, -2)  # (2)
        if self.needs[1]:
            if a.ndim > 2 and b.ndim == 2:
                a, dy = rows(a), rows(dy)
            db = a.swapaxes(-1, -2) @ dy  # (3)
        if da is not None and self.a.ndim == 1:
            da = da[..., 0, :]
        if db is not None and self.b.ndim == 1:
            db = db[..., 0]
        return da, db


class Linear(Function):
    """y = x @ W + b in one node: rows of x are examples, W is (fan_in, fan_out), b is (fan_out,) or absent.

    Symbols
        x[i,j]    example i, input feature j
        W[j,k]    weight from input j to output k
        b[k]      bias
    Forward
        (1) y[i,k] = sum(j, x[i,j]*W[j,k]) + b[k]
    Backward
        (2) db[k]   = sum(i, dy[i,k])
        (3) dW[j,k] = sum(i, x[i,j]*dy[i,k])
        (4) dx[i,j] = sum(k, dy[i,k]*W[j,k])
    Notes
        Every example uses the same W and b, so their gradients sum over the examples. Further axes of x in front are
        further examples.
    """

    @classmethod
    def check(cls, x: Array, W: Array, b: Array | None = None) -> None:
        if x.ndim < 1 or W.ndim != 2 or x.shape[-1] != W.shape[0] or (b is not None and b.shape != W.shape[1:]):
            raise ValueError(
                f"linear got x of shape {x.shape}, W of shape {W.shape}, b of shape {None if b is None else b.shape}; "
                "it takes x (…, fan_in), W (fan_in, fan_out) and b (fan_out,)."
            )

    def forward(self, x: Array, W: Array, b: Array | None = None) -> Array:
        self.x_shape, self.x, self.W = x.shape, rows(x), W
        y: Array = np.dot(self.x, W)
        if b is not None:
            y = np.add(y, b, out=y if y.dtype == b.dtype else None)  # (1)
        return y if x.ndim == 2 else y.reshape(*x.shape[:-1], W.shape[1])

    def backward(self, dy: Array) -> tuple[Array | None, Array | None, Array | None]:
        dx = dW = db = None
        dy = rows(dy)
        if self.needs[2]:
            db = column_sum(dy)  # (2)
        if self.needs[1]:
            dW = np.dot(self.x.T, dy)  # (3)
        if self.needs[0]:
            dx = np.dot(dy, self.W.T)  # (4)
            dx = dx if len(self.x_shape) == 2 else dx.reshape(self.x_shape)
        return dx, dW, db


def rows(a: Array) -> Array:
    """a as a matrix of its last axis; not by reshape(-1, …), which cannot tell how many rows of nothing there are."""
    return a if a.ndim == 2 else a.reshape(math.prod(a.shape[:-1]), a.shape[-1])


def matmul(a: TensorLike, b: TensorLike) -> Tensor:
    """The matrix product a @ b, with NumPy's rules for 1-D operands and for broadcasting stacks of matrices.

    Raises ValueError if an operand is a number, or the shapes do not fit.
    """
    return MatMul.apply(a, b)


def linear(x: TensorLike, W: TensorLike, b: TensorLike | None = None) -> Tensor:
    """x @ W + b, for x (…, fan_in), W (fan_in, fan_out) and b (fan_out,) or None. Raises ValueError on other shapes."""
    return Linear.apply(x, W, b)


def dot(a: TensorLike, b: TensorLike) -> Tensor:
    """np.dot: the product with a number, of vectors, of matrices; else over the last axis of a and second last of b.

    Raises ValueError if the lengths of those axes differ.
    """
    m, n = np.ndim(raw(a)), np.ndim(raw(b))
    if m == 0 or n == 0:
        return mul(a, b)
    return MatMul.apply(a, b) if n <= 2 else tensordot(a, b, (-1, -2))


def vdot(a: TensorLike, b: TensorLike) -> Tensor:
    """The sum of the products of all entries of a and b, both flattened. Raises ValueError if there are not as many."""
    return MatMul.apply(ravel(a), ravel(b))


def inner(a: TensorLike, b: TensorLike) -> Tensor:
    """Products summed over the last axes of a and b. Raises ValueError if their lengths differ."""
    return mul(a, b) if np.ndim(raw(a)) == 0 or np.ndim(raw(b)) == 0 else tensordot(a, b, (-1, -1))


def outer(a: TensorLike, b: TensorLike) -> Tensor:
    """The matrix of the products of every entry of a (rows) with every entry of b (columns)."""
    return mul(expand_dims(ravel(a), 1), ravel(b))


def tensordot(a: TensorLike, b: TensorLike, axes: Any = 2) -> Tensor:
    """Products summed over several axes: the last `axes` of a and first of b, or (axes of a, axes of b) in that order.

    The result has the other axes of a, then those of b. Raises ValueError if the axes do not fit.
    """
    left, right = np.shape(raw(a)), np.shape(raw(b))
    pair = (range(-axes, 0), range(axes)) if isinstance(axes, int) else axes
    if len(pair) != 2:
        raise ValueError(f"tensordot takes a number of axes, or a pair: those of a, those of b; got {axes!r}.")
    over_a, over_b = (
        normalize_axis_tuple(tuple(which) if np.ndim(which) else which, len(shape), "axes")
        for which, shape in zip(pair, (left, right), strict=True)
    )
    if [left[k] for k in over_a] != [right[k] for k in over_b]:
        raise ValueError(f"tensordot cannot sum over axes {over_a} of shape {left} and {over_b} of shape {right}.")
    rest_a, rest_b = ([k for k in range(len(s)) if k not in o] for s, o in ((left, over_a), (right, over_b)))
    shape = [left[k] for k in rest_a], [right[k] for k in rest_b]
    length = math.prod([left[k] for k in over_a])
    rows_of_a = reshape(transpose(a, [*rest_a, *over_a]), (math.prod(shape[0]), length))
    columns_of_b = reshape(transpose(b, [*over_b, *rest_b]), (length, math.prod(shape[1])))
    return reshape(MatMul.apply(rows_of_a, columns_of_b), (*shape[0], *shape[1]))
