"""The goals, as ratios within one run, and whether they are met."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.results import PointResult, Results

__all__ = ["Verdict", "verdicts"]


class Verdict(NamedTuple):
    goal: str
    measured: str
    met: bool | None
    """None if it could not be measured."""


class Unmeasured(Exception):
    """The reason why there is no number."""


def verdicts(results: Results) -> list[Verdict]:
    """Every goal that a workload of this run bears on."""
    return [verdict for check in CHECKS for verdict in check(results)]


def point(results: Results, workload: str, index: int = 0) -> PointResult:
    return results.workloads[workload].points[index]


def ratio(results: Results, at: PointResult, a: str, b: str) -> float:
    for peer in (a, b):
        measured = at.peers.get(peer)
        if measured is None or measured.status != "ok":
            raise Unmeasured(f"{peer} {measured.status}: {measured.why}" if measured else f"{peer} takes no part")
    found = at.ratio(a, b, results.clock)
    if found is None:
        raise Unmeasured(f"no rounds of {a} and {b}")
    return found


def at_most(limit: float, goal: str, measure: Callable[[], tuple[float, str]]) -> Verdict:
    try:
        value, text = measure()
    except Unmeasured as reason:
        return Verdict(goal, f"not measured ({reason})", None)
    return Verdict(goal, text, value <= limit)


def compared(
    results: Results, workload: str, what: str, limits: list[tuple[str, str, float, str]]
) -> Iterator[Verdict]:
    """Goals of the form: peer `a` takes at most `limit` times what `b` takes."""
    if workload not in results.workloads:
        return
    at = point(results, workload)
    for a, b, limit, name in limits:

        def measure(a: str = a, b: str = b) -> tuple[float, str]:
            value = ratio(results, at, a, b)
            return value, f"{value:.3g} ×"

        yield at_most(limit, f"{what}: ≤ {limit:g} × {name}", measure)


def steps(results: Results) -> Iterator[Verdict]:
    for name, limit in (("lecture", 0.95), ("deep", 0.9)):
        yield from compared(results, name, f"{name} step, eager", [
            ("npgrad_eager", "numpy_plain", 1.35, "NumPy by hand, plain"),
        ])  # fmt: skip
        yield from compared(results, name, f"{name} step, compiled", [
            ("npgrad_compiled", "numpy_preallocated", limit, "NumPy by hand, preallocated"),
            ("npgrad_compiled", "jax_jit", 1.0, "JAX jit of the whole step, losses not read"),
            ("npgrad_compiled", "jax_jit_read", 0.75, "JAX jit of the whole step, losses read"),
            ("npgrad_compiled", "torch_eager", 0.2, "PyTorch as the lecture"),
        ])  # fmt: skip
    yield from compared(results, "lecture-two-cores", "lecture step, compiled", [
        ("npgrad_compiled", "jax_jit", 1.05, "JAX jit, two cores"),
    ])  # fmt: skip


LARGE = {"softmax": 1.3, "layer_norm": 1.8, "group_norm": 2.0, "gelu": 1.8, "conv2d": 1.2}


def large(results: Results) -> Iterator[Verdict]:
    if "large" in results.workloads:
        for at in results.workloads["large"].points:

            def measure(at: PointResult = at) -> tuple[float, str]:
                value = ratio(results, at, "npgrad_compiled", "torch_eager")
                return value, f"{value:.3g} ×"

            limit = LARGE[at.label]
            yield at_most(limit, f"{at.label} at 4096 × 1024, compiled: ≤ {limit:g} × PyTorch, one thread", measure)


def programs(results: Results) -> Iterator[Verdict]:
    if "program" in results.workloads:

        def written() -> tuple[float, str]:
            measured = point(results, "program").peers["npgrad_compiled"]
            if measured.status != "ok":
                raise Unmeasured(f"npgrad_compiled {measured.status}: {measured.why}")
            value = measured.spread(results.clock)[0] * 1e3
            return value, f"{value:.1f} ms"

        yield at_most(50.0, "writing the program of the lecture's step: ≤ 50 ms", written)
    if "instruments" in results.workloads:

        def watching() -> tuple[float, str]:
            at = results.workloads["instruments"].points[-1]
            value = ratio(results, at, "npgrad_compiled", "npgrad_unwatched")
            return value, f"{value:.3g} ×"

        yield at_most(1.1, "a Monitor at every=100, compiled: ≤ 1.1 × the step unwatched", watching)


SEQUENCES = {
    "RNN": (0.8, "torch.nn.RNN"), "GRU": (1.0, "torch.nn.GRU"), "LSTM": (1.0, "torch.nn.LSTM"),
    "WaveNet": (0.5, "PyTorch eager"), "Transformer": (0.7, "PyTorch eager"),
}  # fmt: skip


def sequences(results: Results) -> Iterator[Verdict]:
    if "sequences" in results.workloads:
        for at in results.workloads["sequences"].points:

            def measure(at: PointResult = at) -> tuple[float, str]:
                value = ratio(results, at, "npgrad_compiled", "torch_eager")
                return value, f"{value:.3g} ×"

            limit, peer = SEQUENCES[at.label.partition(",")[0]]
            yield at_most(limit, f"{at.label}, compiled: ≤ {limit:g} × {peer}", measure)
    if "sequences-program" in results.workloads:
        for at in results.workloads["sequences-program"].points:

            def written(at: PointResult = at) -> tuple[float, str]:
                measured = at.peers["npgrad_compiled"]
                if measured.status != "ok":
                    raise Unmeasured(f"npgrad_compiled {measured.status}: {measured.why}")
                value = measured.spread(results.clock)[0]
                return value, f"{value:.2f} s"

            yield at_most(1.0, f"writing the program of a step, {at.label}: ≤ 1 s", written)
    if "sequences-memory" in results.workloads:

        def growth() -> tuple[float, str]:
            points = results.workloads["sequences-memory"].points
            for at in points:
                ratio(results, at, "npgrad_compiled", "npgrad_compiled")
            a, b, c = (at.peers["npgrad_compiled"].spread("wall")[0] / 1e6 for at in points)
            return (c - b) / (b - a), f"{a:.1f}, {b:.1f}, {c:.1f} MB: {(c - b) / (b - a):.2f} × for 2 × the characters"

        yield at_most(2.2, "memory of a GRU, linear in the characters: 16 to 32, then 32 to 64, ≤ 2.2 ×", growth)


def grids(results: Results) -> Iterator[Verdict]:
    for name, what in (("grid", "batch × hidden grid"), ("grid-no-norm", "the same without batch norm")):
        if name not in results.workloads:
            continue
        points = results.workloads[name].points

        def measure(peer: str, points: list[PointResult] = points) -> tuple[float, str]:
            worst = max((ratio(results, at, peer, "torch_eager"), at.label) for at in points)
            fused = max((at.ratio(peer, "torch_fused", results.clock) or 0.0, at.label) for at in points)
            text = f"worst {worst[0]:.2f} × at {worst[1]}"
            return worst[0], text + (f"; of fused PyTorch {fused[0]:.2f} × at {fused[1]}" if fused[0] else "")

        for peer in ("npgrad_compiled", "npgrad_eager"):
            mode = peer.removeprefix("npgrad_")
            yield at_most(0.9, f"{what}, {mode}: every point ≤ 0.9 × PyTorch eager", lambda p=peer, m=measure: m(p))


def memory(results: Results) -> Iterator[Verdict]:
    if "memory" in results.workloads:
        for at in results.workloads["memory"].points:

            def measure(at: PointResult = at) -> tuple[float, str]:
                value = ratio(results, at, "npgrad_compiled", "torch_eager")
                ours, theirs = (at.peers[peer].spread("wall")[0] for peer in ("npgrad_compiled", "torch_eager"))
                return value, f"{ours / 1e6:,.1f} MB of {theirs / 1e6:,.1f} MB ({value:.2f} ×)"

            yield at_most(1.0, f"peak memory of a step, compiled, {at.label}: ≤ 1 × PyTorch eager", measure)
    for name in ("lecture", "deep", "grid"):
        if name not in results.workloads:
            continue

        def faults(name: str = name) -> tuple[float, str]:
            counted = []
            for at in results.workloads[name].points:
                measured = at.peers["npgrad_compiled"]
                if measured.status != "ok" or not measured.faults:
                    raise Unmeasured(f"npgrad_compiled {measured.status} {measured.why}".strip())
                middle = sorted(measured.faults)[len(measured.faults) // 2]
                counted.append((middle, at.label))
            worst = max(counted)
            return worst[0], f"{worst[0]:.2g}" + (f", most at {worst[1]}" if len(counted) > 1 else "")

        yield at_most(1.0, f"page faults per step, compiled, {name}: near zero (≤ 1)", faults)


def nodes(results: Results) -> Iterator[Verdict]:
    if "node" in results.workloads:
        for peer, limit in (("npgrad_eager", 1.5), ("npgrad_compiled", 0.3)):

            def measure(peer: str = peer) -> tuple[float, str]:
                found = []
                for at in results.workloads["node"].points:
                    ratio(results, at, peer, "numpy_plain")  # both are there
                    times = zip(
                        at.peers[peer].samples(results.clock),
                        at.peers["numpy_plain"].samples(results.clock),
                        strict=False,
                    )
                    beyond = sorted(a - b for a, b in times)
                    found.append((beyond[len(beyond) // 2] * 1e6, at.label))
                worst = max(found)
                return worst[0], f"{worst[0]:.2f} µs ({', '.join(f'{label} {value:.2f}' for value, label in found)})"

            mode = peer.removeprefix("npgrad_")
            yield at_most(limit, f"one elementwise node, {mode}: ≤ {limit:g} µs beyond NumPy", measure)
    yield from compared(results, "chain", "chain, eager", [
        ("npgrad_eager", "torch_eager", 1.0, "PyTorch"),
    ])  # fmt: skip
    if "depth" in results.workloads:

        def linear() -> tuple[float, str]:
            points = results.workloads["depth"].points
            reference = next((at for at in points if at.options["nodes"] == 1000), points[-1])
            times = []
            for at in (reference, points[-1]):
                if at.peers["npgrad_eager"].status != "ok":
                    raise Unmeasured(at.peers["npgrad_eager"].why)
                times.append(at.peers["npgrad_eager"].spread(results.clock)[0])
            value = times[1] / times[0]
            return value, f"{value:.2f} × ({times[1] * 1e6:.2f} µs of {times[0] * 1e6:.2f} µs)"

        last = results.workloads["depth"].points[-1].label
        yield at_most(1.5, f"linear in depth: a node of {last} ≤ 1.5 × one of 1,000", linear)


def others(results: Results) -> Iterator[Verdict]:
    yield from compared(results, "evaluation", "evaluation", [("npgrad_eager", "torch_eager", 0.5, "PyTorch")])
    if "evaluation-memory" in results.workloads:

        def bounded() -> tuple[float, str]:
            at = point(results, "evaluation-memory")
            value = ratio(results, at, "npgrad_eager", "torch_eager")
            return value, f"{at.peers['npgrad_eager'].spread('wall')[0] / 1e6:,.1f} MB ({value:.2f} ×)"

        yield at_most(0.5, "memory of an evaluation, in chunks: ≤ 0.5 × PyTorch in one piece", bounded)
    yield from compared(results, "sampling", "sampling", [
        ("npgrad_eager", "torch_eager", 0.1, "a name at a time in PyTorch"),
    ])  # fmt: skip
    if "import" in results.workloads:

        def beyond() -> tuple[float, str]:
            measured = point(results, "import").peers["npgrad"]
            if measured.status != "ok":
                raise Unmeasured(measured.why)
            value = measured.spread(results.clock)[0] * 1e3
            return value, f"{value:.1f} ms"

        yield at_most(15.0, "import npgrad: ≤ 15 ms over import numpy", beyond)


CHECKS = (steps, large, programs, sequences, grids, memory, nodes, others)
