"""What is measured: workloads, each a list of points that every one of its peers is timed on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["WORKLOADS", "Point", "Workload"]

BY_HAND = ("numpy_plain", "numpy_preallocated")
NPGRAD = ("npgrad_eager", "npgrad_compiled")
EVERYBODY = (
    *BY_HAND, *NPGRAD, "torch_eager", "torch_fused", "torch_compile", "jax_jit", "jax_jit_read", "mygrad",
    "autograd",
)  # fmt: skip
GRID = (*BY_HAND, *NPGRAD, "torch_eager", "torch_fused", "jax_jit")


@dataclass(frozen=True)
class Point:
    """One problem; a time is divided by `per`."""

    label: str
    options: dict[str, Any] = field(default_factory=dict)
    per: int = 1


@dataclass(frozen=True)
class Workload:
    """`points(quick)` lists the problems. `shared`: one process per peer for all of them, otherwise one for each."""

    name: str
    title: str
    kind: str
    peers: tuple[str, ...]
    points: Callable[[bool], list[Point]]
    unit: str = "step"
    cores: int = 1
    shared: bool = False
    check: int = 8
    """So many first results are compared before anything is timed; 0 where there is nothing to compare. A step is
    compiled at its fourth call and runs as a program from the sixth."""
    tolerance: float = 1e-4
    """The largest relative difference between them, where 1 is the least that differences are relative to."""
    effort: float = 1.0
    """Turns are so much longer or shorter than usual."""
    measure: str = "time"
    """"time", or what `benchmarks.memory` and `benchmarks.imports` do."""


def net(name: str, batch: int, hidden: int, batch_norm: bool) -> dict[str, Any]:
    return {"net": name, "batch": batch, "hidden": hidden, "batch_norm": batch_norm}


def one(net_name: str, hidden: int, batch_norm: bool) -> Callable[[bool], list[Point]]:
    return lambda quick: [Point(f"batch 32, hidden {hidden}", net(net_name, 32, hidden, batch_norm))]


def grid(batch_norm: bool) -> Callable[[bool], list[Point]]:
    def points(quick: bool) -> list[Point]:
        batches, widths = ((32, 256), (64, 1024)) if quick else ((32, 256, 4096), (64, 200, 1024, 2048))
        return [Point(f"{b} × {h}", net("lecture", b, h, batch_norm)) for b in batches for h in widths]

    return points


def watched(quick: bool) -> list[Point]:
    deep = net("deep", 32, 100, True)
    return [
        Point("every step recorded", deep | {"every": 1}),
        Point("every 100th step recorded", deep | {"every": 100}),
    ]


def larger(quick: bool) -> list[Point]:
    size = {"rows": 512, "width": 256} if quick else {}
    return [
        Point(name, {"operation": name, **size}) for name in ("softmax", "layer_norm", "group_norm", "gelu", "conv2d")
    ]


def functions(quick: bool) -> list[Point]:
    from benchmarks.cases import CASES

    names = sorted(CASES)[:6] if quick else sorted(CASES)
    return [
        Point(f"{name} {builder.__name__}", {"name": name, "case": k})
        for name in names
        for k, builder in enumerate(CASES[name][: 1 if quick else None])
    ]


def depths(quick: bool) -> list[Point]:
    sizes = (10, 100, 1000) if quick else (10, 100, 1000, 10_000, 100_000)
    return [Point(f"{n:,} nodes", {"nodes": n}, per=n) for n in sizes]


RECURRENT = ("rnn", "gru", "lstm")
WAVENET = {"net": "wavenet", "length": 8, "embedding": 24, "hidden": 128}
TRANSFORMER = {"net": "transformer", "embedding": 64, "hidden": 256}


def sequences(quick: bool) -> list[Point]:
    cells = [Point(f"{net.upper()}, hidden {h}", {"net": net, "hidden": h}) for net in RECURRENT for h in (64, 200)]
    return [*cells, Point("WaveNet, 8 characters", WAVENET), Point("Transformer, 4 layers", TRANSFORMER)]


def lengths(quick: bool) -> list[Point]:
    return [Point(f"{T} steps", {"net": "gru", "hidden": 64, "length": T}) for T in (16, 32, 64)]


def memories(quick: bool) -> list[Point]:
    sizes = [(256, 1024)] if quick else [(32, 200), (256, 1024), (4096, 2048)]
    return [Point(f"{b} × {h}", net("lecture", b, h, True)) for b, h in sizes]


LIST = [
    Workload("lecture", "The lecture's MLP with batch normalisation", "train", EVERYBODY, one("lecture", 200, True)),
    Workload("lecture-two-cores", "The same on two cores, two threads", "train",
             (*BY_HAND, *NPGRAD, "torch_eager", "torch_fused", "jax_jit", "jax_jit_read"), one("lecture", 200, True),
             cores=2),
    Workload("lecture-no-norm", "The lecture's MLP without batch normalisation", "train", EVERYBODY,
             one("lecture", 200, False)),
    Workload("deep", "The deep six-layer network with batch normalisation", "train", EVERYBODY, one("deep", 100, True)),
    Workload("deep-no-norm", "The deep six-layer network without batch normalisation", "train", EVERYBODY,
             one("deep", 100, False)),
    Workload("grid", "Batch × hidden, with batch normalisation", "train", GRID, grid(True), effort=0.5),
    Workload("grid-no-norm", "Batch × hidden, without batch normalisation", "train", GRID, grid(False),
             effort=0.5),
    Workload("chain", "A chain of 10,000 operations on one number, there and back", "chain",
             ("npgrad_eager", "torch_eager", "jax_jit", "mygrad", "autograd"),
             lambda quick: [Point("1,000 nodes" if quick else "10,000 nodes", {"nodes": 1000 if quick else 10_000})],
             unit="chain", check=2),
    Workload("depth", "Time per node against the depth of the graph", "chain", ("npgrad_eager", "torch_eager"), depths,
             unit="node", shared=True, check=2),
    Workload("node", "One elementwise node, forward and backward, in a chain of 100 on 8×8 numbers", "node",
             ("numpy_plain", *NPGRAD, "torch_eager", "mygrad"),
             lambda quick: [Point(name, {"operation": name}, per=100) for name in ("tanh", "multiply", "negative")],
             unit="node", shared=True),
    Workload("evaluation", "The loss over the training split, without gradients", "evaluate",
             ("numpy_plain", "npgrad_eager", "torch_eager", "torch_fused", "jax_jit"),
             lambda quick: [Point("20,000 rows" if quick else "the whole split",
                                  {"rows": 20_000 if quick else 10**9})],
             unit="evaluation", check=1),
    Workload("sampling", "Sampling names: npgrad and fused PyTorch all at once, PyTorch as the lecture one by one",
             "sample", ("npgrad_eager", "torch_eager", "torch_fused"),
             lambda quick: [Point("100 names" if quick else "1,000 names", {"names": 100 if quick else 1000})],
             unit="sampling", check=1, tolerance=0.15),
    Workload("convolution", "Two of (3×3 convolution, batch normalisation, relu), then a linear layer", "convolution",
             (*NPGRAD, "torch_eager", "jax_jit"),
             lambda quick: [Point("32 images of 16×16", {"batch": 32, "size": 16})]),
    Workload("instruments", "The deep network with all instruments on", "instruments",
             (*NPGRAD, "npgrad_unwatched", "torch_eager"), watched),
    Workload("large", "Forward and backward at 4096 × 1024, float32", "large", (*NPGRAD, "torch_eager"), larger,
             unit="call", tolerance=1e-2),
    Workload("program", "Recording a step and writing its program, with the comparison that it is trusted for",
             "program", ("npgrad_compiled",),
             lambda quick: [Point("the lecture's MLP", net("lecture", 32, 200, True)),
                            Point("six layers", net("deep", 32, 100, True))],
             unit="program", check=1),
    Workload("sequences", "Networks over sequences, batch 32, 16 characters, stochastic gradient descent", "sequences",
             (*NPGRAD, "torch_eager"), sequences),
    Workload("sequences-program", "Recording a step over 16 characters and writing its program", "sequences_program",
             ("npgrad_compiled",),
             lambda quick: [Point(net.upper(), {"net": net}) for net in RECURRENT] + [
                 Point("WaveNet, 8 characters", WAVENET), Point("Transformer, 4 layers", TRANSFORMER)],
             unit="program", check=1),
    Workload("sequences-memory", "What eight steps of a GRU over so many characters add to the peak of memory",
             "sequences", (*NPGRAD, "torch_eager"), lengths, unit="peak", measure="memory"),
    Workload("functions", "Every function on its cases, forward and backward, float64, small", "function",
             (*NPGRAD, "torch_eager"), functions, unit="call", shared=True, tolerance=1e-8, effort=0.1),
    Workload("memory", "What eight steps add to the peak of memory", "train",
             ("numpy_plain", "numpy_preallocated", *NPGRAD, "torch_eager", "torch_fused", "jax_jit"), memories,
             unit="peak", measure="memory"),
    Workload("evaluation-memory", "What an evaluation adds to the peak of memory", "evaluate",
             ("numpy_plain", "npgrad_eager", "torch_eager", "torch_fused"),
             lambda quick: [Point("20,000 rows" if quick else "the whole split",
                                  {"rows": 20_000 if quick else 10**9})],
             unit="peak", measure="memory"),
    Workload("import", "Importing, in a fresh process; npgrad's is the time beyond `import numpy`", "import",
             ("numpy", "npgrad", "torch", "jax", "mygrad", "autograd"), lambda quick: [Point("fresh process")],
             unit="import", measure="import"),
]  # fmt: skip
WORKLOADS = {workload.name: workload for workload in LIST}
