"""What is measured, once, for all diagnoses: passes over data without updates, and short courses of training."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from npgrad import functions as F
from npgrad.data import Batches
from npgrad.diagnose.doctor.snapshot import Snapshot, examples
from npgrad.diagnose.watching import Watching
from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.mode import no_grad
from npgrad.engine.node import Leaf
from npgrad.engine.tensor import Tensor
from npgrad.nn import Module
from npgrad.optim import Optimizer

__all__ = ["Course", "Patient", "Place", "Vitals"]

Floats = NDArray[np.float64]
PROBES = 8
"""Minibatches in a pass over data."""

SATURATED: dict[str, Callable[[Array, Function], Array]] = {
    "Tanh": lambda y, node: np.abs(y),
    "Sigmoid": lambda y, node: np.abs(2 * y - 1),
    "Relu": lambda y, node: (y <= 0).astype(y.dtype),
}
"""How far each output is into the flat part of its function, as in `npgrad.diagnose.saturation`."""
ACTIVATIONS = {*SATURATED, "LeakyRelu", "Elu", "Gelu", "GeluTanh", "Silu", "Softplus"}
WEIGHTS = {"Linear", "Conv", "MatMul"}
NORMS = {"BatchNorm", "BatchNormInference", "LayerNorm", "GroupNorm"}
BEYOND = 0.97
"""A tanh beyond it passes less than 6 % of the gradient (1 − 0.97² = 0.059)."""


@dataclass(eq=False)
class Place:
    """One Function at one place of the network: what it gave and what came back, over all batches of a pass."""

    layer: str
    kind: str
    order: int
    spatial: bool
    """Whether units are channels on axis 1."""
    parameters: tuple[str, ...] = ()
    rows: int = 0
    sums: Floats = field(default_factory=lambda: np.zeros(0))
    squares: Floats = field(default_factory=lambda: np.zeros(0))
    beyond: Floats = field(default_factory=lambda: np.zeros(0))
    low: Floats = field(default_factory=lambda: np.zeros(0))
    high: Floats = field(default_factory=lambda: np.zeros(0))
    sample: Array = field(default_factory=lambda: np.zeros((0, 0)))
    """The units' values in the first batch, [rows, units]."""
    gradient_sample: Array | None = None
    gradient_square: float = 0.0
    gradient_count: int = 0
    cancelled: float = 1.0
    """|Σ dy|/Σ|dy| over rows, the largest of all units: 0 where a bias could change nothing."""
    before: tuple[str, ...] = ()
    """Of a normalisation: the biases that are added right before it."""

    def units(self, y: Array) -> Array:
        if y.ndim < 2:
            return y.reshape(-1, 1)
        if self.spatial and y.ndim > 2:
            return np.moveaxis(y, 1, -1).reshape(-1, y.shape[1])
        return y.reshape(-1, y.shape[-1])

    def see(self, y: Array, node: Function) -> None:
        u = self.units(y)
        flat = SATURATED.get(self.kind)
        with np.errstate(all="ignore"):
            u64 = u.astype(np.float64)
            fresh = [u64.sum(0), (u64 * u64).sum(0)]
            fresh.append(
                (self.units(flat(y, node)) > BEYOND).sum(0).astype(np.float64) if flat else np.zeros(u.shape[1])
            )
            low, high = u64.min(0), u64.max(0)
        if not self.rows:
            self.sums, self.squares, self.beyond = fresh
            self.low, self.high, self.sample = low, high, u.copy()
        elif u.shape[1] == len(self.sums):
            self.sums, self.squares, self.beyond = (
                a + b for a, b in zip((self.sums, self.squares, self.beyond), fresh, strict=True)
            )
            self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        self.rows += len(u)

    def see_gradient(self, dy: Array) -> None:
        g = self.units(dy)
        if self.gradient_sample is None:
            self.gradient_sample = g.copy()
            size = np.abs(g).sum(0, dtype=np.float64)
            alive = size > 0
            if alive.any():
                self.cancelled = float((np.abs(g.sum(0, dtype=np.float64))[alive] / size[alive]).max())
        with np.errstate(all="ignore"):
            self.gradient_square += float(np.square(g, dtype=np.float64).sum())
        self.gradient_count += g.size

    @property
    def mean(self) -> Floats:
        return self.sums / max(self.rows, 1)

    @property
    def std(self) -> Floats:
        """Of each unit, over examples."""
        with np.errstate(all="ignore"):
            return np.sqrt(np.maximum(self.squares / max(self.rows, 1) - self.mean**2, 0))

    @property
    def spread(self) -> float:
        """Root mean square over units of their standard deviation over examples: the signal that is left."""
        with np.errstate(all="ignore"):
            return float(np.sqrt(np.mean(self.std**2)))

    @property
    def saturated(self) -> float:
        return float(self.beyond.sum() / max(self.rows * len(self.beyond), 1))

    @property
    def stuck(self) -> NDArray[np.bool_]:
        """Units in the flat part for every example."""
        return np.asarray(self.beyond == self.rows)

    @property
    def flat(self) -> NDArray[np.bool_]:
        """Units that are stuck on one side: one that gives −1 to some examples and 1 to others still answers."""
        middle = 0.5 if self.kind == "Sigmoid" else 0.0
        return self.stuck & ((self.low >= middle) | (self.high <= middle))

    @property
    def gradient(self) -> float:
        """Root mean square of the derivative of the loss with respect to the output."""
        return float(np.sqrt(self.gradient_square / self.gradient_count)) if self.gradient_count else 0.0

    @property
    def twins(self) -> float:
        """The share of units that compute exactly what another unit of the layer computes; constant ones left out."""
        u = self.sample
        moving = np.ptp(u, axis=0) > 0 if len(u) else np.zeros(0, bool)
        if moving.sum() < 2 or not np.isfinite(u).all():
            return 0.0
        live = u[:, moving].astype(np.float64)
        scale = np.abs(live).max() or 1.0
        different = len(np.unique(np.round(live.T / scale, 5), axis=0))
        return float(1 - (different - 1) / (live.shape[1] - 1))


class _Probe(Watching):
    """Collects a `Place` for each Function that is a layer, in the order in which they run."""

    def __init__(self, model: Module) -> None:
        super().__init__(model)
        self.names = {id(p._leaf()): name for name, p in model.named_parameters()}
        self.places: dict[tuple[str, str, int], Place] = {}
        self.used: set[str] = set()
        self.count: dict[tuple[str, str], int] = {}
        # Weak, so that the identity of a node that nothing needs any more is not taken for that of a later one.
        self.of: WeakKeyDictionary[Function, Place] = WeakKeyDictionary()
        self.spatial = False

    def begin(self) -> None:
        self.count, self.of = {}, WeakKeyDictionary()

    def forward_seen(
        self, node: Function, arrays: list[Any], options: dict[str, Any], leaves: tuple[Leaf, ...], y: Array
    ) -> None:
        own = tuple(self.names[id(leaf)] for leaf in leaves if id(leaf) in self.names)
        self.used.update(own)
        kind = type(node).__name__
        if kind in WEIGHTS:
            if not own:
                return
            self.spatial = kind == "Conv"
        elif kind not in ACTIVATIONS and kind not in NORMS and kind != "Embedding":
            return
        if y.dtype.kind != "f" or not y.size:
            return
        layer = self.layer() or (own[0].rpartition(".")[0] if own else "")
        k = self.count[layer, kind] = self.count.get((layer, kind), -1) + 1
        place = self.places.get((layer, kind, k))
        if place is None:
            place = Place(layer, kind, len(self.places), self.spatial and kind not in NORMS, own)
            self.places[layer, kind, k] = place
        place.see(y, node)
        self.of[node] = place

    def backward_seen(self, node: Function, dy: Array, gradients: tuple[Any, ...]) -> None:
        place = self.of.get(node)
        if place is not None:
            if place.kind == "BatchNorm" and not place.before:
                place.before = self._biases(node)
            place.see_gradient(dy)

    def _biases(self, node: Function) -> tuple[str, ...]:
        """The biases added to the input of this normalisation, with nothing but reshaping in between."""
        below = (node.edges or (None,))[0]
        for _ in range(6):
            if below is None or isinstance(below, Leaf):
                return ()
            edges = below.edges or ()
            kind = type(below).__name__
            if kind in ("Linear", "Conv", "Add"):
                leaves = [e for e in (edges[1:] if kind == "Add" else edges[2:]) if isinstance(e, Leaf)]
                return tuple(self.names[id(e)] for e in leaves if id(e) in self.names)
            below = edges[0] if edges else None
        return ()


@dataclass(eq=False)
class Vitals:
    """One pass over `PROBES` minibatches, forward and backward, without an update."""

    losses: Floats
    outputs: list[Array]
    targets: list[Array]
    inputs: list[Array]
    places: list[Place]
    used: set[str]
    """Parameters that a Function was given."""
    gradient: dict[str, Array | None]
    """Of the mean loss, for each parameter."""
    noise: dict[str, float]
    """Root mean square over batches and entries of each parameter's gradient."""
    size: dict[str, float]
    """Root mean square of each parameter."""
    connected: bool
    """Whether the loss depends on anything that is trained."""

    @property
    def loss(self) -> float:
        return float(self.losses.mean())

    @property
    def activations(self) -> list[Place]:
        return [p for p in self.places if p.kind in ACTIVATIONS]

    @property
    def weights(self) -> list[Place]:
        return [p for p in self.places if p.kind in WEIGHTS]

    @property
    def normalised(self) -> bool:
        return any(p.kind in NORMS for p in self.places)


@dataclass(eq=False)
class Course:
    """Some steps of training."""

    losses: Floats
    rates: Floats
    """Learning rate of each step (of the first group)."""
    ratios: dict[str, Floats]
    """Standard deviation of each parameter's update over that of its values, at some of the steps."""
    sizes: dict[str, tuple[float, float]]
    """Root mean square of each parameter before and after."""
    after: float = np.nan
    """Mean loss of the probe's minibatches afterwards."""
    spread: float = np.nan
    """The standard deviation of that over minibatches."""
    settled: float = np.nan
    """Mean loss over the last quarter of the steps."""

    def ratio(self, name: str) -> float:
        """log₁₀ of the median ratio of one parameter; nan if there is none."""
        seen = self.ratios.get(name, np.zeros(0))
        seen = seen[np.isfinite(seen) & (seen > 0)]
        return float(np.log10(np.median(seen))) if len(seen) else float("nan")

    def late_ratio(self, name: str) -> float:
        """The same over the second half of the course."""
        seen = self.ratios.get(name, np.zeros(0))[4:]
        seen = seen[np.isfinite(seen) & (seen > 0)]
        return float(np.log10(np.median(seen))) if len(seen) else float("nan")


@dataclass(eq=False)
class Patient:
    """What is examined, and the means to run it for a while and put it back."""

    model: Module
    loss: Callable[[Tensor, Any], Tensor]
    batches: Any
    optimizer: Optimizer
    steps: int
    step: Callable[[Any, Any], Any] | None = None
    schedule: Any = None
    validation: tuple[Any, Any] | None = None
    evaluate: Callable[[], Any] | None = None

    def snapshot(self) -> Snapshot:
        return Snapshot(self.model, self.optimizer, *([self.schedule] if hasattr(self.schedule, "__dict__") else []))

    def probe_batches(self) -> list[tuple[Any, Any]]:
        """The first minibatches of the stream."""
        return list(itertools.islice(examples(self.batches), PROBES))

    def batches_are_few(self) -> bool:
        """Whether the examples can be learnt by heart in the steps there are."""
        size = len(self.batches.y) if isinstance(self.batches, Batches) else 0
        if isinstance(self.batches, list | tuple):
            size = sum(len(np.atleast_1d(y)) for _, y in self.batches)
        return 0 < size < 20 * self.steps

    def vitals(self) -> Vitals:
        """Measure the model as it is."""
        before = self.snapshot()
        probe = _Probe(self.model)
        parameters = dict(self.model.named_parameters())
        total: dict[str, Array | None] = dict.fromkeys(parameters)
        squares = dict.fromkeys(parameters, 0.0)
        losses, outputs, targets, inputs = [], [], [], []
        connected = False
        batches = self.probe_batches()
        try:
            with probe.on(), np.errstate(all="ignore"):
                for x, y in batches:
                    probe.begin()
                    for p in parameters.values():
                        p.grad = None
                    output = self.model(x)
                    loss = self.loss(output, y)
                    losses.append(float(loss._array.mean()))
                    outputs.append(np.array(output._array) if isinstance(output, Tensor) else np.zeros(0))
                    targets.append(_array(y))
                    inputs.append(_array(x))
                    if not loss.requires_grad:
                        continue
                    connected = True
                    loss.backward()
                    for name, p in parameters.items():
                        if p.grad is not None:
                            g = p.grad.astype(np.float64) / len(batches)
                            held = total[name]
                            total[name] = g if held is None else held + g
                            squares[name] += float(np.mean(np.square(p.grad, dtype=np.float64)))
        finally:
            before.restore()
        with np.errstate(all="ignore"):
            size = {n: float(np.sqrt(np.mean(np.square(p._array, dtype=np.float64)))) for n, p in parameters.items()}
        noise = {name: float(np.sqrt(v / len(batches))) for name, v in squares.items()}
        places = sorted(probe.places.values(), key=lambda p: p.order)
        return Vitals(np.array(losses), outputs, targets, inputs, places, probe.used, total, noise, size, connected)

    def train(
        self, steps: int, change: Callable[[Patient], None] | None = None, look: Callable[[], None] | None = None
    ) -> Course:
        """Train for some steps from the present state, after `change`; `look` is called at the end; put it all back.

        The minibatches are always the same ones, so that two courses differ by `change` alone.
        """
        before = self.snapshot()
        kept = dict(vars(self).items())
        watched = {round(steps * k / 8) for k in range(8)}
        ratios: dict[str, list[float]] = {}
        losses, rates = np.full(steps, np.nan), np.full(steps, np.nan)
        try:
            if change is not None:
                change(self)
            parameters = dict(self.model.named_parameters())
            first = {name: _rms(p._array) for name, p in parameters.items()}
            stream = examples(self.batches)
            with np.errstate(all="ignore"):
                for t, (x, y) in enumerate(itertools.islice(stream, steps)):
                    copies = {name: p._array.copy() for name, p in parameters.items()} if t in watched else {}
                    rates[t] = self.optimizer.param_groups[0]["lr"]
                    losses[t] = self.one_step(x, y, t)
                    for name, old in copies.items():
                        moved = float(np.std(parameters[name]._array - old))
                        ratios.setdefault(name, []).append(moved / (float(np.std(old)) or np.nan))
                    if not np.isfinite(losses[t]):
                        break
                after = self._losses(self.probe_batches()) if np.isfinite(losses[steps - 1]) else np.array([np.nan])
                if look is not None:
                    look()
            last = {name: (first[name], _rms(p._array)) for name, p in parameters.items() if name in first}
        finally:
            vars(self).clear()
            vars(self).update(kept)
            before.restore()
        return Course(
            losses,
            rates,
            {name: np.array(v) for name, v in ratios.items()},
            last,
            float(after.mean()),
            float(after.std()),
            float(losses[-max(steps // 4, 1) :].mean()),
        )

    def one_step(self, x: Any, y: Any, t: int) -> float:
        """One step of the user's own, or the usual one; the loss before it."""
        if self.schedule is not None and not hasattr(self.schedule, "step"):
            self.optimizer.lr = self.schedule(t)
        if self.step is not None:
            found = self.step(x, y)
            value = float(found.item() if isinstance(found, Tensor) else found) if found is not None else np.nan
            if found is None:
                value = float(self._losses([(x, y)])[0])
        else:
            loss = self.loss(self.model(x), y)
            self.optimizer.zero_grad()
            if loss.requires_grad:
                loss.backward()
                self.optimizer.step()
            value = float(loss._array.mean())
        if hasattr(self.schedule, "step"):
            self.schedule.step()
        return value

    def _losses(self, batches: list[tuple[Any, Any]]) -> Floats:
        """The loss of each minibatch in the present mode; running statistics move as they always do."""
        with no_grad():
            return np.array([float(self.loss(self.model(x), y)._array.mean()) for x, y in batches])

    def evaluated(self, x: Any, y: Any, training: bool = False) -> float:
        """The loss of some examples in evaluation mode, or in training mode; modes are put back, statistics not."""
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.train(training)
        try:
            with no_grad(), np.errstate(all="ignore"):
                return float(self.loss(self.model(x), y)._array.mean())
        finally:
            for module, mode in modes:
                module.training = mode


def _array(x: Any) -> Array:
    return x._array if isinstance(x, Tensor) else np.asarray(x)


def _rms(a: Array) -> float:
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.mean(np.square(a, dtype=np.float64))))


def ignorance(loss: Callable[[Tensor, Any], Tensor], outputs: list[Array], targets: list[Array]) -> float:
    """The loss of the best constant answer: for classes the entropy of the labels at hand, for numbers their variance.

    For a loss of another kind it is that of the mean output. nan if it cannot be computed.
    """
    y = np.concatenate([np.atleast_1d(t) for t in targets])
    example = outputs[0]
    with no_grad(), np.errstate(all="ignore"):
        if is_classes(outputs[0], y):
            counts = np.bincount(y, minlength=example.shape[-1]) + 1e-3
            answers = [np.log(counts / counts.sum())]
        elif y.dtype.kind == "f" and y.shape[1:] == example.shape[1:]:
            answers = [y.mean(0)]
            if np.isin(y, (0, 1)).all():
                p = np.clip(y.mean(0), 1e-3, 1 - 1e-3)
                answers.append(np.log(p / (1 - p)))
        else:
            answers = [np.concatenate(outputs).mean(0)]
        found = []
        for answer in answers:
            constant = np.asarray(answer, example.dtype)
            try:
                out = [np.broadcast_to(constant, o.shape).copy() for o in outputs]
                found += [float(np.mean([loss(Tensor(o), t)._array.mean() for o, t in zip(out, targets, strict=True)]))]
            except Exception:  # whatever a loss we know nothing about may raise on made-up outputs
                return float("nan")
        return min(found)


def is_classes(output: Array, y: Array) -> bool:
    """Whether this is classification: rows of logits and whole numbers to go with them."""
    return y.dtype.kind in "iu" and y.ndim == 1 and output.ndim == 2 and int(y.max(initial=0)) < output.shape[1]


def cross_entropy(output: Tensor, y: Any) -> Tensor:
    """The loss that the lecture's models are examined with."""
    return F.cross_entropy(output, y)
