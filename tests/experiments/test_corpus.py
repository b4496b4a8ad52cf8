"""Runs of one process share the corpus they read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.corpus import load
from npgrad import data


def test_a_list_is_read_once_until_it_changes(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("anna\nemma\n", encoding="utf-8")
    first = load(str(words))
    assert load(str(words)) is first is not load(str(words), 2)
    assert first.digest == data.load(str(words)).digest
    words.write_text("anna\nemma\nada\n", encoding="utf-8")
    assert load(str(words)).digest == data.load(str(words)).digest != first.digest


def test_what_runs_share_cannot_be_written_into(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("\n".join("abcdefghijklmn"), encoding="utf-8")
    for part in (corpus := load(str(words))).train, corpus.val, corpus.test:
        assert len(part.y)
        for array in part:
            with pytest.raises(ValueError, match="read-only"):
                array[...] = np.zeros_like(array)


def test_a_list_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        load(str(tmp_path / "none.txt"))
