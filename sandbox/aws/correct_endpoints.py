"""
Interface endpoints behave like AWS's.

moto: available at once; one DNS name of the shape `vpce-….com.amazonaws.<region>.s3`; ClientToken kept but
ignored; addresses from anywhere; groups, subnets and services unchecked; modify changes neither private DNS
nor interfaces; deleted ones stay for ever and their group may be deleted while in use; most filters
unknown.
AWS: pending for a while; a regional and zonal names, in no particular order; ClientToken makes creation
idempotent; a network interface in each subnet, with the endpoint's groups; wrong ids refused by code;
`deleting` and then gone.
"""

import dataclasses
import hashlib
import json
import random
import secrets
import threading
import time
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import (
    DependencyViolationError,
    EC2ClientError,
    InvalidParameter,
    InvalidSecurityGroupNotFoundError,
    InvalidServiceName,
    InvalidSubnetIdError,
    InvalidVpcEndPointIdError,
)
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.vpcs import VPCBackend, VPCEndPoint
from moto.ec2.responses.vpcs import VPCs

from sandbox.aws.moto_pin import Corrections

REMEMBERED_TOKENS = "sandbox_client_tokens"
DELETED_ENDPOINTS = "sandbox_deleted_endpoints"
STATE_CHANGE = "sandbox_state_change"
ALPHANUMERIC = "0123456789abcdefghijklmnopqrstuvwxyz"


class IdempotentParameterMismatchError(EC2ClientError):
    """The same ClientToken with other parameters."""

    def __init__(self) -> None:
        super().__init__(
            "IdempotentParameterMismatch",
            "The client token you have provided is associated with a resource that has different parameters.",
        )


class InvalidVpcEndpointServiceError(EC2ClientError):
    """A subnet or service that an endpoint can't have."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """The next state of an endpoint, and when it comes."""

    at: float
    state: str


def apply(corrections: Corrections, *, pending_seconds: float) -> None:
    """Correct interface endpoints, which stay pending for *pending_seconds*."""
    lock = threading.RLock()
    _creation(corrections, lock, pending_seconds)
    _reading(corrections)
    _modification(corrections)
    _deletion(corrections, min(pending_seconds, 1.0))
    _services(corrections)


def current_state(endpoint: Any) -> str:
    """Return the endpoint's state as of now, after whatever was due has happened."""
    change: _Change | None = getattr(endpoint, STATE_CHANGE, None)
    if change is not None and time.monotonic() >= change.at:
        setattr(endpoint, STATE_CHANGE, None)
        endpoint.state = change.state
        if change.state == "deleted":
            backend = endpoint.ec2_backend
            for name in endpoint.network_interface_ids:
                _remove_interface(backend, name)
            backend.vpc_end_points.pop(endpoint.id, None)
            vars(backend).setdefault(DELETED_ENDPOINTS, {})[endpoint.id] = endpoint
    return str(endpoint.state)


# Creating


def _creation(corrections: Corrections, lock: Any, pending_seconds: float) -> None:
    def create(
        self: Any,
        vpc_id: str,
        service_name: str,
        endpoint_type: str | None,
        policy_document: str | None,
        route_table_ids: list[str],
        subnet_ids: list[str] | None = None,
        network_interface_ids: list[str] | None = None,
        dns_entries: Any = None,
        client_token: str | None = None,
        security_group_ids: list[str] | None = None,
        tags: dict[str, str] | None = None,
        private_dns_enabled: bool | None = None,
    ) -> Any:
        if (endpoint_type or "Gateway").lower() != "interface":
            return original(
                self,
                vpc_id,
                service_name,
                endpoint_type,
                policy_document,
                route_table_ids,
                subnet_ids,
                network_interface_ids,
                dns_entries,
                client_token,
                security_group_ids,
                tags,
                private_dns_enabled,
            )
        asked = {
            "vpc": vpc_id,
            "service": service_name,
            "policy": policy_document,
            "subnets": sorted(subnet_ids or []),
            "groups": sorted(security_group_ids or []),
            "private_dns": private_dns_enabled,
            "tags": tags or {},
        }
        fingerprint = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        with lock:
            tokens = vars(self).setdefault(REMEMBERED_TOKENS, {})
            if client_token and client_token in tokens:
                before, endpoint = tokens[client_token]
                if before != fingerprint:
                    raise IdempotentParameterMismatchError
                current_state(endpoint)
                return endpoint
            endpoint = _new(
                self,
                vpc_id=vpc_id,
                service_name=service_name,
                policy_document=policy_document,
                subnet_ids=subnet_ids or [],
                group_ids=security_group_ids or [],
                private_dns=private_dns_enabled is not False,
                client_token=client_token,
                tags=tags or {},
                pending_seconds=pending_seconds,
            )
            if client_token:
                tokens[client_token] = (fingerprint, endpoint)
            return endpoint

    original = corrections.replace(
        VPCBackend,
        "create_vpc_endpoint",
        create,
        parameters=[
            "self",
            "vpc_id",
            "service_name",
            "endpoint_type",
            "policy_document",
            "route_table_ids",
            "subnet_ids",
            "network_interface_ids",
            "dns_entries",
            "client_token",
            "security_group_ids",
            "tags",
            "private_dns_enabled",
        ],
    )


def _new(
    backend: Any,
    *,
    vpc_id: str,
    service_name: str,
    policy_document: str | None,
    subnet_ids: list[str],
    group_ids: list[str],
    private_dns: bool,
    client_token: str | None,
    tags: dict[str, str],
    pending_seconds: float,
) -> Any:
    backend.get_vpc(vpc_id)
    _require_service(backend, service_name)
    if private_dns:
        _require_private_dns(backend, vpc_id, service_name)
    subnets = [_subnet(backend, name, vpc_id) for name in subnet_ids]
    _require_one_per_zone(subnets)
    groups = [_group(backend, name, vpc_id) for name in group_ids] or [
        backend.get_security_group_from_name("default", vpc_id)
    ]
    endpoint_id = f"vpce-0{secrets.token_hex(8)}"
    # Its CloudFormation half is abstract, for mypy only.
    make: Any = VPCEndPoint
    endpoint = make(
        backend,
        endpoint_id,
        vpc_id,
        service_name,
        "Interface",
        policy_document,
        [],
        [subnet.id for subnet in subnets],
        [],
        dns_entries=[],
        client_token=client_token,
        security_group_ids=[group.id for group in groups],
        tags=tags,
        private_dns_enabled=private_dns,
    )
    endpoint.sandbox_name = f"{endpoint_id}-{''.join(random.choices(ALPHANUMERIC, k=8))}"  # noqa: S311 - a name
    endpoint.state = "pending"
    setattr(endpoint, STATE_CHANGE, _Change(at=time.monotonic() + pending_seconds, state="available"))
    for subnet in subnets:
        _add_interface(endpoint, subnet)
    _name(endpoint)
    backend.vpc_end_points[endpoint_id] = endpoint
    return endpoint


def _require_service(backend: Any, service_name: str) -> None:
    known = backend._collect_default_endpoint_services(backend.account_id, backend.region_name)
    if not any(
        service["ServiceName"] == service_name and _type_of(service) == "Interface" for service in known
    ):
        raise InvalidServiceName(service_name)


def _require_private_dns(backend: Any, vpc_id: str, service_name: str) -> None:
    """S3's private names need a gateway endpoint in the VPC, and the VPC's DNS must be on."""
    vpc = backend.get_vpc(vpc_id)
    if vpc.enable_dns_support not in (True, "true") or vpc.enable_dns_hostnames not in (True, "true"):
        raise InvalidParameter(
            "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to"
            f" true for {vpc_id}"
        )
    if service_name.endswith(".s3") and not any(
        other.vpc_id == vpc_id
        and other.service_name == service_name
        and other.vpc_endpoint_type != "Interface"
        for other in backend.vpc_end_points.values()
    ):
        raise InvalidParameter(
            "To set PrivateDnsOnlyForInboundResolverEndpoint to true, the VPC"
            f" {vpc_id} must have a Gateway endpoint for the service."
        )


def _subnet(backend: Any, name: str, vpc_id: str) -> Any:
    subnet = backend.get_subnet(name)
    if subnet.vpc_id != vpc_id:
        raise InvalidSubnetIdError(name)
    return subnet


def _require_one_per_zone(subnets: list[Any]) -> None:
    zones = [subnet.availability_zone for subnet in subnets]
    if len(set(zones)) != len(zones):
        raise InvalidVpcEndpointServiceError(
            "DuplicateSubnetsInSameZone", "Found another VPC endpoint subnet in the availability zone."
        )


def _group(backend: Any, name: str, vpc_id: str) -> Any:
    group = backend.get_security_group_from_id(name)
    if group is None or group.vpc_id != vpc_id:
        raise InvalidSecurityGroupNotFoundError(name)
    return group


def _add_interface(endpoint: Any, subnet: Any) -> None:
    backend = endpoint.ec2_backend
    interface = backend.create_network_interface(
        subnet,
        subnet.get_available_subnet_ip(endpoint),
        group_ids=list(endpoint.security_group_ids),
        description=f"VPC Endpoint Interface {endpoint.id}",
    )
    interface.interface_type = "vpc_endpoint"
    interface.requester_managed = True
    interface.status = "in-use"
    endpoint.network_interface_ids.append(interface.id)


def _remove_interface(backend: Any, name: str) -> None:
    """With its address: a small subnet would be used up by endpoints that are long gone."""
    interface = backend.enis.pop(name, None)
    if interface is not None:
        interface.subnet.del_subnet_ip(interface.private_ip_address)


def _name(endpoint: Any) -> None:
    """Give the endpoint its DNS names, in no particular order."""
    backend = endpoint.ec2_backend
    region = backend.region_name
    service = endpoint.service_name.rsplit(".", 1)[-1]
    star = "*." if service == "s3" else ""
    zones = [backend.get_subnet(name).availability_zone for name in endpoint.subnet_ids]
    names = [endpoint.sandbox_name, *(f"{endpoint.sandbox_name}-{zone}" for zone in zones)]
    entries = [f"{star}{name}.{service}.{region}.vpce.amazonaws.com" for name in names]
    if endpoint.private_dns_enabled:
        entries.append(f"{service}.{region}.amazonaws.com")
        if star:
            entries.append(f"*.{service}.{region}.amazonaws.com")
    random.shuffle(entries)
    endpoint.dns_entries = [
        {"dns_name": name, "hosted_zone_id": f"Z{secrets.token_hex(6).upper()}"} for name in entries
    ]


# Reading


def _reading(corrections: Corrections) -> None:
    def describe(self: Any, vpc_end_point_ids: list[str] | None, filters: Any = None) -> Any:
        for endpoint in list(self.vpc_end_points.values()):
            current_state(endpoint)
        return original(self, vpc_end_point_ids, filters)

    def filter_value(self: Any, filter_name: str, method_name: str | None = None) -> Any:
        own = {
            "vpc-id": "vpc_id",
            "service-name": "service_name",
            "vpc-endpoint-id": "id",
            "vpc-endpoint-type": "vpc_endpoint_type",
            "vpc-endpoint-state": "state",
        }
        if filter_name in own:
            return getattr(self, own[filter_name])
        return original_filter(self, filter_name, method_name)

    original = corrections.replace(
        VPCBackend,
        "describe_vpc_endpoints",
        describe,
        parameters=["self", "vpc_end_point_ids", "filters"],
    )
    original_filter = corrections.replace(
        VPCEndPoint, "get_filter_value", filter_value, parameters=["self", "filter_name", "method_name"]
    )


# Changing


def _modification(corrections: Corrections) -> None:
    def modify(self: Any) -> Any:
        endpoint = self.ec2_backend.describe_vpc_endpoints(
            vpc_end_point_ids=[self._get_param("VpcEndpointId")]
        )[0]
        if endpoint.vpc_endpoint_type != "Interface":
            return original(self)
        change(
            endpoint,
            policy=self._get_param("PolicyDocument"),
            reset_policy=bool(self._get_bool_param("ResetPolicy")),
            private_dns=self._get_bool_param("PrivateDnsEnabled"),
            add_subnets=self._get_param("AddSubnetIds", []),
            remove_subnets=self._get_param("RemoveSubnetIds", []),
            add_groups=self._get_param("AddSecurityGroupIds", []),
            remove_groups=self._get_param("RemoveSecurityGroupIds", []),
        )
        return ActionResult({"Return": True})

    original = corrections.replace(VPCs, "modify_vpc_endpoint", modify, parameters=["self"])


def change(
    endpoint: Any,
    *,
    policy: str | None,
    reset_policy: bool,
    private_dns: bool | None,
    add_subnets: list[str],
    remove_subnets: list[str],
    add_groups: list[str],
    remove_groups: list[str],
) -> None:
    """Change an interface endpoint; nothing is changed when a part is refused."""
    backend = endpoint.ec2_backend
    if endpoint.state != "available":
        raise InvalidVpcEndpointServiceError(
            "IncorrectState", f"The VPC endpoint {endpoint.id} is {endpoint.state} and can't be modified."
        )
    added = [
        _subnet(backend, name, endpoint.vpc_id) for name in add_subnets if name not in endpoint.subnet_ids
    ]
    for name in remove_subnets:
        if name not in endpoint.subnet_ids:
            raise InvalidSubnetIdError(name)
    kept = [backend.get_subnet(name) for name in endpoint.subnet_ids if name not in remove_subnets]
    _require_one_per_zone([*kept, *added])
    for name in add_groups:
        _group(backend, name, endpoint.vpc_id)
    groups = [name for name in endpoint.security_group_ids if name not in remove_groups]
    groups += [name for name in add_groups if name not in groups]
    if not groups:
        raise InvalidParameter("An interface endpoint must have at least one security group.")
    if private_dns and not endpoint.private_dns_enabled:
        _require_private_dns(backend, endpoint.vpc_id, endpoint.service_name)
    if reset_policy:
        endpoint.policy_document = json.dumps(VPCEndPoint.DEFAULT_POLICY)
    if policy:
        endpoint.policy_document = policy
    endpoint.security_group_ids = groups
    for name in list(endpoint.network_interface_ids):
        interface = backend.enis[name]
        if interface.subnet.id in remove_subnets:
            _remove_interface(backend, name)
            endpoint.network_interface_ids.remove(name)
        else:
            interface._group_set = [backend.get_security_group_from_id(group) for group in groups]
    endpoint.subnet_ids = [subnet.id for subnet in (*kept, *added)]
    for subnet in added:
        _add_interface(endpoint, subnet)
    if private_dns is not None:
        endpoint.private_dns_enabled = private_dns
    _name(endpoint)


# Deleting


def _deletion(corrections: Corrections, seconds: float) -> None:
    def delete(self: Any) -> Any:
        unsuccessful = []
        for name in self._get_param("VpcEndpointIds", []):
            endpoint = self.ec2_backend.vpc_end_points.get(name)
            if endpoint is None:
                error = InvalidVpcEndPointIdError(name)
                unsuccessful.append(
                    {"ResourceId": name, "Error": {"Code": error.code, "Message": error.message}}
                )
            elif endpoint.vpc_endpoint_type != "Interface":
                self.ec2_backend.delete_vpc_endpoints(vpce_ids=[name])
            elif endpoint.state != "deleting":
                endpoint.state = "deleting"
                setattr(endpoint, STATE_CHANGE, _Change(at=time.monotonic() + seconds, state="deleted"))
        return ActionResult({"Unsuccessful": unsuccessful})

    def delete_group(self: Any, vpc_id: str, group_id: str) -> Any:
        for endpoint in list(self.vpc_end_points.values()):
            if current_state(endpoint) != "deleted" and group_id in endpoint.security_group_ids:
                raise DependencyViolationError(f"resource {group_id} has a dependent object")
        return original(self, vpc_id, group_id)

    corrections.replace(VPCs, "delete_vpc_endpoints", delete, parameters=["self"])
    original = corrections.replace(
        SecurityGroupBackend,
        "_delete_security_group",
        delete_group,
        parameters=["self", "vpc_id", "group_id"],
    )


# Services


def _services(corrections: Corrections) -> None:
    def filtered(service_names_filters: Any, filters: Any, services: Any) -> Any:
        # moto looks for "Value" where its own parser now says "Values".
        both = [{**item, "Value": item.get("Value", item.get("Values", []))} for item in filters or []]
        return original(service_names_filters, both, services)

    original = corrections.replace(
        VPCBackend,
        "_filter_endpoint_services",
        filtered,
        parameters=["service_names_filters", "filters", "services"],
    )


def _type_of(service: dict[str, Any]) -> str:
    return str(service["ServiceType"][0]["ServiceType"])
