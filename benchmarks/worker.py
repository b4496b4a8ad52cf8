"""One peer in a process of its own: it reads commands from standard input and answers with what it measured.

A line is a JSON object; `do` is one of
    setup    kind, options, data, peer    build the step                        → versions
    check    steps                        run the first steps                   → values
    run      steps                        run more steps                        → wall, cpu, faults, value
    memory   kind, small, options, steps  what the steps add to the peak        → bytes
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import sys
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

PINNED = os.environ.get("BENCHMARK_CORES", "")
if PINNED and hasattr(os, "sched_setaffinity"):  # before anything starts threads
    os.sched_setaffinity(0, [int(core) for core in PINNED.split(",")])

import numpy as np  # noqa: E402

from benchmarks.problem import Problem, make  # noqa: E402


class Worker:
    def __init__(self, peer: str) -> None:
        self.module: Any = importlib.import_module(f"benchmarks.peers.{peer}")
        self.feeds: list[tuple[Any, ...]] = []
        self.taken = 0

    def setup(self, kind: str, options: dict[str, Any], data: str) -> dict[str, Any]:
        self.begin(kind, make(kind, options, Path(data)))
        return {"versions": versions()}

    def begin(self, kind: str, problem: Problem) -> None:
        build = getattr(self.module, kind, None)
        if build is None:
            raise NotImplementedError("not written for this peer")
        self.feeds = [tuple(self.module.convert(array) for array in feed) for feed in problem.feeds]
        self.step = build(problem)
        self.taken = 0

    def check(self, steps: int) -> dict[str, Any]:
        return {"values": self.advance(steps)}

    def run(self, steps: int) -> dict[str, Any]:
        before = faults()
        cpu, wall = time.process_time(), time.perf_counter()
        value = self.steps(steps)
        # Reading the last value waits for whatever still runs.
        last = number(value[-1])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return {"wall": wall, "cpu": cpu, "faults": faults() - before, "value": last}

    def memory(
        self, kind: str, small: dict[str, Any], options: dict[str, Any], data: str, steps: int
    ) -> dict[str, Any]:
        self.setup(kind, small, data)
        self.advance(3)
        self.feeds, self.step = [], None
        problem = make(kind, options, Path(data))
        trim()
        try:
            Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark to what is in use now
            highest, name = status, "VmHWM"
        except OSError:
            highest, name = rusage, "ru_maxrss"
        before = highest(name)
        self.begin(kind, problem)
        self.advance(steps)
        return {"bytes": highest(name) - before}

    def advance(self, steps: int) -> list[float]:
        return [number(value) for value in self.steps(steps)]

    def steps(self, steps: int) -> list[Any]:
        step, feeds, start = self.step, self.feeds, self.taken
        self.taken += steps
        return [step(*feeds[k % len(feeds)]) for k in range(start, start + steps)]


def number(value: Any) -> float:
    """A result as one number: arrays are added up, what is costly to look at is a function."""
    return float(np.asarray(value() if callable(value) else value).sum())


def status(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")


def rusage(name: str) -> int:
    if resource is None:
        raise OSError("this system does not say how much memory a process used")
    unit = 1 if sys.platform == "darwin" else 1024
    return int(getattr(resource.getrusage(resource.RUSAGE_SELF), name)) * unit


def faults() -> int:
    """Pages that were touched for the first time; 0 where the system does not count them."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt if resource else 0


def trim() -> None:
    """Give back to the system what is free, so that it counts when it is used again."""
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):  # a C library other than glibc
        ctypes.CDLL(None).malloc_trim(0)


def versions() -> dict[str, str]:
    found = {}
    for package in ("numpy", "npgrad", "torch", "jax", "mygrad", "autograd"):
        if package in sys.modules:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                found[package] = "?"
    return found


def main() -> None:
    # Nothing else may write where the answers go.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker: Worker | None = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if worker is None:
                worker = Worker(command.pop("peer"))
            command.pop("peer", None)
            answer = getattr(worker, command.pop("do"))(**command)
        except Exception as error:
            reason = (str(error).strip().splitlines() or [""])[0]
            kind = "" if isinstance(error, NotImplementedError) else f"{type(error).__name__}: "
            answer = {"error": kind + reason, "absent": isinstance(error, NotImplementedError)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
