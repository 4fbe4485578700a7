"""Collects these tests only when they are asked for, so that `make test` needs no browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import launched


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore the folder unless it, or something in it, is named on the command line."""
    del collection_path
    return None if any("tests/browser" in argument for argument in config.args) else True


@pytest.fixture(scope="session", name="browser")
def _browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser
