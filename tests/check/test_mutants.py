"""Wrong rules are noticed: the checks can fail. A survivor fails the suite."""

from __future__ import annotations

import pytest

from npgrad.check import mutants
from npgrad.check.mutants import MUTANTS, Mutant, alive, killers
from npgrad.functions import registry


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.target}: {m.mistake}")
def test_is_killed(mutant: Mutant) -> None:
    assert killers(mutant), f"{mutant.target}: {mutant.mistake} survives every check"


def test_the_catalogue_is_large_and_names_real_functions() -> None:
    assert len(MUTANTS) >= 30
    assert {m.target for m in MUTANTS} <= set(registry)
    assert len({(m.target, m.mistake) for m in MUTANTS}) == len(MUTANTS)


def test_every_kind_of_check_is_needed() -> None:
    """For each oracle but the redundant ones there is a mutant that it alone notices."""
    alone = {tuple(killers(m)) for m in MUTANTS if "rounded (right" in m.mistake or m.mistake.startswith("abs'")}
    assert alone == {("hvp",), ("conventions",)}
    (digit,) = (m for m in MUTANTS if m.mistake == "wrong in the tenth digit")
    # torch is exact too, where it is installed.
    assert set(killers(digit)) - {"torch"} == {"complex step"}


def test_the_right_rules_are_back_afterwards() -> None:
    before = {name: (cls.forward, cls.backward) for name, cls in registry.items()}
    with pytest.raises(KeyError), alive(MUTANTS[0]):
        assert registry["Tanh"].backward is not before["Tanh"][1]
        raise KeyError
    assert before == {name: (cls.forward, cls.backward) for name, cls in registry.items()}


def test_a_survivor_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    harmless = Mutant("Neg", "nothing at all", backward=lambda original, self, dy: original(self, dy))
    monkeypatch.setattr(mutants, "MUTANTS", [harmless])
    lines = list(mutants.table())
    assert lines[-1] == "FAIL: 1 of 1 mutants survive" and any("SURVIVES" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_code_that_does_not_run_is_no_mutant() -> None:
    with pytest.raises(AttributeError):
        killers(Mutant("Neg", "misspelt", backward=lambda original, self, dy: self.no_such_thing))
