"""Results as lessons see them: what a run has stored, and picking runs by their configuration."""

from __future__ import annotations

import csv
import functools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from experiments.provenance import ROOT
from npgrad import data

__all__ = ["Record", "Records", "by_setting", "complete", "hashable", "mean_curve", "measured", "paired"]


@dataclass(frozen=True)
class Record:
    """The stored result of one run."""

    folder: Path
    label: str
    seed: int
    config: SimpleNamespace
    """The fields of the lesson's Config, by name."""
    about: Mapping[str, Any] = field(repr=False)
    """All of config.json: versions, threads, data digest, seconds taken."""

    @classmethod
    def of_summary(cls, label: str, seed: int, config: Mapping[str, Any], summary: Mapping[str, Any]) -> Record:
        """One of which only the summary is known: a line of a reference result."""
        record = cls(Path(), label, seed, SimpleNamespace(**{k: hashable(v) for k, v in config.items()}), {})
        vars(record).update(summary=_with_nan(summary), arrays={}, series={})
        return record

    @functools.cached_property
    def summary(self) -> dict[str, Any]:
        return _with_nan(json.loads((self.folder / "summary.json").read_text(encoding="utf-8")))

    @functools.cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(self.folder / "arrays.npz", allow_pickle=False) as archive:
            return dict(archive)

    @functools.cached_property
    def series(self) -> dict[str, np.ndarray]:
        with (self.folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        if not rows:
            return {}
        columns = zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * len(rows[0])
        return {name: np.array(column, dtype=float) for name, column in zip(rows[0], columns, strict=True)}


class Records(Sequence[Record]):
    """Results of one lesson, in the order of its plan."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = list(records)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, k: Any) -> Any:
        return Records(self._records[k]) if isinstance(k, slice) else self._records[k]

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    @property
    def own_corpus(self) -> bool:
        """Whether they were made with another list of words than the names that come with the project."""
        return bool({record.about.get("data_digest") for record in self} - {None, _names()})

    def where(self, **settings: Any) -> Records:
        """Those whose configuration has these values, or passes these tests.

        `records.where(stage="kaiming", seed=0)`, `records.where(depth=lambda depth: depth > 6)`.
        """

        def chosen(record: Record) -> bool:
            own = ((getattr(record.config, key), wanted) for key, wanted in settings.items())
            return all(wanted(value) if callable(wanted) else value == wanted for value, wanted in own)

        return Records([record for record in self if chosen(record)])

    def by(self, key: str, *more: str) -> dict[Any, Records]:
        """Grouped by a field of the configuration, in order of first appearance; by several, the keys are tuples."""
        groups = self._grouped([hashable(getattr(r.config, key)) for r in self])
        if not more:
            return groups
        parts = ((first, own.by(*more)) for first, own in groups.items())
        return {(first, *(k if more[1:] else (k,))): own for first, part in parts for k, own in part.items()}

    def named(self, name: Callable[[SimpleNamespace], str]) -> dict[str, Records]:
        """Grouped by what `name` calls their configurations, in order of first appearance."""
        return self._grouped([name(r.config) for r in self])

    def _grouped(self, names: Sequence[Any]) -> dict[Any, Records]:
        return {
            one: Records([r for r, its in zip(self, names, strict=True) if its == one]) for one in dict.fromkeys(names)
        }

    def values(self, name: str, **settings: Any) -> np.ndarray:
        """A number of the summary from every record that has it: one per seed, if `settings` picks one run."""
        chosen = self.where(**settings) if settings else self
        return np.array([r.summary[name] for r in chosen if name in r.summary], dtype=float)

    def mean(self, name: str, **settings: Any) -> float:
        values = self.values(name, **settings)
        return float(values.mean()) if values.size else math.nan

    def fill(self, text: str) -> str:
        """`text` with numbers in the place of their names: settings of the first record, means of summaries.

        `records.fill("{steps:,} steps at rate {lr:g}: loss {val_loss:.3f}")`; of no records nothing is said.
        """
        return text.format_map(_Facts(self)) if len(self) else ""

    def numbers(self, *names: str) -> dict[str, np.ndarray]:
        """The values of these numbers of the summaries, or of all of them, one per seed if all are of one setting."""
        every = (name for r in self for name, value in r.summary.items() if isinstance(value, (int, float)))
        return {name: self.values(name) for name in dict.fromkeys(names or every)}


class _Facts:
    """What the names in a text stand for."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def __getitem__(self, name: str) -> Any:
        if hasattr(self._records[0].config, name):
            return getattr(self._records[0].config, name)
        return self._records.mean(name)


def measured(groups: Mapping[str, Records], *names: str) -> dict[str, np.ndarray]:
    """The numbers of the summaries of each group, all or those named: "val_loss/original" and so on."""
    return {f"{name}/{group}": v for group, own in groups.items() for name, v in own.numbers(*names).items()}


def mean_curve(records: Sequence[Record], name: str, *, geometric: bool = False) -> np.ndarray:
    """The mean of a series or an array over the records, point by point; or the geometric mean, for ratios.

    Where a run was ended early, it is as long as the shortest.
    """
    curves = [r.arrays[name] if name in r.arrays else r.series[name] for r in records]
    curves = [curve[: min(map(len, curves))] for curve in curves]
    if not geometric:
        return np.asarray(np.mean(curves, axis=0))
    with np.errstate(all="ignore"):
        return np.asarray(np.exp(np.mean(np.log(curves), axis=0)))


def by_setting(records: Records, key: str, name: str) -> dict[Any, np.ndarray]:
    """The values of a quantity, one per seed, by a setting; only settings all of whose seeds are there."""
    return complete({value: own.values(name) for value, own in records.by(key).items()})


def complete(values: Mapping[Any, np.ndarray]) -> dict[Any, np.ndarray]:
    """Of values by a setting those that have as many seeds as any."""
    most = max(map(len, values.values()), default=0)
    return {setting: each for setting, each in values.items() if len(each) == most}


def paired(values: Iterable[np.ndarray]) -> bool:
    """Whether there are values and each has as many seeds as the others, so that they can be compared seed by seed."""
    return len({len(each) for each in values}) == 1


@functools.cache
def _names() -> str:
    return data.digest(data.read_words(ROOT / "data" / "names.txt"))


def _with_nan(loaded: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in loaded.items()}


def hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
