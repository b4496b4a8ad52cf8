"""python -m benchmarks.anatomy: where the time of one training step goes, line by line of its compiled program.

The program runs with a clock between its lines, so that each is timed in its place, with the caches as the lines before
it leave them, on what they computed. A line counts for the user's line of code that it belongs to. Their sum stands
beside the time of the undisturbed step, which also pays for the call and the loop around it.

Of the eager step it says how much the rules themselves take, forward and backward, and what the engine takes around
them.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
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
from benchmarks.peers.npgrad_eager import build, sequence_model, update  # noqa: E402
from benchmarks.problem import VOCABULARY, Array, Problem, network, sequences  # noqa: E402
from benchmarks.workloads import RECURRENT, TRANSFORMER, WAVENET  # noqa: E402
from npgrad import functions as F  # noqa: E402
from npgrad.optim import SGD  # noqa: E402

BATCH = 32
HIDDEN = {"lecture": 200, "deep": 100}
BY_HAND: dict[str, tuple[Any, Any]] = {
    "lecture": (PlainMLP, PreallocatedMLP),
    "deep": (PlainDeep, PreallocatedDeep),
}
SEQUENCES = {**{net: {"hidden": 200} for net in RECURRENT}, "wavenet": WAVENET, "transformer": TRANSFORMER}
BEFORE, AFTER = "is it still the same step?", "gradients and result"
"""The sections of the lines that belong to no line of the user's: those before and those after the step itself."""


class Line(NamedTuple):
    """A line of the program; a loop over tiles with the lines inside it is timed as one."""

    section: str
    text: str
    microseconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anatomy", description="Where a step's time goes.")
    parser.add_argument("net", nargs="?", choices=(*HIDDEN, *SEQUENCES), default="lecture", help="default: lecture")
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
    out = [f"The program of one step of the {net} network, batch {BATCH}, float32, one core: µs"]
    for section in dict.fromkeys(line.section for line in parts):
        inside = [line for line in parts if line.section == section]
        spent = sum(line.microseconds for line in inside)
        out += ["", f"{spent:8.1f}  {spent / total:4.0%}  {section}"]
        for line in inside:
            first, *loop = line.text.splitlines()
            out.append(f"{line.microseconds:8.2f}        {fitting(first)}")
            out += [f"{'':16}{fitting(text)}" for text in loop]
    products = sum(line.microseconds for line in parts if re.search(r"\.dot\(|\bmatmul\(", line.text))
    times = peers(net, steps)
    least = times[list(times)[-1]]
    out += ["", f"{total:8.1f}  all lines, of which products (dot, matmul) {products:.1f}, {products / total:.0%}"]
    out += [f"{value:8.1f}  {value / least:4.2f} ×  {name}" for name, value in times.items()]
    out += ["", "The eager step:", *(f"{value:8.1f}  {name}" for name, value in eager(net, steps).items())]
    return out


def shortened(line: str) -> str:
    return re.sub(r"(?<=\S)\s{2,}#", "  #", line)


def fitting(text: str, columns: int = 84) -> str:
    return text if len(text) <= columns else text[: columns - 2] + " …"


def problem(net: str) -> Problem:
    if net in SEQUENCES:
        return sequences(directory=Path(), **{"net": net} | SEQUENCES[net])
    parameters, layers = network(net, HIDDEN[net], True)
    rng = np.random.default_rng(1)
    feeds: list[tuple[Array, ...]] = [
        (rng.integers(0, VOCABULARY, (BATCH, 3)), rng.integers(0, VOCABULARY, BATCH)) for _ in range(64)
    ]
    options = {"net": net, "hidden": HIDDEN[net], "batch_norm": True, "lr": 0.1, "batch": BATCH}
    return Problem(parameters, layers, feeds, options)


def train(work: Problem) -> Callable[[Array, Array], npgrad.Tensor]:
    """The step in five lines, of a model of its own."""
    return update(sequence_model(work) if work.net in SEQUENCES else build(work), work.lr)


def anatomy(net: str, steps: int) -> list[Line]:
    """The lines of the step's program in their order, each with its least time over so many steps."""
    work = problem(net)
    step, feeds = npgrad.compile(train(work), warm_up=0), work.feeds
    step(*feeds[0])
    program = step._state.program
    assert program is not None
    ticks: list[tuple[int, ...]] = []
    watched, lines = clocked(program.source)
    namespace = {**program.writer.namespace, "clock": perf_counter_ns, "ticks": ticks.append}
    exec(compile(watched, f"<{net} step with clocks>", "exec"), namespace)
    for k in range(steps):
        namespace["step"](*feeds[k % len(feeds)])
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
    work = problem(net)
    compiled = npgrad.compile(train(work))
    running: dict[str, Callable[[Array, Array], Any]] = {"npgrad": train(work), "npgrad, compiled": compiled}
    if net in BY_HAND:
        plain, preallocated = BY_HAND[net]
        running["NumPy by hand, plain"] = plain(work.parameters).step
        running["NumPy by hand, every buffer preallocated"] = preallocated(work.parameters, BATCH).step
    least = dict.fromkeys(running, float("inf"))
    for turn in range(max(1, steps // 50)):
        for name, step in running.items():
            for k in range(50):
                feed = work.feeds[(turn + k) % len(work.feeds)]
                begun = perf_counter_ns()
                step(*feed)
                taken = perf_counter_ns() - begun
                if k >= 3:  # the caches are another's before
                    least[name] = min(least[name], taken / 1000)
    return least


def eager(net: str, steps: int) -> dict[str, float]:
    """Where the least time of an eager step goes, in µs: in the rules, in the update's arithmetic, around them."""
    work = problem(net)
    step = train(work)
    found = []
    with timed() as spent:
        for k in range(steps):
            spent.update(dict.fromkeys(spent, 0))
            begun = perf_counter_ns()
            step(*work.feeds[k % len(work.feeds)])
            found.append((perf_counter_ns() - begun, *spent.values()))
    whole, forward, backward, update = (float(ns) / 1000 for ns in np.array(found).min(axis=0))
    return {
        "forward rules": forward,
        "backward rules": backward,
        "arithmetic of the update": update,
        "the engine around them": whole - forward - backward - update,
    }


@contextmanager
def timed() -> Iterator[dict[str, int]]:
    """Nanoseconds that the rules of all Functions, and the arithmetic of SGD, have taken so far."""
    spent = {"forward": 0, "backward": 0, "update": 0}
    depth = 0

    def watched(rule: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal depth
            depth += 1
            begun = perf_counter_ns()
            result = rule(*args, **options)
            depth -= 1
            if not depth:  # a rule may apply that of another Function
                spent[name] += perf_counter_ns() - begun
            return result

        return call

    owners = {base for cls in F.registry.values() for base in cls.__mro__ if base.__module__.startswith(F.__name__)}
    rules = [(owner, name) for owner in (*owners, SGD) for name in spent if name in vars(owner)]
    kept = [vars(owner)[name] for owner, name in rules]
    for (owner, name), rule in zip(rules, kept, strict=True):
        setattr(owner, name, watched(rule, name))
    try:
        yield spent
    finally:
        for (owner, name), rule in zip(rules, kept, strict=True):
            setattr(owner, name, rule)


if __name__ == "__main__":
    sys.exit(main())
