"""Peak memory: a fresh process does a small step first, so that libraries are loaded, and then the real ones."""

from __future__ import annotations

from pathlib import Path

from benchmarks.process import Failed, Process
from benchmarks.results import PointResult
from benchmarks.rounds import Report, Settings, out_of_play
from benchmarks.workloads import Workload

__all__ = ["peaks"]

STEPS = 8
"""Enough for a step to be compiled and to run as a program."""
REPEATS = 3
SMALL = {
    "train": {"net": "lecture", "batch": 2, "hidden": 2, "batch_norm": True},
    "evaluate": {"rows": 10},
    "sequences": {"net": "gru", "batch": 2, "hidden": 2, "length": 2},
}
"""A first problem of each kind, for which libraries are loaded."""


def peaks(workload: Workload, settings: Settings, data: Path, report: Report) -> list[PointResult]:
    """What setting up and so many steps add to the resident memory of the process, at its highest."""
    small = SMALL[workload.kind]
    results = []
    for point in workload.points(settings.quick):
        result = PointResult(point.label, point.options, 1, {})
        for peer in workload.peers:
            report(f"{workload.name}: {point.label}: {peer}")
            measured = result.peers[peer] = out_of_play(peer, settings)
            for _ in range(1 if settings.quick else REPEATS):
                if measured.status != "ok":
                    break
                with Process(peer, workload.cores, data, settings.verbose) as process:
                    try:
                        answer = process.ask(
                            "memory", kind=workload.kind, small=small, options=point.options, steps=STEPS
                        )
                        measured.bytes.append(answer["bytes"])
                    except Failed as failure:
                        measured.status, measured.why = ("absent" if failure.absent else "failed"), str(failure)
        results.append(result)
    return results
