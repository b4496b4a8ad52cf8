"""What can be known of data without a model: columns, copies, and whether inputs tell anything of the targets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npgrad.engine.arrays import Array

__all__ = ["association", "counted", "duplicates", "leaking_column", "lengthened", "shift"]

Floats = NDArray[np.float64]
LIMIT = 2000
"""Examples looked at."""
PERMUTATIONS = 40
COLUMNS = 4
"""Columns of windows that counting uses: more are too rare to count."""


def duplicates(batches: list[tuple[Array, Array]]) -> float:
    """The share of minibatches that are equal to an earlier one, 0 if there is only one to choose from."""
    keys = [(x.tobytes(), y.tobytes()) for x, y in batches]
    return 1 - len(set(keys)) / len(keys)


def leaking_column(x: Array, y: Array) -> tuple[int, float]:
    """(column, share of examples whose target that column determines, or its correlation); column −1 if none does."""
    columns = x.reshape(len(x), -1)
    best = (-1, 0.0)
    if y.ndim > 2 or (y.ndim == 2 and y.shape[1] > 1) or columns.shape[1] > 4096:
        return best
    target = y.reshape(-1)
    if len(np.unique(target)) < 2:
        return best
    for k in range(columns.shape[1]):
        c = columns[:, k]
        if len(np.unique(c)) < 2:
            continue
        score = 0.0
        with np.errstate(all="ignore"):
            r = abs(float(np.corrcoef(c.astype(np.float64), target.astype(np.float64))[0, 1]))
        if np.isfinite(r):
            score = r
        values, index = np.unique(c, return_inverse=True)
        if target.dtype.kind in "iu" and len(values) <= len(target) / 8:
            table = np.zeros((len(values), int(target.max()) + 1))
            np.add.at(table, (index, target), 1)
            score = max(score, float(table.max(1).sum() / len(target)))
        if score > best[1]:
            best = (k, score)
    return best


def association(x: Array, y: Array, rng: np.random.Generator) -> float:
    """How much more the inputs tell of the targets than of shuffled targets, in standard deviations of the latter.

    For whole-number inputs the mutual information of each column and the target; otherwise how well nearest neighbours
    and a linear map, fitted to one half, answer the other half.
    """
    x, y = x[:LIMIT], y[:LIMIT]
    rows = x.reshape(len(x), -1)
    if rows.dtype.kind in "iu":
        scores = [_information(rows, _classes(y))]
        scores += [_information(rows, _classes(y[rng.permutation(len(y))])) for _ in range(PERMUTATIONS)]
        return _z(scores)
    rows = rows.astype(np.float64)
    rows = (rows - rows.mean(0)) / (rows.std(0) + 1e-9 * (np.abs(rows).max() + 1e-300))
    target = _targets(y)
    half = len(rows) // 2
    train, test = rows[:half], rows[half:]
    distance = (test * test).sum(1)[:, None] - 2 * test @ train.T + (train * train).sum(1)[None]
    near = np.argpartition(distance, min(5, half - 1), axis=1)[:, :5]
    gram = train.T @ train + 1.0 * len(train) ** 0.5 * np.eye(rows.shape[1]) if rows.shape[1] <= 512 else None
    solve = np.linalg.solve(gram, train.T) if gram is not None else None

    def score(t: Floats) -> tuple[float, float]:
        a, b = t[:half], t[half:]
        linear = float(np.mean((test @ (solve @ (a - a.mean(0))) + a.mean(0)) * b)) if solve is not None else 0.0
        return float(np.mean(a[near].mean(1) * b)), linear

    target = target - target.mean(0)
    found = np.array([score(target)] + [score(target[rng.permutation(len(target))]) for _ in range(PERMUTATIONS)])
    return max(_z(list(found[:, 0])), _z(list(found[:, 1])))


def counted(x: Array, y: Array, asked: Array, width: int) -> Floats:
    """Log-probabilities of `width` classes for each row of `asked`, from what followed its last columns in (x, y).

    The more of them the more there is to count, interpolated as by Jelinek & Mercer 1980.
    """
    prior = np.bincount(y, minlength=width) + 1e-4 * len(y)
    p = np.broadcast_to(prior / prior.sum(), (len(asked), width))
    for k in range(1, min(x.shape[1], COLUMNS) + 1):
        both, index = np.unique(np.concatenate([x[:, -k:], asked[:, -k:]]), axis=0, return_inverse=True)
        index = index.reshape(-1)
        counts = np.zeros((len(both), width))
        np.add.at(counts, (index[: len(x)], y), 1)
        here = counts[index[len(x) :]]
        p = (here + 8 * p) / (here.sum(1, keepdims=True) + 8)
    return np.asarray(np.log(p))


def lengthened(x: Array, y: Array) -> Array | None:
    """Windows (rows, columns) over a text in its order, each with the symbol that stood before it; None for other data.

    Where a window does not follow the one above, its first symbol, the padding, is repeated.
    """
    if x.ndim != 2 or x.dtype.kind not in "iu" or y.ndim != 1 or y.dtype.kind not in "iu" or len(x) < 200:
        return None
    follows = np.zeros(len(x), bool)
    follows[1:] = (x[1:, -1] == y[:-1]) & (x[1:, :-1] == x[:-1, 1:]).all(1)
    if np.mean(follows) < 0.5:
        return None
    before = np.where(follows, np.roll(x[:, 0], 1), x[:, 0])
    return np.concatenate([before[:, None], x], axis=1)


def shift(x: Array, y: Array, rng: np.random.Generator) -> int:
    """By how many rows the targets are off, for data in their own order: 0 if they are where they belong.

    In windows over a text each target is the last character of the next row; elsewhere rows are independent, and
    targets belong to the row that tells most of them.
    """
    rows = x.reshape(len(x), -1)
    n = len(rows)
    if n < 64 or len(y) != n:
        return 0
    if rows.dtype.kind in "iu" and y.dtype.kind in "iu" and y.ndim == 1:
        last = rows[:, -1]
        chain = {s: float(np.mean(y[: n - 4] == last[1 + s : n - 3 + s])) for s in (0, 1, 2)}
        chain[-1] = float(np.mean(y == last))
        best = max(chain, key=lambda s: chain[s])
        intact = rows.shape[1] < 2 or float(np.mean(rows[1:, -2] == rows[:-1, -1])) > 0.7
        return best if intact and chain[best] > 0.7 and chain[best] > chain[0] + 0.2 else 0
    if rows.dtype.kind in "iu":
        return 0
    found = {s: association(rows[:LIMIT], np.roll(y, s, axis=0)[:LIMIT], rng) for s in (-1, 0, 1)}
    best = max(found, key=lambda s: found[s])
    return -best if best and found[0] < 4 and found[best] > 8 else 0


def _z(scores: list[float]) -> float:
    chance = np.array(scores[1:])
    return float((scores[0] - chance.mean()) / (chance.std() + 1e-12))


def _classes(y: Array) -> NDArray[np.intp]:
    if y.dtype.kind in "iu" and y.ndim == 1:
        return y.astype(np.intp)
    flat = y.reshape(len(y), -1)[:, 0]
    return np.searchsorted(np.quantile(flat, [0.25, 0.5, 0.75]), flat)


def _targets(y: Array) -> Floats:
    if y.dtype.kind in "iu" and y.ndim == 1:
        return np.eye(int(y.max()) + 1)[y]
    return y.reshape(len(y), -1).astype(np.float64)


def _information(rows: Array, y: NDArray[np.intp]) -> float:
    """Mutual information of each column and the target, added up."""
    total = 0.0
    for c in rows.T[-16:]:
        values, index = np.unique(c, return_inverse=True)
        table = np.zeros((len(values), int(y.max()) + 1))
        np.add.at(table, (index, y), 1)
        table /= len(y)
        expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True)
        there = table > 0
        total += float((table[there] * np.log(table[there] / expected[there])).sum())
    return total
