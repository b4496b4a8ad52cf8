"""The data of the benchmarks, written once to a directory that every worker reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.numpy_by_hand.plain import PlainMLP
from benchmarks.problem import network, train
from npgrad import data

__all__ = ["NAMES", "write"]

NAMES = Path(__file__).parents[1] / "data" / "names.txt"
STEPS = 2000


def write(directory: Path, names: Path = NAMES) -> None:
    """`corpus.npz`: the training split. `trained.npz`: the lecture's network after a little training on it."""
    x, y = data.load(names).train
    np.savez(directory / "corpus.npz", x=x.astype(np.int64), y=y.astype(np.int64))
    problem = train("lecture", 32, 200, True, directory)
    by_hand = PlainMLP(network("lecture", 200, True)[0])
    rows = np.random.default_rng(2).integers(len(x), size=(STEPS, problem.batch))
    for k in rows:
        by_hand.step(x[k], y[k])
    running = {"running_mean": by_hand.running_mean, "running_var": by_hand.running_var}
    np.savez(directory / "trained.npz", **by_hand.p, **{k: v.astype(np.float32) for k, v in running.items()})
