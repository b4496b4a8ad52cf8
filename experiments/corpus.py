"""The corpus of a lesson, read once per process: reading takes as long as a thousand training steps, and a worker does
hundreds of runs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from npgrad import data
from npgrad.data import Corpus

__all__ = ["load"]


def load(path: str, context: int = 3) -> Corpus:
    """As `npgrad.data.load`, which see; the arrays are read-only, since other runs share them."""
    file = Path(path)
    stat = file.stat() if file.exists() else None
    return _load(path, context, stat and (stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=4)
def _load(path: str, context: int, version: tuple[int, int] | None) -> Corpus:
    corpus = data.load(path, context)
    for part in (corpus.train, corpus.val, corpus.test):
        part.x.flags.writeable = part.y.flags.writeable = False
    return corpus
