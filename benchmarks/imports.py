"""How long importing takes, each time in a fresh process; npgrad after numpy, the others from nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks.process import ROOT, environment
from benchmarks.results import Measured, PointResult
from benchmarks.rounds import Report, Settings
from benchmarks.workloads import Workload

__all__ = ["imports"]

CODE = """
import os, sys
os.sched_setaffinity(0, [int(core) for core in os.environ["BENCHMARK_CORES"].split(",")])
from time import perf_counter, process_time
{first}
cpu, wall = process_time(), perf_counter()
import {name}
print(perf_counter() - wall, process_time() - cpu)
"""


def imports(workload: Workload, settings: Settings, data: Path, report: Report) -> list[PointResult]:
    result = PointResult("fresh process", {}, 1, {})
    for name in workload.peers:
        if find_spec(name) is None:
            result.peers[name] = Measured("missing", f"{name} is not installed: pip install '.[bench]'")
        elif settings.peers and not any(peer.startswith(name) for peer in settings.peers):
            result.peers[name] = Measured("left out", "not among --peers")
        else:
            result.peers[name] = Measured()
    # The first round fills the caches of the file system and is not counted. Everybody's bytecode is kept, as Python
    # does unless told otherwise, but beside the others' data and not in the packages.
    environs = environment(1) | {"PYTHONPYCACHEPREFIX": str(data / "bytecode")}
    environs.pop("PYTHONDONTWRITEBYTECODE", None)
    for k in range(-1, 3 if settings.quick else settings.rounds):
        report(f"{workload.name}: round {k + 1}")
        for name, measured in result.peers.items():
            if measured.status != "ok" or (k > 4 and name not in ("numpy", "npgrad")):
                continue
            code = CODE.format(first="import numpy" if name == "npgrad" else "", name=name)
            done = subprocess.run(
                [sys.executable, "-c", code], env=environs, cwd=ROOT, capture_output=True, text=True, check=False
            )
            if done.returncode:
                measured.status, measured.why = "failed", done.stderr.strip().splitlines()[-1]
            elif k >= 0:
                wall, cpu = map(float, done.stdout.split()[-2:])
                measured.wall.append(wall)
                measured.cpu.append(cpu)
    return [result]
