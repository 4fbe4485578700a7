"""The EC2 adapter: what it sends, and how it reads what EC2 answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from moto import mock_aws
from mypy_boto3_ec2 import EC2Client

from lambdas.core.errors import ConcurrentChangeError, EndpointRefusedError
from lambdas.ensure_endpoint.ec2_endpoints import Ec2Endpoints
from lambdas.ensure_endpoint.logic import EndpointChange, SecurityGroup
from tests.unit.sites import REGION

TAGS = {"vbr-privatelink": "tokyo", "vbr-privatelink-created-by": "run-1"}
OURS = {"vbr-privatelink": "tokyo", "vbr-privatelink-created-by": None}
UNCHANGED = EndpointChange(
    add_subnets=frozenset(),
    remove_subnets=frozenset(),
    add_groups=frozenset(),
    remove_groups=frozenset(),
    policy=None,
    private_dns_off=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """An emulated EC2 with a VPC."""

    client: EC2Client
    endpoints: Ec2Endpoints
    vpc_id: str
    subnet_id: str


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with mock_aws():
        client = boto3.client("ec2")
        vpc_id = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = client.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24", AvailabilityZone=f"{REGION}a")
        yield World(
            client=client,
            endpoints=Ec2Endpoints(client),
            vpc_id=vpc_id,
            subnet_id=subnet["Subnet"]["SubnetId"],
        )


def test_a_group_is_created_empty_and_found_by_its_tags(world: World) -> None:
    """A run that was killed right after the call finds it again."""
    created = world.endpoints.create_group("vbr", vpc_id=world.vpc_id, tags=TAGS)

    assert world.endpoints.groups_tagged(OURS, vpc_id=world.vpc_id) == [created]
    assert world.endpoints.groups_tagged({"vbr-privatelink": "osaka"}, vpc_id=world.vpc_id) == []
    assert world.endpoints.groups_tagged(OURS, vpc_id="vpc-0123456789abcdef0") == []
    assert world.endpoints.group(created.id) == created
    assert world.endpoints.group("sg-0123456789abcdef0") is None


def test_a_group_whose_creation_was_not_answered_is_found(world: World) -> None:
    """The connection dropped after EC2 had made it; the retry must not fail on the taken name."""
    first = world.endpoints.create_group("vbr", vpc_id=world.vpc_id, tags=TAGS)

    assert world.endpoints.create_group("vbr", vpc_id=world.vpc_id, tags=TAGS) == first


def test_a_foreign_group_of_the_same_name_is_refused_with_the_fix(world: World) -> None:
    """EC2's own words name neither the setting nor a way out."""
    world.endpoints.create_group("vbr", vpc_id=world.vpc_id, tags={"owner": "somebody"})

    with pytest.raises(EndpointRefusedError, match=r"^security_group_id: .* rename or delete it"):
        world.endpoints.create_group("vbr", vpc_id=world.vpc_id, tags=TAGS)


def test_a_network_that_somebody_let_in_meanwhile_is_looked_at_again(world: World) -> None:
    """EC2 refuses the whole call for one rule that is there already; a second look ends it."""
    group = world.endpoints.create_group("vbr", vpc_id=world.vpc_id, tags=TAGS)
    world.endpoints.change_sources(group.id, add=frozenset({"10.0.0.0/8"}), remove=frozenset())

    with pytest.raises(ConcurrentChangeError, match=group.id):
        world.endpoints.change_sources(group.id, add=frozenset({"10.0.0.0/8"}), remove=frozenset())


def test_networks_are_let_in_and_out(world: World) -> None:
    """Only those that differ are named; the others never lose their rule, not even for a moment."""
    group = world.endpoints.create_group("vbr", vpc_id=world.vpc_id, tags=TAGS)
    world.endpoints.change_sources(
        group.id, add=frozenset({"10.0.0.0/8", "192.168.0.0/16"}), remove=frozenset()
    )

    world.endpoints.change_sources(
        group.id, add=frozenset({"172.16.0.0/12"}), remove=frozenset({"10.0.0.0/8"})
    )
    changed = world.endpoints.group(group.id)

    assert changed is not None
    assert changed.sources == frozenset({"192.168.0.0/16", "172.16.0.0/12"})
    assert changed.other_rules == 0


def test_foreign_rules_are_seen_and_removed(world: World) -> None:
    """SSH from everywhere, IPv6, another group: whatever isn't HTTPS from an on-premises network goes."""
    group = world.endpoints.create_group("vbr", vpc_id=world.vpc_id, tags=TAGS)
    world.endpoints.change_sources(group.id, add=frozenset({"10.0.0.0/8"}), remove=frozenset())
    world.client.authorize_security_group_ingress(
        GroupId=group.id,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group.id}]},
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
        ],
    )
    before = world.endpoints.group(group.id)

    for _ in range(2):
        world.endpoints.remove_other_rules(group.id)
    after = world.endpoints.group(group.id)

    assert before is not None
    assert before.other_rules == 3
    assert after == SecurityGroup(
        id=group.id, vpc_id=world.vpc_id, sources=frozenset({"10.0.0.0/8"}), other_rules=0
    )


def test_a_network_beside_a_foreign_source_in_one_rule_is_repaired(world: World) -> None:
    """
    EC2 groups rules by port: HTTPS from on-premises and HTTPS from IPv6 come as one item.

    Removing the item removes our own network with it, so the repair must end with it still let in.
    """
    group = world.endpoints.create_group("vbr", vpc_id=world.vpc_id, tags=TAGS)
    world.endpoints.change_sources(group.id, add=frozenset({"10.0.0.0/8"}), remove=frozenset())
    world.client.authorize_security_group_ingress(
        GroupId=group.id,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
        ],
    )
    seen = world.endpoints.group(group.id)
    assert seen is not None

    wanted = frozenset({"10.0.0.0/8"})
    if seen.sources != wanted:
        world.endpoints.change_sources(group.id, add=wanted - seen.sources, remove=seen.sources - wanted)
    if seen.other_rules:
        world.endpoints.remove_other_rules(group.id)
    after = world.endpoints.group(group.id)

    assert after is not None
    assert (after.sources, after.other_rules) == (wanted, 0)


def test_an_endpoint_is_created_and_found_by_its_tags(world: World) -> None:
    """Explicit group, private DNS off, tagged in the same call."""
    group = world.endpoints.create_group("vbr", vpc_id=world.vpc_id, tags=TAGS)

    endpoint_id = world.endpoints.create_endpoint(
        service_name=world.endpoints.service_name(),
        vpc_id=world.vpc_id,
        subnet_ids=[world.subnet_id],
        group_ids=[group.id],
        policy='{"Version": "2012-10-17", "Statement": []}',
        tags=TAGS,
        client_token="token",
    )
    (found,) = world.endpoints.endpoints_tagged(OURS)

    assert found == world.endpoints.endpoint(endpoint_id)
    assert (found.id, found.state, found.kind) == (endpoint_id, "available", "interface")
    assert found.service_name == f"com.amazonaws.{REGION}.s3"
    assert found.subnet_ids == frozenset({world.subnet_id})
    assert found.security_group_ids == frozenset({group.id})
    assert found.private_dns is False
    assert found.policy == {"Version": "2012-10-17", "Statement": []}
    assert found.created_at
    assert world.endpoints.endpoint("vpce-0123456789abcdef0") is None


def test_endpoints_are_found_in_every_vpc(world: World) -> None:
    """After the site was moved, the old one is in another VPC, and must not be forgotten there."""
    vpcs = [world.vpc_id, world.client.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]]
    made = [
        world.endpoints.create_endpoint(
            service_name=world.endpoints.service_name(),
            vpc_id=vpc_id,
            subnet_ids=[],
            group_ids=[],
            policy="{}",
            tags=TAGS,
            client_token=vpc_id,
        )
        for vpc_id in vpcs
    ]

    found = world.endpoints.endpoints_tagged(OURS)

    assert {(endpoint.id, endpoint.vpc_id) for endpoint in found} == set(zip(made, vpcs, strict=True))
    assert world.endpoints.endpoints_tagged({**OURS, "vbr-privatelink": "osaka"}) == []


def test_create_sends_what_the_facts_demand() -> None:
    """Left out, private DNS could be on and the VPC's default group used: on-prem would be shut out."""
    client = boto3.client("ec2")
    with Stubber(client) as stub:
        stub.add_response(
            "create_vpc_endpoint",
            {"VpcEndpoint": {"VpcEndpointId": "vpce-1"}},
            {
                "VpcEndpointType": "Interface",
                "ServiceName": "s",
                "VpcId": "v",
                "SubnetIds": ["subnet"],
                "SecurityGroupIds": ["group"],
                "PolicyDocument": "{}",
                "PrivateDnsEnabled": False,
                "ClientToken": "token",
                "TagSpecifications": [{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "a", "Value": "b"}]}],
            },
        )

        created = Ec2Endpoints(client).create_endpoint(
            service_name="s",
            vpc_id="v",
            subnet_ids=["subnet"],
            group_ids=["group"],
            policy="{}",
            tags={"a": "b"},
            client_token="token",
        )

    assert created == "vpce-1"


@pytest.mark.parametrize(
    ("change", "sent"),
    [
        ({"add_subnets": frozenset({"b", "a"})}, {"AddSubnetIds": ["a", "b"]}),
        ({"remove_subnets": frozenset({"a"})}, {"RemoveSubnetIds": ["a"]}),
        ({"add_groups": frozenset({"g"})}, {"AddSecurityGroupIds": ["g"]}),
        ({"remove_groups": frozenset({"g"})}, {"RemoveSecurityGroupIds": ["g"]}),
        ({"policy": "{}"}, {"PolicyDocument": "{}"}),
        ({"private_dns_off": True}, {"PrivateDnsEnabled": False}),
    ],
)
def test_only_what_differs_is_sent(change: dict[str, Any], sent: dict[str, Any]) -> None:
    """EC2 refuses empty lists, and what is not sent can't be changed by accident."""
    fields = {
        name: getattr(UNCHANGED, name)
        for name in (
            "add_subnets",
            "remove_subnets",
            "add_groups",
            "remove_groups",
            "policy",
            "private_dns_off",
        )
    }
    client = boto3.client("ec2")
    with Stubber(client) as stub:
        stub.add_response("modify_vpc_endpoint", {}, {"VpcEndpointId": "vpce-1", **sent})

        Ec2Endpoints(client).change_endpoint("vpce-1", EndpointChange(**{**fields, **change}))

        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("offered", "name"),
    [
        (
            ["com.amazonaws.ap-northeast-1.s3", "com.amazonaws.ap-northeast-1.ec2"],
            "com.amazonaws.ap-northeast-1.s3",
        ),
        (
            ["cn.com.amazonaws.cn-north-1.s3", "cn.com.amazonaws.cn-north-1.s3express"],
            "cn.com.amazonaws.cn-north-1.s3",
        ),
        # With both kinds of endpoint EC2 names the service twice.
        (["com.amazonaws.us-east-1.s3", "com.amazonaws.us-east-1.s3"], "com.amazonaws.us-east-1.s3"),
    ],
)
def test_the_service_is_found_and_not_built(offered: list[str], name: str) -> None:
    """Partitions spell it differently."""
    client = boto3.client("ec2")
    with Stubber(client) as stub:
        stub.add_response("describe_vpc_endpoint_services", {"ServiceNames": offered}, {"Filters": ANY})

        assert Ec2Endpoints(client).service_name() == name


@pytest.mark.parametrize("offered", [[], ["a.s3", "b.s3"]])
def test_a_region_without_exactly_one_service_is_refused(offered: list[str]) -> None:
    """Guessing between two would be a coin toss about where backups go."""
    client = boto3.client("ec2")
    with Stubber(client) as stub:
        stub.add_response("describe_vpc_endpoint_services", {"ServiceNames": offered}, {"Filters": ANY})

        with pytest.raises(EndpointRefusedError, match="interface endpoint services for S3"):
            Ec2Endpoints(client).service_name()


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("describe_vpc_endpoints", "RequestLimitExceeded"),
        ("describe_security_groups", "RequestLimitExceeded"),
    ],
)
def test_an_error_is_not_taken_for_absence(call: str, code: str) -> None:
    """ "Throttled" read as "not there" would make a second endpoint."""
    client = boto3.client("ec2")
    endpoints = Ec2Endpoints(client)
    with Stubber(client) as stub:
        stub.add_client_error(call, code)

        with pytest.raises(ClientError, match=code):
            endpoints.endpoint("vpce-1") if call == "describe_vpc_endpoints" else endpoints.group("sg-1")
