"""Running statistics of batch normalisation against those of the whole training set.

    found = calibrate(model, corpus.train.x)
    found.apply(model)                              # (optional) use the exact statistics from now on

Exact are the statistics that one batch of all examples would have. The input of a deeper layer depends on the
statistics before it, so the layers are measured in the order they run, each with all earlier ones already exact: one
pass over the data for each layer, in chunks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgrad.diagnose.census import chunks
from npgrad.diagnose.monitor import depths
from npgrad.diagnose.undisturbed import undisturbed
from npgrad.engine.arrays import Array
from npgrad.engine.mode import no_grad
from npgrad.nn import BatchNorm1d, BatchNorm2d, Module

__all__ = ["Calibration", "Statistics", "calibrate"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Statistics:
    """One layer's; arrays have one entry a channel, variances are unbiased as `running_var` is."""

    name: str
    depth: int
    """The weight layer it belongs to, as in `Record`."""
    layers: int
    """How many weight layers there are."""
    running_mean: Floats
    running_var: Floats
    mean: Floats
    """Over the whole data set."""
    var: Floats

    @property
    def mean_error(self) -> float:
        """Root mean square of (running mean − mean) in standard deviations."""
        return float(np.sqrt(np.mean((self.running_mean - self.mean) ** 2 / np.maximum(self.var, 1e-30))))

    @property
    def std_error(self) -> float:
        """Root mean square of ln(running standard deviation / standard deviation)."""
        ratio = np.maximum(self.running_var, 1e-30) / np.maximum(self.var, 1e-30)
        return float(np.sqrt(np.mean((0.5 * np.log(ratio)) ** 2)))


class Calibration(tuple[Statistics, ...]):
    """`Statistics` of every batch normalisation, in the order they run."""

    def apply(self, model: Module) -> None:
        """Put the exact statistics into the running ones of `model`."""
        modules = dict(model.named_modules())
        for found in self:
            module: Any = modules[found.name]
            module.running_mean[...] = found.mean
            module.running_var[...] = found.var

    def to_arrays(self, prefix: str = "") -> dict[str, Array]:
        """Everything as arrays by name, to be stored."""
        return {f"{prefix}{k}/{key}": np.asarray(v) for k, found in enumerate(self) for key, v in vars(found).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], prefix: str = "") -> Calibration:
        """What `to_arrays(prefix)` took apart."""
        layers: list[Statistics] = []
        while f"{prefix}{len(layers)}/name" in arrays:
            own: dict[str, Any] = {
                key: arrays[f"{prefix}{len(layers)}/{key}"] for key in Statistics.__dataclass_fields__
            }
            own.update(name=str(own["name"]), depth=int(own["depth"]), layers=int(own["layers"]))
            layers.append(Statistics(**own))
        return cls(layers)


def calibrate(model: Module, x: Array, *, chunk: int = 8192) -> Calibration:
    """Mean and variance over all examples `x` at the input of every batch normalisation; the model is left as it was.

    Raises ValueError if there are fewer than two examples or no batch normalisation ran.
    """
    if len(x) < 2:
        raise ValueError(
            f"the variance over {len(x)} example{'s' * (len(x) != 1)} says nothing: give the training set."
        )
    names = {module: name for name, module in model.named_modules()}
    where = depths(model)
    norms = [m for m in names if isinstance(m, BatchNorm1d | BatchNorm2d) and m.running_mean is not None]
    found: list[Statistics] = []
    with undisturbed(model, training=False), no_grad():
        done: set[Module] = set()
        while True:
            sums = _pass(model, x, chunk, norms, done)
            if sums is None:
                break
            module: Any = sums.module
            name = names[module]
            var = sums.squares / max(sums.count - 1, 1)
            running = module.running_mean.astype(np.float64), module.running_var.astype(np.float64)
            found.append(Statistics(name, where[name], max(where.values()), *running, sums.mean, var))
            # What follows sees this layer normalise as it would with one batch of everything.
            module.running_mean[...] = sums.mean
            module.running_var[...] = sums.squares / max(sums.count - module.ddof, 1)
            done.add(module)
    if not found:
        raise ValueError(f"{type(model).__name__} ran without any batch normalisation: there is nothing to calibrate.")
    return Calibration(found)


class _Sums:
    """Mean and sum of squared deviations of one module's inputs, chunk by chunk (Chan, Golub & LeVeque 1979)."""

    def __init__(self, module: Module, channels: int) -> None:
        self.module = module
        self.count = 0
        self.mean: Floats = np.zeros(channels)
        self.squares: Floats = np.zeros(channels)

    def add(self, rows: Floats) -> None:
        n, mean = len(rows), rows.mean(axis=0)
        shift, total = mean - self.mean, self.count + n
        self.squares = self.squares + ((rows - mean) ** 2).sum(axis=0) + shift**2 * (self.count * n / total)
        self.mean = self.mean + shift * (n / total)
        self.count = total


class _Enough(Exception):
    """The rest of the forward pass is not needed."""


def _pass(model: Module, x: Array, chunk: int, norms: Sequence[Module], done: set[Module]) -> _Sums | None:
    """Sums for the first normalisation to run that is not done; None if all of those that run are."""
    sums: _Sums | None = None

    def see(module: Module, inputs: tuple[Any, ...], output: object) -> None:
        nonlocal sums
        a = inputs[0]._array
        if sums is None:
            sums = _Sums(module, a.shape[1])
        if sums.module is module:
            sums.add(np.moveaxis(a.astype(np.float64), 1, -1).reshape(-1, a.shape[1]))
            raise _Enough

    removers = [module.register_forward_hook(see) for module in norms if module not in done]
    try:
        for part in chunks(x, chunk):
            try:
                model(part)
            except _Enough:
                continue
            return None
    finally:
        for remove in removers:
            remove()
    return sums
