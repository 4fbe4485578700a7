"""VPCs and subnets of one account and Region."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lambdas.resolve_request.logic import Subnet

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef


class Ec2Network:
    """Looks things up; changes nothing."""

    def __init__(self, client: "EC2Client") -> None:
        self._client = client

    def vpc_exists(self, vpc_id: str) -> bool:
        """Say whether the VPC is there."""
        try:
            return bool(self._client.describe_vpcs(VpcIds=[vpc_id])["Vpcs"])
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidVpcID.NotFound":
                return False
            raise

    def vpcs_tagged(self, key: str, value: str) -> Sequence[str]:
        """Return the ids of the VPCs that carry the tag."""
        found = self._client.describe_vpcs(Filters=[{"Name": f"tag:{key}", "Values": [value]}])["Vpcs"]
        return sorted(vpc["VpcId"] for vpc in found)

    def subnets(self, subnet_ids: Sequence[str]) -> Sequence[Subnet]:
        """Return those of the subnets that exist."""
        # A filter answers with those that exist; SubnetIds answers with an error for the first that doesn't.
        return self._subnets([{"Name": "subnet-id", "Values": list(subnet_ids)}])

    def subnets_tagged(self, key: str, value: str, *, vpc_id: str) -> Sequence[Subnet]:
        """Return the subnets of the VPC that carry the tag."""
        return self._subnets(
            [{"Name": f"tag:{key}", "Values": [value]}, {"Name": "vpc-id", "Values": [vpc_id]}]
        )

    def _subnets(self, filters: "Sequence[FilterTypeDef]") -> Sequence[Subnet]:
        return [
            Subnet(
                id=subnet["SubnetId"], vpc_id=subnet["VpcId"], availability_zone=subnet["AvailabilityZone"]
            )
            for page in self._client.get_paginator("describe_subnets").paginate(Filters=filters)
            for subnet in page["Subnets"]
        ]
