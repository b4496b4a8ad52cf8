"""`python -m npgrad.explain`: read and check the derivations."""

from __future__ import annotations

import argparse
import sys

from npgrad.explain.verify import verify
from npgrad.function import registry


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m npgrad.explain", description="Derivations that run.")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--check", action="store_true", help="execute the derivations and compare them with the code")
    arguments = parser.parse_args(argv)
    failed = 0
    for name in arguments.names or list(registry):
        report = verify(registry[name])
        print(report)
        failed += not report.ok
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
