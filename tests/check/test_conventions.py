"""Every line of the table of conventions holds, and the table would say so if one did not."""

from __future__ import annotations

import warnings

import pytest

from npgrad.check import conventions
from npgrad.check.conventions import CONVENTIONS, Convention, verify


@pytest.mark.smoke
@pytest.mark.parametrize("line", CONVENTIONS, ids=lambda line: line.what)
def test_holds(line: Convention) -> None:
    line.verification()


def test_the_table_is_complete_and_fits_a_terminal() -> None:
    lines = list(conventions.table())
    assert lines[-1] == f"PASS: {len(CONVENTIONS)} conventions" and len(CONVENTIONS) >= 13
    assert all(len(line) <= 80 for line in lines)
    text = " ".join(lines)
    for word in ("relu", "softmax", "sigmoid", "embedding", "batch_norm", "ddof", "where", "threads", "lecture", "std"):
        assert word in text


def test_a_broken_promise_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong() -> None:
        raise AssertionError("one is not two")

    def warns() -> None:
        warnings.warn("overflow", RuntimeWarning, stacklevel=1)

    lines = [Convention("a", "b", wrong), Convention("c", "d", warns)]
    assert verify(lines[0]) == "one is not two"
    assert verify(lines[1]) == "RuntimeWarning: overflow"
    monkeypatch.setattr(conventions, "CONVENTIONS", lines)
    text = list(conventions.table())
    assert text[-1] == "FAIL: 2 of 2 conventions" and any("but: one is not two" in line for line in text)
