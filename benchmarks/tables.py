"""Results as text: the same rows for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.goals import Verdict
from benchmarks.machine import lines
from benchmarks.peers import PEERS
from benchmarks.results import Measured, PointResult, Results, WorkloadResult
from experiments.tables import in_columns, markdown

__all__ = ["document", "sections"]

Rows = list[list[str]]


def sections(results: Results, verdicts: Sequence[Verdict]) -> Iterable[tuple[str, Rows, list[str]]]:
    """(title, table whose first row is its head, remarks)."""
    for workload in results.workloads.values():
        yield workload.title, table(workload, results.clock), remarks(workload)
    if verdicts:
        word = {True: "yes", False: "NO", None: "?"}
        rows = [["goal", "measured", "met?"], *([v.goal, v.measured, word[v.met]] for v in verdicts)]
        yield "Goals", rows, []


def table(workload: WorkloadResult, clock: str) -> Rows:
    if workload.name == "functions":
        return functions(workload, clock)
    return ladder(workload, clock) if len(workload.points) == 1 else wide(workload, clock)


def ladder(workload: WorkloadResult, clock: str) -> Rows:
    """One problem: a row for each peer, the slowest first."""
    point = workload.points[0]
    base = "npgrad_compiled" if "npgrad_compiled" in point.peers else "npgrad_eager"
    base = base if point.peers.get(base, Measured("absent")).status == "ok" else next(iter(point.peers))
    rows = [[point.label, f"time a {workload.unit}", "quartiles", f"÷ {title(base)}", "page faults"]]
    if workload.measure != "time":
        rows = [[point.label, workload.unit, "quartiles"]]
    order = sorted(point.peers, key=lambda peer: -middle(point.peers[peer], clock))
    for peer in order:
        measured = point.peers[peer]
        if measured.status != "ok":
            rows.append([title(peer), measured.status, *[""] * (len(rows[0]) - 2)])
            continue
        value, low, high = measured.spread(clock)
        show = size if measured.bytes else duration
        row = [title(peer), show(value), f"{show(low)} – {show(high)}"]
        if workload.measure == "time":
            ratio = point.ratio(peer, base, clock)
            faults = sorted(measured.faults)[len(measured.faults) // 2]
            row += [f"{ratio:.2f}" if ratio else "", f"{faults:.3g}"]
        rows.append(row)
    return rows


def wide(workload: WorkloadResult, clock: str) -> Rows:
    """Several problems: a row for each, a column for each peer."""
    peers = list(workload.points[0].peers)
    rows = [[f"a {workload.unit}", *map(title, peers)]]
    for point in workload.points:
        rows.append([point.label, *(cell(point, peer, clock) for peer in peers)])
    return rows


def functions(workload: WorkloadResult, clock: str) -> Rows:
    """One row for each function: the mean over its cases."""
    peers = list(workload.points[0].peers)
    rows = [["function (mean over its cases)", *map(title, peers), "eager ÷ PyTorch"]]
    for name in dict.fromkeys(point.options["name"] for point in workload.points):
        points = [p for p in workload.points if p.options["name"] == name]
        row = [name]
        for peer in peers:
            times = [p.peers[peer].spread(clock)[0] for p in points if p.peers[peer].status == "ok"]
            states = {p.peers[peer].status for p in points} - {"ok"}
            row.append((duration(sum(times) / len(times)) if times else "") + "".join(f" {s}" for s in sorted(states)))
        ratios = [r for p in points if (r := p.ratio("npgrad_eager", "torch_eager", clock)) is not None]
        rows.append([*row, f"{sum(ratios) / len(ratios):.2f}" if ratios else ""])
    return rows


def cell(point: PointResult, peer: str, clock: str) -> str:
    measured = point.peers[peer]
    if measured.status != "ok":
        return measured.status
    return size(measured.spread(clock)[0]) if measured.bytes else duration(measured.spread(clock)[0])


def middle(measured: Measured, clock: str) -> float:
    return measured.spread(clock)[0] if measured.status == "ok" else 0.0


def remarks(workload: WorkloadResult) -> list[str]:
    """Who is not in the table, and why; each reason once."""
    found: dict[str, list[str]] = {}
    for point in workload.points:
        for peer, measured in point.peers.items():
            if measured.status not in ("ok", "left out"):
                at = f" at {point.label}" if len(workload.points) > 1 and measured.status != "missing" else ""
                found.setdefault(f"{title(peer)}: {measured.status}, {measured.why}", []).append(at)
    return [text + (", ".join(dict.fromkeys(places)) if len(places) < 4 else "") for text, places in found.items()]


def title(peer: str) -> str:
    return PEERS[peer].title if peer in PEERS else peer


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{digits(seconds * factor)} {unit}"
    return f"{digits(seconds * 1e6)} µs"


def size(count: float) -> str:
    return f"{digits(count / 1e6)} MB"


def digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


# -- drawing -----------------------------------------------------------------------------------------------------------


def document(results: Results, verdicts: Sequence[Verdict], markdown: bool) -> str:
    """All of it."""
    bullet = "- " if markdown else "  "
    parts = ["# Benchmarks\n" if markdown else "", *(f"{bullet}{line}" for line in lines(results.machine))]
    settings = results.settings
    clock = "processor time" if results.clock == "cpu" else "wall-clock time"
    parts.append(f"{bullet}medians of {settings['rounds']} rounds of {settings['turn']:g} s for each peer, {clock}")
    for heading, rows, notes in sections(results, verdicts):
        parts.append(f"\n## {heading}\n" if markdown else f"\n{heading}")
        parts.append(as_markdown(rows) if markdown else as_text(rows))
        parts += [f"\n{note}" if markdown else f"  {note}" for note in notes]
    return "\n".join(parts).lstrip("\n") + "\n"


def as_markdown(rows: Rows) -> str:
    return markdown(rows, flush(rows))


def as_text(rows: Rows) -> str:
    return "\n".join(in_columns(rows, flush(rows)))


def flush(rows: Rows) -> list[bool]:
    """Which columns stand to the right: all but the first, except in the table of goals."""
    return [k > 0 and rows[0][-1] != "met?" for k in range(len(rows[0]))]
