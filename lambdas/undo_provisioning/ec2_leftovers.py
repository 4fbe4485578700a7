"""Endpoints and groups that one run has created, found by its tag."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lambdas.core.errors import AwsRefusedError, GroupInUseError
from lambdas.core.site import CREATOR_TAG, SITE_TAG

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef

_GOING_OR_GONE = frozenset({"deleting", "deleted"})


class Ec2Leftovers:
    """Deletes only what its caller names, and its role only what carries the creator tag."""

    def __init__(self, client: "EC2Client") -> None:
        self._client = client

    def endpoints(self, *, site: str, run: str) -> Sequence[str]:
        """Return the run's endpoints that are not on their way out already."""
        answer = self._client.describe_vpc_endpoints(Filters=_made_by(site, run))
        return [
            endpoint["VpcEndpointId"]
            for endpoint in answer["VpcEndpoints"]
            if endpoint["State"].lower() not in _GOING_OR_GONE
        ]

    def groups(self, *, site: str, run: str) -> Sequence[str]:
        """Return the run's security groups."""
        answer = self._client.describe_security_groups(Filters=_made_by(site, run))
        return [group["GroupId"] for group in answer["SecurityGroups"]]

    def delete_endpoints(self, endpoint_ids: Sequence[str]) -> None:
        """Delete endpoints; EC2 says what it could not delete in its answer, not as an error."""
        answer = self._client.delete_vpc_endpoints(VpcEndpointIds=list(endpoint_ids))
        failed = answer.get("Unsuccessful", [])
        if failed:
            reasons = "; ".join(
                f"{item.get('ResourceId', '?')}: {item.get('Error', {}).get('Message', '?')}"
                for item in failed
            )
            raise AwsRefusedError(f"DeleteVpcEndpoints: {reasons}")

    def delete_group(self, group_id: str) -> None:
        """Delete a group; one that is gone already is fine."""
        try:
            self._client.delete_security_group(GroupId=group_id)
        except ClientError as error:
            match error.response["Error"]["Code"]:
                case "InvalidGroup.NotFound":
                    return
                case "DependencyViolation":
                    raise GroupInUseError(f"security group {group_id} is still in use") from error
                case _:
                    raise


def _made_by(site: str, run: str) -> "list[FilterTypeDef]":
    return [
        {"Name": f"tag:{SITE_TAG}", "Values": [site]},
        {"Name": f"tag:{CREATOR_TAG}", "Values": [run]},
    ]
