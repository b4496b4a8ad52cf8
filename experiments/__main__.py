"""python -m experiments: list the lessons, run them, show what was found, write the report."""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from experiments import examinations, reference, report, runner, slides
from experiments.claim import DOCUMENTS
from experiments.experiment import Budget, Experiment, Mistake, Plan, discover
from experiments.runner import Interrupted, Outcome
from experiments.store import Store
from experiments.tables import MARKS, plain, scoreboard, tally, verdicts

RESULTS = "directory of results (default: results)"
EXAMPLES = """\
examples:
  python -m experiments run stages --quick        a first look, within a minute
  python -m experiments run stages                three seeds, a few minutes
  python -m experiments run stages --full         at the lecture's length
  python -m experiments run stages --set lr=0.2   change one thing
  python -m experiments run stages --set stage=kaiming,batchnorm --seeds 3
  python -m experiments run --all                 every lesson not done yet
  python -m experiments show results stages       the tables again
  python -m experiments claims                    every claim and its verdict
  python -m experiments compare                   yours beside the reference
  python -m experiments desk                      move a slider, see the effect
  python -m experiments figure stages-losses --slide --build    for a projector
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Mistake(f"{message}; {self.prog} --help shows what there is.")


def main(arguments: Sequence[str] | None = None, lessons: Path | None = None) -> int:
    """Returns the exit code: 0, 1 if a run failed, 2 for bad input, 130 after Ctrl-C."""
    try:
        options = _parser().parse_args(arguments)
        known = discover(lessons) if lessons else discover()
        return int(options.command(options, known))
    except Mistake as mistake:
        print(f"experiments: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m experiments",
        description="The lecture's lessons: train, draw, and judge what is claimed about it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    command = _command(commands, "list", "list the lessons, in reading order")
    command.set_defaults(command=_list)

    command = _command(commands, "run", "run lessons, print their tables and write the report")
    command.add_argument("names", nargs="*", metavar="NAME", help="lessons by name")
    command.add_argument("--all", action="store_true", help="every lesson")
    budget = command.add_mutually_exclusive_group()
    budget.add_argument("--quick", action="store_true", help="much shorter, and marked as such in the report")
    budget.add_argument("--full", action="store_true", help="several seeds at the lecture's length")
    command.add_argument("--seeds", type=_positive, metavar="N", help="repeat every run for the seeds 0 to N - 1")
    command.add_argument("--jobs", type=_positive, metavar="N", help="runs at a time (default: one per core)")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the lesson"
    )
    command.add_argument("--fresh", action="store_true", help="run again what is there already")
    command.add_argument(
        "--scheduler", metavar="ADDRESS", help="run on the workers of a Dask scheduler, tcp://host:8786"
    )
    command.add_argument(
        "--out", type=Path, default=Path("results"), metavar="DIR", help="where results go (default: results)"
    )
    command.set_defaults(command=_run)

    command = _command(commands, "report", "draw the pictures and write report.html again, from stored results")
    command.add_argument("directory", type=Path, metavar="DIR", nargs="?", default=Path("results"), help=RESULTS)
    command.set_defaults(command=_report)

    command = _command(commands, "show", "print the tables and verdicts of a lesson again")
    command.add_argument("directory", type=Path, metavar="DIR", help="directory of results")
    command.add_argument("name", metavar="NAME", help="lesson by name")
    command.set_defaults(command=_show)

    command = _command(commands, "claims", "print every claim of the documents beside what was measured")
    command.add_argument("directory", type=Path, metavar="DIR", nargs="?", default=Path("results"), help=RESULTS)
    command.add_argument(
        "--document", type=int, choices=DOCUMENTS, metavar="N", help="only what document N says (0: the lecture itself)"
    )
    command.add_argument("--verdict", choices=MARKS, metavar="VERDICT", help="only those " + ", ".join(MARKS))
    command.set_defaults(command=_claims)

    command = _command(commands, "compare", "print what differs from the reference result, or from another one")
    command.add_argument("directory", type=Path, metavar="DIR", nargs="?", default=Path("results"), help=RESULTS)
    command.add_argument(
        "reference", type=Path, metavar="REFERENCE", nargs="?", default=reference.REFERENCE,
        help="made by export (default: the one in experiments/reference)",
    )  # fmt: skip
    command.set_defaults(command=_compare)

    command = _command(commands, "figure", "write a lesson's figure, for a slide if asked")
    command.add_argument("name", metavar="LESSON-NAME", help="such as stages-losses")
    command.add_argument("--slide", action="store_true", help="16:9, with large type")
    command.add_argument("--theme", choices=("light", "dark"), default="light", help="default: light")
    command.add_argument("--build", action="store_true", help="a numbered series, each step with one element more")
    command.add_argument("--png", action="store_true", help="PNG instead of SVG")
    command.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR",
        help="results to draw (default: results; if it lacks them, the figure in experiments/reference)",
    )  # fmt: skip
    command.add_argument(
        "--out", type=Path, default=Path("slides"), metavar="DIR", help="where to write it (default: slides)"
    )
    command.set_defaults(command=_figure)

    command = _command(commands, "desk", "open a local page: two networks train while you move sliders")
    command.add_argument("--port", type=_port, default=8713, metavar="N", help="port of the page (default: 8713)")
    command.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    command.set_defaults(command=_desk)

    command = _command(commands, "judge", "judge a reference result again, by the present claims")
    command.add_argument(
        "directory",
        type=Path,
        metavar="DIR",
        nargs="?",
        default=reference.REFERENCE,
        help="made by export (default: experiments/reference)",
    )
    command.set_defaults(command=_judge)

    command = _command(commands, "export", "write what is worth committing: verdicts, summaries, pictures")
    command.add_argument("directory", type=Path, metavar="DIR", help="directory of results")
    command.add_argument("to", type=Path, metavar="TO", help="directory to write")
    command.set_defaults(command=_export)
    return parser


def _command(commands: Any, name: str, help: str) -> argparse.ArgumentParser:
    """A sub-command whose own help begins with its line in the list."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
    return parser


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more; got {text!r}")
    return number


def _port(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 65535; got {text!r}")
    return number


# -- commands ----------------------------------------------------------------------------------------------------------


def _room() -> int:
    return min(shutil.get_terminal_size((100, 24)).columns, 140)


def _list(options: argparse.Namespace, known: dict[str, Experiment]) -> int:
    margin = " " * (max(map(len, known), default=0) + 2)
    room = _room()
    for name, lesson in known.items():
        settings = " ".join(f"{key}={getattr(lesson.module.Config(), key)}" for key in lesson.hints if key != "seed")
        swept = ", ".join(sorted({key for grid in lesson.grids for key in grid}))
        runs = f"{len(lesson.plan().runs)} runs over {swept}; {len(lesson.claims)} claims"
        for first, text, more in (
            (name.ljust(len(margin)), lesson.title, ""),
            (margin, runs, ""),
            (f"{margin}--set ", settings, " " * len("--set ")),
        ):
            lines = textwrap.wrap(text, max(room - len(margin + more), 30), break_on_hyphens=False)
            print("\n".join((first if k == 0 else margin + more) + line for k, line in enumerate(lines)))
        print()
    return 0


def _run(options: argparse.Namespace, known: dict[str, Experiment]) -> int:
    if options.all == bool(options.names):
        raise Mistake(f"name the lessons to run, or say --all; there are {', '.join(known)}.")
    chosen = list(known.values()) if options.all else [_find(name, known) for name in dict.fromkeys(options.names)]
    budget: Budget = "quick" if options.quick else "full" if options.full else "default"
    store = Store(options.out)
    plans = [lesson.plan(budget, options.seeds, changes) for lesson, changes in _changes(options.set, chosen)]
    for plan in plans:
        store.write_plan(plan)
        if plan.remark:
            print(f"{plan.experiment.name}: {plan.remark}", file=sys.stderr)
    workers = runner.processes if not options.scheduler else lambda jobs: runner.dask(options.scheduler)
    runs = [run for plan in plans for run in plan.runs]
    try:
        outcome = runner.execute(runs, store, workers=workers, jobs=options.jobs, fresh=options.fresh)
    except Interrupted as stopped:
        _note_failures(store, plans, stopped.outcome)
        have = len(stopped.outcome.done) + len(stopped.outcome.kept)
        print(
            f"\nstopped: {have} of {len(runs)} runs are kept in {options.out}; the same command does the rest",
            file=sys.stderr,
        )
        return 130
    _note_failures(store, plans, outcome)
    report.draw([plan.experiment for plan in plans], store, options.jobs)
    for plan in plans:
        if plan.experiment.name == examinations.LESSON and plan.runs:
            examinations.examine(store, plan.runs[0].config.data)
    for plan in plans:
        _print(report.read(plan.experiment, store))
    page = report.write(store, store.lessons(known))
    if len(plans) > 1:
        print(tally(report.scoreboard(store, [plan.experiment for plan in plans]).values()), end="\n\n")
    print(f"report: {page}")
    for run in runs:
        if run.key in outcome.failed:
            print(f"experiments: {run.title} failed: {outcome.failed[run.key]}", file=sys.stderr)
    return 1 if outcome.failed else 0


def _report(options: argparse.Namespace, known: dict[str, Experiment]) -> int:
    store = Store(options.directory)
    lessons = store.lessons(known)
    if not lessons:
        raise Mistake(f"{options.directory} holds no results: python -m experiments run makes some.")
    report.draw(lessons, store)
    print(report.write(store, lessons))
    return 0


def _show(options: argparse.Namespace, known: dict[str, Experiment]) -> int:
    _print(report.read(_find(options.name, known), Store(options.directory)))
    return 0


def _claims(options: argparse.Namespace, known: dict[str, Experiment]) -> int:
    board = {
        name: one
        for name, one in report.scoreboard(Store(options.directory), known.values()).items()
        if (options.document is None or options.document in one.claim.sources)
        and options.verdict in (None, one.verdict)
    }
    print(scoreboard(board))
    return 0


def _compare(options: argparse.Namespace, known: dict[str, Experiment]) -> int:
    store = Store(options.directory)
    board = report.scoreboard(store, store.lessons(known))
    verdicts, measurements, both = reference.compare(board, options.reference)
    print(f"{both} claims have been judged both in {options.directory} and in {options.reference}.")
    for heading, lines in (("other verdict", verdicts), ("same verdict, other measurement", measurements)):
        print(f"\n{heading}: {len(lines) or 'none'}")
        for line in lines:
            print(textwrap.fill(line, _room(), initial_indent="  ", subsequent_indent="      "))
    return 0


def _figure(options: argparse.Namespace, known: dict[str, Experiment]) -> int:
    source = slides.find(options.name, list(known), options.results)
    written = slides.write(
        options.name, source, options.out, options.theme,
        on_slide=options.slide, in_steps=options.build, as_png=options.png,
    )  # fmt: skip
    why = f", since {options.results} does not have this figure" if source.committed else ""
    print(f"from {'the reference result' if source.committed else source.directory}{why}: {source.path}")
    print("\n".join(map(str, written)))
    return 0


def _desk(options: argparse.Namespace, known: dict[str, Experiment]) -> int:
    try:
        from experiments.desk import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "bokeh":
            raise
        raise Mistake("the desk needs Bokeh, which is not installed: pip install '.[desk]'.") from None
    return serve(options.port, browser=not options.no_browser)


def _judge(options: argparse.Namespace, known: dict[str, Experiment]) -> int:
    print(tally(reference.write_verdicts(options.directory, known).values()))
    return 0


def _export(options: argparse.Namespace, known: dict[str, Experiment]) -> int:
    reference.export(Store(options.directory), known, options.to)
    print(options.to)
    return 0


def _print(reading: report.Reading) -> None:
    print(f"\n{reading.lesson.title}")
    for remark in (reading.plan["remark"], *(f"changed: {k} = {v}" for k, v in reading.plan["changes"].items())):
        if remark:
            print(f"  {remark}")
    print()
    for table in reading.tables:
        print(f"{plain(table)}\n")
    for problem in reading.problems:
        print(f"! {problem}")
    if reading.judged:
        print(f"{verdicts(reading.judged)}\n")


def _find(name: str, known: dict[str, Experiment]) -> Experiment:
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
        raise Mistake(f"there is no lesson called {name!r}: {hint}")
    return known[name]


def _changes(pairs: Sequence[str], chosen: Sequence[Experiment]) -> list[tuple[Experiment, dict[str, str]]]:
    """What each lesson is to change. A setting may be unknown to some of several lessons, not to all of them."""
    changes: dict[str, str] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key.strip():
            raise Mistake(f"--set takes KEY=VALUE; got {pair!r}.")
        changes[key.strip()] = value
    told = [(lesson, {k: v for k, v in changes.items() if k in lesson.hints}) for lesson in chosen]
    for key in changes:
        if not any(key in own for _, own in told):
            chosen[0].plan(changes={key: changes[key]})  # raises, with the settings there are
    return told


def _note_failures(store: Store, plans: Sequence[Plan], outcome: Outcome) -> None:
    for plan in plans:
        failures = {run.key: outcome.failed[run.key] for run in plan.runs if run.key in outcome.failed}
        store.write_plan(plan, failures)


if __name__ == "__main__":
    # A pipe of an old Windows or of LC_ALL=C may have no signs for what is printed.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    sys.exit(main())
