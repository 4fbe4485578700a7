"""Interface endpoints and their security groups in one account and Region."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from lambdas.core.errors import ConcurrentChangeError, EndpointRefusedError
from lambdas.ensure_endpoint.logic import Endpoint, EndpointChange, SecurityGroup

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import (
        FilterTypeDef,
        IpPermissionOutputTypeDef,
        IpPermissionTypeDef,
        SecurityGroupTypeDef,
        TagSpecificationTypeDef,
        VpcEndpointTypeDef,
    )

_HTTPS = 443


class Ec2Endpoints:
    """Endpoints and groups; writes only to what its caller names."""

    def __init__(self, client: "EC2Client") -> None:
        self._client = client

    def service_name(self) -> str:
        """Find S3's service name for interface endpoints: partitions spell it differently."""
        answer = self._client.describe_vpc_endpoint_services(
            Filters=[{"Name": "service-type", "Values": ["Interface"]}]
        )
        # S3 Express and S3 Tables end in other words; .s3 alone is the service for buckets.
        names = sorted({name for name in answer["ServiceNames"] if name.endswith(".s3")})
        if len(names) != 1:
            raise EndpointRefusedError(
                f"this Region offers {len(names) or 'no'} interface endpoint services for S3; use another"
            )
        return names[0]

    def group(self, group_id: str) -> SecurityGroup | None:
        """Read a group by its id."""
        try:
            found = self._client.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidGroup.NotFound":
                return None
            raise
        return _group(found[0]) if found else None

    def groups_tagged(self, tags: Mapping[str, str | None], *, vpc_id: str) -> Sequence[SecurityGroup]:
        """Read the groups of the VPC that carry all the tags."""
        answer = self._client.describe_security_groups(
            Filters=[*_filters(tags), {"Name": "vpc-id", "Values": [vpc_id]}]
        )
        return [_group(found) for found in answer["SecurityGroups"]]

    def create_group(self, name: str, *, vpc_id: str, tags: Mapping[str, str]) -> SecurityGroup:
        """Create an empty group; one that was killed half-way is found by its tags."""
        try:
            answer = self._client.create_security_group(
                GroupName=name,
                Description="HTTPS from the on-premises networks to the S3 interface endpoint",
                VpcId=vpc_id,
                TagSpecifications=[_specification("security-group", tags)],
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidGroup.Duplicate":
                raise
            # Ours already: the answer to an earlier attempt of this call was lost.
            for group in self.groups_tagged(tags, vpc_id=vpc_id):
                return group
            raise EndpointRefusedError(
                f"security_group_id: {vpc_id} has a group named {name} that the product did not make; "
                "rename or delete it, or name it in security_group_id"
            ) from error
        return SecurityGroup(id=answer["GroupId"], vpc_id=vpc_id, sources=frozenset(), other_rules=0)

    def change_sources(self, group_id: str, *, add: frozenset[str], remove: frozenset[str]) -> None:
        """Let networks in and out on port 443; in first, so that nobody is cut off in between."""
        if add:
            try:
                self._client.authorize_security_group_ingress(
                    GroupId=group_id, IpPermissions=[_https_from(add)]
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "InvalidPermission.Duplicate":
                    raise
                # The answer to an earlier attempt was lost, or somebody was quicker: look again.
                raise ConcurrentChangeError(f"security group {group_id} has changed meanwhile") from error
        if remove:
            self._client.revoke_security_group_ingress(GroupId=group_id, IpPermissions=[_https_from(remove)])

    def remove_other_rules(self, group_id: str) -> None:
        """Remove every incoming rule that isn't HTTPS from an IPv4 network."""
        found = self._client.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
        foreign = [part for rule in found["IpPermissions"] if (part := _foreign_part(rule))]
        if foreign:
            self._client.revoke_security_group_ingress(GroupId=group_id, IpPermissions=foreign)

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """Read an endpoint by its id."""
        try:
            found = self._client.describe_vpc_endpoints(VpcEndpointIds=[endpoint_id])["VpcEndpoints"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidVpcEndpointId.NotFound":
                return None
            raise
        return _endpoint(found[0]) if found else None

    def endpoints_tagged(self, tags: Mapping[str, str | None]) -> Sequence[Endpoint]:
        """Read the endpoints that carry all the tags, in whatever VPC."""
        return [
            _endpoint(found)
            for page in self._client.get_paginator("describe_vpc_endpoints").paginate(Filters=_filters(tags))
            for found in page["VpcEndpoints"]
        ]

    def create_endpoint(
        self,
        *,
        service_name: str,
        vpc_id: str,
        subnet_ids: Sequence[str],
        group_ids: Sequence[str],
        policy: str,
        tags: Mapping[str, str],
        client_token: str,
    ) -> str:
        """Create the endpoint and return its id; it is pending for a while."""
        answer = self._client.create_vpc_endpoint(
            VpcEndpointType="Interface",
            ServiceName=service_name,
            VpcId=vpc_id,
            SubnetIds=list(subnet_ids),
            SecurityGroupIds=list(group_ids),
            PolicyDocument=policy,
            PrivateDnsEnabled=False,
            ClientToken=client_token,
            TagSpecifications=[_specification("vpc-endpoint", tags)],
        )
        return answer["VpcEndpoint"]["VpcEndpointId"]

    def change_endpoint(self, endpoint_id: str, change: EndpointChange) -> None:
        """Change what differs, in one call."""
        wanted: dict[str, Any] = {
            "AddSubnetIds": sorted(change.add_subnets),
            "RemoveSubnetIds": sorted(change.remove_subnets),
            "AddSecurityGroupIds": sorted(change.add_groups),
            "RemoveSecurityGroupIds": sorted(change.remove_groups),
            "PolicyDocument": change.policy,
        }
        if change.private_dns_off:
            wanted["PrivateDnsEnabled"] = False
        given = {name: value for name, value in wanted.items() if value not in ([], None)}
        self._client.modify_vpc_endpoint(VpcEndpointId=endpoint_id, **given)


def _filters(tags: Mapping[str, str | None]) -> "list[FilterTypeDef]":
    filters: list[FilterTypeDef] = []
    for key, value in tags.items():
        if value is None:
            filters.append({"Name": "tag-key", "Values": [key]})
        else:
            filters.append({"Name": f"tag:{key}", "Values": [value]})
    return filters


def _specification(kind: Any, tags: Mapping[str, str]) -> "TagSpecificationTypeDef":
    return {"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _https_from(networks: frozenset[str]) -> "IpPermissionTypeDef":
    return {
        "IpProtocol": "tcp",
        "FromPort": _HTTPS,
        "ToPort": _HTTPS,
        "IpRanges": [{"CidrIp": network, "Description": "on-premises"} for network in sorted(networks)],
    }


def _is_https(rule: "IpPermissionOutputTypeDef") -> bool:
    return (rule.get("IpProtocol"), rule.get("FromPort"), rule.get("ToPort")) == ("tcp", _HTTPS, _HTTPS)


def _foreign_part(rule: "IpPermissionOutputTypeDef") -> "IpPermissionTypeDef | None":
    """
    Return the rule without HTTPS from IPv4 networks; None when nothing else is in it.

    EC2 answers one rule per port, with every kind of source in it: removing it as a whole would shut
    the on-premises networks out. Empty lists it refuses to be given back.
    """
    ours = {"IpRanges"} if _is_https(rule) else set()
    sources = {"IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs"}
    part = {name: value for name, value in rule.items() if name not in ours and value != []}
    return cast("IpPermissionTypeDef", part) if sources & part.keys() else None


def _group(found: "SecurityGroupTypeDef") -> SecurityGroup:
    rules = found["IpPermissions"]
    return SecurityGroup(
        id=found["GroupId"],
        vpc_id=found.get("VpcId", ""),
        sources=frozenset(
            network["CidrIp"] for rule in rules if _is_https(rule) for network in rule.get("IpRanges", [])
        ),
        other_rules=sum(_foreign_part(rule) is not None for rule in rules),
    )


def _endpoint(found: "VpcEndpointTypeDef") -> Endpoint:
    return Endpoint(
        id=found["VpcEndpointId"],
        # EC2 answers states in two casings.
        state=found["State"].lower(),
        kind=found["VpcEndpointType"].lower(),
        service_name=found["ServiceName"],
        vpc_id=found["VpcId"],
        subnet_ids=frozenset(found.get("SubnetIds", [])),
        security_group_ids=frozenset(group["GroupId"] for group in found.get("Groups", [])),
        private_dns=bool(found.get("PrivateDnsEnabled")),
        policy=json.loads(found.get("PolicyDocument") or "{}"),
        created_at=str(found.get("CreationTimestamp", "")),
    )
