"""
Interface endpoints: pending, named, in subnets, changed, deleted; and what S3 makes of who comes through
one.
"""

import ipaddress
import json
import re
import time
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.aws import EmbeddedAws, Network
from sandbox.aws.testing import wait_until

SERVICE = "com.amazonaws.ap-northeast-1.s3"
ONCE = Config(retries={"total_max_attempts": 1})
REGIONAL = re.compile(r"\*\.vpce-0[0-9a-f]{16}-[0-9a-z]{8}\.s3\.ap-northeast-1\.vpce\.amazonaws\.com")
ZONAL = re.compile(
    r"\*\.vpce-0[0-9a-f]{16}-[0-9a-z]{8}-ap-northeast-1[a-z]\.s3\.ap-northeast-1\.vpce\.amazonaws\.com"
)


@pytest.fixture(name="network", scope="module")
def _network(aws: EmbeddedAws) -> Network:
    return aws.create_network("tokyo")


@pytest.fixture(name="ec2", scope="module")
def _ec2(aws: EmbeddedAws) -> Any:
    return aws.client("ec2")


def specification(network: Network, **changes: Any) -> dict[str, Any]:
    """Return the arguments of CreateVpcEndpoint as the product sends them, but for *changes*."""
    return {
        "VpcEndpointType": "Interface",
        "VpcId": network.vpc_id,
        "ServiceName": SERVICE,
        "SubnetIds": list(network.subnet_ids),
        "PrivateDnsEnabled": False,
        "TagSpecifications": [
            {"ResourceType": "vpc-endpoint", "Tags": [{"Key": "vbr-privatelink", "Value": "tokyo"}]}
        ],
        **changes,
    }


def described(ec2: Any, endpoint: dict[str, Any]) -> dict[str, Any]:
    """Return the endpoint as it is now."""
    found: dict[str, Any] = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])[
        "VpcEndpoints"
    ][0]
    return found


def available(ec2: Any, endpoint: dict[str, Any]) -> dict[str, Any]:
    """Wait for the endpoint."""
    wait_until(lambda: described(ec2, endpoint)["State"] == "available", what="the endpoint is available")
    return described(ec2, endpoint)


def host_of(endpoint: dict[str, Any]) -> str:
    """Return the regional name with `bucket` for the star."""
    name = next(entry["DnsName"] for entry in endpoint["DnsEntries"] if REGIONAL.fullmatch(entry["DnsName"]))
    return str(name).replace("*", "bucket", 1)


def code_of(call: Any, **arguments: Any) -> str:
    """Return the code of the error that *call* ends in."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_its_names_are_awss_and_in_no_order(ec2: Any, network: Network) -> None:
    """A product that takes the first name works until it doesn't."""
    firsts = set()
    for _ in range(30):
        endpoint = ec2.create_vpc_endpoint(**specification(network))["VpcEndpoint"]
        names = [entry["DnsName"] for entry in endpoint["DnsEntries"]]
        firsts.add(bool(REGIONAL.fullmatch(names[0])))

        assert len(names) == 3
        assert sum(bool(REGIONAL.fullmatch(name)) for name in names) == 1
        assert sum(bool(ZONAL.fullmatch(name)) for name in names) == 2

    assert firsts == {True, False}


def test_it_has_an_address_in_each_subnet(ec2: Any, network: Network) -> None:
    """The client compares what DNS answers with these addresses."""
    endpoint = ec2.create_vpc_endpoint(**specification(network))["VpcEndpoint"]
    interfaces = ec2.describe_network_interfaces(NetworkInterfaceIds=endpoint["NetworkInterfaceIds"])[
        "NetworkInterfaces"
    ]
    subnets = {
        subnet["SubnetId"]: ipaddress.ip_network(subnet["CidrBlock"])
        for subnet in ec2.describe_subnets(SubnetIds=list(network.subnet_ids))["Subnets"]
    }

    assert {interface["SubnetId"] for interface in interfaces} == set(network.subnet_ids)
    for interface in interfaces:
        assert ipaddress.ip_address(interface["PrivateIpAddress"]) in subnets[interface["SubnetId"]]
        assert interface["Groups"] == endpoint["Groups"]


def test_without_groups_it_gets_the_default_one(ec2: Any, network: Network) -> None:
    """That shuts on-premises out, so the product must name its own."""
    endpoint = ec2.create_vpc_endpoint(**specification(network))["VpcEndpoint"]

    assert [group["GroupName"] for group in endpoint["Groups"]] == ["default"]


def test_the_client_token_makes_creation_idempotent(ec2: Any, network: Network) -> None:
    """A retried step must not end in two endpoints; another request with the same token is an error."""
    first = ec2.create_vpc_endpoint(**specification(network, ClientToken="token"))["VpcEndpoint"]
    second = ec2.create_vpc_endpoint(**specification(network, ClientToken="token"))["VpcEndpoint"]
    mismatch = code_of(
        ec2.create_vpc_endpoint,
        **specification(network, ClientToken="token", SubnetIds=[network.subnet_ids[0]]),
    )

    assert first["VpcEndpointId"] == second["VpcEndpointId"]
    assert mismatch == "IdempotentParameterMismatch"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"VpcId": "vpc-0123456789abcdef0"}, "InvalidVpcID.NotFound"),
        ({"SubnetIds": ["subnet-0123456789abcdef0"]}, "InvalidSubnetID.NotFound"),
        ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"ServiceName": "com.amazonaws.ap-northeast-1.s4"}, "InvalidServiceName"),
        ({"PrivateDnsEnabled": True}, "InvalidParameter"),
    ],
)
def test_what_aws_refuses_is_refused(ec2: Any, network: Network, change: dict[str, Any], code: str) -> None:
    """moto takes any id."""
    assert code_of(ec2.create_vpc_endpoint, **specification(network, **change)) == code


def test_unknown_endpoints_are_not_found(ec2: Any) -> None:
    """Describe answers so right after creation, too; the product must cope."""
    unknown = "vpce-0123456789abcdef0"

    assert code_of(ec2.describe_vpc_endpoints, VpcEndpointIds=[unknown]) == "InvalidVpcEndpointId.NotFound"
    refused = ec2.delete_vpc_endpoints(VpcEndpointIds=[unknown])["Unsuccessful"]
    assert refused[0]["Error"]["Code"] == "InvalidVpcEndpointId.NotFound"


def test_filters_find_it(ec2: Any, network: Network) -> None:
    """Leftovers of an aborted run are found by tag."""
    tag = [{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "vbr-privatelink", "Value": "filters"}]}]
    endpoint = ec2.create_vpc_endpoint(**specification(network, TagSpecifications=tag))["VpcEndpoint"]
    matching = {
        "tag:vbr-privatelink": "filters",
        "vpc-id": network.vpc_id,
        "service-name": SERVICE,
        "vpc-endpoint-type": "Interface",
        "vpc-endpoint-state": "pending",
    }
    found = ec2.describe_vpc_endpoints(
        Filters=[{"Name": name, "Values": [value]} for name, value in matching.items()]
    )["VpcEndpoints"]

    assert [one["VpcEndpointId"] for one in found] == [endpoint["VpcEndpointId"]]
    for name in matching:
        filters = [
            {"Name": "tag:vbr-privatelink", "Values": ["filters"]},
            {"Name": name, "Values": ["other"]},
        ]
        assert ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"] == []


def test_the_service_is_found_by_type(ec2: Any) -> None:
    """Its name differs between partitions: the product must look it up."""
    filters = [{"Name": "service-type", "Values": ["Interface"]}]
    details = ec2.describe_vpc_endpoint_services(Filters=filters)["ServiceDetails"]
    of_s3 = [detail for detail in details if detail["ServiceName"].endswith(".s3")]
    both = ec2.describe_vpc_endpoint_services(ServiceNames=[SERVICE])["ServiceDetails"]

    assert [detail["ServiceName"] for detail in of_s3] == [SERVICE]
    assert {detail["ServiceType"][0]["ServiceType"] for detail in both} == {"Interface", "Gateway"}


def test_modifying_really_changes_it(ec2: Any, network: Network) -> None:
    """Subnets, groups and policy: each with its interfaces."""
    endpoint = available(ec2, ec2.create_vpc_endpoint(**specification(network))["VpcEndpoint"])
    group = ec2.create_security_group(GroupName="modify", Description="-", VpcId=network.vpc_id)["GroupId"]
    policy = json.dumps(
        {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}]}
    )
    ec2.modify_vpc_endpoint(
        VpcEndpointId=endpoint["VpcEndpointId"],
        AddSecurityGroupIds=[group],
        RemoveSecurityGroupIds=[endpoint["Groups"][0]["GroupId"]],
        RemoveSubnetIds=[network.subnet_ids[0]],
        PolicyDocument=policy,
    )
    changed = described(ec2, endpoint)
    interfaces = ec2.describe_network_interfaces(NetworkInterfaceIds=changed["NetworkInterfaceIds"])

    assert [one["GroupId"] for one in changed["Groups"]] == [group]
    assert changed["SubnetIds"] == [network.subnet_ids[1]]
    assert changed["PolicyDocument"] == policy
    assert len(changed["DnsEntries"]) == 2
    assert [one["GroupId"] for one in interfaces["NetworkInterfaces"][0]["Groups"]] == [group]


def test_it_is_deleting_before_it_is_gone_and_its_group_is_in_use_until_then(
    ec2: Any, network: Network
) -> None:
    """Deleting the group at once fails on AWS; a product that doesn't wait leaves it behind."""
    group = ec2.create_security_group(GroupName="delete", Description="-", VpcId=network.vpc_id)["GroupId"]
    asked = specification(network, SecurityGroupIds=[group], ClientToken="dead")
    endpoint = ec2.create_vpc_endpoint(**asked)["VpcEndpoint"]
    in_use = code_of(ec2.delete_security_group, GroupId=group)
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])
    state = described(ec2, endpoint)["State"]
    still_in_use = code_of(ec2.delete_security_group, GroupId=group)
    time.sleep(0.3)

    assert (in_use, state, still_in_use) == ("DependencyViolation", "deleting", "DependencyViolation")
    assert code_of(ec2.describe_vpc_endpoints, VpcEndpointIds=[endpoint["VpcEndpointId"]]).endswith(
        "NotFound"
    )
    ec2.delete_security_group(GroupId=group)
    # The same token answers with the dead one, as on AWS.
    with pytest.raises(ClientError):
        ec2.describe_vpc_endpoints(
            VpcEndpointIds=[
                ec2.create_vpc_endpoint(**{**asked, "SecurityGroupIds": [group]})["VpcEndpoint"][
                    "VpcEndpointId"
                ]
            ]
        )


def test_a_deleted_endpoint_gives_its_addresses_back(ec2: Any, network: Network) -> None:
    """A site that is provisioned and released for years must not use its subnets up."""

    def free() -> list[int]:
        subnets = ec2.describe_subnets(SubnetIds=list(network.subnet_ids))["Subnets"]
        return [subnet["AvailableIpAddressCount"] for subnet in subnets]

    before = free()
    endpoint = ec2.create_vpc_endpoint(**specification(network))["VpcEndpoint"]
    during = free()
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])
    wait_until(
        lambda: (
            not ec2.describe_vpc_endpoints(
                Filters=[{"Name": "vpc-endpoint-id", "Values": [endpoint["VpcEndpointId"]]}]
            )["VpcEndpoints"]
        ),
        what="the endpoint is gone",
    )

    assert during == [count - 1 for count in before]
    assert free() == before


def test_the_source_endpoint_comes_from_the_host_alone(aws: EmbeddedAws, ec2: Any, network: Network) -> None:
    """In through the right endpoint, out through any other door: the heart of the lock-down."""
    right = available(ec2, ec2.create_vpc_endpoint(**specification(network))["VpcEndpoint"])
    wrong = available(ec2, ec2.create_vpc_endpoint(**specification(network))["VpcEndpoint"])
    outside = aws.client("s3")
    outside.create_bucket(Bucket="locked", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::locked/*",
        "Condition": {
            "StringNotEquals": {"aws:SourceVpce": right["VpcEndpointId"]},
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        },
    }
    outside.put_bucket_policy(
        Bucket="locked", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    )
    inside = aws.client("s3", endpoint_url=f"https://{host_of(right)}")
    virtual = aws.client(
        "s3", endpoint_url=f"https://{host_of(right)}", config=Config(s3={"addressing_style": "virtual"})
    )
    astray = aws.client("s3", endpoint_url=f"https://{host_of(wrong)}")
    inside.put_object(Bucket="locked", Key="Veeam/one", Body=b"1")
    line = aws.requests()[-1]
    virtual.put_object(Bucket="locked", Key="Veeam/two", Body=b"2")

    assert line["vpce"] == right["VpcEndpointId"]
    assert line["host"] == host_of(right)
    assert aws.requests()[-1]["host"] == f"locked.{host_of(right)}"
    for client in (outside, astray):
        assert code_of(client.put_object, Bucket="locked", Key="Veeam/three", Body=b"3") == "AccessDenied"
    assert [entry["Key"] for entry in outside.list_objects_v2(Bucket="locked")["Contents"]] == [
        "Veeam/one",
        "Veeam/two",
    ]


def test_the_endpoints_own_policy_is_asked_too(aws: EmbeddedAws, ec2: Any, network: Network) -> None:
    """It keeps stolen keys from carrying data out through the endpoint."""
    policy = {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": ["arn:aws:s3:::repository", "arn:aws:s3:::repository/*"],
            },
            {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "*"},
        ]
    }
    endpoint = available(
        ec2,
        ec2.create_vpc_endpoint(**specification(network, PolicyDocument=json.dumps(policy)))["VpcEndpoint"],
    )
    outside = aws.client("s3")
    for name in ("repository", "elsewhere"):
        outside.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    inside = aws.client("s3", endpoint_url=f"https://{host_of(endpoint)}")
    inside.put_object(Bucket="repository", Key="key", Body=b"")

    with pytest.raises(ClientError, match="because no VPC endpoint policy allows the s3:PutObject action"):
        inside.put_object(Bucket="elsewhere", Key="key", Body=b"")
    with pytest.raises(ClientError, match="with an explicit deny in a VPC endpoint policy"):
        inside.delete_object(Bucket="repository", Key="key")
