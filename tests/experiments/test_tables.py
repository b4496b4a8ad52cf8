"""Cells of tables: what a value, several values and a setting look like."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.experiment import Table
from experiments.tables import fraction, number, plain, spread


@pytest.mark.parametrize(
    ("values", "form", "cell"),
    [
        ([], 3, "–"),
        ([2.5], 3, "2.500"),
        ([1.0, 3.0], 1, "2.0 ± 1.4"),
        ([-3.25, -3.25], 2, "−3.25 ± 0.00"),
        ([4.06e-4], ".2e", "4.06e−4"),
        ([1.0, math.nan], 3, "diverged"),
        ([math.inf], 0, "diverged"),
    ],
)
def test_a_mean_with_its_deviation(values: list[float], form: int | str, cell: str) -> None:
    assert spread(np.array(values), form) == cell


def test_single_numbers() -> None:
    assert number(-0.5, ".1f") == "−0.5" and number(math.nan, ".1f") == "diverged"
    assert [fraction(gain) for gain in (5 / 3, 1 / 3, 0.2, 2.0, 1.667)] == ["5/3", "1/3", "0.2", "2", "1.667"]


@pytest.mark.parametrize("width", [50, 80])
def test_a_table_wider_than_the_terminal_goes_on_below_with_its_first_column(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    names = [f"quantity {k}" for k in range(9)]
    rows = [[f"layer {r}", *(f"{r}.{k} ± 0.01" for k in range(1, 9))] for r in range(3)]
    lines = plain(Table("Wide", names, rows)).splitlines()
    assert max(map(len, lines)) <= width
    whole = " ".join(lines)
    assert all(cell in whole for cell in (*names, *(cell for row in rows for cell in row)))
    assert sum("quantity 0" in line for line in lines) == sum(line.strip().startswith("layer 2") for line in lines) > 1
