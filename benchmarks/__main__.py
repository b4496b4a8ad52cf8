"""python -m benchmarks: time npgrad beside its peers, and say which goals are met."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks import goals, inputs, machine, tables
from benchmarks.imports import imports
from benchmarks.memory import peaks
from benchmarks.peers import PEERS
from benchmarks.results import PointResult, Results, WorkloadResult
from benchmarks.rounds import Report, Settings, interleaved
from benchmarks.workloads import WORKLOADS, Workload

EXAMPLES = """\
examples:
  python -m benchmarks --list              the workloads and the peers
  python -m benchmarks --quick lecture     a first look, in under a minute
  python -m benchmarks lecture deep node   three workloads at full length
  python -m benchmarks lecture --peers npgrad_compiled,jax_jit
  python -m benchmarks                     everything: half an hour, and leave
                                           the machine alone meanwhile

Every peer is a process of its own on one core, with one thread. They take turns
of a fraction of a second, round after round, and ratios are taken within a
round. Before a time counts, the first losses of a peer have to agree with NumPy
by hand in double precision. Peers come with pip install '.[bench]'; those not
installed are named as missing.
"""
MEASURES: dict[str, Callable[[Workload, Settings, Path, Report], list[PointResult]]] = {
    "time": interleaved,
    "memory": peaks,
    "import": imports,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 1 if an installed peer failed or disagrees, 2 for bad input, 130 after Ctrl-C."""
    options = parse(arguments)
    if options.list:
        listing()
        return 0
    names = options.workloads or list(WORKLOADS)
    rounds = options.rounds or (5 if options.quick else 21)
    turn = 0.02 if options.quick else 0.1
    settings = Settings(rounds, turn, options.quick, options.clock, options.peers, options.verbose)
    results = Results(
        machine.describe(),
        {"rounds": rounds, "turn": turn, "quick": options.quick, "clock": options.clock, "workloads": names},
    )
    for peer in PEERS.values():
        if peer.missing():
            print(f"{peer.title} is missing: {peer.requires} is not installed (pip install '.[bench]')")
    stopped = False
    begun = time.monotonic()
    report = progress(begun)
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as directory:
        try:
            inputs.write(Path(directory))
            for name in names:
                workload = WORKLOADS[name]
                points = MEASURES[workload.measure](workload, settings, Path(directory), report)
                results.workloads[name] = WorkloadResult(
                    name, workload.title, workload.unit, workload.measure, workload.cores, workload.tolerance, points
                )
        except KeyboardInterrupt:
            stopped = True
    report("")
    finish(results, options.out, time.monotonic() - begun)
    if stopped:
        print("stopped: what was complete is above and saved", file=sys.stderr)
        return 130
    wrong = [
        measured
        for workload in results.workloads.values()
        for point in workload.points
        for measured in point.peers.values()
        if measured.status in ("failed", "disagrees")
    ]
    return 1 if wrong else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time npgrad beside NumPy by hand, PyTorch, JAX, MyGrad and autograd.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="what to measure (default: everything)")
    parser.add_argument("--list", action="store_true", help="list workloads and peers, and which are missing")
    parser.add_argument("--quick", action="store_true", help="few short rounds on fewer and smaller problems")
    parser.add_argument("--rounds", type=positive, metavar="N", help="turns of each peer (default: 21, quick 5)")
    parser.add_argument("--peers", type=peers, default=(), metavar="A,B", help="only these (default: all)")
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="what tables and goals show; processor time leaves out what other programs took (default: wall)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("results/benchmarks"), metavar="DIR",
        help="where results.json, table.md and the plots go (default: results/benchmarks)",
    )  # fmt: skip
    parser.add_argument("--verbose", action="store_true", help="show what the peers print")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"there is no workload {unknown[0]!r}; there are {', '.join(WORKLOADS)}.")
    if options.out.exists() and not options.out.is_dir():
        parser.error(f"--out {options.out} is a file; name a directory.")
    return options


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more; got {text!r}")
    return int(text)


def peers(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in PEERS:
            raise argparse.ArgumentTypeError(f"there is no peer {name!r}; there are {', '.join(PEERS)}")
    return names


def listing() -> None:
    width = max(map(len, [*WORKLOADS, *PEERS]))
    room = shutil.get_terminal_size((100, 24)).columns

    def entry(name: str, text: str) -> None:
        margin = " " * (width + 4)
        print(textwrap.fill(text, max(room, 60), initial_indent=f"  {name:{width}}  ", subsequent_indent=margin))

    print("workloads")
    for name, workload in WORKLOADS.items():
        entry(name, workload.title)
    print("\npeers")
    for name, peer in PEERS.items():
        entry(name, peer.title + (f" (missing: {peer.requires})" if peer.missing() else ""))


def progress(begun: float) -> Report:
    """A function that shows what is being done: on one line of a terminal, otherwise nothing."""
    if not sys.stderr.isatty():
        return lambda text: None

    def show(text: str) -> None:
        line = f"[{time.monotonic() - begun:4.0f} s] {text}" if text else ""
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

    return show


def finish(results: Results, out: Path, seconds: float) -> None:
    """Print the tables and write everything."""
    verdicts = goals.verdicts(results)
    results.goals = [verdict._asdict() for verdict in verdicts]
    results.settings["seconds"] = round(seconds, 1)
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results.as_dict(), indent=1) + "\n", encoding="utf-8")
    (out / "table.md").write_text(tables.document(results, verdicts, markdown=True), encoding="utf-8")
    print(tables.document(results, verdicts, markdown=False))
    written = ["results.json", "table.md"]
    if find_spec("matplotlib") is None:
        print("matplotlib is missing, so there are no plots (pip install '.[bench]')")
    else:
        from benchmarks import plots

        written += [path.name for path in plots.draw(results, out)]
    print(f"{seconds:.0f} s; written to {out}: {', '.join(written)}")


if __name__ == "__main__":
    # A pipe of an old Windows or of LC_ALL=C may have no signs for what is printed.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    try:
        code = main()
    except BrokenPipeError:  # | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
