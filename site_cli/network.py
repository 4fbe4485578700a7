"""The VPC, subnets and routes of a site, only looked at: the same rules as in lambdas/resolve_request."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from site_cli.account import Account

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef, RouteTypeDef

SITE_TAG = "vbr-privatelink"
# AWS, "Amazon VPC quotas": interface and Gateway Load Balancer endpoints for each VPC.
_QUOTA = {"ServiceCode": "vpc", "QuotaCode": "L-29B6F2EB"}
# A way to a network outside AWS; an internet or NAT gateway is none.
_WAYS_HOME = (
    "GatewayId",
    "TransitGatewayId",
    "LocalGatewayId",
    "NetworkInterfaceId",
    "VpcPeeringConnectionId",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """One subnet that carries the site's tag, or that its settings name."""

    id: str
    vpc_id: str
    zone: str


def vpcs(account: Account, *, site: str, named: str | None) -> list[str]:
    """Return the VPCs that are the site's: it should be exactly one."""
    filters: list[FilterTypeDef] = (
        [{"Name": f"tag:{SITE_TAG}", "Values": [site]}]
        if named is None
        else [{"Name": "vpc-id", "Values": [named]}]
    )
    pages = account.ec2.get_paginator("describe_vpcs").paginate(Filters=filters)
    return sorted(vpc["VpcId"] for page in pages for vpc in page["Vpcs"])


def subnets(account: Account, *, site: str, vpc_id: str, named: Sequence[str]) -> list[Subnet]:
    """Return the site's subnets in its VPC, one for each zone: the first, as the workflow takes it."""
    filters: list[FilterTypeDef] = [{"Name": "vpc-id", "Values": [vpc_id]}]
    filters.append(
        {"Name": "subnet-id", "Values": list(named)}
        if named
        else {"Name": f"tag:{SITE_TAG}", "Values": [site]}
    )
    pages = account.ec2.get_paginator("describe_subnets").paginate(Filters=filters)
    found = [
        Subnet(id=subnet["SubnetId"], vpc_id=subnet["VpcId"], zone=subnet["AvailabilityZone"])
        for page in pages
        for subnet in page["Subnets"]
    ]
    by_zone = {subnet.zone: subnet for subnet in sorted(found, key=lambda one: one.id, reverse=True)}
    return [by_zone[zone] for zone in sorted(by_zone)]


def endpoint_zones(account: Account, endpoint_id: str) -> int | None:
    """Count the zones of an endpoint; None when it isn't there any more."""
    pages = account.ec2.get_paginator("describe_vpc_endpoints").paginate(
        Filters=[{"Name": "vpc-endpoint-id", "Values": [endpoint_id]}]
    )
    found = [endpoint for page in pages for endpoint in page["VpcEndpoints"]]
    return len(found[0]["SubnetIds"]) if found else None


def interface_endpoints(account: Account, vpc_id: str) -> int:
    """Count the interface endpoints of a VPC, those that are going away as well: they count, too."""
    pages = account.ec2.get_paginator("describe_vpc_endpoints").paginate(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc_id]},
            {"Name": "vpc-endpoint-type", "Values": ["Interface"]},
        ]
    )
    return sum(len(page["VpcEndpoints"]) for page in pages)


def endpoint_quota(account: Account) -> int:
    """How many interface endpoints a VPC may have in this account and Region."""
    return int(account.quotas.get_service_quota(**_QUOTA)["Quota"]["Value"])


def without_route(account: Account, subnet: Subnet, networks: Sequence[str]) -> list[str]:
    """Return those on-premises networks to which the subnet's route table knows no way."""
    pages = account.ec2.get_paginator("describe_route_tables").paginate(
        Filters=[{"Name": "vpc-id", "Values": [subnet.vpc_id]}]
    )
    tables = [table for page in pages for table in page["RouteTables"]]
    own = [
        table
        for table in tables
        if any(one.get("SubnetId") == subnet.id for one in table.get("Associations", []))
    ] or [table for table in tables if any(one.get("Main") for one in table.get("Associations", []))]
    routes = [route for table in own for route in table["Routes"] if _leads_home(route)]
    return [network for network in networks if not any(_reaches(route, network) for route in routes)]


def _leads_home(route: "RouteTypeDef") -> bool:
    if route.get("State") != "active":
        return False
    target = next((str(route.get(key)) for key in _WAYS_HOME if route.get(key)), None)
    return "CoreNetworkArn" in route or (
        target is not None and not target.startswith(("local", "igw-", "vpce-"))
    )


def _reaches(route: "RouteTypeDef", network: str) -> bool:
    # A list of prefixes may hold anything; whoever has one has thought of it.
    if "DestinationPrefixListId" in route:
        return True
    destination = route.get("DestinationCidrBlock")
    if destination is None:
        return False
    return ipaddress.IPv4Network(destination).overlaps(ipaddress.IPv4Network(network))
