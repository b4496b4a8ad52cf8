"""What every unit does over a whole data set: which ones are dead, and the activations themselves.

    found = census(model, corpus.train.x)
    for layer in found:
        print(layer.name, layer.dead.sum(), "of", len(layer.dead), "units are dead")

A unit is *dead* if it is saturated (`npgrad.diagnose.saturation`) for every single example: no gradient reaches what is
before it, so nothing in the data can bring it back. A unit saturated for one batch may well live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgrad.diagnose.monitor import depths
from npgrad.diagnose.saturation import SATURATION, saturation
from npgrad.diagnose.undisturbed import undisturbed
from npgrad.engine.arrays import Array
from npgrad.engine.mode import no_grad
from npgrad.engine.tensor import Tensor
from npgrad.nn import Module

__all__ = ["UnitCensus", "activations", "census"]

Choice = Callable[[str, Module], bool]


@dataclass(frozen=True, eq=False)
class UnitCensus:
    """One layer's units over all examples; arrays have one entry a unit."""

    name: str
    kind: str
    depth: int
    """The weight layer it belongs to, as in `Record`."""
    layers: int
    """How many weight layers there are."""
    examples: int
    """Values seen of each unit: examples, times positions of a convolution or a sequence."""
    threshold: float
    largest: NDArray[np.float64]
    """Largest |activation|."""
    smallest: NDArray[np.float64]
    """Smallest |activation|."""
    saturated: NDArray[np.float64]
    """The share of examples beyond the threshold; nan where activations are not finite."""

    @property
    def dead(self) -> NDArray[np.bool_]:
        """Units saturated for every example."""
        return np.asarray(self.saturated == 1.0)

    def to_arrays(self, prefix: str = "") -> dict[str, Array]:
        """Everything as arrays by name, to be stored; `from_arrays` puts it together again."""
        return {prefix + name: np.asarray(value) for name, value in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], prefix: str = "") -> UnitCensus:
        """What `to_arrays(prefix)` took apart."""
        scalars = {"name": str, "kind": str, "depth": int, "layers": int, "examples": int, "threshold": float}
        values: dict[str, Any] = {key: convert(arrays[prefix + key].item()) for key, convert in scalars.items()}
        values.update((key, arrays[prefix + key]) for key in ("largest", "smallest", "saturated"))
        return cls(**values)


def census(
    model: Module,
    x: Array,
    *,
    layers: Choice | None = None,
    threshold: float = 0.99,
    axis: int = 1,
    chunk: int = 8192,
    training: bool = False,
) -> list[UnitCensus]:
    """Count saturation of every unit of `model` over all examples `x`, `chunk` of them at a time.

    `layers(name, module)` chooses modules with a known flat part; by default all of them. Units lie along `axis` of an
    output of two or more axes: channels on axis 1, features of sequences (N, T, C) on axis −1. In evaluation mode
    unless `training`, in which batch normalisation sees each chunk as one batch; the model is left as it was.

    Raises ValueError if there are no examples, or no layer with a known flat part.
    """
    chosen = layers if layers is not None else lambda name, module: any(k in SATURATION for k in type(module).__mro__)
    tallies: dict[str, _Tally] = {}

    def see(name: str, module: Module, y: Array) -> None:
        share = saturation(module, y)
        if share is None:
            raise ValueError(
                f"it is not known where {name} ({type(module).__name__}) saturates: leave it out, or add its class to "
                "npgrad.diagnose.SATURATION."
            )
        tallies.setdefault(name, _Tally(type(module).__name__)).add(
            _by_unit(y, axis), _by_unit(share, axis) > threshold
        )

    with undisturbed(model, training=training), no_grad(), _seeing(model, chosen, see):
        for part in chunks(x, chunk):
            model(part)
    if not tallies:
        raise ValueError(
            f"{type(model).__name__} ran without a module that is known to saturate "
            f"({', '.join(kind.__name__ for kind in SATURATION)}): functions such as x.tanh() are not seen."
        )
    where = depths(model)
    total = max(where.values())
    return [
        UnitCensus(
            name, t.kind, where[name], total, t.count, threshold, t.largest, t.smallest, t.saturated / max(t.count, 1)
        )
        for name, t in tallies.items()
    ]


def activations(
    model: Module, x: Array, *, layers: Choice | None = None, chunk: int = 8192, training: bool = False
) -> dict[str, Array]:
    """The outputs of modules for the examples `x`, by name, as arrays with one row an example.

    `layers(name, module)` chooses modules; by default those with a known flat part. Otherwise as `census`.
    """
    chosen = layers if layers is not None else lambda name, module: any(k in SATURATION for k in type(module).__mro__)
    parts: dict[str, list[Array]] = {}

    def see(name: str, module: Module, y: Array) -> None:
        parts.setdefault(name, []).append(y.copy())

    with undisturbed(model, training=training), no_grad(), _seeing(model, chosen, see):
        for part in chunks(x, chunk):
            model(part)
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def chunks(x: Array, size: int) -> Iterator[Array]:
    """Parts of `x` of at most `size` rows, none of them of one row only if that can be avoided."""
    if len(x) == 0:
        raise ValueError("there are no examples to look at.")
    if size < 1:
        raise ValueError(f"a chunk must have at least one example; got {size}.")
    count = -(-len(x) // size)
    yield from np.array_split(x, count)


@contextmanager
def _seeing(model: Module, chosen: Choice, see: Callable[[str, Module, Array], None]) -> Iterator[None]:
    removers = []
    for name, module in model.named_modules():
        if chosen(name, module):

            def hook(module: Module, inputs: Any, output: Any, name: str = name) -> None:
                if isinstance(output, Tensor):
                    see(name, module, output._array)

            removers.append(module.register_forward_hook(hook))
    try:
        yield
    finally:
        for remove in removers:
            remove()


class _Tally:
    """Running extremes and counts of one layer."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.count = 0
        self.largest: NDArray[np.float64] = np.zeros(0)
        self.smallest: NDArray[np.float64] = np.zeros(0)
        self.saturated: NDArray[np.float64] = np.zeros(0)

    def add(self, y: Array, beyond: Array) -> None:
        size = np.abs(y)
        largest, smallest, saturated = size.max(axis=0), size.min(axis=0), beyond.sum(axis=0)
        if self.count:
            largest, smallest = np.maximum(self.largest, largest), np.minimum(self.smallest, smallest)
            saturated = self.saturated + saturated
        self.count += len(y)
        self.largest, self.smallest = largest.astype(np.float64), smallest.astype(np.float64)
        self.saturated = saturated.astype(np.float64)
        self.saturated[~np.isfinite(self.largest)] = np.nan


def _by_unit(y: Array, axis: int) -> Array:
    """(values, units): the units along `axis`."""
    if y.ndim < 2:
        return y.reshape(-1, 1)
    return np.moveaxis(y, axis, -1).reshape(-1, y.shape[axis])
