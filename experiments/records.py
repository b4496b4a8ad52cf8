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

__all__ = ["Record", "Records", "by_setting", "complete", "hashable", "mean_curve", "paired"]


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
        """Those whose configuration has these values: `records.where(stage="kaiming", seed=0)`."""
        return Records([r for r in self if all(getattr(r.config, k) == v for k, v in settings.items())])

    def by(self, key: str) -> dict[Any, Records]:
        """Grouped by a field of the configuration, in order of first appearance."""
        values = dict.fromkeys(hashable(getattr(r.config, key)) for r in self)
        return {v: Records([r for r in self if hashable(getattr(r.config, key)) == v]) for v in values}

    def named(self, name: Callable[[SimpleNamespace], str]) -> dict[str, Records]:
        """Grouped by what `name` calls their configurations, in order of first appearance."""
        names = dict.fromkeys(name(r.config) for r in self)
        return {one: Records([r for r in self if name(r.config) == one]) for one in names}

    def values(self, name: str, **settings: Any) -> np.ndarray:
        """A number of the summary from every record that has it: one per seed, if `settings` picks one run."""
        chosen = self.where(**settings) if settings else self
        return np.array([r.summary[name] for r in chosen if name in r.summary], dtype=float)

    def mean(self, name: str, **settings: Any) -> float:
        values = self.values(name, **settings)
        return float(values.mean()) if values.size else math.nan


def mean_curve(records: Sequence[Record], name: str, *, geometric: bool = False) -> np.ndarray:
    """The mean of a series or an array over the records, point by point; or the geometric mean, for ratios."""
    curves = [r.arrays[name] if name in r.arrays else r.series[name] for r in records]
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
