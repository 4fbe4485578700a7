"""Mistakes in the workflow, one at a time."""

from pathlib import Path

import pytest

from tests.stories.can_fail import assert_noticed
from tests.stories.mutations import WORKFLOW_MISTAKES, Mutation


@pytest.mark.parametrize("mistake", WORKFLOW_MISTAKES, ids=lambda mistake: mistake.name)
def test_the_demo_notices(mistake: Mutation, assembly: Path, tmp_path: Path) -> None:
    """A demo that stays green when the product is broken would prove nothing."""
    assert_noticed(mistake, assembly=assembly, folder=tmp_path)
