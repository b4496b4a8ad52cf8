"""Random training steps over all Functions, eager and compiled side by side: the same bytes in everything."""

import pytest

from tests.compile import programs
from tests.conftest import PROFILE, SEED

COUNT = {"dev": 60, "ci": 400, "thorough": 5000}.get(PROFILE, 60)
CHUNK = 20


@pytest.mark.parametrize("first", range(0, COUNT, CHUNK))
def test_random_programs(first):
    ran = sum(programs.compare(100_000 * SEED + first + k)["runs"] for k in range(CHUNK))
    assert ran > CHUNK  # most calls were runs of programs


def test_every_function_takes_part():
    """The programs of profile `ci` use every Function that has a case."""
    text = "".join(programs.draw(seed).source for seed in range(400))
    assert [name for name in programs.CASES if f"{name}.apply(" not in text] == []
