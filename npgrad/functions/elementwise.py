"""Elementary functions of one number: exp and log with their kin, sqrt, cbrt, abs, the change of dtype, a copy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions import error_function
from npgrad.functions.indexing import getitem, operand

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = [
    "Abs", "AsType", "Cbrt", "Erf", "Erfc", "Exp", "Exp2", "Expm1", "Log", "Log10", "Log1p", "Log2", "Sqrt",
    "abs", "astype", "cbrt", "copy", "erf", "erfc", "exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "sqrt",
]  # fmt: skip


class Exp(Function):
    """y = exp(x), the function that is its own derivative.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = exp(x[i])
    Backward
        (2) dx[i] = dy[i]*exp(x[i])
                  = dy[i]*y[i]
    """

    def forward(self, x: Array) -> Array:
        self.y = np.exp(x)  # (1)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * self.y  # (2)


class Log(Function):
    """y = log(x), the natural logarithm.

    Symbols
        x[i] > 0    any positive number
    Forward
        (1) y[i] = log(x[i])
    Backward
        (2) dx[i] = dy[i]/x[i]
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.log(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy / self.x  # (2)


class Log1p(Function):
    """y = log(1 + x), accurate where x is so small that 1 + x would round it away.

    Symbols
        x[i] in (-0.9, 3)    any number above -1
    Forward
        (1) y[i] = log1p(x[i])
                 = log(1 + x[i])
    Backward
        (2) dx[i] = dy[i]/(1 + x[i])
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.log1p(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy / (1 + self.x)  # (2)


class Expm1(Function):
    """y = exp(x) - 1, accurate where x is so small that exp(x) rounds to 1.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = expm1(x[i])
                 = exp(x[i]) - 1
    Backward
        (2) dx[i] = dy[i]*(y[i] + 1)
                  = dy[i]*exp(x[i])
    Notes
        The first form of (2) would save an exp, but at x = -40 it is 0 where the derivative is 4e-18: the second is
        run.
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.expm1(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy * np.exp(self.x)  # (2)


class Erf(Function):
    """y = erf(x), the error function: how likely a normal variable of variance 1/2 lies between -x and x.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = erf(x[i])
    Backward
        (2) dx[i] = dy[i]*2/sqrt(pi)*exp(-x[i]**2)    # erf(x) is 2/√π times the integral of exp(-s²) from 0 to x
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return error_function.erf(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy * (2 / math.sqrt(math.pi)) * np.exp(-self.x * self.x)  # (2)


class Erfc(Function):
    """y = 1 - erf(x), accurate where erf(x) is so near to 1 that the difference would be lost.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = 1 - erf(x[i])
    Backward
        (2) dx[i] = -dy[i]*2/sqrt(pi)*exp(-x[i]**2)
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return error_function.erfc(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy * (-2 / math.sqrt(math.pi)) * np.exp(-self.x * self.x)  # (2)


class Sqrt(Function):
    """y = sqrt(x).

    Symbols
        x[i] > 0    any number, not negative
    Forward
        (1) y[i] = sqrt(x[i])
    Backward
        (2) dx[i] = dy[i]/2/y[i]
                  = dy[i]/(2*sqrt(x[i]))
    Notes
        At x = 0 the slope is infinite, and the gradient says so. Where that is not wanted, add a small constant under
        the root, as normalisation layers do.
    """

    def forward(self, x: Array) -> Array:
        self.y = np.sqrt(x)  # (1)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy / 2 / self.y  # (2)


class Cbrt(Function):
    """y = the cube root of x, negative where x is.

    Symbols
        x[i] != 0    any number
    Forward
        (1) y[i] = sign(x[i])*abs(x[i])**(1/3)
    Backward
        (2) dx[i] = dy[i]/3/y[i]**2
                  = dy[i]/3*abs(x[i])**(-2/3)
    Notes
        At x = 0 the slope is infinite, and the gradient says so, as that of `Sqrt` does.
    """

    def forward(self, x: Array) -> Array:
        self.y = np.cbrt(x)  # (1)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy / 3 / self.y**2  # (2)


class Abs(Function):
    """y = abs(x), the distance from 0.

    Symbols
        x[i] != 0    any number
    Forward
        (1) y[i] = abs(x[i])
                 = x[i]*sign(x[i])
    Backward
        (2) dx[i] = dy[i]*sign(x[i])
    Notes
        At the kink x = 0 the slope could be any number from -1 to 1; the one in the middle, 0, is the convention, and
        it is what sign(0) gives.
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.abs(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy * np.sign(self.x)  # (2)


class Exp2(Function):
    """y = 2**x.

    Symbols
        x[i]    any number
    Forward
        (1) y[i] = 2**x[i]
                 = exp(x[i]*log(2))
    Backward
        (2) dx[i] = dy[i]*y[i]*log(2)
    """

    def forward(self, x: Array) -> Array:
        self.y = np.exp2(x)  # (1)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * self.y * math.log(2)  # (2)


class Log2(Function):
    """y = log(x)/log(2), exact at powers of 2.

    Symbols
        x[i] > 0    any positive number
    Forward
        (1) y[i] = log(x[i])/log(2)
    Backward
        (2) dx[i] = dy[i]/x[i]/log(2)
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.log2(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy / self.x / math.log(2)  # (2)


class Log10(Function):
    """y = log(x)/log(10), exact at powers of 10.

    Symbols
        x[i] > 0    any positive number
    Forward
        (1) y[i] = log(x[i])/log(10)
    Backward
        (2) dx[i] = dy[i]/x[i]/log(10)
    """

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.log10(x)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy / self.x / math.log(10)  # (2)


class AsType(Function):
    """The same numbers in another floating-point dtype.

    Symbols
        x[i]                 any number
        dtype = "float64"    of the result
    Forward
        (1) y[i] = x[i]
    Backward
        (2) dx[i] = dy[i]
    Notes
        The sweep gives the gradient the dtype of the input, as it does for every Function.
    """

    def forward(self, x: Array, dtype: DTypeLike | None = None) -> Array:
        return x.astype(dtype)  # (1)

    def backward(self, dy: Array) -> Array:
        return dy  # (2)


def exp(x: TensorLike) -> Tensor:
    """e to the power x, elementwise."""
    return Exp.apply(x)


def log(x: TensorLike) -> Tensor:
    """The natural logarithm, elementwise."""
    return Log.apply(x)


def log1p(x: TensorLike) -> Tensor:
    """log(1 + x), elementwise and accurate near 0."""
    return Log1p.apply(x)


def expm1(x: TensorLike) -> Tensor:
    """exp(x) - 1, elementwise and accurate near 0."""
    return Expm1.apply(x)


def sqrt(x: TensorLike) -> Tensor:
    """The square root, elementwise; its gradient at 0 is infinite."""
    return Sqrt.apply(x)


def cbrt(x: TensorLike) -> Tensor:
    """The cube root, elementwise, of negative numbers too; its gradient at 0 is infinite."""
    return Cbrt.apply(x)


def abs(x: TensorLike) -> Tensor:
    """The absolute value, elementwise; its gradient at 0 is 0. NumPy's `abs` and `absolute`."""
    return Abs.apply(x)


def exp2(x: TensorLike) -> Tensor:
    """2 to the power x, elementwise."""
    return Exp2.apply(x)


def log2(x: TensorLike) -> Tensor:
    """The logarithm to the base 2, elementwise."""
    return Log2.apply(x)


def log10(x: TensorLike) -> Tensor:
    """The logarithm to the base 10, elementwise."""
    return Log10.apply(x)


def erf(x: TensorLike) -> Tensor:
    """The error function, 2/√π times the integral of exp(-s²) from 0 to x, elementwise."""
    return Erf.apply(x)


def erfc(x: TensorLike) -> Tensor:
    """1 - erf(x), to full relative accuracy at large x."""
    return Erfc.apply(x)


def astype(x: TensorLike, dtype: DTypeLike) -> Tensor:
    """x in another dtype. The gradient has the dtype of x; integers and booleans have none, so the graph ends there."""
    if np.dtype(dtype).kind in "fc":
        return AsType.apply(operand(x), dtype=np.dtype(dtype))
    return Tensor(raw(operand(x)).astype(dtype))


def copy(x: TensorLike, order: str = "K") -> Tensor:
    """The numbers of x in an array of their own, gradient included (the method `Tensor.copy` gives a new leaf).

    NumPy's `copy`, `positive`, `real` and `conj`, tensors being real. `order` is NumPy's, and makes no difference to
    the numbers.
    """
    x = getitem(x, ...)
    return astype(x, x.dtype)
