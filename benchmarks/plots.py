"""Pictures of the results, in the colours of the lessons."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Any

from benchmarks.peers import PEERS
from benchmarks.results import Results, WorkloadResult
from benchmarks.tables import duration, title
from experiments import style

__all__ = ["draw"]

SHORT = {"npgrad_compiled": "npgrad", "jax_jit": "JAX", "torch_fused": "fused PyTorch"}

HUES = {
    "numpy_plain": "grey",
    "numpy_preallocated": "grey",
    "npgrad_eager": "sky",
    "npgrad_compiled": "blue",
    "torch_eager": "vermillion",
    "torch_fused": "orange",
    "torch_compile": "orange",
    "jax_jit": "green",
    "jax_jit_read": "green",
    "mygrad": "purple",
    "autograd": "purple",
}


def draw(results: Results, directory: Path) -> list[Path]:
    """A picture for every workload that has more to show than its table; returns the files."""
    written: list[Path] = []
    for look in ("light", "dark"):
        with style.theme(look):  # type: ignore[arg-type]
            for workload in results.workloads.values():
                made = picture(workload, results.clock)
                if made is not None:
                    name = workload.name + ("-dark" if look == "dark" else "")
                    written += style.save(made, directory / name, formats=("svg",))
    return written


def picture(workload: WorkloadResult, clock: str) -> Any:
    if workload.name == "depth":
        return depth(workload, clock)
    if workload.name.startswith("grid"):
        return grid(workload, clock)
    if len(workload.points) == 1 and workload.measure == "time":
        return bars(workload, clock)
    return None


def bars(workload: WorkloadResult, clock: str) -> Any:
    """The peers by time, with the quartiles."""
    peers = {peer: m for peer, m in workload.points[0].peers.items() if m.status == "ok"}
    if not peers:
        return None
    order = sorted(peers, key=lambda peer: -peers[peer].spread(clock)[0])
    spreads = [peers[peer].spread(clock) for peer in order]
    values = [value * 1e6 for value, _, _ in spreads]
    figure, axes = style.figure(height=0.7 + 0.42 * len(order))
    axes.barh(range(len(order)), values, color=[style.colour(HUES[peer]) for peer in order], height=0.66)
    axes.hlines(
        range(len(order)),
        [s[1] * 1e6 for s in spreads],
        [s[2] * 1e6 for s in spreads],
        color=style.ink(),
        linewidth=1.4,
    )
    for k, (value, _, high) in enumerate(spreads):
        axes.annotate(
            duration(value), (max(value, high) * 1e6, k), xytext=(5, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(range(len(order)), [PEERS[peer].title for peer in order])
    axes.tick_params(axis="y", length=0, labelcolor=style.ink())
    axes.set_xlim(0, 1.2 * max(s[2] for s in spreads) * 1e6)
    axes.grid(visible=False)
    axes.set_xticks([])
    for side in ("bottom", "left"):
        axes.spines[side].set_visible(False)
    heading(figure, workload.title)
    return figure


def depth(workload: WorkloadResult, clock: str) -> Any:
    """Time per node against the number of nodes."""
    figure, axes = style.figure()
    ends = []
    for peer in workload.points[0].peers:
        pairs = [
            (point.options["nodes"], point.peers[peer].spread(clock)[0] * 1e6)
            for point in workload.points
            if point.peers[peer].status == "ok"
        ]
        if pairs:
            x, y = zip(*pairs, strict=True)
            axes.plot(x, y, color=style.colour(HUES[peer]), marker="o", markersize=4)
            ends.append((x[-1], y[-1], title(peer), style.colour(HUES[peer])))
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("nodes in the graph")
    axes.set_ylabel("µs a node")
    style.title(axes, workload.title)
    style.label_ends(axes, ends)
    return figure


def grid(workload: WorkloadResult, clock: str) -> Any:
    """How many times as fast as PyTorch as the lecture writes it, for every batch and width."""
    batches = list(dict.fromkeys(point.options["batch"] for point in workload.points))
    figure, panels = style.figure(1, len(batches), sharey=True, squeeze=False)
    for axes, batch in zip(panels[0], batches, strict=True):
        points = [point for point in workload.points if point.options["batch"] == batch]
        ends = []
        for peer in SHORT:
            pairs = [
                (k, ratio)
                for k, point in enumerate(points)
                if (ratio := point.ratio(peer, "torch_eager", clock)) is not None
            ]
            if pairs:
                x, y = zip(*pairs, strict=True)
                axes.plot(x, [1 / value for value in y], color=style.colour(HUES[peer]), marker="o", markersize=4)
                ends.append((x[-1], 1 / y[-1], SHORT[peer], style.colour(HUES[peer])))
        axes.set_xticks(range(len(points)), [str(point.options["hidden"]) for point in points])
        axes.set_ylim(bottom=0)
        axes.set_xlabel(f"hidden, batch {batch}")
        style.guide(axes, 1.0)
        if batch == batches[-1]:
            style.label_ends(axes, ends)
    panels[0][0].set_ylabel("times as fast as PyTorch")
    heading(figure, f"{workload.title}: beside PyTorch as the lecture writes it")
    return figure


def heading(figure: Any, text: str) -> None:
    """A title over the whole figure, in as many lines as it needs."""
    figure.suptitle(fill(text, 60), x=0.01, ha="left", fontsize=13.5, fontweight="bold")
