"""The site, built once for all tests that look at it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import leave_out


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not all(find_spec(name) for name in ("jinja2", "pygments")):
        leave_out("the site needs Jinja2 and Pygments: install the `site` extra")
    from npgrad.explain.site import build

    target = tmp_path_factory.mktemp("site")
    assert build(target) == 0
    return target
