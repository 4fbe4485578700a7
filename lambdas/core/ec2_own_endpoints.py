"""Endpoints and groups that the product has made for a site: found by their tags, and deleted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lambdas.core.errors import AwsRefusedError, GroupInUseError
from lambdas.core.site import CREATOR_TAG, SITE_TAG

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef

_GOING_OR_GONE = frozenset({"deleting", "deleted"})
_GONE = frozenset({"InvalidVpcEndpoint.NotFound", "InvalidVpcEndpointId.NotFound"})


class Ec2OwnEndpoints:
    """Deletes only what its caller names, and its role only what carries the creator tag."""

    def __init__(self, client: "EC2Client", *, site: str) -> None:
        self._client = client
        self._site = site

    def endpoints(self, *, run: str | None) -> Sequence[str]:
        """Return the S3 endpoints that are not on their way out already; of one run, or of all."""
        answer = self._client.describe_vpc_endpoints(Filters=self._filters(run))
        return [
            endpoint["VpcEndpointId"]
            for endpoint in answer["VpcEndpoints"]
            if endpoint["State"].lower() not in _GOING_OR_GONE
            # Anyone who may tag can put the product's tags on something else.
            and endpoint["VpcEndpointType"].lower() == "interface"
            and endpoint["ServiceName"].endswith(".s3")
        ]

    def groups(self, *, run: str | None) -> Sequence[str]:
        """Return the security groups; of one run, or of all."""
        answer = self._client.describe_security_groups(Filters=self._filters(run))
        return [group["GroupId"] for group in answer["SecurityGroups"]]

    def groups_of(self, endpoint_ids: Sequence[str]) -> Sequence[str]:
        """Return the groups that these endpoints use."""
        if not endpoint_ids:
            return []
        answer = self._client.describe_vpc_endpoints(
            Filters=[{"Name": "vpc-endpoint-id", "Values": list(endpoint_ids)}]
        )
        return [
            group["GroupId"] for endpoint in answer["VpcEndpoints"] for group in endpoint.get("Groups", [])
        ]

    def delete_endpoints(self, endpoint_ids: Sequence[str]) -> None:
        """Delete endpoints; EC2 says what it could not delete in its answer, not as an error."""
        answer = self._client.delete_vpc_endpoints(VpcEndpointIds=list(endpoint_ids))
        failed = [
            item
            for item in answer.get("Unsuccessful", [])
            # Somebody else has deleted it meanwhile.
            if item.get("Error", {}).get("Code") not in _GONE
        ]
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

    def _filters(self, run: str | None) -> "list[FilterTypeDef]":
        made_by: FilterTypeDef = (
            {"Name": "tag-key", "Values": [CREATOR_TAG]}
            if run is None
            else {"Name": f"tag:{CREATOR_TAG}", "Values": [run]}
        )
        return [{"Name": f"tag:{SITE_TAG}", "Values": [self._site]}, made_by]
