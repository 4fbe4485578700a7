"""Mistakes of the client on the server, one at a time."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.stories.can_fail import assert_noticed, tell
from tests.stories.mutations import CLIENT_MISTAKES, Mutation


@pytest.mark.parametrize("mistake", CLIENT_MISTAKES, ids=lambda mistake: mistake.name)
def test_the_demo_notices(mistake: Mutation, assembly: Path, tmp_path: Path) -> None:
    """A demo that stays green when the product is broken would prove nothing."""
    assert_noticed(mistake, assembly=assembly, folder=tmp_path)


def test_the_demo_is_green_without_a_mistake(assembly: Path, tmp_path: Path) -> None:
    """Otherwise the tests of mistakes would pass for the wrong reason."""
    told = tell(assembly, ROOT, tmp_path / "state")

    assert told.stderr == ""
    assert told.returncode == 0
    assert "NOT TRUE" not in told.stdout
