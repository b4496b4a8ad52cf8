"""`npgrad explain`: read the derivations, run them, check them, make pages of them."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec

from npgrad.explain.order import UnknownName, find, things
from npgrad.explain.syntax import DerivationError
from npgrad.explain.terminal import Style, listing, page, run, trace
from npgrad.explain.verify import verify
from npgrad.version import __version__

_EPILOG = """\
examples:
  npgrad explain                     every derivation, in reading order
  npgrad explain batch_norm          derivation and code
  npgrad explain batch_norm --run    the numerical error of each line
  npgrad explain batch_norm --trace  every array of a 3 by 2 example
  npgrad explain --step              a backward pass, node by node
  npgrad explain --check             verify everything; 1 if any fails
  npgrad explain --html site/        pages to read in a browser

npgrad program, exercise and puzzle are commands of their own. The notation is
described in help(npgrad.explain). `python -m npgrad explain` is the same.
"""


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["program"]:
        from npgrad.explain import program

        return program.main(argv[1:])
    if argv[:1] == ["exercise"]:
        from npgrad.explain import exercise_command

        return exercise_command.main(argv[1:])
    if argv[:1] == ["puzzle"]:
        from npgrad.explain import puzzle

        return puzzle.main(argv[1:])
    parser = argparse.ArgumentParser(
        prog="npgrad explain",
        description="Derivations that run: every backward rule by hand, executed line by line.",
        usage="%(prog)s [NAME ...] [--seed SEED]\n"
        "           [--run | --trace | --step | --check | --mutants | --html DIRECTORY]",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"npgrad {__version__}")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a function (tanh), a topic (adam), or a class of your own (package.module:Class)",
    )
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--run", action="store_true", help="the error of each line, on random inputs")
    ways.add_argument("--trace", action="store_true", help="every intermediate array of a small example")
    ways.add_argument("--step", action="store_true", help="the backward pass of a small network, node by node")
    ways.add_argument("--check", action="store_true", help="verify; the exit code is 0 if everything holds")
    ways.add_argument(
        "--mutants", action="store_true", help="make every equation wrong in every place; count what is noticed"
    )
    ways.add_argument("--html", metavar="DIRECTORY", help="write the derivations as a static site")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random inputs (default 0)")
    arguments = parser.parse_args(argv)
    try:
        chosen = [find(name) for name in arguments.names]
    except UnknownName as error:
        print(error, file=sys.stderr)
        return 2
    every = list(things().values())
    style = Style()
    if arguments.html:
        if not all(find_spec(name) for name in ("jinja2", "pygments")):
            print("the pages need Jinja2 and Pygments: python -m pip install 'npgrad[site]'.", file=sys.stderr)
            return 2
        from npgrad.explain.site import build

        return build(arguments.html)
    if arguments.step:
        if arguments.names:
            parser.error("--step has its own small network; for a graph of yours, print(npgrad.explain.step(loss))")
        from npgrad.explain.step import example

        return paged(example())
    if arguments.check:
        reports = [verify(thing, arguments.seed) for thing in chosen or every]
        show(str(report) for report in reports)
        return 0 if all(report.ok for report in reports) else 1
    if arguments.mutants:
        from npgrad.explain.equation_mutants import summary, tally

        outcomes = [tally(thing, arguments.seed) for thing in chosen or every]
        print(summary(outcomes))
        return 0 if all(not outcome.survivors for outcome in outcomes) else 1
    if not chosen and (arguments.run or arguments.trace):
        way = "--run" if arguments.run else "--trace"
        parser.error(f"name what to show: for example `batch_norm {way}`")
    failed = False
    for thing in chosen:
        try:
            if arguments.run:
                lines, report = run(thing, style, arguments.seed)
                failed |= not report.ok
                show(lines)
            else:
                show(trace(thing, style, arguments.seed) if arguments.trace else page(thing, style))
        except DerivationError as error:
            print(error, file=sys.stderr)
            return 2
    if not chosen:
        show(listing(style))
    return 1 if failed else 0


def paged(lines: Sequence[str]) -> int:
    """Show a walk node by node where somebody sits at a terminal, all at once otherwise."""
    waiting = sys.stdin.isatty() and sys.stdout.isatty()
    for k, line in enumerate(lines):
        if waiting and line == "" and k + 1 < len(lines) and re.match(r"\d+\. |Leaves receive", lines[k + 1]):
            try:
                answer = input("\n[Enter: next node, a: all, q: end] ")
            except EOFError:
                answer = "a"
            if answer.strip().lower().startswith("q"):
                return 0
            waiting = not answer.strip().lower().startswith("a")
        print(line)
    return 0


def show(lines: Iterable[str]) -> int:
    for line in lines:
        print(line)
    return 0


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)
