"""Activation functions: tanh sigmoid relu leaky_relu prelu elu selu celu gelu silu softplus
log_sigmoid mish softsign."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike
from npgrad.functions.arithmetic import add, div, mul, neg
from npgrad.functions.elementwise import abs
from npgrad.functions.error_function import normal_cdf
from npgrad.functions.reduction import floating
from npgrad.functions.shape import reshape

__all__ = [
    "Elu", "Gelu", "GeluTanh", "LeakyRelu", "Prelu", "Relu", "Sigmoid", "Silu", "Softplus", "Tanh",
    "celu", "elu", "gelu", "leaky_relu", "log_sigmoid", "mish", "prelu", "relu", "selu", "sigmoid", "silu", "softplus",
    "softsign", "tanh",
]  # fmt: skip

NEGATIVE_SLOPE = 0.01
"""The slope of leaky_relu on the left, unless another is given."""

# Beyond this the normal density underflows, and a tanh is 1.
_SATURATED = 40.0


class Tanh(Function):
    """t = tanh(x), the squashing function of the lecture's networks.

    Symbols
        x[i]    pre-activation
    Forward
        (1) t[i] = tanh(x[i])
                 = (exp(x[i]) - exp(-x[i]))/(exp(x[i]) + exp(-x[i]))
                 = sinh(x[i])/cosh(x[i])
    Backward
        (2) dx[i] = dt[i]*(cosh(x[i])*cosh(x[i]) - sinh(x[i])*sinh(x[i]))/cosh(x[i])**2
                  # the quotient rule; sinh and cosh are each other's derivative
                  = dt[i]*(1 - (sinh(x[i])/cosh(x[i]))**2)
                  = dt[i]*(1 - t[i]*t[i])
                  # by (1)
    Notes
        The last form of (2) needs the output only, so the input is not kept.

        The factor 1 - t**2 is at most 1: tanh can only weaken a gradient. Where a unit saturates it removes it:

            t          0       0.5     0.9     0.99      0.999     1
            1 - t**2   1       0.75    0.19    0.0199    0.002     0

        A unit that sits at |t| > 0.99 on every example of the data hardly learns any more: it is dead.
    """

    def forward(self, x: Array) -> Array:
        self.t = np.tanh(x)  # (1)
        return self.t

    def backward(self, dt: Array) -> Array:
        return dt * (1 - self.t * self.t)  # (2)


class Sigmoid(Function):
    """s = 1/(1 + exp(-x)), a probability from a log-odds.

    Symbols
        x[i]    log-odds
    Forward
        (1) s[i] = 1/(1 + exp(-x[i]))
                 = (1 + tanh(x[i]/2))/2
    Backward
        (a) 1 - s[i] = exp(-x[i])*s[i]
        (2) dx[i] = ds[i]*exp(-x[i])/(1 + exp(-x[i]))**2
                  = ds[i]*s[i]*(1 - s[i])
    Notes
        The factor s*(1 - s) is at most 1/4, at x = 0: every sigmoid on the way divides a gradient by four or more.

        At x = -1e4, exp(-x) overflows to infinity and 1/(1 + infinity) = 0 is right; only the warning is switched off.
        The second form of (1) cannot overflow, but it rounds to 0 at x = -40 where the first one gives 4e-18.
    """

    def forward(self, x: Array) -> Array:
        self.s = logistic(floating(x))  # (1)
        return self.s

    def backward(self, ds: Array) -> Array:
        return ds * self.s * (1 - self.s)  # (2)


class Relu(Function):
    """y = max(x, 0), the rectifier.

    Symbols
        x[i] != 0    pre-activation
    Forward
        (1) y[i] = maximum(x[i], 0)
    Backward
        (2) dx[i] = dy[i]*(x[i] > 0)
                  = dy[i]*sign(y[i])
    Notes
        At the kink x = 0 any slope from 0 to 1 would do; 0 is the convention. The second form of (2) says so, needs the
        output only, and answers nan where x was nan, while the comparison would hide it as a 0.
    """

    def forward(self, x: Array) -> Array:
        self.y = np.maximum(x, 0)  # (1)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * np.sign(self.y)  # (2)


class LeakyRelu(Function):
    """y = x where x > 0, negative_slope*x elsewhere.

    Symbols
        x[i] != 0                pre-activation
        negative_slope = 0.02    slope on the left
    Forward
        (1) y[i] = where(x[i] > 0, x[i], negative_slope*x[i])
                 = maximum(x[i], negative_slope*x[i])    # or the minimum, if negative_slope > 1
    Backward
        (2) step[i] = x[i] > 0
        (3) dx[i]   = dy[i]*where(x[i] > 0, 1, negative_slope)
                    = dy[i]*(step[i] + negative_slope*(1 - step[i]))
    Notes
        At x = 0 the slope is that of the left side, as for relu, which is the case negative_slope = 0. The slope at nan
        is nan.
    """

    def forward(self, x: Array, negative_slope: float = NEGATIVE_SLOPE) -> Array:
        self.x, self.negative_slope = x, negative_slope
        larger = np.maximum if negative_slope <= 1 else np.minimum
        return larger(x, negative_slope * x)  # (1)

    def backward(self, dy: Array) -> Array:
        step = heaviside(self.x)  # (2)
        return dy * (step + self.negative_slope * (1 - step))  # (3)


class Prelu(Function):
    """y = x where x > 0, a*x elsewhere, with a slope that is learned (He et al. 2015, arXiv:1502.01852, section 2.1).

    Symbols
        x[i,k] != 0    pre-activation
        a[k]           slope on the left, broadcast along i
    Forward
        (1) n[i,k] = minimum(x[i,k], 0)
        (2) y[i,k] = where(x[i,k] > 0, x[i,k], a[k]*x[i,k])
                   = maximum(x[i,k], 0) + a[k]*n[i,k]
    Backward
        (3) step[i,k] = x[i,k] > 0
        (4) dx[i,k]   = dy[i,k]*where(x[i,k] > 0, 1, a[k])
                      = dy[i,k]*(step[i,k] + a[k]*(1 - step[i,k]))
        (5) da[k]     = sum(i, dy[i,k]*n[i,k])
    Notes
        At x = 0 the slope is that of the left side, as for `LeakyRelu`, whose slope is a constant. The sum of (5) is
        taken by the sweep: see `npgrad.engine.arrays.unbroadcast`.
    """

    def forward(self, x: Array, a: Array) -> Array:
        self.x, self.a = x, a
        self.n = np.minimum(x, 0)  # (1)
        return np.maximum(x, 0) + a * self.n  # (2)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        dx = da = None
        if self.needs[0]:
            step = heaviside(self.x)  # (3)
            dx = dy * (step + self.a * (1 - step))  # (4)
        if self.needs[1]:
            da = dy * self.n  # (5)
        return dx, da


class Elu(Function):
    """y = x where x > 0, alpha*(exp(x) - 1) elsewhere (Clevert et al. 2015, arXiv:1511.07289, equation 15).

    Symbols
        x[i] != 0      pre-activation
        alpha = 1.5    minus the limit on the left
    Forward
        (1) n[i] = minimum(x[i], 0)
        (2) y[i] = where(x[i] > 0, x[i], alpha*expm1(n[i]))
                 = maximum(x[i], 0) + alpha*expm1(n[i])
    Backward
        (3) step[i] = x[i] > 0
        (4) dx[i]   = dy[i]*where(x[i] > 0, 1, alpha + y[i])
                    = dy[i]*where(x[i] > 0, 1, alpha*exp(n[i]))
                    = dy[i]*(step[i] + alpha*(exp(n[i]) - step[i]))
    Notes
        The detour over n keeps exp from overflowing where its value is not wanted: where x > 0, n is 0 and exp(n) 1.
        The first form of (4) would save an exp, but alpha + y cancels to 0 where the unit is saturated. At x = 0 the
        slope is that of the left side, alpha.
    """

    def forward(self, x: Array, alpha: float = 1.0) -> Array:
        x = self.x = floating(x)
        self.alpha = alpha
        self.n = n = np.minimum(x, 0)  # (1)
        y = np.expm1(n)
        y *= alpha
        y += np.maximum(x, 0)  # (2)
        return y

    def backward(self, dy: Array) -> Array:
        step = heaviside(self.x)  # (3)
        # In place, as GeluTanh too: at 4096 x 1024 a new array for each step takes 1.3 times as long.
        dx = np.exp(self.n)
        dx -= step
        dx *= self.alpha
        dx += step
        dx *= dy  # (4)
        return dx


class Gelu(Function):
    """y = x*cdf(x), with the normal distribution function (Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2).

    Symbols
        x[i]    pre-activation
    Forward
        (1) cdf[i] = (1 + erf(x[i]/sqrt(2)))/2
        (2) y[i]   = x[i]*cdf[i]
    Backward
        (a) dcdf[i]  = dy[i]*x[i]
        (3) pdf[i]   = exp(-x[i]**2/2)/sqrt(2*pi)
        (4) slope[i] = cdf[i] + x[i]*pdf[i]
        (5) dx[i]    = dy[i]*cdf[i] + dcdf[i]*pdf[i]
                     = dy[i]*slope[i]
    Notes
        x reaches y in two ways, as the factor of (2) and through cdf, and (5) has a term for each. The derivative of
        cdf is the normal density (3), by the definition of erf as an integral. The forward pass needs the density too
        (see `normal_cdf`), which is why (3) and (4) are computed there.

        (1) is computed without cancellation at negative x. There x is held within ±40, beyond which cdf and pdf have
        long reached their limits: so that minus infinity gives 0 and not infinity times 0.
    """

    def forward(self, x: Array) -> Array:
        x = floating(x)
        held = x.clip(-_SATURATED, _SATURATED)
        pdf = np.exp(-0.5 * held * held) * (2 * pi) ** -0.5  # (3)
        cdf = normal_cdf(held, pdf)  # (1)
        self.slope = cdf + held * pdf  # (4)
        return x.clip(-_SATURATED, np.inf) * cdf  # (2)

    def backward(self, dy: Array) -> Array:
        return dy * self.slope  # (5)


class GeluTanh(Function):
    """The approximation of gelu by a tanh (Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2).

    Symbols
        x[i]              pre-activation
        c = sqrt(2/pi)    slope at 0 of the tanh that is nearest to the normal distribution function
        k = 0.044715      fitted
    Forward
        (1) u[i] = c*(x[i] + k*x[i]**3)
        (2) t[i] = tanh(u[i])
        (3) y[i] = x[i]*(1 + t[i])/2
    Backward
        (a) dt[i] = dy[i]*x[i]/2
        (b) du[i] = dt[i]*(1 - t[i]**2)
        (4) dx[i] = dy[i]*(1 + t[i])/2 + du[i]*c*(1 + 3*k*x[i]**2)
                  = dy[i]*(1 + t[i])/2*(1 + (1 - t[i])*x[i]*c*(1 + 3*k*x[i]**2))
    Notes
        x is held within ±40, beyond which t is ±1 exactly, so that minus infinity gives 0 and not infinity times 0.
    """

    c = sqrt(2 / pi)
    k = 0.044715

    def forward(self, x: Array) -> Array:
        x = floating(x)
        self.x = held = x.clip(-_SATURATED, _SATURATED)
        u = held * held
        u *= self.c * self.k
        u += self.c
        u *= held  # (1)
        self.t = t = np.tanh(u)  # (2)
        y = 0.5 * t
        y += 0.5
        y *= x.clip(-_SATURATED, np.inf)  # (3)
        return y

    def backward(self, dy: Array) -> Array:
        x, t = self.x, self.t
        dx = x * x
        dx *= 3 * self.c * self.k
        dx += self.c
        dx *= x
        dx *= 1 - t
        dx += 1
        dx *= 0.5 + 0.5 * t
        dx *= dy  # (4)
        return dx


class Silu(Function):
    """y = x*s with s = sigmoid(x), also called swish (Hendrycks & Gimpel 2016, arXiv:1606.08415, section 3.3).

    Symbols
        x[i]    pre-activation
    Forward
        (1) s[i] = sigmoid(x[i])
        (2) y[i] = x[i]*s[i]
    Backward
        (a) ds[i] = dy[i]*x[i]
        (3) dx[i] = dy[i]*s[i] + ds[i]*s[i]*(1 - s[i])
                  = dy[i]*s[i]*(1 + x[i]*(1 - s[i]))
                  = dy[i]*(s[i] + y[i]*(1 - s[i]))
    Notes
        x is held above -1000 in (2) and y below 1000 in (3), where s is 0 or 1 exactly: so that infinity times 0 does
        not spoil the limits, silu(-infinity) = 0 and the slope 1 at +infinity.
    """

    def forward(self, x: Array) -> Array:
        x = floating(x)
        self.s = s = logistic(x)  # (1)
        self.y = x.clip(-1000.0, np.inf) * s  # (2)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * (self.s + self.y.clip(-np.inf, 1000.0) * (1 - self.s))  # (3)


class Softplus(Function):
    """y = log(1 + exp(x)), a smooth maximum of x and 0.

    Symbols
        x[i]    pre-activation
    Forward
        (1) y[i] = log(1 + exp(x[i]))
                 = maximum(x[i], 0) + log1p(exp(-abs(x[i])))
    Backward
        (2) dx[i] = dy[i]*exp(x[i])/(1 + exp(x[i]))
                  = dy[i]*sigmoid(x[i])
                  = -dy[i]*expm1(-y[i])
    Notes
        The second form of (1) splits off what would overflow: for x > 0, log(1 + exp(x)) = x + log(exp(-x) + 1). The
        last form of (2) needs the output only: 1 + exp(x) = exp(y), so the sigmoid 1 - 1/(1 + exp(x)) is 1 - exp(-y).
    """

    def forward(self, x: Array) -> Array:
        self.y = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))  # (1)
        return self.y

    def backward(self, dy: Array) -> Array:
        return -(dy * np.expm1(-self.y))  # (2)


def logistic(x: Array) -> Array:
    """1/(1 + exp(-x)), right at both infinities and without a warning."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def heaviside(x: Array) -> Array:
    """1 where x > 0, 0 where not, nan where x is nan: several times as fast as selecting."""
    return np.ceil(x.clip(0.0, 1.0))


def tanh(x: TensorLike) -> Tensor:
    """The hyperbolic tangent, elementwise."""
    return Tanh.apply(x)


def sigmoid(x: TensorLike) -> Tensor:
    """1/(1 + exp(-x)), elementwise, without overflow."""
    return Sigmoid.apply(x)


def relu(x: TensorLike) -> Tensor:
    """max(x, 0), elementwise; the gradient at 0 is 0."""
    return Relu.apply(x)


def leaky_relu(x: TensorLike, negative_slope: float = NEGATIVE_SLOPE) -> Tensor:
    """x where x > 0, negative_slope*x elsewhere; the gradient at 0 is `negative_slope`."""
    return LeakyRelu.apply(x, negative_slope=negative_slope) if negative_slope else Relu.apply(x)


def prelu(x: TensorLike, weight: TensorLike) -> Tensor:
    """x where x > 0, weight*x elsewhere; one weight for all, shape (1,) or (), or one for each channel (axis 1).

    The gradient at 0 is `weight`. Raises ValueError if there are neither one weight nor as many as channels.
    """
    if isinstance(weight, int | float):
        return Prelu.apply(x, weight)
    x = x if isinstance(x, Tensor) else Tensor(x)
    a = weight if isinstance(weight, Tensor) else Tensor(weight)
    channels = x.shape[1:2] or (1,)
    if a.size != 1 and a.shape != channels:
        raise ValueError(
            f"prelu got a weight of shape {a.shape} for x of shape {x.shape}: give it one, or one for each channel, "
            f"shape {channels}."
        )
    ones = (1,) * max(x.ndim - 2, 0)
    return Prelu.apply(x, reshape(a, () if a.size == 1 else (*a.shape, *ones)))


def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha*(exp(x) - 1) elsewhere; the gradient at 0 is `alpha`."""
    return Elu.apply(x, alpha=alpha)


def selu(x: TensorLike) -> Tensor:
    """`elu` with the scale and alpha that keep mean 0 and variance 1 (Klambauer et al. 2017, arXiv:1706.02515)."""
    return mul(Elu.apply(x, alpha=1.6732632423543772), 1.0507009873554805)


def celu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha*(exp(x/alpha) - 1) elsewhere, with a continuous slope (Barron 2017, arXiv:1704.07483).

    Raises ValueError if alpha is 0.
    """
    if alpha == 0:
        raise ValueError("celu got alpha=0: x/0 is no number. Give it another one, or take relu.")
    return mul(Elu.apply(div(x, alpha)), alpha)


def mish(x: TensorLike) -> Tensor:
    """x*tanh(softplus(x)), elementwise (Misra 2019, arXiv:1908.08681)."""
    return mul(x, Tanh.apply(Softplus.apply(x)))


def softsign(x: TensorLike) -> Tensor:
    """x/(1 + |x|), elementwise."""
    return div(x, add(abs(x), 1))


def gelu(x: TensorLike, approximate: str = "none") -> Tensor:
    """x times the normal distribution function of x, elementwise; `approximate="tanh"` replaces that by a tanh.

    Raises ValueError if `approximate` is neither "none" nor "tanh".
    """
    if approximate == "none":
        return Gelu.apply(x)
    if approximate == "tanh":
        return GeluTanh.apply(x)
    raise ValueError(f'gelu got approximate={approximate!r}. Say "none" (exact, by the error function) or "tanh".')


def silu(x: TensorLike) -> Tensor:
    """x*sigmoid(x), elementwise."""
    return Silu.apply(x)


def softplus(x: TensorLike, beta: float = 1.0) -> Tensor:
    """log(1 + exp(beta*x))/beta, elementwise, without overflow. (PyTorch's `threshold` is not needed for that.)

    Raises ValueError if beta is 0.
    """
    if beta == 1:
        return Softplus.apply(x)
    if beta == 0:
        raise ValueError("softplus got beta=0: log(2)/0 is no function. Give it another number.")
    return div(Softplus.apply(mul(x, beta)), beta)


def log_sigmoid(x: TensorLike) -> Tensor:
    """log(sigmoid(x)) = -softplus(-x), elementwise, exact where the sigmoid underflows."""
    return neg(Softplus.apply(neg(x)))
