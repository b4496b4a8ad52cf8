"""NumPy by hand as somebody in a hurry writes it: every buffer allocated once, parameters and gradients flat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.numpy_by_hand.preallocated import PreallocatedMLP
from benchmarks.numpy_by_hand.preallocated_deep import PreallocatedDeep
from benchmarks.problem import Array, Problem

convert = np.asarray


def train(problem: Problem) -> Callable[[Array, Array], float]:
    by_hand = PreallocatedMLP if problem.net == "lecture" else PreallocatedDeep
    return by_hand(problem.parameters, problem.batch, batch_norm=problem.batch_norm, lr=problem.lr).step
