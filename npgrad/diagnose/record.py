"""Record: what a monitor saw, as plain arrays that need no model to be read, drawn or saved.

Axes: T recorded steps, L layers in the order they run, P parameters, M normalisation layers, K thresholds of
saturation, B bins of a histogram. What was not seen is nan (counts: 0).

`depth` says to which weight layer something belongs: 0 for embeddings and what comes before the first weight matrix,
k for the k-th linear or convolutional layer defined, and for the normalisation and activation after it, −1 for what no
layer holds. A picture that colours by depth gives the same layer the same colour everywhere.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from npgrad.checkpoint import replace_file
from npgrad.engine.arrays import Array

__all__ = ["Record"]

Floats = NDArray[np.float64]
VERSION = 1


@dataclass(frozen=True, eq=False)
class Record:
    """Recorded statistics; every attribute is an array, and its axes are named in brackets."""

    step: NDArray[np.int64]
    """[T] the numbers of the recorded steps."""
    loss: Floats
    """[T] the loss of those steps, nan if the monitor was not told."""

    layer_name: Array
    """[L] dotted names."""
    layer_kind: Array
    """[L] class names: "Tanh"."""
    layer_depth: NDArray[np.int64]
    """[L]"""
    threshold: Floats
    """[K]"""
    activation_mean: Floats
    """[T, L] of a layer's output, over everything in it."""
    activation_std: Floats
    """[T, L]"""
    saturated: Floats
    """[T, L, K] the share of outputs beyond each threshold (`npgrad.diagnose.saturation`)."""
    zero: Floats
    """[T, L] the share of outputs that are exactly 0."""
    activation_counts: NDArray[np.int64]
    """[T, L, B] histogram of the outputs."""
    activation_range: Floats
    """[T, L, 2] where its first bin begins and its last one ends."""
    gradient_mean: Floats
    """[T, L] of the derivative of the loss with respect to a layer's output."""
    gradient_std: Floats
    """[T, L]"""
    gradient_counts: NDArray[np.int64]
    """[T, L, B]"""
    gradient_range: Floats
    """[T, L, 2]"""

    parameter_name: Array
    """[P] dotted names."""
    parameter_shape: Array
    """[P] as text: "30×100"."""
    parameter_depth: NDArray[np.int64]
    """[P]"""
    learning_rate: Floats
    """[T, P]"""
    data_std: Floats
    """[T, P] of the parameter before the step."""
    parameter_gradient_mean: Floats
    """[T, P]"""
    parameter_gradient_std: Floats
    """[T, P]"""
    update_std: Floats
    """[T, P] of what the optimiser added: the parameter after the step minus the parameter before it."""
    parameter_gradient_counts: NDArray[np.int64]
    """[T, P, B]"""
    parameter_gradient_range: Floats
    """[T, P, 2]"""

    norm_name: Array
    """[M] dotted names of the layers with running statistics."""
    norm_depth: NDArray[np.int64]
    """[M]"""
    running_moved: Floats
    """[T, M] root mean square, over channels, of how far running_mean moved since the record before, in running
    standard deviations."""
    running_mean_gap: Floats
    """[T, M] root mean square of (running mean − mean of this batch) / standard deviation of this batch."""
    running_std_gap: Floats
    """[T, M] root mean square of ln(running standard deviation / standard deviation of this batch)."""

    # -- ratios --------------------------------------------------------------------------------------------------------

    @property
    def gradient_to_data(self) -> Floats:
        """[T, P] std of a parameter's gradient over std of its data; nan where the data are all equal."""
        return _ratio(self.parameter_gradient_std, self.data_std)

    @property
    def update_to_data(self) -> Floats:
        """[T, P] std of the update the optimiser really made over std of the data; nan where the data are all equal."""
        return _ratio(self.update_std, self.data_std)

    @property
    def lecture_ratio(self) -> Floats:
        """[T, P] learning rate · std of the gradient / std of the data: the true ratio for plain SGD and no other."""
        return self.learning_rate * self.gradient_to_data

    # -- finding -------------------------------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """The number of weight layers."""
        return int(max([0, *self.layer_depth.tolist(), *self.parameter_depth.tolist()]))

    def layers(self, *kinds: str) -> list[int]:
        """Indices of the layers of these classes, e.g. "Tanh"; of all layers if none is named.

        Raises ValueError if there is no layer of a class.
        """
        present = [str(kind) for kind in self.layer_kind]
        for kind in kinds:
            if kind not in present:
                raise ValueError(
                    f"no layer of kind {kind!r} was recorded; there are {', '.join(sorted(set(present)))}."
                )
        return [k for k, kind in enumerate(present) if not kinds or kind in kinds]

    def activations(self) -> list[int]:
        """Indices of the layers with a known flat part: the nonlinearities. All layers if there are none."""
        found = np.flatnonzero(np.isfinite(self.saturated).any(axis=(0, 2)) if self.saturated.size else [])
        return [int(k) for k in found] or self.layers()

    def matrices(self) -> list[int]:
        """Indices of the parameters with two axes or more: weights, not biases, gains or shifts."""
        return [k for k, shape in enumerate(self.parameter_shape) if "×" in str(shape)]

    def row(self, step: int | None = None) -> int:
        """The place on the axis T of the recorded step nearest to `step`; of the last one if None.

        Raises ValueError if nothing was recorded.
        """
        if not len(self.step):
            raise ValueError(
                "nothing was recorded: no step was watched to its end. Put each step inside "
                "`with monitor.watch(step):`, or call the function that `monitor.callback()` returns after each; "
                "steps 0, every, 2·every, … are recorded."
            )
        return len(self.step) - 1 if step is None else int(np.argmin(np.abs(self.step - step)))

    # -- files ---------------------------------------------------------------------------------------------------------

    def to_arrays(self, prefix: str = "") -> dict[str, Array]:
        """All the arrays by name, with `prefix` before each: to be stored together with others."""
        arrays = {prefix + field.name: getattr(self, field.name) for field in fields(self)}
        return {**arrays, f"{prefix}record_version": np.array(VERSION)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], prefix: str = "") -> Self:
        """The record that `to_arrays(prefix)` took apart. Raises ValueError if arrays are missing or too new."""
        version = arrays.get(f"{prefix}record_version")
        if version is not None and int(version) > VERSION:
            raise ValueError(f"this record has format {int(version)}; this npgrad reads formats up to {VERSION}.")
        missing = [field.name for field in fields(cls) if prefix + field.name not in arrays]
        if missing:
            raise ValueError(f"these arrays are not a record with prefix {prefix!r}: {', '.join(missing)} missing.")
        return cls(**{field.name: np.asarray(arrays[prefix + field.name]) for field in fields(cls)})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one .npz file under exactly this name; a file that was there is replaced only by a complete one."""
        arrays: dict[str, Any] = self.to_arrays()
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        replace_file(path, [file.getvalue()])

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote. Raises ValueError if the file is something else, OSError if it cannot be read."""
        with Path(path).open("rb") as file:
            try:
                archive = np.load(file, allow_pickle=False)
            except (ValueError, EOFError, zipfile.BadZipFile):
                archive = None
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError(f"{os.fspath(path)} is not a record: it is no archive of arrays.")
            with archive:
                return cls.from_arrays(dict(archive))

    def __repr__(self) -> str:
        span = f", steps {self.step[0]} to {self.step[-1]}" if len(self.step) else ""
        return (
            f"Record({len(self.step)} rows{span}; {len(self.layer_name)} layers, {len(self.parameter_name)} parameters)"
        )

    def _repr_html_(self) -> str:
        """Two tables for notebooks, of the last recorded step: layers and parameters. What was not seen is a dash."""
        if not len(self.step):
            return f"<div>{escape(repr(self))}</div>"
        beyond = self.saturated[-1, :, -1] if len(self.threshold) else np.full(len(self.layer_name), np.nan)
        layers: list[tuple[object, ...]] = [
            *zip(
                self.layer_name,
                self.layer_kind,
                self.activation_mean[-1],
                self.activation_std[-1],
                beyond,
                self.gradient_std[-1],
                strict=True,
            )
        ]
        parameters: list[tuple[object, ...]] = [
            *zip(
                self.parameter_name,
                self.parameter_shape,
                self.data_std[-1],
                self.gradient_to_data[-1],
                self.update_to_data[-1],
                strict=True,
            )
        ]
        share = f"saturated beyond {self.threshold[-1]:g}" if len(self.threshold) else "saturated"
        return (
            f"<div>{escape(repr(self))}"
            + _table(("layer", "kind", "mean", "std", share, "std of gradient"), layers)
            + _table(("parameter", "shape", "std", "gradient : data", "update : data"), parameters)
            + "</div>"
        )


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """An HTML table; numbers with three digits, nan as a dash."""

    def cell(x: object) -> str:
        if not isinstance(x, float):
            return f"<td>{escape(str(x))}</td>"
        return f'<td style="text-align: right">{"–" if np.isnan(x) else f"{x:.3g}"}</td>'

    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def _ratio(a: Floats, b: Floats) -> Floats:
    out = np.full(np.shape(a), np.nan)
    np.divide(a, b, out=out, where=b > 0)
    return out
