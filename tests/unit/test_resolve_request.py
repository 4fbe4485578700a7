"""The first step that can refuse the settings: nothing has been created yet, so it refuses all it can."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from contract.errors import ContractError
from contract.names import SiteName
from contract.settings import settings_digest
from lambdas.core.errors import (
    InvalidRequestError,
    NetworkNotFoundError,
    SettingsNotDeployedError,
    StepError,
)
from lambdas.core.execution import Execution
from lambdas.core.site import KnownSite, Site
from lambdas.resolve_request.ec2_network import Ec2Network
from lambdas.resolve_request.logic import Subnet, resolve, resolve_for_release
from lambdas.resolve_request.ssm_settings import SsmSettings
from tests.unit.sites import ACCOUNT, REGION, execution

TOKYO = SiteName("tokyo")
VPC, OTHER_VPC = "vpc-0000000a", "vpc-0000000b"
MINIMAL: dict[str, Any] = {
    "schema_version": 1,
    "site": "tokyo",
    "onprem_cidrs": ["192.168.0.0/16"],
    "buckets": [{"folder": "tokyo", "immutability_days": 0}],
}


def a_subnet(last: str, *, zone: str = "a", vpc_id: str = VPC) -> Subnet:
    return Subnet(id=f"subnet-0000000{last}", vpc_id=vpc_id, availability_zone=f"{REGION}{zone}")


@dataclass
class InMemoryNetwork:
    """VPCs and subnets, and which of them carry the site's tag."""

    vpcs: set[str] = field(default_factory=lambda: {VPC, OTHER_VPC})
    tagged_vpcs: list[str] = field(default_factory=lambda: [VPC])
    all_subnets: list[Subnet] = field(default_factory=lambda: [a_subnet("a"), a_subnet("c", zone="c")])
    tagged_subnets: list[Subnet] = field(default_factory=lambda: [a_subnet("a"), a_subnet("c", zone="c")])

    def vpc_exists(self, vpc_id: str) -> bool:
        return vpc_id in self.vpcs

    def vpcs_tagged(self, key: str, value: str) -> Sequence[str]:
        assert (key, value) == ("vbr-privatelink", "tokyo")
        return self.tagged_vpcs

    def subnets(self, subnet_ids: Sequence[str]) -> Sequence[Subnet]:
        return [subnet for subnet in self.all_subnets if subnet.id in subnet_ids]

    def subnets_tagged(self, key: str, value: str, *, vpc_id: str) -> Sequence[Subnet]:
        assert (key, value) == ("vbr-privatelink", "tokyo")
        return [subnet for subnet in self.tagged_subnets if subnet.vpc_id == vpc_id]


@dataclass
class StoredText:
    """The settings parameter."""

    text: str

    def read(self, site: SiteName) -> str:
        assert site == TOKYO
        return self.text

    def digests(self) -> dict[str, str]:
        """What the stack that wrote it tells the function."""
        return {TOKYO: settings_digest(self.text)}


def resolved(network: InMemoryNetwork | None = None, **settings: Any) -> Site:
    stored = StoredText(json.dumps({**MINIMAL, **settings}))
    return resolve(
        stored,
        network or InMemoryNetwork(),
        site=TOKYO,
        execution=Execution.from_arn(execution("a")),
        digests=stored.digests(),
    )


def test_a_site_is_found_by_its_tags_alone() -> None:
    """A StackSet has no ids of each account: the tag on VPC and subnets must be enough."""
    site = resolved()

    assert (site.vpc_id, site.subnet_ids) == (VPC, ("subnet-0000000a", "subnet-0000000c"))
    assert (site.partition, site.region, site.account_id) == ("aws", REGION, ACCOUNT)
    assert [bucket.name for bucket in site.buckets] == [f"vbr-tokyo-{ACCOUNT}-{REGION}"]
    assert site.endpoint_policy == "restricted"


def test_a_site_is_resolved_the_same_twice() -> None:
    """Order and choice must not depend on how AWS orders its answers, or every run repairs something."""
    network = InMemoryNetwork(tagged_subnets=[a_subnet("c", zone="c"), a_subnet("b"), a_subnet("a")])
    turned = InMemoryNetwork(tagged_subnets=list(reversed(network.tagged_subnets)))

    assert resolved(network) == resolved(turned)
    assert resolved(network).subnet_ids == ("subnet-0000000a", "subnet-0000000c")
    # Every one that would do is known, so that an endpoint in the second of a zone stays there.
    assert resolved(network).subnet_zones == {
        "subnet-0000000a": f"{REGION}a",
        "subnet-0000000b": f"{REGION}a",
        "subnet-0000000c": f"{REGION}c",
    }


def test_named_ids_are_used() -> None:
    """Who names them has no tags."""
    network = InMemoryNetwork(tagged_vpcs=[], tagged_subnets=[])

    site = resolved(network, vpc_id=VPC, subnet_ids=["subnet-0000000c", "subnet-0000000a"])

    assert (site.vpc_id, site.subnet_ids) == (VPC, ("subnet-0000000a", "subnet-0000000c"))


def test_everything_else_in_the_settings_reaches_the_steps() -> None:
    """A setting that is dropped here silently does nothing."""
    given: dict[str, Any] = {
        "endpoint_policy": "full",
        "additional_buckets": ["old-backups"],
        "vpc_endpoint_id": "vpce-0123456789abcdef0",
        "security_group_id": "sg-0123456789abcdef0",
        "policy_administrators": ["arn:aws:iam::111122223333:role/break-glass"],
        "additional_endpoint_ids": ["vpce-0fedcba9876543210"],
        "expected_servers": ["vbr01", "vbr02"],
        "release_deadline_hours": 72,
        "onprem_cidrs": ["10.0.0.0/8"],
        "buckets": [{"name": "archive", "folder": "Archive", "immutability_days": 30}],
    }

    site = resolved(**given).model_dump(mode="json")

    assert {name: site[name] for name in given} == given


def test_a_site_to_be_released_is_known_without_its_network() -> None:
    """Its VPC may be gone, or its tags: that must not keep servers from going back."""
    given: dict[str, Any] = {"expected_servers": ["vbr01"], "release_deadline_hours": 72}

    stored = StoredText(json.dumps({**MINIMAL, **given}))
    known = resolve_for_release(
        stored, site=TOKYO, execution=Execution.from_arn(execution("a")), digests=stored.digests()
    )

    assert type(known) is KnownSite
    assert known == KnownSite.model_validate(
        {name: getattr(resolved(**given), name) for name in KnownSite.model_fields}
    )


@pytest.mark.parametrize("settings", [{"site": "osaka"}, {"onprem_cidrs": []}, {"schema_version": 2}])
def test_a_release_refuses_the_same_settings(settings: dict[str, Any]) -> None:
    """Its buckets' policies are changed: those of another site must not be."""
    stored = StoredText(json.dumps({**MINIMAL, **settings}))

    with pytest.raises((InvalidRequestError, ContractError)):
        resolve_for_release(
            stored, site=TOKYO, execution=Execution.from_arn(execution("a")), digests=stored.digests()
        )


@pytest.mark.parametrize(
    ("network", "settings", "refusal"),
    [
        (
            InMemoryNetwork(tagged_vpcs=[]),
            {},
            r"^vpc_id: no VPCs carry the tag vbr-privatelink=tokyo; tag exactly one, or name it in vpc_id$",
        ),
        (
            InMemoryNetwork(tagged_vpcs=[VPC, OTHER_VPC]),
            {},
            r"^vpc_id: 2 VPCs carry the tag vbr-privatelink=tokyo; tag exactly one",
        ),
        (
            InMemoryNetwork(),
            {"vpc_id": "vpc-0000000f"},
            r"^vpc_id: vpc-0000000f does not exist in this account and Region; correct the settings$",
        ),
        (
            InMemoryNetwork(tagged_subnets=[]),
            {},
            (
                r"^subnet_ids: no subnet of vpc-0000000a carries the tag vbr-privatelink=tokyo; "
                r"tag one per Availability Zone, or name them in subnet_ids$"
            ),
        ),
        (
            InMemoryNetwork(tagged_subnets=[a_subnet("d", vpc_id=OTHER_VPC)]),
            {},
            r"^subnet_ids: no subnet of vpc-0000000a carries the tag",
        ),
        (
            InMemoryNetwork(),
            {"vpc_id": VPC, "subnet_ids": ["subnet-0000000a", "subnet-0000000f"]},
            r"^subnet_ids: subnet-0000000f does not exist; correct the settings$",
        ),
        (
            InMemoryNetwork(all_subnets=[a_subnet("d", vpc_id=OTHER_VPC)]),
            {"vpc_id": VPC, "subnet_ids": ["subnet-0000000d"]},
            r"^subnet_ids: subnet-0000000d is not in vpc-0000000a; correct the settings$",
        ),
    ],
)
def test_a_network_that_is_not_found_is_refused(
    network: InMemoryNetwork, settings: dict[str, Any], refusal: str
) -> None:
    """The message names the field and the fix; an endpoint in the wrong VPC would be worse than none."""
    with pytest.raises(NetworkNotFoundError, match=refusal):
        resolved(network, **settings)


def test_two_named_subnets_in_one_zone_are_refused() -> None:
    """An endpoint has one subnet per zone: EC2 would refuse it two steps later."""
    network = InMemoryNetwork(all_subnets=[a_subnet("a"), a_subnet("b")])

    with pytest.raises(InvalidRequestError, match=r"^subnet_ids: .* are both in .*; name one per zone$"):
        resolved(network, vpc_id=VPC, subnet_ids=["subnet-0000000a", "subnet-0000000b"])


def test_settings_of_another_site_are_refused() -> None:
    """A parameter that was copied by hand must not make one site's run change another's things."""
    with pytest.raises(InvalidRequestError, match=r"^site: the settings of tokyo speak of osaka"):
        resolved(site="osaka")


@pytest.mark.parametrize("settings", [{"onprem_cidrs": []}, {"unknown": 1}, {"schema_version": 2}])
def test_settings_that_break_a_rule_are_refused(settings: dict[str, Any]) -> None:
    """A parameter can be edited by hand in the console."""
    with pytest.raises(ContractError, match=next(iter(settings))):
        resolved(**settings)


def test_a_default_name_that_is_too_long_is_refused() -> None:
    """CreateBucket would say so a step later, in words that don't name the setting."""
    far = Execution.from_arn(execution("a").replace(REGION, f"ap-{'n' * 12}-{'e' * 12}-1"))

    stored = StoredText(json.dumps({**MINIMAL, "bucket_prefix": "p" * 20}))

    with pytest.raises(ContractError, match="bucket_prefix"):
        resolve(stored, InMemoryNetwork(), site=TOKYO, execution=far, digests=stored.digests())


@pytest.mark.parametrize(
    "edited",
    [
        {"policy_administrators": [f"arn:aws:iam::{ACCOUNT}:role/mallory"]},
        {"additional_endpoint_ids": ["vpce-0fedcba9876543210"]},
        {"expected_servers": ["vbr01"]},
        # The same settings in other words were not deployed either.
        {"policy_administrators": []},
    ],
)
def test_settings_that_were_not_deployed_are_refused(edited: dict[str, Any]) -> None:
    """Who may write the parameter and nothing else would let himself into every bucket of the site."""
    deployed = StoredText(json.dumps(MINIMAL))
    there = StoredText(json.dumps({**MINIMAL, **edited}))
    run = Execution.from_arn(execution("a"))
    message = r"^site: the settings parameter of tokyo is not what the stack wrote; .*cdk\.json and deployed"

    with pytest.raises(SettingsNotDeployedError, match=message):
        resolve(there, InMemoryNetwork(), site=TOKYO, execution=run, digests=deployed.digests())
    with pytest.raises(SettingsNotDeployedError, match=message):
        resolve_for_release(there, site=TOKYO, execution=run, digests=deployed.digests())
    with pytest.raises(SettingsNotDeployedError, match=message):
        resolve(there, InMemoryNetwork(), site=TOKYO, execution=run, digests={"osaka": ""})


def test_the_digest_is_sha_256() -> None:
    """Known from FIPS 180-2, appendix B.1: the stack of today must agree with the function of tomorrow."""
    assert settings_digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_bucket_that_is_named_like_the_default_one_is_refused() -> None:
    """The contract can't see it, and the document would be refused only after everything was created."""
    buckets = [
        *MINIMAL["buckets"],
        {"name": f"vbr-tokyo-{ACCOUNT}-{REGION}", "folder": "two", "immutability_days": 0},
    ]

    with pytest.raises(StepError, match=r"^buckets: .* twice"):
        resolved(buckets=buckets)


def test_the_network_is_read_as_ec2_describes_it() -> None:
    """The adapter, against an emulated EC2: tags, filters and what is missing."""
    with mock_aws():
        ec2 = boto3.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        other = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone=f"{REGION}a")
        foreign = ec2.create_subnet(VpcId=other, CidrBlock="10.1.1.0/24", AvailabilityZone=f"{REGION}a")
        ids = [answer["Subnet"]["SubnetId"] for answer in (subnet, foreign)]
        ec2.create_tags(Resources=[vpc, *ids], Tags=[{"Key": "vbr-privatelink", "Value": "tokyo"}])
        network = Ec2Network(ec2)
        here = Subnet(id=ids[0], vpc_id=vpc, availability_zone=f"{REGION}a")

        assert network.vpc_exists(vpc)
        assert not network.vpc_exists("vpc-0123456789abcdef0")
        assert network.vpcs_tagged("vbr-privatelink", "tokyo") == [vpc]
        assert network.vpcs_tagged("vbr-privatelink", "osaka") == []
        assert network.subnets([ids[0], "subnet-0123456789abcdef0"]) == [here]
        assert network.subnets_tagged("vbr-privatelink", "tokyo", vpc_id=vpc) == [here]


def test_an_error_of_ec2_is_not_taken_for_a_missing_vpc() -> None:
    """Only one code means "not there"; "correct the settings" would be wrong advice for the others."""
    client = boto3.client("ec2")
    with Stubber(client) as stub:
        stub.add_client_error("describe_vpcs", "UnauthorizedOperation")

        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            Ec2Network(client).vpc_exists(VPC)


def test_a_missing_settings_parameter_is_refused_with_the_fix() -> None:
    """Somebody deleted it by hand: the stack writes it again."""
    with mock_aws():
        settings = SsmSettings(boto3.client("ssm"))

        with pytest.raises(InvalidRequestError, match=r"/vbr-privatelink/tokyo/settings is missing; deploy"):
            settings.read(TOKYO)


def test_the_settings_parameter_is_read() -> None:
    """Unchecked: what is in it is for the contract to judge."""
    with mock_aws():
        ssm = boto3.client("ssm")
        ssm.put_parameter(Name="/vbr-privatelink/tokyo/settings", Value="anything", Type="String")

        assert SsmSettings(ssm).read(TOKYO) == "anything"


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "tokyo",
        "arn:aws:states:ap-northeast-1:111122223333:stateMachine:vbr-privatelink-reconcile",
        f"{execution('a')}\n",
        f"{execution('a')}:b",
        # Legal names of executions that neither a tag nor the published document can hold.
        execution("a!b"),
        execution("\u6771\u4eac"),
        "arn:aws:states:ap-northeast-1:1111:execution:vbr-privatelink-reconcile:a",
        "arn:aws:states:nowhere:111122223333:execution:vbr-privatelink-reconcile:a",
    ],
)
def test_what_is_not_the_arn_of_an_execution_is_refused(arn: str) -> None:
    """Account and Region of everything that is created come from it."""
    with pytest.raises((InvalidRequestError, ContractError)):
        Execution.from_arn(arn)
