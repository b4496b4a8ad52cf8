"""`npgrad`, or `python -m npgrad`: which version this is, and what can be run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from textwrap import wrap

from npgrad.bindings.spellings import DIFFERENT, spellings
from npgrad.version import __version__

COMMANDS = {
    "check": "every gradient against complex steps and PyTorch",
    "explain": "the derivations, in reading order",
    "program": "the program that a training step compiles to",
    "exercise": "write a backward pass yourself and have it graded",
    "puzzle": "a backward pass with one wrong line: find it",
}
CHECKOUT = {
    "python -m models": "train, sample from and evaluate networks",
    "python -m experiments": "the lecture's lessons, with claims and a report",
    "python -m benchmarks": "npgrad beside its peers",
}
"""What runs in a checkout and is not installed."""


def overview() -> Iterator[str]:
    """Version and commands."""
    yield f"npgrad {__version__}"
    installed = {f"npgrad {command}": purpose for command, purpose in COMMANDS.items()}
    installed["npgrad --spellings"] = "names that differ from PyTorch's and NumPy's"
    for title, commands in (("commands:", installed), ("in a checkout:", CHECKOUT)):
        yield ""
        yield title
        for command, purpose in commands.items():
            yield f"  {command:<23}{purpose}"
    yield ""
    yield "`npgrad COMMAND --help` says more; `python -m npgrad` is the same as `npgrad`."


def listing() -> Iterator[str]:
    """The table of names, 80 columns wide."""
    owner = ""
    for row in spellings():
        if row.owner != owner:
            yield from ([""] if owner else [])
            owner = row.owner
            yield f"{f'{owner} has no':<28}write"
            yield "-" * 79
        first, *rest = wrap(row.ours or "—", 26) or ["—"]
        lines = wrap(row.reason, 23) or [""]
        for k in range(max(len(lines), 1 + len(rest))):
            ours = [first, *rest][k] if k <= len(rest) else ""
            yield f"{row.name if k == 0 else '':<28}{ours:<28}{lines[k] if k < len(lines) else ''}".rstrip()
    yield ""
    yield "The same name, but in npgrad it"
    yield "-" * 79
    for name, difference in DIFFERENT.items():
        first, *rest = wrap(difference, 51)
        yield f"{name:<28}{first}"
        yield from (f"{'':<28}{line}" for line in rest)


def main(arguments: list[str] | None = None) -> int:
    """What the command returns; 2 for a command that is not known, or that argparse does not understand."""
    first, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    if first == "check":
        from npgrad.check.__main__ import main as check

        return check(rest)
    if first in COMMANDS:
        from npgrad.explain.__main__ import main as explain

        return explain(rest if first == "explain" else [first, *rest])
    if first and not first.startswith("-"):
        close = get_close_matches(first, COMMANDS, 1)
        meant = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(COMMANDS)}."
        print(f"npgrad: {first!r} is not a command; {meant}", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(
        prog="npgrad",
        usage="%(prog)s [COMMAND ...] [--version] [--spellings]",
        description="\n".join(overview()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"npgrad {__version__}")
    parser.add_argument("--spellings", action="store_true", help="names that differ from PyTorch's and NumPy's")
    for line in listing() if parser.parse_args([first, *rest] if first else []).spellings else overview():
        print(line)
    return 0


def run() -> int:
    """`main` as a program: its exit code, whatever becomes of the terminal it prints to."""
    # A pipe of an old Windows or of LC_ALL=C may have no signs for what is printed.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return status


if __name__ == "__main__":
    sys.exit(run())
