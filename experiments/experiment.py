"""What a lesson is: one file in `experiments/lessons/`, read from top to bottom.

    \"\"\"Title of the lesson.\"\"\"                     the first line of the docstring

    ORDER = 2                                      its place in the reading order
    QUESTION = "…"                                 what is asked,
    EXPECTATION = "…"                              and what the lecture leads one to expect

    @dataclass(frozen=True)
    class Config:                                  one run; every field can be changed with --set field=value
        gain: float = 5 / 3
        steps: int = 20_000
        data: str = "data/names.txt"               (optional) a word list: its contents are part of the configuration
        seed: int = 0                              (required) each run is repeated for seeds 0, 1, …

    SWEEP = {"gain": (0.5, 1.0, 5 / 3, 3.0)}       the runs: every combination of these fields
    QUICK = {"steps": 500}                         what --quick changes: fields of Config, or values of the sweep
    FULL = {}                                      what --full changes
    SEEDS = {"full": 10}                           seeds a budget; otherwise quick 1, default 3, full 5

    def run(config, progress) -> Result: ...       one run, in a process of its own; progress(step, of) now and then
    def measure(records) -> dict: ...              quantity → its values, one per seed (`experiments/records.py`)
    CLAIMS = [Claim(…), …]                         what the documents say about those quantities; written here, or
                                                   imported from `experiments/claims/`, as the lessons do
    def tables(records): ...                       (optional) yields Tables, for the terminal and the report: of
                                                   columns, `experiments/tables.py`; those without rows are left out
    plot = pictures(…)                             from records to Pictures: of functions that draw, whose docstrings
                                                   are the captions, `experiments/pictures.py`
    def portrait(record): ...                      (optional) yields Pictures of one run alone
    NEXT = ["…"]                                   what to try next

`measure`, `tables` and `plot` see what was stored and nothing else: they never run a model. `SWEEP` may also be a
list of such dictionaries, when the runs are not one grid. `cost(config)` (optional) estimates how long a run takes, for
the order of the runs and the time left. Its unit is the time of one step of the lecture's network (`stages`), about
0.1 ms; without it a run costs its `steps`.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import numpy as np

from experiments import style
from experiments.claim import Claim
from experiments.provenance import ROOT, libraries
from experiments.records import Record, Records
from experiments.settings import Mistake, label_of, quoted, read_setting, text_of
from npgrad import data

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Budget",
    "Experiment",
    "Mistake",
    "Picture",
    "Plan",
    "Result",
    "Run",
    "Table",
    "collection",
    "discover",
    "load",
]

Budget = Literal["quick", "default", "full"]
LESSONS = Path(__file__).parent / "lessons"


@dataclass
class Result:
    """What one run found out. A lesson's pictures, tables and verdicts are made from this alone."""

    summary: dict[str, Any] = field(default_factory=dict)
    """Numbers, strings and lists of them, by name → summary.json"""
    series: dict[str, Sequence[float] | np.ndarray] = field(default_factory=dict)
    """Columns of equal length, the first usually `step` → metrics.csv"""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    """Anything else → arrays.npz"""


@dataclass
class Picture:
    """A figure with the sentence that goes under it (and is read out where it cannot be seen)."""

    name: str
    figure: Figure
    caption: str


@dataclass(frozen=True)
class Table:
    """Cells are text: a lesson decides how many digits mean something. The first column names the row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Run:
    """One configuration of one lesson. Its key says what was asked: configuration, data, NumPy and BLAS.

    The code that answers is only known when it has run: it is noted beside the result (`experiments.provenance`).
    """

    lesson: str
    file: Path
    label: str
    config: Any
    key: str
    cost: float
    digest: str | None = None

    @property
    def seed(self) -> int:
        return int(self.config.seed)

    @property
    def title(self) -> str:
        return f"{self.lesson}: {self.label}, seed {self.seed}"

    @property
    def folder(self) -> str:
        readable = "".join(c if c.isalnum() or c in ".=" else "-" for c in self.label)[:80]
        return f"{readable}-seed{self.seed}-{self.key[:10]}"


@dataclass(frozen=True)
class Plan:
    """The runs of one lesson under a budget and the caller's changes."""

    experiment: Experiment
    budget: Budget
    seeds: int
    changes: Mapping[str, str]
    runs: list[Run]

    @property
    def command(self) -> str:
        """What to type to get this plan again."""
        words = ["python -m experiments run", self.experiment.name]
        words += [f"--{self.budget}"] if self.budget != "default" else []
        words += [f"--seeds {self.seeds}"] if self.seeds != self.experiment.seeds[self.budget] else []
        words += [f"--set {key}={quoted(value)}" for key, value in self.changes.items()]
        return " ".join(words)

    @property
    def remark(self) -> str:
        """How this plan differs from the lesson as it is meant to be read; empty if it does not."""
        if self.budget != "quick":
            return ""
        lesson = self.experiment
        shorter = []
        for key, value in lesson.quick.items():
            usual = lesson.usual(key)
            if isinstance(value, (list, tuple)):
                shorter.append(f"{key} {', '.join(map(text_of, value))} only")
            elif key not in self.changes:
                shorter.append(f"{text_of(value)} {key} instead of {text_of(usual)}")
        return f"quick look: {'; '.join(shorter)}" if shorter else ""


@dataclass(frozen=True)
class Experiment:
    """A lesson file, read and checked."""

    name: str
    file: Path
    module: ModuleType = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("ORDER", "QUESTION", "EXPECTATION", "Config", "SWEEP", "run", "measure", "plot"):
            if not hasattr(self.module, name):
                raise Mistake(f"{self.file} is not a lesson: it does not define {name}.")
        if not (is_dataclass(self.module.Config) and "seed" in self.hints):
            raise Mistake(f"{self.file}: Config must be a dataclass with a field `seed`.")
        swept = [key for grid in self.grids for key in grid]
        for key in itertools.chain(swept, self.quick, self.full):
            if key not in self.hints:
                raise Mistake(f"{self.file}: {key} is in a sweep or a budget, but not a field of Config.")
        if len({claim.id for claim in self.claims}) < len(self.claims):
            raise Mistake(f"{self.file}: two claims have the same id.")

    # -- what the file says --------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        return (self.module.__doc__ or self.name).strip().splitlines()[0].rstrip(".")

    @property
    def order(self) -> float:
        return float(self.module.ORDER)

    @property
    def question(self) -> str:
        return str(self.module.QUESTION)

    @property
    def expectation(self) -> str:
        return str(self.module.EXPECTATION)

    @property
    def next(self) -> Sequence[str]:
        return getattr(self.module, "NEXT", ())

    @property
    def claims(self) -> Sequence[Claim]:
        return getattr(self.module, "CLAIMS", ())

    @property
    def quick(self) -> Mapping[str, Any]:
        return getattr(self.module, "QUICK", {})

    @property
    def full(self) -> Mapping[str, Any]:
        return getattr(self.module, "FULL", {})

    @property
    def seeds(self) -> Mapping[str, int]:
        return {"quick": 1, "default": 3, "full": 5} | getattr(self.module, "SEEDS", {})

    @property
    def grids(self) -> list[Mapping[str, Sequence[Any]]]:
        sweep = self.module.SWEEP
        return [sweep] if isinstance(sweep, Mapping) else list(sweep)

    @cached_property
    def hints(self) -> dict[str, Any]:
        known = get_type_hints(self.module.Config)
        return {entry.name: known[entry.name] for entry in fields(self.module.Config)}

    def usual(self, key: str) -> Any:
        """What a field is at the default budget: the values of the sweep, or the default of Config."""
        for grid in self.grids:
            if key in grid:
                return grid[key]
        return getattr(self.module.Config(), key)

    def run(self, config: Any, progress: Callable[..., None]) -> Result:
        result = self.module.run(config, progress)
        if not isinstance(result, Result):
            raise TypeError(f"run() of {self.name} must return a Result; got {type(result).__name__}.")
        return result

    def measure(self, records: Records) -> dict[str, np.ndarray]:
        """Quantity → its values, one per seed; those that some seed lacks are left out.

        Raises ValueError if a claim's quantity has more values than there are seeds: it would pass for more evidence.
        """
        seeds = len({record.seed for record in records})
        found = {name: np.atleast_1d(np.asarray(v, dtype=float)) for name, v in self.module.measure(records).items()}
        for claim in self.claims:
            for name in (claim.quantity, claim.than):
                size = found[name].size if name in found else 0
                if size > seeds:
                    raise ValueError(f"measure() of {self.name} gives {size} values of {name!r} for {seeds} seeds.")
                if size < seeds and not (claim.kind != "chance" and size == 1):
                    found.pop(name, None)
        return found

    def plot(self, records: Records) -> Iterator[Picture]:
        for picture in self.module.plot(records):
            style.mark_departures(picture.figure)
            yield picture

    def portrait(self, record: Record) -> Iterator[Picture]:
        if hasattr(self.module, "portrait"):
            for picture in self.module.portrait(record):
                style.mark_departures(picture.figure)
                yield picture

    def tables(self, records: Records) -> Sequence[Table]:
        """Those that have rows: a lesson may have been run in part."""
        made = self.module.tables(records) if hasattr(self.module, "tables") else ()
        return [table for table in made if table.rows]

    # -- the runs ------------------------------------------------------------------------------------------------------

    def plan(
        self, budget: Budget = "default", seeds: int | None = None, changes: Mapping[str, str] | None = None
    ) -> Plan:
        """The runs under a budget, with some fields changed: `changes` maps fields to values as typed.

        A field that the lesson sweeps over takes its values from the change, one or several separated by commas.
        Where a lesson has several grids, a name goes to those that sweep over it: `study=depth` runs that study alone.

        Raises Mistake for a field that does not exist, a value that cannot be read and data that cannot be used.
        """
        changes = dict(changes or {})
        values: dict[str, Any] = dict({"quick": self.quick, "default": {}, "full": self.full}[budget])
        swept = {key for grid in self.grids for key in grid}
        for key, text in changes.items():
            if key == "seed":
                raise Mistake("seed cannot be set: --seeds N runs the seeds 0 to N - 1.")
            if key not in self.hints:
                close = difflib.get_close_matches(key, self.hints, 1)
                hint = (
                    f"did you mean {close[0]}?"
                    if close
                    else f"it has {', '.join(k for k in self.hints if k != 'seed')}."
                )
                raise Mistake(f"{self.name} has no setting {key!r}: {hint}")
            if key in swept:
                values[key] = tuple(read_setting(key, part, self.hints[key]) for part in text.split(","))
            else:
                values[key] = read_setting(key, text, self.hints[key])

        count = self.seeds[budget] if seeds is None else seeds
        runs: dict[str, Run] = {}
        for grid in self.grids:
            axes = {key: values.get(key, usual) for key, usual in grid.items()}
            for key in changes.keys() & grid.keys():
                axes[key] = [value for value in values[key] if self._belongs(key, value, grid)]
            fixed = {key: value for key, value in values.items() if key not in swept}
            for combination in itertools.product(*axes.values()):
                chosen = dict(zip(axes, combination, strict=True))
                label = label_of(chosen)
                for seed in range(count):
                    try:
                        config = self.module.Config(**fixed, **chosen, seed=seed)
                    except ValueError as error:
                        raise Mistake(f"{self.name} cannot run with {label}: {error}") from None
                    run = self._run(label, config)
                    runs.setdefault(run.key, run)
        return Plan(self, budget, count, changes, list(runs.values()))

    def _belongs(self, key: str, value: Any, grid: Mapping[str, Sequence[Any]]) -> bool:
        """Whether a value asked for is meant for this grid: a name that other grids sweep over is meant for those."""
        elsewhere = isinstance(value, str) and any(value in other.get(key, ()) for other in self.grids)
        return value in grid[key] or not elsewhere

    def _run(self, label: str, config: Any) -> Run:
        settings = asdict(config)
        digest = None
        if "data" in settings:
            settings["data"] = digest = data_digest(config.data)
        content = {"lesson": self.name, "config": settings, "libraries": libraries()}
        key = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
        estimate = getattr(self.module, "cost", lambda config: getattr(config, "steps", 1))
        return Run(self.name, self.file, label, config, key, max(float(estimate(config)), 1e-9), digest)


# -- finding lessons ---------------------------------------------------------------------------------------------------


def load(file: Path) -> Experiment:
    """The lesson in a file. A file of the package is imported under its own name, any other under the file's."""
    name = file.stem
    qualified = f"experiments.lessons.{name}" if file.parent == LESSONS else f"lesson_{name}"
    module = sys.modules.get(qualified)
    if module is None or Path(str(module.__file__)) != file:
        spec = importlib.util.spec_from_file_location(qualified, file)
        if spec is None or spec.loader is None or not file.is_file():
            raise Mistake(f"there is no lesson in {file}.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[qualified] = module  # before it runs: dataclasses look their module up
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[qualified]
            raise
    return Experiment(name, file, module)


def discover(directory: Path = LESSONS) -> dict[str, Experiment]:
    """All lessons of a directory by name, in reading order."""
    found = [load(file) for file in sorted(directory.glob("*.py")) if not file.name.startswith("_")]
    return {lesson.name: lesson for lesson in sorted(found, key=lambda lesson: (lesson.order, lesson.name))}


def collection() -> dict[str, Claim]:
    """Every claim of every lesson, in reading order, by its full name: "stages/wasted-steps"."""
    return {f"{name}/{claim.id}": claim for name, lesson in discover().items() for claim in lesson.claims}


# -- small parts -------------------------------------------------------------------------------------------------------


def locate(path: str) -> Path:
    """A data file as named from here or, failing that, from the top of the checkout."""
    here = Path(path).expanduser()
    return here if here.exists() or here.is_absolute() else ROOT / path


def data_digest(path: str) -> str:
    """The digest of the words in a data file. Raises Mistake if there are none."""
    try:
        file = locate(path)
        known = file.stat()
        return _digest(file, known.st_mtime_ns, known.st_size)
    except data.DataError as error:
        raise Mistake(str(error)) from None
    except OSError as error:
        raise Mistake(f"the data file {path} cannot be read: {error.strerror}.") from None


@lru_cache(maxsize=64)
def _digest(file: Path, modified: int, size: int) -> str:
    return data.digest(data.read_words(file))
