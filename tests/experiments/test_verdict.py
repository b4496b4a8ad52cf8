"""The rule of judging, on synthetic data: intervals that hold what they promise, and words that follow from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from experiments.claim import Claim
from experiments.verdict import Judged, chosen_elsewhere, judge, seeds_needed, student

numbers = st.floats(-1e3, 1e3)
samples = st.lists(numbers, min_size=2, max_size=8)
RANK = {"not reproduced": 0, "direction only": 1, "undecided": 2, "reproduced": 3}


def claim(**options) -> Claim:
    return Claim("c", "It is so.", 1, "q", why="a test", **options)


def one(claim: Claim, budget: str = "full", **measured: object) -> Judged:
    return judge([claim], measured, budget)[0]


@pytest.mark.parametrize(
    ("freedom", "value"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042), (120, 1.980)]
)
def test_student_is_what_tables_print(freedom: int, value: float) -> None:
    assert round(student(freedom), 3) == value
    assert student(freedom, 0.99) > value


def test_intervals_contain_the_truth_in_95_of_100_cases() -> None:
    rng = np.random.default_rng(0)
    for options, truth in (({}, 2.0), ({"than": "other"}, -1.0), ({"than": "other", "ratio": True}, math.exp(-1.0))):
        asked = claim(low=0.0, **options)
        hits = 0
        for _ in range(2_000):
            shared = rng.normal(size=5)  # what a seed does to both sides
            a, b = 2 + shared + 0.3 * rng.normal(size=5), 3 + shared + 0.3 * rng.normal(size=5)
            found = one(asked, q=np.exp(a), other=np.exp(b)) if asked.ratio else one(asked, q=a, other=b)
            hits += found.low <= truth <= found.high
        assert 0.935 < hits / 2_000 < 0.965


@given(a=samples, shift=numbers)
def test_what_both_sides_share_does_not_count(a: list, shift: float) -> None:
    b = [x / 2 for x in a]
    plain = one(claim(low=0.0, than="other"), q=a, other=b)
    moved = one(claim(low=0.0, than="other"), q=[x + shift for x in a], other=[x + shift for x in b])
    assert moved.effect == pytest.approx(plain.effect, abs=1e-6)
    assert (moved.low, moved.high) == pytest.approx((plain.low, plain.high), abs=1e-6)


@given(a=samples, bar=numbers, lower=st.floats(0, 1e3))
def test_a_lower_bar_never_worsens_the_verdict(a: list, bar: float, lower: float) -> None:
    strict, lax = (one(claim(low=edge, nothing=-2e3), q=a).verdict for edge in (bar, bar - lower))
    assert RANK[lax] >= RANK[strict]


@given(a=samples, bar=numbers)
def test_the_mirror_image_gets_the_same_verdict(a: list, bar: float) -> None:
    up = one(claim(low=bar, nothing=0.0), q=a).verdict
    down = one(claim(high=-bar, nothing=0.0), q=[-x for x in a]).verdict
    assert up == down


@given(a=samples, bar=numbers)
def test_the_words_say_where_the_interval_lies(a: list, bar: float) -> None:
    found = one(claim(low=bar, nothing=min(bar, 0.0)), q=a)
    expected = "reproduced" if found.low >= bar else "undecided" if found.high >= bar else None
    if expected is None:
        expected = "direction only" if found.low > min(bar, 0.0) else "not reproduced"
    assert found.verdict == expected


@given(a=st.lists(st.integers(-100, 100), min_size=3, max_size=6), bar=st.integers(-100, 100), order=st.randoms())
def test_the_order_of_seeds_does_not_matter(a: list, bar: int, order) -> None:
    b = order.sample(a, len(a))
    pairs = list(zip(a, b, strict=True))
    shuffled = order.sample(pairs, len(pairs))
    plain = one(claim(low=bar, than="other"), q=a, other=b)
    assume(min(abs(plain.low - bar), abs(plain.high - bar)) > 1e-9)
    again = one(claim(low=bar, than="other"), q=[x for x, _ in shuffled], other=[y for _, y in shuffled])
    assert again.verdict == plain.verdict


@given(distance=st.floats(0.05, 10), sd=st.floats(0.01, 2))
def test_as_many_seeds_as_are_said_do_decide(distance: float, sd: float) -> None:
    n = seeds_needed(distance, sd)
    assert n is not None and student(n - 1) * sd / math.sqrt(n) < distance * 1.001
    assert n == 2 or n > 50 or student(n - 2) * sd / math.sqrt(n - 1) >= distance


def test_every_verdict_once() -> None:
    more = claim(low=0.02, than="other")
    assert one(more, q=[1.040, 1.041, 1.040], other=[1.0, 1.0, 1.0]).verdict == "reproduced"
    assert one(more, q=[1.010, 1.011, 1.010], other=[1.0, 1.0, 1.0]).verdict == "direction only"
    assert one(more, q=[0.98, 0.97, 0.98], other=[1.0, 1.0, 1.0]).verdict == "not reproduced"
    open_ = one(more, q=[1.03, 1.05, 1.01], other=[1.0, 1.0, 1.0])
    assert (open_.verdict, open_.reason) == ("undecided", "18 seeds would decide")
    size = one(more, q=[1.021, 1.020, 1.019], other=[1.0, 1.0, 1.0])
    assert size.reason.endswith("10,000 seeds would not decide")
    assert one(more, q=[1.04], other=[1.0]).verdict == "seen once"
    assert one(more, q=[9.0], other=[1.0]).verdict != "reproduced"
    assert one(more).verdict == one(more, q=[1.0, 2.0]).verdict == one(more, q=[1.0, 2.0], other=[1.0]).verdict
    assert one(more, q=[1.0, 2.0], other=[1.0]).reason == "some of its runs are missing"
    assert one(claim(low=1, kind="fact"), q=1.0).verdict == "reproduced"
    assert one(claim(low=3, nothing=0, kind="fact"), q=1.0).verdict == "direction only"
    assert one(claim(low=3, kind="fact"), q=1.0).verdict == "not reproduced"
    assert one(Claim("c", "", 1, "q", high=1e-5, kind="identity"), q=[0.0, 0.0]).verdict == "checked"
    assert one(Claim("c", "", 1, "q", high=1e-5, kind="identity"), q=[0.0, 1.0]).verdict == "broken"


@given(bad=st.sampled_from([math.nan, math.inf, -math.inf]), others=st.lists(numbers, min_size=1, max_size=3))
def test_diverged_runs_support_nothing(bad: float, others: list) -> None:
    found = one(claim(low=-1e9), q=[*others, bad])
    assert (found.verdict, found.reason) == ("undecided", f"1 of {len(others) + 1} seeds diverged")
    beside = one(claim(high=1e9, than="other"), q=[0.0] * (len(others) + 1), other=[*others, bad])
    assert beside.verdict == "undecided" and beside.beside == "diverged"


def test_not_judged() -> None:
    long = claim(low=0.5, budget="default")
    for budget, expected in (("quick", "not judged"), ("default", "reproduced"), ("full", "reproduced")):
        assert one(long, budget, q=[1.0, 1.0]).verdict == expected
    ours = claim(low=0.5, corpus=True)
    assert judge([ours], {"q": [1.0, 1.0]}, own_corpus=True)[0].reason.startswith("not applicable")


def test_a_ratio_of_what_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="not all of its values are positive"):
        one(claim(low=2.0, than="other", ratio=True), q=[1.0, -1.0], other=[1.0, 1.0])


def test_both_sides_are_always_shown() -> None:
    found = one(claim(high=-0.02, than="other", format=".2f", unit=" nats"), q=[2.1, 2.2], other=[3.0, 3.1])
    assert found.evidence == (
        "2.15 ± 0.07 nats beside 3.05 ± 0.07 nats; −0.90 nats (95 %: −0.90 to −0.90); asked: at most −0.02 nats; n = 2"
    )
    times = one(claim(low=2.0, than="other", ratio=True, format=".1f"), q=[4.0, 4.0, 4.1], other=[1.0, 1.0, 1.0])
    assert times.evidence == (
        "4.0 ± 0.1 beside 1.0 ± 0.0; 4.03 times (95 %: 3.89 to 4.18); asked: at least 2 times; n = 3"
    )
    alone = one(claim(low=1.0, high=2.0, format=".1f"), q=[1.4, 1.6])
    assert alone.evidence == f"1.5 ± 0.1; 95 %: 0.2 to 2.8; asked: 1 to 2; n = 2; {alone.reason}"
    assert one(claim(low=1.0), q=[math.inf, 1.0]).measured == "diverged"


def test_what_is_chosen_is_chosen_on_other_seeds() -> None:
    losses = {0.1: np.array([1.0, 3.0, 3.0]), 0.3: np.array([2.0, 2.0, 2.0]), 1.0: np.array([9.0, 9.0, math.nan])}
    value, setting = chosen_elsewhere(losses)
    assert setting.tolist() == [0.3, 0.1, 0.1]  # seed 0 is the only one 0.1 is good for, and has no say in its own case
    assert value.tolist() == [2.0, 3.0, 3.0]
    assert chosen_elsewhere({0.1: np.array([2.0]), 0.3: np.array([1.0])})[0].tolist() == [1.0]
    assert chosen_elsewhere({})[0].size == 0


@given(st.integers(2, 5).flatmap(lambda n: st.lists(st.lists(numbers, min_size=n, max_size=n), min_size=1, max_size=4)))
def test_choosing_on_other_seeds_is_never_better_than_on_ones_own(table: list) -> None:
    losses = {float(k): np.array(row) for k, row in enumerate(table)}
    value, _ = chosen_elsewhere(losses)
    assert (value >= np.min(table, axis=0)).all()
