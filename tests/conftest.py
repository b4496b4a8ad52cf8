"""Hypothesis profiles, the seed of the run, and what may be missing: optional at home, mandatory under CI."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    "derandomize": False,  # as Hypothesis does by itself under CI, where no seed would change anything
}
settings.register_profile("dev", max_examples=20, **COMMON)
settings.register_profile("ci", max_examples=60, **COMMON)
settings.register_profile("thorough", max_examples=1000, print_blob=True, **COMMON)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if CI else "dev")
settings.load_profile(PROFILE)

SEED = int(os.environ.get("NPGRAD_SEED", "0"))
"""Where the random cases of the suite start: another seed, another suite. Unset, at home, Hypothesis draws anew."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("hypothesis_seed", None) is None and (CI or "NPGRAD_SEED" in os.environ):
        config.option.hypothesis_seed = str(SEED)


def left_out() -> dict[str, str]:
    """The optional parts of the suite that this machine cannot run, and how to have them."""
    found = {}
    if find_spec("torch") is None:
        found["the comparison with PyTorch"] = "pip install torch"
    if find_spec("selenium") is None:
        found["the pages in a browser"] = "pip install selenium"
    elif not (chromium() and shutil.which("chromedriver")):
        found["the pages in a browser"] = (
            "install Chromium and chromedriver, on Debian: apt-get install chromium chromium-driver"
        )
    return found


def chromium() -> str | None:
    """Where Chromium or Chrome is."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_report_header() -> str:
    return f"hypothesis profile {PROFILE}, NPGRAD_SEED={os.environ.get('NPGRAD_SEED', 'unset')}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What `-q` would hide: parts of the suite that were skipped for want of something."""
    for part, how in left_out().items():
        terminalreporter.write_line(f"left out: {part} ({how})", yellow=True)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT does what it does in a terminal, in child processes too, even if the shell of the suite ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def leave_out(reason: str) -> NoReturn:
    """Skip a test for want of something that is optional at home. Under CI it fails: nothing may be skipped there."""
    if CI:
        pytest.fail(f"{reason}. Under CI nothing may be skipped.")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def torch() -> Any:
    """PyTorch. Without it the tests that compare with it are skipped, and under CI they fail."""
    if find_spec("torch") is None:
        leave_out("torch is not installed: install the `test` extra")
    import torch

    torch.set_num_threads(1)
    return torch


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by Selenium. Without it the tests of pages are skipped, and under CI they fail."""
    how = left_out().get("the pages in a browser")
    if how is not None:
        leave_out(f"there is no browser: {how}")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium() or ""
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--no-first-run", "--disable-sync",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()
