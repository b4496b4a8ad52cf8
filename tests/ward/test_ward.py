"""A small part of the ward: one set-up of each illness that reaches every kind of network, and some healthy ones."""

from __future__ import annotations

import pytest

from benchmarks.ward import examined, interval, table
from tests.ward.setups import ARCHITECTURES, SECOND, Setup, first_half, second_half

ALL = first_half() + second_half()


def small_part() -> list[Setup]:
    """One set-up an illness, and every fourth healthy one."""
    first: dict[tuple[str, ...], Setup] = {}
    for setup in ALL:
        if len(setup.illnesses) == 1:
            first.setdefault(setup.illnesses, setup)
    return [*first.values(), *[s for s in ALL if not s.illnesses][::4]]


@pytest.mark.parametrize("setup", small_part(), ids=lambda setup: setup.name)
def test_the_doctor_finds_what_is_wrong_and_nothing_else(setup: Setup) -> None:
    outcome = examined(setup, seed=7)
    assert not outcome.missed
    assert not outcome.false
    for name, layers in outcome.layers.items():
        if layers and name in outcome.found:
            assert outcome.where[name][0] in layers


def test_the_ward_is_as_large_as_it_should_be_and_its_halves_are_apart() -> None:
    sick = [s for s in ALL if s.illnesses]
    assert len(sick) >= 80 and len(ALL) - len(sick) >= 40
    assert {arch for arch in ARCHITECTURES | SECOND for s in sick if f", {arch}, " in s.name} == {
        *ARCHITECTURES,
        *SECOND,
    }
    assert len({s.name for s in ALL}) == len(ALL)
    assert not set(ARCHITECTURES) & set(SECOND)
    single = {s.illnesses for s in sick if len(s.illnesses) == 1}
    assert single == {s.illnesses for s in second_half() if len(s.illnesses) == 1}


def test_the_table_counts_hits_misses_and_false_alarms() -> None:
    setup = next(s for s in ALL if not s.illnesses)
    outcome = examined(setup, seed=0)
    from dataclasses import replace

    ill = replace(outcome, setup=replace(setup, illnesses=("a", "b")), found=("a", "c"), also=())
    text = table([ill, replace(outcome, found=())])
    assert ill.missed == ["b"] and ill.false == ["c"]
    rows = {line[:32].strip(): line[32:].split() for line in text.splitlines() if line}
    assert rows["a"][0] == "1.00" and rows["b"][0] == "0.00" and rows["all"][0] == "0.50"
    assert interval(0, 0) == (0.0, 1.0)
    low, high = interval(9, 10)
    assert 0.55 < low < 0.6 and 0.98 < high < 1  # Wilson's interval for 9 of 10 is (0.596, 0.982)
