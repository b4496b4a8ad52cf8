"""`python -m benchmarks`: what it prints and writes. No test looks at how long anything took."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks import goals, tables
from benchmarks.__main__ import main
from benchmarks.peers import PEERS, Peer
from benchmarks.results import Measured, PointResult, Results, WorkloadResult
from benchmarks.rounds import compare
from benchmarks.workloads import WORKLOADS, Point


def test_a_quick_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "mygrad", Peer("MyGrad", "no_such_package"))
    out = tmp_path / "out"
    asked = ["node", "--quick", "--rounds", "2", "--peers", "numpy_plain,npgrad_eager,mygrad", "--out", str(out)]
    assert main(asked) == 0
    printed = capsys.readouterr().out
    assert "MyGrad is missing: no_such_package is not installed" in printed
    assert "one elementwise node, eager: ≤ 1.5 µs beyond NumPy" in printed
    assert "left out" in printed

    saved = json.loads((out / "results.json").read_text(encoding="utf-8"))
    peers = saved["workloads"]["node"]["points"][0]["peers"]
    assert [peers[name]["status"] for name in ("numpy_plain", "npgrad_eager", "mygrad")] == ["ok", "ok", "missing"]
    assert len(peers["npgrad_eager"]["wall"]) == 2
    assert {"goal", "measured", "met"} == set(saved["goals"][0])
    table = (out / "table.md").read_text(encoding="utf-8")
    assert "| tanh |" in table and "| goal | measured | met? |" in table


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in [*WORKLOADS, *PEERS])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such"], "there is no workload 'no_such'; there are lecture"),
        (["--peers", "tensorflow"], "there is no peer 'tensorflow'; there are numpy_plain"),
        (["--rounds", "0"], "must be a whole number, 1 or more; got '0'"),
        (["--out", __file__], "is a file; name a directory"),
    ],
)
def test_bad_input(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def result(**peers: Measured) -> Results:
    point = PointResult("batch 32, hidden 200", {}, 1, peers)
    workload = WorkloadResult("lecture", "The lecture's MLP", "step", "time", 1, 1e-4, [point])
    return Results(MACHINE, {"rounds": 3, "turn": 0.1, "clock": "wall"}, {"lecture": workload})


MACHINE = {
    "processor": "A", "cores": 2, "memory_gb": 1, "system": "B", "python": "3", "blas": "C", "versions": {},
    "core_used": 1, "load": 0, "date": "today",
}  # fmt: skip


def timed(*wall: float) -> Measured:
    return Measured(wall=list(wall), cpu=list(wall), faults=[0.0] * len(wall))


def test_ratios_are_taken_within_a_round() -> None:
    # The machine was ten times as slow in the last two rounds; the ratio is the same in all of them.
    results = result(npgrad_compiled=timed(1, 10, 10), torch_eager=timed(10, 100, 100))
    point = results.workloads["lecture"].points[0]
    assert point.ratio("npgrad_compiled", "torch_eager", "wall") == pytest.approx(0.1)
    assert point.ratio("npgrad_compiled", "jax_jit", "wall") is None


def test_goals() -> None:
    missing = Measured("missing", "jax is not installed")
    results = result(npgrad_compiled=timed(2, 2, 2), torch_eager=timed(10, 10, 10), jax_jit=missing)
    found = {verdict.goal: verdict for verdict in goals.verdicts(results)}
    assert found["lecture step, compiled: ≤ 0.2 × PyTorch as the lecture"].met is True
    jax = found["lecture step, compiled: ≤ 1 × JAX jit of the whole step, losses not read"]
    assert jax.met is None and "jax is not installed" in jax.measured
    text = tables.document(results, list(found.values()), markdown=False)
    assert "JAX, jit: missing, jax is not installed" in text
    results = result(npgrad_compiled=timed(2, 2, 2), torch_eager=timed(3, 3, 3))
    found = {verdict.goal: verdict for verdict in goals.verdicts(results)}
    assert found["lecture step, compiled: ≤ 0.2 × PyTorch as the lecture"].met is False


def test_goals_of_large_arrays_of_programs_and_of_watching() -> None:
    def workload(name: str, *points: PointResult) -> WorkloadResult:
        return WorkloadResult(name, name, "step", "time", 1, 1e-4, list(points))

    compiled, torch = timed(3, 3, 3), timed(2, 2, 2)
    results = Results(MACHINE, {"rounds": 3, "turn": 0.1, "clock": "wall"})
    results.workloads["large"] = workload(
        "large",
        *(
            PointResult(name, {}, 1, {"npgrad_compiled": compiled, "torch_eager": torch})
            for name in ("gelu", "softmax")
        ),
    )
    results.workloads["program"] = workload("program", PointResult("", {}, 1, {"npgrad_compiled": timed(0.05, 0.06)}))
    watched = {"npgrad_compiled": timed(1.05, 1.05), "npgrad_unwatched": timed(1, 1)}
    results.workloads["instruments"] = workload(
        "instruments", PointResult("every step", {}, 1, {}), PointResult("every 100th step", {}, 1, watched)
    )
    met = {verdict.goal.partition(":")[0]: verdict.met for verdict in goals.verdicts(results)}
    assert met == {
        "gelu at 4096 × 1024, compiled": True,
        "softmax at 4096 × 1024, compiled": False,
        "writing the program of the lecture's step": False,
        "a Monitor at every=100, compiled": True,
    }


def test_goals_of_sequences() -> None:
    def workload(name: str, *points: tuple[str, dict[str, Measured]]) -> WorkloadResult:
        return WorkloadResult(name, name, "", "time", 1, 1e-4, [PointResult(at, {}, 1, peers) for at, peers in points])

    def peers(compiled: float) -> dict[str, Measured]:
        return {"npgrad_compiled": timed(compiled, compiled), "torch_eager": timed(1, 1)}

    results = Results(MACHINE, {"rounds": 2, "turn": 0.1, "clock": "wall"})
    results.workloads["sequences"] = workload(
        "sequences", ("RNN, hidden 64", peers(0.9)), ("GRU, hidden 64", peers(0.9)), ("LSTM, hidden 200", peers(1.1))
    )
    results.workloads["sequences-program"] = workload("sequences-program", ("GRU", {"npgrad_compiled": timed(0.9)}))
    results.workloads["sequences-memory"] = workload(
        "sequences-memory",
        *((f"{T} steps", {"npgrad_compiled": Measured(bytes=[size])}) for T, size in ((16, 30), (32, 50), (64, 95))),
    )
    assert [verdict.met for verdict in goals.verdicts(results)] == [False, True, False, True, False]


@pytest.mark.parametrize("value", [3.31, math.nan])
def test_a_peer_that_disagrees_is_not_timed(value: float, tmp_path: Path) -> None:
    right, wrong = [3.29, 3.2, 3.1, 3.0, 2.9], [3.29, 3.2, value, 3.0, 2.9]
    peers = {name: Measured(values=right) for name in ("numpy_plain", "npgrad_eager")} | {"jax_jit": Measured()}
    peers["jax_jit"].values = wrong
    point = PointResult("here", {}, 1, peers)
    compare(WORKLOADS["convolution"], Point("here"), point, tmp_path)
    assert peers["jax_jit"].status == "disagrees" and "3.1 was expected" in peers["jax_jit"].why
    assert peers["npgrad_eager"].status == "ok"
