"""python -m benchmarks.anatomy: where the time of one training step goes, function by function.

An eager step is taken apart while it runs: each Function's `forward` and `backward` is timed in its place, with the
caches as the step leaves them. What is left over is Python: calling the layers, making the graph, leading gradients
from node to node.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from time import perf_counter
from typing import Any
from unittest.mock import patch

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):  # before NumPy starts its threads
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402

import npgrad  # noqa: E402
from benchmarks.numpy_by_hand.plain import PlainMLP  # noqa: E402
from benchmarks.numpy_by_hand.plain_deep import PlainDeep  # noqa: E402
from benchmarks.numpy_by_hand.preallocated import PreallocatedMLP  # noqa: E402
from benchmarks.numpy_by_hand.preallocated_deep import PreallocatedDeep  # noqa: E402
from benchmarks.peers.npgrad_eager import build, train  # noqa: E402
from benchmarks.problem import VOCABULARY, Array, Problem, network  # noqa: E402
from npgrad import functions as F  # noqa: E402
from npgrad.functions import registry  # noqa: E402
from npgrad.optim import SGD  # noqa: E402

BATCH = 32
HIDDEN = {"lecture": 200, "deep": 100}
BY_HAND: dict[str, tuple[Any, Any]] = {
    "lecture": (PlainMLP, PreallocatedMLP),
    "deep": (PlainDeep, PreallocatedDeep),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anatomy", description="Where a step's time goes.")
    parser.add_argument("net", nargs="?", choices=tuple(HIDDEN), default="lecture", help="default: lecture")
    parser.add_argument("--steps", type=int, default=3000, metavar="N", help="steps to time (default: 3000)")
    options = parser.parse_args(arguments)
    if options.steps < 10:
        parser.error(f"--steps must be 10 or more; got {options.steps}.")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print("\n".join(report(options.net, options.steps)))
    return 0


def report(net: str, steps: int) -> list[str]:
    """The lines of the table, in microseconds; the least of all steps, since everything else only adds to a time."""
    parts, whole = anatomy(net, steps)
    functions = sum(parts.values())
    left = parts.pop("optimiser")
    lines = [f"One step of the {net} network, batch {BATCH}, hidden {HIDDEN[net]}, float32, one core: µs", ""]
    lines.append(f"{'':16}{'forward':>9}{'backward':>9}")
    for name in sorted({name for name, _ in parts}, key=lambda name: -parts[name, "forward"] - parts[name, "backward"]):
        lines.append(f"{name:16}{parts[name, 'forward']:9.1f}{parts[name, 'backward']:9.1f}")
    lines += [
        f"{'all functions':16}{functions - left:18.1f}",
        f"{'optimiser':16}{left:18.1f}",
        f"{'guidance':16}{whole - functions:18.1f}   Python around them",
        f"{'step':16}{whole:18.1f}",
        "",
        "The same step, without being watched:",
    ]
    times = peers(net, steps)
    hand = times["NumPy by hand, every buffer preallocated"]
    lines += [f"{name:42}{value:8.1f}   {value / hand:.2f} ×" for name, value in times.items()]
    return lines


def draw(net: str, steps: int = 64) -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    return rng.integers(0, VOCABULARY, (steps, BATCH, 3)), rng.integers(0, VOCABULARY, (steps, BATCH))


def problem(net: str) -> Problem:
    parameters, layers = network(net, HIDDEN[net], True)
    options = {"net": net, "hidden": HIDDEN[net], "batch_norm": True, "lr": 0.1, "batch": BATCH}
    return Problem(parameters, layers, [()], options)


def anatomy(net: str, steps: int) -> tuple[dict[Any, float], float]:
    """The time of each function's forward and backward and of the optimiser, and that of the whole step, in µs."""
    model = build(problem(net))
    optimizer = SGD(model.parameters(), lr=0.1)
    times: dict[Any, list[float]] = {"optimiser": []}

    def step(x: Array, y: Array) -> None:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        begun = perf_counter()
        optimizer.step()
        times["optimiser"].append(perf_counter() - begun)

    xs, ys = draw(net)
    nothing: list[float] = []
    empty = timed(lambda: None, nothing)
    whole = []
    with ExitStack() as stack:
        for cls in registry.values():
            for method in ("forward", "backward"):
                times[cls.__name__, method] = spent = []
                stack.enter_context(patch.object(cls, method, timed(getattr(cls, method), spent)))
        for k in range(steps):
            begun = perf_counter()
            step(xs[k % len(xs)], ys[k % len(ys)])
            whole.append(perf_counter() - begun)
    watching = float("inf")
    for _ in range(100):
        begun = perf_counter()
        for _ in range(10):
            empty()
        watching = min(watching, (perf_counter() - begun) / 10)
    parts: dict[Any, float] = {"optimiser": min(times.pop("optimiser")) * 1e6}
    calls = 0
    for key, spent in times.items():
        if spent:  # as often in every step, at the same places
            least = np.reshape(spent, (steps, -1)).min(axis=0) - min(nothing)
            parts[key] = float(least.sum()) * 1e6
            calls += least.size
    return parts, (min(whole) - watching * calls) * 1e6


def timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    def watched(*inputs: Any, **options: Any) -> Any:
        begun = perf_counter()
        result = function(*inputs, **options)
        spent.append(perf_counter() - begun)
        return result

    return watched


def peers(net: str, steps: int) -> dict[str, float]:
    """The least time of a step, in µs, of those that need nothing but NumPy; they take turns."""
    parameters, _ = network(net, HIDDEN[net], True)
    plain, preallocated = BY_HAND[net]
    running: dict[str, Callable[[Array, Array], Any]] = {
        "npgrad": train(problem(net)),
        "npgrad, compiled": train(problem(net), npgrad.compile),
        "NumPy by hand, plain": plain(parameters).step,
        "NumPy by hand, every buffer preallocated": preallocated(parameters, BATCH).step,
    }
    xs, ys = draw(net)
    least = dict.fromkeys(running, float("inf"))
    for turn in range(max(1, steps // 50)):
        for name, step in running.items():
            for k in range(50):
                x, y = xs[(turn + k) % len(xs)], ys[(turn + k) % len(ys)]
                begun = perf_counter()
                step(x, y)
                taken = perf_counter() - begun
                if k >= 3:  # the caches are another's before
                    least[name] = min(least[name], taken * 1e6)
    return least


if __name__ == "__main__":
    sys.exit(main())
