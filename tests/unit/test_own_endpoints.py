"""The adapter that deletes endpoints: it finds what the product made for one site, and nothing else."""

from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws
from mypy_boto3_ec2 import EC2Client

from lambdas.core.ec2_own_endpoints import Ec2OwnEndpoints
from lambdas.core.errors import AwsRefusedError, GroupInUseError
from lambdas.core.site import CREATOR_TAG, SITE_TAG
from lambdas.remove_endpoints.logic import remove
from lambdas.undo_provisioning.logic import undo


@pytest.fixture(name="ec2")
def _ec2() -> Iterator[EC2Client]:
    with mock_aws():
        yield boto3.client("ec2")


def made(ec2: EC2Client, **tags: str) -> tuple[str, str]:
    """Make an endpoint and its group, and tag both."""
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group_id = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc_id)["GroupId"]
    endpoint = ec2.create_vpc_endpoint(
        VpcEndpointType="Interface",
        VpcId=vpc_id,
        ServiceName="com.amazonaws.ap-northeast-1.s3",
        SecurityGroupIds=[group_id],
    )
    ids = endpoint["VpcEndpoint"]["VpcEndpointId"], group_id
    ec2.create_tags(Resources=list(ids), Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    return ids


def by_the_product(ec2: EC2Client, *, site: str, run: str) -> tuple[str, str]:
    return made(ec2, **{SITE_TAG: site, CREATOR_TAG: run})


def own(ec2: EC2Client) -> Ec2OwnEndpoints:
    return Ec2OwnEndpoints(ec2, site="tokyo")


def test_things_of_a_run_are_found_by_both_tags_and_deleted(ec2: EC2Client) -> None:
    """Neither those of another run, nor those of another site."""
    mine = by_the_product(ec2, site="tokyo", run="run-1")
    others = by_the_product(ec2, site="tokyo", run="run-2"), by_the_product(ec2, site="osaka", run="run-1")

    first = undo(own(ec2), run="run-1", published_endpoint=None)
    second = undo(own(ec2), run="run-1", published_endpoint=None)

    assert (first, second) == (list(mine), [])
    assert list(own(ec2).endpoints(run="run-2")) == [others[0][0]]
    assert list(Ec2OwnEndpoints(ec2, site="osaka").groups(run="run-1")) == [others[1][1]]


def test_without_a_run_everything_of_the_site_is_found_and_nothing_of_others(ec2: EC2Client) -> None:
    """Somebody's endpoint that only carries the site's tag is not ours to delete."""
    tokyo = [by_the_product(ec2, site="tokyo", run=run) for run in ("run-1", "run-2")]
    osaka = by_the_product(ec2, site="osaka", run="run-1")
    theirs = made(ec2, **{SITE_TAG: "tokyo"}), made(ec2, **{CREATOR_TAG: "run-1"}), made(ec2, owner="us")

    removed = remove(own(ec2), keep=[])
    there = {
        endpoint["VpcEndpointId"]
        for endpoint in ec2.describe_vpc_endpoints()["VpcEndpoints"]
        if endpoint["State"].lower() != "deleted"
    }

    assert sorted(removed) == sorted(thing for ids in tokyo for thing in ids)
    assert there == {osaka[0], *(ids[0] for ids in theirs)}


def test_the_groups_of_kept_endpoints_are_those_that_ec2_names() -> None:
    """Whoever made them; by a filter, because an id that is gone already would be an error."""
    client = boto3.client("ec2")
    with Stubber(client) as stub:
        stub.add_response(
            "describe_vpc_endpoints",
            {
                "VpcEndpoints": [
                    {"VpcEndpointId": "vpce-1", "Groups": [{"GroupId": "sg-1"}, {"GroupId": "sg-2"}]},
                    {"VpcEndpointId": "vpce-2"},
                ]
            },
            {"Filters": [{"Name": "vpc-endpoint-id", "Values": ["vpce-1", "vpce-2", "vpce-gone"]}]},
        )

        assert list(own(client).groups_of(["vpce-1", "vpce-2", "vpce-gone"])) == ["sg-1", "sg-2"]


def test_asking_for_the_groups_of_no_endpoint_asks_nobody() -> None:
    """An empty filter would be answered with everybody's."""
    client = boto3.client("ec2")
    with Stubber(client):
        assert list(own(client).groups_of([])) == []


@pytest.mark.parametrize(
    ("state", "left"), [("available", True), ("Failed", True), ("Deleting", False), ("deleted", False)]
)
def test_what_is_going_already_is_not_deleted_again(state: str, *, left: bool) -> None:
    """A failed endpoint costs money as well: it goes; one that is deleting would be an error."""
    assert found(State=state) is left


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"VpcEndpointType": "interface"}, True),
        ({"VpcEndpointType": "Gateway"}, False),
        ({"ServiceName": "com.amazonaws.ap-northeast-1.ec2"}, False),
        ({"ServiceName": "com.amazonaws.ap-northeast-1.s3express"}, False),
        ({"ServiceName": "cn.com.amazonaws.cn-north-1.s3"}, True),
    ],
)
def test_what_only_carries_our_tags_is_not_deleted(changes: dict[str, str], *, left: bool) -> None:
    """Anyone who may tag can put them on a gateway that a whole VPC uses."""
    assert found(**changes) is left


def found(**changes: str) -> bool:
    """Say whether the adapter takes an endpoint for the product's, as EC2 describes it."""
    client = boto3.client("ec2")
    endpoint = {
        "VpcEndpointId": "vpce-1",
        "VpcEndpointType": "Interface",
        "ServiceName": "com.amazonaws.ap-northeast-1.s3",
        "State": "available",
        **changes,
    }
    with Stubber(client) as stub:
        stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": [endpoint]})
        return bool(own(client).endpoints(run="run-1"))


def unsuccessful(*problems: tuple[str, str]) -> None:
    """Delete endpoints, and let EC2 say of each that it failed."""
    client = boto3.client("ec2")
    names = [f"vpce-{number}" for number in range(len(problems))]
    with Stubber(client) as stub:
        stub.add_response(
            "delete_vpc_endpoints",
            {
                "Unsuccessful": [
                    {"ResourceId": name, "Error": {"Code": code, "Message": message}}
                    for name, (code, message) in zip(names, problems, strict=True)
                ]
            },
            {"VpcEndpointIds": names},
        )
        own(client).delete_endpoints(names)


def test_an_endpoint_that_could_not_be_deleted_is_an_error() -> None:
    """EC2 says it in a successful answer: unread, the endpoint would stay and cost money."""
    with pytest.raises(AwsRefusedError, match=r"vpce-1: not yours$"):
        unsuccessful(("InvalidVpcEndpoint.NotFound", "gone"), ("UnauthorizedOperation", "not yours"))


@pytest.mark.parametrize("code", ["InvalidVpcEndpoint.NotFound", "InvalidVpcEndpointId.NotFound"])
def test_an_endpoint_that_somebody_else_has_deleted_meanwhile_is_fine(code: str) -> None:
    """Gone is what we want."""
    unsuccessful((code, "does not exist"))


def test_a_group_that_is_gone_or_in_use_is_told_apart() -> None:
    """Gone is what we want; in use passes; anything else a person must see."""
    client = boto3.client("ec2")
    with Stubber(client) as stub:
        stub.add_client_error("delete_security_group", "InvalidGroup.NotFound")
        stub.add_client_error("delete_security_group", "DependencyViolation")
        stub.add_client_error("delete_security_group", "UnauthorizedOperation")

        own(client).delete_group("sg-1")
        with pytest.raises(GroupInUseError, match="sg-1"):
            own(client).delete_group("sg-1")
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            own(client).delete_group("sg-1")
