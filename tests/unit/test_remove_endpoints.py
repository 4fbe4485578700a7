"""What nobody uses any more goes; what a server may still use, and what is somebody else's, stays."""

import pytest

from lambdas.core.errors import GroupInUseError
from lambdas.remove_endpoints.logic import remove
from tests.unit.own_endpoints import InMemoryOwnEndpoints


def a_moved_site() -> InMemoryOwnEndpoints:
    """Return a site that has been moved to another VPC: an endpoint and a group there and here."""
    return InMemoryOwnEndpoints(
        {"run-1": ["vpce-old", "sg-old"], "run-2": ["vpce-new", "sg-new"]},
        uses={"vpce-old": "sg-old", "vpce-new": "sg-new"},
    )


def test_what_has_been_replaced_goes_with_its_group() -> None:
    """Whichever run made it; removed once, and the second time nothing is left to remove."""
    own = a_moved_site()

    first = remove(own, keep=["vpce-new"])
    second = remove(own, keep=["vpce-new"])

    assert (first, second) == (["vpce-old", "sg-old"], [])
    assert own.deleted == ["vpce-old", "sg-old"]


def test_what_a_server_still_uses_is_kept_with_its_group() -> None:
    """Only the leftover of a stopped run goes, which nobody was ever told of."""
    own = a_moved_site()
    own.made["stopped"] = ["vpce-orphan"]
    own.uses["vpce-orphan"] = "sg-new"

    removed = remove(own, keep=["vpce-new", "vpce-old"])

    assert removed == ["vpce-orphan"]
    assert own.deleted == ["vpce-orphan"]


def test_a_group_that_the_replacement_uses_as_well_is_kept() -> None:
    """The endpoint was replaced in its own VPC: the group is one and the same."""
    own = a_moved_site()
    own.made = {"run-1": ["vpce-old", "sg-old"], "run-2": ["vpce-new"]}
    own.uses["vpce-new"] = "sg-old"

    assert remove(own, keep=["vpce-new"]) == ["vpce-old"]


def test_a_release_removes_everything_of_the_site() -> None:
    """Nothing is kept: what would stay costs money for ever."""
    own = a_moved_site()

    removed = remove(own, keep=[])

    assert sorted(removed) == ["sg-new", "sg-old", "vpce-new", "vpce-old"]
    assert removed[:2] == ["vpce-old", "vpce-new"]


def test_a_kept_endpoint_of_somebody_else_keeps_none_of_our_groups() -> None:
    """The settings name an endpoint of the network team now: ours have served their time."""
    own = a_moved_site()
    own.uses["vpce-theirs"] = "sg-theirs"

    assert sorted(remove(own, keep=["vpce-theirs"])) == ["sg-new", "sg-old", "vpce-new", "vpce-old"]


def test_a_site_that_has_nothing_loses_nothing() -> None:
    """A site whose endpoint was always somebody else's is released as well."""
    own = InMemoryOwnEndpoints()

    assert remove(own, keep=[]) == []
    assert own.deleted == []


def test_a_group_that_is_still_in_use_is_tried_again() -> None:
    """Stopped or retried in between, the next attempt finds what is left."""
    own = a_moved_site()
    own.in_use = {"sg-old"}
    with pytest.raises(GroupInUseError):
        remove(own, keep=["vpce-new"])
    own.in_use = set()

    assert remove(own, keep=["vpce-new"]) == ["sg-old"]
    assert own.deleted == ["vpce-old", "sg-old"]
