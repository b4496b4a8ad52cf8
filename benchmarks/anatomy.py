"""python -m benchmarks.anatomy: where the time of one training step goes, function by function.

A replayed step is taken apart while it runs: each Function's `forward` and `backward` is timed in its place, with the
caches as the step leaves them. What is left over is Python: calling the layers, deciding that every operation is still
the one recorded, leading gradients from node to node. The functions and the optimiser together are a bound: no way of
leading them, however clever, makes the step faster than that.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

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
from npgrad.engine.function import Function  # noqa: E402
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
    lines = [f"One replayed step of the {net} network, batch {BATCH}, hidden {HIDDEN[net]}, float32, one core: µs", ""]
    lines.append(f"{'':16}{'forward':>9}{'backward':>9}")
    for name in sorted({name for name, _ in parts}, key=lambda name: -parts[name, "forward"] - parts[name, "backward"]):
        lines.append(f"{name:16}{parts[name, 'forward']:9.1f}{parts[name, 'backward']:9.1f}")
    lines += [
        f"{'all functions':16}{functions - left:18.1f}",
        f"{'optimiser':16}{left:18.1f}",
        f"{'bound':16}{functions:18.1f}   functions and optimiser, led by nobody",
        f"{'guidance':16}{whole - functions:18.1f}   Python around them",
        f"{'replayed step':16}{whole:18.1f}",
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
    made: list[Function] = []
    times: dict[Any, list[float]] = {"optimiser": []}

    @npgrad.compile
    def step(x: Array, y: Array) -> npgrad.Tensor:
        loss = F.cross_entropy(model(x), y)
        if not made:
            assert loss._node is not None
            made.append(loss._node)
        optimizer.zero_grad()
        loss.backward()
        begun = perf_counter()
        optimizer.step()
        times["optimiser"].append(perf_counter() - begun)
        return loss

    xs, ys = draw(net)
    step(xs[0], ys[0])
    nodes = made[:1]
    for node in nodes:  # the list grows while it is gone through
        nodes.extend(parent for parent in node.parents() if parent not in nodes)
    for number, node in enumerate(nodes):
        for method in ("forward", "backward"):
            times[number, method] = spent = []
            setattr(node, method, timed(getattr(node, method), spent))
    nothing: list[float] = []
    empty = timed(lambda: None, nothing)
    whole = []
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
    for (number, method), spent in times.items():
        key = type(nodes[number]).__name__, method
        parts[key] = parts.get(key, 0.0) + (min(spent) - min(nothing)) * 1e6
    return parts, (min(whole) - watching * len(times)) * 1e6


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
        "npgrad, replayed": train(problem(net), npgrad.compile),
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
