"""Which of the endpoints exist, and in which state, in one call."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


class Ec2EndpointStates:
    """Looks; changes nothing."""

    def __init__(self, client: "EC2Client") -> None:
        self._client = client

    def states(self, endpoint_ids: Collection[str]) -> Mapping[str, str]:
        """Return the states in lower case; what doesn't exist any more is missing."""
        if not endpoint_ids:
            return {}
        # A filter answers with those that exist; ids that are gone would be an error.
        answer = self._client.describe_vpc_endpoints(
            Filters=[{"Name": "vpc-endpoint-id", "Values": sorted(endpoint_ids)}]
        )
        return {endpoint["VpcEndpointId"]: endpoint["State"].lower() for endpoint in answer["VpcEndpoints"]}
