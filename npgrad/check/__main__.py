"""npgrad check: the certificate, the conventions and the mutants on the command line."""

from __future__ import annotations

import argparse
import os
import sys

from npgrad.version import __version__

EXAMPLES = """examples:
  npgrad check                   every function against every oracle
  npgrad check tanh batch_norm   some functions, by either name
  npgrad check --conventions     what holds at kinks, ties and limits
  npgrad check --mutants         is every rule made wrong on purpose noticed?"""


def main(arguments: list[str] | None = None) -> int:
    """0 if everything passed, 1 if something failed, 2 if the request was not understood."""
    parser = argparse.ArgumentParser(
        prog="npgrad check",
        description="Check npgrad's gradients against complex steps, central differences\nand PyTorch (if installed).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"npgrad {__version__}")
    parser.add_argument("functions", nargs="*", help="functions to check, e.g. tanh or BatchNorm (default: all)")
    parser.add_argument("--cases", type=int, default=20, metavar="N", help="random cases per function (default 20)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed the cases are drawn from (default 0)")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--conventions", action="store_true", help="print and verify the numerical conventions")
    choice.add_argument("--mutants", action="store_true", help="run the catalogue of wrong rules; survivors fail")
    asked = parser.parse_args(arguments)
    if asked.cases < 1:
        parser.error(f"--cases must be at least 1; got {asked.cases}.")
    if asked.seed < 0:
        parser.error(f"--seed must not be negative; got {asked.seed}.")
    if asked.conventions and asked.functions:
        parser.error(f"--conventions are of the whole library: leave out {' '.join(asked.functions)}.")

    # Imported here so that --help answers at once.
    from npgrad.check import certificate, conventions, mutants
    from npgrad.functions import registry

    try:
        names = certificate.select(asked.functions) if asked.functions else list(registry)
    except KeyError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    if asked.conventions:
        lines = conventions.table()
    elif asked.mutants:
        lines = mutants.table(asked.functions and names, asked.seed)
    else:
        lines = certificate.table(certificate.certify_all(names, asked.cases, asked.seed))
    last = ""
    try:
        for last in lines:
            print(last, flush=True)
    except BrokenPipeError:
        # `… | head`: nobody reads any further. The interpreter must not try to flush at exit.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0 if last.startswith("PASS") else 1


if __name__ == "__main__":
    sys.exit(main())
