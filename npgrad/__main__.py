"""python -m npgrad: which version this is, and what can be run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from textwrap import wrap

from npgrad.bindings.spellings import DIFFERENT, TABLE
from npgrad.version import __version__

COMMANDS = {
    "python -m npgrad.check": "every gradient against every oracle",
    "python -m npgrad.explain": "the derivations, in reading order",
    "python -m npgrad --spellings": "what PyTorch and NumPy call otherwise",
}
CHECKOUT = {
    "python -m models": "train, sample from and evaluate networks",
    "python -m experiments": "the lessons, with claims and a report",
    "python -m benchmarks": "npgrad beside its peers",
}
"""What runs in a checkout and is not installed."""


def overview() -> Iterator[str]:
    """Version and commands."""
    yield f"npgrad {__version__}"
    for title, commands in (("commands:", COMMANDS), ("in a checkout:", CHECKOUT)):
        yield ""
        yield title
        for command, purpose in commands.items():
            yield f"  {command:<31}{purpose}"


def spellings() -> Iterator[str]:
    """The table of names, 80 columns wide."""
    owner = ""
    for row in TABLE:
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
    yield "The same name, but here it"
    yield "-" * 79
    for name, difference in DIFFERENT.items():
        first, *rest = wrap(difference, 51)
        yield f"{name:<28}{first}"
        yield from (f"{'':<28}{line}" for line in rest)


def main(arguments: list[str] | None = None) -> int:
    """0; argparse leaves with 2 for what it does not understand."""
    parser = argparse.ArgumentParser(prog="python -m npgrad", description="Reverse-mode autograd in NumPy alone.")
    parser.add_argument("--version", action="version", version=f"npgrad {__version__}")
    parser.add_argument("--spellings", action="store_true", help="the names that other libraries have for things here")
    asked = parser.parse_args(arguments)
    try:
        for line in spellings() if asked.spellings else overview():
            print(line, flush=True)
    except BrokenPipeError:
        # `… | head`: nobody reads any further. The interpreter must not try to flush at exit.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    return 0


if __name__ == "__main__":
    sys.exit(main())
