"""After a failure: what the run made goes, what others made or rely on stays."""

import pytest

from lambdas.core.errors import GroupInUseError
from lambdas.undo_provisioning.logic import undo
from tests.unit.own_endpoints import InMemoryOwnEndpoints


def a_site() -> InMemoryOwnEndpoints:
    """Return what two runs have left."""
    return InMemoryOwnEndpoints({"run-1": ["vpce-1", "sg-1"], "run-2": ["vpce-2", "sg-2"]})


def test_the_endpoint_and_the_group_of_the_run_are_removed() -> None:
    """Removed once, the endpoint first; the second time there is nothing left."""
    own = a_site()

    first = undo(own, run="run-1", published_endpoint=None)
    second = undo(own, run="run-1", published_endpoint=None)

    assert (first, second) == (["vpce-1", "sg-1"], [])
    assert own.deleted == ["vpce-1", "sg-1"]


def test_nothing_of_other_runs_is_removed() -> None:
    """An endpoint of an earlier run may be the one that servers use."""
    own = a_site()

    undo(own, run="run-2", published_endpoint="vpce-1")

    assert own.deleted == ["vpce-2", "sg-2"]


def test_a_published_endpoint_is_kept_with_its_group() -> None:
    """The publication succeeded and its answer was lost: servers may rely on the endpoint by now."""
    own = a_site()

    removed = undo(own, run="run-1", published_endpoint="vpce-1")

    assert removed == []
    assert own.deleted == []


def test_a_group_that_the_published_endpoint_was_given_is_kept() -> None:
    """The run has repaired the endpoint of an earlier one: its new group is what servers come in through."""
    own = InMemoryOwnEndpoints({"run-1": ["vpce-1"], "run-2": ["sg-2", "sg-3"]}, uses={"vpce-1": "sg-2"})

    removed = undo(own, run="run-2", published_endpoint="vpce-1")

    assert removed == ["sg-3"]
    assert own.deleted == ["sg-3"]


def test_a_run_that_made_nothing_removes_nothing() -> None:
    """It used what was there, or it only checked."""
    own = a_site()

    assert undo(own, run="run-9", published_endpoint=None) == []
    assert own.deleted == []


def test_a_group_that_is_still_in_use_is_tried_again() -> None:
    """Deleting an endpoint takes minutes; the retry finds the group by its tag, and only the group."""
    own = a_site()
    own.in_use = {"sg-1"}
    with pytest.raises(GroupInUseError):
        undo(own, run="run-1", published_endpoint=None)
    own.in_use = set()

    removed = undo(own, run="run-1", published_endpoint=None)

    assert removed == ["sg-1"]
    assert own.deleted == ["vpce-1", "sg-1"]
