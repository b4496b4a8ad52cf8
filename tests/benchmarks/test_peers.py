"""All peers do the same work: on tiny problems their first results are those of NumPy by hand in double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

import benchmarks.process
from benchmarks.goals import LARGE
from benchmarks.peers import PEERS
from benchmarks.process import Failed, Process
from benchmarks.rounds import reference
from benchmarks.workloads import RECURRENT, TRANSFORMER, WAVENET, WORKLOADS, Point, net

NETS = [
    Point(name, net(name, 8, 5, norm))
    for name, norm in [("lecture", True), ("deep", False), ("lecture", False), ("deep", True)]
]
COMPILED = ("torch_compile",)  # takes longer to compile than everything else here together


@pytest.fixture(scope="module")
def started(data: Path) -> Iterator[Callable[[str], Process]]:
    """Starts a peer once for all tests."""
    processes: dict[str, Process] = {}

    def start(peer: str) -> Process:
        return processes.get(peer) or processes.setdefault(peer, Process(peer, 1, data))

    yield start
    for process in processes.values():
        process.end()


@pytest.mark.parametrize("peer", [peer for peer in WORKLOADS["lecture"].peers if peer not in COMPILED])
def test_training(peer: str, data: Path, started: Callable[[str], Process]) -> None:
    if PEERS[peer].missing():
        pytest.skip(f"{PEERS[peer].requires} is not installed")
    workload = replace(WORKLOADS["lecture"], check=7)
    process = started(peer)
    # What the peers from elsewhere would show with all four they show with two.
    for point in NETS if PEERS[peer].requires == "numpy" else NETS[:2]:
        process.ask("setup", kind="train", options=point.options)
        losses = process.ask("check", steps=workload.check)["values"]
        assert losses == pytest.approx(reference(workload, point, data), rel=workload.tolerance), point


OTHERS = [
    ("instruments", net("deep", 8, 5, True) | {"every": 2}, 7, 1e-4),
    ("evaluate", {"rows": 50}, 1, 1e-4),
    ("convolution", {"batch": 3, "size": 5}, 7, 1e-4),
    ("chain", {"nodes": 20}, 2, 1e-5),
    ("node", {"operation": "tanh"}, 7, 1e-3),
    ("node", {"operation": "multiply"}, 7, 1e-3),
    ("node", {"operation": "negative"}, 7, 1e-3),
    ("function", {"name": "Tanh", "case": 0}, 7, 1e-9),
    *[("large", {"operation": name, "rows": 64, "width": 64}, 7, 1e-3) for name in LARGE],
    ("program", net("lecture", 8, 5, True), 1, 1e-4),
    *[("sequences", {"net": name, "hidden": 4, "length": 5, "batch": 3}, 7, 1e-4) for name in RECURRENT],
    ("sequences", WAVENET | {"batch": 5}, 7, 1e-4),
    ("sequences", TRANSFORMER | {"length": 5, "batch": 3}, 7, 1e-4),
    ("sequences_program", {"net": "gru", "hidden": 4, "length": 5, "batch": 3}, 1, 1e-4),
    ("sample", {"names": 400}, 1, 0.3),
]


def test_other_work(started: Callable[[str], Process]) -> None:
    found: dict[int, dict[str, list[float]]] = {k: {} for k in range(len(OTHERS))}
    for peer, entry in PEERS.items():
        if entry.missing() or peer in COMPILED:
            continue
        for k, (kind, options, steps, _) in enumerate(OTHERS):
            try:
                started(peer).ask("setup", kind=kind, options=options)
            except Failed as failure:
                assert failure.absent, f"{peer}, {kind}: {failure}"
                continue
            found[k][peer] = started(peer).ask("check", steps=steps)["values"]
    for k, (kind, _, _, tolerance) in enumerate(OTHERS):
        expected = [median(values) for values in zip(*found[k].values(), strict=True)]
        for peer, values in found[k].items():
            assert values == pytest.approx(expected, rel=tolerance), f"{peer}, {kind}"
        assert "npgrad_eager" in found[k] or kind.endswith("program")


def test_a_worker_that_fails_says_so(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Process("numpy_plain", 1, data) as process, monkeypatch.context() as patch:
        process.ask("setup", kind="train", options=NETS[0].options)
        patch.setattr(benchmarks.process, "PATIENCE", 0.2)
        with pytest.raises(Failed, match=r"no answer within 0\.2 s"):
            process.ask("run", steps=10_000_000)
    with Process("numpy_plain", 1, data) as process:
        with pytest.raises(Failed, match="not written for this peer") as caught:
            process.ask("setup", kind="chain", options={"nodes": 4})
        assert caught.value.absent
        with pytest.raises(Failed, match="TypeError") as caught:
            process.ask("setup", kind="train", options={"net": "no_such_net"})
        assert not caught.value.absent
        process.process.kill()
        with pytest.raises(Failed, match="ended with code"):
            process.ask("check", steps=1)
