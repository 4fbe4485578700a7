"""After a failure: what the run made goes, what others made or rely on stays."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws
from mypy_boto3_ec2 import EC2Client

from lambdas.core.errors import AwsRefusedError, GroupInUseError
from lambdas.core.site import CREATOR_TAG, SITE_TAG
from lambdas.undo_provisioning.ec2_leftovers import Ec2Leftovers
from lambdas.undo_provisioning.logic import undo


@dataclass
class InMemoryLeftovers:
    """Things by (site, run); `in_use` groups still belong to an endpoint that is going away."""

    made: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    in_use: set[str] = field(default_factory=set)
    deleted: list[str] = field(default_factory=list)

    def endpoints(self, *, site: str, run: str) -> Sequence[str]:
        return self._left(site, run, "vpce-")

    def groups(self, *, site: str, run: str) -> Sequence[str]:
        return self._left(site, run, "sg-")

    def delete_endpoints(self, endpoint_ids: Sequence[str]) -> None:
        self.deleted.extend(endpoint_ids)

    def delete_group(self, group_id: str) -> None:
        if group_id in self.in_use:
            raise GroupInUseError(group_id)
        self.deleted.append(group_id)

    def _left(self, site: str, run: str, kind: str) -> list[str]:
        return [
            thing
            for thing in self.made.get((site, run), [])
            if thing.startswith(kind) and thing not in self.deleted
        ]


def a_world() -> InMemoryLeftovers:
    """Return the leftovers of two runs and two sites."""
    return InMemoryLeftovers(
        {
            ("tokyo", "run-1"): ["vpce-1", "sg-1"],
            ("tokyo", "run-2"): ["vpce-2", "sg-2"],
            ("osaka", "run-1"): ["vpce-3", "sg-3"],
        }
    )


def test_the_endpoint_and_the_group_of_the_run_are_removed() -> None:
    """Removed once, the endpoint first; the second time there is nothing left."""
    leftovers = a_world()

    first = undo(leftovers, site="tokyo", run="run-1", published_endpoint=None)
    second = undo(leftovers, site="tokyo", run="run-1", published_endpoint=None)

    assert (first, second) == (["vpce-1", "sg-1"], [])
    assert leftovers.deleted == ["vpce-1", "sg-1"]


def test_nothing_of_other_runs_or_sites_is_removed() -> None:
    """An endpoint of an earlier run may be the one that servers use."""
    leftovers = a_world()

    undo(leftovers, site="tokyo", run="run-2", published_endpoint="vpce-1")

    assert leftovers.deleted == ["vpce-2", "sg-2"]


def test_a_published_endpoint_is_kept_with_its_group() -> None:
    """The publication succeeded and its answer was lost: servers may rely on the endpoint by now."""
    leftovers = a_world()

    removed = undo(leftovers, site="tokyo", run="run-1", published_endpoint="vpce-1")

    assert removed == []
    assert leftovers.deleted == []


def test_a_run_that_made_nothing_removes_nothing() -> None:
    """It used what was there."""
    leftovers = a_world()

    assert undo(leftovers, site="tokyo", run="run-9", published_endpoint=None) == []
    assert leftovers.deleted == []


def test_a_group_that_is_still_in_use_is_tried_again() -> None:
    """Deleting an endpoint takes minutes; the retry finds the group by its tag, and only the group."""
    leftovers = a_world()
    leftovers.in_use = {"sg-1"}
    with pytest.raises(GroupInUseError):
        undo(leftovers, site="tokyo", run="run-1", published_endpoint=None)
    leftovers.in_use = set()

    removed = undo(leftovers, site="tokyo", run="run-1", published_endpoint=None)

    assert removed == ["sg-1"]
    assert leftovers.deleted == ["vpce-1", "sg-1"]


@pytest.fixture(name="ec2")
def _ec2() -> Iterator[EC2Client]:
    with mock_aws():
        yield boto3.client("ec2")


def made(ec2: EC2Client, *, site: str, run: str) -> tuple[str, str]:
    """Make a group and an endpoint as a run would."""
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName=f"{site}-{run}", Description="d", VpcId=vpc_id)
    endpoint = ec2.create_vpc_endpoint(
        VpcEndpointType="Interface", VpcId=vpc_id, ServiceName="com.amazonaws.ap-northeast-1.s3"
    )
    ids = endpoint["VpcEndpoint"]["VpcEndpointId"], group["GroupId"]
    ec2.create_tags(
        Resources=list(ids), Tags=[{"Key": SITE_TAG, "Value": site}, {"Key": CREATOR_TAG, "Value": run}]
    )
    return ids


def test_leftovers_are_found_by_both_tags_and_deleted(ec2: EC2Client) -> None:
    """The adapter, against an emulated EC2."""
    mine = made(ec2, site="tokyo", run="run-1")
    others = [made(ec2, site="tokyo", run="run-2"), made(ec2, site="osaka", run="run-1")]
    leftovers = Ec2Leftovers(ec2)

    first = undo(leftovers, site="tokyo", run="run-1", published_endpoint=None)
    second = undo(leftovers, site="tokyo", run="run-1", published_endpoint=None)

    assert (first, second) == (list(mine), [])
    assert list(leftovers.endpoints(site="tokyo", run="run-2")) == [others[0][0]]
    assert list(leftovers.groups(site="osaka", run="run-1")) == [others[1][1]]


@pytest.mark.parametrize(
    ("state", "left"), [("available", True), ("Failed", True), ("Deleting", False), ("deleted", False)]
)
def test_what_is_going_already_is_not_deleted_again(state: str, *, left: bool) -> None:
    """A failed endpoint costs money as well: it goes; one that is deleting would be an error."""
    client = boto3.client("ec2")
    with Stubber(client) as stub:
        stub.add_response(
            "describe_vpc_endpoints", {"VpcEndpoints": [{"VpcEndpointId": "vpce-1", "State": state}]}
        )

        assert bool(Ec2Leftovers(client).endpoints(site="tokyo", run="run-1")) is left


def test_an_endpoint_that_could_not_be_deleted_is_an_error() -> None:
    """EC2 says it in a successful answer: unread, the endpoint would stay and cost money."""
    client = boto3.client("ec2")
    with Stubber(client) as stub:
        stub.add_response(
            "delete_vpc_endpoints",
            {"Unsuccessful": [{"ResourceId": "vpce-1", "Error": {"Code": "x", "Message": "not yours"}}]},
            {"VpcEndpointIds": ["vpce-1"]},
        )

        with pytest.raises(AwsRefusedError, match="vpce-1: not yours"):
            Ec2Leftovers(client).delete_endpoints(["vpce-1"])


def test_a_group_that_is_gone_or_in_use_is_told_apart() -> None:
    """Gone is what we want; in use passes; anything else a person must see."""
    client = boto3.client("ec2")
    leftovers = Ec2Leftovers(client)
    with Stubber(client) as stub:
        stub.add_client_error("delete_security_group", "InvalidGroup.NotFound")
        stub.add_client_error("delete_security_group", "DependencyViolation")
        stub.add_client_error("delete_security_group", "UnauthorizedOperation")

        leftovers.delete_group("sg-1")
        with pytest.raises(GroupInUseError, match="sg-1"):
            leftovers.delete_group("sg-1")
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            leftovers.delete_group("sg-1")
