"""Monitor: watches a training run through hooks, every so many steps, and changes nothing in it.

    monitor = Monitor(model, optimizer, every=100)
    for step in range(steps):
        with monitor.watch(step):                   # forward, backward and the optimiser's step go inside
            loss = update(x, y)
    monitor.record.save("run.npz")

or, with a loop that calls a function after each update, `fit(…, on_step=monitor.callback())`.

Hooks and copies of the parameters are made for the steps that are recorded and taken away after each, so the other
steps cost nothing. A recorded step computes exactly what it would have computed unwatched, to the bit; a compiled step
(`npgrad.compile`) runs eagerly while it is recorded.

Seen are the outputs of modules: an operation that `forward` calls as a function (`F.tanh(x)`, `x.tanh()`) belongs to
the module around it; write `nn.Tanh()` to see it by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Self

import numpy as np

from npgrad.diagnose.record import Record
from npgrad.diagnose.saturation import saturation
from npgrad.engine.arrays import Array
from npgrad.engine.mode import is_grad_enabled
from npgrad.engine.tensor import Tensor
from npgrad.nn import Embedding, Module, Parameter, Sigmoid, Tanh
from npgrad.optim import Optimizer

__all__ = ["Monitor", "Watch"]

_BOUNDED = {Tanh: (-1.0, 1.0), Sigmoid: (0.0, 1.0)}


class Monitor:
    """Records the steps 0, `every`, 2·`every`, … of training `model`; see `Record` for what is recorded.

    `optimizer` is asked for the learning rate only. `layers(name, module)` says which modules are recorded; by default
    those that contain no others. `thresholds` are those of saturation, `bins` the number of bins of each histogram.

    A module called several times in one step is recorded at its first call, and one that returns several things, as
    recurrent layers do, by the first of them. Calls under `no_grad` are not recorded.
    Gradients of parameters are read when the step ends, so `zero_grad()` belongs before `backward()`.

    Raises ValueError if `every` or `bins` is not positive, or if no module is to be recorded.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer | None = None,
        every: int = 100,
        *,
        layers: Callable[[str, Module], bool] | None = None,
        thresholds: tuple[float, ...] = (0.97, 0.99),
        bins: int = 80,
    ) -> None:
        if every < 1 or bins < 1:
            raise ValueError(f"Monitor(every={every}, bins={bins}): both must be at least 1.")
        self.model, self.optimizer, self.every = model, optimizer, every
        self.thresholds, self.bins = thresholds, bins
        wanted = layers if layers is not None else lambda name, module: not _has_children(module)
        self._modules = [(name, module) for name, module in model.named_modules() if wanted(name, module)]
        if not self._modules:
            raise ValueError(
                f"there is no layer to record in {type(model).__name__}: `layers` chose none of its modules."
            )
        self._rows: list[_Row] = []
        self._kinds: dict[str, str] = {}
        self._depths = depths(model)
        self._running: dict[str, Array] = {}
        self._watch: Watch | None = None
        self._asked = False

    def __repr__(self) -> str:
        """What is watched and what was recorded; a monitor that was never asked to record says how to ask."""
        if self._rows:
            first, last = self._rows[0].step, self._rows[-1].step
            count = len(self._rows)
            told = f"{count} step{'s' * (count != 1)} recorded, {first:,} to {last:,}"
        elif self._asked:
            told = "nothing recorded yet"
        else:
            told = "never asked to record: put each step inside `with monitor.watch(step):`"
        layers = len(self._modules)
        name = type(self.model).__name__
        return f"Monitor({name}, {layers} layer{'s' * (layers != 1)}, every={self.every}; {told})"

    def due(self, step: int) -> bool:
        """Whether this step is to be recorded."""
        return step % self.every == 0

    def watch(self, step: int) -> AbstractContextManager[Watch | None]:
        """Record what happens inside the `with`, if step number `step` is due; otherwise do nothing.

        Yields the `Watch`, which can be told the loss (`watch.loss = …`), or None. If the body raises, nothing is
        recorded.
        """
        self._asked = True
        return Watch(self, step) if self.due(step) else nullcontext()

    def callback(self, start: int = 0) -> Callable[[int, float], None]:
        """A function `(step, loss)` to be called after every step, which records those that are due.

        `start` is the number of the first step. Hooks for the next step are attached when the one before it ends, so
        call `detach()` at the end of training, or use the monitor as a context manager.
        """
        self._asked = True
        self._prepare(start)

        def after(step: int, loss: float) -> None:
            watch = self._watch
            if watch is not None and watch.step == step:
                watch.loss = float(loss)
                watch.finish()
            self._prepare(step + 1)

        return after

    def _prepare(self, step: int) -> None:
        if self.due(step):
            Watch(self, step).start()

    def detach(self) -> None:
        """Remove whatever hooks are attached, without recording; what was recorded stays."""
        if self._watch is not None:
            self._watch.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()

    @property
    def record(self) -> Record:
        """Everything recorded so far."""
        rows = self._rows
        layers = list(self._kinds)
        parameters = list(dict.fromkeys(name for row in rows for name in row.parameters))
        norms = list(dict.fromkeys(name for row in rows for name in row.norms))
        shapes = {name: facts.shape for row in rows for name, facts in row.parameters.items()}
        outputs = [[row.outputs.get(name) for name in layers] for row in rows]
        gradients = [[row.gradients.get(name) for name in layers] for row in rows]
        steps = [[row.parameters.get(name) for name in parameters] for row in rows]
        grads = [[p and p.gradient for p in line] for line in steps]

        def numbers(table: list[list[Any]], width: int, read: Callable[[Any], float]) -> Array:
            values = [[np.nan if x is None else read(x) for x in line] for line in table]
            return np.array(values, dtype=np.float64).reshape(len(rows), width)

        def histogram(table: list[list[Any]], width: int) -> tuple[Array, Array]:
            counts = np.zeros((len(rows), width, self.bins), np.int64)
            span = np.full((len(rows), width, 2), np.nan)
            for t, line in enumerate(table):
                for k, x in enumerate(line):
                    if x is not None:
                        counts[t, k], span[t, k] = x.counts, x.span
            return counts, span

        L, P = len(layers), len(parameters)
        activation_counts, activation_range = histogram(outputs, L)
        gradient_counts, gradient_range = histogram(gradients, L)
        parameter_counts, parameter_range = histogram(grads, P)
        saturated = np.full((len(rows), L, len(self.thresholds)), np.nan)
        for t, line in enumerate(outputs):
            for k, seen in enumerate(line):
                if seen is not None and seen.saturated is not None:
                    saturated[t, k] = seen.saturated
        running = np.full((3, len(rows), len(norms)), np.nan)
        for t, row in enumerate(rows):
            for k, name in enumerate(norms):
                if name in row.norms:
                    running[:, t, k] = row.norms[name]
        return Record(
            step=np.array([row.step for row in rows], np.int64),
            loss=np.array([row.loss for row in rows], np.float64),
            layer_name=np.array(layers, np.str_),
            layer_kind=np.array([self._kinds[name] for name in layers], np.str_),
            layer_depth=np.array([self._depths[name] for name in layers], np.int64),
            threshold=np.array(self.thresholds, np.float64),
            activation_mean=numbers(outputs, L, lambda x: x.mean),
            activation_std=numbers(outputs, L, lambda x: x.std),
            saturated=saturated,
            zero=numbers(outputs, L, lambda x: x.zero),
            activation_counts=activation_counts,
            activation_range=activation_range,
            gradient_mean=numbers(gradients, L, lambda x: x.mean),
            gradient_std=numbers(gradients, L, lambda x: x.std),
            gradient_counts=gradient_counts,
            gradient_range=gradient_range,
            parameter_name=np.array(parameters, np.str_),
            parameter_shape=np.array(["×".join(map(str, shapes[name])) for name in parameters], np.str_),
            parameter_depth=np.array([self._depths.get(name.rpartition(".")[0], -1) for name in parameters], np.int64),
            learning_rate=numbers(steps, P, lambda x: x.lr),
            data_std=numbers(steps, P, lambda x: x.data),
            parameter_gradient_mean=numbers(grads, P, lambda x: x.mean),
            parameter_gradient_std=numbers(grads, P, lambda x: x.std),
            update_std=numbers(steps, P, lambda x: x.update),
            parameter_gradient_counts=parameter_counts,
            parameter_gradient_range=parameter_range,
            norm_name=np.array(norms, np.str_),
            norm_depth=np.array([self._depths[name] for name in norms], np.int64),
            running_moved=running[0],
            running_mean_gap=running[1],
            running_std_gap=running[2],
        )


class Watch:
    """One step being recorded: hooks and copies from `start()` to `finish()` (recorded) or `stop()` (not)."""

    def __init__(self, monitor: Monitor, step: int) -> None:
        self.monitor, self.step = monitor, step
        self.loss = np.nan
        """The loss of this step, to be set by whoever knows it."""
        self._row = _Row(step)
        self._removers: list[Callable[[], None]] = []
        self._before: list[tuple[str, Parameter, Array]] = []

    def start(self) -> None:
        """Attach the hooks and copy the parameters. Whatever the monitor watched before is given up."""
        monitor = self.monitor
        monitor.detach()
        monitor._watch = self
        for name, module in monitor._modules:
            hook: Any = _hook(self, name)
            self._removers.append(module.register_forward_hook(hook))
        self._before = [(name, p, p._array.copy()) for name, p in monitor.model.named_parameters() if p.requires_grad]

    def stop(self) -> None:
        """Remove the hooks and forget what was seen."""
        for remove in self._removers:
            remove()
        self._removers, self._before = [], []
        if self.monitor._watch is self:
            self.monitor._watch = None

    def finish(self) -> None:
        """Compare the parameters with their copies, and add this step to the record."""
        before, row, monitor = self._before, self._row, self.monitor
        self.stop()
        rates = _learning_rates(monitor.optimizer)
        with np.errstate(all="ignore"):
            for name, p, old in before:
                _, data = _moments(old.astype(np.float64).ravel())
                change = np.subtract(p._array, old, dtype=np.float64).ravel()
                gradient = None if p.grad is None else _Seen(p.grad, monitor.bins)
                lr = rates.get(id(p), np.nan)
                row.parameters[name] = _Update(p.shape, lr, data, _moments(change)[1], gradient)
        row.loss = float(self.loss)
        monitor._rows.append(row)

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.monitor._watch is not self or kind is not None:
            self.stop()
        else:
            self.finish()

    def _see(self, name: str, module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        """The forward hook."""
        row, monitor = self._row, self.monitor
        if name in row.outputs or not is_grad_enabled():
            return
        if isinstance(output, tuple) and output:
            output = output[0]
        if not isinstance(output, Tensor) or output.dtype.kind != "f" or not output.size:
            return
        monitor._kinds.setdefault(name, type(module).__name__)
        with np.errstate(all="ignore"):
            span = next((_BOUNDED[kind] for kind in type(module).__mro__ if kind in _BOUNDED), None)
            seen = row.outputs[name] = _Seen(output._array, monitor.bins, span)
            seen.zero = (output.size - np.count_nonzero(output._array)) / output.size
            flatness = saturation(module, output._array)
            if flatness is not None:
                beyond = [np.count_nonzero(flatness > t) for t in monitor.thresholds]
                seen.saturated = np.array(beyond) / output.size
            if getattr(module, "running_mean", None) is not None and module.training and isinstance(inputs[0], Tensor):
                row.norms[name] = self._drift(name, module, inputs[0]._array)
        if output.requires_grad:
            self._removers.append(output.register_hook(lambda dy: self._see_gradient(name, dy)))

    def _see_gradient(self, name: str, dy: Array) -> None:
        if name not in self._row.gradients:
            with np.errstate(all="ignore"):
                self._row.gradients[name] = _Seen(dy, self.monitor.bins)

    def _drift(self, name: str, module: Any, x: Array) -> tuple[float, float, float]:
        """How far running statistics have moved, and how far they are from the statistics of the batch x."""
        axes = (0, *range(2, x.ndim))
        x = x.astype(np.float64)
        mean, std = x.mean(axis=axes), np.sqrt(x.var(axis=axes) + module.eps)
        running, running_std = module.running_mean.astype(np.float64), np.sqrt(module.running_var + module.eps)
        last = self.monitor._running.get(name)
        self.monitor._running[name] = running
        moved = np.nan if last is None else _rms((running - last) / running_std)
        return moved, _rms((running - mean) / std), _rms(np.log(running_std / std))


class _Row:
    """What one step has shown so far, by name."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.loss = np.nan
        self.outputs: dict[str, _Seen] = {}
        self.gradients: dict[str, _Seen] = {}
        self.parameters: dict[str, _Update] = {}
        self.norms: dict[str, tuple[float, float, float]] = {}


class _Seen:
    """Mean, standard deviation and histogram of an array, in float64: gradients that explode still have numbers."""

    __slots__ = ("counts", "mean", "saturated", "span", "std", "zero")

    def __init__(self, a: Array, bins: int, span: tuple[float, float] | None = None) -> None:
        flat = a.astype(np.float64).ravel()
        self.mean, self.std = _moments(flat)
        self.zero = np.nan
        self.saturated: Array | None = None
        if not math.isfinite(self.mean):
            flat = flat[np.isfinite(flat)]
        if span is None:
            span = (float(np.minimum.reduce(flat)), float(np.maximum.reduce(flat))) if flat.size else (0.0, 0.0)
        low, high = span
        if low == high:
            low, high = low - 0.5, high + 0.5
        self.span = (low, high)
        flat -= low
        flat *= bins / (high - low)
        places = flat.astype(np.intp)
        np.minimum(places, bins - 1, out=places)
        np.maximum(places, 0, out=places)
        self.counts = np.bincount(places, minlength=bins)


class _Update:
    """What one step did to one parameter."""

    __slots__ = ("data", "gradient", "lr", "shape", "update")

    def __init__(self, shape: tuple[int, ...], lr: float, data: float, update: float, gradient: _Seen | None) -> None:
        self.shape, self.lr, self.data, self.update, self.gradient = shape, lr, data, update, gradient


def _hook(watch: Watch, name: str) -> Callable[[Module, tuple[Any, ...], Any], None]:
    return lambda module, inputs, output: watch._see(name, module, inputs, output)


def _moments(flat: Array) -> tuple[float, float]:
    """Mean and standard deviation of a flat array, by NumPy's quickest calls: they are taken dozens of times a step."""
    if not flat.size:
        return math.nan, math.nan
    mean = float(np.add.reduce(flat)) / flat.size
    deviation = flat - mean
    return mean, math.sqrt(float(deviation.dot(deviation)) / flat.size)


def _rms(a: Array) -> float:
    return float(np.sqrt(np.mean(a * a)))


def _learning_rates(optimizer: Optimizer | None) -> dict[int, float]:
    groups = optimizer.param_groups if optimizer is not None else []
    return {id(p): float(group["lr"]) for group in groups for p in group["params"]}


def _has_children(module: Module) -> bool:
    return any(isinstance(item, Module) for _, item in module._members())


def depths(model: Module) -> dict[str, int]:
    """For the name of every module, how many weight layers have begun up to it, in the order of definition.

    A weight layer is a module with a weight of two axes or more of its own; embeddings do not count.
    """
    found, count = {}, 0
    for name, module in model.named_modules():
        own = [item for _, item in module._members() if isinstance(item, Parameter)]
        count += not isinstance(module, Embedding) and any(p.ndim >= 2 for p in own)
        found[name] = count
    return found
