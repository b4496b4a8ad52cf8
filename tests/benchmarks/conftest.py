"""The data that the benchmarks' peers read."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import inputs

WORDS = ["emma", "olivia", "ava", "sophia", "isabella", "mia", "noah", "liam", "mason", "jacob", "ana", "eva", "elias"]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("benchmarks")
    words = directory / "words.txt"
    words.write_text("\n".join([*WORDS, "abcdefghijklmnopqrstuvwxyz"]), encoding="utf-8")
    inputs.write(directory, words)
    return directory
