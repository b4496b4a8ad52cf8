"""A small part of the ward: one set-up of each illness that reaches every kind of network, and some healthy ones."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from benchmarks.ward import examined, interval, overall, page, section, table, wrong
from tests.ward import illnesses
from tests.ward.case import Setup
from tests.ward.harm import CRITERIA, GAP, MARGIN, SPARE, doses, harm, spare, spares
from tests.ward.setups import NETWORKS, PARTS, setups

BEDS = {name: setups(part) for name, part in PARTS.items()}
ALL = BEDS["first"] + BEDS["second"]
"""Those that the doctor is tested by; the held-out part measures it."""


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


def test_the_ward_is_as_large_as_it_should_be_and_its_parts_are_apart() -> None:
    for name in ("first", "held-out"):
        sick = [s for s in BEDS[name] if s.illnesses]
        assert len(sick) >= 80 and len(BEDS[name]) - len(sick) >= 40
    everyone = [s for beds in BEDS.values() for s in beds]
    assert len({s.name for s in everyone}) == len(everyone)
    assert sum(len(part.networks) for part in PARTS.values()) == len(NETWORKS)
    sick_ones = {arch for arch in NETWORKS for s in everyone if s.illnesses and f", {arch}, " in s.name}
    assert set(NETWORKS) - sick_ones == {"terraces-tanh", "ballots-relu"}  # which are trained to their end, and well
    single = {name: {s.illnesses for s in beds if len(s.illnesses) == 1} for name, beds in BEDS.items()}
    assert all(single.pop(name) < single["first"] for name in ("capacity", "rates"))
    assert all(names == single["first"] for names in single.values())
    data = {name: {what for what, _ in part.networks.values()} for name, part in PARTS.items()}
    for name in ("held-out", "capacity", "rates"):
        assert not data[name] & set().union(*(of for other, of in data.items() if other != name))


@pytest.mark.parametrize("name", CRITERIA)
def test_what_is_called_sick_does_harm_that_is_measured_without_the_doctor(name: str) -> None:
    """One set-up of the held-out part an illness; `python -m benchmarks.ward --harm` measures all of them."""
    dose = next(dose for dose in doses(PARTS["held-out"]) if dose[0] == name)
    assert harm(*dose, seed=0) > MARGIN


def test_what_is_called_large_enough_is_measured_too() -> None:
    """A set-up of the part about capacity; with sixteen times as many units it is no better."""
    _, change, arch, kind = next(bed for bed in spares(PARTS["capacity"]) if bed[2] == "survey-relu")
    gain, gap = spare(change, arch, kind, seed=0)
    assert gain < SPARE and gap < GAP
    narrow = partial(illnesses.fitted, widths=(2,), act="ReLU")
    assert spare(narrow, "orbits-gelu", "adam", seed=0)[0] > MARGIN


def test_a_dose_that_a_network_bears_is_not_called_harm() -> None:
    raised = partial(illnesses.too_high, factor=10)
    assert harm("learning rate too high", raised, "numerals-gelu", "adamw", seed=0) < MARGIN / 2


def test_a_schedule_drives_the_optimiser_that_the_case_is_given() -> None:
    """An illness that makes a new optimiser must come before one that attaches a schedule to it."""
    scheduled = [s for beds in BEDS.values() for s in beds if "schedule" in s.name]
    assert {"schedule decays too early"} < {n for s in scheduled for n in s.illnesses}
    for setup in scheduled:
        case = setup.build(0)
        assert case.options["schedule"].optimizer is case.optimizer


def test_an_examination_of_few_steps_is_enough_for_what_can_be_seen_at_once() -> None:
    setup = next(s for s in ALL if s.name.startswith("overconfident"))
    assert examined(setup, seed=0, shorter=True).steps == 8 and not examined(setup, seed=0).timed
    slow = next(s for s in ALL if s.name.startswith("overfitting"))
    assert (examined(slow, seed=0, shorter=True).steps or 0) > 8  # by heart takes a while


def test_the_table_counts_hits_misses_and_false_alarms() -> None:
    setup = next(s for s in ALL if not s.illnesses)
    outcome = examined(setup, seed=0)
    ill = replace(outcome, setup=replace(setup, illnesses=("a", "b")), found=("a", "c"), also=(), steps=16)
    assert ill.missed == ["b"] and ill.false == ["c"]
    outcomes = [ill, replace(outcome, found=()), replace(outcome, found=("c",))]
    rows = {row[0]: row[1:] for row in table(outcomes)}
    assert rows["a"][0].startswith("1.00") and rows["b"][0].startswith("0.00") and rows["all"][0].startswith("0.50")
    assert rows["c"][1].startswith("0.00") and rows["all"][2:] == ["2", "16"]
    summary = {row[0]: row[1:] for row in overall(outcomes)}
    assert summary["false alarms on the healthy"][0].startswith("0.50")
    assert [line.partition(": ")[2] for line in wrong(ill)] == ["missed b; false c"]
    text = section("--seeds 1", "1 sick", outcomes)
    assert "--seeds 1 --write`: 1 sick." in text and "| a |" in text and "missed b; false c\n" in text
    assert section("", "", [replace(outcome, found=())]).endswith("None.")
    assert interval(0, 0) == (0.0, 1.0)
    low, high = interval(9, 10)
    assert 0.59 < low < 0.6 and 0.98 < high < 0.99  # Wilson's interval for 9 of 10 is (0.596, 0.982)


def test_a_section_of_the_page_is_replaced_and_the_others_stay() -> None:
    once = page("", "One", "a\n\n### b\n\nc")
    both = page(once, "Two", "d")
    assert page(both, "One", "e").split("\n## ")[1:] == ["One\n\ne\n", "Two\n\nd\n"]
    assert page(both, "Two", "d") == both and both.startswith(once)
