"""Taking turns: all peers of a workload run the same problem, a few steps at a time, one after the other.

A machine has slow and fast moments. Peers that are timed one after the other, each for long, get different moments;
in short turns they get the same ones, and within a round their times can be divided by each other. Before anything is
timed, the first results of all peers have to agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.numpy_by_hand.plain import PlainMLP
from benchmarks.numpy_by_hand.plain_deep import PlainDeep
from benchmarks.peers import PEERS
from benchmarks.problem import make
from benchmarks.process import Failed, Process
from benchmarks.results import Measured, PointResult
from benchmarks.workloads import Point, Workload

__all__ = ["Settings", "interleaved"]


@dataclass(frozen=True)
class Settings:
    """How long to measure: `rounds` turns of about `turn` seconds for each peer."""

    rounds: int = 21
    turn: float = 0.1
    quick: bool = False
    clock: str = "wall"
    peers: tuple[str, ...] = ()
    """Only these, if any are named."""
    verbose: bool = False


Report = Callable[[str], None]


def interleaved(workload: Workload, settings: Settings, data: Path, report: Report) -> list[PointResult]:
    """Every point of the workload, measured."""
    points = workload.points(settings.quick)
    if not workload.shared:
        results = []
        for point in points:
            report(f"{workload.name}: {point.label}")
            with Stage(workload, settings, data) as stage:
                results.append(stage.measure(point))
        return results
    with Stage(workload, settings, data) as stage:
        results = []
        for point in points:
            report(f"{workload.name}: {point.label}")
            results.append(stage.measure(point))
        return results


class Stage:
    """The processes of one workload's peers, and the reasons why others have none."""

    def __init__(self, workload: Workload, settings: Settings, data: Path) -> None:
        self.workload, self.settings, self.data = workload, settings, data
        self.processes: dict[str, Process] = {}

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes.values():
            process.end()

    def process(self, peer: str) -> Process:
        """The peer's process; a new one if there is none or it has died."""
        found = self.processes.get(peer)
        if found is None or found.process.poll() is not None:
            found = self.processes[peer] = Process(peer, self.workload.cores, self.data, self.settings.verbose)
        return found

    def measure(self, point: Point) -> PointResult:
        result = PointResult(point.label, point.options, point.per, {})
        for peer in self.workload.peers:
            result.peers[peer] = out_of_play(peer, self.settings)
            if result.peers[peer].status == "ok":
                self.attempt(result.peers[peer], lambda peer=peer: self.prepare(peer, point, result.peers[peer]))
        compare(self.workload, point, result, self.data)
        playing = [peer for peer, measured in result.peers.items() if measured.status == "ok"]
        steps: dict[str, int] = {}
        for peer in playing:
            self.attempt(result.peers[peer], lambda peer=peer: steps.update({peer: self.calibrate(peer)}))
        for k in range(self.settings.rounds):
            # Everybody is first as often as anybody else.
            start = k % max(len(playing), 1)
            for peer in playing[start:] + playing[:start]:
                measured = result.peers[peer]
                if measured.status == "ok":
                    self.attempt(measured, lambda peer=peer, m=measured: self.turn(peer, steps[peer], point, m))
        return result

    def attempt(self, measured: Measured, action: Callable[[], Any]) -> None:
        try:
            action()
        except Failed as failure:
            measured.status, measured.why = ("absent" if failure.absent else "failed"), str(failure)

    def prepare(self, peer: str, point: Point, measured: Measured) -> None:
        process = self.process(peer)
        process.ask("setup", kind=self.workload.kind, options=point.options)
        measured.values = process.ask("check", steps=max(self.workload.check, 1))["values"]

    def calibrate(self, peer: str) -> int:
        """How many steps make a turn; warms up at the same time."""
        process, steps = self.process(peer), 1
        turn = self.settings.turn * self.workload.effort
        while True:
            took = max(process.ask("run", steps=steps)["wall"], 1e-9)
            if took >= turn / 2:
                return max(1, round(steps * turn / took))
            steps = min(steps * 8, max(steps + 1, math.ceil(steps * turn / took)))

    def turn(self, peer: str, steps: int, point: Point, measured: Measured) -> None:
        answer = self.process(peer).ask("run", steps=steps)
        measured.wall.append(answer["wall"] / steps / point.per)
        # Processor time adds up the threads, which says nothing about how long they took together.
        measured.cpu.append(answer["cpu" if self.workload.cores == 1 else "wall"] / steps / point.per)
        measured.faults.append(answer["faults"] / steps)
        if not math.isfinite(answer["value"]):
            raise Failed(f"its result became {answer['value']} while it was timed")


def out_of_play(peer: str, settings: Settings) -> Measured:
    """Whether this peer takes part."""
    if settings.peers and peer not in settings.peers:
        return Measured("left out", "not among --peers")
    if PEERS[peer].missing():
        return Measured("missing", f"{PEERS[peer].requires} is not installed: pip install '.[bench]'")
    return Measured()


def compare(workload: Workload, point: Point, result: PointResult, data: Path) -> None:
    """Mark every peer whose first results differ from the reference: its times would not count.

    The reference of training is NumPy by hand in float64; otherwise it is the median of the peers.
    """
    playing = [measured for measured in result.peers.values() if measured.status == "ok"]
    if not workload.check or not playing:
        return
    if workload.kind in ("train", "instruments"):
        result.reference = reference(workload, point, data)
    else:
        result.reference = [median(values) for values in zip(*(m.values for m in playing), strict=True)]
    for measured in playing:
        for value, right in zip(measured.values, result.reference, strict=True):
            if not abs(value - right) <= workload.tolerance * max(1.0, abs(right)):
                measured.status = "disagrees"
                measured.why = f"{value:.6g} where {right:.6g} was expected within {workload.tolerance:g}"
                break


def reference(workload: Workload, point: Point, data: Path) -> list[float]:
    """The first losses in double precision."""
    problem = make(workload.kind, point.options, data)
    parameters = {name: value.astype(float) for name, value in problem.parameters.items()}
    by_hand = PlainMLP if problem.net == "lecture" else PlainDeep
    step = by_hand(parameters, problem.batch_norm, problem.lr).step
    feeds = problem.feeds
    return [step(*feeds[k % len(feeds)]) for k in range(workload.check)]
