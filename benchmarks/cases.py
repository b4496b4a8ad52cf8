"""The cases of the gradient checks, as work to be timed."""

from __future__ import annotations

import numpy as np

from benchmarks.problem import Problem
from npgrad.check import cases  # the import registers them
from npgrad.check.case import CASES, Case

__all__ = ["CASES", "cases", "draw"]


def draw(problem: Problem) -> Case:
    """The same case for every peer."""
    return CASES[problem.name][problem.case](np.random.default_rng(problem.case))
