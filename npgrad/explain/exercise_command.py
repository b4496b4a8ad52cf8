"""`npgrad exercise`: write, hint at and grade exercises."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from npgrad.explain.exercise import LEVELS, exercise, hint, names
from npgrad.explain.exercise_grade import SECONDS, NotGradable, grade
from npgrad.explain.exercise_handout import NotPrinted, write
from npgrad.explain.order import UnknownName

__all__ = ["main"]

_EPILOG = """\
examples:
  npgrad exercise tanh
  npgrad exercise network --level 1
  npgrad exercise network --hint dbnvar 2
  npgrad exercise --grade network_exercise.py
  npgrad exercise network --html handout.html

levels: 1 half of the lines are blank, 2 all of them,
        3 only the gradients of the inputs are named
hints:  1 where the variable is used, 2 the rules that apply,
        3 the step of the derivation
"""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="npgrad exercise",
        description="Write a backward pass by hand and have it graded, line by line.",
        usage="%(prog)s NAME [--case N] [--level 1|2|3]\n"
        "           [--solution] [--out FILE | --html FILE | --pdf FILE]\n"
        "       %(prog)s NAME --hint GRADIENT [1|2|3]\n"
        "       %(prog)s --grade FILE [--time SECONDS]",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a function (batch_norm), or network")
    parser.add_argument(
        "--case", type=int, default=1, metavar="N", help="which derivation, if there are several (default 1)"
    )
    parser.add_argument(
        "--level", type=int, default=2, choices=tuple(LEVELS), help="how much is left blank (default 2)"
    )
    parser.add_argument("--solution", action="store_true", help="write a solution instead")
    parser.add_argument("--hint", nargs="+", metavar=("GRADIENT", "LEVEL"), help="a hint for one line")
    parser.add_argument("--grade", metavar="FILE", help="grade a file; the exit code is 0 if all is right")
    parser.add_argument(
        "--time", type=float, default=SECONDS, metavar="SECONDS", help="how long a file may run (default 10)"
    )
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--out", metavar="FILE", help="where to write it (default: NAME_exercise.py)")
    ways.add_argument("--html", metavar="FILE", help="a handout to print, and its solution beside it")
    ways.add_argument("--pdf", metavar="FILE", help="the same as PDF, printed by a browser")
    options = parser.parse_args(argv)
    if options.grade is not None:
        if options.name or options.hint or options.out or options.html or options.pdf:
            parser.error("--grade takes a file and nothing else; the file says which exercise it is")
        if not options.time > 0:
            parser.error(f"--time is a number of seconds above 0; got {options.time:g}")
        return graded(options.grade, options.time)
    if options.name is None:
        if options.hint or options.solution or options.out or options.html or options.pdf:
            parser.error("name what to practise: for example `exercise batch_norm`")
        return show(listing())
    try:
        of = exercise(options.name, options.case)
        if options.hint:
            gradient, *level = options.hint
            if len(level) > 1 or (level and level[0] not in ("1", "2", "3")):
                parser.error("--hint takes a gradient and a level from 1 to 3: --hint dx 2")
            return show(hint(of, gradient, int(level[0]) if level else 1))
    except UnknownName as error:
        print(error, file=sys.stderr)
        return 2
    if options.html or options.pdf:
        try:
            files = write(of, options.html or options.pdf, options.level, pdf=bool(options.pdf))
        except NotPrinted as error:
            print(error, file=sys.stderr)
            return 2
        return show([f"{files[0]}: the handout", f"{files[1]}: its solution"])
    default = f"{of.name.rpartition(':')[2]}_{'solution' if options.solution else 'exercise'}.py"
    path = Path(options.out or default)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(of.text(options.level, options.solution))
    except FileExistsError:
        print(f"{path} exists already and may hold your work; choose another with --out.", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{path} cannot be written: {error.strerror}.", file=sys.stderr)
        return 2
    if options.solution:
        return show([f"{path}: one solution."])
    count = sum(line.endswith("= ...") for line in of.text(options.level).splitlines())
    return show(
        [
            f"{path}: {count} line{'s' * (count != 1)} to fill in. Then",
            f"  npgrad exercise --grade {path}",
        ]
    )


def graded(file: str, seconds: float) -> int:
    try:
        found = grade(file, seconds)
    except NotGradable as error:
        print(error, file=sys.stderr)
        return 2
    show(found.lines())
    if found.printed.strip():
        shown = found.printed.strip().splitlines()[:20]
        show(["", "Your file printed:", *(f"  {line[:76]}" for line in shown)])
    return 0 if found.ok else 1


def listing() -> Iterator[str]:
    yield "Exercises: the forward pass is given, the backward pass is yours."
    yield ""
    yield from textwrap.wrap(", ".join(names()), 78, initial_indent="  ", subsequent_indent="  ")
    yield ""
    yield "  npgrad exercise batch_norm"
    yield "  npgrad exercise --help"


def show(lines: Sequence[str] | Iterator[str]) -> int:
    for line in lines:
        print(line)
    return 0
