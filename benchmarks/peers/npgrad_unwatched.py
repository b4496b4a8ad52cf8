"""What `npgrad_compiled` runs with instruments, without them: what watching costs is the difference."""

from __future__ import annotations

import npgrad
from benchmarks.peers import npgrad_eager
from benchmarks.peers.npgrad_eager import Step, convert
from benchmarks.problem import Problem

__all__ = ["convert", "instruments"]


def instruments(problem: Problem) -> Step:
    return npgrad_eager.train(problem, npgrad.compile)
