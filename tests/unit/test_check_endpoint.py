"""Whether the endpoint is there yet, and under which of its names backups go to it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from contract.names import EndpointId, Region
from lambdas.check_endpoint.ec2_endpoint_statuses import Ec2EndpointStatuses
from lambdas.check_endpoint.logic import AvailableEndpoint, EndpointStatus, check
from lambdas.core.errors import EndpointFailedError, EndpointPendingError
from tests.unit.sites import ENDPOINT_ID, HOST, REGION

REGIONAL = HOST.replace("bucket.", "*.")
ZONAL = [REGIONAL.replace("a1b2c3d4", f"a1b2c3d4-{REGION}{zone}") for zone in "ac"]
# What stands beside it when somebody has switched private DNS on.
PUBLIC = [f"s3.{REGION}.amazonaws.com", f"*.s3.{REGION}.amazonaws.com"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneEndpoint:
    """EC2 with one endpoint, or with none."""

    found: EndpointStatus | None

    def status(self, endpoint_id: str) -> EndpointStatus | None:
        assert endpoint_id == ENDPOINT_ID
        return self.found

    def addresses(self, network_interface_ids: Sequence[str]) -> Sequence[str]:
        return [{"eni-1": "10.0.2.33", "eni-2": "10.0.1.17"}[name] for name in network_interface_ids]


def checked(state: str | None, *, names: Sequence[str] = (REGIONAL,), reason: str = "") -> AvailableEndpoint:
    found = state and EndpointStatus(
        state=state, reason=reason, dns_names=tuple(names), network_interface_ids=("eni-1", "eni-2")
    )
    return check(OneEndpoint(found=found or None), endpoint_id=EndpointId(ENDPOINT_ID), region=Region(REGION))


@pytest.mark.parametrize("state", [None, "pending", "pendingacceptance", "partial"])
def test_an_endpoint_that_is_not_there_yet_is_waited_for(state: str | None) -> None:
    """Right after create EC2 may not know it: that is no failure, and nothing may be undone."""
    with pytest.raises(EndpointPendingError) as raised:
        checked(state)

    assert str(raised.value) == f"endpoint {ENDPOINT_ID} is {state or 'not known to EC2 yet'}"


@pytest.mark.parametrize("state", ["failed", "rejected", "expired", "deleting", "deleted", "anything new"])
def test_a_state_that_it_never_leaves_is_final(state: str) -> None:
    """Waiting on would take the whole patience before anybody is told."""
    with pytest.raises(EndpointFailedError, match=f"is {state}: the service owner said no; start again"):
        checked(state, reason="the service owner said no")


def test_a_failure_without_a_reason_says_so() -> None:
    """EC2 doesn't always give one."""
    with pytest.raises(EndpointFailedError) as raised:
        checked("failed")

    assert str(raised.value) == (
        f"endpoint {ENDPOINT_ID} is failed: EC2 gives no reason; start again; if it stays so, ask AWS Support"
    )


@pytest.mark.parametrize("names", list(itertools.permutations([REGIONAL, *ZONAL, PUBLIC[1]])))
def test_the_regional_name_is_chosen_by_its_form(names: Sequence[str]) -> None:
    """EC2 promises no order, and a zonal name would tie all backups to one zone."""
    assert checked("available", names=names) == AvailableEndpoint(
        host=HOST,  # type: ignore[arg-type]  # as a test writes it down
        addresses=("10.0.1.17", "10.0.2.33"),
    )


@pytest.mark.parametrize(
    "names",
    [
        [],
        ZONAL,
        PUBLIC,
        [REGIONAL.removeprefix("*.")],
        [REGIONAL.replace(ENDPOINT_ID, "vpce-0fedcba9876543210")],
        [REGIONAL.replace(REGION, "us-east-1")],
        [REGIONAL.replace("amazonaws.com", "amazonaws.com.cn")],
    ],
)
def test_without_a_regional_name_of_its_own_nothing_is_published(names: Sequence[str]) -> None:
    """A name that is nearly right leads backups somewhere else."""
    with pytest.raises(EndpointFailedError) as raised:
        checked("available", names=names)

    found = ", ".join(names) or "none at all"
    assert str(raised.value) == f"endpoint {ENDPOINT_ID} has no regional DNS name among: {found}"


def answered(endpoint: dict[str, Any] | None) -> EndpointStatus | None:
    """Return how the adapter reads EC2's answer."""
    client = boto3.client("ec2")
    with Stubber(client) as stub:
        stub.add_response(
            "describe_vpc_endpoints",
            {"VpcEndpoints": [endpoint] if endpoint else []},
            {"VpcEndpointIds": [ENDPOINT_ID]},
        )
        return Ec2EndpointStatuses(client).status(ENDPOINT_ID)


@pytest.mark.parametrize(
    ("spelt", "state"),
    [
        ("available", "available"),
        ("Available", "available"),
        ("PendingAcceptance", "pendingacceptance"),
        ("pendingAcceptance", "pendingacceptance"),
        ("Failed", "failed"),
    ],
)
def test_states_come_in_two_casings(spelt: str, state: str) -> None:
    """The API says "Available" in one place and "available" in the other."""
    status = answered({"State": spelt})

    assert status is not None
    assert status.state == state


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"FailureReason": "no capacity"}, "no capacity"),
        ({"LastError": {"Message": "not accepted", "Code": "x"}}, "not accepted"),
        ({"FailureReason": "", "LastError": {"Message": "not accepted"}}, "not accepted"),
        ({}, ""),
    ],
)
def test_the_reason_is_taken_from_where_ec2_puts_it(facts: dict[str, Any], reason: str) -> None:
    """It is the only hint that the operator gets."""
    status = answered({"State": "failed", **facts})

    assert status is not None
    assert status.reason == reason


def test_names_and_interfaces_are_read() -> None:
    """What the logic chooses from."""
    status = answered(
        {
            "State": "available",
            "DnsEntries": [{"DnsName": REGIONAL, "HostedZoneId": "Z"}],
            "NetworkInterfaceIds": ["eni-1"],
        }
    )

    assert status == EndpointStatus(
        state="available", reason="", dns_names=(REGIONAL,), network_interface_ids=("eni-1",)
    )


def test_an_unknown_endpoint_is_none_whether_ec2_says_so_or_answers_nothing() -> None:
    """Both happen in the first seconds."""
    client = boto3.client("ec2")
    with Stubber(client) as stub:
        stub.add_client_error("describe_vpc_endpoints", "InvalidVpcEndpointId.NotFound")

        assert Ec2EndpointStatuses(client).status(ENDPOINT_ID) is None
    assert answered(None) is None


def test_any_other_error_is_passed_on() -> None:
    """A missing permission must not be waited for as if the endpoint were pending."""
    client = boto3.client("ec2")
    with Stubber(client) as stub:
        stub.add_client_error("describe_vpc_endpoints", "UnauthorizedOperation")

        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            Ec2EndpointStatuses(client).status(ENDPOINT_ID)


def test_addresses_are_those_of_the_interfaces() -> None:
    """The client compares them with what DNS tells it; without interfaces EC2 would answer with all."""
    client = boto3.client("ec2")
    with Stubber(client) as stub:
        stub.add_response(
            "describe_network_interfaces",
            {"NetworkInterfaces": [{"PrivateIpAddress": "10.0.1.17"}]},
            {"NetworkInterfaceIds": ["eni-1"]},
        )
        statuses = Ec2EndpointStatuses(client)

        assert statuses.addresses(["eni-1"]) == ["10.0.1.17"]
        assert statuses.addresses([]) == []
