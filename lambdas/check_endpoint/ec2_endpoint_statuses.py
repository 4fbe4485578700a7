"""State, names and addresses of interface endpoints."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lambdas.check_endpoint.logic import EndpointStatus

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


class Ec2EndpointStatuses:
    """Looks things up; changes nothing."""

    def __init__(self, client: "EC2Client") -> None:
        self._client = client

    def status(self, endpoint_id: str) -> EndpointStatus | None:
        """Read the endpoint; None when EC2 does not know it (yet)."""
        try:
            found = self._client.describe_vpc_endpoints(VpcEndpointIds=[endpoint_id])["VpcEndpoints"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidVpcEndpointId.NotFound":
                return None
            raise
        if not found:
            return None
        endpoint = found[0]
        return EndpointStatus(
            state=endpoint["State"].lower(),
            reason=endpoint.get("FailureReason") or endpoint.get("LastError", {}).get("Message", ""),
            dns_names=tuple(entry["DnsName"] for entry in endpoint.get("DnsEntries", [])),
            network_interface_ids=tuple(endpoint.get("NetworkInterfaceIds", [])),
        )

    def addresses(self, network_interface_ids: Sequence[str]) -> Sequence[str]:
        """Return the private IPv4 addresses of the interfaces."""
        if not network_interface_ids:
            return []
        answer = self._client.describe_network_interfaces(NetworkInterfaceIds=list(network_interface_ids))
        return [interface["PrivateIpAddress"] for interface in answer["NetworkInterfaces"]]
