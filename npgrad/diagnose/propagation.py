"""Signal propagation predicted before training: how large activations and gradients will be in every layer.

In a wide layer with random weights a pre-activation x is a sum of many independent terms, hence normal, and one number
describes it, its mean square q. With weights of variance gain²/fan_in and biases of variance bias_std²

    forward     q[l] = gain²·E φ(√q[l−1] z)² + bias_std²                                z ~ N(0, 1)
    backward    E (dL/dh[l−1])² = gain²·(fan_out/fan_in)·E φ'(√q[l] z)²·E (dL/dh[l])²    h = φ(x)

(Poole et al. 2016, arXiv:1606.05340, equation 3; Schoenholz et al. 2017, arXiv:1611.01232, equation 9.) The factor
χ₁ = gain²·E φ'² decides what depth does: gradients explode above 1 and vanish below.

Normalisation fixes q instead, at norm_gain², and divides the gradient by the standard deviation it removed:

    batch       over examples: the variance that is left of h is E φ² − (E φ)², since different examples become
                uncorrelated. Gradients grow by χ₁ = E φ'²/(E φ² − (E φ)²) a layer: Yang et al. 2019, arXiv:1902.08129,
                whose π/(π − 1) for ReLU this is
                (in a small batch, or one in which many examples are alike, they grow somewhat faster)
    layer       over the features of one example: χ₁ = E φ'²/E φ², which is 1 for ReLU; group normalisation likewise

Expectations are integrals over [0, 12] and [−12, 0] by Gauss–Legendre quadrature on panels that halve towards 0. That
is exact to rounding also for ReLU's kink and for tanh' at large q, a narrow peak that the usual Gauss–Hermite nodes
miss.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from npgrad import nn
from npgrad.diagnose.saturation import saturation
from npgrad.engine.arrays import Array, as_array
from npgrad.engine.tensor import Tensor
from npgrad.nn import ACTIVATIONS, Module

__all__ = [
    "Layer", "Moments", "Propagation", "fixed_point", "gradient_of_ignorance", "moments", "predict",
    "read_layers",
]  # fmt: skip

Floats = NDArray[np.float64]
THRESHOLDS = (0.97, 0.99)

NORMS = ("none", "batch", "layer")


class Layer(NamedTuple):
    """A weight layer with the normalisation and the nonlinearity behind it."""

    fan_in: int
    fan_out: int
    gain: float
    """Standard deviation of the weights times √fan_in."""
    activation: str | Module = "tanh"
    norm: str = "none"
    """"none", "batch" (over examples) or "layer" (over features, also for group normalisation)."""
    norm_gain: float = 1.0
    """Root mean square of the normalisation's scale."""
    bias_std: float = 0.0


class Moments(NamedTuple):
    """Of h = φ(x) for x ~ N(0, q)."""

    mean: float
    """E φ"""
    mean_square: float
    """E φ²"""
    slope_square: float
    """E φ'²"""
    saturated: tuple[float, ...]
    """The share of units beyond 0.97 and beyond 0.99, nan if φ has no known flat part."""


@dataclass(frozen=True, eq=False)
class Propagation:
    """What is predicted, one entry a layer: standard deviations over examples and units."""

    depth: NDArray[np.int64]
    """1, 2, …: as `Record.layer_depth`."""
    preactivation_std: Floats
    """Of what the activation sees: after the normalisation, if there is one."""
    activation_mean: Floats
    activation_std: Floats
    saturated: Floats
    """[layers, 2]: the share beyond 0.97 and 0.99."""
    gradient_std: Floats
    """Of the derivative of the loss with respect to the activation."""
    chi: Floats
    """χ₁, by which the mean square of gradients grows going back through this layer, widths apart."""

    def to_arrays(self, prefix: str = "") -> dict[str, Array]:
        """All the arrays by name."""
        return {prefix + field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], prefix: str = "") -> Propagation:
        """What `to_arrays(prefix)` took apart."""
        return cls(**{field.name: arrays[prefix + field.name] for field in fields(cls)})


def predict(
    layers: Sequence[Layer],
    *,
    input_mean_square: float = 1.0,
    input_variance: float | None = None,
    output_gradient: float = 1.0,
) -> Propagation:
    """The statistics of every layer, going forward from the input and back from the output.

    `input_mean_square` is that of the numbers fed to the first layer, `input_variance` their variance over examples,
    which batch normalisation goes by (None: as if their mean were 0). `output_gradient` is the standard deviation of
    the derivative of the loss with respect to the last layer's result; for cross-entropy at the beginning see
    `gradient_of_ignorance`.

    Raises ValueError if there is no layer, or one has an unknown norm or activation.
    """
    if not layers:
        raise ValueError("there are no layers to predict anything for.")
    seen: list[Moments] = []
    widths, chi, removed = [], [], []
    square, variance = input_mean_square, input_mean_square if input_variance is None else input_variance
    for layer in layers:
        if layer.norm not in NORMS:
            raise ValueError(f"there is no norm {layer.norm!r}; there are {', '.join(NORMS)}.")
        if layer.norm == "none":
            q, scale = layer.gain**2 * square + layer.bias_std**2, 1.0
        else:
            before = layer.gain**2 * (variance if layer.norm == "batch" else square)
            before += layer.bias_std**2 if layer.norm == "layer" else 0.0
            q, scale = layer.norm_gain**2, layer.norm_gain / math.sqrt(before) if before else 0.0
        m = moments(layer.activation, q)
        seen.append(m)
        widths.append(math.sqrt(q))
        removed.append(scale)
        chi.append(m.slope_square * (layer.gain * scale) ** 2)
        square, variance = m.mean_square, max(m.mean_square - m.mean**2, 0.0)
    gradient = [output_gradient**2]
    for layer, m, scale in zip(layers[:0:-1], seen[:0:-1], removed[:0:-1], strict=True):
        factor = m.slope_square * (layer.gain * scale) ** 2 * layer.fan_out / layer.fan_in
        gradient.append(gradient[-1] * factor)
    return Propagation(
        depth=np.arange(1, len(layers) + 1),
        preactivation_std=np.array(widths),
        activation_mean=np.array([m.mean for m in seen]),
        activation_std=np.array([math.sqrt(max(m.mean_square - m.mean**2, 0.0)) for m in seen]),
        saturated=np.array([m.saturated for m in seen]),
        gradient_std=np.sqrt(gradient[::-1]),
        chi=np.array(chi),
    )


def read_layers(model: Module) -> list[Layer]:
    """The layers of a network whose modules run one after the other, as they are now: gains are those of its weights.

    Embeddings, Flatten, containers and Dropout are passed over; what the first linear layer is fed has to be given to
    `predict`. Raises ValueError for modules this theory does not cover (convolution, pooling).
    """
    layers: list[Layer] = []
    passed = (nn.Embedding, nn.Flatten, nn.Dropout)
    known = tuple(kind for kind in ACTIVATIONS.values() if isinstance(kind, type))
    for name, module in model.named_modules():
        if any(isinstance(item, Module) for _, item in module._members()) or isinstance(module, passed):
            continue
        if isinstance(module, nn.Linear):
            W = module.weight._array.astype(np.float64)
            gain = float(np.sqrt(np.mean(W * W)) * math.sqrt(W.shape[0]))
            bias = 0.0 if module.bias is None else float(np.sqrt(np.mean(module.bias._array.astype(np.float64) ** 2)))
            layers.append(Layer(W.shape[0], W.shape[1], gain, "linear", bias_std=bias))
            continue
        if not layers:
            raise ValueError(f"{name} ({type(module).__name__}) comes before the first linear layer; nothing is known.")
        norm = _norm_of(module)
        if norm is not None:
            weight = getattr(module, "weight", None)
            scale = 1.0 if weight is None else float(np.sqrt(np.mean(weight._array.astype(np.float64) ** 2)))
            layers[-1] = layers[-1]._replace(norm=norm, norm_gain=scale)
        elif isinstance(module, known):
            layers[-1] = layers[-1]._replace(activation=module)
        else:
            raise ValueError(f"{name} ({type(module).__name__}) is not covered by this theory of linear layers.")
    if not layers:
        raise ValueError(f"{type(model).__name__} has no linear layer.")
    return layers


def _norm_of(module: Module) -> str | None:
    if isinstance(module, nn.BatchNorm1d):
        return "batch"
    return "layer" if isinstance(module, nn.LayerNorm | nn.GroupNorm) else None


def moments(activation: str | Module, q: float) -> Moments:
    """E φ, E φ², E φ'² and the saturated shares for x ~ N(0, q). φ and its derivative come from the module itself.

    Raises ValueError for an unknown name or a negative q.
    """
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise ValueError(f"there is no activation {activation!r}; there are {', '.join(ACTIVATIONS)}.")
        kind = ACTIVATIONS[activation]
        activation = _Identity() if kind is None else kind()
    if not q >= 0:
        raise ValueError(f"the mean square of a pre-activation cannot be {q}.")
    z, weight = _quadrature()
    x = Tensor(math.sqrt(q) * z, requires_grad=True)
    h = activation(x)
    h.backward(np.ones_like(z))
    y, slope = h.numpy(), as_array(x.grad)
    flat = saturation(activation, y)
    beyond = tuple(math.nan if flat is None else _share(activation, q, t) for t in THRESHOLDS)
    return Moments(float(weight @ y), float(weight @ (y * y)), float(weight @ (slope * slope)), beyond)


def fixed_point(activation: str | Module, gain: float, bias_std: float = 0.0) -> float:
    """The mean square q of pre-activations that layers with this gain settle at: q = gain²·E φ(√q z)² + bias_std².

    The stable one next to q = 1; 0 if activations fade, inf if they grow without bound, 1 if every q is one.
    """

    def growth(q: float) -> float:
        return gain**2 * moments(activation, q).mean_square + bias_std**2 - q

    first = growth(1.0)
    if abs(first) <= 1e-13:
        return 1.0
    low = high = 1.0
    while growth(low) < 0:
        high, low = low, low / 2
        if low < 1e-12:
            return 0.0
    while growth(high) > 0:
        low, high = high, 2 * high
        if high > 1e12:
            return math.inf
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if growth(middle) > 0 else (low, middle)
    return (low + high) / 2


def gradient_of_ignorance(classes: int, batch: int) -> float:
    """Standard deviation of the derivative of the mean cross-entropy with respect to the logits, all of them equal.

    It is (1/C − δ)/N, whose mean square over the C classes is (C − 1)/(C N)².
    """
    return math.sqrt(classes - 1) / (classes * batch)


class _Identity(Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 1.0


@functools.cache
def _quadrature() -> tuple[Floats, Floats]:
    """Nodes z and weights of the standard normal distribution."""
    t, w = np.polynomial.legendre.leggauss(20)
    edges = np.concatenate([[0.0], 12.0 * 0.5 ** np.arange(12, -1, -1.0)])
    half, centre = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
    z = (centre[:, None] + half[:, None] * t).ravel()
    density = (half[:, None] * w).ravel() * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return np.concatenate([-z[::-1], z]), np.concatenate([density[::-1], density])


def _share(activation: Module, q: float, threshold: float) -> float:
    """P(saturation > threshold) for x = √q z: where the set begins and ends is found on a grid, then by bisection."""

    def beyond(z: Array) -> NDArray[np.bool_]:
        flat = saturation(activation, activation(Tensor(math.sqrt(q) * z)).numpy())
        assert flat is not None
        return np.asarray(flat > threshold)

    grid = np.linspace(-9.0, 9.0, 3600)
    state = beyond(grid)
    at = np.flatnonzero(state[1:] != state[:-1])
    low, high = grid[at], grid[at + 1]
    for _ in range(50):
        middle = (low + high) / 2
        same = beyond(middle) == state[at]
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    ends = [-math.inf, *((low + high) / 2).tolist(), math.inf]
    ranges = list(itertools.pairwise(ends))[0 if state[0] else 1 :: 2]
    return sum(_normal(b) - _normal(a) for a, b in ranges)


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))
