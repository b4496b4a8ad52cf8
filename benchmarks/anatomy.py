"""python -m benchmarks.anatomy: where the time of one training step goes, line by line of its compiled program.

The program runs with a clock between its lines, so that each is timed in its place, with the caches as the lines before
it leave them, on what they computed. A line counts for the user's line of code that it belongs to. Their sum stands
beside the time of the undisturbed step, which also pays for the call and the loop around it.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from time import perf_counter_ns
from typing import Any, NamedTuple

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
from npgrad.optim import SGD  # noqa: E402

BATCH = 32
HIDDEN = {"lecture": 200, "deep": 100}
BY_HAND: dict[str, tuple[Any, Any]] = {
    "lecture": (PlainMLP, PreallocatedMLP),
    "deep": (PlainDeep, PreallocatedDeep),
}
BEFORE, AFTER = "is it still the same step?", "gradients and result"
"""The sections of the lines that belong to no line of the user's: those before and those after the step itself."""


class Line(NamedTuple):
    """A line of the program; a loop over tiles with the lines inside it is timed as one."""

    section: str
    text: str
    microseconds: float


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
    parts = anatomy(net, steps)
    total = sum(line.microseconds for line in parts)
    out = [f"The program of one step of the {net} network, batch {BATCH}, hidden {HIDDEN[net]}, float32, one core: µs"]
    for section in dict.fromkeys(line.section for line in parts):
        inside = [line for line in parts if line.section == section]
        spent = sum(line.microseconds for line in inside)
        out += ["", f"{spent:8.1f}  {spent / total:4.0%}  {section}"]
        for line in inside:
            first, *loop = line.text.splitlines()
            out.append(f"{line.microseconds:8.2f}        {fitting(first)}")
            out += [f"{'':16}{fitting(text)}" for text in loop]
    times = peers(net, steps)
    hand = times["NumPy by hand, every buffer preallocated"]
    out += ["", f"{total:8.1f}  all lines", f"{times['npgrad, compiled']:8.1f}  the step", ""]
    out += [f"{value:8.1f}  {value / hand:4.2f} ×  {name}" for name, value in times.items()]
    return out


def shortened(line: str) -> str:
    return re.sub(r"(?<=\S)\s{2,}#", "  #", line)


def fitting(text: str, columns: int = 84) -> str:
    return text if len(text) <= columns else text[: columns - 2] + " …"


def draw(net: str, steps: int = 64) -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    return rng.integers(0, VOCABULARY, (steps, BATCH, 3)), rng.integers(0, VOCABULARY, (steps, BATCH))


def problem(net: str) -> Problem:
    parameters, layers = network(net, HIDDEN[net], True)
    options = {"net": net, "hidden": HIDDEN[net], "batch_norm": True, "lr": 0.1, "batch": BATCH}
    return Problem(parameters, layers, [()], options)


def anatomy(net: str, steps: int) -> list[Line]:
    """The lines of the step's program in their order, each with its least time over so many steps."""
    model = build(problem(net))
    optimizer = SGD(model.parameters(), lr=0.1)

    @npgrad.compile(warm_up=0)
    def step(x: Array, y: Array) -> npgrad.Tensor:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    xs, ys = draw(net)
    step(xs[0], ys[0])
    program = step._state.program
    assert program is not None
    ticks: list[tuple[int, ...]] = []
    watched, lines = clocked(program.source)
    namespace = {**program.writer.namespace, "clock": perf_counter_ns, "ticks": ticks.append}
    exec(compile(watched, f"<{net} step with clocks>", "exec"), namespace)
    for k in range(steps):
        namespace["step"](xs[k % len(xs)], ys[k % len(ys)])
    begun = [perf_counter_ns() for _ in range(1000)]
    reading = min(b - a for a, b in pairwise(begun))
    least = np.diff(np.array(ticks), axis=1).min(axis=0) - reading
    return [Line(section, text, max(float(ns), 0.0) / 1000) for (section, text), ns in zip(lines, least, strict=True)]


def clocked(source: str) -> tuple[str, list[tuple[str, str]]]:
    """A program that reads the clock between its lines and gives all readings to `ticks`; and its lines by section."""
    head, *body = source.rstrip().splitlines()
    out: list[str] = [head]
    lines: list[tuple[str, str]] = []
    section, loop = BEFORE, 0
    for before, line in zip(["", *body], body, strict=False):
        text, indent = line.strip(), len(line) - len(line.lstrip())
        if loop and text and indent > loop:
            out.append(line)
            lines[-1] = (section, f"{lines[-1][1]}\n{shortened(line[loop:])}")
            continue
        loop = indent if text.startswith("for ") else 0
        if text.startswith("# "):
            section = text[2:]
        elif text.startswith("with "):
            out.append(line)
        elif text:
            if not before.strip() and section != BEFORE:  # an empty line and no heading
                section = AFTER
            out.append(f"{' ' * indent}_{len(lines)} = clock()")
            out.append(line.replace("return ", "result_ = ", 1) if text.startswith("return ") else line)
            lines.append((section, shortened(text)))
    readings = ", ".join(f"_{k}" for k in range(len(lines)))
    out += [f"    ticks(({readings}, clock()))", "    return result_"]
    return "\n".join(out) + "\n", lines


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
                begun = perf_counter_ns()
                step(x, y)
                taken = perf_counter_ns() - begun
                if k >= 3:  # the caches are another's before
                    least[name] = min(least[name], taken / 1000)
    return least


if __name__ == "__main__":
    sys.exit(main())
